/* From a record to the tables of the result, and --append. */
#include "me/result.h"
#include "me_cmocka.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS              INT64_C(1000000)
#define UNIX_MINUS_MONO INT64_C(1700000000000000000)
enum { CHANNELS = 3 };

/* A machine with package-0 (50 W), package-0/dram (10 W) and psys (not counted), sampled each 100 ms
 * from 0 to 3 s: idle 0-1 s, warmup 1-1.5 s, run 1.5-3 s. */
struct rig {
    struct me_record record;
    struct me_plan_machine machine;
    struct me_result result;
    struct me_error err;
};

static void add_sample(struct me_record *record, int64_t time_ns, uint64_t package, uint64_t dram)
{
    struct me_reading row[CHANNELS] = {{.state = ME_READING_OK, .count = package},
                                       {.state = ME_READING_OK, .count = dram},
                                       {.state = ME_READING_OK, .count = package * 3}};
    assert_int_equal(me_series_append(&record->series, time_ns, row, NULL), 0);
}

static void add_span(struct me_record *record, struct me_span span)
{
    record->spans = realloc(record->spans, (record->span_count + 1) * sizeof span);
    assert_non_null(record->spans);
    record->spans[record->span_count++] = span;
}

static void add_region(struct me_record *record, const char *name, int repeat, uint32_t first, uint32_t last)
{
    struct me_region_call call = {.repeat = repeat, .first = first, .last = last};
    snprintf(call.region, sizeof call.region, "%s", name);
    record->regions = realloc(record->regions, (record->region_count + 1) * sizeof call);
    assert_non_null(record->regions);
    record->regions[record->region_count++] = call;
}

static void add_metric(struct me_record *record, const char *name, int repeat, double value)
{
    struct me_metric metric = {.repeat = repeat, .value = value};
    snprintf(metric.name, sizeof metric.name, "%s", name);
    record->metrics = realloc(record->metrics, (record->metric_count + 1) * sizeof metric);
    assert_non_null(record->metrics);
    record->metrics[record->metric_count++] = metric;
}

static void add_channels(struct me_record *record)
{
    static const struct me_channel channels[CHANNELS] = {
        {.name = "package-0",
         .source = "powercap",
         .scope = ME_SCOPE_PACKAGE,
         .unit = "uJ",
         .range = 1000000000,
         .max_power_w = 100,
         .counted = true},
        {.name = "package-0/dram",
         .source = "powercap",
         .scope = ME_SCOPE_DRAM,
         .unit = "uJ",
         .range = 1000000000,
         .max_power_w = 100,
         .counted = true,
         .provenance = ME_PROVENANCE_FAKE},
        {.name = "psys",
         .source = "powercap",
         .scope = ME_SCOPE_PLATFORM,
         .unit = "uJ",
         .range = 4000000000,
         .max_power_w = 100,
         .package = -1,
         .why_not = "mirror of nothing",
         .provenance = ME_PROVENANCE_REPLAY},
    };
    record->channels = calloc(CHANNELS, sizeof *channels);
    assert_non_null(record->channels);
    memcpy(record->channels, channels, sizeof channels);
    record->channel_count = CHANNELS;
    me_series_init(&record->series, CHANNELS);
}

static void set_up(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    struct me_record *record = &rig->record;
    record->facts = (struct me_facts){.machine_id = 1,
                                      .name = "n1",
                                      .host = "host1",
                                      .boot_id = "boot-1",
                                      .cores = 4,
                                      .memory_bytes = UINT64_C(8) << 30,
                                      .unix_minus_mono_ns = UNIX_MINUS_MONO};
    record->ended = true;
    add_channels(record);
    for (int i = 0; i <= 30; i++)
        add_sample(record, i * 100 * MS, (900000000 + (uint64_t)i * 5000000) % 1000000000,
                   (uint64_t)i * 1000000);
    add_span(record, (struct me_span){.phase = ME_PHASE_IDLE, .first = 0, .last = 10, .work = NAN});
    add_span(record,
             (struct me_span){.phase = ME_PHASE_WARMUP, .repeat = 1, .first = 10, .last = 15, .work = NAN});
    add_span(record, (struct me_span){.phase = ME_PHASE_RUN,
                                      .repeat = 1,
                                      .first = 15,
                                      .last = 30,
                                      .work = 300,
                                      .work_unit = "samples",
                                      .late_samples = 2,
                                      .sampler_cpu_ns = 5 * MS,
                                      .longest_gap_ns = 101 * MS});
    rig->machine = (struct me_plan_machine){.id = 1,
                                            .name = "n1",
                                            .grid_g_per_kwh = 360,
                                            .pue = 1.5,
                                            .country = "DE",
                                            .grid_source = "config",
                                            .basis = "as given"};
}

static void tear_down(struct rig *rig)
{
    me_record_release(&rig->record);
    me_result_release(&rig->result);
}

static void add(struct rig *rig)
{
    assert_int_equal(me_result_add(&rig->result, &rig->machine, &rig->record, 0, &rig->err), 0);
    assert_int_equal(rig->result.machine_count, 1);
}

static void assert_near(double value, double expected)
{
    assert_true(fabs(value - expected) <= 1e-9 * fabs(expected));
}

static void test_machine_row(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    add(&rig);
    const struct me_row_machine *row = &rig.result.machines[0];
    assert_int_equal(row->machine_id, 1);
    assert_string_equal(row->name, "n1");
    assert_string_equal(row->host, "host1");
    assert_string_equal(row->boot_id, "boot-1");
    assert_string_equal(row->status, "ok");
    assert_string_equal(row->reason, "");
    assert_string_equal(row->provenance, "fake"); /* the weakest that counts; psys does not */
    assert_near(row->memory_gib, 8);
    assert_near(row->grid_gco2_per_kwh, 360);
    assert_string_equal(row->basis, "as given");
    assert_int_equal(rig.result.channel_count, CHANNELS);
    assert_string_equal(rig.result.channels[1].scope, "dram");
    assert_string_equal(rig.result.channels[2].why_not, "mirror of nothing");
    assert_near(rig.result.channels[2].range, 4e9);
    tear_down(&rig);
}

static void test_repeat_rows(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    add(&rig);
    assert_int_equal(rig.result.repeat_count, 3);
    const struct me_row_repeat *idle = &rig.result.repeats[0], *run = &rig.result.repeats[2];
    assert_string_equal(idle->phase, "idle");
    assert_int_equal(idle->repeat, 0);
    assert_near(idle->energy_j, 60);
    assert_true(isnan(idle->net_energy_j));
    assert_string_equal(run->phase, "run");
    assert_near(run->duration_s, 1.5);
    assert_near(run->energy_j, 90); /* 60 W x 1.5 s, over a wrap */
    assert_near(run->mean_power_w, 60);
    assert_near(run->net_energy_j + 1, 1); /* all of it is idle power here */
    assert_near(run->carbon_g, 90 / 3.6e6 * 1.5 * 360);
    assert_int_equal(run->start_unix_ns, UNIX_MINUS_MONO + 1500 * MS);
    assert_near(run->work, 300);
    assert_int_equal(run->late_samples, 2);
    assert_near(run->sampler_cpu_s, 0.005);
    assert_near(run->longest_gap_s, 0.101);
    assert_string_equal(run->note, "");
    assert_int_equal(rig.result.energy_count, 3 * CHANNELS);
    const struct me_row_energy *psys = &rig.result.energies[2 * CHANNELS + 2];
    assert_string_equal(psys->channel, "psys");
    assert_string_equal(psys->phase, "run");
    tear_down(&rig);
}

