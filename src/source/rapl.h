/* What is known of RAPL (running average power limit), the energy counters in processors of Intel and
 * AMD: which processor has which, in which unit, and what we call them. Used by the sources that read
 * them without the help of the powercap drivers.
 *
 * Facts from: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, "RAPL interfaces",
 * and volume 4, the tables of model-specific registers; AMD Processor Programming Reference, families
 * 17h and later; Linux, arch/x86/events/rapl.c (rapl_model_match, rapl_check_hw_unit),
 * drivers/powercap/intel_rapl_common.c (rapl_ids) and arch/x86/include/asm/intel-family.h. */
#ifndef ME_SOURCE_RAPL_H
#define ME_SOURCE_RAPL_H

#include "me/channel.h"
#include "me/root.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum me_rapl_domain {
    ME_RAPL_PACKAGE,
    ME_RAPL_DRAM,
    ME_RAPL_CORE,   /* all cores of a package: "pp0" */
    ME_RAPL_UNCORE, /* the graphics inside a client's package: "pp1" */
    ME_RAPL_PSYS,   /* the whole board of a client, sockets and memory of a server: "platform" */
    ME_RAPL_DOMAINS
};

struct me_rapl_cpu {
    char vendor[16]; /* "GenuineIntel", "AuthenticAMD", "HygonGenuine"; "" if not told */
    int family, model;
};
/* Pure: from the first lines of proc/cpuinfo. */
void me_rapl_cpu_parse(const char *cpuinfo, struct me_rapl_cpu *cpu);
/* Never fails: what is not there stays "" or 0. */
void me_rapl_cpu_read(const struct me_root *root, struct me_rapl_cpu *cpu);
bool me_rapl_is_intel(const struct me_rapl_cpu *cpu);
bool me_rapl_is_amd(const struct me_rapl_cpu *cpu); /* or Hygon, its licensee */
/* Does a package of several dies have one counter only, whichever die is asked? So on AMD since Zen 2;
 * some kernels list each die (fixed by Linux "perf/x86/rapl: Fix the energy-pkg event for AMD CPUs"). */
bool me_rapl_is_package_wide(const struct me_rapl_cpu *cpu);

/* Where a logical CPU lies. */
struct me_rapl_place {
    int package, die; /* die: -1 where the kernel tells none */
};
/* From sys/devices/system/cpu/cpuN/topology, else from proc/cpuinfo. -1: neither tells. */
int me_rapl_place_read(const struct me_root *root, unsigned cpu, struct me_rapl_place *place);

/* Upper bound of a part's watts, where nothing tells one: no machine known to us reaches it. */
double me_rapl_bound_w(enum me_scope scope);
/* The channel's name, as powercap has it, so that one sees which are the same: "package-0/dram";
 * "package-0-die-1" if `with_die`; "psys", and "psys-1" for that of another package. */
void me_rapl_name(enum me_rapl_domain domain, const struct me_rapl_place *place, bool with_die, char *name,
                  size_t size);
/* A channel of that name; provenance, range and why_not are the caller's. */
struct me_channel me_rapl_channel(enum me_rapl_domain domain, const struct me_rapl_place *place,
                                  bool with_die);

/* The registers. A processor's counters are 32 bits wide; one unit is mul / 2^shift uJ. */
struct me_rapl_unit {
    uint32_t mul;
    unsigned shift; /* at most 31 */
};
struct me_rapl_register {
    uint32_t address; /* 0: this processor has no such domain */
    struct me_rapl_unit unit;
    const char *unknown; /* why its unit is not known, and the channel cannot count; or NULL */
};
/* The address of the register that tells the units; 0 if this processor has no RAPL known to us. */
uint32_t me_rapl_unit_address(const struct me_rapl_cpu *cpu);
/* Pure. `units` is what that register holds. */
struct me_rapl_register me_rapl_register(const struct me_rapl_cpu *cpu, enum me_rapl_domain domain,
                                         uint64_t units);
/* Is the model in our table? If not, it is taken to be like its forerunners, as far as those agree. */
bool me_rapl_is_known(const struct me_rapl_cpu *cpu);
/* floor(raw x unit) in uJ, of the lower 32 bits. */
uint64_t me_rapl_uj(struct me_rapl_unit unit, uint64_t raw);
/* 2^32 units in uJ. A whole number, since shift < 32: so last - first + wraps x range is exact, to the
 * microjoule that either end is rounded down by, over any number of wraps. */
uint64_t me_rapl_range_uj(struct me_rapl_unit unit);

#endif
