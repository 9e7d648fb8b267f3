/* Parts of the argument vector, apart so that tests can look elsewhere. */
#ifndef ME_WORKLOAD_ARGV_H
#define ME_WORKLOAD_ARGV_H

#include "me/error.h"
#include <stddef.h>

/* The path of me_kernel for a program in `directory`: beside it (a build tree, a staged copy), else
 * in ../libexec/machine-energy (installed). */
int me_argv_find_kernel(const char *directory, char *path, size_t size, struct me_error *err);
/* A word of the user's command for this machine: %i is its id, %n the number of machines, %% a %; any other %
 * stays as it is. malloc'ed; NULL: no memory. */
char *me_argv_expand(const char *word, int machine_id, int machine_count);

#endif