static void test_series_rows(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    rig.record.series.readings[16 * CHANNELS + 1] =
        (struct me_reading){.state = ME_READING_FAILED, .error = EIO};
    rig.record.series.readings[17 * CHANNELS + 1] = (struct me_reading){.state = ME_READING_ABSENT};
    rig.record.series.readings[18 * CHANNELS + 1] =
        (struct me_reading){.state = ME_READING_OK, .count = 18000000};
    add(&rig);
    assert_int_equal(rig.result.series_count, 2);
    const struct me_result_series *idle = &rig.result.series[0], *run = &rig.result.series[1];
    assert_int_equal(idle->repeat, 0);
    assert_int_equal(idle->samples, 11);
    assert_int_equal(run->repeat, 1);
    assert_int_equal(run->samples, 16);
    assert_int_equal(run->channels, CHANNELS);
    assert_string_equal(run->names[2], "psys");
    assert_int_equal(run->unix_ns[0], UNIX_MINUS_MONO + 1500 * MS);
    assert_near(run->values[0], 975000000);
    assert_true(isnan(run->values[CHANNELS + 1]));
    assert_int_equal(run->states[CHANNELS + 1], ME_READING_FAILED);
    assert_true(isnan(run->values[2 * CHANNELS + 1]));
    assert_int_equal(run->states[2 * CHANNELS + 1], ME_READING_ABSENT);
    assert_near(run->values[3 * CHANNELS + 1], 18000000);
    assert_near(rig.result.repeats[2].energy_j, 90); /* a hole in the middle changes nothing */
    tear_down(&rig);
}

static void test_gauge_series(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    rig.record.channels[1].kind = ME_KIND_GAUGE;
    rig.record.channels[1].cls = ME_CLASS_INTEGRATED;
    for (size_t i = 0; i < rig.record.series.count; i++)
        rig.record.series.readings[i * CHANNELS + 1].level = 12.5;
    add(&rig);
    assert_near(rig.result.series[1].values[1], 12.5);
    assert_near(rig.result.repeats[2].energy_j, 75 + 1.5 * 12.5);
    tear_down(&rig);
}

static void test_fault_makes_it_unknown(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    rig.record.series.readings[30 * CHANNELS + 1] =
        (struct me_reading){.state = ME_READING_FAILED, .error = EIO};
    add(&rig);
    const struct me_row_repeat *run = &rig.result.repeats[2];
    assert_true(isnan(run->energy_j) && isnan(run->mean_power_w) && isnan(run->carbon_g) &&
                isnan(run->net_energy_j));
    assert_string_equal(run->note, "package-0/dram: the reading at the begin or the end failed");
    assert_near(rig.result.energies[2 * CHANNELS].energy_j, 75); /* the good channel keeps its own */
    assert_true(isnan(rig.result.energies[2 * CHANNELS + 1].energy_j));
    assert_string_equal(rig.result.energies[2 * CHANNELS + 1].fault,
                        "the reading at the begin or the end failed");
    assert_string_equal(rig.result.machines[0].status, "failed");
    assert_string_equal(
        rig.result.machines[0].reason,
        "repeat 1: energy not known: package-0/dram: the reading at the begin or the end failed");
    tear_down(&rig);
}

static void test_fault_of_an_uncounted_channel(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    rig.record.series.readings[30 * CHANNELS + 2].state = ME_READING_FAILED;
    add(&rig);
    assert_near(rig.result.repeats[2].energy_j, 90);
    assert_string_equal(rig.result.machines[0].status, "ok");
    tear_down(&rig);
}

static void freeze(struct me_record *record, size_t c)
{
    for (size_t i = 0; i < record->series.count; i++) record->series.readings[i * CHANNELS + c].count = 4711;
}

static void test_stalled_counter_is_not_counted(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    freeze(&rig.record, 1);
    add(&rig);
    assert_int_equal(rig.result.channels[1].counted, 0);
    assert_string_equal(rig.result.channels[1].why_not, "did not move");
    assert_near(rig.result.repeats[2].energy_j, 75);
    assert_string_equal(rig.result.machines[0].provenance, "live");
    assert_string_equal(rig.result.machines[0].status, "ok");
    assert_string_equal(rig.result.machines[0].reason, "package-0/dram did not move and is not counted");
    tear_down(&rig);
}

static void test_stalled_platform_gives_way(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    rig.record.channels[2].why_not[0] = '\0';
    freeze(&rig.record, 2);
    me_channels_count(rig.record.channels, CHANNELS);
    assert_true(rig.record.channels[2].counted && !rig.record.channels[0].counted);
    add(&rig);
    assert_int_equal(rig.result.channels[0].counted, 1);
    assert_int_equal(rig.result.channels[2].counted, 0);
    assert_near(rig.result.repeats[2].energy_j, 90);
    tear_down(&rig);
}

/* psys that is not wired moves, and shows less than the package it covers. */
static void test_false_platform_gives_way(void **state)
{
    (void)state;
    static const struct {
        uint64_t tenths; /* of the package's energy */
        int counted;
        double energy_j;
    } cases[] = {{2, 0, 90}, {8, 0, 90}, {10, 1, 75}, {12, 1, 90}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        set_up(&rig);
        rig.record.channels[2].why_not[0] = '\0';
        for (uint64_t s = 0; s < rig.record.series.count; s++)
            rig.record.series.readings[s * CHANNELS + 2].count = s * 500000 * cases[i].tenths;
        me_channels_count(rig.record.channels, CHANNELS);
        assert_true(rig.record.channels[2].counted);
        add(&rig);
        assert_int_equal(rig.result.channels[2].counted, cases[i].counted);
        assert_int_equal(rig.result.channels[0].counted, !cases[i].counted);
        assert_near(rig.result.repeats[2].energy_j, cases[i].energy_j);
        assert_string_equal(rig.result.machines[0].reason,
                            cases[i].counted ? ""
                                             : "psys shows less than the parts it covers and is not counted");
        tear_down(&rig);
    }
}

static void test_all_stalled(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    for (size_t c = 0; c < CHANNELS; c++) freeze(&rig.record, c);
    add(&rig);
    assert_true(isnan(rig.result.repeats[2].energy_j)); /* and not 0 */
    assert_string_equal(rig.result.repeats[2].note, "no channel is counted: package-0 did not move");
    assert_string_equal(rig.result.machines[0].status, "failed");
    assert_string_equal(rig.result.machines[0].provenance, "");
    tear_down(&rig);
}

