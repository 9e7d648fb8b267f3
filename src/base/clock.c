#include "me/clock.h"
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * ME_NS_PER_S + t.tv_nsec;
}

int64_t me_clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}
int64_t me_clock_unix_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}
int64_t me_clock_thread_cpu_ns(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void me_clock_sleep_until(int64_t mono_ns)
{
    struct timespec t = {.tv_sec = mono_ns / ME_NS_PER_S, .tv_nsec = mono_ns % ME_NS_PER_S};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}
