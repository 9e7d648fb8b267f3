/* What a process used, in our units. */
#ifndef ME_USAGE_H
#define ME_USAGE_H

#include "me/workload.h"
#include <sys/resource.h>

/* Adds what a process used that has ended; of the peaks of memory the larger is kept. */
void me_usage_add(struct me_child_usage *usage, const struct rusage *used);

#endif
