/* Statistics, groups and places. */
#include "me/result.h"
#include "me_cmocka.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two values 0 and 2 have mean 1 and standard deviation sqrt 2; n values alternating so that the
 * half width is t x s / sqrt n. Table: two-sided 95 % quantiles of Student's t, as printed in NIST/
 * SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2 (three decimals). */
static void test_t_table(void **state)
{
    (void)state;
    static const struct {
        size_t nu;
        double t;
    } table[] = {
        {1, 12.706}, {2, 4.303},  {3, 3.182},  {4, 2.776},  {5, 2.571},   {6, 2.447},    {7, 2.365},
        {8, 2.306},  {9, 2.262},  {10, 2.228}, {14, 2.145}, {19, 2.093},  {20, 2.086},   {29, 2.045},
        {30, 2.042}, {40, 2.021}, {60, 2.000}, {99, 1.984}, {100, 1.984}, {1000, 1.962}, {100000, 1.960},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n = table[i].nu + 1;
        double *values = calloc(n, sizeof *values), mean = 0, squares = 0;
        assert_non_null(values);
        for (size_t k = 0; k < n; k++) values[k] = (double)(k * 7 % 11);
        for (size_t k = 0; k < n; k++) mean += values[k] / (double)n;
        for (size_t k = 0; k < n; k++) squares += (values[k] - mean) * (values[k] - mean);
        double t = me_ci95(values, n) / sqrt(squares / (double)(n - 1) / (double)n);
        free(values);
        if (fabs(t - table[i].t) > 0.00051) fail_msg("nu %zu: %.6f, not %.3f", table[i].nu, t, table[i].t);
    }
}

/* Where the exact sum and the series meet they agree. */
static void test_t_is_smooth(void **state)
{
    (void)state;
    double values[203], before = 0;
    for (size_t n = 195; n <= 203; n++) {
        for (size_t k = 0; k < n; k++) values[k] = k % 2 ? 1 : -1;
        double squares = 0, mean = n % 2 ? -1.0 / (double)n : 0;
        for (size_t k = 0; k < n; k++) squares += (values[k] - mean) * (values[k] - mean);
        double t = me_ci95(values, n) / sqrt(squares / (double)(n - 1) / (double)n);
        if (before > 0) assert_true(t < before && before - t < 1e-4);
        before = t;
    }
}

static void test_ci_edges(void **state)
{
    (void)state;
    const double one[] = {5}, equal[] = {5, 5, 5}, two[] = {0, 2}, unknown[] = {1, NAN};
    assert_true(isnan(me_ci95(one, 1)));
    assert_true(isnan(me_ci95(NULL, 0)));
    assert_true(me_ci95(equal, 3) == 0);
    assert_true(fabs(me_ci95(two, 2) - 12.7062047) < 1e-6);
    assert_true(isnan(me_ci95(unknown, 2)));
}

/* A machine of a made result: what counts, its repeats, and where it should come out. */
struct entry {
    const char *scopes[3];
    const char *cls, *provenance, *status, *reason, *basis;
    double energy_j[4]; /* 0 ends */
    double grid;
    int n, group, place, carbon_place;
    const char *says; /* part of the summary's reason; NULL: it is empty */
};

static void add_channels(struct me_result *result, int32_t id, const struct entry *entry)
{
    for (size_t s = 0; s < 3 && entry->scopes[s]; s++) {
        struct me_row_channel *row = &result->channels[result->channel_count++];
        *row = (struct me_row_channel){.machine_id = id, .counted = 1};
        snprintf(row->scope, sizeof row->scope, "%s", entry->scopes[s]);
        /* the first channel is the weak one; the others are live counters */
        snprintf(row->cls, sizeof row->cls, "%s", s ? "counter" : entry->cls);
        snprintf(row->provenance, sizeof row->provenance, "%s", s ? "live" : entry->provenance);
    }
}

