#include "sampler.h"
#include "me/clock.h"
#include "me/units.h"
#include <stdlib.h>
#include <string.h>

#define FIRST_READING_NS (5 * ME_NS_PER_S)
/* Readings that an edge asks for take no more than this part of the time: a source that needs 50 ms
 * (a command, a bus) is asked once a second at most, whatever marks the workload sets. */
#define ASKED_SHARE 20
/* A slow counter's value is true only where it moves, so the first edge waits for a tick before it, and
 * the end for one behind the last edge; but not for slower ones than those of node meters and GPUs. */
#define TICK_WAIT_NS INT64_C(300000000)

static bool counts(const struct me_channel *channel)
{
    return channel->counted && channel->kind == ME_KIND_COUNTER;
}

/* A counter that moves once an interval is read four times in it, where that takes no more than a
 * hundredth of the time: then the moments of its ticks are known to a quarter. */
static int64_t pace_ns(const struct me_pacer *pacer)
{
    const struct me_meter *meter = pacer->sampler->meter;
    const struct me_source *source = &meter->sources[pacer->source];
    bool any = false;
    for (size_t i = source->first; i < source->first + source->channel_count; i++)
        any = any || counts(&meter->channels[i]);
    bool is_cheap = 4 * 100 * (pacer->end_ns - pacer->begin_ns) < pacer->interval_ns;
    return any && is_cheap ? pacer->interval_ns / 4 : pacer->interval_ns;
}

static int64_t due_ns(const struct me_pacer *pacer)
{
    if (!pacer->begin_ns || pacer->hurried) return 0;
    int64_t took_ns = pacer->end_ns - pacer->begin_ns, due = pacer->begin_ns + pace_ns(pacer);
    if (!pacer->asked) return due;
    int64_t soonest = pacer->end_ns + ASKED_SHARE * took_ns;
    return soonest < due ? soonest : due;
}

static bool is_last_edge_read(const struct me_pacer *pacer)
{
    const struct me_sampler *s = pacer->sampler;
    return !s->any_edge || pacer->begin_ns >= s->edge_ns;
}

/* Has every counted counter of the source moved since the mark? One that cannot be read has no tick. */
static bool has_ticked(const struct me_pacer *pacer)
{
    const struct me_meter *meter = pacer->sampler->meter;
    const struct me_source *source = &meter->sources[pacer->source];
    for (size_t i = source->first; i < source->first + source->channel_count; i++)
        if (counts(&meter->channels[i]) && pacer->mark[i].state == ME_READING_OK &&
            pacer->readings[i].state == ME_READING_OK && pacer->mark[i].count == pacer->readings[i].count)
            return false;
    return true;
}

static void set_mark(struct me_pacer *pacer)
{
    memcpy(pacer->mark, pacer->readings, pacer->sampler->meter->channel_count * sizeof *pacer->mark);
    pacer->ticked = has_ticked(pacer);
}

/* With no edge there is nothing to wait for, nor if the next reading would come too late. */
static bool is_done(const struct me_pacer *pacer)
{
    const struct me_sampler *s = pacer->sampler;
    if (!is_last_edge_read(pacer)) return false;
    return !s->any_edge || pacer->ticked || pacer->begin_ns + pacer->interval_ns > s->edge_ns + TICK_WAIT_NS;
}

/* The source is read without the lock. The sample's time is the middle of the reading, which may lie
 * before samples that were made meanwhile. */
