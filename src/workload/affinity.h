/* Which cores the workload may use. */
#ifndef ME_AFFINITY_H
#define ME_AFFINITY_H

#include "me/root.h"

enum { ME_AFFINITY_CPUS = 8192 }; /* the most that Linux can be built for; a cpu_set_t ends at 1024 */
struct me_affinity {
    unsigned long bits[ME_AFFINITY_CPUS / (8 * sizeof(unsigned long))];
};

/* The cores of the machine's allocation, whatever binding mpirun made of it. */
void me_affinity_allocation(const struct me_root *root, struct me_affinity *out);
/* Moves the calling process there; async-signal-safe. */
void me_affinity_apply(const struct me_affinity *affinity);

#endif
