#include "evaluate.h"
#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW_VALUES 10 /* of a slow channel in a phase: its edges are then a tenth of it, or more */

int64_t me_evaluate_unix_ns(const struct me_record *record, size_t sample)
{
    return (int64_t)((uint64_t)record->series.time_ns[sample] + (uint64_t)record->facts.unix_minus_mono_ns);
}

double me_evaluate_duration_s(const struct me_record *record, size_t first, size_t last)
{
    const int64_t *time_ns = record->series.time_ns;
    return (double)((uint64_t)time_ns[last] - (uint64_t)time_ns[first]) * 1e-9;
}

/* The faults of the counted channels, as "package-1: no reading (and 2 more)". */
static void remark_fault(char *note, size_t size, const char *name, enum me_fault fault, size_t more)
{
    if (more)
        me_rows_remark(note, size, "%s: %s (and %zu more)", name, me_fault_text(fault), more);
    else
        me_rows_remark(note, size, "%s: %s", name, me_fault_text(fault));
}

static void remark_none(const struct me_record *record, char *note, size_t size)
{
    for (size_t c = 0; c < record->channel_count; c++) {
        const struct me_channel *channel = &record->channels[c];
        if (!channel->why_not[0]) continue;
        me_rows_remark(note, size, "no channel is counted: %s %s", channel->name, channel->why_not);
        return;
    }
    me_rows_remark(note, size, "no channel is counted");
}

enum me_fault me_evaluate_phase(const struct me_record *record, size_t c, size_t first, size_t last,
                                struct me_energy *energy)
{
    const struct me_channel *channel = &record->channels[c];
    double duration_s = me_evaluate_duration_s(record, first, last);
    enum me_fault fault = me_series_energy(&record->series, channel, c, first, last, energy);
    if (!fault && duration_s < me_series_period_s(&record->series, channel, c, first, last))
        return ME_FAULT_SHORT;
    if (fault || channel->kind != ME_KIND_COUNTER || energy->uj) return fault;
    return duration_s > 0 ? ME_FAULT_SHORT : fault;
}

void me_evaluate_remark_coarse(const struct me_record *record, size_t first, size_t last, double length_s,
                               char *note, size_t size)
{
    double longest_s = 0;
    const char *name = NULL;
    for (size_t c = 0; c < record->channel_count; c++) {
        if (!record->channels[c].counted) continue;
        double period_s = me_series_period_s(&record->series, &record->channels[c], c, first, last);
        if (period_s <= longest_s) continue;
        longest_s = period_s;
        name = record->channels[c].name;
    }
    if (name && longest_s * FEW_VALUES > length_s)
        me_rows_remark(note, size, "coarse: %s has a value each %.2g s only", name, longest_s);
}

bool me_evaluate_total(const struct me_record *record, size_t first, size_t last, bool is_phase,
                       struct me_energy *total, char *note, size_t size)
{
    struct me_energy sum = {0}, one = {0};
    size_t counted = 0, faults = 0, to_blame = 0;
    enum me_fault first_fault = ME_FAULT_NONE;
    for (size_t c = 0; c < record->channel_count; c++) {
        if (!record->channels[c].counted) continue;
        counted++;
        enum me_fault fault =
            is_phase ? me_evaluate_phase(record, c, first, last, &one)
                     : me_series_energy(&record->series, &record->channels[c], c, first, last, &one);
        if (!fault && __builtin_add_overflow(sum.uj, one.uj, &sum.uj)) fault = ME_FAULT_RANGE;
        if (!fault) continue;
        if (!faults++) {
            to_blame = c;
            first_fault = fault;
        }
    }
    if (faults)
        remark_fault(note, size, record->channels[to_blame].name, first_fault, faults - 1);
    else if (!counted)
        remark_none(record, note, size);
    if (faults || !counted) return false;
    *total = sum;
    return true;
}

void me_evaluate_activity(const struct me_record *record, size_t c, size_t first, size_t last,
                          struct me_row_activity *row)
{
    const struct me_channel *channel = &record->channels[c];
    struct me_activity activity;
    enum me_fault fault = me_series_activity(&record->series, channel, c, first, last, &activity);
    if (fault) activity = (struct me_activity){NAN, NAN, NAN};
    snprintf(row->channel, sizeof row->channel, "%s", channel->name);
    snprintf(row->unit, sizeof row->unit, "%s", channel->unit);
    snprintf(row->fault, sizeof row->fault, "%s", me_fault_text(fault));
    row->value = activity.value;
    row->low = activity.low;
    row->high = activity.high;
}

void me_evaluate_series(const struct me_record *record, size_t first, struct me_result_series *series)
{
    size_t n = series->channels;
    for (size_t c = 0; c < n; c++)
        memcpy(series->names[c], record->channels[c].name, sizeof series->names[c]);
    for (size_t i = 0; i < series->samples; i++) {
        series->unix_ns[i] = me_evaluate_unix_ns(record, first + i);
        for (size_t c = 0; c < n; c++) {
            const struct me_reading *reading = &record->series.readings[(first + i) * n + c];
            double value =
                record->channels[c].kind == ME_KIND_COUNTER ? (double)reading->count : reading->level;
            series->states[i * n + c] = reading->state;
            series->values[i * n + c] = reading->state == ME_READING_OK ? value : NAN;
        }
    }
}
