/* The result file (HDF5 format 1), and the journal. */
#ifndef ME_STORE_H
#define ME_STORE_H

#include "me/result.h"

/* Writes the file beside `path`, flushes, renames: a reader never sees half a file. */
int me_store_write(const char *path, const struct me_result *result, struct me_error *err);
/* Reads it back. Without series if `with_series` is false. A file that is not ours or of a later
 * format is ME_E_INPUT. */
int me_store_read(const char *path, bool with_series, struct me_result *out, struct me_error *err);

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
