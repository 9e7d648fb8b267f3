#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include "bench.h"
#include "me/assembly.h"
#include "me/clock.h"

#define LOOK_EVERY_NS (ME_NS_PER_S / 1000)

struct maker {
    const struct me_maker_input *input;
    struct me_parts *parts;
    struct me_error *err;
    int rc;
    atomic_bool done;
};

static void *make(void *context)
{
    struct maker *maker = context;
    const struct me_maker_input *input = maker->input;
    maker->rc = me_parts_make(input->machine, input->record->data, input->record->len, input->place,
                              maker->parts, maker->err);
    me_buffer_release(input->record);
    atomic_store(&maker->done, true);
    return NULL;
}

/* Signals are the main thread's. */
static int start(pthread_t *thread, struct maker *maker)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(thread, NULL, make, maker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

int me_maker_run(const struct me_maker_input *input, struct me_parts *parts, void (*waiting)(void *),
                 void *context, struct me_error *err)
{
    pthread_t thread;
    struct maker maker = {.input = input, .parts = parts, .err = err};
    if (start(&thread, &maker)) { /* then the others hear nothing of us for a while */
        make(&maker);
        return maker.rc;
    }
    while (!atomic_load(&maker.done)) {
        waiting(context);
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_EVERY_NS);
    }
    pthread_join(thread, NULL);
    return maker.rc;
}
