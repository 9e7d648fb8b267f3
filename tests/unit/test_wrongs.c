/* The words of a repeat's note. */
#include "../../src/bench/wrongs.c"
#include "me_cmocka.h"

static const struct {
    const char *before, *after;
    struct {
        enum me_wrong wrong;
        const char *name;
        int times;
    } wrongs[4];
} cases[] = {
    {"", "", {{0}}},
    {"timeout after 3 s", "timeout after 3 s", {{0}}},
    {"", "a line that is no mark: xyz", {{ME_WRONG_LINE, "xyz", 1}}},
    {"", "a line that is no mark: xyz (and 41 more)", {{ME_WRONG_LINE, "xyz", 1}, {ME_WRONG_LINE, "b", 41}}},
    {"timeout after 3 s",
     "timeout after 3 s; a line that is no mark:  (and 1 more); region was not ended: a",
     {{ME_WRONG_OPEN, "a", 1}, {ME_WRONG_LINE, "", 2}}},
    {"",
     "end of a region that had not begun: a (and 2 more); work in a second unit was left out: s; too many "
     "region marks; not all were recorded: b (and 9 more)",
     {{ME_WRONG_UNIT, "s", 1}, {ME_WRONG_END, "a", 3}, {ME_WRONG_REGIONS, "b", 10}}},
    {"",
     "a line that is no mark: 12345678901234567890123456789012345678901234567 (and 1 more); end of a region "
     "that had not begun: a; region was not ended: ...",
     {{ME_WRONG_LINE, "12345678901234567890123456789012345678901234567", 2},
      {ME_WRONG_END, "a", 1},
      {ME_WRONG_OPEN, "a12345678901", 1},
      {ME_WRONG_UNIT, "x", 1}}},
};

static void test_notes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_wrongs wrongs = {0};
        char note[160];
        snprintf(note, sizeof note, "%s", cases[i].before);
        for (size_t k = 0; k < 4; k++)
            for (int n = 0; n < cases[i].wrongs[k].times; n++)
                me_wrongs_add(&wrongs, cases[i].wrongs[k].wrong, cases[i].wrongs[k].name);
        me_wrongs_tell(&wrongs, note, sizeof note);
        assert_string_equal(note, cases[i].after);
    }
}

/* However full, never beyond its end, and it says that it was cut. */
static void test_full(void **state)
{
    (void)state;
    for (size_t size = 20; size < 160; size++) {
        char note[160] = "one";
        memset(note + size, '#', sizeof note - size);
        for (int i = 0; i < 40; i++) me_wrongs_append(note, size, "two and three");
        assert_true(strlen(note) < size);
        assert_non_null(strstr(note, " ..."));
        for (size_t k = size; k < sizeof note; k++) assert_int_equal(note[k], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_notes), cmocka_unit_test(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
