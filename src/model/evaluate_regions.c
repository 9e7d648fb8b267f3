#include "evaluate.h"
#include "rows.h"
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

/* In a record they stand as they began: of two that began at one edge the second is within the first, or came
 * when that had ended. */
static int compare(const void *a, const void *b)
{
    const struct me_region_call *x = *(const struct me_region_call *const *)a;
    const struct me_region_call *y = *(const struct me_region_call *const *)b;
    if (x->repeat != y->repeat) return x->repeat < y->repeat ? -1 : 1;
    int order = strcmp(x->region, y->region);
    if (order) return order;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return (x > y) - (x < y);
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

static double mean_length_s(const struct me_record *record, const struct me_region_call *const *calls,
                            size_t n)
{
    double sum_s = 0;
    for (size_t i = 0; i < n; i++) sum_s += me_evaluate_duration_s(record, calls[i]->first, calls[i]->last);
    return sum_s / (double)n;
}

/* Adds the energy between two samples; false if it is not known, and why. */
static bool add_energy(const struct me_record *record, uint32_t first, uint32_t last, struct me_energy *sum,
                       char *note, size_t size)
{
    struct me_energy one;
    if (!me_evaluate_total(record, first, last, false, &one, note, size)) return false;
    if (!__builtin_add_overflow(sum->uj, one.uj, &sum->uj)) return true;
    me_rows_remark(note, size, "%s", me_fault_text(ME_FAULT_RANGE));
    return false;
}

/* Whether the energy of a region in a repeat is known: not where its calls are shorter than the interval of a
 * slow channel, or where no counter ticked in all of them, for then it is less than a tick's, and not 0. */
static bool is_known(const struct me_row_region *row, struct me_energy sum, double mean_s, double interval_s,
                     char *note, size_t size)
{
    if (mean_s < interval_s)
        me_rows_remark(note, size, "shorter than the %.2g s between two values of its meter", interval_s);
    else if (!(row->duration_s > 0))
        me_rows_remark(note, size, "over before its begin was read");
    else if (!sum.uj)
        me_rows_remark(note, size, "no tick of its counters in it");
    else
        return true;
    return false;
}

/* Adds the calls [0, n) of one region in one repeat, sorted by their begin. A call within another of
 * the same name is part of it; of two that overlap the second counts from where the first ended. */
static void fill_row(struct me_row_region *row, const struct me_record *record,
                     const struct me_region_call *const *calls, size_t n)
{
    struct me_energy sum = {0};
    uint32_t covered = calls[0]->first;
    int32_t unseen = 0; /* calls whose marks were read at one moment */
    row->start_unix_ns = me_evaluate_unix_ns(record, covered);
    double mean_s = mean_length_s(record, calls, n), interval_s = longest_interval_s(record);
    bool known = true;
    for (size_t i = 0; i < n; i++) {
        if (i && calls[i]->last <= covered && calls[i]->first < covered) continue;
        uint32_t first = calls[i]->first > covered ? calls[i]->first : covered;
        row->calls++;
        unseen += first == calls[i]->last;
        row->duration_s += me_evaluate_duration_s(record, first, calls[i]->last);
        if (known && mean_s >= interval_s)
            known = add_energy(record, first, calls[i]->last, &sum, row->note, sizeof row->note);
        covered = calls[i]->last;
    }
    known = known && is_known(row, sum, mean_s, interval_s, row->note, sizeof row->note);
    row->energy_j = known ? me_energy_j(sum) : NAN;
    if (known && unseen)
        me_rows_remark(row->note, sizeof row->note,
                       "%d of its %d calls were over before their begin was read, and are not in it", unseen,
                       row->calls);
    if (known)
        me_evaluate_remark_coarse(record, calls[0]->first, covered, row->duration_s / row->calls, row->note,
                                  sizeof row->note);
}

/* As they came: import, load, train, test. */
static int by_start(const void *a, const void *b)
{
    const struct me_row_region *x = a, *y = b;
    if (x->repeat != y->repeat) return x->repeat < y->repeat ? -1 : 1;
    if (x->start_unix_ns != y->start_unix_ns) return x->start_unix_ns < y->start_unix_ns ? -1 : 1;
    return strcmp(x->region, y->region);
}

int me_evaluate_regions(const struct me_record *record, const struct me_row_machine *machine,
                        struct me_result *out)
{
    size_t n = 0;
    const struct me_region_call **calls = calloc(record->region_count + 1, sizeof *calls);
    out->regions = calloc(record->region_count + 1, sizeof *out->regions);
    if (!calls || !out->regions) {
        free(calls);
        return -1;
    }
    for (size_t i = 0; i < record->region_count; i++)
        if (is_reported(record, &record->regions[i])) calls[n++] = &record->regions[i];
    qsort(calls, n, sizeof *calls, compare);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n; next++)
            if (calls[next]->repeat != calls[i]->repeat || strcmp(calls[next]->region, calls[i]->region))
                break;
        struct me_row_region *row = &out->regions[out->region_count++];
        *row = (struct me_row_region){.machine_id = machine->machine_id, .repeat = calls[i]->repeat};
        memcpy(row->region, calls[i]->region, sizeof row->region);
        fill_row(row, record, calls + i, next - i);
        row->carbon_g = me_carbon_g(row->energy_j, machine->pue, machine->grid_gco2_per_kwh);
    }
    qsort(out->regions, out->region_count, sizeof *out->regions, by_start);
    free(calls);
    return 0;
}
