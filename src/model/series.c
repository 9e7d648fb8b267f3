#include "me/series.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STALL_NS UINT64_C(1000000000) /* a counter that stands still for longer does not work */

void me_series_init(struct me_series *series, size_t channels)
{
    *series = (struct me_series){.channels = channels};
}

void me_series_release(struct me_series *series)
{
    if (!series) return;
    free(series->time_ns);
    free(series->readings);
    me_series_init(series, series->channels);
}

static int grow(struct me_series *series)
{
    size_t capacity = series->capacity ? series->capacity * 2 : 64;
    size_t row = series->channels * sizeof *series->readings;
    if (capacity > SIZE_MAX / sizeof *series->time_ns || (row && capacity > SIZE_MAX / row)) return -1;
    int64_t *time_ns = realloc(series->time_ns, capacity * sizeof *time_ns);
    if (!time_ns) return -1;
    series->time_ns = time_ns;
    if (row) {
        struct me_reading *readings = realloc(series->readings, capacity * row);
        if (!readings) return -1;
        series->readings = readings;
    }
    series->capacity = capacity;
    return 0;
}

int me_series_append(struct me_series *series, int64_t time_ns, const struct me_reading *readings,
                     struct me_error *err)
{
    if (series->count && time_ns < series->time_ns[series->count - 1])
        return me_fail(err, ME_E_RUN, "samples: time runs backwards");
    if (series->count == series->capacity && grow(series))
        return me_fail(err, ME_E_RUN, "samples: no memory for more than %zu", series->count);
    series->time_ns[series->count] = time_ns;
    if (series->channels)
        memcpy(series->readings + series->count * series->channels, readings,
               series->channels * sizeof *readings);
    series->count++;
    return 0;
}

const char *me_fault_text(enum me_fault fault)
{
    switch (fault) {
    case ME_FAULT_NONE:
        return "";
    case ME_FAULT_ABSENT:
        return "no reading";
    case ME_FAULT_EDGE:
        return "the reading at the begin or the end failed";
    case ME_FAULT_TOO_LONG:
        return "readings too far apart to see every wrap";
    case ME_FAULT_STALLED:
        return "the counter did not move";
    case ME_FAULT_BACKWARDS:
        return "the counter ran backwards";
    case ME_FAULT_RANGE:
        return "a reading out of range";
    case ME_FAULT_SHORT:
        return "shorter than the counter's tick";
    }
    return "";
}

static const struct me_reading *at(const struct me_series *series, size_t c, size_t sample)
{
    return &series->readings[sample * series->channels + c];
}

/* Times ascend, so the unsigned difference is exact whatever their signs. */
static uint64_t interval_ns(const struct me_series *series, size_t from, size_t to)
{
    return (uint64_t)series->time_ns[to] - (uint64_t)series->time_ns[from];
}

static bool is_good(const struct me_reading *reading, enum me_kind kind)
{
    return reading->state == ME_READING_OK && (kind == ME_KIND_COUNTER || isfinite(reading->level));
}

static enum me_fault check_edges(const struct me_series *series, enum me_kind kind, size_t c, size_t first,
                                 size_t last)
{
    if (is_good(at(series, c, first), kind) && is_good(at(series, c, last), kind)) return ME_FAULT_NONE;
    for (size_t i = first; i <= last; i++)
        if (at(series, c, i)->state != ME_READING_ABSENT) return ME_FAULT_EDGE;
    return ME_FAULT_ABSENT;
}

/* What the counter grew by between two good readings. A second wrap between them is excluded by
 * the safe interval, not by arithmetic. */
static enum me_fault counter_step(uint64_t before, uint64_t after, uint64_t range, uint64_t *step)
{
    if (range && (before >= range || after >= range)) return ME_FAULT_RANGE;
    if (after < before && !range) return ME_FAULT_BACKWARDS;
    *step = after >= before ? after - before : range - before + after;
    return ME_FAULT_NONE;
}

/* A counter that was set back (by a suspend, a reset of the firmware) falls as one that wraps does, but
 * would have had to grow by nearly its whole range since it last moved. A second is allowed for, since
 * a reading may be stale. safe_ns is range / maximum power, so this is step <= power x time. */
static bool can_be_wrap(uint64_t step, uint64_t range, uint64_t since_ns, double safe_ns)
{
    return (double)step * safe_ns <= (double)range * (double)(since_ns + STALL_NS);
}

static enum me_fault counter_energy(const struct me_series *series, const struct me_channel *channel,
                                    size_t c, size_t first, size_t last, uint64_t *uj)
{
    double safe_ns = me_channel_safe_interval_s(channel) * 1e9;
    uint64_t total = 0;
    size_t good = first, moved = first;      /* the last good sample, and the last that showed a new value */
    for (size_t i = first; i <= last; i++) { /* the first step is 0, and checks the first reading */
        uint64_t step;
        if (at(series, c, i)->state != ME_READING_OK) continue;
        if ((double)interval_ns(series, good, i) > safe_ns) return ME_FAULT_TOO_LONG;
        enum me_fault fault =
            counter_step(at(series, c, good)->count, at(series, c, i)->count, channel->range, &step);
        if (fault) return fault;
        bool fell = at(series, c, i)->count < at(series, c, good)->count;
        if (fell && !can_be_wrap(step, channel->range, interval_ns(series, moved, i), safe_ns))
            return ME_FAULT_BACKWARDS;
        if (step && moved == first && interval_ns(series, first, good) > STALL_NS) return ME_FAULT_STALLED;
        if (step) moved = i;
        if (__builtin_add_overflow(total, step, &total)) return ME_FAULT_RANGE;
        good = i;
    }
    if (interval_ns(series, moved, last) > STALL_NS) return ME_FAULT_STALLED;
    *uj = total;
    return ME_FAULT_NONE;
}

static enum me_fault gauge_energy(const struct me_series *series, size_t c, size_t first, size_t last,
                                  uint64_t *uj)
{
    double total_uj = 0; /* W x ns x 1e-3 = uJ; rounded once, at the end */
    size_t good = first;
    for (size_t i = first + 1; i <= last; i++) {
        if (!is_good(at(series, c, i), ME_KIND_GAUGE)) continue;
        double mean_w = at(series, c, good)->level / 2 + at(series, c, i)->level / 2;
        total_uj += mean_w * (double)interval_ns(series, good, i) * 1e-3;
        good = i;
    }
    if (!(total_uj > -0.5 && total_uj < 0x1p63)) return ME_FAULT_RANGE;
    *uj = (uint64_t)llround(total_uj);
    return ME_FAULT_NONE;
}

enum me_fault me_series_energy(const struct me_series *series, const struct me_channel *channel, size_t c,
                               size_t first, size_t last, struct me_energy *energy)
{
    enum me_fault fault = check_edges(series, channel->kind, c, first, last);
    if (fault) return fault;
    uint64_t uj;
    fault = channel->kind == ME_KIND_COUNTER ? counter_energy(series, channel, c, first, last, &uj)
                                             : gauge_energy(series, c, first, last, &uj);
    if (!fault) energy->uj = uj;
    return fault;
}
