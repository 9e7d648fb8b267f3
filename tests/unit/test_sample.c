/* The sampler over a source that the test holds in its hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "me/clock.h"
#include "me/sample.h"
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POWER_W 50.0

struct fake { /* a counter of POWER_W, with faults on demand */
    int64_t began_ns;
    atomic_int slow_ms;    /* the next reading takes this long ... */
    atomic_int slow_count; /* ... and so many of them */
    atomic_int fail_count; /* so many readings fail; -1: all */
    atomic_int reads;
    int64_t slow_from_ns, slow_to_ns; /* the last slow reading */
};

static bool take_one(atomic_int *count)
{
    int left = atomic_load(count);
    while (left && !atomic_compare_exchange_weak(count, &left, left < 0 ? left : left - 1)) {
    }
    return left != 0;
}

static void fake_read(struct me_source *source, struct me_reading *readings)
{
    struct fake *fake = source->state;
    atomic_fetch_add(&fake->reads, 1);
    uint64_t uj = (uint64_t)((double)(me_clock_mono_ns() - fake->began_ns) * 1e-3 * POWER_W);
    bool slow = take_one(&fake->slow_count), fails = take_one(&fake->fail_count);
    if (slow) {
        fake->slow_from_ns = me_clock_mono_ns();
        nanosleep(&(struct timespec){.tv_nsec = 1000000L * atomic_load(&fake->slow_ms)}, NULL);
        fake->slow_to_ns = me_clock_mono_ns();
    }
    readings[0] = (struct me_reading){.state = ME_READING_OK, .count = uj};
    if (fails) readings[0] = (struct me_reading){.state = ME_READING_FAILED, .error = 5};
}

static const struct me_source_ops fake_ops = {.name = "fake", .summary = "a test's", .read = fake_read};

struct sunk {
    size_t next;
    atomic_size_t calls;
    bool broken;
};

struct bench {
    struct sunk sunk;
    struct fake fake;
    struct me_source source;
    struct me_channel channel;
    struct me_meter meter;
    struct me_series series;
    struct me_sampler *sampler;
};

/* On the heap, since a thread of a test that failed goes on with it. */
static struct bench *bench_new(void)
{
    struct bench *bench = calloc(1, sizeof *bench);
    if (!bench) abort();
    bench->fake.began_ns = me_clock_mono_ns();
    bench->channel = (struct me_channel){.name = "fake",
                                         .scope = ME_SCOPE_PACKAGE,
                                         .unit = "uJ",
                                         .counted = true,
                                         .range = UINT64_C(1) << 50,
                                         .max_power_w = 100};
    bench->source = (struct me_source){.ops = &fake_ops,
                                       .found = true,
                                       .channels = &bench->channel,
                                       .channel_count = 1,
                                       .state = &bench->fake};
    bench->meter = (struct me_meter){.sources = &bench->source,
                                     .source_count = 1,
                                     .channels = &bench->channel,
                                     .channel_count = 1,
                                     .root.fd = -1};
    me_series_init(&bench->series, 1);
    return bench;
}

static void bench_start(struct bench *bench, double hz, me_sampler_sink *sink, void *context)
{
    assert_int_equal(
        me_sampler_start(&bench->sampler, &bench->meter, &bench->series, hz, sink, context, NULL), 0);
}

static void bench_end(struct bench *bench)
{
    me_sampler_stop(bench->sampler);
    for (size_t i = 1; i < bench->series.count; i++)
        assert_true(bench->series.time_ns[i] >= bench->series.time_ns[i - 1]);
    me_series_release(&bench->series);
    free(bench);
}

static void rest_ms(int ms)
{
    me_clock_sleep_until(me_clock_mono_ns() + ms * INT64_C(1000000));
}

