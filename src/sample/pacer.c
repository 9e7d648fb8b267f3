#include "sampler.h"
#include "me/clock.h"
#include "me/units.h"
#include <stdlib.h>

#define FIRST_READING_NS (5 * ME_NS_PER_S)
/* Readings that an edge asks for take no more than this part of the time: a source that needs 50 ms
 * (a command, a bus) is asked once a second at most, whatever marks the workload sets. */
#define ASKED_SHARE 20

static int64_t due_ns(const struct me_pacer *pacer)
{
    if (!pacer->begin_ns || pacer->hurried) return 0;
    int64_t due = pacer->begin_ns + pacer->interval_ns;
    if (!pacer->asked) return due;
    int64_t soonest = pacer->end_ns + ASKED_SHARE * (pacer->end_ns - pacer->begin_ns);
    return soonest < due ? soonest : due;
}

static bool is_last_edge_read(const struct me_pacer *pacer)
{
    const struct me_sampler *s = pacer->sampler;
    return !s->any_edge || pacer->begin_ns >= s->edge_ns;
}

/* The source is read without the lock. The sample's time is the middle of the reading, which may lie
 * before samples that were made meanwhile. */
static void read_once(struct me_pacer *pacer)
{
    struct me_sampler *s = pacer->sampler;
    pacer->asked = pacer->hurried = false;
    pthread_mutex_unlock(&s->lock);
    int64_t begin_ns = me_clock_mono_ns();
    me_meter_read_source(s->meter, pacer->source, pacer->readings);
    int64_t end_ns = me_clock_mono_ns();
    pthread_mutex_lock(&s->lock);
    bool is_first = !pacer->begin_ns;
    pacer->begin_ns = begin_ns;
    pacer->end_ns = end_ns;
    if (!s->failure.code)
        me_series_insert(s->series, s->floor, begin_ns + (end_ns - begin_ns) / 2, pacer->readings,
                         &s->failure);
    if (is_first) pthread_cond_signal(&s->news);
}

static void *pace(void *arg)
{
    struct me_pacer *pacer = arg;
    struct me_sampler *s = pacer->sampler;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping || !is_last_edge_read(pacer)) {
        int64_t due = s->stopping ? 0 : due_ns(pacer);
        if (due > me_clock_mono_ns())
            me_sampler_wait_until(s, &pacer->wake, due);
        else
            read_once(pacer);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

void me_pacers_ask(struct me_sampler *s, bool hurry)
{
    for (size_t i = 0; i < s->pacer_count; i++) {
        s->pacers[i].asked = true;
        if (hurry) s->pacers[i].hurried = true;
        pthread_cond_signal(&s->pacers[i].wake);
    }
}

static bool all_have_read(const struct me_sampler *s)
{
    for (size_t i = 0; i < s->pacer_count; i++)
        if (!s->pacers[i].begin_ns) return false;
    return true;
}

static int start_pacer(struct me_sampler *s, size_t source, struct me_error *err)
{
    struct me_pacer *pacer = &s->pacers[s->pacer_count];
    *pacer = (struct me_pacer){
        .sampler = s, .source = source, .interval_ns = (int64_t)(s->meter->sources[source].interval_s * 1e9)};
    pacer->readings = calloc(s->meter->channel_count + 1, sizeof *pacer->readings);
    if (!pacer->readings) return me_fail(err, ME_E_RUN, "sampler: no memory");
    me_sampler_cond_init(&pacer->wake);
    s->pacer_count++;
    int error = me_sampler_thread(&pacer->thread, pace, pacer);
    if (error)
        return me_fail_errno(err, ME_E_RUN, error, "sampler: no thread for %s",
                             s->meter->sources[source].ops->name);
    pacer->started = true;
    return 0;
}

int me_pacers_start(struct me_sampler *s, struct me_error *err)
{
    s->pacers = calloc(s->meter->source_count + 1, sizeof *s->pacers);
    if (!s->pacers) return me_fail(err, ME_E_RUN, "sampler: no memory");
    for (size_t i = 0; i < s->meter->source_count; i++) {
        const struct me_source *source = &s->meter->sources[i];
        if (source->found && source->interval_s > 0 && start_pacer(s, i, err)) return -1;
    }
    pthread_mutex_lock(&s->lock);
    int64_t until_ns = me_clock_mono_ns() + FIRST_READING_NS;
    while (!all_have_read(s) && me_clock_mono_ns() < until_ns) me_sampler_wait_until(s, &s->news, until_ns);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

void me_pacers_join(struct me_sampler *s)
{
    for (size_t i = 0; i < s->pacer_count; i++) {
        if (s->pacers[i].started) pthread_join(s->pacers[i].thread, NULL);
        pthread_cond_destroy(&s->pacers[i].wake);
        free(s->pacers[i].readings);
    }
    free(s->pacers);
    s->pacers = NULL;
    s->pacer_count = 0;
}

int64_t me_pacers_cpu_ns(const struct me_sampler *s)
{
    int64_t sum_ns = 0;
    for (size_t i = 0; i < s->pacer_count; i++) {
        struct timespec cpu;
        clockid_t clock;
        if (pthread_getcpuclockid(s->pacers[i].thread, &clock) || clock_gettime(clock, &cpu)) continue;
        sum_ns += (int64_t)cpu.tv_sec * ME_NS_PER_S + cpu.tv_nsec;
    }
    return sum_ns;
}
