#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void shift(int32_t *repeat, int by)
{
    if (*repeat > 0 && __builtin_add_overflow(*repeat, by, repeat)) *repeat = INT32_MAX;
}

static void shift_reason(struct me_row_machine *row, int by)
{
    char told[sizeof row->reason];
    int32_t number;
    int len = 0;
    memcpy(told, row->reason, sizeof told);
    if (sscanf(told, "repeat %d:%n", &number, &len) != 1 || !len) return;
    shift(&number, by);
    snprintf(row->reason, sizeof row->reason, "repeat %d:%s", number, told + len);
}

void me_result_shift(struct me_result *result, int by)
{
    if (!by) return;
    for (size_t i = 0; i < result->machine_count; i++) shift_reason(&result->machines[i], by);
    for (size_t i = 0; i < result->repeat_count; i++) shift(&result->repeats[i].repeat, by);
    for (size_t i = 0; i < result->energy_count; i++) shift(&result->energies[i].repeat, by);
    for (size_t i = 0; i < result->activity_count; i++) shift(&result->activities[i].repeat, by);
    for (size_t i = 0; i < result->region_count; i++) shift(&result->regions[i].repeat, by);
    for (size_t i = 0; i < result->metric_count; i++) shift(&result->metrics[i].repeat, by);
    for (size_t i = 0; i < result->series_count; i++) shift(&result->series[i].repeat, by);
    for (size_t i = 0; i < result->job_count; i++) {
        shift(&result->jobs[i].first_repeat, by);
        shift(&result->jobs[i].last_repeat, by);
    }
    for (size_t i = 0; i < result->job_node_count; i++) {
        shift(&result->job_nodes[i].first_repeat, by);
        shift(&result->job_nodes[i].last_repeat, by);
    }
}

static const struct me_row_machine *find_machine(const struct me_result *result, int32_t id)
{
    for (size_t i = 0; i < result->machine_count; i++)
        if (result->machines[i].machine_id == id) return &result->machines[i];
    return NULL;
}

static bool has_channels(const struct me_result *result, int32_t id)
{
    for (size_t i = 0; i < result->channel_count; i++)
        if (result->channels[i].machine_id == id) return true;
    return false;
}

static int check_channels(const struct me_result *base, const struct me_result *more, int32_t id,
                          struct me_error *err)
{
    const char *differing;
    if (me_rows_same_channels(base, id, more, id, &differing)) return 0;
    return me_fail(err, ME_E_INPUT,
                   "machine %d: its channels changed (%s): begin a new experiment, or use --force", id,
                   differing);
}

static bool differs(double a, double b)
{
    return isnan(a) ? !isnan(b) : a != b;
}

/* A machine that told nothing in one of the two cannot contradict the other. */
static int check_machine(const struct me_result *base, const struct me_result *more,
                         const struct me_row_machine *now, struct me_error *err)
{
    const struct me_row_machine *old = find_machine(base, now->machine_id);
    if (!old) return 0;
    if (has_channels(base, old->machine_id) && has_channels(more, now->machine_id)) {
        if (strcmp(old->boot_id, now->boot_id))
            return me_fail(err, ME_E_INPUT,
                           "machine %d (%s): its boot id changed, so it was restarted or is another "
                           "machine: begin a new experiment, or use --force",
                           now->machine_id, now->name);
        if (check_channels(base, more, now->machine_id, err)) return -1;
    }
    if (strcmp(old->image_digest, now->image_digest))
        return me_fail(
            err, ME_E_INPUT,
            "machine %d (%s): its image changed, %s before, %s now: begin a new experiment, or use --force",
            now->machine_id, now->name, old->image_digest[0] ? old->image_digest : "no container",
            now->image_digest[0] ? now->image_digest : "no container");
    if (differs(old->grid_gco2_per_kwh, now->grid_gco2_per_kwh) || differs(old->pue, now->pue))
        return me_fail(err, ME_E_INPUT,
                       "machine %d (%s): its grid intensity or PUE changed, %g x %g before, %g x %g "
                       "now: begin a new experiment, or use --force",
                       now->machine_id, now->name, old->grid_gco2_per_kwh, old->pue, now->grid_gco2_per_kwh,
                       now->pue);
    return 0;
}

/* What was run, for people: the user's command, or the workload's name. */
static const char *what_ran(const struct me_result *result)
{
    return result->command && result->command[0] ? result->command : result->workload;
}

static int check(const struct me_result *base, const struct me_result *more, struct me_error *err)
{
    if (strcmp(base->workload, more->workload) || strcmp(what_ran(base), what_ran(more)))
        return me_fail(err, ME_E_INPUT, "%s: --append must run the same again: \"%s\" before, \"%s\" now",
                       base->experiment, what_ran(base), what_ran(more));
    for (size_t i = 0; i < more->machine_count; i++)
        if (check_machine(base, more, &more->machines[i], err)) return -1;
    return 0;
}

static bool has_series(const struct me_result *result, int32_t id, int32_t repeat)
{
    for (size_t i = 0; i < result->series_count; i++)
        if (result->series[i].machine_id == id && result->series[i].repeat == repeat) return true;
    return false;
}