/* Energy between two edges is the power times the time between them, whatever the period. */
static void test_edges(void **state)
{
    (void)state;
    static const double rates_hz[] = {1, 10, 1000};
    for (size_t i = 0; i < sizeof rates_hz / sizeof *rates_hz; i++) {
        struct bench *bench = bench_new();
        size_t first, last;
        struct me_energy energy;
        bench_start(bench, rates_hz[i], NULL, NULL);
        rest_ms(3);
        assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &first, NULL), 0);
        rest_ms(37);
        assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &last, NULL), 0);
        assert_true(last > first);
        assert_int_equal(me_series_energy(&bench->series, &bench->channel, 0, first, last, &energy),
                         ME_FAULT_NONE);
        double span_s = me_ns_to_s(bench->series.time_ns[last] - bench->series.time_ns[first]);
        assert_true(span_s >= 0.036);
        /* each edge's time is the middle of a reading, the value is from within it */
        assert_true(fabs(me_energy_j(energy) - POWER_W * span_s) < POWER_W * 0.001);
        bench_end(bench);
    }
}

static void test_rate(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    int64_t began_ns = me_clock_mono_ns();
    bench_start(bench, 500, NULL, NULL);
    rest_ms(200);
    me_sampler_stop(bench->sampler);
    bench->sampler = NULL;
    double due = me_ns_to_s(me_clock_mono_ns() - began_ns) * 500;
    assert_true((double)bench->series.count <= due + 2); /* never more than the clock allows */
    assert_true(bench->series.count >= 20);              /* and a good part of it on any machine */
    bench_end(bench);
}

/* A counter that wraps fast is read at half its safe interval, however low the rate. */
static void test_period_adapts(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->channel.range = 1000000; /* 1 J at 100 W: 10 ms, so every 5 ms */
    bench_start(bench, 1, NULL, NULL);
    rest_ms(200);
    me_sampler_stop(bench->sampler);
    bench->sampler = NULL;
    assert_true(bench->series.count >= 10 && bench->series.count <= 200);
    bench_end(bench);
}

static void test_edge_is_read_again(void **state)
{
    (void)state;
    static const struct {
        int slow_count, fail_count, reads, state;
    } cases[] = {
        {0, 0, 1, ME_READING_OK},  {1, 0, 2, ME_READING_OK}, {3, 0, 4, ME_READING_OK},
        {-1, 0, 5, ME_READING_OK}, {0, 1, 2, ME_READING_OK}, {0, -1, 5, ME_READING_FAILED},
        {1, 2, 3, ME_READING_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench *bench = bench_new();
        size_t index;
        bench_start(bench, 0.1, NULL, NULL);
        while (!atomic_load(&bench->fake.reads)) rest_ms(1); /* the thread's first sample */
        rest_ms(1);
        int before = atomic_load(&bench->fake.reads);
        atomic_store(&bench->fake.slow_ms, 2);
        atomic_store(&bench->fake.slow_count, cases[i].slow_count);
        atomic_store(&bench->fake.fail_count, cases[i].fail_count);
        assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &index, NULL), 0);
        int reads = atomic_load(&bench->fake.reads) - before;
        assert_true(reads >= cases[i].reads && reads <= 6); /* one more looks for a tick; a busy machine */
        assert_int_equal(bench->series.readings[index].state, cases[i].state);
        atomic_store(&bench->fake.slow_count, 0);
        bench_end(bench);
    }
}

static void sink(void *context, const struct me_series *part, size_t first)
{
    struct sunk *sunk = context;
    if (first != sunk->next || !part->count) sunk->broken = true;
    sunk->next = first + part->count;
    atomic_fetch_add(&sunk->calls, 1);
}

static void test_sink(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    size_t index, count;
    bench_start(bench, 200, sink, &bench->sunk);
    rest_ms(30);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &index, NULL), 0);
    assert_int_equal(atomic_load(&bench->sunk.calls), 1);
    rest_ms(1300); /* the thread hands over about once a second */
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &index, NULL), 0);
    assert_true(atomic_load(&bench->sunk.calls) >= 3 && atomic_load(&bench->sunk.calls) < 30);
    rest_ms(30);
    me_sampler_stop(bench->sampler);
    bench->sampler = NULL;
    count = bench->series.count;
    assert_false(bench->sunk.broken);
    assert_int_equal(bench->sunk.next, count); /* each sample once, the last ones at the end */
    bench_end(bench);
}