static void build(struct me_result *result, const struct entry *entries, size_t n)
{
    *result = (struct me_result){0};
    result->machines = calloc(n, sizeof *result->machines);
    result->channels = calloc(n * 3, sizeof *result->channels);
    result->repeats = calloc(n * 4, sizeof *result->repeats);
    assert_true(result->machines && result->channels && result->repeats);
    for (size_t i = 0; i < n; i++) {
        struct me_row_machine *machine = &result->machines[result->machine_count++];
        machine->machine_id = (int32_t)i;
        snprintf(machine->status, sizeof machine->status, "%s", entries[i].status ? entries[i].status : "ok");
        snprintf(machine->reason, sizeof machine->reason, "%s", entries[i].reason ? entries[i].reason : "");
        snprintf(machine->basis, sizeof machine->basis, "%s", entries[i].basis ? entries[i].basis : "");
        add_channels(result, machine->machine_id, &entries[i]);
        for (int r = 0; r < 4 && entries[i].energy_j[r] != 0; r++) {
            struct me_row_repeat *row = &result->repeats[result->repeat_count++];
            *row =
                (struct me_row_repeat){.machine_id = machine->machine_id, .repeat = r + 1, .duration_s = 2};
            snprintf(row->phase, sizeof row->phase, "run");
            row->energy_j = entries[i].energy_j[r];
            row->carbon_g = row->energy_j * entries[i].grid;
        }
    }
}

static void check(const struct entry *entries, size_t n)
{
    struct me_result result;
    build(&result, entries, n);
    for (int round = 0; round < 2; round++) { /* ranked again, the same */
        assert_int_equal(me_result_rank(&result, NULL), 0);
        assert_int_equal(result.summary_count, n);
        for (size_t i = 0; i < n; i++) {
            const struct me_row_summary *row = &result.summaries[i];
            bool right = row->machine_id == (int32_t)i && row->n == entries[i].n &&
                         row->group == entries[i].group && row->place == entries[i].place &&
                         row->carbon_place == entries[i].carbon_place &&
                         (entries[i].says ? strstr(row->reason, entries[i].says) != NULL : !row->reason[0]);
            if (!right)
                fail_msg("machine %zu: n %d, group %d, place %d, carbon %d, \"%s\"", i, row->n, row->group,
                         row->place, row->carbon_place, row->reason);
        }
    }
    me_result_release(&result);
}

static void test_places(void **state)
{
    (void)state;
    static const struct entry entries[] = {
        {{"package"}, "counter", "live", NULL, NULL, "", {30, 30}, 1, 2, 1, 4, 2, NULL},
        {{"package"}, "counter", "live", NULL, NULL, "", {10}, 9, 1, 1, 1, 3, NULL},
        {{"package"}, "counter", "live", NULL, NULL, "", {20, 20}, 1, 2, 1, 2, 1, NULL},
        {{"package"},
         "counter",
         "live",
         NULL,
         NULL,
         "",
         {20},
         NAN,
         1,
         1,
         2,
         0,
         NULL}, /* a tie; no carbon known */
    };
    check(entries, 4);
}

static void test_groups(void **state)
{
    (void)state;
    static const struct entry entries[] = {
        {{"package"}, "counter", "replay", NULL, NULL, "", {1}, 1, 1, 9, 1, 1, NULL},
        {{"package"}, "counter", "fake", NULL, NULL, "", {1}, 1, 1, 7, 1, 1, NULL},
        {{"package"}, "modelled", "live", NULL, NULL, "", {1}, 1, 1, 6, 1, 1, NULL},
        {{"package"}, "counter", "live", NULL, NULL, "", {9}, 1, 1, 4, 2, 2, NULL},
        {{"package"}, "integrated", "live", NULL, NULL, "", {5}, 1, 1, 4, 1, 1, NULL}, /* beside counters */
        {{"dram", "package"}, "counter", "live", NULL, NULL, "", {5}, 1, 1, 3, 1, 1, NULL},
        {{"node"}, "counter", "live", NULL, NULL, "", {5}, 1, 1, 1, 1, 1, NULL},
        {{"gpu", "package", "package"}, "counter", "live", NULL, NULL, "", {5}, 1, 1, 2, 1, 1, NULL},
        {{"package", "dram"}, "modelled", "live", NULL, NULL, "", {5}, 1, 1, 5, 1, 1, NULL},
        {{"package"}, "modelled", "fake", NULL, NULL, "", {5}, 1, 1, 8, 1, 1, NULL},
    };
    check(entries, 10);
}

static void test_who_is_not_ranked(void **state)
{
    (void)state;
    static const struct entry entries[] = {
        {{"package"},
         "counter",
         "live",
         "failed",
         "repeat 2: energy not known",
         "",
         {10, NAN, 12},
         1,
         2,
         1,
         1,
         1,
         "1 of 3 repeats do not count; failed: repeat 2: energy not known"},
        {{"package"},
         "counter",
         "live",
         "failed",
         "repeat 1: its exit status was 3",
         "",
         {NAN},
         1,
         0,
         0,
         0,
         0,
         "failed: repeat 1"},
        {{NULL}, "", "", "skipped", "no route to host", "", {0}, 1, 0, 0, 0, 0, "skipped: no route to host"},
        {{NULL}, "", "", "lost", "no record came back from it", "", {0}, 1, 0, 0, 0, 0, "lost: no record"},
        {{NULL}, "", "", "ok", "", "", {7}, 1, 0, 0, 0, 0, "repeat 1"}, /* energy of no channel is none */
        {{"package"},
         "counter",
         "live",
         "interrupted",
         "by the user",
         "",
         {20},
         1,
         1,
         1,
         2,
         2,
         "interrupted: by the user"},
    };
    check(entries, 6);
}

