/* The processors of a machine, from proc/cpuinfo and sys/devices/system/cpu. */
#ifndef ME_SOURCE_CPU_H
#define ME_SOURCE_CPU_H

#include "me/curve.h"
#include "me/root.h"
#include <stdbool.h>

struct me_cpu {
    char model[96];              /* as the kernel names it, spaces collapsed; "" if it does not */
    int sockets, cores, threads; /* of the whole machine, online; 0 where not known */
    bool is_virtual;             /* a virtual machine sees a part of somebody else's processor */
};

/* Never fails: what is not there stays "" or 0. */
void me_cpu_read(const struct me_root *root, struct me_cpu *cpu);

/* The name as tables write it: "Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz" becomes "Intel Xeon
 * E5-2620 v3", "AMD EPYC 7763 64-Core Processor" becomes "AMD EPYC 7763". */
void me_cpu_plain_name(const char *model, char *name, size_t size);

/* The row for a model as the kernel or a table names it. Makers' names, gaps, hyphens, case, frequencies and
 * remarks in brackets do not matter. False if there is none: only the key is filled then. */
bool me_cpu_find(const char *model, struct me_cpu_row *row);

#endif