/* The time of a sample is the middle of its reading. */
static void test_middle(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    size_t index;
    atomic_store(&bench->fake.slow_ms, 60);
    atomic_store(&bench->fake.slow_count, 1);
    bench_start(bench, 0.02, NULL, NULL);
    while (!atomic_load(&bench->fake.reads)) rest_ms(1);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &index, NULL),
                     0); /* waits for the slow one */
    int64_t middle_ns = bench->fake.slow_from_ns / 2 + bench->fake.slow_to_ns / 2;
    assert_true(llabs(bench->series.time_ns[0] - middle_ns) < 20 * INT64_C(1000000));
    bench_end(bench);
}

static void test_late(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct me_sampler_stats before, after;
    size_t index;
    bench_start(bench, 100, NULL, NULL);
    rest_ms(30);
    me_sampler_stats(bench->sampler, &before);
    atomic_store(&bench->fake.slow_ms, 80);
    atomic_store(&bench->fake.slow_count, 1);
    rest_ms(120);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &index, NULL), 0);
    me_sampler_stats(bench->sampler, &after);
    assert_true(after.late >= before.late + 3);                 /* 80 ms of 10 ms periods */
    assert_true(after.longest_gap_ns >= 39 * INT64_C(1000000)); /* half the reading: its middle is its time */
    assert_true(after.cpu_ns > 0 && after.cpu_ns >= before.cpu_ns);
    bench_end(bench);
}

/* More than half a period late is late, though none was passed over. */
static void test_half_late(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct me_sampler_stats stats;
    size_t index;
    bench_start(bench, 10, NULL, NULL);
    while (!atomic_load(&bench->fake.reads)) rest_ms(1);
    rest_ms(40);
    atomic_store(&bench->fake.slow_ms, 130); /* an edge holds the meter from 40 to 170 ms: 100 is 70 late */
    atomic_store(&bench->fake.slow_count, 1);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &index, NULL), 0);
    rest_ms(10);
    me_sampler_stats(bench->sampler, &stats);
    assert_true(stats.late >= 1);
    bench_end(bench);
}

static void test_gap(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    struct me_sampler_stats stats;
    size_t first, last;
    bench_start(bench, 0.02, NULL, NULL);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &first, NULL), 0);
    rest_ms(20);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &last, NULL), 0);
    me_sampler_stats(bench->sampler, &stats);
    assert_true(stats.longest_gap_ns >= bench->series.time_ns[last] - bench->series.time_ns[last - 1]);
    me_sampler_gap_reset(bench->sampler);
    me_sampler_stats(bench->sampler, &stats);
    assert_int_equal(stats.longest_gap_ns, 0);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &first, NULL),
                     0); /* counts from the last sample before */
    me_sampler_stats(bench->sampler, &stats);
    assert_true(stats.longest_gap_ns == bench->series.time_ns[first] - bench->series.time_ns[first - 1]);
    bench_end(bench);
}

static void test_now(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    size_t first, last;
    double energy_j, power_w;
    bench_start(bench, 100, NULL, NULL);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &first, NULL), 0);
    for (int i = 0; i < 5; i++) { /* asked again and again: the sum must not drift */
        rest_ms(20);
        me_sampler_now(bench->sampler, first, &energy_j, &power_w);
        assert_true(energy_j > 0);
    }
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &last, NULL), 0);
    me_sampler_now(bench->sampler, first, &energy_j, &power_w);
    struct me_energy energy;
    assert_int_equal(me_series_energy(&bench->series, &bench->channel, 0, first, last, &energy),
                     ME_FAULT_NONE);
    assert_true(energy_j >= me_energy_j(energy) && energy_j < me_energy_j(energy) + POWER_W * 0.5);
    assert_true(fabs(power_w - POWER_W) < POWER_W * 0.1);
    me_sampler_now(bench->sampler, last, &energy_j, &power_w); /* another span: from the start again */
    assert_true(energy_j >= 0 && energy_j < POWER_W * 0.5);
    me_sampler_now(bench->sampler, 1000000, &energy_j, &power_w);
    assert_true(isnan(energy_j));
    bench->channel.counted = false;
    me_sampler_now(bench->sampler, first, &energy_j, &power_w);
    assert_true(isnan(energy_j) && isnan(power_w));
    bench_end(bench);
}