/* One package of two is no total of packages, whatever it used; a dead psys that nothing counts on, a
 * mirror, or a channel that another one covers, take nothing away. */
static void test_a_total_with_a_gap(void **state)
{
    (void)state;
    static const struct {
        const char *scope, *why_not;
        bool ranked;
    } cases[] = {
        {"package", "energy_uj: Input/output error", false},
        {"package", "did not move", false},
        {"package", "stands at 0: no meter behind it", false},
        {"platform", "stands at 0: no meter behind it", true},
        {"dram", "did not move", true},
        {"package", "mirrors package-0-die-0: one counter, shown twice", true},
        {"package", "repeats package-0, by way of intel-rapl-mmio", true},
        {"package", "not added: the same as package-0 of powercap", true},
        {"core", "energy_uj: Input/output error", true},
        {"package", "taken for the same meter as psys", true},
        {"package", "package-0 again, by way of another CPU", true},
        {"package", "its energy counter is read", true},
        {"package", "part of the processor, whose package covers it", true},
        {"package", "package-0 gave no reading", false},
        {"package", "energy-pkg on CPU 8: Input/output error", false},
        {"package", "differs by 17 % from powercap/package-0", false},
        {"gpu", "neither energy nor power is shown: Input/output error", false}, /* no GPU counts either */
        {"gpu", "not visible to the workload (CUDA_VISIBLE_DEVICES=0)", true},
        {"gpu", "second die of its module: gpu-0 meters both", true},
    };
    static const struct entry entries[] = {
        {{"package"}, "counter", "live", NULL, NULL, "", {30}, 1, 1, 1, 1, 1, NULL},
        {{"package"}, "counter", "live", NULL, NULL, "", {10}, 1, 1, 1, 1, 1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_result result;
        build(&result, entries, 2);
        struct me_row_channel *row = &result.channels[result.channel_count++];
        *row = (struct me_row_channel){.machine_id = 1, .channel = "package-1"};
        snprintf(row->scope, sizeof row->scope, "%s", cases[i].scope);
        snprintf(row->why_not, sizeof row->why_not, "%s", cases[i].why_not);
        assert_int_equal(me_result_rank(&result, NULL), 0);
        const struct me_row_summary *first = &result.summaries[0], *second = &result.summaries[1];
        if (second->place != cases[i].ranked || first->place != 1 + cases[i].ranked)
            fail_msg("%s %s: places %d, %d", cases[i].scope, cases[i].why_not, first->place, second->place);
        assert_int_equal(second->carbon_place, cases[i].ranked);
        assert_int_equal(second->group, cases[i].ranked);
        assert_int_equal(strstr(second->reason, "not ranked: its total lacks package-1 (") != NULL,
                         !cases[i].ranked);
        assert_true(second->energy_mean_j == 10); /* what was measured stays */
        me_result_release(&result);
    }
}

static void test_bases(void **state)
{
    (void)state;
    static const struct entry mixed[] = {
        {{"package"},
         "counter",
         "live",
         NULL,
         NULL,
         "life-cycle",
         {10},
         1,
         1,
         1,
         1,
         1,
         "this one is life-cycle"},
        {{"package"},
         "counter",
         "live",
         NULL,
         NULL,
         "direct",
         {20},
         1,
         1,
         1,
         2,
         2,
         "two bases, life-cycle and direct; this one is direct"},
        {{"node"},
         "counter",
         "fake",
         NULL,
         NULL,
         "direct",
         {20},
         1,
         1,
         2,
         1,
         1,
         NULL}, /* a group of its own */
    };
    static const struct entry alike[] = {
        {{"package"}, "counter", "live", NULL, NULL, "life-cycle", {10}, 1, 1, 1, 1, 1, NULL},
        {{"package"}, "counter", "live", NULL, NULL, "as given", {20}, 1, 1, 1, 2, 2, NULL},
        {{"package"},
         "counter",
         "live",
         "failed",
         "x",
         "direct",
         {0},
         1,
         0,
         0,
         0,
         0,
         "failed: x"}, /* not in the order */
    };
    check(mixed, 3);
    check(alike, 3);
}

static void test_which_repeats_enter(void **state)
{
    (void)state;
    static const struct entry entry = {{"package"}, "counter", "live", NULL, NULL, "",  {10, 20, 30, 99},
                                       2,           0,         0,      0,    0,    NULL};
    static const struct {
        const char *what, *phase, *note;
        int exit_status;
        bool enters;
    } cases[] = {
        {"plain", "run", "", 0, true},
        {"with a note on something else", "run", "one bad mark: \"bgin\"", 0, true},
        {"with the workload's own word", "run", "region was not ended: interrupted", 0, true},
        {"warm-up", "warmup", "", 0, false},
        {"idle", "idle", "", 0, false},
        {"exit status", "run", "", 1, false},
        {"signal", "run", "", 265, false},
        {"ended by us", "run", "", -1, false},
        {"interrupted", "run", "interrupted", 0, false},
        {"timeout", "run", "timeout after 10 s", 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_result result;
        build(&result, &entry, 1);
        struct me_row_repeat *row = &result.repeats[3];
        snprintf(row->phase, sizeof row->phase, "%s", cases[i].phase);
        snprintf(row->note, sizeof row->note, "%s", cases[i].note);
        row->exit_status = cases[i].exit_status;
        assert_int_equal(me_result_rank(&result, NULL), 0);
        if (result.summaries[0].n != (cases[i].enters ? 4 : 3))
            fail_msg("%s: n %d", cases[i].what, result.summaries[0].n);
        me_result_release(&result);
    }
}

static void test_statistics(void **state)
{
    (void)state;
    static const struct entry entry = {
        {"dram", "package"}, "integrated", "live", NULL, NULL, "", {10, 20, 30}, 2, 0, 0, 0, 0, NULL};
    struct me_result result;
    build(&result, &entry, 1);
    for (size_t i = 0; i < 3; i++) {
        result.repeats[i].work = 100;
        snprintf(result.repeats[i].work_unit, 8, "images");
    }
    assert_int_equal(me_result_rank(&result, NULL), 0);
    const struct me_row_summary *row = &result.summaries[0];
    assert_true(row->energy_mean_j == 20);
    assert_true(fabs(row->energy_ci95_j - 4.302652730 * 10 / sqrt(3)) < 1e-6);
    assert_true(row->carbon_mean_g == 40);
    assert_true(fabs(row->carbon_ci95_g - 2 * row->energy_ci95_j) < 1e-9);
    assert_true(row->duration_mean_s == 2);
    assert_true(row->power_mean_w == 10);
    assert_true(fabs(row->j_per_work - 0.2) < 1e-15);
    assert_string_equal(row->work_unit, "images");
    assert_string_equal(row->scopes, "package+dram");
    assert_string_equal(row->cls, "integrated");
    assert_string_equal(row->provenance, "live");
    snprintf(result.repeats[1].work_unit, 8, "bytes"); /* unlike work has no sum */
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_true(isnan(result.summaries[0].j_per_work));
    assert_string_equal(result.summaries[0].work_unit, "");
    result.repeat_count = 1;
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_true(isnan(result.summaries[0].energy_ci95_j) && isnan(result.summaries[0].carbon_ci95_g));
    result.repeats[0].work = NAN;
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_true(isnan(result.summaries[0].j_per_work));
    me_result_release(&result);
}

/* --- workloads, regions, metrics ---------------------------------------------------------------- */

/* A run: on a machine, of a workload, with what its region `train` used, and what it came to. */
struct run {
    int machine;
    const char *workload, *region; /* region: what is compared */
    double run_j, train_j;         /* train_j: 0: not marked, NAN: marked, not known */
    double accuracy, loss;         /* 0: not told */
    int exit_status;
};
/* What a summary must say; energy_j 0: n is 0. */
struct expected {
    int machine;
    const char *workload;
    int n;
    double energy_j;
    int group, place;
    const char *says; /* NULL: nothing */
};
#define NOT_TOLD 0

static void add_metric(struct me_result *result, const struct me_row_repeat *run, const char *name,
                       double value)
{
    if (value == NOT_TOLD) return;
    struct me_row_metric *row = &result->metrics[result->metric_count++];
    *row = (struct me_row_metric){.machine_id = run->machine_id, .repeat = run->repeat, .value = value};
    memcpy(row->workload, run->workload, sizeof row->workload);
    snprintf(row->metric, sizeof row->metric, "%s", name);
}

static void add_region(struct me_result *result, const struct me_row_repeat *run, const char *name,
                       double energy_j)
{
    struct me_row_region *row = &result->regions[result->region_count++];
    *row = (struct me_row_region){.machine_id = run->machine_id,
                                  .repeat = run->repeat,
                                  .calls = 1,
                                  .duration_s = 1,
                                  .energy_j = energy_j,
                                  .carbon_g = energy_j * 3};
    snprintf(row->region, sizeof row->region, "%s", name);
    if (isnan(energy_j)) snprintf(row->note, sizeof row->note, "no tick of its counters in it");
}

/* Machines 0 .. machines - 1 with a counter of the package; the repeats of a machine are numbered as they come. */
static void build_runs(struct me_result *result, int machines, const struct run *runs, size_t n)
{
    *result = (struct me_result){0};
    result->machines = calloc((size_t)machines, sizeof *result->machines);
    result->channels = calloc((size_t)machines, sizeof *result->channels);
    result->repeats = calloc(n + 1, sizeof *result->repeats);
    result->regions = calloc(2 * n + 1, sizeof *result->regions);
    result->metrics = calloc(2 * n + 1, sizeof *result->metrics);
    assert_true(result->machines && result->channels && result->repeats && result->regions &&
                result->metrics);
    for (int id = 0; id < machines; id++) {
        struct me_row_machine *machine = &result->machines[result->machine_count++];
        struct me_row_channel *channel = &result->channels[result->channel_count++];
        *machine = (struct me_row_machine){.machine_id = id, .status = "ok"};
        *channel = (struct me_row_channel){
            .machine_id = id, .scope = "package", .cls = "counter", .provenance = "live", .counted = 1};
    }
    for (size_t i = 0; i < n; i++) {
        struct me_row_repeat *row = &result->repeats[result->repeat_count++];
        int repeat = 1;
        for (size_t before = 0; before < i; before++) repeat += runs[before].machine == runs[i].machine;
        *row = (struct me_row_repeat){.machine_id = runs[i].machine,
                                      .repeat = repeat,
                                      .phase = "run",
                                      .duration_s = 4,
                                      .energy_j = runs[i].run_j,
                                      .carbon_g = runs[i].run_j * 2,
                                      .work = 100,
                                      .work_unit = "samples",
                                      .exit_status = runs[i].exit_status};
        snprintf(row->workload, sizeof row->workload, "%s", runs[i].workload);
        snprintf(row->region, sizeof row->region, "%s", runs[i].region);
        add_region(result, row, "import", 1000);
        if (runs[i].train_j != 0) add_region(result, row, "train", runs[i].train_j);
        add_metric(result, row, "accuracy", runs[i].accuracy);
        add_metric(result, row, "loss", runs[i].loss);
    }
}

static const struct me_row_summary *find_summary(const struct me_result *result, int machine,
                                                 const char *workload)
{
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].machine_id == machine && !strcmp(result->summaries[i].workload, workload))
            return &result->summaries[i];
    fail_msg("no summary of machine %d, %s", machine, workload);
    return NULL;
}

