#include "evaluate.h"
#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_status(struct me_row_machine *row, enum me_machine_status status, const char *reason)
{
    snprintf(row->status, sizeof row->status, "%s", me_status_name(status));
    snprintf(row->reason, sizeof row->reason, "%s", reason);
}

static void fill_machine(struct me_row_machine *row, const struct me_plan_machine *machine)
{
    *row = (struct me_row_machine){.machine_id = machine->id,
                                   .memory_gib = NAN,
                                   .clock_offset_start_s = NAN,
                                   .clock_bound_start_s = NAN,
                                   .clock_offset_end_s = NAN,
                                   .clock_bound_end_s = NAN};
    snprintf(row->name, sizeof row->name, "%s", machine->name);
    snprintf(row->country, sizeof row->country, "%s", machine->country);
    snprintf(row->region, sizeof row->region, "%s", machine->region);
    snprintf(row->grid_source, sizeof row->grid_source, "%s", machine->grid_source);
    snprintf(row->basis, sizeof row->basis, "%s", machine->basis);
    snprintf(row->engine, sizeof row->engine, "%s", machine->engine);
    snprintf(row->image, sizeof row->image, "%s", machine->image);
    snprintf(row->image_digest, sizeof row->image_digest, "%s", machine->image_digest);
    row->grid_gco2_per_kwh = machine->grid_g_per_kwh;
    row->pue = machine->pue;
    set_status(row, machine->status, machine->reason);
}

static void fill_facts(struct me_row_machine *row, const struct me_facts *facts)
{
    if (!row->name[0]) snprintf(row->name, sizeof row->name, "%s", facts->name);
    snprintf(row->host, sizeof row->host, "%s", facts->host);
    snprintf(row->boot_id, sizeof row->boot_id, "%s", facts->boot_id);
    snprintf(row->cpu_model, sizeof row->cpu_model, "%s", facts->cpu_model);
    snprintf(row->kernel, sizeof row->kernel, "%s", facts->kernel);
    snprintf(row->sampler, sizeof row->sampler, "%s", facts->sampler);
    row->sockets = facts->sockets;
    row->cores = facts->cores;
    row->threads = facts->threads;
    if (facts->memory_bytes) row->memory_gib = (double)facts->memory_bytes / 0x1p30;
}

static void fill_channel(struct me_row_channel *row, int32_t machine_id, const struct me_channel *channel)
{
    *row = (struct me_row_channel){
        .machine_id = machine_id, .range = (double)channel->range, .interval_s = channel->interval_s};
    snprintf(row->device, sizeof row->device, "%s", channel->device);
    snprintf(row->channel, sizeof row->channel, "%s", channel->name);
    snprintf(row->source, sizeof row->source, "%s", channel->source);
    snprintf(row->scope, sizeof row->scope, "%s", channel->activity ? "" : me_scope_name(channel->scope));
    snprintf(row->kind, sizeof row->kind, "%s", me_kind_name(channel->kind));
    snprintf(row->cls, sizeof row->cls, "%s", channel->activity ? "" : me_class_name(channel->cls));
    snprintf(row->provenance, sizeof row->provenance, "%s", me_provenance_name(channel->provenance));
    snprintf(row->unit, sizeof row->unit, "%s", channel->unit);
    snprintf(row->why_not, sizeof row->why_not, "%s", channel->why_not);
    snprintf(row->basis, sizeof row->basis, "%s", channel->basis);
    row->counted = channel->counted;
}

static void fill_weakest_provenance(struct me_row_machine *row, const struct me_record *record)
{
    int weakest = -1;
    for (size_t i = 0; i < record->channel_count; i++) {
        const struct me_channel *channel = &record->channels[i];
        if (channel->counted && (int)channel->provenance > weakest) weakest = (int)channel->provenance;
    }
    if (weakest >= 0)
        snprintf(row->provenance, sizeof row->provenance, "%s",
                 me_provenance_name((enum me_provenance)weakest));
}

