#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cli.h"
#include "me/launch.h"
#include "me/source.h"
#include "me/version.h"
#include "prepare.h"

/* The options of `me hosts` and of me_bench in one line. me_bench's keep "not given" values, so that
 * only what stands on the line is handed on and the config decides the rest. */
struct settings {
    struct me_prepare_options prepare;
    struct me_options_experiment experiment;
    bool append, force;
    const char *progress, *root;
    double lost_after_s;
};

enum { ROWS_MAX = 48 };

static const struct me_option bench_rows[] = {
    {"append", 0, ME_OPTION_FLAG, offsetof(struct settings, append), 0, 0, NULL,
     "add repeats to an existing experiment"},
    {"force", 0, ME_OPTION_FLAG, offsetof(struct settings, force), 0, 0, NULL,
     "move an existing experiment aside (EXPERIMENT.old-TIME) and begin a new one"},
    {"progress", 0, ME_OPTION_STRING, offsetof(struct settings, progress), 0, 0, "MODE",
     "auto (default: one line a machine on a terminal), lines, or none"},
    {"lost-after", 0, ME_OPTION_DOUBLE, offsetof(struct settings, lost_after_s), 1, 86400, "S",
     "seconds of silence after which a machine counts as lost, also when a stop was asked for (default 30)"},
    {"root", 0, ME_OPTION_STRING, offsetof(struct settings, root), 0, 0, "DIR",
     "where /sys and /proc are found (default /; a container's /host)"},
    {.name = NULL},
};

/* Copies rows with their offsets moved; those that `skip` names stay out. */
static size_t add_rows(struct me_option *rows, size_t n, const struct me_option *more, size_t base,
                       const char *const *skip)
{
    for (; more->name && n < ROWS_MAX - 1; more++) {
        bool out = false;
        for (size_t i = 0; skip && skip[i]; i++) out |= !strcmp(skip[i], more->name);
        if (out) continue;
        rows[n] = *more;
        rows[n++].offset += base;
    }
    rows[n] = (struct me_option){0};
    return n;
}

static size_t bench_options(struct me_option *rows)
{
    size_t n = add_rows(rows, 0, me_experiment_options, offsetof(struct settings, experiment), NULL);
    return add_rows(rows, n, bench_rows, 0, NULL);
}

static void all_options(struct me_option *rows)
{
    static const char *const skip[] = {"check", "framework", NULL};
    size_t n = bench_options(rows);
    add_rows(rows, n, me_cli_hosts_command.options, offsetof(struct settings, prepare), skip);
}

const struct me_command me_cli_run_command = {
    .program = "me run",
    .usage = "CONFIG EXPERIMENT [OPTION...] [-- COMMAND [ARG...]]",
    .summary = "Prepare the machines, run the experiment on all of them, and report.",
    .details = "The same as me hosts CONFIG, mpirun -hostfile gen.hosts me_bench EXPERIMENT and\n"
               "me report EXPERIMENT, one after the other. Ctrl-C ends the workloads in order and keeps\n"
               "what was measured.\n"
               "\n"
               "  me run config.json exp1\n"
               "  me run config.json exp2 --repeats 5 --skip-failed -- ./solver input.dat\n"
               "\n"
               "Exit status: the worst of the three.\n",
    .min_operands = 2,
    .max_operands = 2,
    .takes_command = true,
};

static void set_not_given(struct settings *settings)
{
    *settings = (struct settings){.lost_after_s = NAN};
    me_prepare_defaults(&settings->prepare);
    settings->experiment = (struct me_options_experiment){
        .repeats = -1, .warmup = -1, .idle_s = NAN, .cooldown_s = NAN, .sample_hz = NAN, .timeout_s = NAN};
}

/* The option as a word for me_bench; NULL if it was not given. */
static char *option_word(const struct me_option *row, const struct settings *settings, bool *failed)
{
    const char *field = (const char *)settings + row->offset;
    char *word = NULL;
    int n = 0;
    if (row->type == ME_OPTION_FLAG && *(const bool *)field) n = asprintf(&word, "--%s", row->name);
    if (row->type == ME_OPTION_STRING && *(const char *const *)field)
        n = asprintf(&word, "--%s=%s", row->name, *(const char *const *)field);
    if (row->type == ME_OPTION_INT && *(const int *)field >= 0)
        n = asprintf(&word, "--%s=%d", row->name, *(const int *)field);
    if (row->type == ME_OPTION_DOUBLE && !isnan(*(const double *)field))
        n = asprintf(&word, "--%s=%.17g", row->name, *(const double *)field);
    *failed |= n < 0;
    return n > 0 ? word : NULL;
}

/* EXPERIMENT OPTIONS... [-- COMMAND]; the words made here are counted in *made. */
static char **bench_words(const struct settings *settings, char *experiment, char **command, size_t *made,
                          struct me_error *err)
{
    struct me_option rows[ROWS_MAX];
    size_t count = bench_options(rows), n = 0, commands = 0;
    static char end_of_options[] = "--";
    bool failed = false;
    while (command && command[commands]) commands++;
    char **words = calloc(count + commands + 3, sizeof *words);
    *made = 0;
    for (size_t i = 0; words && i < count; i++) {
        char *word = option_word(&rows[i], settings, &failed);
        if (word) words[n++] = word;
    }
    if (!words || failed) {
        for (size_t i = 0; i < n; i++) free(words[i]);
        free(words);
        me_fail(err, ME_E_RUN, "no memory");
        return NULL;
    }
    *made = n;
    words[n++] = experiment;
    if (command) words[n++] = end_of_options;
    for (size_t i = 0; i < commands; i++) words[n++] = command[i];
    return words;
}

