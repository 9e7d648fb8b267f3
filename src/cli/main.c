#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "me/version.h"

static const struct row {
    const char *name;
    int (*run)(int argc, char **argv, struct me_error *err);
    const struct me_command *command;
} table[] = {
    {"probe", me_cli_probe, &me_cli_probe_command},
    {"frameworks", me_cli_frameworks, &me_cli_frameworks_command},
    {"hosts", me_cli_hosts, &me_cli_hosts_command},
    {"run", me_cli_run, &me_cli_run_command},
    {"report", me_cli_report, &me_cli_report_command},
    {"recover", me_cli_recover, &me_cli_recover_command},
    {"clean", me_cli_clean, &me_cli_clean_command},
    {"model", me_cli_model, &me_cli_model_command},
};
#define ROWS (sizeof table / sizeof *table)

static void print_help(void)
{
    printf("Usage: me COMMAND [ARGUMENT...]\n"
           "Finds out which machines do a piece of work with the least energy and carbon.\n\n"
           "Commands:\n");
    for (size_t i = 0; i < ROWS; i++) printf("  %-10s  %s\n", table[i].name, table[i].command->summary);
    printf("\nOptions:\n"
           "      --help               print this help and exit; also behind a command\n"
           "      --version            print the version and exit\n\n"
           "One experiment on the machines of a config:\n\n"
           "  me hosts config.json\n"
           "  . gen.hosts.d/env\n"
           "  mpirun -hostfile gen.hosts me_bench exp1\n"
           "  me report exp1\n\n"
           "or all four in one:\n\n"
           "  me run config.json exp1\n\n"
           "Exit status: 0 done; 1 the experiment ran but something in it failed; 2 misuse or bad input,\n"
           "nothing was touched; 3 a machine could not be reached or prepared.\n");
}

static int fail_unknown(const char *word, struct me_error *err)
{
    const char *names[ROWS + 1] = {0};
    for (size_t i = 0; i < ROWS; i++) names[i] = table[i].name;
    const char *near = me_nearest(word, names);
    if (near) return me_fail(err, ME_E_INPUT, "unknown command %.64s; did you mean %s?", word, near);
    return me_fail(err, ME_E_INPUT, "unknown command %.64s; see me --help", word);
}

static int dispatch(int argc, char **argv, struct me_error *err)
{
    if (argc < 2) return me_fail(err, ME_E_INPUT, "no command; see me --help");
    const char *word = argv[1];
    if (!strcmp(word, "--version") || !strcmp(word, "-V")) {
        printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help")) {
        print_help();
        return 0;
    }
    for (size_t i = 0; i < ROWS; i++)
        if (!strcmp(word, table[i].name)) return table[i].run(argc - 1, argv + 1, err);
    return fail_unknown(word, err);
}

int main(int argc, char **argv)
{
    struct me_error err = {0};
    int code = dispatch(argc, argv, &err);
    if (code < 0) {
        fprintf(stderr, "me: %s\n", err.text);
        return err.code ? (int)err.code : ME_E_RUN;
    }
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "me: standard output: cannot be written\n");
        return code > ME_E_RUN ? code : ME_E_RUN;
    }
    return code;
}