static void fill_usage(struct me_row_repeat *row, const struct me_usage *usage)
{
    row->cpu_s = usage->known ? usage->cpu_s : NAN;
    row->context_switches = usage->known ? (double)usage->context_switches : NAN;
    row->page_faults = usage->known ? (double)usage->page_faults : NAN;
    row->read_bytes = usage->known ? (double)usage->read_bytes : NAN;
    row->written_bytes = usage->known ? (double)usage->written_bytes : NAN;
    row->max_rss_bytes = usage->known && usage->max_rss_bytes ? (double)usage->max_rss_bytes : NAN;
}

static double phase_energy_j(const struct me_record *record, const struct me_span *span,
                             struct me_row_repeat *row)
{
    struct me_energy total;
    if (!me_evaluate_total(record, span->first, span->last, true, &total, row->note, sizeof row->note))
        return NAN;
    me_evaluate_remark_coarse(record, span->first, span->last, row->duration_s, row->note, sizeof row->note);
    return me_energy_j(total);
}

static void fill_repeat(struct me_row_repeat *row, const struct me_record *record, const struct me_span *span,
                        const struct me_row_machine *machine, int32_t repeat)
{
    *row = (struct me_row_repeat){.machine_id = machine->machine_id, .repeat = repeat};
    snprintf(row->phase, sizeof row->phase, "%s", me_phase_name(span->phase));
    snprintf(row->work_unit, sizeof row->work_unit, "%s", span->work_unit);
    snprintf(row->note, sizeof row->note, "%s", span->note);
    snprintf(row->workload, sizeof row->workload, "%s", span->workload);
    snprintf(row->region, sizeof row->region, "%s", span->region);
    row->start_unix_ns = me_evaluate_unix_ns(record, span->first);
    row->duration_s = me_evaluate_duration_s(record, span->first, span->last);
    row->energy_j = phase_energy_j(record, span, row);
    row->net_energy_j = NAN;
    row->mean_power_w = row->duration_s > 0 ? row->energy_j / row->duration_s : NAN;
    row->carbon_g = me_carbon_g(row->energy_j, machine->pue, machine->grid_gco2_per_kwh);
    row->work = span->work;
    row->exit_status = span->exit_status;
    row->late_samples = span->late_samples;
    row->sampler_cpu_s = me_ns_to_s(span->sampler_cpu_ns);
    row->longest_gap_s = me_ns_to_s(span->longest_gap_ns);
    fill_usage(row, &span->usage);
    row->cpu_share = NAN;
    me_evaluate_clock_at(record, span->first, &row->clock_offset_s, &row->clock_bound_s);
}

static void fill_energies(struct me_result *add, const struct me_record *record, const struct me_span *span,
                          const struct me_row_repeat *repeat)
{
    for (size_t c = 0; c < record->channel_count; c++) {
        if (record->channels[c].activity) continue;
        struct me_row_energy *row = &add->energies[add->energy_count++];
        struct me_energy energy;
        enum me_fault fault = me_evaluate_phase(record, c, span->first, span->last, &energy);
        *row = (struct me_row_energy){.machine_id = repeat->machine_id, .repeat = repeat->repeat};
        memcpy(row->phase, repeat->phase, sizeof row->phase);
        snprintf(row->channel, sizeof row->channel, "%s", record->channels[c].name);
        snprintf(row->fault, sizeof row->fault, "%s", me_fault_text(fault));
        row->energy_j = fault ? NAN : me_energy_j(energy);
    }
}

/* Of the time that all processors were busy, the workload's part. Both are counted by the kernel, one in ticks: a
 * short workload can come to a little more than all. */
static double share_of_cpu(const struct me_row_repeat *repeat, const struct me_row_activity *row)
{
    double share = repeat->cpu_s * 1e9 / row->value;
    return row->value > 0 && isfinite(share) ? fmin(share, 1) : NAN;
}

static void fill_activities(struct me_result *add, const struct me_record *record, const struct me_span *span,
                            struct me_row_repeat *repeat)
{
    for (size_t c = 0; c < record->channel_count; c++) {
        if (!record->channels[c].activity) continue;
        struct me_row_activity *row = &add->activities[add->activity_count++];
        *row = (struct me_row_activity){.machine_id = repeat->machine_id, .repeat = repeat->repeat};
        memcpy(row->phase, repeat->phase, sizeof row->phase);
        me_evaluate_activity(record, c, span->first, span->last, row);
        if (!strcmp(row->channel, "cpu-busy")) repeat->cpu_share = share_of_cpu(repeat, row);
    }
}