/* In 50 ms a slow counter may rightly stand still: it counts, and its energy is not known, not 0. */
static void test_short_record_is_no_stall(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    freeze(&rig.record, 1);
    for (size_t i = 0; i < rig.record.series.count; i++) rig.record.series.time_ns[i] /= 60;
    rig.record.channels[0].max_power_w = 1000;
    add(&rig);
    assert_int_equal(rig.result.channels[1].counted, 1);
    assert_true(isnan(rig.result.repeats[2].energy_j));
    assert_string_equal(rig.result.repeats[2].note, "package-0/dram: shorter than the meter's own period");
    assert_near(rig.result.energies[2 * CHANNELS].energy_j, 75);
    assert_true(isnan(rig.result.energies[2 * CHANNELS + 1].energy_j));
    assert_string_equal(rig.result.machines[0].status, "failed");
    tear_down(&rig);
}

/* Calls of a region may be shorter than a tick; all of them together may not. */
static void test_region_without_a_tick(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    for (size_t i = 17; i < 19; i++) /* 16 to 18 show one value of each */
        memcpy(&rig.record.series.readings[i * CHANNELS], &rig.record.series.readings[16 * CHANNELS],
               CHANNELS * sizeof(struct me_reading));
    add_region(&rig.record, "still", 1, 16, 17);
    add_region(&rig.record, "still", 1, 17, 18);
    add_region(&rig.record, "train", 1, 16, 17);
    add_region(&rig.record, "train", 1, 17, 20);
    add(&rig);
    assert_int_equal(rig.result.region_count, 2);
    assert_string_equal(rig.result.regions[0].region, "still");
    assert_true(isnan(rig.result.regions[0].energy_j) && isnan(rig.result.regions[0].carbon_g));
    assert_string_equal(rig.result.regions[0].note, "no tick of its counters in it");
    assert_near(rig.result.regions[1].energy_j, 24);
    assert_near(rig.result.regions[1].carbon_g, 24 / 3.6e6 * 1.5 * 360);
    assert_string_equal(rig.result.regions[1].note, "");
    assert_near(rig.result.repeats[2].energy_j, 90);
    tear_down(&rig);
}

/* A counter that only failed has not stalled: its readings tell the reason. */
static void test_failed_counter_is_no_stall(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    for (size_t i = 0; i < rig.record.series.count; i++)
        rig.record.series.readings[i * CHANNELS + 1] =
            (struct me_reading){.state = ME_READING_FAILED, .error = EIO};
    add(&rig);
    assert_int_equal(rig.result.channels[1].counted, 1);
    assert_true(isnan(rig.result.repeats[2].energy_j));
    tear_down(&rig);
}

static const struct {
    const char *what;
    enum me_machine_status plan, record;
    bool ended, has_record, has_run;
    int exit_status;
    const char *note, *status, *reason;
} status_cases[] = {
    {"fine", 0, 0, true, true, true, 0, "", "ok", ""},
    {"exit status", 0, 0, true, true, true, 3, "", "failed", "repeat 1: the workload's exit status was 3"},
    {"signal", 0, 0, true, true, true, 265, "", "failed", "repeat 1: the workload was ended by signal 9"},
    {"timeout", 0, 0, true, true, true, -1, "timeout after 10 s", "failed",
     "repeat 1: the workload did not end by itself: timeout after 10 s"},
    {"its own report goes first", 0, ME_STATUS_INTERRUPTED, true, true, true, 3, "", "interrupted",
     "told by it"},
    {"the plan's goes before all", ME_STATUS_DUPLICATE, ME_STATUS_FAILED, true, true, true, 0, "",
     "duplicate", "of the plan"},
    {"skipped", ME_STATUS_SKIPPED, 0, false, false, false, 0, "", "skipped", "of the plan"},
    {"lost", 0, 0, false, false, false, 0, "", "lost", "no record came back from it"},
    {"cut off", 0, 0, false, true, true, 0, "", "interrupted", "its record was cut off"},
    {"nothing measured", 0, 0, true, true, false, 0, "", "failed", "no repeat was measured"},
};

static void test_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof status_cases / sizeof *status_cases; i++) {
        struct rig rig;
        set_up(&rig);
        rig.machine.status = status_cases[i].plan;
        if (status_cases[i].plan) snprintf(rig.machine.reason, sizeof rig.machine.reason, "of the plan");
        rig.record.status = status_cases[i].record;
        if (status_cases[i].record) snprintf(rig.record.reason, sizeof rig.record.reason, "told by it");
        rig.record.ended = status_cases[i].ended;
        rig.record.spans[2].exit_status = status_cases[i].exit_status;
        snprintf(rig.record.spans[2].note, sizeof rig.record.spans[2].note, "%s", status_cases[i].note);
        if (!status_cases[i].has_run) rig.record.span_count = 2;
        assert_int_equal(me_result_add(&rig.result, &rig.machine,
                                       status_cases[i].has_record ? &rig.record : NULL, 0, NULL),
                         0);
        const struct me_row_machine *row = &rig.result.machines[0];
        if (strcmp(row->status, status_cases[i].status) || strcmp(row->reason, status_cases[i].reason))
            fail_msg("%s: %s: %s", status_cases[i].what, row->status, row->reason);
        if (!status_cases[i].has_record) assert_true(isnan(row->memory_gib));
        tear_down(&rig);
    }
}

/* Regions by table: calls as {first, last} of sample indexes in the run (15..30, 100 ms and 6 J a step). */
static void test_regions(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct {
            uint32_t first, last;
        } calls[4];
        size_t n;
        uint32_t counted;
        double steps;
    } cases[] = {
        {"one", {{16, 20}}, 1, 1, 4},
        {"two apart", {{16, 18}, {20, 25}}, 2, 2, 7},
        {"two that meet", {{16, 18}, {18, 20}}, 2, 2, 4},
        {"nested: the outer one", {{16, 25}, {18, 20}}, 2, 1, 9},
        {"nested, told inner first", {{18, 20}, {16, 25}}, 2, 1, 9},
        {"nested from the same begin", {{16, 25}, {16, 18}}, 2, 1, 9},
        {"recursion", {{16, 28}, {17, 27}, {18, 26}, {19, 25}}, 4, 1, 12},
        {"overlap: what is common counts once", {{16, 20}, {18, 25}}, 2, 2, 9},
        {"the whole run twice", {{15, 30}, {15, 30}}, 2, 1, 15},
        {"in the warm-up only", {{10, 15}}, 1, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        set_up(&rig);
        for (size_t c = 0; c < cases[i].n; c++)
            add_region(&rig.record, "train", 1, cases[i].calls[c].first, cases[i].calls[c].last);
        add(&rig);
        assert_int_equal(rig.result.region_count, cases[i].counted ? 1 : 0);
        if (cases[i].counted) {
            const struct me_row_region *row = &rig.result.regions[0];
            bool right = row->calls == cases[i].counted &&
                         fabs(row->duration_s - cases[i].steps * 0.1) < 1e-9 &&
                         fabs(row->energy_j - cases[i].steps * 6) < 1e-9;
            if (!right)
                fail_msg("%s: %u calls, %g s, %g J", cases[i].what, row->calls, row->duration_s,
                         row->energy_j);
        }
        tear_down(&rig);
    }
}

