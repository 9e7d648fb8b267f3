/* What a channel used, or did, between two samples: counters by steps, gauges by time. */
#include "me/series.h"
#include <math.h>

#define STALL_NS UINT64_C(1000000000) /* a counter that stands still for longer does not work */
/* ... but one with an interval of its own may do so for some of them, and be unread for more. */
#define STALL_INTERVALS 5
#define GAP_INTERVALS   10

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
        return "shorter than the meter's own period";
    case ME_FAULT_GAP:
        return "the meter was not read for too long";
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

/* What of a step cannot be energy. A stall's time is allowed for, since a reading may be stale. Maximum powers
 * are no physical bounds: the kernel shows thermal design power for processors that boost to several times it,
 * others are guesses, and an honest reading that is refused costs a machine its energy. Hence the margins: a
 * counter is set back by each suspend or reset of the firmware, and by chance it then falls as one that wraps;
 * one that jumps forward is nonsense by far, if ever. */
enum { WRAP_MARGIN = 4, JUMP_MARGIN = 10 };

/* A counter that was set back falls as one that wraps does, but would have had to grow by nearly its whole range
 * since it last moved. safe_ns is range / maximum power, so this is step <= margin x power x time. */
static bool can_be_wrap(uint64_t step, uint64_t range, uint64_t since_ns, double safe_ns)
{
    return (double)step * safe_ns <= WRAP_MARGIN * (double)range * (double)since_ns;
}

/* Else it is a reading that was torn, or a counter that was set forward. */
static bool can_be_energy(uint64_t step, double max_power_w, uint64_t since_ns)
{
    return !(max_power_w > 0) || (double)step <= JUMP_MARGIN * max_power_w * (double)since_ns * 1e-3;
}

static uint64_t stall_ns(const struct me_channel *channel)
{
    double own_ns = channel->interval_s * 1e9 * STALL_INTERVALS;
    return own_ns > (double)STALL_NS ? (uint64_t)own_ns : STALL_NS;
}

static uint64_t gap_ns(const struct me_channel *channel)
{
    return STALL_NS + (uint64_t)(channel->interval_s * 1e9 * GAP_INTERVALS);
}

/* What is followed from one good reading to the next, and what comes of it. */
struct walk {
    const struct me_series *series;
    const struct me_channel *channel;
    size_t c, first, last; /* the span */
    size_t from, to;       /* the good readings that hold it: the span itself, or around it */
    size_t near;           /* the last good reading at or before the begin; `from` may lie before it */
    uint64_t whole;        /* of steps inside the span, exact */
    double parts;          /* of steps that an edge cuts */
    size_t moved;          /* counters: the reading that last showed a new value */
};

/* How much of the time between two readings lies in the span, 0..1. */
static double share_inside(const struct walk *w, size_t before, size_t after)
{
    int64_t begin = w->series->time_ns[before], end = w->series->time_ns[after];
    int64_t first = w->series->time_ns[w->first], last = w->series->time_ns[w->last];
    if (begin < first) begin = first;
    if (end > last) end = last;
    uint64_t length = interval_ns(w->series, before, after);
    return begin >= end || !length ? 0 : (double)((uint64_t)end - (uint64_t)begin) / (double)length;
}

static bool is_cut(const struct walk *w, size_t before, size_t after)
{
    const int64_t *time_ns = w->series->time_ns;
    return time_ns[before] < time_ns[w->first] || time_ns[after] > time_ns[w->last];
}

static enum me_fault follow_counter(struct walk *w, size_t before, size_t after)
{
    const struct me_channel *channel = w->channel;
    uint64_t was = at(w->series, w->c, before)->count, is = at(w->series, w->c, after)->count, step;
    uint64_t stalls_ns = stall_ns(channel);
    double safe_ns = me_channel_safe_interval_s(channel) * 1e9;
    if ((double)interval_ns(w->series, before, after) > safe_ns) return ME_FAULT_TOO_LONG;
    enum me_fault fault = counter_step(was, is, channel->range, &step);
    if (fault) return fault;
    uint64_t since_ns = interval_ns(w->series, w->moved, after) + stalls_ns;
    if (is < was && !can_be_wrap(step, channel->range, since_ns, safe_ns)) return ME_FAULT_BACKWARDS;
    if (!channel->activity && !can_be_energy(step, channel->max_power_w, since_ns)) return ME_FAULT_RANGE;
    bool stood = step && w->moved == w->from && interval_ns(w->series, w->near, before) > stalls_ns;
    if (stood && before > w->near && !channel->activity) return ME_FAULT_STALLED;
    if (!step) return ME_FAULT_NONE;
    /* It is what was used since the step before it, however often the counter was read meanwhile. */
    if (!channel->activity) before = w->moved;
    w->moved = after;
    if (is_cut(w, before, after))
        w->parts += (double)step * share_inside(w, before, after);
    else if (__builtin_add_overflow(w->whole, step, &w->whole))
        return ME_FAULT_RANGE;
    return ME_FAULT_NONE;
}