/* Net energy: what stands above the machine's idle power, where an idle phase was measured. */
static void fill_net(struct me_result *add)
{
    double idle_j = 0, idle_s = 0;
    for (size_t i = 0; i < add->repeat_count; i++) {
        const struct me_row_repeat *row = &add->repeats[i];
        if (strcmp(row->phase, me_phase_name(ME_PHASE_IDLE)) || isnan(row->energy_j)) continue;
        idle_j += row->energy_j;
        idle_s += row->duration_s;
    }
    if (!(idle_s > 0)) return;
    for (size_t i = 0; i < add->repeat_count; i++) {
        struct me_row_repeat *row = &add->repeats[i];
        if (!strcmp(row->phase, me_phase_name(ME_PHASE_IDLE))) continue;
        row->net_energy_j = row->energy_j - idle_j / idle_s * row->duration_s;
    }
}

static const struct me_span *find_run(const struct me_record *record, int repeat)
{
    for (size_t i = 0; i < record->span_count; i++)
        if (record->spans[i].phase == ME_PHASE_RUN && record->spans[i].repeat == repeat)
            return &record->spans[i];
    return NULL;
}

static int compare_metrics(const void *a, const void *b)
{
    const struct me_metric *x = *(const struct me_metric *const *)a, *y = *(const struct me_metric *const *)b;
    if (x->repeat != y->repeat) return x->repeat < y->repeat ? -1 : 1;
    int order = strcmp(x->name, y->name);
    return order ? order : (x > y) - (x < y); /* as they were told */
}

/* Of what was told twice in a repeat the last word counts. What no run phase belongs to is left out. */
static int fill_metrics(struct me_result *add, const struct me_record *record, int32_t machine_id)
{
    size_t n = record->metric_count;
    const struct me_metric **told = calloc(n + 1, sizeof *told);
    add->metrics = calloc(n + 1, sizeof *add->metrics);
    if (!told || !add->metrics) {
        free(told);
        return -1;
    }
    for (size_t i = 0; i < n; i++) told[i] = &record->metrics[i];
    qsort(told, n, sizeof *told, compare_metrics);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && told[i]->repeat == told[i + 1]->repeat && !strcmp(told[i]->name, told[i + 1]->name))
            continue;
        const struct me_span *span = find_run(record, told[i]->repeat);
        if (!span) continue;
        struct me_row_metric *row = &add->metrics[add->metric_count++];
        *row = (struct me_row_metric){
            .machine_id = machine_id, .repeat = told[i]->repeat, .value = told[i]->value};
        memcpy(row->workload, span->workload, sizeof row->workload);
        memcpy(row->metric, told[i]->name, sizeof row->metric);
    }
    free(told);
    return 0;
}

static bool has_series(const struct me_result *add, int32_t repeat)
{
    for (size_t i = 0; i < add->series_count; i++)
        if (add->series[i].repeat == repeat) return true;
    return false;
}

/* The samples of a phase that has a series: every run, and the first idle phase. */
static int add_series(struct me_result *add, const struct me_record *record, const struct me_span *span,
                      int32_t machine_id, int32_t repeat)
{
    bool kept = span->phase == ME_PHASE_RUN || span->phase == ME_PHASE_IDLE;
    if (!kept || has_series(add, repeat)) return 0;
    size_t samples = (size_t)span->last - span->first + 1, channels = record->channel_count;
    size_t cells = channels ? samples * channels : 1;
    struct me_result_series *series = &add->series[add->series_count++];
    series->machine_id = machine_id;
    series->repeat = repeat;
    series->samples = samples;
    series->channels = channels;
    series->names = calloc(channels ? channels : 1, sizeof *series->names);
    series->unix_ns = calloc(samples, sizeof *series->unix_ns);
    series->values = calloc(cells, sizeof *series->values);
    series->states = calloc(cells, sizeof *series->states);
    if (!series->names || !series->unix_ns || !series->values || !series->states) return -1;
    me_evaluate_series(record, span->first, series);
    return 0;
}

