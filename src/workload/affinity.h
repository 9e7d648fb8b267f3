/* Which cores the workload may use. */
#ifndef ME_AFFINITY_H
#define ME_AFFINITY_H

#include <stdbool.h>
#include "me/root.h"

enum { ME_AFFINITY_CPUS = 8192 }; /* the most that Linux can be built for; a cpu_set_t ends at 1024 */
struct me_affinity {
    unsigned long bits[ME_AFFINITY_CPUS / (8 * sizeof(unsigned long))];
};

struct me_cpus { /* of me/workload.h */
    struct me_affinity affinity;
};

/* The cores of the machine's allocation, whatever binding mpirun made of it. */
void me_affinity_allocation(const struct me_root *root, struct me_affinity *out);
/* The processors of a batch system's job on this machine: ids "0-3,8" as Slurm numbers them, socket by socket and core by
 * core, of `count` that it knows here, which are the machine's threads or its cores. Where a control group holds us to
 * no more than these, it is asked instead, for it is sure. false, and *out is untouched: the ids fit this machine not. */
bool me_affinity_of_job(const struct me_root *root, const char *ids, int count, struct me_affinity *out);
/* Moves the calling process there; async-signal-safe. */
void me_affinity_apply(const struct me_affinity *affinity);

#endif