static void test_start_refuses(void **state)
{
    (void)state;
    static const double rates_hz[] = {0, -1, NAN, INFINITY};
    struct bench *bench = bench_new();
    struct me_error err;
    for (size_t i = 0; i < sizeof rates_hz / sizeof *rates_hz; i++)
        assert_int_equal(
            me_sampler_start(&bench->sampler, &bench->meter, &bench->series, rates_hz[i], NULL, NULL, &err),
            -1);
    bench->series.channels = 2;
    assert_int_equal(me_sampler_start(&bench->sampler, &bench->meter, &bench->series, 10, NULL, NULL, &err),
                     -1);
    assert_null(bench->sampler);
    me_sampler_stop(NULL);
    free(bench);
}

/* Stopping does not wait for the next sample. */
static void test_stop_is_prompt(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench_start(bench, 0.02, NULL, NULL);
    rest_ms(5);
    int64_t began_ns = me_clock_mono_ns();
    bench_end(bench);
    assert_true(me_clock_mono_ns() - began_ns < 20 * ME_NS_PER_S); /* the period is 50 s */
}

/* A source with an interval: 80 W behind a slow reading, at its own times. */
#define SLOW_POWER_W 80.0

static void slow_read(struct me_source *source, struct me_reading *readings)
{
    struct fake *fake = source->state;
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    atomic_fetch_add(&fake->reads, 1);
    uint64_t uj = (uint64_t)((double)(me_clock_mono_ns() - fake->began_ns) * 1e-3 * SLOW_POWER_W);
    nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL); /* the middle is the true moment */
    readings[0] = (struct me_reading){.state = ME_READING_OK, .count = uj};
    readings[1] = (struct me_reading){.state = ME_READING_OK, .level = SLOW_POWER_W};
}

static const struct me_source_ops slow_ops = {.name = "slow", .summary = "a test's", .read = slow_read};

struct pair { /* the fast fake, and the slow source behind it */
    struct bench bench;
    struct me_source sources[2];
    struct me_channel channels[3];
};

static struct pair *pair_new(double interval_s)
{
    struct pair *pair = calloc(1, sizeof *pair);
    struct bench *one = bench_new();
    if (!pair) abort();
    pair->bench = *one;
    free(one);
    pair->channels[0] = pair->bench.channel;
    for (int i = 1; i < 3; i++)
        pair->channels[i] = (struct me_channel){
            .name = "slow", .scope = ME_SCOPE_GPU, .interval_s = interval_s, .counted = i == 1};
    pair->channels[2].kind = ME_KIND_GAUGE;
    pair->sources[0] = pair->bench.source;
    pair->sources[0].state = &pair->bench.fake;
    pair->sources[1] = (struct me_source){.ops = &slow_ops,
                                          .found = true,
                                          .channel_count = 2,
                                          .first = 1,
                                          .interval_s = interval_s,
                                          .state = &pair->bench.fake};
    pair->bench.meter = (struct me_meter){.sources = pair->sources,
                                          .source_count = 2,
                                          .channels = pair->channels,
                                          .channel_count = 3,
                                          .root.fd = -1};
    me_series_init(&pair->bench.series, 3);
    return pair;
}

/* What a slow source used between two edges, though it was never read at them; and the fast one is not
 * held up by it. */
static void test_slow_source(void **state)
{
    (void)state;
    static const double intervals_s[] = {0.02, 0.3, 30}; /* 30: only the edges make it read */
    for (size_t i = 0; i < 3; i++) {
        struct pair *pair = pair_new(intervals_s[i]);
        struct bench *bench = &pair->bench;
        size_t first, last, marks;
        bench_start(bench, 100, sink, &bench->sunk);
        rest_ms(20);
        assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_TICK, &first, NULL), 0);
        for (int k = 0; k < 20; k++) {
            rest_ms(10);
            assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_NOW, &marks, NULL), 0);
        }
        assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_TICK, &last, NULL), 0);
        double energy_j, power_w;
        me_sampler_now(bench->sampler, first, &energy_j, &power_w);
        me_sampler_stop(bench->sampler);
        bench->sampler = NULL;
        assert_false(bench->sunk.broken);
        assert_int_equal(bench->sunk.next, bench->series.count);
        double length_s = (double)(bench->series.time_ns[last] - bench->series.time_ns[first]) * 1e-9;
        static const double power[3] = {POWER_W, SLOW_POWER_W, SLOW_POWER_W};
        for (size_t c = 0; c < 3; c++) {
            struct me_energy energy;
            assert_int_equal(me_series_energy(&bench->series, &pair->channels[c], c, first, last, &energy),
                             0);
            double wrong_j = (double)energy.uj * 1e-6 - power[c] * length_s;
            if (fabs(wrong_j) > 0.05 * power[c] * length_s) /* a busy machine moves the middle */
                fail_msg("interval %g s: channel %zu is off by %g J", intervals_s[i], c, wrong_j);
        }
        assert_true(isfinite(energy_j) && energy_j > 0 && energy_j < 200 * length_s);
        int reads = atomic_load(&bench->fake.reads);
        assert_true(reads >= 30 && reads < 400); /* about 20 by the clock, 22 edges twice, slow ones */
        bench_end(bench);
    }
}

