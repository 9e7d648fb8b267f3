/* Clocks and waiting. All instants are nanoseconds in int64_t. */
#ifndef ME_CLOCK_H
#define ME_CLOCK_H

#include <stdint.h>

#define ME_NS_PER_S INT64_C(1000000000)

int64_t me_clock_mono_ns(void);       /* CLOCK_MONOTONIC: intervals, deadlines, samples */
int64_t me_clock_unix_ns(void);       /* CLOCK_REALTIME: only to name an instant to people */
int64_t me_clock_thread_cpu_ns(void); /* CPU time of the calling thread */
/* Sleeps until the absolute monotonic instant; returns at once if it has passed. A signal ends it early. */
void me_clock_sleep_until(int64_t mono_ns);

#endif
