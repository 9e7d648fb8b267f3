#include "me/clock.h"
#include "me/sample.h"
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHORTEST_PERIOD_NS INT64_C(200000) /* a meter that wraps faster than this cannot be followed */
#define LONG_READING_NS    INT64_C(500000)
#define EDGE_TRIES         5

/* What me_sampler_now has added up already, so that it looks at new samples only. */
struct progress {
    size_t first, upto;
    uint64_t uj;
};

struct me_sampler {
    pthread_mutex_t lock; /* all below, the series and the meter */
    pthread_cond_t wake;
    pthread_t thread;
    bool stopping;
    struct me_meter *meter;
    struct me_series *series;
    int64_t period_ns;
    me_sampler_sink *sink;
    void *context;
    size_t handed;                      /* samples the sink has */
    struct me_reading *readings, *best; /* scratch of one sample each */
    uint32_t late;
    int64_t edge_cpu_ns, longest_gap_ns;
    struct progress progress;
    struct me_error failure; /* the first sample that could not be kept */
};

static int keep(struct me_sampler *s, int64_t time_ns, const struct me_reading *readings)
{
    if (s->failure.code) return -1;
    if (me_series_append(s->series, time_ns, readings, &s->failure)) return -1;
    size_t n = s->series->count;
    int64_t gap_ns = n > 1 ? time_ns - s->series->time_ns[n - 2] : 0;
    if (gap_ns > s->longest_gap_ns) s->longest_gap_ns = gap_ns;
    return 0;
}

static void hand_over(struct me_sampler *s)
{
    if (s->sink && s->series->count > s->handed) s->sink(s->context, s->series, s->handed, s->series->count);
    s->handed = s->series->count;
}

/* One reading of all channels; returns how long it took, and in *time_ns its middle. */
static int64_t take(struct me_sampler *s, int64_t *time_ns)
{
    int64_t begin_ns = me_clock_mono_ns();
    me_meter_read(s->meter, s->readings);
    int64_t took_ns = me_clock_mono_ns() - begin_ns;
    *time_ns = begin_ns + took_ns / 2;
    return took_ns;
}

/* The instant after `due` that is still to come; counts those that were passed over. */
static int64_t next_due(struct me_sampler *s, int64_t due_ns)
{
    int64_t behind_ns = me_clock_mono_ns() - due_ns, passed = behind_ns / s->period_ns;
    s->late += (uint32_t)passed;
    return due_ns + (passed + 1) * s->period_ns;
}

static void wait_until(struct me_sampler *s, int64_t due_ns)
{
    struct timespec due = {.tv_sec = due_ns / ME_NS_PER_S, .tv_nsec = due_ns % ME_NS_PER_S};
    pthread_cond_timedwait(&s->wake, &s->lock, &due);
}

/* Waits for absolute instants, so that lateness never adds up; on a condition and not in a sleep, so
 * that stopping does not take a period. The lock is free while it waits. */
static void *run(void *arg)
{
    struct me_sampler *s = arg;
    pthread_mutex_lock(&s->lock);
    int64_t due_ns = me_clock_mono_ns(), handed_ns = due_ns;
    while (!s->stopping) {
        int64_t now_ns = me_clock_mono_ns(), time_ns;
        if (now_ns < due_ns) {
            wait_until(s, due_ns);
            continue;
        }
        if (now_ns - due_ns > s->period_ns / 2) s->late++;
        take(s, &time_ns);
        keep(s, time_ns, s->readings);
        if (time_ns - handed_ns >= ME_NS_PER_S) {
            hand_over(s);
            handed_ns = time_ns;
        }
        due_ns = next_due(s, due_ns);
    }
    hand_over(s);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static int64_t choose_period_ns(const struct me_meter *meter, double hz)
{
    double period_s = 1 / hz;
    for (size_t i = 0; i < meter->channel_count; i++) {
        double half_s = me_channel_safe_interval_s(&meter->channels[i]) / 2;
        if (half_s < period_s) period_s = half_s;
    }
    int64_t period_ns = (int64_t)(period_s * 1e9);
    return period_ns < SHORTEST_PERIOD_NS ? SHORTEST_PERIOD_NS : period_ns;
}

static int start_thread(struct me_sampler *s, struct me_error *err)
{
    pthread_condattr_t attr;
    sigset_t all, before;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) return 0;
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    return me_fail_errno(err, ME_E_RUN, error, "sampler: no thread");
}

