/* The only way to /sys, /proc and /dev: a handle on a root directory, "/" by default, a container's
 * /host, or a recorded machine. Paths are relative to it ("sys/class/powercap"), without a leading
 * slash. */
#ifndef ME_ROOT_H
#define ME_ROOT_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include "me/error.h"

/* Where a reading came from. A replay can never pass as a measurement: the kernel is asked which
 * kind of file system answers, the caller is not. */
enum me_provenance {
    ME_PROVENANCE_LIVE = 0,   /* sysfs or procfs of the running kernel */
    ME_PROVENANCE_FAKE = 1,   /* answered by a program (FUSE): a rig */
    ME_PROVENANCE_REPLAY = 2, /* plain files: a recorded machine */
};
const char *me_provenance_name(enum me_provenance p); /* "live", "fake", "replay" */

struct me_root {
    int fd;         /* -1 when closed */
    char path[256]; /* for messages */
};

/* The root that is taken where none is named: the environment's ME_ROOT, else "/". */
const char *me_root_default(void);
int me_root_open(struct me_root *root, const char *path, struct me_error *err);
void me_root_close(struct me_root *root); /* NULL-safe, twice is fine */

/* Opens for reading with O_CLOEXEC. Returns a descriptor, or -errno. */
int me_root_openat(const struct me_root *root, const char *path);
/* Opens a directory; the caller closes it. NULL with errno set if it is not there. */
DIR *me_root_opendir(const struct me_root *root, const char *path);
/* Is there something at the path? Also what this user may not read. */
bool me_root_exists(const struct me_root *root, const char *path);
/* Reads a small text file whole, without trailing white space. Returns its length, or -errno
 * (-EFBIG if `size` is too small). text is untouched on failure. */
int me_root_read(const struct me_root *root, const char *path, char *text, size_t size);
/* Reads a file that holds one unsigned decimal number. 0, or -errno (-EINVAL: not a number). */
int me_root_read_u64(const struct me_root *root, const char *path, unsigned long long *value);
/* What kind of file system answers for the open file. */
enum me_provenance me_root_provenance(int fd);
/* Is the root the running machine's own? Only then do uname, libraries and commands speak of it. */
bool me_root_is_live(const struct me_root *root);
/* The process that started this program: our parent, or where that is a me_guard (src/bench/guard.c), its parent. 0:
 * it is outside of our PID namespace. */
int me_root_launcher(const struct me_root *root);
/* The boot id that names this machine, from proc/sys/kernel/random/boot_id; "" if there is none.
 * `boot_id` holds at least 40 bytes. */
void me_root_boot_id(const struct me_root *root, char *boot_id);

#endif