/* mpirun's own codes (a signal, 128 + n) mean that something in the run failed. */
static int exit_code(int status)
{
    return status > ME_E_MACHINE ? ME_E_RUN : status;
}

static char **password_variables(const struct me_cluster *cluster)
{
    char **names = calloc(cluster->count + 2, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; names && i < cluster->count; i++)
        if (cluster->machines[i].password_env) names[n++] = cluster->machines[i].password_env;
    if (names && cluster->local.password_env) names[n++] = cluster->local.password_env;
    return names;
}

static int launch(const struct me_cluster *cluster, const struct settings *settings, char *experiment,
                  char **command, int *status, struct me_error *err)
{
    char env_file[1100], **argv = NULL;
    size_t made = 0;
    char **strip = password_variables(cluster);
    if (!strip) return me_fail(err, ME_E_RUN, "no memory for %zu machines", cluster->count);
    char **words = bench_words(settings, experiment, command, &made, err);
    int rc = words ? me_launch_argv(settings->prepare.output, words, &argv, err) : -1;
    snprintf(env_file, sizeof env_file, "%.1000s.d/env", settings->prepare.output);
    if (!rc) rc = me_launch_run(argv, env_file, strip, status, err);
    me_launch_argv_free(argv);
    for (size_t i = 0; words && i < made; i++) free(words[i]);
    free(words);
    free(strip);
    return rc;
}

/* The last part of a folder's path names its result: "runs/exp1/" -> 4 characters from 5. */
static size_t last_part(const char *path, size_t *start)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t at = end;
    while (at && path[at - 1] != '/') at--;
    *start = at;
    return end - at;
}

static bool has_result(const char *experiment)
{
    char path[4200];
    struct stat st;
    size_t start, len = last_part(experiment, &start);
    snprintf(path, sizeof path, "%.*s/%.*s.h5", (int)(start + len), experiment, (int)len, experiment + start);
    return stat(path, &st) == 0;
}

static int run_all(const char *config, struct settings *settings, char *experiment, char **command,
                   struct me_error *err)
{
    struct me_cluster cluster;
    int status = 0;
    if (me_prepare_read(config, &settings->prepare, &cluster, err)) return -1;
    int rc = me_prepare(&cluster, &settings->prepare, stderr, err);
    if (!rc) rc = launch(&cluster, settings, experiment, command, &status, err);
    me_cluster_release(&cluster);
    if (rc) return -1;
    int code = exit_code(status);
    if (code == ME_E_INPUT || !has_result(experiment)) return code ? code : ME_E_RUN;
    char name[] = "report", *report[] = {name, experiment, NULL};
    int reported = me_cli_report(2, report, err);
    if (reported < 0) {
        fprintf(stderr, "me: %s\n", err->text);
        reported = (int)err->code;
    }
    return reported > code ? reported : code;
}

/* What me_bench would refuse after all machines have been prepared for it. */
static int check_line(const struct settings *settings, const char *experiment, struct me_error *err)
{
    const char *progress = settings->progress, *sources = settings->experiment.sources;
    if (settings->append && settings->force)
        return me_fail(err, ME_E_INPUT,
                       "--append: not together with --force: one adds, the other begins anew");
    if (progress && strcmp(progress, "auto") && strcmp(progress, "lines") && strcmp(progress, "none"))
        return me_fail(err, ME_E_INPUT, "--progress: %.64s is not auto, lines or none", progress);
    if (sources && me_sources_check(sources, err)) return -1;
    size_t start, len = last_part(experiment, &start);
    const char *name = experiment + start;
    if (!len || !strncmp(name, "..", len) || len > 100 || experiment[0] == '-')
        return me_fail(
            err, ME_E_INPUT,
            "EXPERIMENT: %.200s does not end in a name of at most 100 characters; give one such as "
            "exp1",
            experiment);
    if (!has_result(experiment) || settings->append || settings->force) return 0;
    return me_fail(
        err, ME_E_INPUT,
        "%.200s exists: add repeats with --append, move it aside with --force, or give another name",
        experiment);
}

int me_cli_run(int argc, char **argv, struct me_error *err)
{
    struct me_option rows[ROWS_MAX];
    struct me_command command = me_cli_run_command;
    struct settings settings;
    struct me_operands operands;
    all_options(rows);
    command.options = rows;
    set_not_given(&settings);
    if (me_options_parse(&command, argc, argv, &settings, &operands, err)) return -1;
    if (operands.help || operands.version) {
        if (operands.help)
            me_options_help(&command, stdout);
        else
            printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    if (check_line(&settings, operands.values[1], err)) return -1;
    settings.prepare.framework = settings.experiment.framework;
    settings.prepare.command = operands.command;
    return run_all(operands.values[0], &settings, operands.values[1], operands.command, err);
}
