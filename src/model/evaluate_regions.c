#include "evaluate.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A region belongs to the phase it happened in; what a warm-up marked is not reported. A call whose
 * phase was never recorded (the stream was cut off) is kept. */
static bool is_reported(const struct me_record *record, const struct me_region_call *call)
{
    bool found = false;
    for (size_t i = 0; i < record->span_count; i++) {
        const struct me_span *span = &record->spans[i];
        if (call->first < span->first || call->last > span->last) continue;
        if (span->phase == ME_PHASE_RUN) return true;
        found = true;
    }
    return !found;
}

static int compare(const void *a, const void *b)
{
    const struct me_region_call *x = a, *y = b;
    if (x->repeat != y->repeat) return x->repeat < y->repeat ? -1 : 1;
    int order = strcmp(x->region, y->region);
    if (order) return order;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return (x->last < y->last) - (x->last > y->last); /* the outer one first */
}

/* Of the counted channels. What is shorter got the mean of what lay around it: of two regions that take
 * turns, the hungry one would be flattered and the other one blamed. */
static double longest_interval_s(const struct me_record *record)
{
    double longest_s = 0;
    for (size_t c = 0; c < record->channel_count; c++)
        if (record->channels[c].counted) longest_s = fmax(longest_s, record->channels[c].interval_s);
    return longest_s;
}

static double mean_length_s(const struct me_record *record, const struct me_region_call *calls, size_t n)
{
    double sum_s = 0;
    for (size_t i = 0; i < n; i++) sum_s += me_evaluate_duration_s(record, calls[i].first, calls[i].last);
    return sum_s / (double)n;
}

/* Adds the calls [0, n) of one region in one repeat, sorted by their begin. A call within another of
 * the same name is part of it; of two that overlap the second counts from where the first ended. */
static void fill_row(struct me_row_region *row, const struct me_record *record,
                     const struct me_region_call *calls, size_t n)
{
    char note[64] = "";
    uint32_t covered = calls[0].first;
    bool is_known = mean_length_s(record, calls, n) >= longest_interval_s(record);
    for (size_t i = 0; i < n; i++) {
        if (i && calls[i].last <= covered && calls[i].first < covered) continue;
        uint32_t first = calls[i].first > covered ? calls[i].first : covered;
        row->calls++;
        row->duration_s += me_evaluate_duration_s(record, first, calls[i].last);
        row->energy_j +=
            is_known ? me_evaluate_total_j(record, first, calls[i].last, false, note, sizeof note) : NAN;
        covered = calls[i].last;
    }
    /* No tick in all of its calls: its energy is less than a tick's, and not 0. */
    if (row->duration_s > 0 && row->energy_j <= 0) row->energy_j = NAN;
}

int me_evaluate_regions(const struct me_record *record, int32_t machine_id, int first_repeat,
                        struct me_result *out)
{
    size_t n = 0;
    struct me_region_call *calls = calloc(record->region_count + 1, sizeof *calls);
    out->regions = calloc(record->region_count + 1, sizeof *out->regions);
    if (!calls || !out->regions) {
        free(calls);
        return -1;
    }
    for (size_t i = 0; i < record->region_count; i++)
        if (is_reported(record, &record->regions[i])) calls[n++] = record->regions[i];
    qsort(calls, n, sizeof *calls, compare);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n; next++)
            if (calls[next].repeat != calls[i].repeat || strcmp(calls[next].region, calls[i].region)) break;
        struct me_row_region *row = &out->regions[out->region_count++];
        int64_t repeat = (int64_t)calls[i].repeat + first_repeat;
        *row = (struct me_row_region){.machine_id = machine_id,
                                      .repeat = repeat > INT32_MAX ? INT32_MAX : (int32_t)repeat};
        memcpy(row->region, calls[i].region, sizeof row->region);
        fill_row(row, record, calls + i, next - i);
    }
    free(calls);
    return 0;
}