/* W x ns x 1e-3 = uJ, and the same for any other level; all in `parts`, rounded once, at the end. */
static enum me_fault follow_gauge(struct walk *w, size_t before, size_t after)
{
    double was = at(w->series, w->c, before)->level, is = at(w->series, w->c, after)->level;
    double length_ns = (double)interval_ns(w->series, before, after), from = 0, to = 1;
    if (is_cut(w, before, after)) {
        double share = share_inside(w, before, after);
        if (w->series->time_ns[before] < w->series->time_ns[w->first] && length_ns > 0)
            from = (double)interval_ns(w->series, before, w->first) / length_ns;
        if (from > 1) from = 1;
        to = from + share;
    }
    double middle = (from + to) / 2;
    w->parts += (was * (1 - middle) + is * middle) * length_ns * (to - from) * 1e-3;
    return ME_FAULT_NONE;
}

static enum me_fault follow(struct walk *w)
{
    enum me_kind kind = w->channel->kind;
    uint64_t longest_ns = w->channel->interval_s > 0 ? gap_ns(w->channel) : UINT64_MAX;
    size_t good = w->from;
    w->moved = w->from;
    for (size_t i = w->from; i <= w->to; i++) { /* the first step is 0, and checks the first reading */
        if (!is_good(at(w->series, w->c, i), kind)) continue;
        if (interval_ns(w->series, good, i) > longest_ns) return ME_FAULT_GAP;
        enum me_fault fault = kind == ME_KIND_COUNTER ? follow_counter(w, good, i) : follow_gauge(w, good, i);
        if (fault) return fault;
        good = i;
    }
    bool stood = kind == ME_KIND_COUNTER && interval_ns(w->series, w->moved, w->to) > stall_ns(w->channel);
    return stood && !w->channel->activity ? ME_FAULT_STALLED : ME_FAULT_NONE;
}

/* Where a counter may have moved last before the span, and will next behind it. */
struct reach {
    size_t begin, end;   /* sought from these samples on, ... */
    uint64_t longest_ns; /* ... so far and no further */
};

/* One and a half of the longest time between two steps within the span: a GPU that rested at 0 W stood still
 * for longer before it got to work, and what it shows next was not used meanwhile. A stall's time about the
 * edges where the span has no two steps. */
static struct reach find_reach(const struct walk *w)
{
    struct reach reach = {.begin = w->first, .end = w->last, .longest_ns = stall_ns(w->channel)};
    size_t shown = w->near, first = 0, step = 0;
    uint64_t longest_ns = 0;
    for (size_t i = w->near; i <= w->last; i++) {
        const struct me_reading *reading = at(w->series, w->c, i);
        if (!is_good(reading, ME_KIND_COUNTER) || reading->count == at(w->series, w->c, shown)->count)
            continue;
        if (!step) first = i;
        if (step && interval_ns(w->series, step, i) > longest_ns)
            longest_ns = interval_ns(w->series, step, i);
        shown = step = i;
    }
    longest_ns += longest_ns / 2;
    if (longest_ns && longest_ns < reach.longest_ns)
        reach = (struct reach){.begin = first, .end = step, .longest_ns = longest_ns};
    return reach;
}

/* A counter that moves less often than it is read: from the reading that first showed the value at the
 * begin to the one that first shows a new value behind the end, for only there the value is true. */
static void reach_steps(struct walk *w)
{
    const struct me_series *series = w->series;
    const struct reach reach = find_reach(w);
    const uint64_t begin = at(series, w->c, w->from)->count;
    size_t last = w->near;
    for (size_t i = w->from; i-- > 0 && interval_ns(series, i, reach.begin) <= reach.longest_ns;) {
        if (!is_good(at(series, w->c, i), ME_KIND_COUNTER)) continue;
        if (at(series, w->c, i)->count != begin) break;
        w->from = i;
    }
    for (size_t i = w->near; i <= w->last; i++)
        if (is_good(at(series, w->c, i), ME_KIND_COUNTER)) last = i;
    const uint64_t end = at(series, w->c, last)->count;
    for (size_t i = w->to; i < series->count && interval_ns(series, reach.end, i) <= reach.longest_ns; i++) {
        const struct me_reading *reading = at(series, w->c, i);
        if (!is_good(reading, ME_KIND_COUNTER) || reading->count == end) continue;
        if (reading->count > end || w->channel->range) w->to = i;
        return;
    }
}

