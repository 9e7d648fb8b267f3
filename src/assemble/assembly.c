#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "me/assembly.h"
#include "me/experiment.h"
#include "me/store.h"
#include "me/version.h"
#include "merge.h"
#include "parts.h"

#define WAIT_S   600 /* for another writer: longer than writing a large result takes */
#define ATTEMPTS 3   /* to write it, if others take our lock because we were held up */

static int head_lines(struct me_result *result, const struct me_plan *plan, struct me_error *err)
{
    struct me_buffer command = ME_BUFFER_INIT, json = ME_BUFFER_INIT;
    struct me_plan kept;
    if (me_plan_to_keep(plan, &kept, err)) return -1;
    kept.hosts_dir[0] = '\0'; /* of this machine alone */
    kept.first_repeat = 0;
    for (size_t i = 0; i < kept.count; i++) kept.machines[i].done[0] = '\0';
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
    if (!strcmp(machine->done, ME_REPEATS_ALL)) return false; /* nor one that has measured all before */
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

/* A machine of the plan as its parts come. */
struct seat {
    struct me_buffer rows;
    struct me_stream series, logs;
    bool has_rows, ended;
    int id;         /* of the machine in the result */
    char link[200]; /* to series that stay on their machine, of these repeats */
    int *repeats;
};

struct me_assembly {
    struct me_plan *plan;
    struct me_assembly_options options;
    char path[4096];
    struct me_spool series, logs;
    bool logs_dropped; /* for want of room */
    struct seat *seats;
    struct me_error failed; /* of the disk, while parts came */
    struct me_result fresh;
    bool stopped;
    int shifted; /* by how much the numbers of fresh's repeats stand behind those that the machines gave */
    struct me_lock *lock;
    bool lock_lost;
    bool was_there; /* a result, at the begin */
};

void me_assembly_release(struct me_assembly *assembly)
{
    if (!assembly) return;
    for (size_t i = 0; assembly->seats && i < assembly->plan->count; i++) {
        me_buffer_release(&assembly->seats[i].rows);
        me_stream_release(&assembly->seats[i].series);
        me_stream_release(&assembly->seats[i].logs);
        free(assembly->seats[i].repeats);
    }
    free(assembly->seats);
    me_spool_release(&assembly->series);
    me_spool_release(&assembly->logs);
    me_lock_release(assembly->lock);
    me_result_release(&assembly->fresh);
    free(assembly);
}

int me_assembly_begin(struct me_assembly **out, struct me_plan *plan,
                      const struct me_assembly_options *options, struct me_error *err)
{
    struct me_assembly *assembly = calloc(1, sizeof *assembly);
    if (!assembly) return me_fail(err, ME_E_RUN, "no memory for the result");
    assembly->plan = plan;
    assembly->options = *options;
    me_spool_init(&assembly->series, options->folder);
    me_spool_init(&assembly->logs, options->folder);
    me_experiment_result_path(options->folder, assembly->path, sizeof assembly->path);
    assembly->was_there = !access(assembly->path, F_OK);
    assembly->seats = calloc(plan->count + 1, sizeof *assembly->seats);
    for (size_t i = 0; assembly->seats && i < plan->count; i++) assembly->seats[i].id = plan->machines[i].id;
    int rc = assembly->seats ? head_lines(&assembly->fresh, plan, err)
                             : me_fail(err, ME_E_RUN, "no memory for the result");
    if (rc) {
        me_assembly_release(assembly);
        return -1;
    }
    *out = assembly;
    return 0;
}

/* --- parts ------------------------------------------------------------------------------------- */

/* What was printed is worth less than what was measured, where there is little room. */
static void drop_logs(struct me_assembly *assembly)
{
    me_spool_release(&assembly->logs);
    assembly->logs_dropped = true;
}

static int fail_disk(const struct me_assembly *assembly, int failed, struct me_error *err)
{
    char reason[128];
    return me_fail(err, ME_E_RUN, "%s: cannot write: %s%s", assembly->path,
                   strerror_r(failed, reason, sizeof reason), me_store_cure(failed));
}

static int take_series(struct me_assembly *assembly, struct seat *seat, const void *bytes, size_t len,
                       struct me_error *err)
{
    int failed = me_stream_append(&seat->series, &assembly->series, bytes, len);
    if (failed && assembly->logs.size) {
        drop_logs(assembly);
        failed = me_stream_append(&seat->series, &assembly->series, bytes, len);
    }
    return failed ? fail_disk(assembly, failed, err) : 0;
}

static int take_at(struct me_assembly *assembly, struct seat *seat, enum me_part part, const void *bytes,
                   size_t len, bool last, struct me_error *err)
{
    switch (part) {
    case ME_PART_ROWS:
        me_buffer_append(&seat->rows, bytes, len);
        seat->has_rows = last && seat->rows.len;
        return seat->rows.failed ? me_fail(err, ME_E_RUN, "no memory for the result") : 0;
    case ME_PART_SERIES:
        return take_series(assembly, seat, bytes, len, err);
    case ME_PART_LOGS:
        if (!assembly->logs_dropped && me_stream_append(&seat->logs, &assembly->logs, bytes, len))
            drop_logs(assembly);
        seat->ended = last;
        return 0;
    case ME_PART_COUNT:
        break;
    }
    return me_fail(err, ME_E_RUN, "no such part of a record");
}

/* The plan's place of machine `id`; -1: it has none. */
static int find_place(const struct me_plan *plan, int id, size_t *place, struct me_error *err)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->machines[i].id == id) {
            *place = i;
            return 0;
        }
    return me_fail(err, ME_E_RUN, "machine %d is not in the plan", id);
}