int me_sampler_start(struct me_sampler **out, struct me_meter *meter, struct me_series *series, double hz,
                     me_sampler_sink *sink, void *context, struct me_error *err)
{
    if (!(hz > 0) || !isfinite(hz)) return me_fail(err, ME_E_INPUT, "sampler: %g is not a rate in Hz", hz);
    if (series->channels != meter->channel_count)
        return me_fail(err, ME_E_RUN, "sampler: a series of %zu channels for a meter of %zu",
                       series->channels, meter->channel_count);
    struct me_sampler *s = calloc(1, sizeof *s);
    if (!s) return me_fail(err, ME_E_RUN, "sampler: no memory");
    s->readings = calloc(meter->channel_count + 1, sizeof *s->readings);
    s->best = calloc(meter->channel_count + 1, sizeof *s->best);
    s->meter = meter;
    s->series = series;
    s->period_ns = choose_period_ns(meter, hz);
    s->sink = sink;
    s->context = context;
    s->handed = series->count;
    s->progress.first = SIZE_MAX;
    if (!s->readings || !s->best) {
        me_fail(err, ME_E_RUN, "sampler: no memory");
        goto out;
    }
    if (start_thread(s, err)) goto out;
    *out = s;
    return 0;
out:
    free(s->readings);
    free(s->best);
    free(s);
    return -1;
}

static size_t count_failed(const struct me_sampler *s)
{
    size_t failed = 0;
    for (size_t i = 0; i < s->meter->channel_count; i++)
        if (s->meter->channels[i].counted && s->readings[i].state != ME_READING_OK) failed++;
    return failed;
}

/* The best of up to EDGE_TRIES readings into s->best; returns its time. An edge is worth some
 * microseconds: on it hangs the whole span. */
static int64_t take_edge(struct me_sampler *s)
{
    int64_t best_ns = 0, shortest_ns = INT64_MAX;
    size_t fewest = SIZE_MAX;
    for (int i = 0; i < EDGE_TRIES; i++) {
        int64_t time_ns, took_ns = take(s, &time_ns);
        size_t failed = count_failed(s);
        if (failed < fewest || (failed == fewest && took_ns < shortest_ns)) {
            memcpy(s->best, s->readings, s->meter->channel_count * sizeof *s->best);
            best_ns = time_ns;
            shortest_ns = took_ns;
            fewest = failed;
        }
        if (!failed && took_ns <= LONG_READING_NS) break;
    }
    return best_ns;
}

int me_sampler_edge(struct me_sampler *s, size_t *index, struct me_error *err)
{
    int64_t cpu_ns = me_clock_thread_cpu_ns();
    pthread_mutex_lock(&s->lock);
    int64_t time_ns = take_edge(s);
    int rc = keep(s, time_ns, s->best);
    if (rc && err) *err = s->failure;
    if (!rc) {
        *index = s->series->count - 1;
        hand_over(s);
    }
    s->edge_cpu_ns += me_clock_thread_cpu_ns() - cpu_ns;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Energy of all counted channels; false if one of them is not known, or none counts. */
static bool add_up(const struct me_sampler *s, size_t first, size_t last, uint64_t *uj)
{
    bool any = false;
    uint64_t sum = 0;
    for (size_t c = 0; c < s->meter->channel_count; c++) {
        struct me_energy energy;
        if (!s->meter->channels[c].counted) continue;
        if (me_series_energy(s->series, &s->meter->channels[c], c, first, last, &energy)) return false;
        sum += energy.uj;
        any = true;
    }
    *uj = sum;
    return any;
}

static double energy_since(struct me_sampler *s, size_t first, size_t newest)
{
    struct progress *p = &s->progress;
    uint64_t more;
    if (p->first != first || p->upto > newest) *p = (struct progress){.first = first, .upto = first};
    if (!add_up(s, p->upto, newest, &more)) return NAN;
    p->uj += more;
    p->upto = newest;
    return (double)p->uj * 1e-6;
}

static double recent_power(const struct me_sampler *s, size_t newest)
{
    const int64_t *time_ns = s->series->time_ns;
    size_t from = newest;
    uint64_t uj;
    while (from > 0 && time_ns[newest] - time_ns[from] < ME_NS_PER_S) from--;
    int64_t span_ns = time_ns[newest] - time_ns[from];
    if (span_ns < LONG_READING_NS || !add_up(s, from, newest, &uj)) return NAN;
    return (double)uj * 1e-6 / me_ns_to_s(span_ns);
}

void me_sampler_now(struct me_sampler *s, size_t first, double *energy_j, double *power_w)
{
    pthread_mutex_lock(&s->lock);
    size_t count = s->series->count;
    *energy_j = count && first < count ? energy_since(s, first, count - 1) : NAN;
    *power_w = count ? recent_power(s, count - 1) : NAN;
    pthread_mutex_unlock(&s->lock);
}

void me_sampler_stats(struct me_sampler *s, struct me_sampler_stats *stats)
{
    struct timespec cpu = {0};
    clockid_t clock;
    if (!pthread_getcpuclockid(s->thread, &clock)) clock_gettime(clock, &cpu);
    pthread_mutex_lock(&s->lock);
    *stats = (struct me_sampler_stats){
        .late = s->late,
        .cpu_ns = (int64_t)cpu.tv_sec * ME_NS_PER_S + cpu.tv_nsec + s->edge_cpu_ns,
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

void me_sampler_stop(struct me_sampler *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s->readings);
    free(s->best);
    free(s);
}
