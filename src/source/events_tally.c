#include "events.h"

/* count x enabled / running, rounded down, without an overflow between. */
static uint64_t in_proportion(uint64_t count, uint64_t enabled_ns, uint64_t running_ns)
{
    if (running_ns >= enabled_ns) return count; /* always there; the two clocks may differ by nanoseconds */
    unsigned __int128 scaled = (unsigned __int128)count * enabled_ns / running_ns;
    return scaled > UINT64_MAX ? UINT64_MAX : (uint64_t)scaled;
}

static bool is_backwards(const struct me_event_tally *last, const struct me_event_tally *now, size_t n)
{
    if (now->enabled_ns < last->enabled_ns || now->running_ns < last->running_ns) return true;
    for (size_t i = 0; i < n; i++)
        if (now->counts[i] < last->counts[i]) return true;
    return false;
}

enum me_tally_state me_events_tally(struct me_event_tally *last, const struct me_event_tally *now, size_t n,
                                    uint64_t *totals, double *share)
{
    if (is_backwards(last, now, n)) return ME_TALLY_RESET;
    uint64_t enabled_ns = now->enabled_ns - last->enabled_ns, running_ns = now->running_ns - last->running_ns;
    if (enabled_ns && !running_ns) {
        *share = 0;
        return ME_TALLY_WAITING;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t added = in_proportion(now->counts[i] - last->counts[i], enabled_ns, running_ns);
        if (__builtin_add_overflow(totals[i], added, &totals[i])) totals[i] = UINT64_MAX;
    }
    *share = running_ns >= enabled_ns ? 1 : (double)running_ns / (double)enabled_ns;
    *last = *now;
    return ME_TALLY_OK;
}

double me_events_interval_s(size_t groups)
{
    double seconds = (double)groups / 160;
    return seconds < 0.1 ? 0.1 : seconds > 1 ? 1 : seconds;
}
