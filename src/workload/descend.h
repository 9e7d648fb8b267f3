/* The processes below us. */
#ifndef ME_DESCEND_H
#define ME_DESCEND_H

#include "me/root.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct me_pids { /* starts as {0} */
    pid_t *pids;
    size_t count, capacity;
};

bool me_pids_has(const struct me_pids *list, pid_t pid);
/* Appends; without memory the process is left out, and found again by the next look. */
void me_pids_add(struct me_pids *list, pid_t pid);
void me_pids_release(struct me_pids *list); /* NULL-safe */

/* Appends the children of a process, of all its threads; 0 is this process. */
void me_descend_children(const struct me_root *root, pid_t pid, struct me_pids *list);
/* Appends all live processes below us (zombies not), but for the children in `except` and what is
 * below those. */
void me_descend_all(const struct me_root *root, const struct me_pids *except, struct me_pids *list);

#endif
