#include "parts.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "me/message.h"
#include "me/store.h"
#include "me/table.h"

/* Before the bytes of each log; little-endian, as all machines are that Open MPI runs on. */
struct log_head {
    uint64_t len;
    int32_t repeat;
    uint16_t phase, is_stderr;
};

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

static void put_logs(const struct me_record *record, struct me_buffer *out)
{
    for (size_t i = 0; i < record->log_count; i++) {
        const struct me_log *log = &record->logs[i];
        struct log_head head = {log->len, log->repeat, (uint16_t)log->phase, log->is_stderr};
        me_buffer_append(out, &head, sizeof head);
        me_buffer_append(out, log->text, log->len);
    }
}

static int fail_memory(const struct me_plan_machine *machine, struct me_error *err)
{
    return me_fail(err, ME_E_RUN, "no memory for the result of machine %d", machine->id);
}

int me_parts_make(const struct me_plan_machine *machine, const void *bytes, size_t len,
                  const struct me_series_place *place, struct me_parts *out, struct me_error *err)
{
    struct me_record record = {0};
    struct me_result result = {0};
    struct me_error damage = {0};
    struct me_parts parts = {0};
    struct me_plan_machine judged = *machine;
    bool there = len && !me_record_decode(bytes, len, &record, &damage);
    judge(&judged, there ? &record : NULL);
    if (len && !there)
        snprintf(judged.reason, sizeof judged.reason, "its record cannot be read: %.200s", damage.text);
    int rc = me_result_add(&result, &judged, there ? &record : NULL, 0, err);
    if (!rc) put_logs(&record, &parts.part[ME_PART_LOGS]);
    if (there) me_record_release(&record);
    if (!rc && result.series_count) {
        rc = me_store_image(&result, &parts.part[ME_PART_SERIES], err);
        if (!rc) me_series_place_keep(place, &result.machines[0], &result, &parts);
    }
    if (!rc) me_message_encode(&result, &parts.part[ME_PART_ROWS]);
    for (int i = 0; !rc && i < ME_PART_COUNT; i++)
        if (parts.part[i].failed) rc = fail_memory(machine, err);
    me_result_release(&result);
    if (rc)
        me_parts_release(&parts);
    else
        *out = parts;
    return rc;
}

void me_parts_release(struct me_parts *parts)
{
    for (int i = 0; parts && i < ME_PART_COUNT; i++) me_buffer_release(&parts->part[i]);
}

/* All tables begin with the machine's number. */
static bool are_all_of(const struct me_result *result, int32_t machine_id)
{
    for (const struct me_table *table = me_table_list; table->name; table++) {
        size_t count;
        int32_t id;
        const char *rows = me_table_rows(table, result, &count);
        for (size_t i = 0; i < count; i++) {
            memcpy(&id, rows + i * table->row_size, sizeof id);
            if (id != machine_id) return false;
        }
    }
    return true;
}

int me_parts_rows(const struct me_buffer *rows, int32_t machine_id, struct me_result *out,
                  struct me_error *err)
{
    struct me_result result = {0};
    if (rows->failed) return me_fail(err, ME_E_RUN, "no memory for its rows");
    if (me_message_decode(rows->data, rows->len, &result, err)) return -1;
    if (result.machine_count == 1 && are_all_of(&result, machine_id)) {
        *out = result;
        return 0;
    }
    me_result_release(&result);
    return me_fail(err, ME_E_INPUT, "its rows are of other machines");
}

static int copy_log(struct me_stream *logs, uint64_t at, uint64_t len, const char *path)
{
    char piece[8192];
    FILE *file = fopen(path, "we");
    if (!file) return errno;
    int failed = 0;
    for (uint64_t end = at + len; at < end && !failed;) {
        size_t n = end - at < sizeof piece ? (size_t)(end - at) : sizeof piece;
        failed = me_stream_read(logs, at, piece, n);
        if (!failed && fwrite(piece, 1, n, file) != n) failed = errno;
        at += n;
    }
    if (fclose(file) && !failed) failed = errno;
    return failed;
}

int me_parts_write_logs(struct me_stream *logs, const char *folder, int machine_id, int add)
{
    char path[PATH_MAX];
    struct log_head head;
    for (uint64_t at = 0; at < logs->size; at += head.len) {
        int failed = me_stream_read(logs, at, &head, sizeof head);
        if (failed) return failed;
        at += sizeof head;
        if (head.len > logs->size - at) return EIO;
        bool warmup = head.phase == ME_PHASE_WARMUP;
        snprintf(path, sizeof path, "%s/logs/machine%d-%s%d.%s", folder, machine_id,
                 warmup ? "warmup" : "repeat", warmup ? head.repeat : head.repeat + add,
                 head.is_stderr ? "err" : "out");
        failed = copy_log(logs, at, head.len, path);
        if (failed) return failed;
    }
    return 0;
}
