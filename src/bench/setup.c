#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"
#include "me/source.h"
#include "me/workload.h"

static int read_file(const char *path, struct me_buffer *text, struct me_error *err)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return me_fail_errno(err, ME_E_INPUT, errno, "ME_HOSTS_DIR: %s (run me hosts again, or unset it)",
                             path);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0) me_buffer_append(text, piece, n);
    bool failed = ferror(file) || text->failed;
    fclose(file);
    return failed ? me_fail(err, ME_E_RUN, "%s: cannot be read", path) : 0;
}

/* What `me hosts` wrote, or a plan that knows only the local machine. */
static int load_base(struct me_plan *plan, struct me_error *err)
{
    const char *dir = getenv("ME_HOSTS_DIR");
    if (!dir || !*dir) {
        plan->machines = calloc(1, sizeof *plan->machines);
        if (!plan->machines) return me_fail(err, ME_E_RUN, "no memory");
        plan->count = 1;
        plan->machines[0].grid_g_per_kwh = plan->machines[0].pue = __builtin_nan("");
        plan->run_local = true;
        return 0;
    }
    char path[4096];
    struct me_buffer text = ME_BUFFER_INIT;
    snprintf(path, sizeof path, "%s/machines.json", dir);
    int rc = read_file(path, &text, err);
    if (!rc) {
        struct me_error inner = {0};
        rc = me_plan_from_json(text.data, text.len, plan, &inner);
        if (rc)
            me_fail(err, ME_E_INPUT, "%s: %s", path, inner.text);
        else
            plan->from_hostfile = true;
    }
    me_buffer_release(&text);
    return rc;
}

/* The config's experiment as options, so that the command line can go over it. */
static void options_from_base(const struct me_plan *plan, struct me_options_experiment *experiment)
{
    if (!plan->from_hostfile) return;
    experiment->framework = strcmp(plan->workload, "command") ? plan->workload : experiment->framework;
    experiment->repeats = plan->repeats;
    experiment->warmup = plan->warmup;
    experiment->idle_s = plan->idle_s;
    experiment->cooldown_s = plan->cooldown_s;
    experiment->sample_hz = plan->sample_hz;
    experiment->timeout_s = plan->timeout_s;
    experiment->sources = plan->sources[0] ? plan->sources : NULL;
    experiment->external = plan->external[0] ? plan->external : NULL;
    experiment->events = plan->events[0] ? plan->events : NULL;
    experiment->command = plan->command[0] ? (char **)plan->command : NULL;
}

static bool given(int argc, char **argv, const char *option)
{
    size_t len = strlen(option);
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        if (!strncmp(argv[i], option, len) && (argv[i][len] == '\0' || argv[i][len] == '=')) return true;
    return false;
}

static int set_command(struct me_plan *plan, char *const *command, struct me_error *err)
{
    char *copy[ME_PLAN_COMMAND_MAX + 1] = {0};
    int rc = 0;
    for (size_t n = 0; command && command[n] && !rc; n++) {
        if (n == ME_PLAN_COMMAND_MAX)
            rc = me_fail(err, ME_E_INPUT, "--: more than %d words", ME_PLAN_COMMAND_MAX);
        else if (!(copy[n] = strdup(command[n]))) /* it may point into the plan itself */
            rc = me_fail(err, ME_E_RUN, "no memory for the command");
    }
    char **old = rc ? copy : plan->command;
    for (size_t i = 0; old[i]; i++) free(old[i]);
    if (!rc) memcpy(plan->command, copy, sizeof copy);
    return rc;
}

/* The texts may point into the plan itself. */
static int set_text(char *out, size_t size, const char *text, const char *option, struct me_error *err)
{
    size_t len = text ? strlen(text) : 0;
    if (len >= size) return me_fail(err, ME_E_INPUT, "%s: longer than %zu characters", option, size - 1);
    if (text) memmove(out, text, len);
    out[len] = '\0';
    return 0;
}

static int set_meter(struct me_plan *plan, const struct me_options_experiment *e, struct me_error *err)
{
    struct me_meter_options options = {.only = e->sources, .external = e->external, .events = e->events};
    if (me_meter_check(&options, err)) return -1;
    return set_text(plan->sources, sizeof plan->sources, e->sources, "--sources", err) ||
                   set_text(plan->external, sizeof plan->external, e->external, "--external", err) ||
                   set_text(plan->events, sizeof plan->events, e->events, "--events", err)
               ? -1
               : 0;
}