static void check_summary(const char *what, const struct me_result *result, const struct expected *expected)
{
    const struct me_row_summary *row = find_summary(result, expected->machine, expected->workload);
    bool right =
        row->n == expected->n && row->group == expected->group && row->place == expected->place &&
        (expected->n ? fabs(row->energy_mean_j - expected->energy_j) < 1e-9 : isnan(row->energy_mean_j)) &&
        (expected->says ? strstr(row->reason, expected->says) != NULL : !row->reason[0]);
    if (!right)
        fail_msg("%s: machine %d, %s: n %d, %g J, group %d, place %d, \"%s\"", what, row->machine_id,
                 row->workload, row->n, row->energy_mean_j, row->group, row->place, row->reason);
}

/* One workload on two or three machines: which repeats enter, and who is placed. */
static void test_outcomes(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct run runs[6]; /* workload NULL ends */
        struct expected expected[3];
    } cases[] = {
        {"the region is compared, not the run",
         {{0, "keras", "train", 100, 20, 0, 0, 0}, {1, "keras", "train", 50, 30, 0, 0, 0}},
         {{0, "keras", 1, 20, 1, 1, NULL}, {1, "keras", 1, 30, 1, 2, NULL}}},
        {"the whole run is",
         {{0, "keras", "", 100, 20, 0, 0, 0}, {1, "keras", "", 50, 30, 0, 0, 0}},
         {{0, "keras", 1, 100, 1, 2, NULL}, {1, "keras", 1, 50, 1, 1, NULL}}},
        {"of a run that is not known the region may be",
         {{0, "keras", "train", NAN, 20, 0, 0, 0}, {1, "keras", "train", 50, 30, 0, 0, 0}},
         {{0, "keras", 1, 20, 1, 1, NULL}, {1, "keras", 1, 30, 1, 2, NULL}}},
        {"region missing in one repeat",
         {{0, "keras", "train", 100, 20, 0, 0, 0},
          {0, "keras", "train", 100, 0, 0, 0, 0},
          {1, "keras", "train", 50, 30, 0, 0, 0}},
         {{0, "keras", 1, 20, 1, 1, "1 of 2 repeats do not count; repeat 2: no region train was marked"},
          {1, "keras", 1, 30, 1, 2, NULL}}},
        {"region missing in all",
         {{0, "keras", "train", 100, 0, 0, 0, 0}, {1, "keras", "train", 50, 30, 0, 0, 0}},
         {{0, "keras", 0, 0, 0, 0, "repeat 1: no region train was marked"}, {1, "keras", 1, 30, 1, 1, NULL}}},
        {"region not known",
         {{0, "keras", "train", 100, NAN, 0, 0, 0}, {1, "keras", "train", 50, 30, 0, 0, 0}},
         {{0, "keras", 0, 0, 0, 0, "repeat 1: energy of train not known: no tick of its counters in it"},
          {1, "keras", 1, 30, 1, 1, NULL}}},
        {"accuracy clearly below the best",
         {{0, "keras", "train", 9, 5, 0.712, 0, 0}, {1, "keras", "train", 50, 30, 0.871, 0, 0}},
         {{0, "keras", 1, 5, 1, 0,
           "not ranked: its test accuracy 0.712 is clearly below the best of its group, 0.871"},
          {1, "keras", 1, 30, 1, 1, NULL}}},
        {"accuracy a little below the best",
         {{0, "keras", "train", 9, 5, 0.851, 0, 0}, {1, "keras", "train", 50, 30, 0.871, 0, 0}},
         {{0, "keras", 1, 5, 1, 1, NULL}, {1, "keras", 1, 30, 1, 2, NULL}}},
        {"a little more than a little",
         {{0, "keras", "train", 9, 5, 0.8509, 0, 0}, {1, "keras", "train", 50, 30, 0.871, 0, 0}},
         {{0, "keras", 1, 5, 1, 0, "clearly below"}, {1, "keras", 1, 30, 1, 1, NULL}}},
        {"the mean accuracy is judged",
         {{0, "keras", "train", 9, 5, 0.80, 0, 0},
          {0, "keras", "train", 9, 5, 0.93, 0, 0},
          {1, "keras", "train", 50, 30, 0.871, 0, 0}},
         {{0, "keras", 2, 5, 1, 1, NULL}, {1, "keras", 1, 30, 1, 2, NULL}}},
        {"a repeat that does not enter has no say",
         {{0, "keras", "train", 9, 5, 0.99, 0, 3},
          {0, "keras", "train", 9, 5, 0.87, 0, 0},
          {1, "keras", "train", 50, 30, 0.871, 0, 0}},
         {{0, "keras", 1, 5, 1, 1, "1 of 2 repeats do not count; repeat 1: the workload's exit status was 3"},
          {1, "keras", 1, 30, 1, 2, NULL}}},
        {"accuracy not told where another one did",
         {{0, "keras", "train", 9, 5, NOT_TOLD, 0, 0}, {1, "keras", "train", 50, 30, 0.871, 0, 0}},
         {{0, "keras", 1, 5, 1, 0, "not ranked: it told no test accuracy, and others of its group did"},
          {1, "keras", 1, 30, 1, 1, NULL}}},
        {"loss is nan",
         {{0, "keras", "train", 9, 5, 0.871, NAN, 0}, {1, "keras", "train", 50, 30, 0.871, 0.4, 0}},
         {{0, "keras", 1, 5, 1, 0, "not ranked: its loss is no number"}, {1, "keras", 1, 30, 1, 1, NULL}}},
        {"loss is infinite in one repeat, alone in its group",
         {{0, "keras", "train", 9, 5, 0, INFINITY, 0}, {0, "keras", "train", 9, 5, 0, 0.5, 0}},
         {{0, "keras", 2, 5, 1, 0, "not ranked: its loss is no number"},
          {0, "keras", 2, 5, 1, 0, "diverged"}}},
        {"loss told by one only is no matter",
         {{0, "keras", "train", 9, 5, 0, 0.4, 0}, {1, "keras", "train", 50, 30, 0, NOT_TOLD, 0}},
         {{0, "keras", 1, 5, 1, 1, NULL}, {1, "keras", 1, 30, 1, 2, NULL}}},
        {"a diverged one's accuracy is no measure for others",
         {{0, "keras", "train", 9, 5, 0.99, NAN, 0}, {1, "keras", "train", 50, 30, 0.871, 0.4, 0}},
         {{0, "keras", 1, 5, 1, 0, "diverged"}, {1, "keras", 1, 30, 1, 1, NULL}}},
        {"accuracy is nan",
         {{0, "keras", "train", 9, 5, NAN, 0, 0}, {1, "keras", "train", 50, 30, 0.871, 0, 0}},
         {{0, "keras", 1, 5, 1, 0, "its test accuracy is no number"}, {1, "keras", 1, 30, 1, 1, NULL}}},
        {"percent, a little apart",
         {{0, "keras", "train", 9, 5, 86.1, 0, 0}, {1, "keras", "train", 50, 30, 87.1, 0, 0}},
         {{0, "keras", 1, 5, 1, 1, NULL}, {1, "keras", 1, 30, 1, 2, NULL}}},
        {"percent beside a share of 1",
         {{0, "keras", "train", 9, 5, 0.871, 0, 0}, {1, "keras", "train", 50, 30, 87.1, 0, 0}},
         {{0, "keras", 1, 5, 1, 1, NULL}, {1, "keras", 1, 30, 1, 2, NULL}}},
        {"percent, clearly below",
         {{0, "keras", "train", 9, 5, 71.2, 0, 0}, {1, "keras", "train", 50, 30, 87.1, 0, 0}},
         {{0, "keras", 1, 5, 1, 0, "its test accuracy 0.712 is clearly below the best of its group, 0.871"},
          {1, "keras", 1, 30, 1, 1, NULL}}},
        {"neither a share nor percent",
         {{0, "keras", "train", 9, 5, 4711, 0, 0}, {1, "keras", "train", 50, 30, 0.871, 0, 0}},
         {{0, "keras", 1, 5, 1, 0,
           "not ranked: its test accuracy 4711 is neither a share of 1 nor a percentage"},
          {1, "keras", 1, 30, 1, 1, NULL}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_result result;
        size_t n = 0;
        while (n < 6 && cases[i].runs[n].workload) n++;
        build_runs(&result, cases[i].runs[n - 1].machine + 1, cases[i].runs, n);
        for (int round = 0; round < 2; round++) { /* ranked again, the same */
            assert_int_equal(me_result_rank(&result, NULL), 0);
            for (size_t k = 0; k < 2; k++) check_summary(cases[i].what, &result, &cases[i].expected[k]);
        }
        me_result_release(&result);
    }
}

/* Two workloads in turns on three machines; one machine ran nothing, one fails in one of them, and one has its
 * energy from a model. */
static void test_workloads(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {0, "zeta", "train", 90, 20, 0.9, 0, 0}, {0, "alpha", "", 60, 10, 0.7, 0, 0},
        {0, "zeta", "train", 90, 22, 0.9, 0, 0}, {0, "alpha", "", 62, 10, 0.7, 0, 0},
        {1, "zeta", "train", 80, 30, 0.9, 0, 0}, {1, "alpha", "", 50, 10, 0.7, 0, 3},
        {1, "zeta", "train", 80, 32, 0.9, 0, 0}, {1, "alpha", "", 50, 10, 0.7, 0, 3},
        {2, "zeta", "train", 70, 1, 0.1, 0, 0},  {2, "alpha", "", 40, 1, 0.1, 0, 0},
    };
    static const struct expected expected[] = {
        {0, "zeta", 2, 21, 1, 1, NULL}, /* in the order of their first repeats */
        {1, "zeta", 2, 31, 1, 2, NULL}, /* what failed was alpha */
        {2, "zeta", 1, 1, 2, 1, NULL},  /* modelled: a group of its own, where 0.1 is the best there is */
        {3, "zeta", 0, 0, 0, 0, "skipped: no route"},
        {0, "alpha", 2, 61, 3, 1, NULL},
        {1, "alpha", 0, 0, 0, 0, "failed: repeat 2: the workload exited with status 3"},
        {2, "alpha", 1, 40, 4, 1, NULL},
        {3, "alpha", 0, 0, 0, 0, "skipped: no route"},
    };
    struct me_result result;
    build_runs(&result, 4, runs, sizeof runs / sizeof *runs);
    snprintf(result.machines[1].status, 16, "failed");
    snprintf(result.machines[1].reason, 64, "repeat 2: the workload exited with status 3");
    snprintf(result.machines[3].status, 16, "skipped");
    snprintf(result.machines[3].reason, 64, "no route");
    snprintf(result.channels[2].cls, 16, "modelled");
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_int_equal(result.summary_count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(result.summaries[i].machine_id, expected[i].machine);
        assert_string_equal(result.summaries[i].workload, expected[i].workload);
        assert_string_equal(result.summaries[i].region, i < 4 ? "train" : "");
        check_summary("two workloads", &result, &expected[i]);
    }
    me_result_release(&result);
}

