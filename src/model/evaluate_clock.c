/* The machine's clock beside the head's. */
#include <math.h>
#include "evaluate.h"

void me_evaluate_clock(const struct me_record *record, enum me_clock_when when, double *offset_s,
                       double *bound_s)
{
    const struct me_clock_offset *clock = &record->clocks[when];
    int64_t ahead_ns;
    *offset_s = *bound_s = NAN;
    if (!clock->known ||
        __builtin_add_overflow(clock->mono_minus_head_ns, record->facts.unix_minus_mono_ns, &ahead_ns))
        return;
    *offset_s = me_ns_to_s(ahead_ns);
    *bound_s = me_ns_to_s(clock->bound_ns);
}

/* The first sample is as old as the look at the start, the last one as that at the end, but for what the drift of a
 * clock makes in a second: some microseconds. */
void me_evaluate_clock_at(const struct me_record *record, size_t sample, double *offset_s, double *bound_s)
{
    double end_s, end_bound_s;
    me_evaluate_clock(record, ME_CLOCK_START, offset_s, bound_s);
    me_evaluate_clock(record, ME_CLOCK_END, &end_s, &end_bound_s);
    if (isnan(end_s) || isnan(*offset_s) || !record->series.count) return;
    double whole_s = me_evaluate_duration_s(record, 0, record->series.count - 1);
    double share = whole_s > 0 ? me_evaluate_duration_s(record, 0, sample) / whole_s : 0;
    *offset_s += share * (end_s - *offset_s);
    *bound_s = fmax(*bound_s, end_bound_s);
}
