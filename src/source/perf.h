/* The source `perf`: the energy counters of the processor as events of the kernel's perf, from the units
 * `power` (Intel and AMD) and `power_core` (AMD, one event a core; Linux 6.14 and later).
 * perf_event_open(2); Documentation/ABI/testing/sysfs-bus-event_source-devices-events of the kernel.
 *
 * The kernel adds up the 32-bit registers in 64 bits, in units of 2^-32 J, so nothing wraps here
 * (arch/x86/events/rapl.c). Each event begins at 0 when it is opened. */
#ifndef ME_SOURCE_PERF_H
#define ME_SOURCE_PERF_H

#include "me/source.h"
#include "rapl.h"

extern const struct me_source_ops me_perf_ops;

/* --- pure ------------------------------------------------------------------------------------- */

/* CPU numbers of a list such as "0,18" or "0-3,8", ascending or not. Returns how many there are, and
 * writes the first `max`; -1 if it is no list. */
int me_perf_parse_cpus(const char *text, unsigned *cpus, size_t max);

/* One count is mantissa / 2^shift uJ. */
struct me_perf_scale {
    uint64_t mantissa;
    unsigned shift;
};
/* From joules a count, as the file .scale has them: "2.3283064365386962890625e-10", which is 2^-32 J and
 * is kept exactly; any other to 64 bits. -1: not a number that can be used. */
int me_perf_parse_scale(const char *text, struct me_perf_scale *scale);
/* floor(count x scale). 0, or ERANGE. */
int me_perf_uj(struct me_perf_scale scale, uint64_t count, uint64_t *uj);

struct me_perf_config {
    uint64_t words[3]; /* config, config1, config2 of perf_event_attr */
};
/* Takes a term such as "event=0x02" or "umask=1" off *text and the comma behind it. 1; 0 at the end; -1
 * if it is no term. A name alone is its value 1. */
int me_perf_next_term(const char **text, char *name, size_t size, uint64_t *value);
/* Puts a value where the file of format/ says: "config:0-7", "config1:8", "config:0-3,8-11". -1 if the
 * text is no such place, or the value does not fit. */
int me_perf_place_term(const char *format, uint64_t value, struct me_perf_config *config);

/* --- sysfs ------------------------------------------------------------------------------------ */

enum { ME_PERF_EVENTS = 16 };
struct me_perf_event {
    char name[40]; /* "energy-pkg" */
    struct me_perf_config config;
    struct me_perf_scale scale;
    enum me_rapl_domain domain; /* ME_RAPL_DOMAINS: not known */
    const char *unusable;       /* why it cannot be read, or NULL */
};
struct me_perf_unit {
    uint32_t type;
    enum me_provenance provenance;
    unsigned *cpus; /* malloc'ed */
    size_t cpu_count;
    struct me_perf_event events[ME_PERF_EVENTS]; /* packages first; all of energy-* */
    size_t event_count;
};
/* 0, or an errno: ENOENT if there is none. */
int me_perf_unit_read(const struct me_root *root, const char *name, struct me_perf_unit *unit);
void me_perf_unit_release(struct me_perf_unit *unit);

/* Says why there are no events, or why this user may not open them (`error`: errno), and the cure. */
void me_perf_explain_absent(struct me_source *source, const struct me_root *root);
void me_perf_explain_denied(struct me_source *source, const struct me_root *root, int error);

#endif
