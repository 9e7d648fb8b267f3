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
#include "me/assembly.h"
#include "me/root.h"
#include "me/slurm.h"
#include "me/source.h"
#include "me/workload.h"

static int read_file(const char *path, const char *what, const char *cure, struct me_buffer *text,
                     struct me_error *err)
{
    FILE *file = fopen(path, "re");
    if (!file) return me_fail_errno(err, ME_E_INPUT, errno, "%s: %s (%s)", what, path, cure);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0) me_buffer_append(text, piece, n);
    bool failed = ferror(file) || text->failed;
    fclose(file);
    return failed ? me_fail(err, ME_E_RUN, "%s: cannot be read", path) : 0;
}

static int read_plan(const char *path, const char *what, const char *cure, struct me_plan *plan,
                     struct me_error *err)
{
    struct me_buffer text = ME_BUFFER_INIT;
    struct me_error inner = {0};
    int rc = read_file(path, what, cure, &text, err);
    if (!rc && me_plan_from_json(text.data ? text.data : "", text.len, plan, &inner))
        rc = me_fail(err, ME_E_INPUT, "%s: %s", path, inner.text);
    me_buffer_release(&text);
    return rc;
}

/* Machines come of the ranks; what a plan that we go by said of the local one stays. */
static int know_local_only(struct me_plan *plan, struct me_error *err)
{
    struct me_plan_machine *local = calloc(1, sizeof *local);
    if (!local) return me_fail(err, ME_E_RUN, "no memory");
    local->grid_g_per_kwh = local->pue = __builtin_nan("");
    free(plan->machines);
    plan->machines = local;
    plan->count = 1;
    plan->run_local = true;
    plan->from_hostfile = false;
    return 0;
}

static bool names_workload(const struct me_options_experiment *line)
{
    return line->framework || line->train_func || line->command;
}

/* What is run if the command line goes over nothing: what `me hosts` wrote; in a job whose command line names no
 * workload, the experiment's own plan; or a plan that knows only the local machine. *has_options: it tells some. */
static int load_base(const struct me_bench_options *line, struct me_plan *plan, bool *has_options,
                     struct me_error *err)
{
    const char *dir = getenv("ME_HOSTS_DIR");
    struct me_batch_job job;
    bool in_job = me_slurm_job_here(&job);
    char path[4096];
    *has_options = false;
    if (dir && *dir) {
        snprintf(path, sizeof path, "%s/machines.json", dir);
        if (read_plan(path, "ME_HOSTS_DIR", "run me hosts again, or unset it", plan, err)) return -1;
        *has_options = plan->from_hostfile = true;
    } else {
        snprintf(path, sizeof path, "%s/plan.json", line->folder);
        if (in_job && !names_workload(&line->experiment) && access(path, F_OK) == 0) {
            if (read_plan(path, "EXPERIMENT", "name a workload: --framework", plan, err)) return -1;
            if (plan->masked)
                return me_fail(err, ME_E_INPUT,
                               "%s: it holds no secrets, so it cannot be run as it stands: give the command "
                               "or the options again",
                               path);
            plan->hosts_dir[0] = '\0';
            plan->first_repeat = 0;
            *has_options = true;
        }
        if (know_local_only(plan, err)) return -1;
    }
    plan->job = job;
    return 0;
}

