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
#define TICK_S              0.002 /* two of RAPL's: they may stand on either side of each edge */
#define PART_OF_WHOLE       0.9

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

/* Energy of the measured channels of one scope that `channels` counts, over a phase. False if it is not
 * known. */
static bool scope_energy(const struct me_record *record, const struct me_channel *channels,
                         enum me_scope scope, const struct me_span *span, double *energy_j)
{
    for (size_t c = 0; c < record->channel_count; c++) {
        struct me_energy energy;
        if (channels[c].scope != scope || !channels[c].counted || channels[c].cls == ME_CLASS_MODELLED)
            continue;
        if (me_evaluate_phase(record, c, span->first, span->last, &energy)) return false;
        *energy_j += me_energy_j(energy);
    }
    return true;
}

/* Over the run phases in which all of them are known: what the platform shows, and what would count as
 * packages and GPUs without it (in `parts`), each once however many sources show it. */
static bool is_less_than_parts(const struct me_record *record, const struct me_channel *parts)
{
    double platform_j = 0, parts_j = 0;
    for (size_t i = 0; i < record->span_count; i++) {
        const struct me_span *span = &record->spans[i];
        double whole_j = 0, part_j = 0;
        if (span->phase != ME_PHASE_RUN) continue;
        if (!scope_energy(record, record->channels, ME_SCOPE_PLATFORM, span, &whole_j) ||
            !scope_energy(record, parts, ME_SCOPE_PACKAGE, span, &part_j) ||
            !scope_energy(record, parts, ME_SCOPE_GPU, span, &part_j))
            continue;
        platform_j += whole_j;
        parts_j += part_j;
    }
    return platform_j < PART_OF_WHOLE * parts_j;
}

static bool has_platform(const struct me_record *record)
{
    for (size_t c = 0; c < record->channel_count; c++)
        if (record->channels[c].counted && record->channels[c].scope == ME_SCOPE_PLATFORM) return true;
    return false;
}

/* On boards that do not wire its sensor, psys moves and means nothing; and on some it does not see a
 * graphics card. A part cannot use more than the whole (a tenth is allowed for how they are calibrated). */
