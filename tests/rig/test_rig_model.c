/* The arithmetic of the rig, moment by moment: no file system, no clock. */
#include "me_cmocka.h"

#include "rig.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MS = 1000000 };
static const uint64_t START = UINT64_C(7000000000000);

/* A rig with these files, begun at START. */
static struct rig *rig_of(const char *const *files)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    for (; *files; files++) assert_null(rig_file_add(rig, *files));
    assert_null(rig_link(rig, START, INT64_C(1700000000000000000)));
    return rig;
}

static void rig_free(struct rig *rig)
{
    rig_release(rig);
    free(rig);
}

static void assert_reads(struct rig *rig, int file, uint64_t after_ns, const char *expected)
{
    char *text = NULL;
    int len = rig_file_read(rig, &rig->files[file], START + after_ns, &text);
    assert_int_equal(len, (int)strlen(expected));
    assert_string_equal(text, expected);
    free(text);
}

static void test_counter(void **state)
{
    (void)state;
    struct rig_counter counter = {.power_uw = 50000000, .tick_ns = 10 * MS};
    rig_counter_start(&counter, START);
    assert_true(rig_counter_energy(&counter, START + 10 * MS - 1) == 0);
    assert_true(rig_counter_energy(&counter, START + 25 * MS) == (rig_fj)50000000 * 20 * MS);
    rig_counter_set_power(&counter, 1000000, START + 25 * MS); /* from the tick at 20 ms on */
    assert_true(rig_counter_energy(&counter, START + 25 * MS) == (rig_fj)50000000 * 20 * MS);
    assert_true(rig_counter_energy(&counter, START + 30 * MS) ==
                (rig_fj)50000000 * 20 * MS + (rig_fj)1000000 * 10 * MS);
}

static void test_gauge(void **state)
{
    (void)state;
    static const struct {
        uint64_t at_ms, now_uw, mean_uw;
    } cases[] = {
        /* 10 W; 100 W from 250 ms on, 40 W from 275 ms on; shown every 100 ms */
        {0, 10, 10},   {199, 10, 10}, {200, 10, 10},
        {280, 10, 10}, {299, 10, 10}, {300, 40, 10 / 2 + 100 / 4 + 40 / 4},
        {399, 40, 40}, {400, 40, 40}, {1000, 40, 40},
    };
    for (int mean = 0; mean < 2; mean++) {
        struct rig_gauge gauge = {.truth.power_uw = 10, .tick_ns = 100 * MS, .mean = mean};
        rig_gauge_start(&gauge, START);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            if (cases[i].at_ms == 280) rig_gauge_set_power(&gauge, 100, START + 250 * MS);
            if (cases[i].at_ms == 280) rig_gauge_set_power(&gauge, 40, START + 275 * MS);
            uint64_t want = mean ? cases[i].mean_uw : cases[i].now_uw;
            assert_int_equal(rig_gauge_shown_uw(&gauge, START + cases[i].at_ms * MS), want);
        }
    }
}

static void test_texts(void **state)
{
    (void)state;
    static const char *const files[] = {
        "a/name,text=amd_energy",
        "a/two,text=one\\ntwo\\, three",
        "a/empty,text=",
        "c/energy,power=873,unit=J,tick_ms=100,offset=1234567,format=%v J %t us",
        "c/fresh,power=0,unit=J,tick_ms=100,format=%n",
        "b/energy_now,power=3600,unit=uWh,offset=2000000,falls=1",
        "d/wraps,power=50,unit=uJ,wrap=1000000",
        "d/fine,power=1,unit=mJ,format=%.3v",
        "d/watts,power=50.5,unit=W,format=%.1v watts 100%%",
        NULL,
    };
    struct rig *rig = rig_of(files);
    assert_reads(rig, 0, 0, "amd_energy\n");
    assert_reads(rig, 1, 0, "one\ntwo, three\n");
    assert_reads(rig, 2, 0, "");
    assert_reads(rig, 3, UINT64_C(2150) * MS, "1236400 J 1700007002100000 us\n"); /* 873 W x 2.1 s */
    assert_reads(rig, 4, UINT64_C(2150) * MS, "21\n");
    assert_reads(rig, 5, UINT64_C(1000) * MS, "1000000\n");
    assert_reads(rig, 5, UINT64_C(3000) * MS, "0\n");
    assert_reads(rig, 6, UINT64_C(30) * MS, "500000\n");
    assert_reads(rig, 6, UINT64_C(21) * MS, "50000\n");
    assert_reads(rig, 7, UINT64_C(1234) * MS, "1234.000\n");
    assert_reads(rig, 8, 0, "50.5 watts 100%\n");
    rig_free(rig);
}

