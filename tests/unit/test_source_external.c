/* The source external: the specification, the answers, and meters that work and do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "../../src/source/decimal.h"
#include "../../src/source/external.h"
#include "me/clock.h"
#include "tree.h"
#include <errno.h>
#include <sys/wait.h>

static void test_decimal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t factor;
        int error;
        uint64_t value;
        const char *rest;
    } cases[] = {
        {"215", 1000000, 0, 215000000, ""},
        {"0.25 W", 1000000, 0, 250000, " W"},
        {".5", 1000, 0, 500, ""},
        {"1.5e+03J", 1, 0, 1500, "J"},
        {"1e-3", 1000000, 0, 1000, ""},
        {"12e", 1, 0, 12, "e"},
        {"0", 1000000, 0, 0, ""},
        {"18446744073709551615", 1, 0, UINT64_MAX, ""},
        {"18446744073709551616", 1, ERANGE, 0, ""},
        {"18446744073709.551615", 1000000, 0, UINT64_MAX, ""},
        {"9007199254740993.000001", 1000, 0, UINT64_C(9007199254740993000), ""}, /* 2^53 + 1 */
        {"1234567890.123456789", 1000000, 0, UINT64_C(1234567890123457), ""},
        {"0.0000004", 1000000, 0, 0, ""},
        {"0.0000005", 1000000, 0, 1, ""},
        {"0.00000049", 1000000, 0, 0, ""},
        {"0.00000005", 1000000, 0, 0, ""},
        {"5000000000", 3600000000000, 0, 0, "!"}, /* too large */
        {"00000000000000000000000000000000000000000000000007", 1, 0, 7, ""},
        {"12345678901234567890123456789012345678901234567890", 1, ERANGE, 0, ""},
        {"1e99", 1, ERANGE, 0, ""},
        {"0e99", 1, 0, 0, ""},
        {"1e100", 1, ERANGE, 0, ""},
        {"1e-99", 1, 0, 0, ""},
        {"", 1, EPROTO, 0, ""},
        {"-1", 1, EPROTO, 0, ""},
        {"+1", 1, EPROTO, 0, ""},
        {" 1", 1, EPROTO, 0, ""},
        {"nan", 1, EPROTO, 0, ""},
        {".", 1, EPROTO, 0, ""},
        {"12.", 1, EPROTO, 0, ""},
        {"1.2.3", 10, 0, 12, ".3"},
        {"0x10", 1, 0, 0, "x10"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = cases[i].text;
        struct me_decimal number;
        uint64_t value = 99;
        int error = me_decimal_parse(&at, &number);
        if (!error) error = me_decimal_scale(&number, cases[i].factor, &value);
        int expected = cases[i].rest[0] == '!' ? ERANGE : cases[i].error;
        if (error != expected || (!error && (value != cases[i].value || strcmp(at, cases[i].rest))))
            fail_msg("%s: %d %llu \"%s\"", cases[i].text, error, (unsigned long long)value, at);
    }
}

/* A meter as "unit/scope/name/interval/max/range/p|c/action". */
static void spec_text(const struct me_external_spec *spec, char *text, size_t size)
{
    snprintf(text, size, "%s/%s/%s/%g/%g/%llu/%c/%.*s", spec->unit.name, me_scope_name(spec->scope),
             spec->name, spec->interval_s, spec->max_w, (unsigned long long)spec->range_uj,
             spec->is_path ? 'p' : 'c', (int)spec->action_len, spec->action);
}

static void test_specifications(void **state)
{
    (void)state;
    static const struct {
        const char *text, *meters[4];
    } cases[] = {
        {"", {NULL}},
        {" ;;\n ; ", {NULL}},
        {"W,interval=2 /usr/local/bin/pdu-watts 7", {"W/node//2/100000/0/c//usr/local/bin/pdu-watts 7"}},
        {"J < /run/meter/joules", {"J/node//1/100000/0/p//run/meter/joules"}},
        {"kWh,scope=platform,name=plug-1</run/kwh", {"kWh/platform/plug-1/1/100000/0/p//run/kwh"}},
        {"Wh,range=1e6,max=500,interval=0.5 cat x", {"Wh/node//0.5/500/1000000000000/c/cat x"}},
        {"W a;J b\nuW  c  ; ",
         {"W/node//1/100000/0/c/a", "J/node//1/100000/0/c/b", "uW/node//1/100000/0/c/c"}},
        {"W sh -c 'a; b' \"c;d\" e\\;f; J g",
         {"W/node//1/100000/0/c/sh -c 'a; b' \"c;d\" e\\;f", "J/node//1/100000/0/c/g"}},
        {"W awk '{ print\n}' f", {"W/node//1/100000/0/c/awk '{ print\n}' f"}},
        {"W a < b", {"W/node//1/100000/0/c/a < b"}}, /* the shell's */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_error err = {.text = ""};
        const char *at = cases[i].text;
        if (me_external_check(at, &err)) fail_msg("%s: %s", at, err.text);
        for (unsigned n = 0;; n++) {
            struct me_external_spec spec;
            char text[256];
            int rc = me_external_next(&at, n + 1, &spec, &err);
            assert_true(rc >= 0);
            if (!rc) {
                assert_null(cases[i].meters[n]);
                break;
            }
            assert_non_null(cases[i].meters[n]);
            spec_text(&spec, text, sizeof text);
            assert_string_equal(text, cases[i].meters[n]);
        }
    }
    assert_int_equal(me_external_check(NULL, NULL), 0);
}

