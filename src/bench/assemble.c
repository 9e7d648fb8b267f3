#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "bench.h"
#include "me/store.h"
#include "me/version.h"

static void write_log(const struct me_bench_options *options, int machine_id, int first_repeat,
                      const struct me_log *log)
{
    char path[4096];
    const char *suffix = log->is_stderr ? "err" : "out";
    if (log->phase == ME_PHASE_WARMUP)
        snprintf(path, sizeof path, "%s/logs/machine%d-warmup%d.%s", options->folder, machine_id, log->repeat,
                 suffix);
    else
        snprintf(path, sizeof path, "%s/logs/machine%d-repeat%d.%s", options->folder, machine_id,
                 log->repeat + first_repeat, suffix);
    FILE *file = fopen(path, "we");
    bool failed = !file || fwrite(log->text, 1, log->len, file) != log->len;
    if (file && fclose(file)) failed = true;
    if (failed) fprintf(stderr, "me_bench: %s: %s\n", path, strerror(errno)); /* the result is worth more */
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
                       const struct me_bench_options *options, struct me_result *result, struct me_error *err)
{
    struct me_record record;
    struct me_error damage = {0};
    bool there = bytes && bytes->len && !me_record_decode(bytes->data, bytes->len, &record, &damage);
    judge(machine, there ? &record : NULL);
    if (bytes && bytes->len && !there)
        snprintf(machine->reason, sizeof machine->reason, "its record cannot be read: %.200s", damage.text);
    int rc = me_result_add(result, machine, there ? &record : NULL, first_repeat, err);
    for (size_t i = 0; there && i < record.log_count; i++)
        write_log(options, machine->id, first_repeat, &record.logs[i]);
    if (there) me_record_release(&record);
    return rc;
}

static int head_lines(struct me_result *result, const struct me_plan *plan, struct me_error *err)
{
    struct me_buffer command = ME_BUFFER_INIT, json = ME_BUFFER_INIT;
    time_t now = time(NULL);
    struct tm utc;
    strftime(result->created_utc, sizeof result->created_utc, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    snprintf(result->experiment, sizeof result->experiment, "%s", plan->experiment);
    snprintf(result->tool_version, sizeof result->tool_version, "%s", ME_VERSION);
    snprintf(result->workload, sizeof result->workload, "%s", plan->workload);
    me_buffer_puts(&command, "");
    for (size_t i = 0; plan->command[i]; i++) {
        if (i) me_buffer_puts(&command, " ");
        me_buffer_shell_quoted(&command, plan->command[i]);
    }
    int rc = me_plan_to_json(plan, &json, err);
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

int me_assemble(struct me_plan *plan, const struct me_role *roles, int ranks, struct me_head *head,
                struct me_buffer *own, const struct me_bench_options *options, struct me_result *result,
                struct me_error *err)
{
    struct me_result base = {0}, fresh = {0};
    char path[4096];
    me_setup_result_path(options->folder, path, sizeof path);
    int rc = options->append ? me_store_read(path, true, &base, err) : 0;
    if (rc) goto out;
    int first_repeat = last_repeat(&base);
    rc = head_lines(&fresh, plan, err);
    for (size_t i = 0; !rc && i < plan->count; i++) {
        struct me_plan_machine *machine = &plan->machines[i];
        if (plan->from_hostfile && machine->id == 0 && !plan->run_local) continue; /* only the head */
        rc = add_machine(machine, record_of(machine, roles, ranks, head, own), first_repeat, options, &fresh,
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
out:
    me_result_release(&base);
    me_result_release(&fresh);
    return rc;
}
