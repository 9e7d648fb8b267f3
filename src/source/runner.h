/* Runs commands for a source: a program that asks a BMC, a user's own meter.
 *
 * They are started by a small process of their own, the runner, which is forked when the source is
 * opened and lives until it is closed. The program that measures also starts the workload, takes every
 * new child of its own for the workload's, and ends them all when the workload ends: a meter's command
 * must not be among them. The runner has a session of its own, gathers what a command leaves behind and
 * kills it, and ends by itself when the program that started it is gone.
 *
 * A command has /dev/null as its input and its standard error, no other descriptor than its output, a
 * process group of its own, and the environment of this program without the variables in strip_env, and
 * with LC_ALL=C, so that numbers are written with a point. */
#ifndef ME_SOURCE_RUNNER_H
#define ME_SOURCE_RUNNER_H

#include <stddef.h>
#include "me/error.h"

struct me_runner;

/* strip_env: names of variables that no command may see, NULL-terminated, or NULL. */
int me_runner_start(struct me_runner **out, char *const *strip_env, struct me_error *err);
/* Runs argv (its first word is a path) to its end, and puts what it wrote into text, NUL-terminated.
 * Returns the length, or -errno: ETIMEDOUT (killed after `seconds`), EFBIG (more than size - 1 bytes, or
 * than 64 KiB), ENOENT and EACCES (exit status 127 and 126: there is no such command, or it may not be
 * run), EIO (another exit status than 0, or a signal), EBUSY (an earlier one hangs in the kernel), EPIPE
 * (the runner is gone). text is untouched on failure. Never waits longer than `seconds` and 3 s more; no
 * allocation; one thread at a time. */
int me_runner_run(struct me_runner *runner, const char *const *argv, double seconds, char *text, size_t size);
/* Kills what runs, and frees; NULL-safe. */
void me_runner_stop(struct me_runner *runner);

#endif