/* A workload that failed beside the one that the machine's reason is about has a reason of its own. */
static void test_two_workloads_fail(void **state)
{
    (void)state;
    static const struct run runs[] = {{0, "a", "", 9, 1, 0, 0, 3}, {0, "b", "train", 9, 0, 0, 0, 0}};
    struct me_result result;
    build_runs(&result, 1, runs, 2);
    snprintf(result.machines[0].status, 16, "failed");
    snprintf(result.machines[0].reason, 64, "repeat 1: the workload exited with status 3");
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_string_equal(result.summaries[0].reason, "failed: repeat 1: the workload exited with status 3");
    assert_string_equal(result.summaries[1].reason, "repeat 2: no region train was marked");
    snprintf(result.machines[0].status, 16, "interrupted"); /* of the machine: it concerns both */
    snprintf(result.machines[0].reason, 64, "by the user");
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_string_equal(result.summaries[1].reason, "interrupted: by the user");
    me_result_release(&result);
}

/* Work, carbon and time are those of the region; the unit's rate follows. */
static void test_region_statistics(void **state)
{
    (void)state;
    static const struct run runs[] = {{0, "keras", "train", 100, 20, 0.8, 0.5, 0},
                                      {0, "keras", "train", 100, 30, 0.9, 0.3, 0},
                                      {0, "keras", "train", 100, 0, 0.1, 9.0, 0}};
    struct me_result result;
    build_runs(&result, 1, runs, 3);
    assert_int_equal(me_result_rank(&result, NULL), 0);
    const struct me_row_summary *row = &result.summaries[0];
    assert_int_equal(row->n, 2);
    assert_true(row->energy_mean_j == 25 && row->carbon_mean_g == 75 && row->duration_mean_s == 1);
    assert_true(row->power_mean_w == 25);
    assert_true(fabs(row->j_per_work - 50. / 200) < 1e-15);
    assert_true(fabs(row->g_per_work - 150. / 200) < 1e-15);
    assert_true(row->work_per_s == 100);
    assert_true(fabs(row->accuracy - 0.85) < 1e-15 && fabs(row->loss - 0.4) < 1e-15);
    me_result_release(&result);
}

