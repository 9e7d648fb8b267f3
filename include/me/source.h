/* A source: a way to read energy on a machine. To add one: write src/source/<name>.c with its ops,
 * add a row to src/source/table.c in the order of preference, put a recorded machine that has it
 * under tests/machines/, and name it in the README's table.
 *
 * Sources never print. Absence explains itself: `found` is false, `reason` says what is missing and
 * `cure` the one command that mends it (or ""). Broken (found, but cannot work) is an error. */
#ifndef ME_SOURCE_H
#define ME_SOURCE_H

#include "me/channel.h"
#include "me/error.h"

struct me_source;
struct me_source_ops {
    const char *name;    /* "powercap" */
    const char *summary; /* one line for `me probe` */
    /* Looks for it under the root. Fills found/channels/state, or reason and cure; a source that is
     * found may leave a reason too: a remark for people. Channels come
     * with counted = false; mirrors and duplicates within the source carry their why_not. */
    int (*open)(struct me_source *source, const struct me_root *root, struct me_error *err);
    /* One reading a channel, in order. Never fails as a whole: a channel that cannot be read is
     * ME_READING_FAILED. No allocation, no lock: the sampling thread calls it. */
    void (*read)(struct me_source *source, struct me_reading *readings);
    void (*close)(struct me_source *source);
};

struct me_source {
    const struct me_source_ops *ops;
    bool found;
    char reason[256], cure[256];
    struct me_channel *channels;
    size_t channel_count;
    void *state;
};

extern const struct me_source_ops *const me_source_table[]; /* NULL-terminated */

/* Are all names of the comma-separated list in the table? An unknown one is ME_E_INPUT. */
int me_sources_check(const char *names, struct me_error *err);

/* All sources of a machine, opened together; its channels in one array, the counted ones marked. */
struct me_meter {
    struct me_root root;
    struct me_source *sources; /* one a row of the table (or of `only`) */
    size_t source_count;
    struct me_channel *channels; /* copies, in order of the sources */
    size_t channel_count;
};
/* `only`: comma-separated source names, or NULL / "": all, where `model` is left closed if any
 * other source counts. An unknown name is ME_E_INPUT. */
int me_meter_open(struct me_meter *meter, const char *root, const char *only, struct me_error *err);
void me_meter_read(struct me_meter *meter, struct me_reading *readings);
void me_meter_close(struct me_meter *meter); /* NULL-safe */

#endif
