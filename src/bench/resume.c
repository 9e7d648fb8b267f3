/* --resume: the last run of the experiment goes on where it was cut off. What the journals hold is taken in first,
 * by `me recover`; then each machine runs what the result lacks of it. */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"
#include "me/assembly.h"
#include "me/store.h"
#include "me/workload.h"

/* `me` beside our own program, as it is installed and built. */
static void find_me(char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 4);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    if (slash) strcpy(slash + 1, "me");
    if (!slash || access(path, X_OK)) snprintf(path, size, "me");
}

void me_resume_recover(const char *folder)
{
    char path[4100];
    pid_t pid;
    int status;
    find_me(path, sizeof path);
    char *argv[] = {path, (char *)"recover", (char *)"--", (char *)folder, NULL};
    int error = posix_spawnp(&pid, path, NULL, NULL, argv, environ);
    if (error) {
        fprintf(stderr, "me_bench: --resume: %s: %s; what journals hold is measured again\n", path,
                strerror(error));
        return;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR && !me_signals_caught()) continue;
}

/* --- the same work? ---------------------------------------------------------------------------- */

static int differ(const char *what, const char *before, const char *now, struct me_error *err)
{
    if (!strcmp(before, now)) return 0;
    return me_fail(err, ME_E_INPUT, "--resume: must run the same again: %s \"%.200s\" before, \"%.200s\" now",
                   what, before, now);
}

static int differ_numbers(const char *what, int before, int now, struct me_error *err)
{
    if (before == now) return 0;
    return me_fail(err, ME_E_INPUT, "--resume: must run the same again: %s %d before, %d now", what, before,
                   now);
}

static int check_command(const struct me_plan *before, const struct me_plan *now, struct me_error *err)
{
    for (size_t i = 0; before->command[i] || now->command[i]; i++)
        if (differ("the command's word", before->command[i] ? before->command[i] : "",
                   now->command[i] ? now->command[i] : "", err))
            return -1;
    return 0;
}

/* Both as they may be kept. */
static int check_same(const struct me_plan *before, const struct me_plan *now, struct me_error *err)
{
    if (differ("the workload", before->workload, now->workload, err) ||
        differ("--train-func", before->function, now->function, err) ||
        differ("--args", before->args, now->args, err) ||
        differ("--region", before->region, now->region, err) ||
        differ_numbers("--samples", before->samples, now->samples, err) ||
        differ_numbers("--repeats", before->repeats, now->repeats, err))
        return -1;
    return check_command(before, now, err);
}

/* What was masked cannot be run as it stands; the user has to say it again. */
static int check_masked(const struct me_plan *before, const struct me_plan *now, struct me_error *err)
{
    if (!before->masked) return 0;
    for (size_t i = 0; before->command[i] && now->command[i]; i++)
        if (strcmp(before->command[i], now->command[i])) return 0;
    if (before->args[0] && strcmp(before->args, now->args)) return 0;
    if (before->external[0] && strcmp(before->external, now->external)) return 0;
    return me_fail(err, ME_E_INPUT,
                   "--resume: plan.json does not keep the secret in what was run: give the same %s again",
                   before->external[0] ? "--external"
                   : before->args[0]   ? "--args"
                                       : "command behind --");
}

int me_resume_check(const struct me_plan *before, struct me_plan *plan, struct me_error *err)
{
    struct me_plan kept;
    if (check_masked(before, plan, err) || me_plan_to_keep(plan, &kept, err)) return -1;
    int rc = check_same(before, &kept, err);
    me_plan_release(&kept);
    plan->first_repeat = before->first_repeat;
    return rc;
}

/* --- what is missing? -------------------------------------------------------------------------- */

static const struct me_row_machine *find_row(const struct me_result *result, int id)
{
    for (size_t i = 0; i < result->machine_count; i++)
        if (result->machines[i].machine_id == id) return &result->machines[i];
    return NULL;
}

static int fill_done(const struct me_result *result, int first, int total, struct me_plan_machine *machine,
                     struct me_error *err)
{
    const struct me_row_machine *row = find_row(result, machine->id);
    if (row && row->name[0] && strcmp(row->name, machine->name))
        return me_fail(err, ME_E_INPUT, "--resume: machine %d was %.64s and is %.64s now", machine->id,
                       row->name, machine->name);
    return me_assembly_done(result, machine->id, first, total, machine->done, sizeof machine->done, err);
}

static int last_repeat(const struct me_result *result)
{
    int last = 0;
    for (size_t i = 0; i < result->repeat_count; i++)
        if (result->repeats[i].repeat > last) last = result->repeats[i].repeat;
    return last;
}

int me_resume_fill(struct me_plan *plan, const char *folder, bool *nothing_left, struct me_error *err)
{
    char path[4200];
    struct me_result result = {0};
    struct me_workloads list;
    me_experiment_result_path(folder, path, sizeof path);
    *nothing_left = false;
    if (access(path, F_OK)) { /* nothing was recovered: it begins anew */
        plan->first_repeat = 0;
        return 0;
    }
    if (me_workload_list(plan, &list, err) || me_store_read(path, false, &result, err)) return -1;
    if (plan->first_repeat < 0) plan->first_repeat = last_repeat(&result);
    int rc = 0, left = 0;
    for (size_t i = 0; !rc && i < plan->count; i++) {
        struct me_plan_machine *machine = &plan->machines[i];
        bool takes_part =
            machine->status == ME_STATUS_OK && (machine->id != 0 || plan->run_local || !plan->from_hostfile);
        rc = fill_done(&result, plan->first_repeat, plan->repeats * (int)list.count, machine, err);
        left += takes_part && strcmp(machine->done, ME_REPEATS_ALL);
    }
    *nothing_left = !rc && left == 0;
    me_result_release(&result);
    return rc;
}

void me_resume_stand_aside(const struct me_plan *plan, struct me_role *roles, int ranks)
{
    for (int r = 0; r < ranks; r++) {
        const struct me_plan_machine *machine = me_plan_find(plan, roles[r].machine_id);
        if (machine && !strcmp(machine->done, ME_REPEATS_ALL)) roles[r].machine_id = -1;
    }
}
