/* A source: a way to read energy on a machine, or what the machine did meanwhile. To add one:
 *   1. src/source/<name>.c and .h with its ops; ops.h and file.h there have what all sources need;
 *   2. a row in src/source/table.c, in the order of preference;
 *   3. a recorded machine that has it under tests/machines/, and scripts/record-machine taught to record
 *      it; for a library, a stub of it in tests/stubs/; its pure parts in tests/unit/test_source_<name>.c;
 *   4. a row in the README's table of sources and in that of files in src/README.md.
 *
 * Sources never print. Absence explains itself: `found` is false, `reason` says what is missing and
 * `cure` the one command that mends it (or ""). Broken (found, but cannot work) is an error. */
#ifndef ME_SOURCE_H
#define ME_SOURCE_H

#include "me/channel.h"
#include "me/error.h"

/* The workload that runs meanwhile, as who runs it tells. Written while the sources are read. */
struct me_meter_workload {
    _Atomic int pid; /* 0: none runs */
    /* What those that have ended used, by the kernel's accounts; added before `pid` is cleared. */
    _Atomic uint64_t cpu_ns, context_switches, page_faults, read_bytes, written_bytes;
};
/* How to look for sources. All may be NULL or 0. */
struct me_meter_options {
    const char *root;       /* "/" */
    const char *only;       /* comma-separated source names, the user's choice; NULL or "": the program
                           * chooses */
    const char *external;   /* the user's own meters, see src/source/external.h */
    const char *events;     /* names of hardware events with commas; NULL or "": a default set; "none" */
    char *const *strip_env; /* names of variables that no child may see, NULL-terminated */
    /* Whom to follow, for the channels of its own use; NULL: nobody. Only looked at while the sources are
     * read, and not when they are opened or closed. */
    const struct me_meter_workload *workload;
};
/* What a source is opened with. */
struct me_source_setup {
    const struct me_root *root;
    bool live; /* the root is the running machine's own. If it is not, a source that asks the kernel, a
                * library or a command instead of files must not ask: they would speak of this machine */
    const struct me_meter_options *options;
};

struct me_source;
struct me_source_ops {
    const char *name;    /* "powercap" */
    const char *summary; /* one line for `me probe` */
    /* Looks for it under the root. Fills found/channels/state, or reason and cure; a source that is
     * found may leave a reason too: a remark for people. Channels come
     * with counted = false; mirrors and duplicates within the source carry their why_not. */
    int (*open)(struct me_source *source, const struct me_source_setup *setup, struct me_error *err);
    /* One reading a channel, in order. Never fails as a whole: a channel that cannot be read is
     * ME_READING_FAILED. No allocation, no lock: the sampling thread calls it, or the source's own
     * thread if it has an interval, and may allocate then; never two threads at once. What has no reading this time (a gauge
     * that means nothing just now) is ME_READING_ABSENT. */
    void (*read)(struct me_source *source, struct me_reading *readings);
    void (*close)(struct me_source *source);
};

struct me_source {
    const struct me_source_ops *ops;
    bool found;
    char reason[256], cure[256];
    struct me_channel *channels; /* malloc'ed by open, freed by close */
    size_t channel_count;
    size_t first; /* of its channels among the meter's; set by the meter */
    /* Set by open: 0 if a reading takes microseconds; else its natural period in seconds, and a thread
     * of its own reads it (a library, a bus, a command, a file behind which firmware answers). The
     * meter writes it into the channels, but for those that open gave a longer one, which rest meanwhile. */
    double interval_s;
    /* Set before each reading by the source's own thread: an edge wants it, so no channel may rest. */
    bool for_edge;
    void *state;
};

extern const struct me_source_ops *const me_source_table[]; /* NULL-terminated */

/* Is what the user wants possible at all? Unknown names of sources or events, and what is no meter, are
 * ME_E_INPUT. Nothing is opened. */
int me_meter_check(const struct me_meter_options *options, struct me_error *err);
/* Is the text a specification of meters as src/source/external.h has it (or NULL, or empty)? A bad one is
 * ME_E_INPUT. Runs and opens nothing. */
int me_external_check(const char *text, struct me_error *err);
/* Can all events of the list be counted on some processor (not necessarily this one)? NULL, "" and "none"
 * are fine. An unknown one is ME_E_INPUT, and its nearest names are told. */
int me_events_check(const char *names, struct me_error *err);

/* All sources of a machine, opened together; its channels in one array, the counted ones marked. */
struct me_meter {
    struct me_root root;
    struct me_source *sources; /* one a row of the table (or of `only`) */
    size_t source_count;
    struct me_channel *channels; /* copies, in order of the sources */
    size_t channel_count;
};
/* Without options->only: all, where `model` and `msr` are left closed if other sources count already.
 * With it: those named, those that options->external and options->events ask for, and nothing else. An
 * unknown name is ME_E_INPUT. A name that two sources have stays with the first; the second's gets its
 * source before it: "powercap/package-0". */
int me_meter_open(struct me_meter *meter, const struct me_meter_options *options, struct me_error *err);
/* Reads the sources without an interval; the channels of all others get ME_READING_ABSENT. */
void me_meter_read(struct me_meter *meter, struct me_reading *readings);
/* Reads one source; the channels of all others get ME_READING_ABSENT. */
void me_meter_read_source(struct me_meter *meter, size_t source, struct me_reading *readings);
void me_meter_close(struct me_meter *meter); /* NULL-safe */

#endif
