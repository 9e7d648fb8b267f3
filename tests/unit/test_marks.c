/* The mark protocol, from bytes. */
#include "../../src/workload/marks.h"
#include "me_cmocka.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *line;
    enum me_child_event_type type;
    const char *name;
    double amount;
} cases[] = {
    {"begin train", ME_CHILD_BEGIN, "train", 0},
    {"end a/b-c_d.e9", ME_CHILD_END, "a/b-c_d.e9", 0},
    {"begin 12345678901234567890123456789012345678901234567", ME_CHILD_BEGIN,
     "12345678901234567890123456789012345678901234567", 0},
    {"begin 123456789012345678901234567890123456789012345678", ME_CHILD_BAD_MARK,
     "begin 12345678901234567890123456789012345678901", 0},
    {"work 180000 samples", ME_CHILD_WORK, "samples", 180000},
    {"work 0 x", ME_CHILD_WORK, "x", 0},
    {"work .5 core-s", ME_CHILD_WORK, "core-s", .5},
    {"work 1e3 x", ME_CHILD_WORK, "x", 1000},
    {"work 1.7976931348623157e+308 x", ME_CHILD_WORK, "x", 1.7976931348623157e308},
    {"work 1e999 x", ME_CHILD_BAD_MARK, "work 1e999 x", 0},
    {"work -1 x", ME_CHILD_BAD_MARK, "work -1 x", 0},
    {"work +1 x", ME_CHILD_BAD_MARK, "work +1 x", 0},
    {"work nan x", ME_CHILD_BAD_MARK, "work nan x", 0},
    {"work inf x", ME_CHILD_BAD_MARK, "work inf x", 0},
    {"work 0x10 x", ME_CHILD_BAD_MARK, "work 0x10 x", 0},
    {"work 1 ", ME_CHILD_BAD_MARK, "work 1 ", 0},
    {"work 1", ME_CHILD_BAD_MARK, "work 1", 0},
    {"work  x", ME_CHILD_BAD_MARK, "work  x", 0},
    {"work e x", ME_CHILD_BAD_MARK, "work e x", 0},
    {"work 1e x", ME_CHILD_BAD_MARK, "work 1e x", 0},
    {"work 1 12345678901234567890123", ME_CHILD_WORK, "12345678901234567890123", 1},
    {"work 1 123456789012345678901234", ME_CHILD_BAD_MARK, "work 1 123456789012345678901234", 0},
    {"work 1 a b", ME_CHILD_BAD_MARK, "work 1 a b", 0},
    {"metric accuracy 0.874", ME_CHILD_METRIC, "accuracy", 0.874},
    {"metric loss -2.5e-3", ME_CHILD_METRIC, "loss", -2.5e-3},
    {"metric loss 1.7976931348623157e+308", ME_CHILD_METRIC, "loss", 1.7976931348623157e308},
    {"metric loss 0", ME_CHILD_METRIC, "loss", 0},
    {"metric loss nan", ME_CHILD_METRIC, "loss", NAN},
    {"metric loss -nan", ME_CHILD_METRIC, "loss", NAN},
    {"metric loss inf", ME_CHILD_METRIC, "loss", INFINITY},
    {"metric loss -inf", ME_CHILD_METRIC, "loss", -INFINITY},
    {"metric 12345678901234567890123456789012345678901234567 -1.7976931348623157e+308", ME_CHILD_METRIC,
     "12345678901234567890123456789012345678901234567", -1.7976931348623157e308},
    {"metric 123456789012345678901234567890123456789012345678 1", ME_CHILD_BAD_MARK,
     "metric 1234567890123456789012345678901234567890", 0},
    {"metric loss NaN", ME_CHILD_BAD_MARK, "metric loss NaN", 0},
    {"metric loss nan(1)", ME_CHILD_BAD_MARK, "metric loss nan(1)", 0},
    {"metric loss infinity", ME_CHILD_BAD_MARK, "metric loss infinity", 0},
    {"metric loss +inf", ME_CHILD_BAD_MARK, "metric loss +inf", 0},
    {"metric loss 1e999", ME_CHILD_BAD_MARK, "metric loss 1e999", 0},
    {"metric loss 0x1p3", ME_CHILD_BAD_MARK, "metric loss 0x1p3", 0},
    {"metric loss --1", ME_CHILD_BAD_MARK, "metric loss --1", 0},
    {"metric loss +1", ME_CHILD_BAD_MARK, "metric loss +1", 0},
    {"metric loss -", ME_CHILD_BAD_MARK, "metric loss -", 0},
    {"metric loss 1 2", ME_CHILD_BAD_MARK, "metric loss 1 2", 0},
    {"metric loss  1", ME_CHILD_BAD_MARK, "metric loss  1", 0},
    {"metric loss 1,5", ME_CHILD_BAD_MARK, "metric loss 1,5", 0},
    {"metric loss ", ME_CHILD_BAD_MARK, "metric loss ", 0},
    {"metric loss", ME_CHILD_BAD_MARK, "metric loss", 0},
    {"metric  1", ME_CHILD_BAD_MARK, "metric  1", 0},
    {"metric", ME_CHILD_BAD_MARK, "metric", 0},
    {"metric lo$s 1", ME_CHILD_BAD_MARK, "metric lo$s 1", 0},
    {"begin", ME_CHILD_BAD_MARK, "begin", 0},
    {"begin ", ME_CHILD_BAD_MARK, "begin ", 0},
    {"begin  a", ME_CHILD_BAD_MARK, "begin  a", 0},
    {"begin a ", ME_CHILD_BAD_MARK, "begin a ", 0},
    {"Begin a", ME_CHILD_BAD_MARK, "Begin a", 0},
    {"begin a\r", ME_CHILD_BAD_MARK, "begin a?", 0},
    {"begin \xc3\xa4", ME_CHILD_BAD_MARK, "begin ??", 0},
    {"\x1b[31m", ME_CHILD_BAD_MARK, "?[31m", 0},
    {"", ME_CHILD_BAD_MARK, "", 0},
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_marks marks = {.len = 0};
        struct me_child_event event = {.type = ME_CHILD_EXITED, .amount = -1};
        char text[256];
        int len = snprintf(text, sizeof text, "%s\n", cases[i].line);
        const char *at = text;
        assert_true(me_marks_take(&marks, &at, text + len, &event));
        assert_ptr_equal(at, text + len);
        if (event.type != cases[i].type || strcmp(event.name, cases[i].name))
            fail_msg("'%s': got type %d '%s'", cases[i].line, event.type, event.name);
        assert_true(isnan(cases[i].amount) ? isnan(event.amount) : event.amount == cases[i].amount);
        assert_false(me_marks_finish(&marks, &event));
    }
}