/* A counter that moves every millisecond only: with a tick's edges the energy is right to the reading,
 * with others to a tick. */
static void tick_read(struct me_source *source, struct me_reading *readings)
{
    struct fake *fake = source->state;
    int64_t ticks = (me_clock_mono_ns() - fake->began_ns) / 1000000;
    readings[0] = (struct me_reading){.state = ME_READING_OK, .count = (uint64_t)ticks * 50000};
}

static const struct me_source_ops tick_ops = {.name = "tick", .summary = "a test's", .read = tick_read};

enum { PAIRS = 21 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle one of many: a busy machine may spoil some. */
static double usual_error_j(struct bench *bench, enum me_edge edge)
{
    double errors[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        size_t first, last;
        struct me_energy energy;
        me_clock_sleep_until(me_clock_mono_ns() + 1370000 + 130000 * i);
        assert_int_equal(me_sampler_edge(bench->sampler, edge, &first, NULL), 0);
        me_clock_sleep_until(me_clock_mono_ns() + 4330000 + 170000 * i);
        assert_int_equal(me_sampler_edge(bench->sampler, edge, &last, NULL), 0);
        double length_s = (double)(bench->series.time_ns[last] - bench->series.time_ns[first]) * 1e-9;
        assert_int_equal(me_series_energy(&bench->series, &bench->channel, 0, first, last, &energy), 0);
        errors[i] = fabs((double)energy.uj * 1e-6 - POWER_W * length_s);
    }
    qsort(errors, PAIRS, sizeof *errors, by_size);
    return errors[PAIRS / 2];
}

static void test_tick(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->source.ops = &tick_ops;
    bench_start(bench, 10, NULL, NULL);
    assert_true(usual_error_j(bench, ME_EDGE_NOW) <= 0.051);  /* one tick of 50 mJ, and the reading */
    assert_true(usual_error_j(bench, ME_EDGE_TICK) <= 0.012); /* 0.2 ms at each edge at the very worst */
    bench_end(bench);
}

/* An interrupt does not wait for a command of seconds: all that was read before is handed over. */
static struct pair *volatile left_behind; /* its thread reads on; volatile, so that it is kept */

static void lame_read(struct me_source *source, struct me_reading *readings)
{
    (void)source;
    static atomic_int reads;
    if (atomic_fetch_add(&reads, 1)) rest_ms(700);
    readings[0] = readings[1] = (struct me_reading){.state = ME_READING_FAILED, .error = 5};
}

static const struct me_source_ops lame_ops = {.name = "lame", .summary = "a test's", .read = lame_read};

static void test_abandon(void **state)
{
    (void)state;
    struct pair *pair = left_behind = pair_new(0.01);
    struct bench *bench = &pair->bench;
    size_t first, last;
    assert_true(me_sampler_abandon(NULL, 0));
    pair->sources[1].ops = &lame_ops;
    bench_start(bench, 100, sink, &bench->sunk);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_TICK, &first, NULL), 0);
    rest_ms(50);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_TICK, &last, NULL), 0);
    int64_t begin_ns = me_clock_mono_ns();
    assert_false(me_sampler_abandon(bench->sampler, 50 * INT64_C(1000000)));
    assert_true(me_clock_mono_ns() - begin_ns < 600 * INT64_C(1000000));
    assert_false(bench->sunk.broken);
    assert_int_equal(bench->sunk.next, bench->series.count);
    assert_true(bench->series.count > last);
    me_series_release(&bench->series);
    rest_ms(800); /* its reading ends, and is kept nowhere */
    assert_int_equal(bench->series.count, 0);
    pair = pair_new(0.01); /* where all is quick, it is a stop like any other */
    bench_start(&pair->bench, 100, sink, &pair->bench.sunk);
    assert_true(me_sampler_abandon(pair->bench.sampler, ME_NS_PER_S));
    me_series_release(&pair->bench.series);
    free(pair);
}

