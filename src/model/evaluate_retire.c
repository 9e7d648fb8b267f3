/* Which channels prove, once all samples are there, not to be what they seemed. */
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
#define STALL_INTERVALS     5 /* a slow counter may stand still for some of its intervals */
#define TWINS_DIFFER        0.05

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

/* How many good readings there are; it stops at `enough`. */
static int count_good(const struct me_record *record, size_t c, int enough)
{
    const struct me_series *series = &record->series;
    int good = 0;
    for (size_t i = 0; i < series->count && good < enough; i++)
        good += series->readings[i * series->channels + c].state == ME_READING_OK;
    return good;
}

/* One round: each counted counter that was read and stood still. Returns whether there was one. */
static bool retire_round(struct me_record *record, const bool *has_moved, double length_s, char *what,
                         size_t size)
{
    bool retired = false;
    for (size_t c = 0; c < record->channel_count; c++) {
        struct me_channel *channel = &record->channels[c];
        if (!channel->counted || channel->kind != ME_KIND_COUNTER || has_moved[c]) continue;
        if (count_good(record, c, 2) < 2) continue; /* that it failed is told by its readings */
        if (length_s < STALL_INTERVALS * channel->interval_s) continue;
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

/* On boards that do not wire its sensor, psys moves and means nothing; and on some it does not see a
 * graphics card. A part cannot use more than the whole (a tenth is allowed for how they are calibrated). */
static void retire_false_platform(struct me_record *record, char *what, size_t size)
{
    uint64_t platform, packages, gpus;
    if (!scope_energy(record, ME_SCOPE_PLATFORM, true, &platform) ||
        !scope_energy(record, ME_SCOPE_PACKAGE, false, &packages) ||
        !scope_energy(record, ME_SCOPE_GPU, false, &gpus) || platform / 9 >= packages / 10 + gpus / 10)
        return;
    for (size_t c = 0; c < record->channel_count; c++) {
        struct me_channel *channel = &record->channels[c];
        if (channel->scope != ME_SCOPE_PLATFORM || !channel->counted) continue;
        snprintf(channel->why_not, sizeof channel->why_not, "shows less than the parts it covers");
        me_rows_remark(what, size, "%s shows less than the parts it covers and is not counted",
                       channel->name);
    }
    me_channels_count(record->channels, record->channel_count);
}

/* A wide meter that never said anything (a battery that charged, a service processor that did not
 * answer) makes room for the narrower ones that it covered; with all channels of its source, since a
 * node without one of its power supplies is no node. */
static bool retire_silent(struct me_record *record, char *what, size_t size)
{
    for (size_t c = 0; c < record->channel_count; c++) {
        struct me_channel silent = record->channels[c];
        if (!silent.counted || silent.scope < ME_SCOPE_PLATFORM || count_good(record, c, 1)) continue;
        for (size_t i = 0; i < record->channel_count; i++) {
            struct me_channel *channel = &record->channels[i];
            if (!channel->counted || channel->scope != silent.scope || strcmp(channel->source, silent.source))
                continue;
            snprintf(channel->why_not, sizeof channel->why_not, "%s gave no reading", silent.name);
        }
        me_rows_remark(what, size, "%s gave no reading and is not counted", silent.name);
        me_channels_count(record->channels, record->channel_count);
        return true;
    }
    return false;
}

/* Energy of a channel over all run phases; false if it is not known in one of them. */
static bool run_energy(const struct me_record *record, const struct me_channel *channel, double *energy_j)
{
    size_t c = (size_t)(channel - record->channels), runs = 0;
    *energy_j = 0;
    for (size_t i = 0; i < record->span_count; i++) {
        const struct me_span *span = &record->spans[i];
        struct me_energy energy;
        if (span->phase != ME_PHASE_RUN) continue;
        if (me_evaluate_phase(record, c, span->first, span->last, &energy)) return false;
        *energy_j += me_energy_j(energy);
        runs++;
    }
    return runs > 0;
}

/* Two sources that show one thing differently: one of them is wrong. Which one is known only of the
 * power PMU: it takes its units from a table in the kernel as powercap does, but powercap's zones are
 * what all tools are checked against. */
static bool compare_twins(struct me_record *record, char *what, size_t size)
{
    bool changed = false;
    for (size_t c = 0; c < record->channel_count; c++) {
        struct me_channel *channel = &record->channels[c];
        const struct me_channel *twin = me_channel_twin(record->channels, record->channel_count, channel);
        double own_j, twin_j;
        if (!twin || channel->cls == ME_CLASS_MODELLED) continue;
        if (!run_energy(record, channel, &own_j) || !run_energy(record, twin, &twin_j)) continue;
        double apart = fabs(own_j - twin_j) / fmax(fmax(own_j, twin_j), 1e-6);
        if (apart <= TWINS_DIFFER) continue;
        me_rows_remark(what, size, "%s of %s and %s of %s differ by %.0f %%: %.6g J and %.6g J", twin->name,
                       twin->source, channel->name, channel->source, apart * 100, twin_j, own_j);
        if (strcmp(twin->source, "perf") || strcmp(channel->source, "powercap")) continue;
        struct me_channel *refuted = &record->channels[twin - record->channels];
        snprintf(refuted->why_not, sizeof refuted->why_not, "differs by %.0f %% from %.40s", apart * 100,
                 channel->name);
        changed = true;
    }
    return changed;
}

void me_evaluate_retire(struct me_record *record, char *what, size_t size)
{
    size_t n = record->channel_count, samples = record->series.count;
    what[0] = '\0';
    if (!n || !samples) return;
    while (retire_silent(record, what, size)) {
    }
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
        while (retire_round(record, has_moved, length_s, what, size)) me_channels_count(record->channels, n);
    free(has_moved);
    if (compare_twins(record, what, size)) me_channels_count(record->channels, n);
}
