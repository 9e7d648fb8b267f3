#include "energy.h"

void rig_counter_start(struct rig_counter *counter, uint64_t now_ns)
{
    if (!counter->tick_ns) counter->tick_ns = 1;
    counter->epoch_ns = counter->since_ns = now_ns;
}

uint64_t rig_counter_tick(const struct rig_counter *counter, uint64_t now_ns)
{
    return now_ns - (now_ns - counter->epoch_ns) % counter->tick_ns;
}

rig_fj rig_counter_energy(const struct rig_counter *counter, uint64_t now_ns)
{
    return counter->base_fj +
           (rig_fj)counter->power_uw * (rig_counter_tick(counter, now_ns) - counter->since_ns);
}

void rig_counter_set_power(struct rig_counter *counter, uint64_t power_uw, uint64_t now_ns)
{
    rig_counter_set_energy(counter, rig_counter_energy(counter, now_ns), now_ns);
    counter->power_uw = power_uw;
}

void rig_counter_set_energy(struct rig_counter *counter, rig_fj energy_fj, uint64_t now_ns)
{
    counter->base_fj = energy_fj;
    counter->since_ns = rig_counter_tick(counter, now_ns);
}

void rig_gauge_start(struct rig_gauge *gauge, uint64_t now_ns)
{
    gauge->truth.tick_ns = 1;
    if (!gauge->tick_ns) gauge->tick_ns = 1;
    rig_counter_start(&gauge->truth, now_ns);
}

uint64_t rig_gauge_tick(const struct rig_gauge *gauge, uint64_t now_ns)
{
    return now_ns - (now_ns - gauge->truth.epoch_ns) % gauge->tick_ns;
}

uint64_t rig_gauge_shown_uw(const struct rig_gauge *gauge, uint64_t now_ns)
{
    uint64_t tick = rig_gauge_tick(gauge, now_ns);
    if (gauge->latched && tick == gauge->latch_ns) return gauge->latch_uw;
    if (!gauge->mean || tick == gauge->truth.epoch_ns) return gauge->truth.power_uw;
    uint64_t before = tick - gauge->tick_ns;
    rig_fj begin = gauge->latched && before == gauge->latch_ns ? gauge->latch_fj
                                                               : rig_counter_energy(&gauge->truth, before);
    return (uint64_t)((rig_counter_energy(&gauge->truth, tick) - begin) / gauge->tick_ns);
}

void rig_gauge_set_power(struct rig_gauge *gauge, uint64_t power_uw, uint64_t now_ns)
{
    uint64_t tick = rig_gauge_tick(gauge, now_ns);
    if (!gauge->latched || tick != gauge->latch_ns) { /* the first change in this interval */
        gauge->latch_uw = rig_gauge_shown_uw(gauge, now_ns);
        gauge->latch_fj = rig_counter_energy(&gauge->truth, tick);
        gauge->latch_ns = tick;
        gauge->latched = true;
    }
    rig_counter_set_power(&gauge->truth, power_uw, now_ns);
}
