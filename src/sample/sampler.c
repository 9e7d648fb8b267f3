#include "sampler.h"
#include "me/clock.h"
#include "me/units.h"
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define SHORTEST_PERIOD_NS INT64_C(200000) /* a meter that wraps faster than this cannot be followed */
/* Below this period the scheduler's habit of letting others finish makes samples late. */
#define REALTIME_BELOW_NS INT64_C(5000000)
#define REALTIME_PRIORITY 10 /* above all ordinary threads, below those of the kernel */

void me_sampler_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void me_sampler_wait_until(struct me_sampler *s, pthread_cond_t *cond, int64_t due_ns)
{
    struct timespec due = {.tv_sec = due_ns / ME_NS_PER_S, .tv_nsec = due_ns % ME_NS_PER_S};
    pthread_cond_timedwait(cond, &s->lock, &due);
}

int me_sampler_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int64_t me_sampler_take(struct me_sampler *s, int64_t *time_ns)
{
    int64_t begin_ns = me_clock_mono_ns();
    me_meter_read(s->meter, s->readings);
    int64_t took_ns = me_clock_mono_ns() - begin_ns;
    *time_ns = begin_ns + took_ns / 2;
    return took_ns;
}

int me_sampler_keep(struct me_sampler *s, int64_t time_ns, const struct me_reading *readings)
{
    if (s->failure.code) return -1;
    const struct me_series *series = s->series;
    /* A slow source's sample may stand at a moment that this one's middle comes before. */
    if (series->count && time_ns < series->time_ns[series->count - 1])
        time_ns = series->time_ns[series->count - 1];
    if (me_series_append(s->series, time_ns, readings, &s->failure)) return -1;
    if (s->last_ns && time_ns - s->last_ns > s->longest_gap_ns) s->longest_gap_ns = time_ns - s->last_ns;
    s->last_ns = time_ns;
    return 0;
}

/* The instant after `due` that is still to come; counts those that were passed over. */
static int64_t next_due(struct me_sampler *s, int64_t due_ns)
{
    int64_t behind_ns = me_clock_mono_ns() - due_ns, passed = behind_ns / s->period_ns;
    s->late += (uint32_t)passed;
    return due_ns + (passed + 1) * s->period_ns;
}

