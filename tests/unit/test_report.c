/* The writers against goldens in tests/golden; ME_UPDATE=1 rewrites them, for a person to read. */
#include "me_cmocka.h"
#include "me/report.h"
#include "me/utf8.h"
#include "../../src/report/figures.h"
#include "rich_result.h"

static char *render(const char *format, const struct me_result *result)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    const struct me_report_format *row = me_report_find(format);
    assert_non_null(row);
    struct me_error err = {0};
    assert_int_equal(row->write(result, out, &err), 0);
    fclose(out);
    return text;
}

static char *read_golden(const char *path)
{
    char *text = NULL;
    size_t len = 0, n;
    FILE *in = fopen(path, "rb"), *out = open_memstream(&text, &len);
    if (!in) fail_msg("%s is missing; ME_UPDATE=1 writes it", path);
    char block[4096];
    while ((n = fread(block, 1, sizeof block, in))) fwrite(block, 1, n, out);
    fclose(in);
    fclose(out);
    return text;
}

static void compare(const char *golden, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s", ME_TEST_DIR, golden);
    if (getenv("ME_UPDATE")) {
        printf("writing %s\n", path);
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        fputs(text, out);
        fclose(out);
        return;
    }
    char *expected = read_golden(path);
    assert_string_equal(text, expected);
    free(expected);
}

static void check(const char *format, const char *golden, void (*make)(struct me_result *))
{
    struct me_result result;
    make(&result);
    char *text = render(format, &result);
    compare(golden, text);
    free(text);
    me_result_release(&result);
}

static void make_nothing(struct me_result *result)
{
    *result = (struct me_result){0};
    rich_head(result, "exp1", "interrupted");
    result->machines = rich_rows(2, sizeof *result->machines);
    result->machine_count = 2;
    rich_machine(&result->machines[0], 0, "head", "interrupted", "ended by a signal", "live", 41.5);
    rich_machine(&result->machines[1], 1, "far", "lost", "", "", NAN);
    result->machines[1].grid_source[0] = '\0';
}

static void make_model(struct me_result *result)
{
    rich_one(result);
    snprintf(result->summaries[0].cls, 16, "modelled");
    snprintf(result->machines[0].provenance, 16, "replay");
    snprintf(result->summaries[0].provenance, 16, "replay");
    result->summaries[0].n = 1;
    result->summaries[0].energy_ci95_j = result->summaries[0].carbon_ci95_g = NAN;
    result->repeat_count = 1;
}

/* Large machines for an hour: kJ, hours, and places shared by equals. */
static void make_large(struct me_result *result)
{
    rich_many(result);
    for (size_t i = 0; i < result->summary_count; i++) {
        struct me_row_summary *row = &result->summaries[i];
        row->energy_mean_j *= 1e4;
        row->energy_ci95_j *= 1e4;
        row->carbon_mean_g *= 1e4;
        row->carbon_ci95_g *= 1e4;
        row->duration_mean_s *= 2e4;
        row->j_per_work = NAN;
        row->work_unit[0] = '\0';
    }
    result->region_count = 0;
    result->summaries[2].energy_mean_j = result->summaries[1].energy_mean_j;
    result->summaries[2].place = 1;
}

/* One workload on one machine, of which a region is compared. */
static void make_region(struct me_result *result)
{
    size_t repeats = 0, regions = 0, metrics = 0;
    rich_frameworks(result);
    result->machine_count = result->channel_count = 1;
    for (size_t i = 0; i < result->repeat_count; i++) {
        struct me_row_repeat row = result->repeats[i];
        if (row.machine_id || strcmp(row.workload, "keras")) continue;
        for (size_t k = 0; k < result->region_count; k++)
            if (!result->regions[k].machine_id && result->regions[k].repeat == row.repeat)
                result->regions[regions++] = result->regions[k];
        result->repeats[repeats++] = row;
    }
    for (size_t i = 0; i < result->metric_count; i++)
        if (!result->metrics[i].machine_id && !strcmp(result->metrics[i].workload, "keras"))
            result->metrics[metrics++] = result->metrics[i];
    result->repeat_count = repeats;
    result->region_count = regions;
    result->metric_count = metrics;
    for (size_t i = 0; i < repeats; i++) result->repeats[i].repeat = (int32_t)i + 1;
    for (size_t i = 0; i < regions; i++) result->regions[i].repeat = (int32_t)i / 4 + 1;
    for (size_t i = 0; i < metrics; i++) result->metrics[i].repeat = (int32_t)i / 2 + 1;
    snprintf(result->workload, sizeof result->workload, "keras");
    assert_int_equal(me_result_rank(result, NULL), 0);
}

