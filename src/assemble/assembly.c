#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "me/assembly.h"
#include "me/credentials.h"
#include "me/experiment.h"
#include "me/store.h"
#include "me/version.h"

/* What a machine's workload printed. It waits here until the result is on disk, which is worth more
 * than it where there is little room. */
struct logs {
    struct me_log *logs;
    size_t count;
};

static void take_logs(struct logs *logs, struct me_record *record)
{
    *logs = (struct logs){record->logs, record->log_count};
    record->logs = NULL;
    record->log_count = 0;
}

static void release_logs(struct logs *logs)
{
    for (size_t i = 0; i < logs->count; i++) free(logs->logs[i].text);
    free(logs->logs);
}

static int write_log(const char *folder, int machine_id, int first_repeat, const struct me_log *log)
{
    char path[4096];
    bool warmup = log->phase == ME_PHASE_WARMUP;
    snprintf(path, sizeof path, "%s/logs/machine%d-%s%d.%s", folder, machine_id, warmup ? "warmup" : "repeat",
             warmup ? log->repeat : log->repeat + first_repeat, log->is_stderr ? "err" : "out");
    FILE *file = fopen(path, "we");
    if (!file) return errno;
    int failed = fwrite(log->text, 1, log->len, file) == log->len ? 0 : errno;
    if (fclose(file) && !failed) failed = errno;
    return failed;
}

static void write_logs(const struct me_assembly_options *options, int machine_id, int first_repeat,
                       const struct logs *logs)
{
    int failed = 0;
    for (size_t i = 0; i < logs->count && !failed; i++)
        failed = write_log(options->folder, machine_id, first_repeat, &logs->logs[i]);
    if (failed)
        fprintf(options->out, "%s: %s/logs: what machine %d printed is not all there: %s\n", options->program,
                options->folder, machine_id, strerror(failed));
}

/* What came back of a machine, as a status where the plan has none yet. */
static void judge(struct me_plan_machine *machine, const struct me_record *record)
{
    if (machine->status != ME_STATUS_OK) return;
    if (!record || !record->ended) {
        machine->status = ME_STATUS_LOST;
        snprintf(machine->reason, sizeof machine->reason, "%s",
                 record ? "its record was cut off"
                        : "no record came back; its journal may still be on the machine");
    } else if (record->status != ME_STATUS_OK) {
        machine->status = record->status;
        memcpy(machine->reason, record->reason, sizeof machine->reason);
    }
}

static int add_machine(struct me_plan_machine *machine, const void *bytes, size_t len, int first_repeat,
                       struct logs *logs, struct me_result *result, struct me_error *err)
{
    struct me_record record;
    struct me_error damage = {0};
    bool there = len && !me_record_decode(bytes, len, &record, &damage);
    judge(machine, there ? &record : NULL);
    if (len && !there)
        snprintf(machine->reason, sizeof machine->reason, "its record cannot be read: %.200s", damage.text);
    int rc = me_result_add(result, machine, there ? &record : NULL, first_repeat, err);
    if (there) take_logs(logs, &record);
    if (there) me_record_release(&record);
    return rc;
}

/* The plan as it may be kept: a command's URL can hold a password. By way of JSON, which is a copy. */
static int make_plan_to_keep(const struct me_plan *plan, struct me_plan *kept, struct me_error *err)
{
    struct me_buffer json = ME_BUFFER_INIT;
    int rc = me_plan_to_json(plan, &json, err);
    if (!rc) rc = me_plan_from_json(json.data, json.len, kept, err);
    me_buffer_release(&json);
    if (rc) return -1;
    for (size_t i = 0; kept->command[i]; i++) me_credentials_mask(kept->command[i]);
    for (size_t i = 0; i < kept->count; i++) me_credentials_mask(kept->machines[i].external);
    me_credentials_mask(kept->external);
    me_credentials_mask(kept->args);
    return 0;
}