static void test_registers(void **state)
{
    (void)state;
    static const char *const files[] = {
        "dev/cpu/0/"
        "msr,msr=1,0x606=0xa0e03,0x611=power:50,0x619=power:8:15.3e-6,0x639=power:5:2^-14:4294967290",
        "dev/cpu/1/msr,msr=1,0x611=7,0xc0010299=0xa1003,0xc001029b=power:65.536",
        NULL,
    };
    static const struct {
        int file;
        uint64_t reg, after_ms;
        int rc;
        uint64_t value;
    } cases[] = {
        {0, 0x606, 0, 8, 0xa0e03},    {0, 0x611, 1000, 8, 50 * 16384},
        {0, 0x619, 1000, 8, 522875}, /* 8 J / 15.3 uJ */
        {0, 0x639, 1, 8, 75},        /* 81 counts past the offset: wrapped at 2^32 */
        {0, 0x639, 0, 8, 4294967290}, {0, 0x610, 0, -EIO, 0},
        {4, 0x606, 0, -EIO, 0},                                          /* the other processor's */
        {4, 0x611, 0, 8, 7},          {4, 0xc001029b, 1000, 8, 4294967}, /* 65.536 J x 2^16 */
    };
    struct rig *rig = rig_of(files);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t value = 0;
        int rc = rig_file_read_register(rig, &rig->files[cases[i].file], cases[i].reg,
                                        START + cases[i].after_ms * MS, &value);
        assert_int_equal(rc, cases[i].rc);
        assert_int_equal(value, cases[i].value);
    }
    rig_free(rig);
}

static void test_long_runs(void **state) /* a megawatt for ten days, in 2^-30 J: 128 bits hold it */
{
    (void)state;
    static const char *const files[] = {"a,power=1000000,unit=2^-30,wrap=4294967296", NULL};
    struct rig *rig = rig_of(files);
    struct rig_shown shown = rig_file_shown(rig, rig->files, START + UINT64_C(864000000) * MS);
    __extension__ typedef unsigned __int128 wide;
    wide counts = (wide)864000 * 1000000 << 30;
    assert_int_equal(rig_file_value(rig->files, &shown, 0), (uint64_t)(counts % 4294967296u));
    rig_free(rig);
}

static void test_commands(void **state)
{
    (void)state;
    static const char *const files[] = {"b/status,text=Discharging", "b/power,power=9,unit=W",
                                        "b/count,power=9,unit=J", NULL};
    static const struct {
        const char *line;
        int rc;
    } cases[] = {
        {"b/status text Not charging", 0},
        {"b/status text bad\\q", -EINVAL},
        {"b/power text x", -EINVAL},
        {"b/power power 5", 0},
        {"b/power energy 5", -EINVAL},
        {"b/count energy 5", 0},
        {"b/status freeze", -EINVAL},
        {"b/status power 5", -EINVAL},
        {"b/* power 7", 0},
        {"b/* burn", -EINVAL},
        {"c/* power 7", -ENOENT},
        {"b/power", -EINVAL},
        {"b/power fault EIO 3 now", -EINVAL},
        {"# a remark", 0},
        {"", 0},
        {"b vanish", 0},
        {"b power 7", -EINVAL},
    };
    struct rig *rig = rig_of(files);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(rig_command(rig, cases[i].line, START), cases[i].rc);
    assert_string_equal(rig->files[0].text, "Not charging\n");
    assert_int_equal(rig->files[1].gauge.truth.power_uw, 7000000);
    assert_true(rig_file_gone(rig, &rig->files[1]));
    rig_free(rig);
}

static void test_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good, power;
        double joules;
    } cases[] = {
        {"uJ", true, false, 1e-6},
        {"J", true, false, 1},
        {"uWh", true, false, 3.6e-3},
        {"mW", true, true, 1e-3},
        {"2^-14", true, false, 6.103515625e-5},
        {"2^-16", true, false, 1.52587890625e-5},
        {"15.3e-6", true, false, 15.3e-6},
        {"1", true, false, 1},
        {"0", false, false, 0},
        {"-1", false, false, 0},
        {"2^-31", false, false, 0},
        {"kWh", false, false, 0},
        {"1e9", false, false, 0},
        {"", false, false, 0},
        {"J ", false, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig_unit unit;
        assert_int_equal(rig_parse_unit(cases[i].text, &unit), cases[i].good);
        if (!cases[i].good) continue;
        assert_int_equal(unit.power, cases[i].power);
        double one = (double)unit.den / (double)unit.num / (unit.power ? 1e6 : 1e15);
        assert_true(one > cases[i].joules * 0.999999999 && one < cases[i].joules * 1.000000001);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter),   cmocka_unit_test(test_gauge),     cmocka_unit_test(test_texts),
        cmocka_unit_test(test_registers), cmocka_unit_test(test_long_runs), cmocka_unit_test(test_commands),
        cmocka_unit_test(test_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