static void test_bad_specifications(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"V cmd", "meter 1: V is not a unit; write UNIT"},
        {"/usr/bin/pdu", "meter 1: /usr/bin/pdu is not a unit"},
        {"W a; w b", "meter 2: w is not a unit"},
        {"W", "meter 1: no command"},
        {"W;J a", "meter 1: no command"},
        {"W,", "meter 1: no command"},
        {",W a", NULL}, /* an empty key is passed over, the unit is W */
        {"J <", "meter 1: no command"},
        {"J < run/joules", "meter 1: run/joules: a path must begin with '/'"},
        {"W,scop=node a", "there is no key scop; did you mean scope"},
        {"W,watts a", "there is no key watts"},
        {"W,scope=core a", "scope=core: scope must be one of node, platform"},
        {"W,scope= a", "scope=: scope must be"},
        {"W,name= a", "name=: name must be"},
        {"W,name=a/b a", "name=a/b: name must be"},
        {"W,name=a1234567890123456789012345678901234567890 a", "name must be"},
        {"W,interval=0.01 a", "interval=0.01: interval must be a number of seconds from 0.1 to 3600"},
        {"W,interval=1s a", "interval=1s: interval must be"},
        {"W,interval=nan a", "interval must be"},
        {"W,range=5 a", "range=5: range must be a number of joules above 0, and only a counter has it"},
        {"J,range=0 a", "range=0: range must be"},
        {"J,range=-5 a", "range=-5: range must be"},
        {"J,max=0 a", "max=0: max must be"},
        {"J,range=1000 a", "a range of 1000 J goes round in 0.01 s at 100000 W"},
        {"J,range=1000,max=400,interval=1.3 a", "goes round in 2.5 s at 400 W"},
        {"W,name=a x; J,name=a y", "meter 2: name=a is taken by meter 1"},
        {"W echo 'a", "meter 1: a quote is not closed"},
        {"W echo \"a\\\"", "meter 1: a quote is not closed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_error err = {.text = ""};
        int rc = me_external_check(cases[i].text, &err);
        if (rc != (cases[i].error ? -1 : 0) ||
            (rc && (err.code != ME_E_INPUT || strchr(err.text, '\n') || !strstr(err.text, cases[i].error))))
            fail_msg("%s: %d %s", cases[i].text, rc, err.text);
    }
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *answer;
        int error;
        uint64_t micro;
    } cases[] = {
        {"W x", "215", 0, 215000000},
        {"W x", "215.5\n", 0, 215500000},
        {"W x", "  215 W\r\nmore\n", 0, 215000000},
        {"W x", "215W", 0, 215000000},
        {"kW x", "2.5", 0, 2500000000},
        {"mW x", "2.5", 0, 2500},
        {"kW x", "2.5 W", EPROTO, 0}, /* watts as kilowatts */
        {"W x", "2.5 kW", EPROTO, 0},
        {"W x", "2.5 Wh", EPROTO, 0},
        {"J x", "5 kJ", EPROTO, 0},
        {"J x", "0", 0, 0},
        {"J x", "1360621494.000001", 0, 1360621494000001},
        {"kWh x", "1.5", 0, 5400000000000},
        {"Wh x", "0.001", 0, 3600000},
        {"W x", "", EPROTO, 0},
        {"W x", "\n215", EPROTO, 0},
        {"W x", "N/A", EPROTO, 0},
        {"W x", "-5", EPROTO, 0},
        {"W x", "12,5", EPROTO, 0},
        {"W x", "215 216", EPROTO, 0},
        {"W x", "0", ENODATA, 0},
        {"W,scope=gpu x", "0", 0, 0},
        {"W x", "100000.1", ERANGE, 0},
        {"W,max=300 x", "300", 0, 300000000},
        {"W,max=300 x", "301", ERANGE, 0},
        {"kWh x", "1e9", ERANGE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_external_spec spec;
        const char *at = cases[i].spec;
        uint64_t micro = 0;
        assert_int_equal(me_external_next(&at, 1, &spec, NULL), 1);
        int error = me_external_answer(&spec, cases[i].answer, &micro);
        if (error != cases[i].error || micro != cases[i].micro)
            fail_msg("%s: %s: %d %llu", cases[i].spec, cases[i].answer, error, (unsigned long long)micro);
    }
}

