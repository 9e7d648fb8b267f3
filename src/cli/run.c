#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cli.h"
#include "me/assembly.h"
#include "me/experiment.h"
#include "me/launch.h"
#include "me/source.h"
#include "me/version.h"
#include "prepare.h"
#include "recover.h"

/* The options of `me hosts` and of me_bench in one line. me_bench's keep "not given" values, so that
 * only what stands on the line is handed on and the config decides the rest. */
struct settings {
    struct me_prepare_options prepare;
    struct me_bench_options bench;
};

enum { ROWS_MAX = ME_BENCH_OPTIONS_MAX + 16 };

static bool is_among(const struct me_option *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rows[i].name, name)) return true;
    return false;
}

/* me_bench's rows, and those of `me hosts` that me_bench does not have or that make no sense here. */
static void all_options(struct me_option *rows)
{
    size_t n = me_bench_options_rows(rows, offsetof(struct settings, bench));
    for (const struct me_option *more = me_cli_hosts_command.options; more->name && n < ROWS_MAX - 1;
         more++) {
        if (!strcmp(more->name, "check") || is_among(rows, n, more->name)) continue;
        rows[n] = *more;
        rows[n++].offset += offsetof(struct settings, prepare);
    }
    rows[n] = (struct me_option){0};
}

const struct me_command me_cli_run_command = {
    .program = "me run",
    .usage = "CONFIG EXPERIMENT [OPTION...] [-- COMMAND [ARG...]]",
    .summary = "Prepare the machines, run the experiment on all of them, and report.",
    .details =
        "The same as me hosts CONFIG, mpirun -hostfile gen.hosts me_bench EXPERIMENT and\n"
        "me report EXPERIMENT, one after the other. Ctrl-C ends the workloads in order and keeps\n"
        "what was measured.\n"
        "\n"
        "  me run config.json exp1\n"
        "  me run config.json exp2 --repeats 5 --skip-failed -- ./solver input.dat\n"
        "  me run exp2 --resume\n"
        "\n"
        "A run that was cut off is completed from the machines' journals, as by me recover; --resume then\n"
        "measures what is still missing, without a config on the machines that were prepared for it.\n"
        "\n"
        "Exit status: the worst of the three.\n",
    .min_operands = 1,
    .max_operands = 2,
    .takes_command = true,
};

