/* The energy between two samples: the counters and gauges that other tools got wrong, by table. */
#include "me/series.h"
#include "me_cmocka.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define S  (1000 * MS)

enum { MOST = 8 };
enum state { END = 0, GOOD, EIO_READ, NO_READ };

struct counter_case {
    const char *what;
    uint64_t range;
    double max_power_w;
    struct {
        enum state state;
        int64_t time;
        uint64_t count;
    } samples[MOST];
    enum me_fault fault;
    uint64_t uj;
};

#define R32 UINT64_C(262143328850) /* 2^32 - 1 units of 61 uJ, as Intel's have it */

static const struct counter_case counters[] = {
    {"plain", R32, 100, {{GOOD, 0, 1000}, {GOOD, S, 51000}}, ME_FAULT_NONE, 50000},
    {"the first absolute value is not added (kepler)",
     R32,
     100,
     {{GOOD, 0, 200000000000}, {GOOD, S, 200000000007}},
     ME_FAULT_NONE,
     7},
    {"wraps once", 1000000, 1000, {{GOOD, 0, 999990}, {GOOD, MS, 5}}, ME_FAULT_NONE, 15},
    {"wraps at each sample",
     1000,
     0.5,
     {{GOOD, 0, 900}, {GOOD, MS, 100}, {GOOD, 2 * MS, 50}, {GOOD, 3 * MS, 49}},
     ME_FAULT_NONE,
     200 + 950 + 999},
    {"wraps exactly at the range: one step",
     1000000,
     1000,
     {{GOOD, 0, 999999}, {GOOD, MS, 0}},
     ME_FAULT_NONE,
     1},
    {"from zero to the last value", 1000000, 1000, {{GOOD, 0, 0}, {GOOD, MS, 999999}}, ME_FAULT_NONE, 999999},
    {"2^32 - 1 against 2^32 units: the range is what the source says",
     UINT64_C(1) << 32,
     1e6,
     {{GOOD, 0, 4294967295}, {GOOD, MS, 0}},
     ME_FAULT_NONE,
     1},
    {"a reading at the range cannot be",
     1000000,
     1000,
     {{GOOD, 0, 5}, {GOOD, MS, 1000000}},
     ME_FAULT_RANGE,
     0},
    {"nor as the first", 1000000, 1000, {{GOOD, 0, 1000000}, {GOOD, MS, 5}}, ME_FAULT_RANGE, 0},
    {"nor in the middle",
     1000000,
     1000,
     {{GOOD, 0, 1}, {GOOD, MS, UINT64_MAX}, {GOOD, 2 * MS, 3}},
     ME_FAULT_RANGE,
     0},
    {"EIO in the middle is neither wrap nor zero",
     R32,
     100,
     {{GOOD, 0, 100}, {EIO_READ, MS, 0}, {GOOD, 2 * MS, 300}},
     ME_FAULT_NONE,
     200},
    {"EIO between two readings that wrapped",
     1000,
     0.1,
     {{GOOD, 0, 900}, {EIO_READ, MS, 0}, {GOOD, 2 * MS, 100}},
     ME_FAULT_NONE,
     200},
    {"absent in the middle",
     R32,
     100,
     {{GOOD, 0, 100}, {NO_READ, MS, 0}, {GOOD, 2 * MS, 300}},
     ME_FAULT_NONE,
     200},
    {"EIO at the begin", R32, 100, {{EIO_READ, 0, 0}, {GOOD, MS, 5}, {GOOD, 2 * MS, 9}}, ME_FAULT_EDGE, 0},
    {"EIO at the end", R32, 100, {{GOOD, 0, 5}, {GOOD, MS, 7}, {EIO_READ, 2 * MS, 0}}, ME_FAULT_EDGE, 0},
    {"absent at the end", R32, 100, {{GOOD, 0, 5}, {GOOD, MS, 7}, {NO_READ, 2 * MS, 0}}, ME_FAULT_EDGE, 0},
    {"never there", R32, 100, {{NO_READ, 0, 0}, {NO_READ, MS, 0}}, ME_FAULT_ABSENT, 0},
    {"failed throughout", R32, 100, {{EIO_READ, 0, 0}, {EIO_READ, MS, 0}}, ME_FAULT_EDGE, 0},
    {"interval just safe: 1 J at 10 W is 0.1 s",
     1000000,
     10,
     {{GOOD, 0, 1}, {GOOD, 100 * MS, 0}},
     ME_FAULT_NONE,
     999999},
    {"interval too long", 1000000, 10, {{GOOD, 0, 1}, {GOOD, 100 * MS + 1, 2}}, ME_FAULT_TOO_LONG, 0},
    {"EIO makes the interval too long",
     1000000,
     10,
     {{GOOD, 0, 1}, {EIO_READ, 60 * MS, 0}, {GOOD, 120 * MS, 2}},
     ME_FAULT_TOO_LONG,
     0},
    {"a long span of short intervals is fine",
     1000000,
     10,
     {{GOOD, 0, 0}, {GOOD, 90 * MS, 900000}, {GOOD, 180 * MS, 800000}, {GOOD, 270 * MS, 700000}},
     ME_FAULT_NONE,
     2700000},
    {"a stale value read twice, then the peak (carbontracker)",
     R32,
     100,
     {{GOOD, 0, 100}, {GOOD, 100 * MS, 100}, {GOOD, 200 * MS, 100}, {GOOD, 300 * MS, 400}},
     ME_FAULT_NONE,
     300},
    {"shorter than the meter's own period: nothing, known",
     R32,
     100,
     {{GOOD, 0, 100}, {GOOD, MS, 100}},
     ME_FAULT_NONE,
     0},
    {"one sample is a span of nothing", R32, 100, {{GOOD, 0, 100}}, ME_FAULT_NONE, 0},
    {"still for exactly a second", R32, 100, {{GOOD, 0, 100}, {GOOD, S, 100}}, ME_FAULT_NONE, 0},
    {"stalled", R32, 100, {{GOOD, 0, 100}, {GOOD, S + 1, 100}}, ME_FAULT_STALLED, 0},
    {"stood still to the end: what is missing is not known",
     R32,
     100,
     {{GOOD, 0, 100}, {GOOD, S, 900}, {GOOD, 2 * S, 900}, {GOOD, 2 * S + 1, 900}},
     ME_FAULT_STALLED,
     0},
    {"stood still from the begin: the first value is stale",
     R32,
     100,
     {{GOOD, 0, 100}, {GOOD, S + 1, 100}, {GOOD, 2 * S, 900}},
     ME_FAULT_STALLED,
     0},
    {"stood still in between, and caught up",
     R32,
     100,
     {{GOOD, 0, 100}, {GOOD, S, 200}, {GOOD, 4 * S, 200}, {GOOD, 5 * S, 900}},
     ME_FAULT_NONE,
     800},
    {"set back to 0, as by a suspend: no wrap, that would be 200 kJ in 0.1 s",
     R32,
     100,
     {{GOOD, 0, 62000000000}, {GOOD, 100 * MS, 5}},
     ME_FAULT_BACKWARDS,
     0},
    {"one reading too high: not a whole range",
     R32,
     100,
     {{GOOD, 0, 1000}, {GOOD, 100 * MS, 2000000000}, {GOOD, 200 * MS, 1500}},
     ME_FAULT_RANGE,
     0},
    {"nor energy, where it does not fall again: 2 kJ in 0.1 s at 100 W",
     R32,
     100,
     {{GOOD, 0, 1000}, {GOOD, 100 * MS, 2000000000}},
     ME_FAULT_RANGE,
     0},
    {"nor of a counter that never wraps",
     0,
     100,
     {{GOOD, 0, 1000}, {GOOD, S, 2000}, {GOOD, 2 * S, UINT64_C(1) << 60}},
     ME_FAULT_RANGE,
     0},
    {"the most that is believed: ten times its power, since a second before it last moved",
     0,
     100,
     {{GOOD, 0, 0}, {GOOD, 100 * MS, 1100000000}},
     ME_FAULT_NONE,
     1100000000},
    {"and no more", 0, 100, {{GOOD, 0, 0}, {GOOD, 100 * MS, 1100000001}}, ME_FAULT_RANGE, 0},
    {"a boost of 300 W is no nonsense where the firmware tells 35 W, also of a late sample",
     R32,
     100,
     {{GOOD, 0, 0}, {GOOD, 20 * S, 6000000000}, {GOOD, 21 * S, 6300000000}},
     ME_FAULT_NONE,
     6300000000},
    {"nor is its wrap, read once a second",
     R32,
     100,
     {{GOOD, 0, R32 - 400000000}, {GOOD, S, R32 - 100000000}, {GOOD, 2 * S, 200000000}},
     ME_FAULT_NONE,
     600000000},
    {"no bound: all is believed", 0, 0, {{GOOD, 0, 0}, {GOOD, MS, 4000000000}}, ME_FAULT_NONE, 4000000000},
    {"a wrap behind a stale reading is one",
     1000000000,
     100,
     {{GOOD, 0, 999000000},
      {GOOD, 5 * S, 999999999},
      {GOOD, 8 * S, 999999999},
      {GOOD, 8 * S + MS, 380000000}},
     ME_FAULT_NONE,
     999999 + 380000001},
    {"no range: forwards", 0, 0, {{GOOD, 0, 1}, {GOOD, 9000 * S, UINT64_MAX}}, ME_FAULT_NONE, UINT64_MAX - 1},
    {"no range: backwards", 0, 100, {{GOOD, 0, 10}, {GOOD, MS, 9}}, ME_FAULT_BACKWARDS, 0},
    {"no range: backwards in the middle",
     0,
     100,
     {{GOOD, 0, 10}, {GOOD, MS, 9}, {GOOD, S, 99}},
     ME_FAULT_BACKWARDS,
     0},
    {"exact where a 32-bit float is not (perun)",
     R32,
     100,
     {{GOOD, 0, 16777216}, {GOOD, MS, 16777217}},
     ME_FAULT_NONE,
     1},
    {"exact where a double is not",
     0,
     0,
     {{GOOD, 0, (UINT64_C(1) << 53)}, {GOOD, MS, (UINT64_C(1) << 53) + 1}},
     ME_FAULT_NONE,
     1},
    {"more than an energy holds",
     UINT64_MAX,
     1e18,
     {{GOOD, 0, 1}, {GOOD, 1, 0}, {GOOD, 2, UINT64_MAX - 1}, {GOOD, 3, UINT64_MAX - 2}},
     ME_FAULT_RANGE,
     0},
};