static void read_once(struct me_pacer *pacer)
{
    struct me_sampler *s = pacer->sampler;
    s->meter->sources[pacer->source].for_edge = pacer->asked || pacer->hurried || s->stopping;
    pacer->asked = pacer->hurried = false;
    pthread_mutex_unlock(&s->lock);
    int64_t begin_ns = me_clock_mono_ns();
    me_meter_read_source(s->meter, pacer->source, pacer->readings);
    int64_t end_ns = me_clock_mono_ns();
    pthread_mutex_lock(&s->lock);
    if (s->abandoned) return; /* the meter may be gone */
    bool is_new_mark = !pacer->begin_ns || pacer->begin_ns < s->edge_ns;
    pacer->begin_ns = begin_ns;
    pacer->end_ns = end_ns;
    if (!s->failure.code)
        me_series_insert(s->series, s->floor, begin_ns + (end_ns - begin_ns) / 2, pacer->readings,
                         &s->failure);
    if (is_new_mark)
        set_mark(pacer);
    else
        pacer->ticked = pacer->ticked || has_ticked(pacer);
    if (!s->any_edge) pthread_cond_signal(&s->news);
}

static void *pace(void *arg)
{
    struct me_pacer *pacer = arg;
    struct me_sampler *s = pacer->sampler;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping || (!s->abandoned && !is_done(pacer))) {
        int64_t due = s->stopping && !is_last_edge_read(pacer) ? 0 : due_ns(pacer);
        if (due > me_clock_mono_ns())
            me_sampler_wait_until(s, &pacer->wake, due);
        else
            read_once(pacer);
    }
    pacer->ended = true;
    pthread_cond_signal(&s->news);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

bool me_pacers_have_ended(struct me_sampler *s, int64_t until_ns)
{
    size_t ended = 0;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        for (ended = 0; ended < s->pacer_count && s->pacers[ended].ended;) ended++;
        if (ended == s->pacer_count || me_clock_mono_ns() >= until_ns) break;
        me_sampler_wait_until(s, &s->news, until_ns);
    }
    pthread_mutex_unlock(&s->lock);
    return ended == s->pacer_count;
}

void me_pacers_ask(struct me_sampler *s, bool hurry)
{
    for (size_t i = 0; i < s->pacer_count; i++) {
        s->pacers[i].asked = true;
        if (hurry) s->pacers[i].hurried = true;
        pthread_cond_signal(&s->pacers[i].wake);
    }
}

/* Have all read, and seen a tick or waited for it? */
static bool all_are_ready(const struct me_sampler *s, int64_t begin_ns)
{
    bool is_late = me_clock_mono_ns() > begin_ns + TICK_WAIT_NS;
    for (size_t i = 0; i < s->pacer_count; i++) {
        const struct me_pacer *pacer = &s->pacers[i];
        bool waits = !pacer->ticked && pacer->interval_ns < TICK_WAIT_NS && !is_late;
        if (!pacer->begin_ns || waits) return false;
    }
    return true;
}

static int start_pacer(struct me_sampler *s, size_t source, struct me_error *err)
{
    struct me_pacer *pacer = &s->pacers[s->pacer_count];
    *pacer = (struct me_pacer){
        .sampler = s, .source = source, .interval_ns = (int64_t)(s->meter->sources[source].interval_s * 1e9)};
    me_sampler_cond_init(&pacer->wake);
    s->pacer_count++;
    pacer->readings = calloc(s->meter->channel_count + 1, sizeof *pacer->readings);
    pacer->mark = calloc(s->meter->channel_count + 1, sizeof *pacer->mark);
    if (!pacer->readings || !pacer->mark) return me_fail(err, ME_E_RUN, "sampler: no memory");
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
    int64_t begin_ns = me_clock_mono_ns(), until_ns = begin_ns + FIRST_READING_NS;
    while (!all_are_ready(s, begin_ns) && me_clock_mono_ns() < until_ns)
        me_sampler_wait_until(s, &s->news, until_ns);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

void me_pacers_leave(struct me_sampler *s)
{
    for (size_t i = 0; i < s->pacer_count; i++)
        if (s->pacers[i].started) pthread_detach(s->pacers[i].thread);
}

void me_pacers_join(struct me_sampler *s)
{
    for (size_t i = 0; i < s->pacer_count; i++) {
        if (s->pacers[i].started) pthread_join(s->pacers[i].thread, NULL);
        pthread_cond_destroy(&s->pacers[i].wake);
        free(s->pacers[i].readings);
        free(s->pacers[i].mark);
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