/* Marks that were read together share an edge: what lies between them is not seen, and that is said. */
static void test_regions_at_one_edge(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct {
            uint32_t first, last;
        } calls[4]; /* last 0 ends */
        uint32_t count;
        double duration_s, energy_j; /* 0: not known */
        const char *note;
    } cases[] = {
        {"before one that is seen",
         {{16, 16}, {16, 16}, {16, 20}},
         3,
         0.4,
         24,
         "2 of its 3 calls were over before their begin was read, and are not in it"},
        {"within it", {{16, 20}, {16, 16}}, 1, 0.4, 24, ""},
        {"none is seen", {{16, 16}, {17, 17}}, 2, 0, 0, "over before its begin was read"},
        {"the inner one begins with the outer one", {{16, 20}, {16, 18}}, 1, 0.4, 24, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        set_up(&rig);
        for (size_t c = 0; c < 4 && cases[i].calls[c].last; c++)
            add_region(&rig.record, "train", 1, cases[i].calls[c].first, cases[i].calls[c].last);
        add(&rig);
        const struct me_row_region *row = &rig.result.regions[0];
        bool is_right =
            row->calls == cases[i].count && fabs(row->duration_s - cases[i].duration_s) < 1e-9 &&
            (cases[i].energy_j > 0 ? fabs(row->energy_j - cases[i].energy_j) < 1e-9 : isnan(row->energy_j)) &&
            !strcmp(row->note, cases[i].note);
        if (!is_right)
            fail_msg("%s: %d calls, %g s, %g J, \"%s\"", cases[i].what, row->calls, row->duration_s,
                     row->energy_j, row->note);
        tear_down(&rig);
    }
}

static void test_regions_by_repeat_and_begin(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    add_region(&rig.record, "train", 1, 16, 20);
    add_region(&rig.record, "load", 1, 17, 18);
    add_region(&rig.record, "train", 2, 21, 22);
    add(&rig);
    assert_int_equal(rig.result.region_count, 3);
    assert_string_equal(rig.result.regions[0].region, "train"); /* in the order of their begin */
    assert_string_equal(rig.result.regions[1].region, "load");
    assert_int_equal(rig.result.regions[1].repeat, 1);
    assert_int_equal(rig.result.regions[1].start_unix_ns - rig.result.regions[0].start_unix_ns, 100000000);
    assert_int_equal(rig.result.regions[2].repeat, 2);
    assert_near(rig.result.regions[2].energy_j, 6);
    tear_down(&rig);
}

static void test_first_repeat(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    add_region(&rig.record, "train", 1, 16, 20);
    assert_int_equal(me_result_add(&rig.result, &rig.machine, &rig.record, 5, NULL), 0);
    assert_int_equal(rig.result.repeats[0].repeat, 0); /* idle stays 0 */
    assert_int_equal(rig.result.repeats[2].repeat, 6);
    assert_int_equal(rig.result.energies[2 * CHANNELS].repeat, 6);
    assert_int_equal(rig.result.regions[0].repeat, 6);
    assert_int_equal(rig.result.series[1].repeat, 6);
    tear_down(&rig);
}

/* The machine's clock runs 2 s ahead at the start and 8 ms more at the end, 3 s later. */
static void test_clock(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    int64_t head_ns = UNIX_MINUS_MONO - 2000 * MS;
    rig.record.clocks[ME_CLOCK_START] = (struct me_clock_offset){true, -head_ns, MS};
    add(&rig);
    assert_near(rig.result.machines[0].clock_offset_start_s, 2);
    assert_near(rig.result.machines[0].clock_bound_start_s, 0.001);
    assert_true(isnan(rig.result.machines[0].clock_offset_end_s));
    assert_near(rig.result.repeats[2].clock_offset_s, 2);
    me_result_release(&rig.result);
    rig.record.clocks[ME_CLOCK_END] = (struct me_clock_offset){true, 8 * MS - head_ns, 3 * MS};
    add(&rig);
    assert_near(rig.result.machines[0].clock_offset_end_s, 2.008);
    assert_near(rig.result.repeats[0].clock_offset_s, 2);
    assert_near(rig.result.repeats[2].clock_offset_s, 2.004); /* which began half way */
    assert_near(rig.result.repeats[2].clock_bound_s, 0.003);
    me_result_release(&rig.result);
    rig.record.clocks[ME_CLOCK_START] = (struct me_clock_offset){0};
    add(&rig);
    assert_true(isnan(rig.result.repeats[2].clock_offset_s));
    tear_down(&rig);
}

static void test_several_machines(void **state)
{
    (void)state;
    struct rig a, b;
    set_up(&a);
    set_up(&b);
    b.machine.id = 2;
    add(&a);
    assert_int_equal(me_result_add(&a.result, &b.machine, &b.record, 0, NULL), 0);
    assert_int_equal(me_result_add(&a.result, &b.machine, NULL, 0, NULL), 0);
    assert_int_equal(a.result.machine_count, 3);
    assert_int_equal(a.result.repeat_count, 6);
    assert_int_equal(a.result.repeats[5].machine_id, 2);
    assert_int_equal(a.result.series_count, 4);
    tear_down(&a);
    tear_down(&b);
}

/* A job's rows, as they come of a plan with the machines of two rigs. */
static void put_job(struct me_result *result, const char *id, int restarts, int machines)
{
    struct me_plan plan = {.count = (size_t)machines,
                           .machines = calloc((size_t)machines, sizeof *plan.machines),
                           .job = ME_BATCH_JOB_UNKNOWN};
    snprintf(plan.job.id, sizeof plan.job.id, "%s", id);
    plan.job.restarts = restarts;
    plan.job.energy_before_j = 100;
    plan.job.energy_after_j = 350.5;
    for (int i = 0; i < machines; i++) {
        plan.machines[i].id = i;
        plan.machines[i].node = (struct me_batch_node){.node = "n1", .sharing = ME_SHARING_SEEN};
    }
    assert_int_equal(me_result_add_job(result, &plan, NULL), 0);
    free(plan.machines);
}

static struct me_row_repeat run_of(int machine_id, int repeat, int exit_status)
{
    return (struct me_row_repeat){.machine_id = machine_id,
                                  .repeat = repeat,
                                  .phase = "run",
                                  .exit_status = exit_status,
                                  .energy_j = 5};
}

/* Two machines; the second was cut off in its third repeat. */
static void fill_cut_off(struct me_result *result)
{
    result->machine_count = 2;
    result->machines = calloc(2, sizeof *result->machines);
    result->repeats = calloc(6, sizeof *result->repeats);
    for (int i = 0; i < 6; i++)
        result->repeats[result->repeat_count++] = run_of(i % 2, 1 + i / 2, i == 5 ? 271 : 0);
    for (int i = 0; i < 2; i++) {
        result->machines[i].machine_id = i;
        snprintf(result->machines[i].name, sizeof result->machines[i].name, "n%d", i + 1);
        snprintf(result->machines[i].boot_id, sizeof result->machines[i].boot_id, "boot-%d", i + 1);
        snprintf(result->machines[i].status, sizeof result->machines[i].status, "interrupted");
    }
}