static struct me_reading make_reading(enum state state)
{
    struct me_reading reading = {.state = ME_READING_OK};
    if (state == NO_READ) reading.state = ME_READING_ABSENT;
    if (state == EIO_READ) {
        reading.state = ME_READING_FAILED;
        reading.error = EIO;
    }
    return reading;
}

static void test_counters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        const struct counter_case *one = &counters[i];
        struct me_channel channel = {
            .kind = ME_KIND_COUNTER, .range = one->range, .max_power_w = one->max_power_w};
        struct me_series series;
        struct me_energy energy = {.uj = 4711};
        me_series_init(&series, 1);
        for (size_t s = 0; s < MOST && one->samples[s].state != END; s++) {
            struct me_reading reading = make_reading(one->samples[s].state);
            reading.count = one->samples[s].count;
            assert_int_equal(me_series_append(&series, one->samples[s].time, &reading, NULL), 0);
        }
        enum me_fault fault = me_series_energy(&series, &channel, 0, 0, series.count - 1, &energy);
        uint64_t expected = one->fault ? 4711 : one->uj; /* untouched on a fault */
        if (fault != one->fault || energy.uj != expected)
            fail_msg("%s: \"%s\", %llu uJ", one->what, me_fault_text(fault), (unsigned long long)energy.uj);
        me_series_release(&series);
    }
}