struct bench {
    char dir[64];
    struct me_root root;
    struct me_meter_options options;
    struct me_source_setup setup;
    struct me_source source;
};

static void bench_open(struct bench *bench, const char *root, const char *external, bool live)
{
    struct me_error err = {.text = ""};
    *bench = (struct bench){.source.ops = &me_external_ops, .options.external = external};
    if (me_root_open(&bench->root, root, &err)) fail_msg("%s", err.text);
    bench->setup = (struct me_source_setup){.root = &bench->root, .live = live, .options = &bench->options};
    if (me_external_ops.open(&bench->source, &bench->setup, &err)) fail_msg("%s", err.text);
}

static void bench_close(struct bench *bench)
{
    if (bench->source.found) me_external_ops.close(&bench->source);
    me_root_close(&bench->root);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child of ours is left, dead or alive */
    assert_int_equal(errno, ECHILD);
}

static void test_meters(void **state)
{
    (void)state;
    struct bench bench;
    struct me_reading readings[4];
    char root[64];
    tree_make(root, sizeof root);
    tree_put(root, "run/joules", "100.5\n");
    bench_open(&bench, root,
               "W echo 215.25; J,scope=dram,name=ram < /run/joules; mW,scope=gpu echo 1; W exit 3", true);
    assert_true(bench.source.found);
    assert_int_equal(bench.source.channel_count, 4);
    const struct me_channel *c = bench.source.channels;
    assert_string_equal(c[0].name, "node");
    assert_string_equal(c[0].unit, "W");
    assert_string_equal(c[0].basis, "the user's own meter, W of echo 215.25");
    assert_true(c[0].scope == ME_SCOPE_NODE && c[0].kind == ME_KIND_GAUGE && c[0].cls == ME_CLASS_INTEGRATED);
    assert_string_equal(c[1].name, "ram");
    assert_string_equal(c[1].unit, "uJ");
    assert_string_equal(c[1].basis, "the user's own meter, J < /run/joules");
    assert_true(c[1].scope == ME_SCOPE_DRAM && c[1].kind == ME_KIND_COUNTER && c[1].cls == ME_CLASS_COUNTER);
    assert_string_equal(c[2].name, "gpu");
    assert_string_equal(c[3].why_not, "the command failed");
    me_external_ops.read(&bench.source, readings);
    assert_true(readings[0].state == ME_READING_OK && readings[0].level == 215.25);
    assert_true(readings[1].state == ME_READING_OK && readings[1].count == 100500000);
    assert_true(readings[2].state == ME_READING_OK && readings[2].level == 0.001);
    assert_true(readings[3].state == ME_READING_FAILED && readings[3].error == EIO);
    tree_put(root, "run/joules", "101.5\n");
    me_external_ops.read(&bench.source, readings);
    assert_true(readings[1].state == ME_READING_OK && readings[1].count == 101500000);
    tree_put(root, "run/joules", "garbage\n");
    me_external_ops.read(&bench.source, readings);
    assert_true(readings[1].state == ME_READING_FAILED && readings[1].error == EPROTO);
    char path[128];
    snprintf(path, sizeof path, "%s/run/joules", root);
    unlink(path);
    me_external_ops.read(&bench.source, readings);
    assert_true(readings[1].state == ME_READING_FAILED && readings[1].error == ENOENT);
    assert_true(readings[0].state == ME_READING_OK); /* and the rest goes on */
    assert_int_equal(mkfifo(path, 0600), 0);         /* a pipe that nobody writes to does not hold us up */
    me_external_ops.read(&bench.source, readings);
    assert_true(readings[1].state == ME_READING_FAILED);
    bench_close(&bench);
    tree_remove(root);
}

/* A command that hangs is over at its deadline; it may come back. */
static void test_hanging(void **state)
{
    (void)state;
    struct bench bench;
    struct me_reading reading;
    char root[64], text[256];
    tree_make(root, sizeof root);
    snprintf(text, sizeof text, "W test ! -e %s/hang || sleep 600; echo 5", root);
    for (char *at = text; (at = strchr(at, ';')); at++) *at = '\n'; /* a line is a meter: this is not one */
    assert_int_equal(me_external_check(text, NULL), -1);
    snprintf(text, sizeof text, "W sh -c 'test ! -e %s/hang || sleep 600; echo 5'", root);
    bench_open(&bench, "/", text, true);
    assert_true(bench.source.found);
    tree_put(root, "hang", "");
    int64_t begin_ns = me_clock_mono_ns();
    me_external_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_FAILED && reading.error == ETIMEDOUT);
    assert_true(me_clock_mono_ns() - begin_ns < 30 * ME_NS_PER_S);
    snprintf(text, sizeof text, "%s/hang", root);
    unlink(text);
    me_external_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_OK && reading.level == 5);
    bench_close(&bench);
    tree_remove(root);
}