static void test_rows_of_a_job(void **state)
{
    (void)state;
    struct me_result result = {0};
    fill_cut_off(&result);
    put_job(&result, "17", 0, 2);
    assert_int_equal(result.job_count, 1);
    assert_int_equal(result.job_node_count, 2);
    assert_true(result.jobs[0].first_repeat == 1 && result.jobs[0].last_repeat == 3);
    assert_true(result.jobs[0].energy_j == 250.5 && isnan(result.jobs[0].energy_s));
    assert_string_equal(result.job_nodes[1].sharing, "yes");
    assert_int_equal(me_result_rounds_done(&result, "17", 1), 2); /* the least of its machines */
    assert_int_equal(me_result_rounds_done(&result, "17", 2), 1);
    assert_int_equal(me_result_rounds_done(&result, "1", 1), 0);
    result.repeats[3].energy_j = NAN;
    assert_int_equal(me_result_rounds_done(&result, "17", 1), 1);
    me_result_shift(&result, 4);
    assert_true(result.jobs[0].first_repeat == 5 && result.job_nodes[1].last_repeat == 7);
    assert_int_equal(me_result_rounds_done(&result, "17", 1), 1);
    me_result_release(&result);
}

/* What a machine told later of a start that has its row; of another start, nothing is joined. */
static void test_a_job_told_twice(void **state)
{
    (void)state;
    struct me_result base = {0}, late = {0}, other = {0};
    fill_cut_off(&base);
    put_job(&base, "17", 0, 1);
    late.repeats = calloc(2, sizeof *late.repeats);
    late.repeats[late.repeat_count++] = run_of(0, 4, 0);
    late.repeats[late.repeat_count++] = run_of(1, 4, 0);
    put_job(&late, "17", 0, 2);
    me_result_merge_jobs(&base, &late);
    assert_true(base.job_count == 1 && base.jobs[0].first_repeat == 1 && base.jobs[0].last_repeat == 4);
    assert_true(base.job_nodes[0].last_repeat == 4);
    assert_true(late.job_count == 0 && late.job_node_count == 1 && late.job_nodes[0].machine_id == 1);
    put_job(&other, "17", 1, 1);
    me_result_merge_jobs(&base, &other);
    assert_true(other.job_count == 1 && other.job_node_count == 1);
    struct me_result *all[] = {&base, &late, &other};
    for (int i = 0; i < 3; i++) me_result_release(all[i]);
}

static void test_interrupts_are_forgotten(void **state)
{
    (void)state;
    struct me_result base = {0}, more = {0};
    fill_cut_off(&base);
    fill_cut_off(&more);
    snprintf(more.machines[1].status, sizeof more.machines[1].status, "ok");
    me_result_forget_interrupts(&base, &more);
    assert_string_equal(base.machines[0].status, "interrupted");
    assert_string_equal(base.machines[1].status, "ok");
    me_result_release(&base);
    me_result_release(&more);
}

/* Jobs number their machines by rank; the result knows them by what they are. */
static void test_renumber(void **state)
{
    (void)state;
    struct me_result base = {0}, more = {0};
    int32_t ids[2];
    fill_cut_off(&base);
    fill_cut_off(&more);
    put_job(&more, "18", 0, 2);
    base.channels = calloc(2, sizeof *base.channels);
    more.channels = calloc(2, sizeof *more.channels);
    base.channel_count = more.channel_count = 2;
    base.channels[1].machine_id = more.channels[1].machine_id = 1;
    snprintf(more.machines[0].name, 64, "n2"); /* rank 0 is n2 now, */
    snprintf(more.machines[0].boot_id, 40, "boot-2");
    snprintf(more.machines[1].name, 64, "n1"); /* and n1 was restarted */
    snprintf(more.machines[1].boot_id, 40, "boot-9");
    assert_int_equal(me_result_renumber(&base, &more, ids, NULL), 0);
    assert_true(ids[0] == 1 && ids[1] == 2);
    assert_string_equal(more.machines[0].name, "n2");
    assert_string_equal(more.machines[1].name, "n1#2");
    assert_true(more.repeats[0].machine_id == 1 && more.repeats[1].machine_id == 2);
    assert_true(more.channels[0].machine_id == 1 && more.job_nodes[1].machine_id == 2);
    /* Once more, as after a lock that was lost: nothing changes. */
    assert_int_equal(me_result_renumber(&base, &more, ids, NULL), 0);
    assert_true(ids[0] == 1 && ids[1] == 2);
    assert_string_equal(more.machines[1].name, "n1#2");
    /* One that told nothing is known by its name. */
    more.channel_count = 0;
    snprintf(more.machines[1].name, 64, "n1");
    assert_int_equal(me_result_renumber(&base, &more, NULL, NULL), 0);
    assert_int_equal(more.machines[1].machine_id, 0);
    me_result_release(&base);
    me_result_release(&more);
}

static void test_append(void **state)
{
    (void)state;
    struct rig a, b;
    set_up(&a);
    set_up(&b);
    add_metric(&a.record, "loss", 1, 1);
    add_metric(&b.record, "loss", 1, 2);
    add(&a);
    assert_int_equal(me_result_rank(&a.result, NULL), 0);
    assert_int_equal(me_result_add(&b.result, &b.machine, &b.record, 1, NULL), 0);
    b.machine.id = 2;
    assert_int_equal(me_result_add(&b.result, &b.machine, &b.record, 1, NULL), 0);
    snprintf(a.result.status, sizeof a.result.status, "complete");
    snprintf(b.result.status, sizeof b.result.status, "interrupted");
    assert_int_equal(me_result_append(&a.result, &b.result, &a.err), 0);
    assert_int_equal(a.result.machine_count, 2);
    assert_int_equal(a.result.channel_count, 2 * CHANNELS);
    assert_int_equal(a.result.repeat_count, 9);
    assert_int_equal(a.result.energy_count, 9 * CHANNELS);
    assert_int_equal(a.result.series_count, 5); /* one idle series a machine */
    assert_int_equal(a.result.metric_count, 3);
    assert_int_equal(a.result.metrics[1].repeat, 2);
    assert_near(a.result.metrics[1].value, 2);
    assert_int_equal(a.result.summary_count, 0);
    assert_string_equal(a.result.status, "interrupted");
    assert_int_equal(b.result.repeat_count, 6); /* untouched */
    assert_near(b.result.series[3].values[0], 975000000);
    tear_down(&b);
    assert_near(a.result.series[2].values[0], 975000000);
    assert_int_equal(me_result_rank(&a.result, NULL), 0);
    assert_int_equal(a.result.summaries[0].n, 2);
    assert_int_equal(a.result.summaries[1].n, 1);
    tear_down(&a);
}

