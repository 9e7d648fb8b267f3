/* All threads of a kernel wait for all. They spin, since what lies between two waits may take less than a sleep
 * and a wake would, and give the core away where there are more threads than cores to run them. */
#ifndef ME_BARRIER_H
#define ME_BARRIER_H

#include <stdatomic.h>

struct me_barrier {                  /* begins as zeros */
    _Alignas(64) atomic_int waiting; /* a line of the cache each: who looks at the round does not slow */
    _Alignas(64) atomic_int round;   /* those who still come */
};
/* What was written before by any of the `threads` is seen behind it by all. */
void me_barrier_wait(struct me_barrier *barrier, int threads);

#endif
