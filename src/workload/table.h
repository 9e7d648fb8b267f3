/* Where me_kernel is; apart so that tests can look elsewhere. */
#ifndef ME_WORKLOAD_TABLE_H
#define ME_WORKLOAD_TABLE_H

#include "me/error.h"
#include <stddef.h>

/* The path of me_kernel for a program in `directory`: beside it (a build tree, a staged copy), else
 * in ../libexec/machine-energy (installed). */
int me_table_find_kernel(const char *directory, char *path, size_t size, struct me_error *err);

#endif
