/* The environment of a workload. */
#ifndef ME_ENVIRONMENT_H
#define ME_ENVIRONMENT_H

#include "me/error.h"
#include "me/workload.h"

enum { ME_ENVIRONMENT_MARK_FD = 3 }; /* one digit: a POSIX shell can redirect to no other */

/* `from` without the launcher's variables, without options->strip_env, with ME_MARK_FD and the rest; with
 * options->files also ME_FILES, and PYTHONPATH with our module of marks (and the folder itself if the workload
 * runs in it) before what was there.
 * The strings of `from` are shared. Freed with me_workload_environment_free. */
int me_workload_environment_make(char *const *from, const struct me_child_options *options, char ***out,
                                 struct me_error *err);
void me_workload_environment_free(char **environment); /* NULL-safe */

#endif
