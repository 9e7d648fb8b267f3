/* Exact edges. A counter moves in ticks (1 ms for RAPL), so what it shows at an arbitrary moment is up
 * to a tick old. Where nothing is hurried an edge waits for the moment of a tick, at which the number
 * is true. */
#include "sampler.h"
#include "me/clock.h"
#include <string.h>

#define EDGE_TRIES   5
#define TICK_WAIT_NS INT64_C(3000000)
#define SHARP_NS     INT64_C(200000) /* a tick found later than this after it passed is not sharp */

static size_t count_failed(const struct me_sampler *s)
{
    size_t failed = 0;
    for (size_t i = 0; i < s->meter->channel_count; i++) {
        const struct me_channel *channel = &s->meter->channels[i];
        if (channel->counted && channel->interval_s <= 0 && s->readings[i].state != ME_READING_OK) failed++;
    }
    return failed;
}

static void take_over(struct me_sampler *s)
{
    memcpy(s->best, s->readings, s->meter->channel_count * sizeof *s->best);
}

/* The best of up to EDGE_TRIES readings into s->best; returns its time. An edge is worth some
 * microseconds: on it hangs the whole span. */
static int64_t take_best(struct me_sampler *s)
{
    int64_t best_ns = 0, shortest_ns = INT64_MAX;
    size_t fewest = SIZE_MAX;
    for (int i = 0; i < EDGE_TRIES; i++) {
        int64_t time_ns, took_ns = me_sampler_take(s, &time_ns);
        size_t failed = count_failed(s);
        if (failed < fewest || (failed == fewest && took_ns < shortest_ns)) {
            take_over(s);
            best_ns = time_ns;
            shortest_ns = took_ns;
            fewest = failed;
        }
        if (!failed && took_ns <= ME_LONG_READING_NS) break;
    }
    return best_ns;
}

static bool has_lead(const struct me_sampler *s)
{
    return s->lead != SIZE_MAX && s->best[s->lead].state == ME_READING_OK;
}

static bool has_ticked(const struct me_sampler *s)
{
    return s->readings[s->lead].state == ME_READING_OK &&
           s->readings[s->lead].count != s->best[s->lead].count;
}

/* If the tick moved while the channels were read, some of them may show the time before it: the next
 * reading shows all of them after it. */
static int64_t take_now(struct me_sampler *s)
{
    int64_t time_ns, best_ns = take_best(s);
    if (!has_lead(s)) return best_ns;
    int64_t took_ns = me_sampler_take(s, &time_ns);
    if (took_ns > ME_LONG_READING_NS || count_failed(s) || !has_ticked(s)) return best_ns;
    take_over(s);
    return time_ns;
}

/* Reads on until the leading counter moves. A tick that passed while this thread was not running is
 * let go for the next; where none is met, the edge is one at any moment. */
static int64_t take_at_tick(struct me_sampler *s)
{
    int64_t time_ns, before_ns = take_best(s), until_ns = before_ns + TICK_WAIT_NS;
    while (has_lead(s) && before_ns < until_ns) {
        me_sampler_take(s, &time_ns);
        bool sharp = time_ns - before_ns <= SHARP_NS;
        before_ns = time_ns;
        if (count_failed(s)) continue;
        bool ticked = has_ticked(s);
        take_over(s);
        if (ticked && sharp) return time_ns;
    }
    return take_now(s);
}

int me_sampler_edge(struct me_sampler *s, enum me_edge edge, size_t *index, struct me_error *err)
{
    int64_t cpu_ns = me_clock_thread_cpu_ns();
    pthread_mutex_lock(&s->lock);
    int64_t time_ns = edge == ME_EDGE_TICK ? take_at_tick(s) : take_now(s);
    int rc = me_sampler_keep(s, time_ns, s->best);
    if (rc && err) *err = s->failure;
    if (!rc) {
        *index = s->series->count - 1;
        s->floor = s->series->count;
        s->edge_ns = time_ns;
        s->any_edge = true;
        me_pacers_ask(s, edge == ME_EDGE_TICK);
    }
    pthread_mutex_unlock(&s->lock);
    if (!rc) me_courier_hand_over(s);
    cpu_ns = me_clock_thread_cpu_ns() - cpu_ns;
    pthread_mutex_lock(&s->lock);
    s->edge_cpu_ns += cpu_ns;
    pthread_mutex_unlock(&s->lock);
    return rc;
}
