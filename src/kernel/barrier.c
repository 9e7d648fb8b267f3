#include "barrier.h"
#include <sched.h>

enum { SPINS = 2000 };

#if defined __SSE2__
#include <xmmintrin.h>
static void pause_core(void)
{
    _mm_pause();
}
#elif defined __aarch64__
static void pause_core(void)
{
    __asm__ volatile("yield");
}
#else
static void pause_core(void) {}
#endif

void me_barrier_wait(struct me_barrier *barrier, int threads)
{
    if (threads == 1) return;
    int round = atomic_load_explicit(&barrier->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&barrier->waiting, 1, memory_order_acq_rel) + 1 == threads) {
        atomic_store_explicit(&barrier->waiting, 0, memory_order_relaxed);
        atomic_store_explicit(&barrier->round, round + 1, memory_order_release);
        return;
    }
    for (int i = 0; atomic_load_explicit(&barrier->round, memory_order_acquire) == round; i++) {
        if (i < SPINS)
            pause_core();
        else
            sched_yield();
    }
}