static bool retire_false_platform(struct me_record *record, char *what, size_t size)
{
    static const char why[] = "shows less than the parts it covers";
    size_t n = record->channel_count;
    if (!has_platform(record)) return false;
    struct me_channel *parts = calloc(n, sizeof *parts);
    if (!parts) return false;
    memcpy(parts, record->channels, n * sizeof *parts);
    for (size_t c = 0; c < n; c++)
        if (parts[c].scope == ME_SCOPE_PLATFORM) snprintf(parts[c].why_not, sizeof parts[c].why_not, why);
    me_channels_count(parts, n);
    bool is_false = is_less_than_parts(record, parts);
    free(parts);
    for (size_t c = 0; is_false && c < n; c++) {
        struct me_channel *channel = &record->channels[c];
        if (channel->scope != ME_SCOPE_PLATFORM || !channel->counted) continue;
        snprintf(channel->why_not, sizeof channel->why_not, why);
        me_rows_remark(what, size, "%s %s and is not counted", channel->name, why);
    }
    if (is_false) me_channels_count(record->channels, n);
    return is_false;
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

/* Energy of a channel over all run phases, and what one of their edges may be off by in all; false if it
 * is not known in one of them. */
static bool run_energy(const struct me_record *record, const struct me_channel *channel, double *energy_j,
                       double *slack_j)
{
    size_t c = (size_t)(channel - record->channels), runs = 0;
    *energy_j = *slack_j = 0;
    for (size_t i = 0; i < record->span_count; i++) {
        const struct me_span *span = &record->spans[i];
        struct me_energy energy;
        if (span->phase != ME_PHASE_RUN) continue;
        if (me_evaluate_phase(record, c, span->first, span->last, &energy)) return false;
        double length_s = me_evaluate_duration_s(record, span->first, span->last);
        double period_s = me_series_period_s(&record->series, channel, c, span->first, span->last);
        *energy_j += me_energy_j(energy);
        if (length_s > 0) *slack_j += me_energy_j(energy) / length_s * fmax(TICK_S, period_s);
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
        double own_j, twin_j, own_slack_j, twin_slack_j;
        if (!twin || channel->cls == ME_CLASS_MODELLED) continue;
        if (!run_energy(record, channel, &own_j, &own_slack_j) ||
            !run_energy(record, twin, &twin_j, &twin_slack_j))
            continue;
        double apart_j = fabs(own_j - twin_j), larger_j = fmax(fmax(own_j, twin_j), 1e-6);
        if (apart_j <= TWINS_DIFFER * larger_j + 2 * fmax(own_slack_j, twin_slack_j)) continue;
        double apart = apart_j / larger_j;
        char remark[192];
        snprintf(remark, sizeof remark, "%s of %s and %s of %s differ by %.0f %%: %.6g J and %.6g J",
                 twin->name, twin->source, channel->name, channel->source, apart * 100, twin_j, own_j);
        if (!strstr(what, remark)) me_rows_remark(what, size, "%s", remark); /* said in an earlier round */
        if (strcmp(twin->source, "perf") || strcmp(channel->source, "powercap")) continue;
        struct me_channel *refuted = &record->channels[twin - record->channels];
        snprintf(refuted->why_not, sizeof refuted->why_not, "differs by %.0f %% from %.40s", apart * 100,
                 channel->name);
        changed = true;
    }
    if (changed) me_channels_count(record->channels, record->channel_count);
    return changed;
}

static bool is_same_part(const struct me_channel *a, const struct me_channel *b)
{
    if (a->scope != b->scope || a->activity || b->activity) return false;
    if (a->scope == ME_SCOPE_GPU) return a->device[0] && !strcmp(a->device, b->device);
    return a->scope == ME_SCOPE_NODE || a->package == b->package;
}

/* What one source cannot read and another one counts is not missing; the reason says so. */
static void tell_substitutes(struct me_record *record)
{
    for (size_t c = 0; c < record->channel_count; c++) {
        struct me_channel *channel = &record->channels[c];
        if (channel->counted || !me_channel_is_missing(channel->why_not)) continue;
        for (size_t i = 0; i < record->channel_count; i++) {
            const struct me_channel *other = &record->channels[i];
            char why_not[sizeof channel->why_not];
            if (!other->counted || !strcmp(other->source, channel->source) || !is_same_part(other, channel))
                continue;
            memcpy(why_not, channel->why_not, sizeof why_not);
            snprintf(channel->why_not, sizeof channel->why_not, "%.30s counts instead; %.45s", other->name,
                     why_not);
            break;
        }
    }
}

static bool retire_counters(struct me_record *record, char *what, size_t size)
{
    size_t n = record->channel_count;
    double length_s = me_evaluate_duration_s(record, 0, record->series.count - 1);
    if (length_s < SHORTEST_TO_JUDGE_S) return false;
    bool *has_moved = calloc(n, sizeof *has_moved);
    if (!has_moved) return false; /* the counters stay, and their spans say that they stalled */
    bool any_moved = false, changed = false;
    for (size_t c = 0; c < n; c++) {
        has_moved[c] = moved(record, c);
        any_moved = any_moved || has_moved[c];
    }
    if (any_moved) changed = retire_false_platform(record, what, size);
    if (any_moved || length_s > ALWAYS_JUDGED_S)
        changed |= retire_round(record, has_moved, length_s, what, size);
    if (changed) me_channels_count(record->channels, n);
    free(has_moved);
    return changed;
}

void me_evaluate_retire(struct me_record *record, char *what, size_t size)
{
    what[0] = '\0';
    if (!record->channel_count || !record->series.count) return;
    /* With one out, another that it covered comes in, and may be no better. */
    while (retire_silent(record, what, size) || retire_counters(record, what, size) ||
           compare_twins(record, what, size)) {
    }
    tell_substitutes(record);
}