/* A reason names the repeat by its number in the result, also where it came by way of the plan. */
static void test_reasons_of_appended_repeats(void **state)
{
    (void)state;
    static const char *const told[][2] = {
        {"repeat 2: the workload exited with status 3", "repeat 9: the workload exited with status 3"},
        {"warm-up 2: the workload exited with status 3", "warm-up 2: the workload exited with status 3"},
        {"repeat 2", "repeat 2"},
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        for (int by_plan = 0; by_plan < 2; by_plan++) {
            struct rig rig;
            set_up(&rig);
            rig.record.status = ME_STATUS_FAILED;
            snprintf(rig.record.reason, sizeof rig.record.reason, "%s", told[i][0]);
            if (by_plan) {
                rig.machine.status = ME_STATUS_FAILED;
                snprintf(rig.machine.reason, sizeof rig.machine.reason, "%s", told[i][0]);
            }
            assert_int_equal(me_result_add(&rig.result, &rig.machine, &rig.record, 7, NULL), 0);
            assert_string_equal(rig.result.machines[0].reason, told[i][1]);
            tear_down(&rig);
        }
}

static void change_boot(struct rig *rig)
{
    snprintf(rig->record.facts.boot_id, 8, "boot-2");
}
static void change_channel(struct rig *rig)
{
    snprintf(rig->record.channels[1].name, 8, "dram-0");
}
static void change_range(struct rig *rig)
{
    rig->record.channels[1].range++;
}
static void change_counted(struct rig *rig)
{
    freeze(&rig->record, 1);
}
static void change_count(struct rig *rig)
{
    rig->record.channel_count = 0; /* no channels at all: nothing to compare, and nothing is refused */
    rig->record.series.channels = 0;
}
static void change_grid(struct rig *rig)
{
    rig->machine.grid_g_per_kwh = 361;
}
static void change_nothing(struct rig *rig)
{
    (void)rig;
}
static void change_workload(struct rig *rig)
{
    snprintf(rig->result.workload, 8, "spin");
}

static void test_append_refuses(void **state)
{
    (void)state;
    static const struct {
        void (*change)(struct rig *);
        const char *message; /* NULL: accepted */
    } cases[] = {
        {change_nothing, NULL},     {change_count, NULL},
        {change_boot, "boot id"},   {change_channel, "channels changed (package-0/dram)"},
        {change_range, "channels"}, {change_counted, "channels"},
        {change_grid, "grid"},      {change_workload, "same again: \"\" before, \"spin\" now"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig a, b;
        set_up(&a);
        set_up(&b);
        add(&a);
        cases[i].change(&b);
        add(&b);
        int rc = me_result_append(&a.result, &b.result, &a.err);
        assert_int_equal(rc, cases[i].message ? -1 : 0);
        if (rc) {
            assert_int_equal(a.err.code, ME_E_INPUT);
            if (!strstr(a.err.text, cases[i].message)) fail_msg("%s", a.err.text);
            assert_int_equal(a.result.repeat_count, 3); /* untouched */
        }
        tear_down(&a);
        tear_down(&b);
    }
}

static void test_append_to_a_lost_machine(void **state)
{
    (void)state;
    struct rig a, b;
    set_up(&a);
    set_up(&b);
    assert_int_equal(me_result_add(&a.result, &a.machine, NULL, 0, NULL), 0);
    add(&b);
    assert_int_equal(me_result_append(&a.result, &b.result, &a.err), 0);
    assert_int_equal(a.result.machine_count, 1);
    assert_string_equal(a.result.machines[0].status, "ok");
    assert_string_equal(a.result.machines[0].host, "host1");
    assert_int_equal(a.result.channel_count, CHANNELS);
    tear_down(&a);
    tear_down(&b);
}

/* Makes a channel of the rig what the test needs, with a constant power from 0. */
static void make_channel(struct rig *rig, size_t c, const struct me_channel *channel, double power_w)
{
    rig->record.channels[c] = *channel;
    for (uint64_t s = 0; s < rig->record.series.count; s++) {
        struct me_reading *reading = &rig->record.series.readings[s * CHANNELS + c];
        *reading = (struct me_reading){.state = ME_READING_OK};
        if (channel->kind == ME_KIND_COUNTER)
            reading->count = (uint64_t)((double)s * 1e5 * power_w);
        else
            reading->level = power_w;
    }
}

/* Two sources for one thing are compared; a difference of more than 5 % is told, and of perf and
 * powercap the latter is believed. */
static void test_twins_are_compared(void **state)
{
    (void)state;
    static const struct {
        const char *source, *twin;
        double power_w, twin_w;
        const char *reason;
        int twin_counts;
        double energy_j;
    } cases[] = {
        {"perf", "powercap", 50, 52, "", 0, 75},
        {"perf", "powercap", 50, 60,
         "package-0 of perf and powercap/package-0 of powercap differ by 17 %: 75 J and 90 J", 1, 90},
        {"msr", "external", 50, 60,
         "package-0 of msr and powercap/package-0 of external differ by 17 %: 75 J and 90 J", 0, 75},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        set_up(&rig);
        struct me_channel first = {.name = "package-0", .scope = ME_SCOPE_PACKAGE},
                          second = {.name = "powercap/package-0", .scope = ME_SCOPE_PACKAGE};
        snprintf(first.source, sizeof first.source, "%s", cases[i].source);
        snprintf(second.source, sizeof second.source, "%s", cases[i].twin);
        make_channel(&rig, 0, &first, cases[i].power_w);
        make_channel(&rig, 1, &second, cases[i].twin_w);
        me_channels_count(rig.record.channels, CHANNELS);
        assert_true(rig.record.channels[0].counted && !rig.record.channels[1].counted);
        add(&rig);
        assert_string_equal(rig.result.machines[0].reason, cases[i].reason);
        assert_int_equal(rig.result.channels[1].counted, cases[i].twin_counts);
        assert_int_equal(rig.result.channels[0].counted, !cases[i].twin_counts);
        assert_near(rig.result.repeats[2].energy_j, cases[i].energy_j);
        tear_down(&rig);
    }
}

/* A node's meter that never answered makes room for the packages; one of two power supplies takes the
 * other with it. */
static void test_silent_meter_gives_way(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    struct me_channel psu = {.name = "psu-1",
                             .source = "hwmon",
                             .scope = ME_SCOPE_NODE,
                             .kind = ME_KIND_GAUGE,
                             .cls = ME_CLASS_INTEGRATED,
                             .interval_s = 0.1};
    make_channel(&rig, 1, &psu, 100);
    snprintf(psu.name, sizeof psu.name, "psu-2");
    make_channel(&rig, 2, &psu, 100);
    for (size_t s = 0; s < rig.record.series.count; s++)
        rig.record.series.readings[s * CHANNELS + 2] =
            (struct me_reading){.state = ME_READING_FAILED, .error = EIO};
    me_channels_count(rig.record.channels, CHANNELS);
    assert_true(rig.record.channels[1].counted && rig.record.channels[2].counted);
    add(&rig);
    assert_int_equal(rig.result.channels[0].counted, 1);
    assert_string_equal(rig.result.channels[1].why_not, "psu-2 gave no reading");
    assert_string_equal(rig.result.machines[0].reason, "psu-2 gave no reading and is not counted");
    assert_near(rig.result.repeats[2].energy_j, 75);
    tear_down(&rig);
}

/* A graphics card that psys does not see. */
static void test_platform_without_its_gpu(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    struct me_channel psys = {
        .name = "psys", .source = "powercap", .scope = ME_SCOPE_PLATFORM, .package = -1};
    struct me_channel gpu = {.name = "gpu-0", .source = "nvml", .scope = ME_SCOPE_GPU, .interval_s = 0.1};
    make_channel(&rig, 1, &psys, 60);
    make_channel(&rig, 2, &gpu, 200);
    me_channels_count(rig.record.channels, CHANNELS);
    assert_true(rig.record.channels[1].counted);
    add(&rig);
    assert_string_equal(rig.result.machines[0].reason,
                        "psys shows less than the parts it covers and is not counted");
    assert_near(rig.result.repeats[2].energy_j, 75 + 300);
    tear_down(&rig);
}

/* Where a slow source is read too, the first sample is its own, and the fast channels are absent in it:
 * that is no reason to believe a psys that shows less than its package. */
static void test_false_platform_beside_a_slow_source(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    rig.record.channels[2].why_not[0] = '\0';
    for (uint64_t s = 0; s < rig.record.series.count; s++)
        rig.record.series.readings[s * CHANNELS + 2].count = s * 1000000;
    for (size_t c = 0; c < CHANNELS; c++) {
        rig.record.series.readings[c].state = ME_READING_ABSENT;
        rig.record.series.readings[30 * CHANNELS + c].state = ME_READING_ABSENT;
    }
    rig.record.spans[2].last = 29;
    me_channels_count(rig.record.channels, CHANNELS);
    assert_true(rig.record.channels[2].counted);
    add(&rig);
    assert_int_equal(rig.result.channels[2].counted, 0);
    assert_near(rig.result.repeats[2].energy_j, 70 + 14);
    tear_down(&rig);
}

/* Two sources that both show the package: the platform's 60 W are not less than its 50 W, seen twice. */
static void test_platform_of_a_package_seen_twice(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    struct me_channel psys = {
        .name = "psys", .source = "powercap", .scope = ME_SCOPE_PLATFORM, .package = -1};
    struct me_channel twin = {.name = "perf/package-0", .source = "perf", .scope = ME_SCOPE_PACKAGE};
    make_channel(&rig, 1, &psys, 60);
    make_channel(&rig, 2, &twin, 50);
    me_channels_count(rig.record.channels, CHANNELS);
    assert_true(rig.record.channels[1].counted);
    add(&rig);
    assert_string_equal(rig.result.machines[0].reason, "");
    assert_near(rig.result.repeats[2].energy_j, 90);
    tear_down(&rig);
}

/* A phase of some ticks: that two counters differ by one tick of it says nothing against either. */
static void test_twins_of_a_short_run(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    struct me_channel first = {.name = "package-0", .source = "perf", .scope = ME_SCOPE_PACKAGE},
                      second = {.name = "powercap/package-0", .source = "powercap"};
    second.scope = ME_SCOPE_PACKAGE;
    make_channel(&rig, 0, &first, 50);
    make_channel(&rig, 1, &second, 50);
    for (int64_t s = 16; s <= 30; s++)
        rig.record.series.time_ns[s] = 1500 * MS + (s - 15) * MS / 5; /* 3 ms */
    for (uint64_t s = 16; s <= 30; s++) {                             /* 50 mJ a tick */
        rig.record.series.readings[s * CHANNELS].count = 75000000 + (s - 15) / 5 * 50000;
        rig.record.series.readings[s * CHANNELS + 1].count = 75000000 + (s - 14) / 5 * 50000 + 50000;
    }
    me_channels_count(rig.record.channels, CHANNELS);
    add(&rig);
    assert_string_equal(rig.result.machines[0].reason, "");
    assert_int_equal(rig.result.channels[0].counted, 1);
    tear_down(&rig);
}

/* What one source could not read and another one counts is no gap. */
static void test_unreadable_but_counted_elsewhere(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    struct me_channel failed = {.name = "package-1",
                                .source = "perf",
                                .scope = ME_SCOPE_PACKAGE,
                                .package = 1,
                                .why_not = "energy-pkg on CPU 8: Input/output error"},
                      other = {.name = "powercap/package-1", .source = "powercap", .package = 1};
    other.scope = ME_SCOPE_PACKAGE;
    make_channel(&rig, 1, &failed, 0);
    make_channel(&rig, 2, &other, 40);
    me_channels_count(rig.record.channels, CHANNELS);
    add(&rig);
    assert_string_equal(rig.result.channels[1].why_not, "powercap/package-1 counts instead; "
                                                        "energy-pkg on CPU 8: Input/output error");
    assert_near(rig.result.repeats[2].energy_j, 75 + 60);
    assert_int_equal(me_result_rank(&rig.result, NULL), 0);
    assert_int_equal(rig.result.summaries[0].place, 1);
    tear_down(&rig);
    set_up(&rig); /* the same, and nothing else shows package 1 */
    make_channel(&rig, 1, &failed, 0);
    me_channels_count(rig.record.channels, CHANNELS);
    add(&rig);
    assert_int_equal(me_result_rank(&rig.result, NULL), 0);
    assert_int_equal(rig.result.summaries[0].place, 0);
    tear_down(&rig);
}

/* Few values of a slow meter in a phase: the number is said to be coarse. */
static void test_coarse(void **state)
{
    (void)state;
    static const struct {
        double interval_s;
        const char *note;
    } cases[] = {{0, ""}, {0.1, ""}, {0.2, "coarse: package-0 has a value each 0.2 s only"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        set_up(&rig);
        rig.record.channels[0].interval_s = cases[i].interval_s;
        add(&rig);
        assert_string_equal(rig.result.repeats[2].note, cases[i].note); /* 1.5 s */
        tear_down(&rig);
    }
}

/* What the machine did has a table of its own and is in no total. */
static void test_activities(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    struct me_channel busy = {.name = "cpu-busy", .source = "system", .unit = "ns", .activity = true};
    make_channel(&rig, 1, &busy, 1000);
    rig.record.spans[2].usage = (struct me_usage){.known = true, .cpu_s = 1.25, .page_faults = 7};
    me_channels_count(rig.record.channels, CHANNELS);
    add(&rig);
    assert_int_equal(rig.result.energy_count, 3 * (CHANNELS - 1));
    assert_int_equal(rig.result.activity_count, 3);
    const struct me_row_activity *row = &rig.result.activities[2];
    assert_string_equal(row->channel, "cpu-busy");
    assert_string_equal(row->phase, "run");
    assert_string_equal(row->unit, "ns");
    assert_near(row->value, 15 * 1e5 * 1000);
    assert_string_equal(rig.result.channels[1].scope, "");
    assert_near(rig.result.repeats[2].cpu_s, 1.25);
    assert_near(rig.result.repeats[2].page_faults, 7);
    assert_true(isnan(rig.result.repeats[2].max_rss_bytes) && isnan(rig.result.repeats[0].cpu_s));
    tear_down(&rig);
}

/* A phase that is shorter than a channel's interval rests on no reading of its own. */
static void test_shorter_than_the_interval(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    rig.record.channels[0].interval_s = 1.2; /* idle 1 s, warm-up 0.5 s, run 1.5 s */
    add_region(&rig.record, "train", 1, 16, 20);
    for (uint32_t s = 15; s < 30; s++) add_region(&rig.record, "step", 1, s, s + 1);
    add(&rig);
    assert_true(isnan(rig.result.repeats[0].energy_j) && isnan(rig.result.repeats[1].energy_j));
    assert_string_equal(rig.result.repeats[0].note, "package-0: shorter than the meter's own period");
    assert_near(rig.result.repeats[2].energy_j, 75 + 15);
    assert_true(isnan(rig.result.regions[0].energy_j));
    assert_near(rig.result.regions[0].duration_s, 1.5); /* all of them, and each too short */
    assert_true(isnan(rig.result.regions[1].energy_j));
    assert_string_equal(rig.result.regions[0].note, "shorter than the 1.2 s between two values of its meter");
    tear_down(&rig);
}

/* A region with few values of a slow meter in each of its calls is coarse, as a phase is. */
static void test_coarse_region(void **state)
{
    (void)state;
    static const struct {
        uint32_t last;
        const char *note;
    } cases[] = {{29, "coarse: package-0 has a value each 0.14 s only"}, {30, ""}};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        set_up(&rig);
        rig.record.channels[0].interval_s = i ? 0.1 : 0.14;
        add_region(&rig.record, "train", 1, 16, cases[i].last);
        add(&rig);
        assert_string_equal(rig.result.regions[0].note, cases[i].note);
        assert_true(rig.result.regions[0].energy_j > 0);
        tear_down(&rig);
    }
}

/* A fault inside a region is its own; the rest of the run has it too, and an earlier region has not. */
static void test_fault_in_a_region(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    rig.record.series.readings[20 * CHANNELS].state = ME_READING_FAILED;
    add_region(&rig.record, "load", 1, 16, 18);
    add_region(&rig.record, "train", 1, 20, 28);
    add(&rig);
    assert_near(rig.result.regions[0].energy_j, 12);
    assert_true(isnan(rig.result.regions[1].energy_j) && isnan(rig.result.regions[1].carbon_g));
    assert_string_equal(rig.result.regions[1].note, "package-0: the reading at the begin or the end failed");
    tear_down(&rig);
}

/* What is compared must be there: the machine's status says so where it is not. */
static void test_compared_region(void **state)
{
    (void)state;
    static const struct {
        const char *region, *status, *reason;
    } cases[] = {
        {"", "ok", ""},
        {"train", "ok", ""},
        {"trian", "failed", "repeat 1: no region trian was marked"},
        {"still", "failed", "repeat 1: energy of still not known: no tick of its counters in it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        set_up(&rig);
        snprintf(rig.record.spans[2].workload, 96, "gemm --precision single");
        snprintf(rig.record.spans[2].region, 48, "%s", cases[i].region);
        memcpy(&rig.record.series.readings[17 * CHANNELS], &rig.record.series.readings[16 * CHANNELS],
               CHANNELS * sizeof(struct me_reading));
        add_region(&rig.record, "train", 1, 16, 20);
        add_region(&rig.record, "still", 1, 16, 17);
        add(&rig);
        assert_string_equal(rig.result.repeats[2].workload, "gemm --precision single");
        assert_string_equal(rig.result.repeats[2].region, cases[i].region);
        assert_string_equal(rig.result.machines[0].status, cases[i].status);
        assert_string_equal(rig.result.machines[0].reason, cases[i].reason);
        tear_down(&rig);
    }
}

/* Metrics of run phases only, the last word of each, with the workload that told them. */
static void test_metrics(void **state)
{
    (void)state;
    struct rig rig;
    set_up(&rig);
    snprintf(rig.record.spans[2].workload, 96, "keras");
    rig.record.spans[1].repeat = 2; /* a warm-up whose number no run has */
    add_metric(&rig.record, "loss", 1, 2.5);
    add_metric(&rig.record, "accuracy", 1, 0.5);
    add_metric(&rig.record, "loss", 1, NAN);
    add_metric(&rig.record, "loss", 2, 7);
    add_metric(&rig.record, "loss", 3, 8);
    assert_int_equal(me_result_add(&rig.result, &rig.machine, &rig.record, 4, NULL), 0);
    assert_int_equal(rig.result.metric_count, 2);
    const struct me_row_metric *rows = rig.result.metrics;
    assert_string_equal(rows[0].metric, "accuracy");
    assert_string_equal(rows[0].workload, "keras");
    assert_int_equal(rows[0].machine_id, 1);
    assert_int_equal(rows[0].repeat, 5);
    assert_near(rows[0].value, 0.5);
    assert_string_equal(rows[1].metric, "loss");
    assert_true(isnan(rows[1].value));
    tear_down(&rig);
}

static void test_empty(void **state)
{
    (void)state;
    struct me_result result = {0}, more = {0};
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_int_equal(result.summary_count, 0);
    assert_int_equal(me_result_append(&result, &more, NULL), 0);
    me_result_release(&result);
    me_result_release(&result);
    me_result_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine_row),
        cmocka_unit_test(test_repeat_rows),
        cmocka_unit_test(test_series_rows),
        cmocka_unit_test(test_gauge_series),
        cmocka_unit_test(test_fault_makes_it_unknown),
        cmocka_unit_test(test_fault_of_an_uncounted_channel),
        cmocka_unit_test(test_stalled_counter_is_not_counted),
        cmocka_unit_test(test_stalled_platform_gives_way),
        cmocka_unit_test(test_false_platform_gives_way),
        cmocka_unit_test(test_all_stalled),
        cmocka_unit_test(test_short_record_is_no_stall),
        cmocka_unit_test(test_region_without_a_tick),
        cmocka_unit_test(test_failed_counter_is_no_stall),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_regions_at_one_edge),
        cmocka_unit_test(test_regions_by_repeat_and_begin),
        cmocka_unit_test(test_first_repeat),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_several_machines),
        cmocka_unit_test(test_rows_of_a_job),
        cmocka_unit_test(test_a_job_told_twice),
        cmocka_unit_test(test_interrupts_are_forgotten),
        cmocka_unit_test(test_renumber),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_reasons_of_appended_repeats),
        cmocka_unit_test(test_append_refuses),
        cmocka_unit_test(test_append_to_a_lost_machine),
        cmocka_unit_test(test_twins_are_compared),
        cmocka_unit_test(test_silent_meter_gives_way),
        cmocka_unit_test(test_platform_without_its_gpu),
        cmocka_unit_test(test_false_platform_beside_a_slow_source),
        cmocka_unit_test(test_platform_of_a_package_seen_twice),
        cmocka_unit_test(test_twins_of_a_short_run),
        cmocka_unit_test(test_unreadable_but_counted_elsewhere),
        cmocka_unit_test(test_coarse),
        cmocka_unit_test(test_activities),
        cmocka_unit_test(test_shorter_than_the_interval),
        cmocka_unit_test(test_coarse_region),
        cmocka_unit_test(test_fault_in_a_region),
        cmocka_unit_test(test_compared_region),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
