/* The zones of sys/class/powercap. */
#ifndef ME_SOURCE_ZONES_H
#define ME_SOURCE_ZONES_H

#include "me/channel.h"
#include "me/error.h"
#include "me/root.h"
#include <stddef.h>
#include <stdint.h>

#define ME_ZONE_DEPTH 3

struct me_zone {
    char path[192];   /* "sys/class/powercap/intel-rapl:0/intel-rapl:0:0" */
    char dir[64];     /* its last part */
    char control[40]; /* "intel-rapl", "intel-rapl-mmio" */
    unsigned number[ME_ZONE_DEPTH];
    int depth;       /* 1: top level */
    char domain[40]; /* the kernel's name: "package-0-die-1", "core", "dram", "psys" */
    char name[48];   /* ours, with the parent's before it: "package-0/core" */
    enum me_scope scope;
    int package, die;    /* -1: none */
    const char *unknown; /* why the zone cannot be placed, or NULL */
};

/* All zones, flat or nested, each once, parents first, intel-rapl before other control types, by
 * number. The numbers are hexadecimal (drivers/powercap/powercap_sys.c: "%s:%x"). *count is 0 if the
 * directory is not there or holds none; *links counts the entries that could not be entered. */
int me_zones_list(const struct me_root *root, struct me_zone **zones, size_t *count, size_t *links,
                  struct me_error *err);

/* How many microjoules lie between two passes of a counter through 0, from max_energy_range_uj.
 *
 * The kernel (drivers/powercap/intel_rapl_common.c: get_max_energy_counter, rapl_unit_xlate) keeps
 * the energy unit U in whole nanojoules, shows a raw 32-bit counter r as floor(r x U / 1000), and as
 * max_energy_range_uj the value for r = 2^32 - 1. The counter has 2^32 values, so it starts again
 * after 2^32 x U / 1000 uJ: one unit (15 to 61 uJ, 1 J for some psys) more than the file says. U is
 * found again as ceil(max x 1000 / (2^32 - 1)), and only believed if it gives max back; energy over w
 * wraps is then right to 1 uJ + w x 0.5 uJ. Anything else (a driver with 64-bit microjoules, a rig)
 * has max + 1 values; where such a counter starts again at max itself, each wrap is 1 uJ too much. A
 * rig that takes a real kernel's maximum as its modulus is off by one unit U a wrap. 0 for 0. */
uint64_t me_zone_range(uint64_t max_energy_range_uj);

/* Upper bound of a zone's power in watts: twice the largest constraint_*_max_power_uw (the kernel
 * shows thermal design power there, and short peaks exceed it), at least 100 W; where no constraint
 * tells, or tells nonsense (it is empty, 0, or above 10 kW), me_rapl_bound_w. */
double me_zone_max_power_w(const struct me_root *root, const struct me_zone *zone);

#endif
