/* Units in types, and every conversion between them in one place. */
#ifndef ME_UNITS_H
#define ME_UNITS_H

#include <stdint.h>

struct me_energy {
    uint64_t uj; /* microjoules, as the kernel's counters have them; exact */
};

#define ME_J_PER_KWH 3.6e6 /* 1 kWh = 1000 W x 3600 s */

static inline double me_energy_j(struct me_energy e)
{
    return (double)e.uj * 1e-6;
}
static inline double me_ns_to_s(int64_t ns)
{
    return (double)ns * 1e-9;
}
/* gCO2e = J / 3.6e6 J/kWh x PUE x gCO2e/kWh */
static inline double me_carbon_g(double energy_j, double pue, double grid_g_per_kwh)
{
    return energy_j / ME_J_PER_KWH * pue * grid_g_per_kwh;
}

#endif
