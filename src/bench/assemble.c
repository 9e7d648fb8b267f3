#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bench.h"
#include "me/credentials.h"
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

static void write_logs(const char *folder, int machine_id, int first_repeat, const struct logs *logs,
                       FILE *out)
{
    int failed = 0;
    for (size_t i = 0; i < logs->count && !failed; i++)
        failed = write_log(folder, machine_id, first_repeat, &logs->logs[i]);
    if (failed)
        fprintf(out, "me_bench: %s/logs: what machine %d printed is not all there: %s\n", folder, machine_id,
                strerror(failed));
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

static int add_machine(struct me_plan_machine *machine, const struct me_buffer *bytes, int first_repeat,
                       struct logs *logs, struct me_result *result, struct me_error *err)
{
    struct me_record record;
    struct me_error damage = {0};
    bool there = bytes && bytes->len && !me_record_decode(bytes->data, bytes->len, &record, &damage);
    judge(machine, there ? &record : NULL);
    if (bytes && bytes->len && !there)
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

static const struct me_buffer *record_of(const struct me_plan_machine *machine, const struct me_role *roles,
                                         int ranks, struct me_head *head, const struct me_buffer *own)
{
    for (int r = 0; r < ranks; r++)
        if (roles[r].machine_id == machine->id) return r == 0 ? own : me_head_record(head, r);
    return NULL;
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

int me_assemble_check(const struct me_plan *plan, const struct me_bench_options *options,
                      struct me_error *err)
{
    struct me_result base = {0}, fresh = {0};
    char path[4096];
    if (!options->append) return 0;
    me_experiment_result_path(options->folder, path, sizeof path);
    int rc = me_store_read(path, false, &base, err);
    if (!rc) rc = check_same_work(&base, plan, err);
    if (!rc) rc = head_lines(&fresh, plan, err);
    for (size_t i = 0; !rc && i < plan->count; i++)
        if (is_listed(plan, &plan->machines[i])) rc = me_result_add(&fresh, &plan->machines[i], NULL, 0, err);
    if (!rc) rc = me_result_append(&base, &fresh, err);
    me_result_release(&base);
    me_result_release(&fresh);
    return rc;
}

int me_assemble(struct me_plan *plan, const struct me_role *roles, int ranks, struct me_head *head,
                struct me_buffer *own, const struct me_bench_options *options, FILE *out,
                struct me_result *result, struct me_error *err)
{
    struct me_result base = {0}, fresh = {0};
    char path[4096];
    struct logs *logs = calloc(plan->count, sizeof *logs);
    if (!logs) return me_fail(err, ME_E_RUN, "no memory for the result");
    me_experiment_result_path(options->folder, path, sizeof path);
    int rc = options->append ? me_store_read(path, true, &base, err) : 0;
    if (rc) goto out;
    int first_repeat = last_repeat(&base);
    rc = head_lines(&fresh, plan, err);
    for (size_t i = 0; !rc && i < plan->count; i++) {
        struct me_plan_machine *machine = &plan->machines[i];
        if (!is_listed(plan, machine)) continue;
        rc = add_machine(machine, record_of(machine, roles, ranks, head, own), first_repeat, &logs[i], &fresh,
                         err);
    }
    if (rc) goto out;
    snprintf(fresh.status, sizeof fresh.status, "%s", overall_status(&fresh, me_head_stopped(head)));
    if (options->append) {
        if ((rc = me_result_append(&base, &fresh, err))) goto out;
        snprintf(base.status, sizeof base.status, "%s", fresh.status);
    }
    struct me_result *whole = options->append ? &base : &fresh;
    if ((rc = me_result_rank(whole, err)) || (rc = me_store_write(path, whole, err))) goto out;
    *result = *whole;
    *whole = (struct me_result){0};
    for (size_t i = 0; i < plan->count; i++)
        write_logs(options->folder, plan->machines[i].id, first_repeat, &logs[i], out);
out:
    for (size_t i = 0; i < plan->count; i++) release_logs(&logs[i]);
    free(logs);
    me_result_release(&base);
    me_result_release(&fresh);
    return rc;
}
