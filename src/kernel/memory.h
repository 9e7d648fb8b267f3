/* How much memory a kernel may take, and how large the caches are that its data must not fit into. */
#ifndef ME_MEMORY_H
#define ME_MEMORY_H

#include "me/root.h"
#include <stddef.h>

/* The bytes that this process may still use without swapping: MemAvailable, or less where a cgroup
 * (memory.max of v2, memory.limit_in_bytes of v1, of its own group or one above it) leaves less. Pages that
 * only cache inactive files are not counted as used. */
int me_memory_available(const struct me_root *root, unsigned long long *bytes, struct me_error *err);
/* All caches of the last level together; where the kernel tells of none, 32 MiB. */
unsigned long long me_memory_caches(const struct me_root *root);
/* Memory that nobody has touched, in large pages where the kernel has them; free() it. */
void *me_memory_take(size_t bytes);

#endif