/* Several workloads on one machine: nothing to rank, but to compare. */
static void make_one_machine(struct me_result *result)
{
    rich_frameworks(result);
    result->machine_count = result->channel_count = 1;
    for (size_t i = 0; i < result->repeat_count; i++)
        if (result->repeats[i].machine_id) {
            result->repeat_count = i;
            break;
        }
    for (size_t i = 0; i < result->region_count; i++)
        if (result->regions[i].machine_id) result->region_count = i;
    assert_int_equal(me_result_rank(result, NULL), 0);
}

static void test_text(void **state)
{
    (void)state;
    check("text", "report_many.txt", rich_many);
    check("text", "report_one.txt", rich_one);
    check("text", "report_nothing.txt", make_nothing);
    check("text", "report_one_modelled.txt", make_model);
    check("text", "report_large.txt", make_large);
    check("text", "report_frameworks.txt", rich_frameworks);
    check("text", "report_region.txt", make_region);
    check("text", "report_one_machine.txt", make_one_machine);
}

static void test_json(void **state)
{
    (void)state;
    check("json", "report_many.json", rich_many);
    check("json", "report_nothing.json", make_nothing);
}

static void test_csv(void **state)
{
    (void)state;
    check("csv", "report_many.csv", rich_many);
    check("csv", "report_nothing.csv", make_nothing);
    check("csv", "report_frameworks.csv", rich_frameworks);
}

static void test_text_fits_its_width(void **state)
{
    (void)state;
    void (*const makers[])(struct me_result *) = {rich_many,   rich_one,        make_nothing,
                                                  make_model,  make_large,      rich_frameworks,
                                                  make_region, make_one_machine};
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++) {
        struct me_result result;
        makers[i](&result);
        char *text = render("text", &result), *save;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            if (me_utf8_width(line) > 100) fail_msg("%zu columns: %s", me_utf8_width(line), line);
            assert_int_not_equal(line[strlen(line) - 1], ' ');
        }
        free(text);
        me_result_release(&result);
    }
}

static void expect(const char *text, const char *part, bool there)
{
    if ((strstr(text, part) != NULL) != there) fail_msg("'%s' is %s in:\n%s", part, there ? "not" : "", text);
}

/* What the report says follows from the numbers, in both directions. */
static void test_statements(void **state)
{
    (void)state;
    struct me_result result;
    rich_many(&result);
    char *text = render("text", &result);
    expect(text, "grün and blue are not distinguishable by energy", true);
    expect(text, "blue and 東京-red are not distinguishable", false);
    expect(text, "By carbon the order is another: 1 blue, 2 grün, 3 東京-red", true);
    expect(text, "MODELLED", true);
    expect(text, "FAKE\n", true);
    expect(text, "yellow: skipped: ssh: connection refused", true);
    expect(text, "timeout after 10 s, ended by signal 9", true);
    free(text);
    result.summaries[2].energy_ci95_j = result.summaries[1].energy_ci95_j = 0.1;
    result.summaries[1].carbon_place = 1;
    result.summaries[2].carbon_place = 2;
    result.summary_count = 4;
    result.machine_count = 4;
    memmove(result.summaries, result.summaries + 1, 3 * sizeof *result.summaries);
    memmove(result.machines, result.machines + 1, 3 * sizeof *result.machines);
    result.summary_count = result.machine_count = 3;
    text = render("text", &result);
    expect(text, "not distinguishable", false);
    expect(text, "By carbon the order", false);
    expect(text, "groups are apart", false);
    expect(text, "Group", false);
    expect(text, "MODELLED", false);
    expect(text, "FAKE", false);
    expect(text, "Not ranked", false);
    free(text);
    me_result_release(&result);
}

static void set_metrics(struct me_result *result, const char *workload, const char *name, double value)
{
    for (size_t i = 0; i < result->metric_count; i++) {
        struct me_row_metric *row = &result->metrics[i];
        if (!strcmp(row->workload, workload) && !strcmp(row->metric, name)) row->value = value;
    }
    assert_int_equal(me_result_rank(result, NULL), 0);
}