static const struct {
    const char *what;
    struct {
        enum state state;
        int64_t time;
        double level;
    } samples[MOST];
    enum me_fault fault;
    uint64_t uj;
} gauges[] = {
    {"constant", {{GOOD, 0, 50}, {GOOD, 3 * S, 50}}, ME_FAULT_NONE, 150000000},
    {"uneven periods are weighted by time",
     {{GOOD, 0, 10}, {GOOD, S, 10}, {GOOD, 11 * S, 10}},
     ME_FAULT_NONE,
     110000000},
    {"a step of 300 to 100 W read at its edge", /* a rectangle of the last value would be 100 J off (perun) */
     {{GOOD, 0, 300}, {GOOD, S, 300}, {GOOD, S, 100}, {GOOD, 2 * S, 100}},
     ME_FAULT_NONE,
     400000000},
    {"a ramp", {{GOOD, 0, 0}, {GOOD, 10 * S, 100}}, ME_FAULT_NONE, 500000000},
    {"failed in the middle", {{GOOD, 0, 50}, {EIO_READ, S, 0}, {GOOD, 2 * S, 50}}, ME_FAULT_NONE, 100000000},
    {"not a number in the middle",
     {{GOOD, 0, 50}, {GOOD, S, NAN}, {GOOD, 2 * S, 50}},
     ME_FAULT_NONE,
     100000000},
    {"infinite at the end", {{GOOD, 0, 50}, {GOOD, S, INFINITY}}, ME_FAULT_EDGE, 0},
    {"failed at the begin", {{EIO_READ, 0, 0}, {GOOD, S, 50}}, ME_FAULT_EDGE, 0},
    {"absent", {{NO_READ, 0, 0}, {NO_READ, S, 0}}, ME_FAULT_ABSENT, 0},
    {"rounded once: 1000 intervals of 0.4 uJ would each be none",
     {{GOOD, 0, 0.4}, {GOOD, 1000, 0.4}, {GOOD, 2000, 0.4}, {GOOD, 3000, 0.4}, {GOOD, 4000, 0.4}},
     ME_FAULT_NONE,
     2},
    {"idle gauge is no stall", {{GOOD, 0, 0}, {GOOD, 5 * S, 0}}, ME_FAULT_NONE, 0},
    {"charging for the most part", {{GOOD, 0, -10}, {GOOD, S, -10}}, ME_FAULT_RANGE, 0},
    {"beyond all measure", {{GOOD, 0, 1e300}, {GOOD, S, 1e300}}, ME_FAULT_RANGE, 0},
};