int me_assembly_take(struct me_assembly *assembly, int id, enum me_part part, const void *bytes, size_t len,
                     bool last, struct me_error *err)
{
    size_t i;
    if (find_place(assembly->plan, id, &i, err)) return -1;
    if (assembly->seats[i].ended || !is_listed(assembly->plan, &assembly->plan->machines[i])) return 0;
    int rc = take_at(assembly, &assembly->seats[i], part, bytes, len, last, &assembly->failed);
    if (rc && err) *err = assembly->failed;
    return rc;
}

int me_assembly_add(struct me_assembly *assembly, int id, const void *bytes, size_t len, struct me_error *err)
{
    size_t place;
    struct me_parts parts = {0};
    if (find_place(assembly->plan, id, &place, err)) return -1;
    int rc = me_parts_make(&assembly->plan->machines[place], bytes, len, NULL, &parts, err);
    for (int i = 0; !rc && i < ME_PART_COUNT; i++)
        rc =
            me_assembly_take(assembly, id, (enum me_part)i, parts.part[i].data, parts.part[i].len, true, err);
    me_parts_release(&parts);
    return rc;
}

/* --- the finish -------------------------------------------------------------------------------- */

static void set_lost(struct me_plan_machine *machine, const char *reason)
{
    if (machine->status != ME_STATUS_OK) return;
    machine->status = ME_STATUS_LOST;
    snprintf(machine->reason, sizeof machine->reason, "%s", reason);
}

/* The row knows best; of a machine that was lost on the way, we do. */
static void settle_status(struct me_plan_machine *machine, struct me_row_machine *row, bool ended,
                          bool recovered)
{
    if (recovered && row->boot_id[0] && !strcmp(row->status, me_status_name(ME_STATUS_LOST))) {
        snprintf(row->status, sizeof row->status, "%s", me_status_name(ME_STATUS_INTERRUPTED));
        snprintf(row->reason, sizeof row->reason, "recovered from its journal, which ends early");
    }
    if (!ended) {
        snprintf(row->status, sizeof row->status, "%s", me_status_name(ME_STATUS_LOST));
        snprintf(row->reason, sizeof row->reason, "its record was cut off");
    }
    for (enum me_machine_status status = ME_STATUS_OK; status <= ME_STATUS_LOST; status++)
        if (!strcmp(row->status, me_status_name(status))) machine->status = status;
    memcpy(machine->reason, row->reason, sizeof machine->reason);
}

/* Adds the rows of the plan's i-th machine, whatever came of it. */
static int add_rows(struct me_assembly *assembly, size_t i, struct me_error *err)
{
    struct me_plan_machine *machine = &assembly->plan->machines[i];
    struct seat *seat = &assembly->seats[i];
    struct me_result one = {0};
    struct me_error damage = {0};
    char reason[256];
    if (seat->has_rows && !me_parts_rows(&seat->rows, machine->id, &one, &damage)) {
        settle_status(machine, &one.machines[0], seat->ended, assembly->options.recovered);
        return me_result_join(&assembly->fresh, &one, err);
    }
    seat->ended = false; /* nor are its series to be trusted */
    if (damage.text[0])
        snprintf(reason, sizeof reason, "its record cannot be read: %.200s", damage.text);
    else
        snprintf(reason, sizeof reason, "no record came back; its journal may still be on the machine");
    set_lost(machine, reason);
    return me_result_add(&assembly->fresh, machine, NULL, 0, err);
}

