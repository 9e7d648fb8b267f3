#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "me/version.h"
#include "prepare.h"

#define FIELD(name) offsetof(struct me_prepare_options, name)

static const struct me_option options[] = {
    {"check", 0, ME_OPTION_FLAG, FIELD(check), 0, 0, NULL,
     "only report: no key, no staging, nothing written anywhere"},
    {"framework", 0, ME_OPTION_STRING, FIELD(framework), 0, 0, "LIST",
     "workloads to check for, with commas, see me frameworks (default: the config's, else native)"},
    {"python", 0, ME_OPTION_STRING, FIELD(python), 0, 0, "PATH",
     "interpreter or virtual environment on the machines (default: that of the framework, else python3)"},
    {"install-framework", 0, ME_OPTION_STRING, FIELD(install), 0, 0, "LIST",
     "put these frameworks onto the machines that lack them, and check for them"},
    {"gpu", 0, ME_OPTION_FLAG, FIELD(gpu), 0, 0, NULL,
     "with --install-framework: the builds for GPUs, some gigabytes, not those for processors"},
    {"pull", 0, ME_OPTION_FLAG, FIELD(pull), 0, 0, NULL,
     "with run_docker: pull the image also where one of that name is there"},
    {"image-archive", 0, ME_OPTION_STRING, FIELD(image_archive), 0, 0, "FILE",
     "with run_docker: ship this archive of docker save to the machines, and load it there"},
    {"output", 'o', ME_OPTION_STRING, FIELD(output), 0, 0, "FILE",
     "hostfile to write (default gen.hosts); its companion folder is FILE.d"},
    {"skip-failed", 0, ME_OPTION_FLAG, FIELD(skip_failed), 0, 0, NULL,
     "go on without the machines that fail; the result names them"},
    {"accept-new", 0, ME_OPTION_FLAG, FIELD(accept_new), 0, 0, NULL,
     "record host keys seen for the first time in known_hosts; changed ones are always refused"},
    {"insecure-config", 0, ME_OPTION_FLAG, FIELD(insecure_config), 0, 0, NULL,
     "accept a config with a password that others can read"},
    {"connect-timeout", 0, ME_OPTION_DOUBLE, FIELD(connect_timeout_s), 0.1, 3600, "SECONDS",
     "time for name lookup, connection and login of a machine (default 10)"},
    {"key-days", 0, ME_OPTION_INT, FIELD(key_days), 1, 365, "N",
     "days until the experiment key expires on the machines (default 7)"},
    {.name = NULL},
};

const struct me_command me_cli_hosts_command = {
    .program = "me hosts",
    .usage = "CONFIG [OPTION...] [-- COMMAND [ARG...]]",
    .summary = "Reach all machines of a config and write the hostfile for mpirun.",
    .details =
        "CONFIG is a file, - for standard input, or the JSON text itself. All machines are reached at\n"
        "once; what is missing on one is told with its cure, and nothing is written then.\n"
        "\n"
        "Each machine gets the public half of a key made for this set of experiments, restricted and\n"
        "with an expiry, and me_bench where it has none. me clean takes both away again.\n"
        "\n"
        "A machine whose Python lacks a framework fails here, before the run. --install-framework makes a\n"
        "private environment for it on each machine that lacks it, by the machine's own pip; it stays\n"
        "until it is removed there. A machine with a python of its own in the config is left as it is.\n"
        "\n"
        "With \"run_docker\": true a machine needs sshd and a container engine only. The image is pulled "
        "there\n"
        "if no image of that name is there, or shipped with --image-archive, and tried.\n"
        "\n"
        "  me hosts config.json\n"
        "  me hosts config.json --check\n"
        "  me hosts config.json --framework keras,pl,native --check\n"
        "  me hosts config.json --install-framework keras,pl\n"
        "  me hosts docker.json --image-archive keras.tar --framework keras\n"
        "  me hosts config.json -o lab.hosts -- ./solver\n"
        "\n"
        "Exit status: 0 done; 2 bad input, nothing was touched; 3 a machine failed.\n",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
    .takes_command = true,
};

/* A path as the user's shell takes it; quoted only where it must be. */
static void put_word(struct me_buffer *out, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+.,@%:/";
    if (path[strspn(path, plain)])
        me_buffer_shell_quoted(out, path);
    else
        me_buffer_puts(out, path);
}

static void print_next(const struct me_prepare_options *settings)
{
    const char *output = settings->output;
    struct me_buffer text = ME_BUFFER_INIT;
    char env[1100];
    snprintf(env, sizeof env, "%s%s.d/env", output[0] == '/' ? "" : "./", output);
    me_buffer_printf(&text, "\nWritten: %s and %s.d (the key expires in %d days). Next:\n  . ", output,
                     output, settings->key_days);
    put_word(&text, env);
    me_buffer_puts(&text, "\n  mpirun -hostfile ");
    put_word(&text, output);
    me_buffer_puts(&text, " me_bench EXPERIMENT\n");
    if (!text.failed) fputs(text.data, stdout);
    me_buffer_release(&text);
}

int me_cli_hosts(int argc, char **argv, struct me_error *err)
{
    struct me_prepare_options settings;
    struct me_operands operands;
    struct me_cluster cluster;
    me_prepare_defaults(&settings);
    if (me_options_parse(&me_cli_hosts_command, argc, argv, &settings, &operands, err)) return -1;
    if (operands.help || operands.version) {
        if (operands.help)
            me_options_help(&me_cli_hosts_command, stdout);
        else
            printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    settings.command = operands.command;
    if (me_prepare_read(operands.values[0], &settings, &cluster, err)) return -1;
    int rc = me_prepare(&cluster, &settings, stdout, err);
    if (!rc && !settings.check) print_next(&settings);
    me_cluster_release(&cluster);
    return rc;
}