/* The same bytes give the same events in chunks of any size. */
static void test_chunks(void **state)
{
    (void)state;
    static const char text[] = "begin a\nnonsense\nwork 5 x\nmetric b -1\nend a\nbeg\0in b\nend b\nbegin c";
    static const enum me_child_event_type expected[] = {ME_CHILD_BEGIN,  ME_CHILD_BAD_MARK, ME_CHILD_WORK,
                                                        ME_CHILD_METRIC, ME_CHILD_END,      ME_CHILD_BAD_MARK,
                                                        ME_CHILD_END};
    for (size_t chunk = 1; chunk < sizeof text; chunk++) {
        struct me_marks marks = {.len = 0};
        struct me_child_event event;
        size_t n = 0;
        for (size_t first = 0; first < sizeof text - 1; first += chunk) {
            size_t last = first + chunk < sizeof text - 1 ? first + chunk : sizeof text - 1;
            for (const char *at = text + first; me_marks_take(&marks, &at, text + last, &event); n++)
                assert_int_equal(event.type, expected[n]);
        }
        assert_int_equal(n, sizeof expected / sizeof *expected);
        assert_true(me_marks_finish(&marks, &event));
        assert_int_equal(event.type, ME_CHILD_BAD_MARK);
        assert_string_equal(event.name, "begin c");
    }
}

/* A line that is too long is one bad mark, however long; the next line is good again. */
static void test_long_lines(void **state)
{
    (void)state;
    static char text[5000];
    for (size_t len = 100; len < 4000; len += 7) {
        struct me_marks marks = {.len = 0};
        struct me_child_event event;
        memset(text, 'x', len);
        memcpy(text + len, "\nend a\n", 7);
        const char *at = text, *end = text + len + 7;
        assert_true(me_marks_take(&marks, &at, end, &event));
        assert_int_equal(event.type, ME_CHILD_BAD_MARK);
        assert_int_equal(strlen(event.name), 47);
        assert_true(me_marks_take(&marks, &at, end, &event));
        assert_int_equal(event.type, ME_CHILD_END);
        assert_false(me_marks_take(&marks, &at, end, &event));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