static int reserve(struct me_result *add, const struct me_record *record)
{
    size_t spans = record->span_count, channels = record->channel_count;
    add->channels = calloc(channels + 1, sizeof *add->channels);
    add->repeats = calloc(spans + 1, sizeof *add->repeats);
    add->energies = calloc(spans * channels + 1, sizeof *add->energies);
    add->activities = calloc(spans * channels + 1, sizeof *add->activities);
    add->series = calloc(spans + 1, sizeof *add->series);
    return add->channels && add->repeats && add->energies && add->activities && add->series ? 0 : -1;
}

static int fill_tables(struct me_result *add, struct me_record *record)
{
    struct me_row_machine *machine = &add->machines[0];
    if (reserve(add, record)) return -1;
    for (size_t i = 0; i < record->channel_count; i++)
        fill_channel(&add->channels[add->channel_count++], machine->machine_id, &record->channels[i]);
    for (size_t i = 0; i < record->span_count; i++) {
        const struct me_span *span = &record->spans[i];
        int32_t number = span->phase == ME_PHASE_IDLE ? 0 : span->repeat;
        struct me_row_repeat *row = &add->repeats[add->repeat_count++];
        fill_repeat(row, record, span, machine, number);
        fill_energies(add, record, span, row);
        fill_activities(add, record, span, row);
        if (add_series(add, record, span, machine->machine_id, number)) return -1;
    }
    fill_net(add);
    if (fill_metrics(add, record, machine->machine_id)) return -1;
    return me_evaluate_regions(record, machine, add);
}

/* What the rows say of a machine that itself reported no fault. */
static void judge(struct me_result *add)
{
    struct me_row_machine *machine = &add->machines[0];
    char reason[256];
    size_t runs = 0;
    for (size_t i = 0; i < add->repeat_count; i++) {
        const struct me_row_repeat *row = &add->repeats[i];
        if (!me_rows_is_run(row)) continue;
        runs++;
        const struct me_row_region *region = row->region[0] ? me_rows_find_region(add, row) : NULL;
        if (!me_rows_explain(row, row->region, region, reason, sizeof reason)) continue;
        set_status(machine, ME_STATUS_FAILED, reason);
        return;
    }
    if (!runs) set_status(machine, ME_STATUS_FAILED, "no repeat was measured");
}

static int add_record(struct me_result *add, struct me_record *record)
{
    struct me_row_machine *machine = &add->machines[0];
    bool ok = !strcmp(machine->status, me_status_name(ME_STATUS_OK));
    char stalled[160] = "";
    me_evaluate_retire(record, stalled, sizeof stalled);
    fill_facts(machine, &record->facts);
    me_evaluate_clock(record, ME_CLOCK_START, &machine->clock_offset_start_s, &machine->clock_bound_start_s);
    me_evaluate_clock(record, ME_CLOCK_END, &machine->clock_offset_end_s, &machine->clock_bound_end_s);
    fill_weakest_provenance(machine, record);
    if (fill_tables(add, record)) return -1;
    if (ok && record->status != ME_STATUS_OK)
        set_status(machine, record->status, record->reason);
    else if (ok && !record->ended)
        set_status(machine, ME_STATUS_INTERRUPTED, "its record was cut off");
    else if (ok)
        judge(add);
    if (stalled[0]) me_rows_remark(machine->reason, sizeof machine->reason, "%s", stalled);
    return 0;
}

int me_result_add(struct me_result *result, const struct me_plan_machine *machine, struct me_record *record,
                  int first_repeat, struct me_error *err)
{
    struct me_result add = {0};
    int rc = -1;
    add.machines = calloc(1, sizeof *add.machines);
    if (!add.machines) goto no_memory;
    add.machine_count = 1;
    fill_machine(&add.machines[0], machine);
    if (record) {
        if (add_record(&add, record)) goto no_memory;
    } else if (machine->status == ME_STATUS_OK) {
        set_status(&add.machines[0], ME_STATUS_LOST, "no record came back from it");
    }
    me_result_shift(&add, first_repeat);
    rc = me_rows_join(result, &add, err);
    goto out;
no_memory:
    me_fail(err, ME_E_RUN, "no memory for the result of machine %d", machine->id);
out:
    me_result_release(&add);
    return rc;
}