/* The workload's threads come after ours where the kernel allows it; what we start does not inherit it. */
static void ask_for_realtime(struct me_sampler *s)
{
    double hz = 1e9 / (double)s->period_ns;
    int len = snprintf(s->schedule, sizeof s->schedule, "%.4g Hz", hz);
    if (s->period_ns >= REALTIME_BELOW_NS) return;
    prctl(PR_SET_TIMERSLACK, 1);
    struct sched_param param = {.sched_priority = REALTIME_PRIORITY};
    int error = pthread_setschedparam(pthread_self(), SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
    snprintf(s->schedule + len, sizeof s->schedule - (size_t)len,
             error ? ", SCHED_FIFO refused: %s" : ", SCHED_FIFO", strerrorname_np(error));
}

/* A semaphore, so that stopping does not take a period. Not a condition: the lock that comes with one is
 * taken back as if others waited for it too, and each unlock then asks the kernel. */
static void rest_until(struct me_sampler *s, int64_t due_ns)
{
    struct timespec due = {.tv_sec = due_ns / ME_NS_PER_S, .tv_nsec = due_ns % ME_NS_PER_S};
    pthread_mutex_unlock(&s->lock);
    sem_clockwait(&s->wake, CLOCK_MONOTONIC, &due);
    pthread_mutex_lock(&s->lock);
}

/* Waits for absolute instants, so that lateness never adds up. The lock is free while it waits. */
static void *run(void *arg)
{
    struct me_sampler *s = arg;
    pthread_mutex_lock(&s->lock);
    ask_for_realtime(s);
    s->ready = true;
    pthread_cond_signal(&s->news);
    int64_t due_ns = me_clock_mono_ns();
    while (!s->stopping) {
        int64_t now_ns = me_clock_mono_ns(), time_ns;
        if (now_ns < due_ns) {
            rest_until(s, due_ns);
            continue;
        }
        if (now_ns - due_ns > s->period_ns / 2) s->late++;
        me_sampler_take(s, &time_ns);
        me_sampler_keep(s, time_ns, s->readings);
        due_ns = next_due(s, due_ns);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int64_t choose_period_ns(const struct me_meter *meter, double hz)
{
    double period_s = 1 / hz;
    for (size_t i = 0; i < meter->channel_count; i++) {
        double half_s = me_channel_safe_interval_s(&meter->channels[i]) / 2;
        if (meter->channels[i].interval_s <= 0 && half_s < period_s) period_s = half_s;
    }
    int64_t period_ns = (int64_t)(period_s * 1e9);
    return period_ns < SHORTEST_PERIOD_NS ? SHORTEST_PERIOD_NS : period_ns;
}

/* The first counter that counts: of several packages, whose ticks are not at one moment, one has to be
 * chosen. */
static size_t choose_lead(const struct me_meter *meter)
{
    for (size_t i = 0; i < meter->channel_count; i++) {
        const struct me_channel *channel = &meter->channels[i];
        if (channel->counted && channel->kind == ME_KIND_COUNTER && channel->cls == ME_CLASS_COUNTER &&
            channel->interval_s <= 0)
            return i;
    }
    return SIZE_MAX;
}

static void init_locks(struct me_sampler *s)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT); /* who holds it runs as who waits for it */
    pthread_mutex_init(&s->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    pthread_mutex_init(&s->handing, NULL);
    sem_init(&s->wake, 0, 0);
    me_sampler_cond_init(&s->news);
    me_sampler_cond_init(&s->courier_wake);
}

static void destroy(struct me_sampler *s)
{
    pthread_cond_destroy(&s->courier_wake);
    pthread_cond_destroy(&s->news);
    sem_destroy(&s->wake);
    pthread_mutex_destroy(&s->handing);
    pthread_mutex_destroy(&s->lock);
    me_series_release(&s->part);
    free(s->readings);
    free(s->best);
    free(s->progress);
    free(s);
}

static struct me_sampler *create(struct me_meter *meter, struct me_series *series, double hz)
{
    struct me_sampler *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    init_locks(s);
    s->readings = calloc(meter->channel_count + 1, sizeof *s->readings);
    s->best = calloc(meter->channel_count + 1, sizeof *s->best);
    s->progress = calloc(meter->channel_count + 1, sizeof *s->progress);
    s->meter = meter;
    s->series = series;
    s->period_ns = choose_period_ns(meter, hz);
    s->lead = choose_lead(meter);
    s->handed = s->floor = series->count;
    s->progress_first = SIZE_MAX;
    me_series_init(&s->part, series->channels);
    if (s->readings && s->best && s->progress) return s;
    destroy(s);
    return NULL;
}

static int start_sampling(struct me_sampler *s, struct me_error *err)
{
    int error = me_sampler_thread(&s->thread, run, s);
    if (error) return me_fail_errno(err, ME_E_RUN, error, "sampler: no thread");
    pthread_mutex_lock(&s->lock);
    while (!s->ready) pthread_cond_wait(&s->news, &s->lock);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static void tell_to_stop(struct me_sampler *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    sem_post(&s->wake);
    pthread_cond_signal(&s->courier_wake);
    me_pacers_ask(s, true);
    pthread_mutex_unlock(&s->lock);
}

int me_sampler_start(struct me_sampler **out, struct me_meter *meter, struct me_series *series, double hz,
                     me_sampler_sink *sink, void *context, struct me_error *err)
{
    if (!(hz > 0) || !isfinite(hz)) return me_fail(err, ME_E_INPUT, "sampler: %g is not a rate in Hz", hz);
    if (series->channels != meter->channel_count)
        return me_fail(err, ME_E_RUN, "sampler: a series of %zu channels for a meter of %zu",
                       series->channels, meter->channel_count);
    struct me_sampler *s = create(meter, series, hz);
    if (!s) return me_fail(err, ME_E_RUN, "sampler: no memory");
    s->sink = sink;
    s->context = context;
    bool courier = false;
    if (me_pacers_start(s, err)) goto out;
    if (me_courier_start(s, err)) goto out;
    courier = true;
    if (start_sampling(s, err)) goto out;
    *out = s;
    return 0;
out:
    tell_to_stop(s);
    if (courier) me_courier_join(s);
    me_pacers_join(s);
    destroy(s);
    return -1;
}

const char *me_sampler_schedule(const struct me_sampler *s)
{
    return s->schedule;
}

static int64_t thread_cpu_ns(pthread_t thread)
{
    struct timespec cpu = {0};
    clockid_t clock;
    if (!pthread_getcpuclockid(thread, &clock)) clock_gettime(clock, &cpu);
    return (int64_t)cpu.tv_sec * ME_NS_PER_S + cpu.tv_nsec;
}

void me_sampler_stats(struct me_sampler *s, struct me_sampler_stats *stats)
{
    int64_t cpu_ns = thread_cpu_ns(s->thread) + thread_cpu_ns(s->courier) + me_pacers_cpu_ns(s);
    pthread_mutex_lock(&s->lock);
    *stats = (struct me_sampler_stats){
        .late = s->late,
        .cpu_ns = cpu_ns + s->edge_cpu_ns,
        .longest_gap_ns = s->longest_gap_ns,
    };
    pthread_mutex_unlock(&s->lock);
}

void me_sampler_gap_reset(struct me_sampler *s)
{
    pthread_mutex_lock(&s->lock);
    s->longest_gap_ns = 0;
    pthread_mutex_unlock(&s->lock);
}

bool me_sampler_finish(struct me_sampler *s, int64_t wait_ns)
{
    if (!s) return true;
    if (!s->stopping) tell_to_stop(s); /* no other thread writes it */
    return me_pacers_have_ended(s, me_clock_mono_ns() + wait_ns);
}

void me_sampler_stop(struct me_sampler *s)
{
    if (!s) return;
    tell_to_stop(s);
    pthread_join(s->thread, NULL);
    me_pacers_join(s);
    me_courier_join(s);
    me_courier_hand_over(s);
    destroy(s);
}

bool me_sampler_abandon(struct me_sampler *s, int64_t wait_ns)
{
    if (!s) return true;
    int64_t until_ns = me_clock_mono_ns() + wait_ns;
    tell_to_stop(s);
    pthread_join(s->thread, NULL);
    me_courier_join(s);
    bool have_ended = me_pacers_have_ended(s, until_ns);
    pthread_mutex_lock(&s->lock);
    s->abandoned = true;
    pthread_mutex_unlock(&s->lock);
    me_courier_hand_over(s);
    if (!have_ended) {
        me_pacers_leave(s);
        return false; /* what it holds is theirs */
    }
    me_pacers_join(s);
    destroy(s);
    return true;
}
