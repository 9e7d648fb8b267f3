/* Which Python runs a workload. */
#ifndef ME_WORKLOAD_PYTHON_H
#define ME_WORKLOAD_PYTHON_H

#include "me/workload.h"

/* The interpreter for a row of the table, or for the user's function (NULL), as struct me_workload_place
 * tells the order. `wanted` may be "". What the user named and is not there is an ME_E_INPUT. */
int me_python_find(const struct me_workload *row, const char *wanted, char *path, size_t size,
                   struct me_error *err);

#endif
