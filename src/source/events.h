/* The source `events`: hardware and software events of the kernel's perf, counted on the whole machine,
 * beside the energy. perf_event_open(2); names by libpfm4. */
#ifndef ME_SOURCE_EVENTS_H
#define ME_SOURCE_EVENTS_H

#include "me/source.h"

enum { ME_EVENTS_MAX = 16 };

extern const struct me_source_ops me_events_ops;

struct me_event {
    char name[48]; /* the channel's: as the user wrote it, or "instructions" for the default ones */
    bool is_time;  /* a clock, in nanoseconds */
    uint32_t type; /* the rest as perf_event_open takes it */
    uint64_t config, config1, config2;
    bool exclude_user, exclude_kernel, exclude_hv, exclude_guest, exclude_host;
};

enum me_event_set { ME_EVENTS_DEFAULT, ME_EVENTS_SOFTWARE };
/* The events of one of our own sets; returns how many. */
size_t me_events_of_set(enum me_event_set set, struct me_event *events);
/* The events of a list of names with commas. Those that another processor has and this one has not are
 * left out and stand in `missing`, with commas. What no processor has is ME_E_INPUT. */
int me_events_of_names(const char *names, struct me_event *events, size_t *count, char *missing, size_t size,
                       struct me_error *err);
bool me_events_is_none(const char *names); /* "none": not wanted */

/* --- counting, pure ---------------------------------------------------------------------------- */

/* What a group of events has counted since it was opened: its time, the part of it in which the
 * processor's few counters were ours, and the counts of that part. */
struct me_event_tally {
    uint64_t enabled_ns, running_ns, counts[ME_EVENTS_MAX];
};
enum me_tally_state {
    ME_TALLY_OK,
    ME_TALLY_WAITING, /* time has passed and nothing was counted: `last` stays, and the next reading in
                       * which the group ran speaks for this time as well */
    ME_TALLY_RESET,   /* it ran backwards: what it counted since is not known */
};
/* Adds to totals[0..n) what has been counted since `last`, in proportion where the group ran for a part of
 * the time only: delta x enabled / running (perf_event_open(2), PERF_FORMAT_TOTAL_TIME_RUNNING), and
 * `last` becomes `now`. *share gets running / enabled, 1 if no time has passed. Totals never fall. */
enum me_tally_state me_events_tally(struct me_event_tally *last, const struct me_event_tally *now, size_t n,
                                    uint64_t *totals, double *share);
/* The seconds between two readings: reading a group interrupts its processor, so that the more there are
 * the rarer it is; 160 interrupts a second in all, yet from 10 readings a second to one. */
double me_events_interval_s(size_t groups);

/* --- groups of open events --------------------------------------------------------------------- */

struct me_event_group {
    int cpu, error; /* error: errno, from the reading on in which it broke */
    bool waiting;   /* at the last reading: see ME_TALLY_WAITING */
    size_t count;
    int fds[ME_EVENTS_MAX];          /* the leader first */
    unsigned char at[ME_EVENTS_MAX]; /* which of the source's events it is */
    struct me_event_tally last;
};
struct me_event_groups {
    struct me_event_group *groups;
    size_t count, capacity;
    size_t cpus;                      /* of the machine, online */
    size_t counted_on[ME_EVENTS_MAX]; /* processors on which each event could be opened */
};
/* Opens the events on every processor that is online. Returns 0, or an errno: EACCES or EPERM, EMFILE, ...
 * Events that a processor does not have are left out there; if no processor has any, count is 0. */
int me_events_open_groups(struct me_event_groups *groups, const struct me_root *root,
                          const struct me_event *events, size_t count);
/* Reads one group and adds to the totals of the source's events. */
void me_events_read_group(struct me_event_group *group, uint64_t *totals, double *share);
void me_events_close_groups(struct me_event_groups *groups); /* NULL-safe, twice is fine */

/* Why nothing could be opened, and the cure, from the errno of perf_event_open. */
void me_events_explain(struct me_source *source, const struct me_root *root, int error);

#endif