/* Each at its own interval: the slower one is absent in between. */
static void test_intervals(void **state)
{
    (void)state;
    struct bench bench;
    struct me_reading readings[2];
    char root[64];
    tree_make(root, sizeof root);
    tree_put(root, "w", "5\n");
    bench_open(&bench, root, "W,interval=0.2,name=fast < /w; W,interval=100,name=slow < /w", true);
    assert_true(bench.source.interval_s == 0.2);
    for (int i = 0; i < 5; i++) {
        me_external_ops.read(&bench.source, readings);
        assert_int_equal(readings[0].state, ME_READING_OK);
        assert_int_equal(readings[1].state, i ? ME_READING_ABSENT : ME_READING_OK);
    }
    bench.source.for_edge = true; /* without a reading behind the last edge its energy is not known */
    me_external_ops.read(&bench.source, readings);
    assert_int_equal(readings[1].state, ME_READING_OK);
    bench_close(&bench);
    bench_open(&bench, root, "W,interval=0.1,name=fast < /w; W,interval=0.5,name=slow < /w", true);
    int slow = 0;
    int64_t begin_ns = me_clock_mono_ns();
    for (int i = 0; i < 21; i++) {
        me_clock_sleep_until(begin_ns + i * 100 * INT64_C(1000000));
        me_external_ops.read(&bench.source, readings);
        slow += readings[1].state == ME_READING_OK;
    }
    assert_true(slow >= 3 && slow <= 5 + (int)((me_clock_mono_ns() - begin_ns) / 500000000));
    bench_close(&bench);
    tree_remove(root);
}

static void test_absent(void **state)
{
    (void)state;
    struct bench bench;
    struct me_error err = {.text = ""};
    char root[64], mark[128], text[256];
    tree_make(root, sizeof root);
    snprintf(mark, sizeof mark, "%s/ran", root);
    snprintf(text, sizeof text, "W touch %s", mark);
    bench_open(&bench, root, NULL, true);
    assert_false(bench.source.found);
    assert_string_equal(bench.source.reason, "no meter of your own is given");
    bench_close(&bench);
    bench_open(&bench, root, text, false); /* a recorded machine: nothing is run */
    assert_false(bench.source.found);
    assert_non_null(strstr(bench.source.reason, "not asked"));
    assert_int_equal(access(mark, F_OK), -1);
    bench_close(&bench);
    bench_open(&bench, root, text, true); /* it runs, and prints nothing */
    assert_false(bench.source.found);
    assert_int_equal(access(mark, F_OK), 0);
    assert_non_null(strstr(bench.source.reason, "first line is not one number"));
    assert_string_equal(bench.source.cure, text + 2);
    bench_close(&bench);
    bench.options.external = "V x";
    assert_int_equal(me_external_ops.open(&bench.source, &bench.setup, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    tree_remove(root);
}

static const struct me_channel *find(const struct me_meter *meter, const char *name)
{
    for (size_t i = 0; i < meter->channel_count; i++)
        if (!strcmp(meter->channels[i].name, name)) return &meter->channels[i];
    fail_msg("no channel %s", name);
    return NULL;
}

/* In a machine's total: two meters of the node are added, and the parts stay out. */
static void test_total(void **state)
{
    (void)state;
    struct me_meter meter;
    struct me_error err = {.text = ""};
    struct me_meter_options options = {
        .only = "external",
        .external = "W,name=left echo 100\nkW,name=right,interval=7 echo 0.1\nJ,scope=gpu echo 5"};
    if (me_meter_open(&meter, &options, &err)) fail_msg("%s", err.text);
    assert_int_equal(meter.channel_count, 3);
    assert_true(find(&meter, "left")->counted && find(&meter, "right")->counted);
    assert_false(find(&meter, "gpu")->counted);
    assert_true(find(&meter, "right")->interval_s == 7);
    assert_true(find(&meter, "left")->interval_s == 1 &&
                find(&meter, "left")->provenance == ME_PROVENANCE_LIVE);
    struct me_reading readings[3];
    me_meter_read(&meter, readings); /* a slow source is not the sampling thread's */
    for (int i = 0; i < 3; i++) assert_int_equal(readings[i].state, ME_READING_ABSENT);
    me_meter_read_source(&meter, 0, readings);
    for (int i = 0; i < 3; i++) assert_int_equal(readings[i].state, ME_READING_OK);
    me_meter_close(&meter);
    options.external = "W,nme=left echo 100";
    assert_int_equal(me_meter_open(&meter, &options, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_specifications),
        cmocka_unit_test(test_bad_specifications),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_meters),
        cmocka_unit_test(test_hanging),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_total),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
