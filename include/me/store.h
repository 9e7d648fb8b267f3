/* The result file (HDF5 format 1), the lock of its one writer, and the journal. */
#ifndef ME_STORE_H
#define ME_STORE_H

#include "me/buffer.h"
#include "me/result.h"

/* Writes the file beside `path`, flushes, renames: a reader never sees half a file. On failure nothing is changed,
 * and no other file is left. Memory does not grow with the series' length but by what the result itself holds. */
int me_store_write(const char *path, const struct me_result *result, struct me_error *err);

/* The series of one machine as an HDF5 file of their own, in memory: a group a repeat, as in the result. They are
 * compressed where they were measured, travel so, and are copied into the result as they are. */
int me_store_image(const struct me_result *result, struct me_buffer *out, struct me_error *err);

/* Puts bytes where `path` says, as me_store_write does. */
int me_store_save(const char *path, const struct me_buffer *bytes, struct me_error *err);

/* Such a file, wherever its bytes are; `read` returns 0 or an errno. */
struct me_store_image {
    int32_t machine_id;
    int add; /* to the numbers of its repeats; idle's stays 0 */
    /* If not NULL the bytes are not here: the result links to this file, by a path relative to its own, for these
     * repeats; size, read and context are not used. */
    const char *link;
    const int *repeats;
    size_t repeat_count;
    uint64_t size;
    int (*read)(void *context, uint64_t at, void *bytes, size_t len);
    void *context;
};
struct me_store_drop {
    int32_t machine_id, repeat;
};
/* What goes into the file beside the result's own rows and series. */
struct me_store_extras {
    const char *base;                  /* a result whose series come first, copied; NULL: none */
    const struct me_store_drop *drops; /* but for these */
    size_t drop_count;
    const struct me_store_image *images;
    size_t count;
    /* Called last before the file takes its place; -1: it shall not. NULL: always. */
    int (*confirm)(void *context, struct me_error *err);
    void (*look)(void *context); /* called all the while, many times a second; NULL: not */
    void *context;
    int *disk; /* if not NULL: set to the disk's errno, where that is why it failed */
};
/* As me_store_write; of a repeat that has its series already the first is kept. */
int me_store_write_with(const char *path, const struct me_result *result,
                        const struct me_store_extras *extras, struct me_error *err);
/* Removes what writers that were killed left beside `path`. Only for who has its lock. */
void me_store_sweep(const char *path);
/* What to do about a disk's errno, to stand behind its text; "" if there is nothing to say. */
const char *me_store_cure(int errnum);

/* Reads it back. Without series if `with_series` is false. A file that is not ours or of a later
 * format is ME_E_INPUT. */
int me_store_read(const char *path, bool with_series, struct me_result *out, struct me_error *err);

/* The lock of a result's one writer, PATH.lock: also between machines on one file system, whose own locks may be poor.
 * One whose holder died on this machine is taken over at once, one that was not touched for 15 s (it is, each second)
 * too: what a kill left never stops a new run. */
struct me_lock;
struct me_lock_options {
    const char *path; /* of the result */
    double wait_s;    /* how long to wait for another writer */
    double
        stale_s; /* untouched for so long, a lock is a dead one's; 0: 15, many times what it takes to touch it */
    void (*say)(void *context, const char *who); /* we wait for: "n1 (process 77)"; NULL: nobody hears it */
    bool (*look)(void *context);                 /* called while it waits; false: no longer. NULL: wait */
    void *context;
};
int me_lock_take(struct me_lock **out, const struct me_lock_options *options, struct me_error *err);
/* Is it ours still? */
int me_lock_confirm(const struct me_lock *lock, struct me_error *err);
void me_lock_release(struct me_lock *lock); /* NULL-safe */

/* The journal: the record's chunks on the machine's own disk, append only. A thread of its own writes, so that a
 * disk that hangs (a home on a dead server) delays no reading. While it is open the file is locked (fcntl). */
struct me_journal;
/* Creates DIR (with parents, mode 0700) and DIR/NAME; an old file of that name is replaced. */
int me_journal_open(struct me_journal **out, const char *dir, const char *name, struct me_error *err);
/* Copies them and returns; they are with the kernel in a moment and on the disk (fdatasync) within a second. Of a
 * full disk they wait for room, up to 64 MiB of them; measuring goes on. */
void me_journal_append(struct me_journal *journal, const struct me_buffer *chunks);
/* Waits until all that was appended is on the disk, at most `wait_ns`; whether it is. After a wait in vain the next
 * ones return at once until the disk has caught up. */
bool me_journal_settle(struct me_journal *journal, int64_t wait_ns);
int64_t me_journal_cpu_ns(struct me_journal *journal); /* of its thread */
/* Writes the rest, closes; `keep` false also removes the file and its directory if empty. NULL-safe. -1 if something
 * could not be written; after 3 s in vain what hangs is left behind. */
int me_journal_close(struct me_journal *journal, bool keep, struct me_error *err);
/* The directory for journals of this user: $XDG_STATE_HOME or ~/.local/state, + /machine-energy. */
int me_journal_dir(char *dir, size_t size, struct me_error *err);
/* Makes it with its parents, mode 0700; directories that are there keep their mode. */
int me_journal_make_dir(const char *dir, struct me_error *err);

#endif
