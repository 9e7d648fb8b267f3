#include "sampler.h"
#include "me/clock.h"
#include "me/units.h"

/* Copies what is new, so that the sink works without the lock: it encodes, and writes to a disk. */
static size_t copy_new(struct me_sampler *s)
{
    const struct me_series *from = s->series;
    size_t n = from->channels, first = s->handed;
    struct me_error ignored;
    s->part.count = 0;
    for (size_t i = first; i < from->count; i++)
        if (me_series_append(&s->part, from->time_ns[i], from->readings + i * n, &ignored)) break;
    s->handed = first + s->part.count; /* what there was no memory for comes next time */
    if (s->handed > s->floor) s->floor = s->handed;
    return first;
}

void me_courier_hand_over(struct me_sampler *s)
{
    if (!s->sink) return;
    pthread_mutex_lock(&s->handing);
    pthread_mutex_lock(&s->lock);
    size_t first = copy_new(s);
    pthread_mutex_unlock(&s->lock);
    if (s->part.count) s->sink(s->context, &s->part, first);
    pthread_mutex_unlock(&s->handing);
}

static void *carry(void *arg)
{
    struct me_sampler *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        me_sampler_wait_until(s, &s->courier_wake, me_clock_mono_ns() + ME_NS_PER_S);
        bool due = s->any_edge && s->series->count > s->handed;
        if (s->stopping || !due) continue;
        pthread_mutex_unlock(&s->lock);
        me_courier_hand_over(s);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int me_courier_start(struct me_sampler *s, struct me_error *err)
{
    int error = me_sampler_thread(&s->courier, carry, s);
    return error ? me_fail_errno(err, ME_E_RUN, error, "sampler: no thread") : 0;
}

void me_courier_join(struct me_sampler *s)
{
    pthread_join(s->courier, NULL);
}