/* The config's experiment as options, so that the command line can go over it. */
static void options_from_base(const struct me_plan *plan, struct me_options_experiment *experiment)
{
    bool is_own = !strcmp(plan->workload, "command") || !strcmp(plan->workload, "function");
    if (!is_own) experiment->framework = plan->workload;
    experiment->train_func = plan->function[0] ? plan->function : NULL;
    experiment->args = plan->args[0] ? plan->args : NULL;
    experiment->python = plan->python[0] ? plan->python : NULL;
    memcpy(experiment->with, plan->with, sizeof experiment->with);
    experiment->region = plan->region[0] ? plan->region : NULL;
    experiment->samples = plan->samples;
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

/* What the workloads do not take is a mistake, unless another of the list takes it. */
static int check_workload(const struct me_plan *plan, struct me_error *err)
{
    struct me_workloads list;
    bool takes_samples = false;
    if (me_workload_list(plan, &list, err)) return -1;
    for (size_t i = 0; i < list.count; i++)
        takes_samples |= list.entries[i].row && list.entries[i].row->takes_samples;
    if (plan->samples && !takes_samples)
        return me_fail(err, ME_E_INPUT,
                       "--samples: %s takes none; it is for the frameworks that train on the images",
                       plan->function[0]  ? "--train-func"
                       : plan->command[0] ? "a command"
                                          : plan->workload);
    if (plan->args[0] && !plan->function[0])
        return me_fail(err, ME_E_INPUT, "--args: only with --train-func, whose arguments they are");
    return plan->args[0] ? me_config_check_args(plan->args, err) : 0;
}

static int fill_plan(struct me_plan *plan, const struct me_bench_options *options, struct me_error *err)
{
    const struct me_options_experiment *e = &options->experiment;
    struct me_meter_options meter = {.only = e->sources, .external = e->external, .events = e->events};
    if (me_meter_check(&meter, err) || me_plan_set_experiment(plan, e, err) || check_workload(plan, err))
        return -1;
    size_t len;
    const char *name = me_experiment_name(options->folder, &len);
    snprintf(plan->experiment, sizeof plan->experiment, "%.*s", (int)len, name);
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    snprintf(plan->run_id, sizeof plan->run_id, "%016llx", (unsigned long long)random);
    return 0;
}

/* What the command line chose to run goes over what the config chose, and takes the place of all that
 * belongs to the config's choice. */
static void choose(const struct me_options_experiment *line, struct me_options_experiment *e)
{
    if (!names_workload(line)) return;
    e->command = line->command;
    e->train_func = line->train_func;
    e->args = line->args;
    if (line->samples < 0) e->samples = 0;
    if (line->framework) e->framework = line->framework;
}

/* The tasks of an array write into one experiment, each at its own end; and so do submitted jobs that say --append. */
static int share_experiment(const struct me_batch_job *job, struct me_bench_options *options,
                            struct me_error *err)
{
    if (!job->id[0]) return 0;
    if (options->force && job->array_task[0])
        return me_fail(err, ME_E_INPUT,
                       "--force: not in an array job, whose tasks would move each other's results aside");
    options->shared =
        !options->force && !options->resume && (options->append || job->array_task[0] || job->restarts > 0);
    if (options->shared) options->append = false; /* it must not be there yet */
    return 0;
}

/* Of a run that goes on the options are those that it had. */
static int read_resumed(const struct me_bench_options *line, struct me_plan *before, struct me_error *err)
{
    if (!line->resume) return 0;
    if (me_plan_file_read(line->folder, NULL, before, err)) return -1;
    return before->run_id[0] ? 0 : me_fail(err, ME_E_INPUT, "%s/plan.json: it was never run", line->folder);
}

int me_setup_plan(int argc, char **argv, struct me_bench_options *options, struct me_plan *plan,
                  struct me_error *err)
{
    struct me_bench_options line;
    struct me_operands operands;
    bool has_options;
    me_bench_options_defaults(&line);
    line.experiment.framework = NULL;
    line.experiment.samples = -1;
    if (me_bench_parse(argc, argv, &line, &operands, err)) return -1;
    if (me_experiment_check_choice(&line.experiment, err)) return -1;
    struct me_plan before = {0};
    if (load_base(&line, plan, &has_options, err)) return -1;
    if (read_resumed(&line, &before, err)) return -1;
    me_bench_options_defaults(options);
    options->root = me_root_default();
    if (line.resume)
        options_from_base(&before, &options->experiment);
    else if (has_options)
        options_from_base(plan, &options->experiment);
    int rc = me_bench_parse(argc, argv, options, &operands, err);
    if (!rc) {
        choose(&line.experiment, &options->experiment);
        rc = share_experiment(&plan->job, options, err);
    }
    if (!rc) {
        rc = fill_plan(plan, options, err);
    }
    if (!rc && line.resume) rc = me_resume_check(&before, plan, err);
    me_plan_release(&before);
    return rc;
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
    int rc = renameat2(AT_FDCWD, folder, AT_FDCWD, aside, RENAME_NOREPLACE);
    for (int i = 2; rc && errno == EEXIST && i < 100; i++) { /* within one second */
        snprintf(aside, sizeof aside, "%.*s.old-%s-%d", (int)len, folder, stamp, i);
        rc = renameat2(AT_FDCWD, folder, AT_FDCWD, aside, RENAME_NOREPLACE);
    }
    return rc ? me_fail_errno(err, ME_E_RUN, errno, "--force: moving %s aside to %s", folder, aside) : 0;
}

bool me_setup_appends(const struct me_bench_options *options)
{
    char result[4096];
    me_experiment_result_path(options->folder, result, sizeof result);
    return options->append || (options->shared && access(result, F_OK) == 0);
}

int me_setup_look(const struct me_bench_options *options, struct me_error *err)
{
    const char *folder = options->folder;
    char result[4096];
    struct stat st;
    me_experiment_result_path(folder, result, sizeof result);
    bool there = stat(folder, &st) == 0;
    if (there && !S_ISDIR(st.st_mode))
        return me_fail(err, ME_E_INPUT, "EXPERIMENT: %s is a file; give another name", folder);
    /* A folder without a result is what a killed run left: it never stops the next one. */
    bool done = there && access(result, F_OK) == 0;
    if (options->shared) return 0;
    if (options->append && !done)
        return me_fail(err, ME_E_INPUT, "--append: there is no %s to add to; leave --append out", result);
    if (done && !options->append && !options->force && !options->resume)
        return me_fail(err, ME_E_INPUT,
                       "%s exists: add repeats with --append, move it aside with --force, run what it lacks "
                       "with --resume, or "
                       "give another name",
                       result);
    return 0;
}

int me_setup_folder(const struct me_bench_options *options, struct me_error *err)
{
    const char *folder = options->folder;
    char result[4096], logs[4096];
    if (me_setup_look(options, err)) return -1;
    me_experiment_result_path(folder, result, sizeof result);
    if (options->force && access(result, F_OK) == 0 && move_aside(folder, err)) return -1;
    if (mkdir(folder, 0777) && errno != EEXIST)
        return me_fail_errno(err, ME_E_INPUT, errno, "EXPERIMENT: cannot make %s", folder);
    snprintf(logs, sizeof logs, "%s/logs", folder);
    if (mkdir(logs, 0777) && errno != EEXIST)
        return me_fail_errno(err, ME_E_INPUT, errno, "cannot make %s", logs);
    if (access(folder, W_OK))
        return me_fail_errno(err, ME_E_INPUT, errno, "EXPERIMENT: cannot write in %s", folder);
    return 0;
}