static void test_gauges(void **state)
{
    (void)state;
    struct me_channel channel = {.kind = ME_KIND_GAUGE, .cls = ME_CLASS_INTEGRATED};
    for (size_t i = 0; i < sizeof gauges / sizeof *gauges; i++) {
        struct me_series series;
        struct me_energy energy = {.uj = 4711};
        me_series_init(&series, 1);
        for (size_t s = 0; s < MOST && gauges[i].samples[s].state != END; s++) {
            struct me_reading reading = make_reading(gauges[i].samples[s].state);
            reading.level = gauges[i].samples[s].level;
            assert_int_equal(me_series_append(&series, gauges[i].samples[s].time, &reading, NULL), 0);
        }
        enum me_fault fault = me_series_energy(&series, &channel, 0, 0, series.count - 1, &energy);
        uint64_t expected = gauges[i].fault ? 4711 : gauges[i].uj;
        if (fault != gauges[i].fault || energy.uj != expected)
            fail_msg("%s: \"%s\", %llu uJ", gauges[i].what, me_fault_text(fault),
                     (unsigned long long)energy.uj);
        me_series_release(&series);
    }
}

/* Channels with an interval: the span is from 1 s to 3 s, whose samples are not theirs. */
static const struct {
    const char *what;
    enum me_kind kind;
    double interval_s;
    struct {
        enum state state;
        int64_t time;
        double value;
    } samples[MOST];
    enum me_fault fault;
    uint64_t uj;
} paced[] = {
    {"a counter of 10 uJ/s read around the span",
     ME_KIND_COUNTER,
     1,
     {{GOOD, 0, 0}, {GOOD, 2 * S, 20}, {GOOD, 4 * S, 40}},
     ME_FAULT_NONE,
     20},
    {"of the steps that an edge cuts, the share inside counts",
     ME_KIND_COUNTER,
     1,
     {{GOOD, S / 2, 0}, {GOOD, 3 * S / 2, 1000}, {GOOD, 5 * S / 2, 1100}, {GOOD, 7 * S / 2, 1300}},
     ME_FAULT_NONE,
     500 + 100 + 100},
    {"one step over the whole span and more",
     ME_KIND_COUNTER,
     2,
     {{GOOD, 0, 0}, {GOOD, 4 * S, 4000}},
     ME_FAULT_NONE,
     2000},
    {"read exactly at the edges", ME_KIND_COUNTER, 1, {{GOOD, S, 5}, {GOOD, 3 * S, 25}}, ME_FAULT_NONE, 20},
    {"no reading before the begin",
     ME_KIND_COUNTER,
     1,
     {{GOOD, 2 * S, 0}, {GOOD, 4 * S, 9}},
     ME_FAULT_EDGE,
     0},
    {"no reading after the end", ME_KIND_COUNTER, 1, {{GOOD, 0, 0}, {GOOD, 2 * S, 9}}, ME_FAULT_EDGE, 0},
    {"none at all", ME_KIND_COUNTER, 1, {{NO_READ, 2 * S, 0}}, ME_FAULT_ABSENT, 0},
    {"a failure in the middle is no gap",
     ME_KIND_COUNTER,
     1,
     {{GOOD, 0, 0}, {EIO_READ, 2 * S, 0}, {GOOD, 4 * S, 40}},
     ME_FAULT_NONE,
     20},
    {"readings too far apart", ME_KIND_COUNTER, 0.1, {{GOOD, 0, 0}, {GOOD, 4 * S, 40}}, ME_FAULT_GAP, 0},
    {"standing still for 2 s is no stall of a 1 s counter",
     ME_KIND_COUNTER,
     1,
     {{GOOD, 0, 0}, {GOOD, S / 2, 0}, {GOOD, 5 * S / 2, 100}, {GOOD, 7 * S / 2, 100}},
     ME_FAULT_NONE,
     60},
    {"8 uJ each 0.8 s: true where it moves, and not where it was read about the edges",
     ME_KIND_COUNTER,
     0.2,
     {{GOOD, 6 * S / 10, 0},
      {GOOD, 8 * S / 10, 8},
      {GOOD, S, 8},
      {GOOD, 16 * S / 10, 16},
      {GOOD, 24 * S / 10, 24},
      {GOOD, 3 * S, 24},
      {GOOD, 32 * S / 10, 32}},
     ME_FAULT_NONE,
     20},
    {"at rest before the begin: 10 uJ each 0.4 s from there on",
     ME_KIND_COUNTER,
     0.2,
     {{GOOD, 0, 0},
      {GOOD, 4 * S / 10, 0},
      {GOOD, 8 * S / 10, 0},
      {GOOD, S, 0},
      {GOOD, 14 * S / 10, 10},
      {GOOD, 18 * S / 10, 20},
      {GOOD, 22 * S / 10, 30},
      {GOOD, 3 * S, 30}},
     ME_FAULT_NONE,
     27},
    {"what comes behind a stall is not shared out to before it",
     ME_KIND_COUNTER,
     0.5,
     {{GOOD, 0, 0}, {GOOD, 2 * S, 20}, {GOOD, 3 * S, 30}, {GOOD, 11 * S / 2, 30}, {GOOD, 6 * S, 500}},
     ME_FAULT_NONE,
     20},
    {"a counter set back behind the end says nothing of the span",
     ME_KIND_COUNTER,
     1,
     {{GOOD, 0, 0}, {GOOD, 2 * S, 20}, {GOOD, 3 * S, 30}, {GOOD, 4 * S, 3}},
     ME_FAULT_NONE,
     20},
    {"but of a 0.1 s counter",
     ME_KIND_COUNTER,
     0.1,
     {{GOOD, S / 2, 0}, {GOOD, 3 * S / 2, 0}, {GOOD, 5 * S / 2, 0}, {GOOD, 7 * S / 2, 90}},
     ME_FAULT_STALLED,
     0},
    {"a gauge is a line between its readings: 100 W falling to 0 in 4 s",
     ME_KIND_GAUGE,
     1,
     {{GOOD, 0, 100}, {GOOD, 4 * S, 0}},
     ME_FAULT_NONE,
     100000000},
    {"a gauge whose edges are cut on both sides",
     ME_KIND_GAUGE,
     1,
     {{GOOD, 0, 0}, {GOOD, 2 * S, 100}, {GOOD, 4 * S, 0}},
     ME_FAULT_NONE,
     150000000},
    {"a battery that charged for too long",
     ME_KIND_GAUGE,
     0.1,
     {{GOOD, S, 9}, {NO_READ, 3 * S / 2, 0}, {GOOD, 7 * S / 2, 9}},
     ME_FAULT_GAP,
     0},
};