static int add_all_rows(struct me_assembly *assembly, bool stopped, struct me_error *err)
{
    const struct me_plan *plan = assembly->plan;
    if (assembly->fresh.machine_count) return 0; /* of a finish that failed */
    for (size_t i = 0; i < plan->count; i++)
        if (is_listed(plan, &plan->machines[i]) && add_rows(assembly, i, err)) return -1;
    if (me_result_add_job(&assembly->fresh, plan, err)) return -1;
    snprintf(assembly->fresh.status, sizeof assembly->fresh.status, "%s",
             overall_status(&assembly->fresh, stopped));
    return 0;
}

/* What the file holds by now, if we add to it; else nothing. */
static int read_base(const struct me_assembly *assembly, bool *adds, struct me_result *base,
                     struct me_error *err)
{
    const struct me_assembly_options *options = &assembly->options;
    bool is_there = !access(assembly->path, F_OK);
    *adds = (options->append || options->append_or_create || options->merge) && is_there;
    if (is_there && !*adds && !assembly->was_there)
        return me_fail(err, ME_E_RUN, "%s: another run made it meanwhile, and is not overwritten",
                       assembly->path);
    if (!*adds) return 0;
    if (me_store_read(assembly->path, false, base, err)) return -1;
    return check_same_work(base, assembly->plan, err);
}

static int confirm(void *context, struct me_error *err)
{
    struct me_assembly *assembly = context;
    assembly->lock_lost = me_lock_confirm(assembly->lock, err) != 0;
    return assembly->lock_lost ? -1 : 0;
}

static void look(void *context)
{
    const struct me_assembly *assembly = context;
    if (assembly->options.look) assembly->options.look(assembly->options.context);
}

/* What stays on its machine is linked to. */
static int list_images(const struct me_assembly *assembly, struct me_store_image *images, size_t *count,
                       struct me_error *err)
{
    for (size_t i = 0; i < assembly->plan->count; i++) {
        struct seat *seat = &assembly->seats[i];
        int id = assembly->plan->machines[i].id;
        if (!seat->ended || !seat->series.size) continue;
        struct me_store_image *image = &images[(*count)++];
        *image = (struct me_store_image){.machine_id = seat->id,
                                         .add = assembly->shifted,
                                         .size = seat->series.size,
                                         .read = me_stream_read,
                                         .context = &seat->series};
        free(seat->repeats);
        seat->repeats = NULL;
        if (me_series_place_link(&seat->series, seat->link, sizeof seat->link, &seat->repeats,
                                 &image->repeat_count))
            return me_fail(err, ME_E_RUN, "the samples of machine %d are damaged", id);
        if (!seat->link[0]) continue;
        image->link = seat->link;
        image->repeats = seat->repeats;
    }
    return 0;
}

/* Writes the file; where the disk is full, once more without what the workloads printed. */
static int write_file(struct me_assembly *assembly, const struct me_result *whole, bool adds,
                      const struct me_merge *merge, struct me_error *err)
{
    struct me_store_image *images = calloc(assembly->plan->count + 1, sizeof *images);
    if (!images) return me_fail(err, ME_E_RUN, "no memory for the result");
    int disk = 0;
    struct me_store_extras extras = {.base = adds ? assembly->path : NULL,
                                     .drops = merge->drops,
                                     .drop_count = merge->drop_count,
                                     .images = images,
                                     .confirm = confirm,
                                     .look = look,
                                     .context = assembly,
                                     .disk = &disk};
    int rc = list_images(assembly, images, &extras.count, err);
    if (!rc) rc = me_store_write_with(assembly->path, whole, &extras, err);
    if (rc && (disk == ENOSPC || disk == EDQUOT) && assembly->logs.size) {
        drop_logs(assembly);
        rc = me_store_write_with(assembly->path, whole, &extras, err);
    }
    free(images);
    return rc;
}

