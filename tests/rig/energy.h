/* What a known power makes of the time: the energy of a counter, the power that a gauge shows.
 * No clock here: the moment is a parameter, in nanoseconds of CLOCK_MONOTONIC, never before the start.
 *
 * A counter at moment t, exactly:
 *     q(t) = epoch + floor((t - epoch) / tick) * tick
 *     E(t) = base + power * (q(t) - since)            in femtojoules (microwatt x nanosecond)
 * A change of power takes effect at q(now), so `since` lies on a tick and nothing already read changes.
 *
 * A gauge has such an energy without a tick, and a tick of what it shows: at moment t it shows the power
 * at q(t) or, as a mean, (E(q(t)) - E(q(t) - tick)) / tick. A change of power takes effect at once and is
 * seen from the next tick on. */
#ifndef RIG_ENERGY_H
#define RIG_ENERGY_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 rig_fj;

struct rig_counter {
    uint64_t power_uw, tick_ns;
    uint64_t epoch_ns, since_ns; /* start; moment of the last change of power */
    rig_fj base_fj;              /* energy at since_ns, never wrapped */
};
void rig_counter_start(struct rig_counter *counter, uint64_t now_ns);
uint64_t rig_counter_tick(const struct rig_counter *counter, uint64_t now_ns); /* q(t) */
rig_fj rig_counter_energy(const struct rig_counter *counter, uint64_t now_ns);
void rig_counter_set_power(struct rig_counter *counter, uint64_t power_uw, uint64_t now_ns);
void rig_counter_set_energy(struct rig_counter *counter, rig_fj energy_fj, uint64_t now_ns);

struct rig_gauge {
    struct rig_counter truth; /* tick_ns = 1 */
    uint64_t tick_ns;
    bool mean;
    /* of the last tick interval in which the power was changed */
    bool latched;
    uint64_t latch_ns, latch_uw; /* where it began, and what is shown in it */
    rig_fj latch_fj;             /* energy at latch_ns */
};
void rig_gauge_start(struct rig_gauge *gauge, uint64_t now_ns);
uint64_t rig_gauge_tick(const struct rig_gauge *gauge, uint64_t now_ns);
uint64_t rig_gauge_shown_uw(const struct rig_gauge *gauge, uint64_t now_ns);
void rig_gauge_set_power(struct rig_gauge *gauge, uint64_t power_uw, uint64_t now_ns);

#endif