/* The good readings around the span of a channel that is not read at its edges. */
static enum me_fault reach_around(struct walk *w)
{
    enum me_kind kind = w->channel->kind;
    const int64_t *time_ns = w->series->time_ns;
    size_t end = w->series->count, begin = w->first;
    bool before = false;
    while (begin + 1 < end && time_ns[begin + 1] == time_ns[w->first]) begin++; /* at the edge's moment */
    for (size_t i = begin + 1; i-- > 0 && !before;)
        if (is_good(at(w->series, w->c, i), kind)) {
            w->from = i;
            before = true;
        }
    for (w->to = w->last; w->to > w->from && time_ns[w->to - 1] == time_ns[w->last];) w->to--;
    while (w->to < end && !is_good(at(w->series, w->c, w->to), kind)) w->to++;
    w->near = w->from;
    if (before && w->to < end) {
        if (kind == ME_KIND_COUNTER && !w->channel->activity) reach_steps(w);
        return ME_FAULT_NONE;
    }
    for (size_t i = w->first; i <= w->last; i++)
        if (at(w->series, w->c, i)->state != ME_READING_ABSENT) return ME_FAULT_EDGE;
    return ME_FAULT_ABSENT;
}

static enum me_fault walk_span(struct walk *w)
{
    enum me_fault fault = w->channel->interval_s > 0
                              ? reach_around(w)
                              : check_edges(w->series, w->channel->kind, w->c, w->first, w->last);
    return fault ? fault : follow(w);
}

enum me_fault me_series_energy(const struct me_series *series, const struct me_channel *channel, size_t c,
                               size_t first, size_t last, struct me_energy *energy)
{
    struct walk walk = {.series = series,
                        .channel = channel,
                        .c = c,
                        .first = first,
                        .last = last,
                        .from = first,
                        .near = first,
                        .to = last};
    if (channel->activity) return ME_FAULT_ABSENT;
    enum me_fault fault = walk_span(&walk);
    if (fault) return fault;
    if (!(walk.parts > -0.5 && walk.parts < 0x1p63)) return ME_FAULT_RANGE;
    uint64_t uj;
    if (__builtin_add_overflow(walk.whole, (uint64_t)llround(walk.parts), &uj)) return ME_FAULT_RANGE;
    energy->uj = uj;
    return ME_FAULT_NONE;
}

double me_series_period_s(const struct me_series *series, const struct me_channel *channel, size_t c,
                          size_t first, size_t last)
{
    struct walk w = {.series = series, .channel = channel, .c = c, .first = first, .last = last};
    uint64_t longest_ns = 0;
    if (channel->interval_s <= 0 || reach_around(&w)) return channel->interval_s;
    size_t knot = w.from;
    for (size_t i = w.from; i <= w.to; i++) {
        const struct me_reading *reading = at(series, c, i);
        if (!is_good(reading, channel->kind)) continue;
        if (channel->kind == ME_KIND_COUNTER && i < w.to && reading->count == at(series, c, knot)->count)
            continue;
        if (interval_ns(series, knot, i) > longest_ns) longest_ns = interval_ns(series, knot, i);
        knot = i;
    }
    return fmax(channel->interval_s, (double)longest_ns * 1e-9);
}

static void find_extremes(const struct walk *w, struct me_activity *activity)
{
    activity->low = INFINITY;
    activity->high = -INFINITY;
    for (size_t i = w->from; i <= w->to; i++) {
        const struct me_reading *reading = at(w->series, w->c, i);
        if (!is_good(reading, ME_KIND_GAUGE)) continue;
        activity->low = fmin(activity->low, reading->level);
        activity->high = fmax(activity->high, reading->level);
    }
}

enum me_fault me_series_activity(const struct me_series *series, const struct me_channel *channel, size_t c,
                                 size_t first, size_t last, struct me_activity *activity)
{
    struct walk walk = {.series = series,
                        .channel = channel,
                        .c = c,
                        .first = first,
                        .last = last,
                        .from = first,
                        .near = first,
                        .to = last};
    enum me_fault fault = walk_span(&walk);
    if (fault) return fault;
    double length_ns = (double)interval_ns(series, first, last);
    if (channel->kind == ME_KIND_COUNTER) {
        *activity = (struct me_activity){(double)walk.whole + walk.parts, NAN, NAN};
        return ME_FAULT_NONE;
    }
    if (!(length_ns > 0)) return ME_FAULT_SHORT;
    activity->value = walk.parts * 1e3 / length_ns;
    find_extremes(&walk, activity);
    return ME_FAULT_NONE;
}
