/* Starts a process: what it needs is made ready first, so that the child itself only makes system
 * calls. */
#ifndef ME_SPAWN_H
#define ME_SPAWN_H

#include "affinity.h"
#include "me/workload.h"
#include <sys/types.h>

/* *mark_fd gets the reading end of the mark pipe, non-blocking. */
int me_spawn(const struct me_root *root, const struct me_child_options *options, pid_t *pid, int *mark_fd,
             struct me_error *err);
/* The path of a command: as it is if it has a slash, else along PATH. */
int me_spawn_find(const char *command, char *path, size_t size, struct me_error *err);

#endif