static void test_paced(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paced / sizeof *paced; i++) {
        struct me_channel channel = {.kind = paced[i].kind, .interval_s = paced[i].interval_s};
        struct me_series series;
        struct me_energy energy = {.uj = 4711};
        struct me_reading none = {0};
        size_t first = 0, last = 0;
        me_series_init(&series, 1);
        assert_int_equal(me_series_append(&series, S, &none, NULL), 0); /* the edges' own samples */
        assert_int_equal(me_series_append(&series, 3 * S, &none, NULL), 0);
        for (size_t s = 0; s < MOST && paced[i].samples[s].state != END; s++) {
            struct me_reading reading = make_reading(paced[i].samples[s].state);
            if (paced[i].kind == ME_KIND_COUNTER)
                reading.count = (uint64_t)paced[i].samples[s].value;
            else
                reading.level = paced[i].samples[s].value;
            assert_int_equal(me_series_insert(&series, 0, paced[i].samples[s].time, &reading, NULL), 0);
        }
        while (series.time_ns[first] != S) first++;
        for (last = series.count - 1; series.time_ns[last] != 3 * S;) last--;
        enum me_fault fault = me_series_energy(&series, &channel, 0, first, last, &energy);
        uint64_t expected = paced[i].fault ? 4711 : paced[i].uj;
        if (fault != paced[i].fault || energy.uj != expected)
            fail_msg("%s: \"%s\", %llu uJ", paced[i].what, me_fault_text(fault),
                     (unsigned long long)energy.uj);
        me_series_release(&series);
    }
}