/* No repeat anywhere: a row a machine, of no workload. Appended runs meant for another region: the same region is
 * compared of all. */
static void test_edges_of_workloads(void **state)
{
    (void)state;
    static const struct run runs[] = {{0, "keras", "train", 100, 20, 0, 0, 0},
                                      {0, "keras", "", 100, 30, 0, 0, 0}};
    struct me_result result;
    build_runs(&result, 2, NULL, 0);
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_int_equal(result.summary_count, 2);
    assert_string_equal(result.summaries[1].workload, "");
    assert_string_equal(result.summaries[1].reason, "no repeat was measured");
    assert_true(isnan(result.summaries[0].accuracy) && isnan(result.summaries[0].g_per_work));
    me_result_release(&result);
    build_runs(&result, 1, runs, 2);
    assert_int_equal(me_result_rank(&result, NULL), 0);
    assert_int_equal(result.summary_count, 1);
    assert_true(result.summaries[0].energy_mean_j == 25);
    me_result_release(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_t_table),
        cmocka_unit_test(test_t_is_smooth),
        cmocka_unit_test(test_ci_edges),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_who_is_not_ranked),
        cmocka_unit_test(test_a_total_with_a_gap),
        cmocka_unit_test(test_bases),
        cmocka_unit_test(test_which_repeats_enter),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_workloads),
        cmocka_unit_test(test_two_workloads_fail),
        cmocka_unit_test(test_region_statistics),
        cmocka_unit_test(test_edges_of_workloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