static void set_not_given(struct settings *settings)
{
    *settings = (struct settings){.bench.lost_after_s = NAN, .bench.series_limit_mib = NAN};
    me_prepare_defaults(&settings->prepare);
    settings->bench.experiment = (struct me_options_experiment){.samples = -1,
                                                                .repeats = -1,
                                                                .warmup = -1,
                                                                .idle_s = NAN,
                                                                .cooldown_s = NAN,
                                                                .sample_hz = NAN,
                                                                .timeout_s = NAN};
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

/* A list: a word a line of it; returns how many. */
static size_t list_words(const struct me_option *row, const struct settings *settings, char **words,
                         bool *failed)
{
    size_t n = 0;
    for (const char *at = (const char *)settings + row->offset; *at; n++) {
        size_t len = strcspn(at, "\n");
        if (asprintf(&words[n], "--%s=%.*s", row->name, (int)len, at) < 0) {
            *failed = true;
            return n;
        }
        at += len + (at[len] == '\n');
    }
    return n;
}

static size_t count_lines(const char *text)
{
    size_t n = 1;
    for (; *text; text++) n += *text == '\n';
    return n;
}

/* EXPERIMENT OPTIONS... [-- COMMAND]; the words made here are counted in *made. */
static char **bench_words(const struct settings *settings, char *experiment, char **command, size_t *made,
                          struct me_error *err)
{
    struct me_option rows[ME_BENCH_OPTIONS_MAX];
    size_t count = me_bench_options_rows(rows, offsetof(struct settings, bench)), n = 0, commands = 0;
    static char end_of_options[] = "--";
    bool failed = false;
    while (command && command[commands]) commands++;
    size_t lines = count_lines(settings->bench.experiment.with);
    char **words = calloc(count + lines + commands + 3, sizeof *words);
    *made = 0;
    for (size_t i = 0; words && i < count; i++) {
        if (rows[i].type == ME_OPTION_LIST) {
            n += list_words(&rows[i], settings, words + n, &failed);
            continue;
        }
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

/* The head waits for silent machines, then writes; Open MPI takes some seconds more. */
static double patience_s(const struct settings *settings)
{
    return (isnan(settings->bench.lost_after_s) ? 30 : settings->bench.lost_after_s) + 15;
}

/* Rank 0 holds the experiment's plan from begin to end. */
struct watched {
    const char *folder;
    bool was_held;
};

static bool is_over(void *context)
{
    struct watched *watched = context;
    bool held = me_plan_file_holder(watched->folder, NULL) > 0;
    watched->was_held |= held;
    return watched->was_held && !held;
}

static int launch(char *const *strip, const struct settings *settings, char *experiment, char **command,
                  int *status, struct me_error *err)
{
    char env_file[1100], **argv = NULL;
    size_t made = 0;
    setenv("ME_EXPERIMENT", experiment, 1); /* a container's name tells it; see hosts/container.c */
    char **words = bench_words(settings, experiment, command, &made, err);
    int rc = words ? me_launch_argv(settings->prepare.output, words, &argv, err) : -1;
    snprintf(env_file, sizeof env_file, "%.1000s.d/env", settings->prepare.output);
    struct watched watched = {.folder = experiment};
    const struct me_launch_watch watch = {is_over, &watched};
    if (!rc) rc = me_launch_run(argv, env_file, strip, patience_s(settings), &watch, status, err);
    me_launch_argv_free(argv);
    for (size_t i = 0; words && i < made; i++) free(words[i]);
    free(words);
    return rc;
}

static bool has_result(const char *experiment)
{
    char path[4200];
    struct stat st;
    me_experiment_result_path(experiment, path, sizeof path);
    return stat(path, &st) == 0;
}

static void read_run_id(const char *experiment, char run_id[17])
{
    struct me_plan plan;
    run_id[0] = '\0';
    if (me_plan_file_read(experiment, NULL, &plan, NULL)) return;
    memcpy(run_id, plan.run_id, sizeof plan.run_id);
    me_plan_release(&plan);
}

/* Where the run ended without a whole result, of its own or with mpirun: what the machines' journals have. Returns
 * the exit code so far. */
static int recover(const struct settings *settings, const char *experiment, const char *run_before, int code,
                   struct me_error *err)
{
    char run_id[17], hosts_dir[1100];
    read_run_id(experiment, run_id);
    if (!strcmp(run_id, run_before) || !me_recover_is_due(experiment))
        return code; /* it did not begin; or all is there */
    snprintf(hosts_dir, sizeof hosts_dir, "%.1000s.d", settings->prepare.output);
    const struct me_recover_options options = {
        .hosts_dir = hosts_dir, .dirs = "", .patience_s = 30, .is_over = true};
    fprintf(stderr, "me: %s: not all machines' results came back; fetching their journals\n", experiment);
    int recovered = me_recover(experiment, &options, stderr, err);
    if (recovered < 0) fprintf(stderr, "me: %s; once that is mended: me recover %s\n", err->text, experiment);
    return code ? code : ME_E_RUN;
}

static int conclude(const struct settings *settings, char *experiment, const char *run_before, int status,
                    struct me_error *err)
{
    int code = recover(settings, experiment, run_before, exit_code(status), err);
    if (code == ME_E_INPUT || !has_result(experiment)) return code ? code : ME_E_RUN;
    char name[] = "report", *report[] = {name, experiment, NULL};
    int reported = me_cli_report(2, report, err);
    if (reported < 0) {
        fprintf(stderr, "me: %s\n", err->text);
        reported = (int)err->code;
    }
    return reported > code ? reported : code;
}

static int run_all(const char *config, struct settings *settings, char *experiment, char **command,
                   struct me_error *err)
{
    struct me_cluster cluster;
    int status = 0;
    char run_before[17];
    read_run_id(experiment, run_before);
    if (me_prepare_read(config, &settings->prepare, &cluster, err)) return -1;
    char **strip = password_variables(&cluster);
    int rc = strip ? me_prepare(&cluster, &settings->prepare, stderr, err)
                   : me_fail(err, ME_E_RUN, "no memory for %zu machines", cluster.count);
    if (!rc) rc = launch(strip, settings, experiment, command, &status, err);
    free(strip);
    me_cluster_release(&cluster);
    return rc ? -1 : conclude(settings, experiment, run_before, status, err);
}

/* Without a config: the machines as they were prepared for the run that goes on. */
static int resume(const struct settings *line, char *experiment, char **command, struct me_error *err)
{
    struct settings settings = *line;
    struct me_plan plan;
    int status = 0;
    char output[1024];
    if (me_plan_file_read(experiment, NULL, &plan, err)) return -1;
    size_t len = strlen(plan.hosts_dir);
    int rc = 0;
    if (len < 3 || strcmp(plan.hosts_dir + len - 2, ".d"))
        rc = me_fail(err, ME_E_INPUT, "%s/plan.json names no hostfile: give CONFIG too", experiment);
    snprintf(output, sizeof output, "%.*s", len < 2 ? 0 : (int)len - 2, plan.hosts_dir);
    settings.prepare.output = output;
    char run_before[17];
    memcpy(run_before, plan.run_id, sizeof run_before);
    if (!rc) rc = launch(plan.strip_env, &settings, experiment, command, &status, err);
    me_plan_release(&plan);
    return rc ? -1 : conclude(&settings, experiment, run_before, status, err);
}

/* What me_bench would refuse after all machines have been prepared for it. */
static int check_line(const struct settings *settings, struct me_error *err)
{
    const struct me_bench_options *bench = &settings->bench;
    struct me_meter_options meter = {.only = bench->experiment.sources,
                                     .external = bench->experiment.external,
                                     .events = bench->experiment.events};
    if (me_bench_options_check(bench, err) || me_meter_check(&meter, err)) return -1;
    if (me_experiment_check(&bench->experiment, err)) return -1;
    if (bench->experiment.args && me_config_check_args(bench->experiment.args, err)) return -1;
    if (!has_result(bench->folder) || bench->append || bench->force || bench->resume) return 0;
    return me_fail(err, ME_E_INPUT,
                   "%.200s exists: add repeats with --append, move it aside with --force, run what it lacks "
                   "with --resume, or "
                   "give another name",
                   bench->folder);
}

/* What the machines are prepared for is what me_bench will be told. */
static void hand_over(struct settings *settings)
{
    const struct me_options_experiment *line = &settings->bench.experiment;
    settings->prepare.framework = line->framework;
    settings->prepare.train_func = line->train_func;
    settings->prepare.args = line->args;
    settings->prepare.command = line->command;
    settings->prepare.python = line->python;
    settings->prepare.with = line->with;
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
    bool is_resumed = operands.count == 1;
    if (is_resumed && !settings.bench.resume)
        return me_fail(err, ME_E_INPUT, "too few operands; usage: me run %s", me_cli_run_command.usage);
    char *experiment = operands.values[is_resumed ? 0 : 1];
    settings.bench.folder = experiment;
    settings.bench.experiment.command = operands.command;
    if (me_experiment_check_choice(&settings.bench.experiment, err)) return -1;
    if (check_line(&settings, err)) return -1;
    hand_over(&settings);
    return is_resumed ? resume(&settings, experiment, operands.command, err)
                      : run_all(operands.values[0], &settings, experiment, operands.command, err);
}