static void *copy_bytes(const void *bytes, size_t size)
{
    void *copy = malloc(size ? size : 1);
    if (copy && size) memcpy(copy, bytes, size);
    return copy;
}

static int copy_series(struct me_result_series *to, const struct me_result_series *from)
{
    size_t values = from->samples * from->channels;
    *to = *from;
    to->names = copy_bytes(from->names, from->channels * sizeof *from->names);
    to->unix_ns = copy_bytes(from->unix_ns, from->samples * sizeof *from->unix_ns);
    to->values = copy_bytes(from->values, values * sizeof *from->values);
    to->states = copy_bytes(from->states, values * sizeof *from->states);
    return to->names && to->unix_ns && to->values && to->states ? 0 : -1;
}

/* The series that base has no place for yet. A second idle series is left out: the file has one
 * place for it, and its energies stay in the tables. */
static int copy_new_series(const struct me_result *base, const struct me_result *more, struct me_result *out)
{
    if (!more->series_count) return 0;
    out->series = calloc(more->series_count, sizeof *out->series);
    if (!out->series) return -1;
    for (size_t i = 0; i < more->series_count; i++) {
        const struct me_result_series *series = &more->series[i];
        if (has_series(base, series->machine_id, series->repeat)) continue;
        if (copy_series(&out->series[out->series_count++], series)) return -1;
    }
    return 0;
}

/* The rows that base does not have: machines and channels only of new machines, all others whole. */
static int copy_new(const struct me_result *base, const struct me_result *more, struct me_result *out)
{
    out->machines = copy_bytes(more->machines, more->machine_count * sizeof *more->machines);
    out->channels = copy_bytes(more->channels, more->channel_count * sizeof *more->channels);
    out->repeats = copy_bytes(more->repeats, more->repeat_count * sizeof *more->repeats);
    out->energies = copy_bytes(more->energies, more->energy_count * sizeof *more->energies);
    out->activities = copy_bytes(more->activities, more->activity_count * sizeof *more->activities);
    out->regions = copy_bytes(more->regions, more->region_count * sizeof *more->regions);
    out->metrics = copy_bytes(more->metrics, more->metric_count * sizeof *more->metrics);
    out->jobs = copy_bytes(more->jobs, more->job_count * sizeof *more->jobs);
    out->job_nodes = copy_bytes(more->job_nodes, more->job_node_count * sizeof *more->job_nodes);
    if (!out->machines || !out->channels || !out->repeats || !out->energies || !out->activities ||
        !out->regions || !out->metrics || !out->jobs || !out->job_nodes)
        return -1;
    for (size_t i = 0; i < more->machine_count; i++)
        if (!find_machine(base, more->machines[i].machine_id))
            out->machines[out->machine_count++] = more->machines[i];
    for (size_t i = 0; i < more->channel_count; i++)
        if (!has_channels(base, more->channels[i].machine_id))
            out->channels[out->channel_count++] = more->channels[i];
    out->repeat_count = more->repeat_count;
    out->energy_count = more->energy_count;
    out->activity_count = more->activity_count;
    out->region_count = more->region_count;
    out->metric_count = more->metric_count;
    out->job_count = more->job_count;
    out->job_node_count = more->job_node_count;
    return copy_new_series(base, more, out);
}

/* Where samples lie that are not in the file: of the runs before, and of this one. */
static void merge_series_file(struct me_row_machine *row, const struct me_row_machine *now)
{
    if (now->series_file[0] && !strstr(row->series_file, now->series_file))
        me_rows_remark(row->series_file, sizeof row->series_file, "%s", now->series_file);
}

/* The machine's row after both: the facts of the one that has some, and the worse status. */
static void merge_machine(struct me_row_machine *row, const struct me_row_machine *now)
{
    merge_series_file(row, now);
    if (!row->boot_id[0] && now->boot_id[0]) {
        *row = *now;
    } else if (strcmp(now->status, me_status_name(ME_STATUS_OK))) {
        memcpy(row->status, now->status, sizeof row->status);
        memcpy(row->reason, now->reason, sizeof row->reason);
    }
}

static int severity(const char *status)
{
    static const char *const worse[] = {"failed", "interrupted"};
    return !strcmp(status, worse[1]) ? 2 : !strcmp(status, worse[0]);
}

int me_result_append(struct me_result *base, const struct me_result *more, struct me_error *err)
{
    struct me_result add = {0};
    int rc = -1;
    if (check(base, more, err)) return -1;
    if (copy_new(base, more, &add)) {
        me_fail(err, ME_E_RUN, "no memory to append to %s", base->experiment);
        goto out;
    }
    if (me_rows_join(base, &add, err)) goto out;
    for (size_t i = 0; i < base->machine_count; i++) {
        const struct me_row_machine *now = find_machine(more, base->machines[i].machine_id);
        if (now) merge_machine(&base->machines[i], now);
    }
    if (severity(more->status) > severity(base->status))
        memcpy(base->status, more->status, sizeof base->status);
    me_rows_drop_summaries(base);
    rc = 0;
out:
    me_result_release(&add);
    return rc;
}