/* What is said of workloads follows from what they came to. */
static void test_statements_on_workloads(void **state)
{
    (void)state;
    struct me_result result;
    make_one_machine(&result);
    char *text = render("text", &result);
    expect(text, "Least energy per sample: native, 402.8 uJ; keras 3.35 times that.", true);
    expect(text, "pl takes 0.503 times the energy of native, and is not called better or worse", true);
    expect(text, "Work in different units is not compared", true);
    expect(text, "anking by energy", false); /* one machine */
    free(text);
    set_metrics(&result, "pl", "accuracy", 0.8712);
    text = render("text", &result);
    expect(text, "Least energy per sample: pl, 202.7 uJ; native 1.99 times that; keras 6.65 times that.",
           true);
    expect(text, "not called better", false);
    free(text);
    set_metrics(&result, "native", "loss", NAN);
    text = render("text", &result);
    expect(text, "Least energy per sample: pl, 202.7 uJ; keras 6.65 times that.", true);
    expect(text,
           "native takes 1.99 times the energy of pl, and is not called better or worse: its loss is no",
           true);
    expect(text, "green (native): its loss is no number: the training diverged", true);
    free(text);
    for (size_t i = 0; i < result.repeat_count; i++) /* another unit for each */
        snprintf(result.repeats[i].work_unit, 24, "%.23s", result.repeats[i].workload);
    assert_int_equal(me_result_rank(&result, NULL), 0);
    text = render("text", &result);
    expect(text, "Least energy", false);
    expect(text, "times", false);
    free(text);
    me_result_release(&result);
}

static void test_units(void **state)
{
    (void)state;
    static const struct {
        const char *unit, *one;
    } cases[] = {{"samples", "sample"},
                 {"images", "image"},
                 {"tokens", "token"},
                 {"GFLOP", "GFLOP"},
                 {"GFLOPS", "GFLOPS"},
                 {"GB", "GB"},
                 {"passes", "passes"},
                 {"bus", "bus"},
                 {"focus", "focus"},
                 {"loss", "loss"},
                 {"gas", "gas"},
                 {"boxes", "boxes"},
                 {"", ""},
                 {"s", "s"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char one[24];
        me_figures_unit(one, sizeof one, cases[i].unit);
        assert_string_equal(one, cases[i].one);
    }
}

/* Names come from elsewhere: no escape sequence reaches the terminal, no bad byte reaches JSON. */
static void test_hostile_names(void **state)
{
    (void)state;
    struct me_result result;
    rich_one(&result);
    snprintf(result.machines[0].name, 64, "a\033[31mb\t\"\\\xff\xc3(\xe2\x82\n");
    char *text = render("text", &result), *json = render("json", &result), *csv = render("csv", &result);
    assert_null(strchr(text, '\033'));
    for (const char *c = text; *c; c += me_utf8_sequence(c)) assert_int_not_equal(me_utf8_sequence(c), 0);
    expect(json, "\"a\\u001b[31mb\\t\\\"\\\\\\ufffd\\ufffd(\\ufffd\\ufffd\\n\"", true);
    expect(csv, "0,\"a\033[31mb\t\"\"\\\xff\xc3(\xe2\x82\n\",native,,3,", true);
    free(text);
    free(json);
    free(csv);
    me_result_release(&result);
}

static void test_formats(void **state)
{
    (void)state;
    assert_null(me_report_find("xml"));
    assert_null(me_report_find(""));
    assert_string_equal(me_report_table[0].name, "text");
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        size_t size, width;
    } cases[] = {
        {"", "", 8, 0},
        {"plain", "plain", 8, 5},
        {"gr\xc3\xbcn", "gr\xc3\xbcn", 8, 4},
        {"gr\xc3\xbcn", "gr", 4, 2}, /* the field ends within the letter */
        {"\xe6\x9d\xb1", "\xe6\x9d\xb1", 8, 2},
        {"a\xffz", "a?z", 8, 3},
        {"a\xc0\xafz", "a??z", 8, 4},       /* overlong */
        {"\xed\xa0\x80", "???", 8, 3},      /* a surrogate */
        {"\xf4\x90\x80\x80", "????", 8, 4}, /* above U+10FFFF */
        {"a\xe2\x82", "a", 8, 1},
        {"e\xcc\x81", "e\xcc\x81", 8, 1}, /* a combining accent */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char field[8];
        memset(field, 'x', sizeof field);
        strncpy(field, cases[i].in, cases[i].size);
        me_utf8_clean(field, cases[i].size);
        assert_string_equal(field, cases[i].out);
        assert_int_equal(me_utf8_width(field), cases[i].width);
        for (size_t at = strlen(field); at < cases[i].size; at++) assert_int_equal(field[at], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_text_fits_its_width),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_statements_on_workloads),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