static int fill_plan(struct me_plan *plan, const struct me_bench_options *options, struct me_error *err)
{
    struct me_options_experiment e = options->experiment;
    char workload[sizeof plan->workload];
    if (!e.command && !me_workload_find(e.framework)) {
        const char *names[33] = {0};
        for (size_t i = 0; i < 32 && me_workload_table[i].name; i++) names[i] = me_workload_table[i].name;
        const char *near = me_nearest(e.framework, names);
        return me_fail(err, ME_E_INPUT, "--framework: there is no %.64s%s%s%s", e.framework,
                       near ? "; did you mean " : "; see me_bench --help", near ? near : "", near ? "?" : "");
    }
    snprintf(workload, sizeof workload, "%s", e.command ? "command" : e.framework);
    if (set_meter(plan, &e, err)) return -1;
    if (set_command(plan, e.command, err)) return -1;
    size_t len;
    const char *name = me_experiment_name(options->folder, &len);
    snprintf(plan->experiment, sizeof plan->experiment, "%.*s", (int)len, name);
    memcpy(plan->workload, workload, sizeof workload);
    plan->repeats = e.repeats;
    plan->warmup = e.warmup;
    plan->idle_s = e.idle_s;
    plan->cooldown_s = e.cooldown_s;
    plan->sample_hz = e.sample_hz;
    plan->timeout_s = e.timeout_s;
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    snprintf(plan->run_id, sizeof plan->run_id, "%016llx", (unsigned long long)random);
    return 0;
}

int me_setup_plan(int argc, char **argv, struct me_bench_options *options, struct me_plan *plan,
                  struct me_error *err)
{
    if (load_base(plan, err)) return -1;
    me_bench_options_defaults(options);
    options_from_base(plan, &options->experiment);
    bool framework_given = given(argc, argv, "--framework");
    char **config_command = options->experiment.command;
    struct me_operands operands;
    if (me_bench_parse(argc, argv, options, &operands, err)) return -1;
    /* A framework on the command line is chosen over the config's command. */
    if (framework_given && options->experiment.command == config_command) options->experiment.command = NULL;
    return fill_plan(plan, options, err);
}

static int move_aside(const char *folder, struct me_error *err)
{
    char aside[4096], stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/') len--;
    snprintf(aside, sizeof aside, "%.*s.old-%s", (int)len, folder, stamp);
    if (renameat2(AT_FDCWD, folder, AT_FDCWD, aside, RENAME_NOREPLACE))
        return me_fail_errno(err, ME_E_RUN, errno, "--force: moving %s aside to %s", folder, aside);
    return 0;
}

int me_setup_folder(const struct me_bench_options *options, struct me_error *err)
{
    const char *folder = options->folder;
    char result[4096], logs[4096];
    struct stat st;
    me_experiment_result_path(folder, result, sizeof result);
    bool there = stat(folder, &st) == 0;
    if (there && !S_ISDIR(st.st_mode))
        return me_fail(err, ME_E_INPUT, "EXPERIMENT: %s is a file; give another name", folder);
    /* A folder without a result is what a killed run left: it never stops the next one. */
    bool done = there && access(result, F_OK) == 0;
    if (options->append && !done)
        return me_fail(err, ME_E_INPUT, "--append: there is no %s to add to; leave --append out", result);
    if (done && !options->append && !options->force)
        return me_fail(
            err, ME_E_INPUT,
            "%s exists: add repeats with --append, move it aside with --force, or give another name", result);
    if (done && options->force && move_aside(folder, err)) return -1;
    if (mkdir(folder, 0777) && errno != EEXIST)
        return me_fail_errno(err, ME_E_INPUT, errno, "EXPERIMENT: cannot make %s", folder);
    snprintf(logs, sizeof logs, "%s/logs", folder);
    if (mkdir(logs, 0777) && errno != EEXIST)
        return me_fail_errno(err, ME_E_INPUT, errno, "cannot make %s", logs);
    if (access(folder, W_OK))
        return me_fail_errno(err, ME_E_INPUT, errno, "EXPERIMENT: cannot write in %s", folder);
    return 0;
}
