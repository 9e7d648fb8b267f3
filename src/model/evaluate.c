#include "evaluate.h"
#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In a record that is shorter than this a slow counter may rightly stand still (0.1 s is the longest
 * tick that node meters are known to have); in one longer than the second no counter may. */
#define SHORTEST_TO_JUDGE_S 0.1
#define ALWAYS_JUDGED_S     1.0

int64_t me_evaluate_unix_ns(const struct me_record *record, size_t sample)
{
    return (int64_t)((uint64_t)record->series.time_ns[sample] + (uint64_t)record->facts.unix_minus_mono_ns);
}

double me_evaluate_duration_s(const struct me_record *record, size_t first, size_t last)
{
    const int64_t *time_ns = record->series.time_ns;
    return (double)((uint64_t)time_ns[last] - (uint64_t)time_ns[first]) * 1e-9;
}

static bool moved(const struct me_record *record, size_t c)
{
    const struct me_series *series = &record->series;
    const struct me_reading *before = NULL;
    for (size_t i = 0; i < series->count; i++) {
        const struct me_reading *reading = &series->readings[i * series->channels + c];
        if (reading->state != ME_READING_OK) continue;
        if (before && before->count != reading->count) return true;
        before = reading;
    }
    return false;
}

static bool read_twice(const struct me_record *record, size_t c)
{
    const struct me_series *series = &record->series;
    int good = 0;
    for (size_t i = 0; i < series->count && good < 2; i++)
        good += series->readings[i * series->channels + c].state == ME_READING_OK;
    return good == 2;
}

/* One round: each counted counter that was read and stood still. Returns whether there was one. */
static bool retire_round(struct me_record *record, const bool *has_moved, char *what, size_t size)
{
    bool retired = false;
    for (size_t c = 0; c < record->channel_count; c++) {
        struct me_channel *channel = &record->channels[c];
        if (!channel->counted || channel->kind != ME_KIND_COUNTER || has_moved[c]) continue;
        if (!read_twice(record, c)) continue; /* that it failed is told by its readings */
        snprintf(channel->why_not, sizeof channel->why_not, "did not move");
        me_rows_remark(what, size, "%s did not move and is not counted", channel->name);
        retired = true;
    }
    return retired;
}

/* Energy of the channels of one scope over the whole record: those that count, or those that a
 * platform's meter covers. False if it is not known. */
static bool scope_energy(const struct me_record *record, enum me_scope scope, bool counted, uint64_t *uj)
{
    static const char covered[] = "not added: the platform's";
    *uj = 0;
    for (size_t c = 0; c < record->channel_count; c++) {
        const struct me_channel *channel = &record->channels[c];
        struct me_energy energy;
        if (channel->scope != scope || channel->counted != counted) continue;
        if (!counted && strncmp(channel->why_not, covered, sizeof covered - 1)) continue;
        if (me_series_energy(&record->series, channel, c, 0, record->series.count - 1, &energy)) return false;
        if (__builtin_add_overflow(*uj, energy.uj, uj)) return false;
    }
    return true;
}

/* On boards that do not wire its sensor, psys moves and means nothing. A part cannot use more than the
 * whole (a tenth is allowed for how the two are calibrated). */
static void retire_false_platform(struct me_record *record, char *what, size_t size)
{
    uint64_t platform, packages;
    if (!scope_energy(record, ME_SCOPE_PLATFORM, true, &platform) ||
        !scope_energy(record, ME_SCOPE_PACKAGE, false, &packages) || platform / 9 >= packages / 10)
        return;
    for (size_t c = 0; c < record->channel_count; c++) {
        struct me_channel *channel = &record->channels[c];
        if (channel->scope != ME_SCOPE_PLATFORM || !channel->counted) continue;
        snprintf(channel->why_not, sizeof channel->why_not, "shows less than the packages it covers");
        me_rows_remark(what, size, "%s shows less than the packages it covers and is not counted",
                       channel->name);
    }
    me_channels_count(record->channels, record->channel_count);
}

void me_evaluate_retire(struct me_record *record, char *what, size_t size)
{
    size_t n = record->channel_count, samples = record->series.count;
    what[0] = '\0';
    if (!n || !samples) return;
    double length_s = me_evaluate_duration_s(record, 0, samples - 1);
    if (length_s < SHORTEST_TO_JUDGE_S) return;
    bool *has_moved = calloc(n, sizeof *has_moved);
    if (!has_moved) return; /* the counters stay, and their spans say that they stalled */
    bool any_moved = false;
    for (size_t c = 0; c < n; c++) {
        has_moved[c] = moved(record, c);
        any_moved = any_moved || has_moved[c];
    }
    /* With one out, another that it covered may come in, and may have stalled as well. */
    if (any_moved) retire_false_platform(record, what, size);
    if (any_moved || length_s > ALWAYS_JUDGED_S)
        while (retire_round(record, has_moved, what, size)) me_channels_count(record->channels, n);
    free(has_moved);
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
    enum me_fault fault = me_series_energy(&record->series, channel, c, first, last, energy);
    if (fault || channel->kind != ME_KIND_COUNTER || energy->uj) return fault;
    return me_evaluate_duration_s(record, first, last) > 0 ? ME_FAULT_SHORT : fault;
}

double me_evaluate_total_j(const struct me_record *record, size_t first, size_t last, bool is_phase,
                           char *note, size_t size)
{
    struct me_energy total = {0}, one = {0};
    size_t counted = 0, faults = 0, to_blame = 0;
    enum me_fault first_fault = ME_FAULT_NONE;
    for (size_t c = 0; c < record->channel_count; c++) {
        if (!record->channels[c].counted) continue;
        counted++;
        enum me_fault fault =
            is_phase ? me_evaluate_phase(record, c, first, last, &one)
                     : me_series_energy(&record->series, &record->channels[c], c, first, last, &one);
        if (!fault && __builtin_add_overflow(total.uj, one.uj, &total.uj)) fault = ME_FAULT_RANGE;
        if (!fault) continue;
        if (!faults++) {
            to_blame = c;
            first_fault = fault;
        }
    }
    if (counted && !faults) return me_energy_j(total);
    if (faults)
        remark_fault(note, size, record->channels[to_blame].name, first_fault, faults - 1);
    else
        remark_none(record, note, size);
    return NAN;
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