/* Each job numbers its machines from 0: the ids of those that are there already, and the next ones. */
static int renumber(struct me_assembly *assembly, const struct me_result *base, struct me_error *err)
{
    struct me_result *fresh = &assembly->fresh;
    size_t n = 0;
    int32_t *ids = calloc(fresh->machine_count + 1, sizeof *ids);
    if (!ids) return me_fail(err, ME_E_RUN, "no memory for %zu machines", fresh->machine_count);
    int rc = me_result_renumber(base, fresh, ids, err);
    for (size_t i = 0; !rc && i < assembly->plan->count;
         i++) /* in the plan's order, as add_all_rows had it */
        if (is_listed(assembly->plan, &assembly->plan->machines[i])) assembly->seats[i].id = ids[n++];
    free(ids);
    return rc;
}

/* Under the lock: what is there, what came, and both together as the new file. */
static int write_result(struct me_assembly *assembly, struct me_result *result, struct me_error *err)
{
    struct me_result base = {0}, *fresh = &assembly->fresh, *whole = fresh;
    struct me_merge merge = {.first_repeat = assembly->plan->first_repeat, .shifted = &assembly->shifted};
    bool adds;
    int rc = read_base(assembly, &adds, &base, err);
    if (!rc) me_store_sweep(assembly->path);
    if (!rc && !(adds && assembly->options.merge)) {
        int behind = assembly->options.merge && assembly->plan->first_repeat > 0
                         ? assembly->plan->first_repeat
                         : last_repeat(&base);
        me_result_shift(fresh, behind - assembly->shifted);
        assembly->shifted = behind;
    }
    if (!rc && adds) {
        whole = &base;
        if (assembly->plan->job.id[0]) rc = renumber(assembly, &base, err);
        if (!rc && assembly->plan->job.restarts) me_result_forget_interrupts(&base, fresh);
        if (!rc)
            rc = assembly->options.merge ? me_merge(&base, fresh, &merge, err)
                                         : me_result_append(&base, fresh, err);
        if (!rc && assembly->options.merge && !assembly->stopped)
            snprintf(base.status, sizeof base.status, "%s", overall_status(&base, false));
        else if (!rc)
            memcpy(base.status, fresh->status, sizeof base.status);
    }
    if (!rc) rc = me_result_rank(whole, err);
    if (!rc) rc = write_file(assembly, whole, adds, &merge, err);
    if (!rc) assembly->plan->first_repeat = assembly->shifted;
    if (!rc) {
        *result = *whole;
        *whole = (struct me_result){0};
    }
    free(merge.drops);
    me_result_release(&base);
    return rc;
}

static void say_waiting(void *context, const char *who)
{
    const struct me_assembly *assembly = context;
    fprintf(assembly->options.out, "%s: %s: waiting for %s, which writes it\n", assembly->options.program,
            assembly->path, who);
}

static bool look_waiting(void *context)
{
    const struct me_assembly *assembly = context;
    return !assembly->options.look || assembly->options.look(assembly->options.context);
}

static int write_locked(struct me_assembly *assembly, struct me_result *result, struct me_error *err)
{
    const struct me_lock_options options = {.path = assembly->path,
                                            .wait_s = WAIT_S,
                                            .say = say_waiting,
                                            .look = look_waiting,
                                            .context = assembly};
    int rc = -1;
    for (int i = 0; rc && i < ATTEMPTS; i++) {
        assembly->lock_lost = false;
        if (me_lock_take(&assembly->lock, &options, err)) return -1;
        rc = write_result(assembly, result, err);
        me_lock_release(assembly->lock);
        assembly->lock = NULL;
        if (!assembly->lock_lost) break;
    }
    return rc;
}

static void write_logs(struct me_assembly *assembly)
{
    const struct me_assembly_options *options = &assembly->options;
    for (size_t i = 0; i < assembly->plan->count; i++) {
        struct me_stream *logs = &assembly->seats[i].logs;
        int id = assembly->seats[i].id;
        int failed = !logs->size ? 0
                     : assembly->logs_dropped
                         ? ENOSPC
                         : me_parts_write_logs(logs, options->folder, id, assembly->shifted);
        if (failed)
            fprintf(options->out, "%s: %s/logs: what machine %d printed is not all there: %s\n",
                    options->program, options->folder, id, strerror(failed));
    }
}

int me_assembly_finish(struct me_assembly *assembly, bool stopped, struct me_result *result,
                       struct me_error *err)
{
    if (assembly->failed.code) {
        if (err) *err = assembly->failed;
        return -1;
    }
    assembly->stopped = stopped;
    if (add_all_rows(assembly, stopped, err) || write_locked(assembly, result, err)) return -1;
    write_logs(assembly);
    return 0;
}