static int head_lines(struct me_result *result, const struct me_plan *plan, struct me_error *err)
{
    struct me_buffer command = ME_BUFFER_INIT, json = ME_BUFFER_INIT;
    struct me_plan kept;
    if (make_plan_to_keep(plan, &kept, err)) return -1;
    time_t now = time(NULL);
    struct tm utc;
    strftime(result->created_utc, sizeof result->created_utc, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    snprintf(result->experiment, sizeof result->experiment, "%s", plan->experiment);
    snprintf(result->tool_version, sizeof result->tool_version, "%s", ME_VERSION);
    snprintf(result->workload, sizeof result->workload, "%s", plan->workload);
    me_buffer_puts(&command, "");
    for (size_t i = 0; kept.command[i]; i++) {
        if (i) me_buffer_puts(&command, " ");
        me_buffer_shell_quoted(&command, kept.command[i]);
    }
    if (kept.function[0])
        me_buffer_printf(&command, "%s%s%s", kept.function, kept.args[0] ? " " : "", kept.args);
    int rc = me_plan_to_json(&kept, &json, err);
    me_plan_release(&kept);
    if (!rc && (command.failed || json.failed)) rc = me_fail(err, ME_E_RUN, "no memory for the result");
    if (rc) {
        me_buffer_release(&command);
        me_buffer_release(&json);
        return -1;
    }
    free(result->command);
    free(result->plan_json);
    result->command = command.data; /* the result owns them now */
    result->plan_json = json.data;
    return 0;
}

static const char *overall_status(const struct me_result *result, bool stopped)
{
    if (stopped) return "interrupted";
    for (size_t i = 0; i < result->machine_count; i++) {
        const char *status = result->machines[i].status;
        if (!strcmp(status, "interrupted")) return "interrupted";
        if (strcmp(status, "ok") && strcmp(status, "skipped") && strcmp(status, "duplicate")) return "failed";
    }
    return "complete";
}

static int last_repeat(const struct me_result *result)
{
    int last = 0;
    for (size_t i = 0; i < result->repeat_count; i++)
        if (result->repeats[i].repeat > last) last = result->repeats[i].repeat;
    return last;
}

/* Where rank 0 only leads, it is no machine of the result. */
static bool is_listed(const struct me_plan *plan, const struct me_plan_machine *machine)
{
    return !plan->from_hostfile || machine->id != 0 || plan->run_local;
}

/* What the result's own columns do not tell, and yet makes it another work. */
static int check_same_work(const struct me_result *base, const struct me_plan *plan, struct me_error *err)
{
    struct me_plan before;
    struct me_error unread = {0};
    int rc = 0;
    if (!base->plan_json || me_plan_from_json(base->plan_json, strlen(base->plan_json), &before, &unread))
        return 0; /* of a version that kept none */
    if (before.samples != plan->samples)
        rc = me_fail(err, ME_E_INPUT,
                     "--samples: --append must run the same again: %d before, %d now (0: all)",
                     before.samples, plan->samples);
    me_plan_release(&before);
    return rc;
}

int me_assembly_check(const struct me_plan *plan, const char *folder, struct me_error *err)
{
    struct me_result base = {0}, fresh = {0};
    char path[4096];
    me_experiment_result_path(folder, path, sizeof path);
    int rc = me_store_read(path, false, &base, err);
    if (!rc) rc = check_same_work(&base, plan, err);
    if (!rc) rc = head_lines(&fresh, plan, err);
    for (size_t i = 0; !rc && i < plan->count; i++)
        if (is_listed(plan, &plan->machines[i])) rc = me_result_add(&fresh, &plan->machines[i], NULL, 0, err);
    if (!rc && plan->job.id[0]) rc = me_result_renumber(&base, &fresh, NULL, err);
    if (!rc) rc = me_result_append(&base, &fresh, err);
    me_result_release(&base);
    me_result_release(&fresh);
    return rc;
}

struct me_assembly {
    struct me_plan *plan;
    struct me_assembly_options options;
    char path[4096];
    int first_repeat;
    struct me_result base, fresh;
    struct logs *logs; /* a plan machine, each */
    bool *added;
};

void me_assembly_release(struct me_assembly *assembly)
{
    if (!assembly) return;
    for (size_t i = 0; assembly->logs && i < assembly->plan->count; i++) release_logs(&assembly->logs[i]);
    free(assembly->logs);
    free(assembly->added);
    me_result_release(&assembly->base);
    me_result_release(&assembly->fresh);
    free(assembly);
}

int me_assembly_begin(struct me_assembly **out, struct me_plan *plan,
                      const struct me_assembly_options *options, struct me_error *err)
{
    int rc = -1;
    struct me_assembly *assembly = calloc(1, sizeof *assembly);
    if (!assembly) return me_fail(err, ME_E_RUN, "no memory for the result");
    assembly->plan = plan;
    assembly->options = *options;
    assembly->logs = calloc(plan->count, sizeof *assembly->logs);
    assembly->added = calloc(plan->count, sizeof *assembly->added);
    me_experiment_result_path(options->folder, assembly->path, sizeof assembly->path);
    if (options->append_or_create) assembly->options.append = access(assembly->path, F_OK) == 0;
    if (!assembly->logs || !assembly->added)
        me_fail(err, ME_E_RUN, "no memory for the result");
    else if (!assembly->options.append || !me_store_read(assembly->path, true, &assembly->base, err))
        rc = head_lines(&assembly->fresh, plan, err);
    if (rc) {
        me_assembly_release(assembly);
        return -1;
    }
    assembly->first_repeat = last_repeat(&assembly->base);
    *out = assembly;
    return 0;
}

static int add_at(struct me_assembly *assembly, size_t i, const void *bytes, size_t len, struct me_error *err)
{
    struct me_plan_machine *machine = &assembly->plan->machines[i];
    if (assembly->added[i] || !is_listed(assembly->plan, machine)) return 0;
    assembly->added[i] = true;
    return add_machine(machine, bytes, len, assembly->first_repeat, &assembly->logs[i], &assembly->fresh,
                       err);
}

int me_assembly_add(struct me_assembly *assembly, int id, const void *bytes, size_t len, struct me_error *err)
{
    for (size_t i = 0; i < assembly->plan->count; i++)
        if (assembly->plan->machines[i].id == id) return add_at(assembly, i, bytes, len, err);
    return me_fail(err, ME_E_RUN, "machine %d is not in the plan", id);
}

int me_assembly_finish(struct me_assembly *assembly, bool stopped, struct me_result *result,
                       struct me_error *err)
{
    struct me_result *base = &assembly->base, *fresh = &assembly->fresh;
    const struct me_plan *plan = assembly->plan;
    for (size_t i = 0; i < plan->count; i++)
        if (add_at(assembly, i, NULL, 0, err)) return -1;
    snprintf(fresh->status, sizeof fresh->status, "%s", overall_status(fresh, stopped));
    if (me_result_add_job(fresh, plan, err)) return -1;
    if (assembly->options.append) {
        if (assembly->options.append_or_create && me_result_renumber(base, fresh, NULL, err)) return -1;
        if (plan->job.restarts) me_result_forget_interrupts(base, fresh);
        if (me_result_append(base, fresh, err)) return -1;
        snprintf(base->status, sizeof base->status, "%s", fresh->status);
    }
    struct me_result *whole = assembly->options.append ? base : fresh;
    if (me_result_rank(whole, err) || me_store_write(assembly->path, whole, err)) return -1;
    *result = *whole;
    *whole = (struct me_result){0};
    for (size_t i = 0; i < plan->count; i++)
        write_logs(&assembly->options, plan->machines[i].id, assembly->first_repeat, &assembly->logs[i]);
    return 0;
}