/* The longest time between two values: of a gauge between readings, of a counter between steps. */
static void test_period(void **state)
{
    (void)state;
    static const uint64_t counts[] = {0, 0, 10, 10, 10, 20, 20, 30};
    struct me_channel fast = {0}, counter = {.interval_s = 0.1},
                      gauge = {.kind = ME_KIND_GAUGE, .interval_s = 0.1};
    struct me_series series;
    me_series_init(&series, 2);
    for (int i = 0; i < 8; i++) {
        struct me_reading row[2] = {{.state = ME_READING_OK, .count = counts[i]}, {.state = ME_READING_OK}};
        assert_int_equal(me_series_append(&series, i * 200 * MS, row, NULL), 0);
    }
    assert_true(me_series_period_s(&series, &fast, 0, 2, 4) == 0);
    assert_true(fabs(me_series_period_s(&series, &counter, 0, 2, 4) - 0.6) < 1e-9);
    assert_true(fabs(me_series_period_s(&series, &counter, 0, 5, 6) - 0.4) < 1e-9);
    assert_true(fabs(me_series_period_s(&series, &gauge, 1, 2, 4) - 0.2) < 1e-9);
    me_series_release(&series);
}

/* What an activity did in a span; a counter of it may stand still, and has no energy. */
static void test_activity(void **state)
{
    (void)state;
    struct me_channel counter = {.activity = true}, gauge = {.activity = true, .kind = ME_KIND_GAUGE};
    struct me_series series;
    struct me_activity activity;
    struct me_energy energy;
    static const double levels[] = {20, 80, 40};
    me_series_init(&series, 2);
    for (int i = 0; i < 3; i++) {
        struct me_reading row[2] = {{.state = ME_READING_OK, .count = 7}, {.state = ME_READING_OK}};
        row[1].level = levels[i];
        assert_int_equal(me_series_append(&series, i * 2 * S, row, NULL), 0);
    }
    assert_int_equal(me_series_activity(&series, &counter, 0, 0, 2, &activity), ME_FAULT_NONE);
    assert_true(activity.value == 0 && isnan(activity.low) && isnan(activity.high));
    assert_int_equal(me_series_activity(&series, &gauge, 1, 0, 2, &activity), ME_FAULT_NONE);
    assert_true(fabs(activity.value - 55) < 1e-9 && activity.low == 20 && activity.high == 80);
    assert_int_equal(me_series_activity(&series, &gauge, 1, 1, 1, &activity), ME_FAULT_SHORT);
    assert_int_equal(me_series_energy(&series, &counter, 0, 0, 2, &energy), ME_FAULT_ABSENT);
    me_series_release(&series);
}