/* A slow counter that moves as seldom as it is said to: spans of some ticks are right to a part of one, also
 * the first and the last, and wherever the edges fall. */
#define SLOW_TICK_NS INT64_C(60000000)

static void slow_tick_read(struct me_source *source, struct me_reading *readings)
{
    struct fake *fake = source->state;
    int64_t ticks = (me_clock_mono_ns() - fake->began_ns) / SLOW_TICK_NS;
    readings[0] = (struct me_reading){.state = ME_READING_OK, .count = (uint64_t)ticks * 3000000};
}

static const struct me_source_ops slow_tick_ops = {
    .name = "slow-tick", .summary = "a test's", .read = slow_tick_read};

static void test_slow_ticks(void **state)
{
    (void)state;
    enum { SPANS = 8 };
    struct bench *bench = bench_new();
    size_t edges[SPANS + 1];
    double worst_j = 0;
    bench->source.ops = &slow_tick_ops;
    bench->source.interval_s = bench->channel.interval_s = 0.06;
    bench_start(bench, 10, NULL, NULL);
    assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_TICK, &edges[0], NULL), 0);
    for (int i = 0; i < SPANS; i++) {
        rest_ms(140 + 7 * i);
        assert_int_equal(me_sampler_edge(bench->sampler, ME_EDGE_TICK, &edges[i + 1], NULL), 0);
    }
    me_sampler_stop(bench->sampler);
    bench->sampler = NULL;
    for (int i = 0; i < SPANS; i++) {
        const int64_t *time_ns = bench->series.time_ns;
        struct me_energy energy;
        assert_int_equal(
            me_series_energy(&bench->series, &bench->channel, 0, edges[i], edges[i + 1], &energy), 0);
        double true_j = POWER_W * me_ns_to_s(time_ns[edges[i + 1]] - time_ns[edges[i]]);
        worst_j = fmax(worst_j, fabs(me_energy_j(energy) - true_j));
    }
    if (worst_j > 0.6 * 3) fail_msg("off by %g of a tick", worst_j / 3);
    bench_end(bench);
}

/* All of it from several threads at once, for the thread sanitizer. */
static void *hammer(void *context)
{
    struct bench *bench = context;
    int64_t until_ns = me_clock_mono_ns() + 200 * INT64_C(1000000);
    while (me_clock_mono_ns() < until_ns) {
        size_t index;
        double energy_j, power_w;
        struct me_sampler_stats stats;
        if (me_sampler_edge(bench->sampler, ME_EDGE_NOW, &index, NULL)) abort();
        me_sampler_now(bench->sampler, index / 2, &energy_j, &power_w);
        me_sampler_stats(bench->sampler, &stats);
        me_sampler_gap_reset(bench->sampler);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    pthread_t threads[3];
    bench_start(bench, 1000, sink, &bench->sunk);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, hammer, bench), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    me_sampler_stop(bench->sampler);
    bench->sampler = NULL;
    assert_false(bench->sunk.broken);
    assert_int_equal(bench->sunk.next, bench->series.count);
    bench_end(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),         cmocka_unit_test(test_rate),
        cmocka_unit_test(test_period_adapts), cmocka_unit_test(test_edge_is_read_again),
        cmocka_unit_test(test_sink),          cmocka_unit_test(test_middle),
        cmocka_unit_test(test_late),          cmocka_unit_test(test_half_late),
        cmocka_unit_test(test_gap),           cmocka_unit_test(test_now),
        cmocka_unit_test(test_start_refuses), cmocka_unit_test(test_stop_is_prompt),
        cmocka_unit_test(test_slow_source),   cmocka_unit_test(test_tick),
        cmocka_unit_test(test_abandon),       cmocka_unit_test(test_slow_ticks),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
