/* spin: every core that we may use does integer and floating point arithmetic, for a power that
 * depends on nothing but the processor. */
#include "kernel.h"
#include "me/clock.h"
#include "me/mark.h"
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct spin_options {
    bool check;
    double seconds;
};

static const struct me_option option_rows[] = {
    {"seconds", 's', ME_OPTION_DOUBLE, offsetof(struct spin_options, seconds), 0, 1e9, "S",
     "how long (default 10)"},
    {"check", 0, ME_OPTION_FLAG, offsetof(struct spin_options, check), 0, 0, NULL,
     "only tell whether it can run here"},
    {.name = NULL},
};
static const struct me_command command = {.program = "me_kernel spin",
                                          .usage = "[--seconds S]",
                                          .summary = "Keep all cores of the affinity mask busy.",
                                          .options = option_rows};

struct spinner {
    pthread_t thread;
    int64_t end_ns;
    uint64_t whole; /* results are kept, or the compiler would drop the loops */
    double real;
};

static void *spin(void *argument)
{
    struct spinner *spinner = argument;
    uint64_t whole = 88172645463325252u;
    double real = 1.0;
    do { /* some 100 us between two looks at the clock */
        for (int i = 0; i < 50000; i++) {
            whole ^= whole << 13;
            whole ^= whole >> 7;
            whole ^= whole << 17;
            real = real * 0.999999 + (double)(whole >> 40) * 1e-9;
        }
    } while (me_clock_mono_ns() < __atomic_load_n(&spinner->end_ns, __ATOMIC_RELAXED));
    spinner->whole = whole;
    spinner->real = real;
    return NULL;
}

/* Thread 0 is the caller's own. */
static int spin_all(struct spinner *spinners, int n, double seconds, struct me_error *err)
{
    int started = 1, rc = 0;
    int64_t end_ns = me_clock_mono_ns() + (int64_t)(seconds * 1e9);
    for (int i = 0; i < n; i++) spinners[i].end_ns = end_ns;
    for (; started < n; started++) {
        int errnum = pthread_create(&spinners[started].thread, NULL, spin, &spinners[started]);
        if (!errnum) continue;
        rc = me_fail_errno(err, ME_E_RUN, errnum, "cannot start thread %d of %d", started + 1, n);
        for (int i = 0; i < started; i++) __atomic_store_n(&spinners[i].end_ns, 0, __ATOMIC_RELAXED);
        break;
    }
    if (!rc) spin(&spinners[0]);
    for (int i = 1; i < started; i++) pthread_join(spinners[i].thread, NULL);
    return rc;
}

int me_spin_main(int argc, char **argv)
{
    struct me_error err;
    struct spin_options options = {.seconds = 10};
    int rc = me_kernel_options(&command, argc, argv, &options, &err);
    if (rc < 0) return me_kernel_report("spin", &err);
    if (rc > 0) return ME_OK;
    int threads = me_kernel_cpus();
    if (options.check) {
        printf("spin: ready, %d threads\n", threads);
        return ME_OK;
    }
    struct spinner *spinners = calloc((size_t)threads, sizeof *spinners);
    if (!spinners) return me_kernel_report("spin", (me_fail(&err, ME_E_RUN, "no memory"), &err));
    me_mark_begin("spin");
    rc = spin_all(spinners, threads, options.seconds, &err);
    me_mark_end("spin");
    if (!rc) {
        me_mark_work(options.seconds * threads, "core-s");
        printf("spin: %d threads, %g s\n", threads, options.seconds);
    }
    free(spinners);
    return rc ? me_kernel_report("spin", &err) : ME_OK;
}