static void test_insert(void **state)
{
    (void)state;
    static const int64_t expected[] = {1, 3, 5, 5, 7, 9, 11};
    struct me_series series;
    struct me_reading row = {.state = ME_READING_OK};
    me_series_init(&series, 1);
    for (int64_t time = 1; time <= 9; time += 4) { /* 1 5 9 */
        row.count = (uint64_t)time;
        assert_int_equal(me_series_append(&series, time, &row, NULL), 0);
    }
    static const struct {
        size_t floor;
        int64_t time;
    } late[] = {{0, 3}, {3, 2}, {0, 7}, {0, 11}}; /* that of 2 must not pass sample 2, which is at 5 */
    for (size_t i = 0; i < 4; i++) {
        row.count = (uint64_t)(100 * late[i].time);
        assert_int_equal(me_series_insert(&series, late[i].floor, late[i].time, &row, NULL), 0);
    }
    assert_int_equal(series.count, 7);
    for (size_t i = 0; i < 7; i++) assert_int_equal(series.time_ns[i], expected[i]);
    assert_int_equal(series.readings[1].count, 300);
    assert_int_equal(series.readings[2].count, 5);
    assert_int_equal(series.readings[3].count, 200);
    assert_int_equal(series.readings[5].count, 9);
    me_series_release(&series);
}

/* The parts of a span add up to the whole, to the microjoule, wherever it is cut. */
static void test_parts_add_up(void **state)
{
    (void)state;
    struct me_channel channel = {.kind = ME_KIND_COUNTER, .range = 9973, .max_power_w = 1};
    struct me_series series;
    uint64_t count = 7000, random = 1;
    me_series_init(&series, 2);
    for (int i = 0; i < 300; i++) {
        struct me_reading row[2] = {make_reading(i % 7 == 3 ? EIO_READ : GOOD),
                                    make_reading(i % 7 == 3 ? EIO_READ : GOOD)};
        row[1].count = count;
        assert_int_equal(me_series_append(&series, i * MS, row, NULL), 0);
        random = random * 6364136223846793005u + 1442695040888963407u;
        count = (count + (random >> 33) % 2000) % 9973;
    }
    struct me_energy whole, left, right;
    assert_int_equal(me_series_energy(&series, &channel, 1, 0, 299, &whole), ME_FAULT_NONE);
    assert_true(whole.uj > 9973 * 10); /* it wrapped many times */
    for (size_t cut = 1; cut < 299; cut++) {
        if (cut % 7 == 3) continue;
        assert_int_equal(me_series_energy(&series, &channel, 1, 0, cut, &left), ME_FAULT_NONE);
        assert_int_equal(me_series_energy(&series, &channel, 1, cut, 299, &right), ME_FAULT_NONE);
        assert_int_equal(left.uj + right.uj, whole.uj);
    }
    me_series_release(&series);
}

static void test_append(void **state)
{
    (void)state;
    struct me_series series;
    struct me_error err = {0};
    struct me_reading row[3] = {
        {.state = ME_READING_OK, .count = 1}, {.state = ME_READING_FAILED, .error = EIO}, {0}};
    me_series_init(&series, 3);
    for (int i = 0; i < 1000; i++) assert_int_equal(me_series_append(&series, i, row, &err), 0);
    assert_int_equal(me_series_append(&series, 999, row, &err), 0); /* the same instant again is fine */
    assert_int_equal(me_series_append(&series, 998, row, &err), -1);
    assert_int_equal(err.code, ME_E_RUN);
    assert_non_null(strstr(err.text, "backwards"));
    assert_int_equal(series.count, 1001);
    assert_int_equal(series.readings[3 * 500 + 1].error, EIO);
    assert_int_equal(series.readings[3 * 500 + 2].state, ME_READING_ABSENT);
    me_series_release(&series);
    me_series_release(NULL);
    assert_int_equal(series.count, 0);
}

static void test_no_channels(void **state)
{
    (void)state;
    struct me_series series;
    me_series_init(&series, 0);
    assert_int_equal(me_series_append(&series, 5, NULL, NULL), 0);
    assert_int_equal(series.count, 1);
    me_series_release(&series);
}

static void test_every_fault_has_a_text(void **state)
{
    (void)state;
    assert_string_equal(me_fault_text(ME_FAULT_NONE), "");
    for (int fault = ME_FAULT_ABSENT; fault <= ME_FAULT_GAP; fault++) {
        assert_true(strlen(me_fault_text((enum me_fault)fault)) > 5);
        assert_true(strlen(me_fault_text((enum me_fault)fault)) < 64); /* the column's width */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters),     cmocka_unit_test(test_gauges),
        cmocka_unit_test(test_paced),        cmocka_unit_test(test_period),
        cmocka_unit_test(test_activity),     cmocka_unit_test(test_insert),
        cmocka_unit_test(test_parts_add_up), cmocka_unit_test(test_append),
        cmocka_unit_test(test_no_channels),  cmocka_unit_test(test_every_fault_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
