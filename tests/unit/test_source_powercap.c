/* The source powercap over trees of plain files: zones, names, ranges, bounds, faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "../../src/source/zones.h"
#include "me/source.h"
#include "tree.h"
#include <errno.h>

static void put_zone(const char *root, const char *dir, const char *name, const char *energy,
                     const char *range)
{
    char path[256];
    snprintf(path, sizeof path, "sys/class/powercap/%s/name", dir);
    tree_put(root, path, name);
    snprintf(path, sizeof path, "sys/class/powercap/%s/energy_uj", dir);
    if (energy) tree_put(root, path, energy);
    snprintf(path, sizeof path, "sys/class/powercap/%s/max_energy_range_uj", dir);
    if (range) tree_put(root, path, range);
}

static void test_range(void **state)
{
    (void)state;
    static const struct {
        uint64_t max, range;
    } cases[] = {
        {0, 0},
        {262143328850, 262143328911},         /* 61035 nJ: 2^32 x 61.035 uJ = 262143328911.36 */
        {65712999613, 65712999629},           /* 15300 nJ: dram of servers */
        {65532610987, 65532611002},           /* 15258 nJ */
        {4294967295000000, 4294967296000000}, /* 1 J: psys of some servers */
        {137438953440, 137438953472},         /* 32000 nJ: Atom */
        {1000000, 1000001},                   /* not a kernel's: max + 1 values */
        {262143328851, 262143328852},         /* one beside a kernel's */
        {UINT64_MAX, 0},
        {UINT64_MAX - 1, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(me_zone_range(cases[i].max) == cases[i].range);
}

/* A raw 32-bit counter shown as the kernel shows it, followed over many wraps: the energy by the
 * range stays within 1 uJ + 0.5 uJ a wrap of the truth. */
static void test_range_is_the_kernels(void **state)
{
    (void)state;
    static const uint64_t units_nj[] = {15258, 15300, 30517, 32000, 61035, 122070, 1000000, 1000000000};
    for (size_t u = 0; u < sizeof units_nj / sizeof *units_nj; u++) {
        uint64_t unit = units_nj[u], range = me_zone_range(UINT64_C(4294967295) * unit / 1000);
        uint64_t raw = UINT64_C(4294967000), first = raw * unit / 1000, wraps = 0;
        for (int step = 0; step < 1000; step++) {
            uint64_t before = raw & UINT32_MAX;
            raw += UINT64_C(1234567891);
            if ((raw & UINT32_MAX) < before) wraps++;
            uint64_t shown = (raw & UINT32_MAX) * unit / 1000;
            double energy = (double)((__int128)shown - (__int128)first + (__int128)wraps * range);
            double truth = (double)((__int128)(raw - UINT64_C(4294967000)) * unit) / 1000;
            /* 1e-15 x the sum is what the doubles of this test are worth */
            assert_true(energy - truth <= 1 + 0.5 * (double)wraps + truth * 1e-15);
            assert_true(truth - energy <= 1 + 0.5 * (double)wraps + truth * 1e-15);
        }
        assert_true(wraps > 200);
    }
}

struct zone {
    const char *dir, *name, *energy;
};

/* Channels as "name=scope:package[!why]", joined by a blank; whatever counts has no "!". */
static void channels_text(const struct me_meter *meter, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < meter->channel_count; i++) {
        const struct me_channel *c = &meter->channels[i];
        used += (size_t)snprintf(text + used, size - used, "%s%s=%s:%d%s%s", i ? " " : "", c->name,
                                 me_scope_name(c->scope), c->package, c->counted ? "" : "!", c->why_not);
    }
}

static void test_zones(void **state)
{
    (void)state;
    static const struct {
        struct zone zones[8];
        const char *channels;
    } cases[] = {
        {{{"intel-rapl:0", "package-0\n", "5\n"}}, "package-0=package:0"},
        {{{"intel-rapl:0", "package-0\n", "5\n"},
          {"intel-rapl:0/intel-rapl:0:0", "core\n", "5\n"},
          {"intel-rapl:0/intel-rapl:0:1", "dram\n", "5\n"}}, /* nested only */
         "package-0=package:0 package-0/core=core:0!not added: its package covers it package-0/dram=dram:0"},
        {{{"intel-rapl:0", "package-0\n", "5\n"},
          {"intel-rapl:0:0", "dram\n", "5\n"},
          {"intel-rapl:0/intel-rapl:0:0", "dram\n", "5\n"}}, /* both */
         "package-0=package:0 package-0/dram=dram:0"},
        {{{"intel-rapl/intel-rapl:0", "package-0\n", "5\n"},
          {"intel-rapl/intel-rapl:0/intel-rapl:0:0", "dram\n", "5\n"}}, /* behind the control type */
         "package-0=package:0 package-0/dram=dram:0"},
        {{{"intel-rapl:1", "package-1\n", "6\n"},
          {"intel-rapl:0", "package-0\n", "5\n"},
          {"intel-rapl:0:0", "dram\n", "5\n"},
          {"intel-rapl:1:0", "dram\n", "5\n"}}, /* two sockets' dram */
         "package-0=package:0 package-0/dram=dram:0 package-1=package:1 package-1/dram=dram:1"},
        {{{"intel-rapl:a", "package-10\n", "5\n"},
          {"intel-rapl:9", "package-9\n", "6\n"},
          {"intel-rapl:1f", "package-31\n", "7\n"},
          {"intel-rapl:1f:10", "dram\n", "7\n"}}, /* hexadecimal */
         "package-9=package:9 package-10=package:10 package-31=package:31 package-31/dram=dram:31"},
        {{{"intel-rapl:0", "package-0\n", "5\n"}, {"intel-rapl:1", "psys\n", "9\n"}},
         "package-0=package:0!not added: the platform's meter covers it psys=platform:-1"},
        {{{"intel-rapl-mmio:0", "package-0\n", "5\n"}}, "mmio/package-0=package:0"}, /* alone it counts */
        {{{"intel-rapl-mmio:0", "package-0\n", "5\n"}, {"intel-rapl:0", "package-0\n", "4\n"}},
         "package-0=package:0 mmio/package-0=package:0!repeats package-0, by way of intel-rapl-mmio"},
        {{{"intel-rapl-mmio:0", "package-0\n", "5\n"}, {"intel-rapl:0", "package-0\n", "\n"}},
         "package-0=package:0!energy_uj: No data available mmio/package-0=package:0"}, /* the copy helps out */
        {{{"intel-rapl:0", "package-0-die-0\n", "5\n"}, {"intel-rapl:1", "package-0-die-1\n", "7\n"}},
         "package-0-die-0=package:0 package-0-die-1=package:0"}, /* two dies */
        {{{"intel-rapl:0", "package-0-die-0\n", "5\n"},
          {"intel-rapl:0:0", "dram\n", "8\n"},
          {"intel-rapl:1", "package-0-die-1\n", "5\n"},
          {"intel-rapl:1:0", "dram\n", "8\n"},
          {"intel-rapl:2", "package-1-die-0\n",
           "5\n"}}, /* one counter behind two dies; not that of package 1 */
         "package-0-die-0=package:0 package-0-die-0/dram=dram:0 "
         "package-0-die-1=package:0!mirrors package-0-die-0: one counter, shown twice "
         "package-0-die-1/dram=dram:0!mirrors package-0-die-0/dram: one counter, shown twice "
         "package-1-die-0=package:1"},
        {{{"intel-rapl:0", "package-0\n", "5\n"},
          {"intel-rapl:1", "package-1\n", "5\n"}}, /* packages never mirror */
         "package-0=package:0 package-1=package:1"},
        {{{"intel-rapl:0", "package-0\n", "5\n"}, {"intel-rapl:0:0", "dram\n", "0\n"}},
         "package-0=package:0 package-0/dram=dram:0!stands at 0: no meter behind it"},
        {{{"intel-rapl:0", "package-0\n", "5\n"}, {"other:0", "thing\n", "5\n"}},
         "package-0=package:0 other/thing=core:-1!a zone of unknown kind"},
        {{{"intel-rapl:0", "package-0\n", "5\n"},
          {"intel-rapl:1", "package-0\n", "6\n"}}, /* never one name twice */
         "package-0=package:0 package-0#2=package:0"},
        {{{"intel-rapl:0", "package-0\n", "5x\n"}, {"intel-rapl:1", "package-1\n", "6\n"}},
         "package-0=package:0!energy_uj: Invalid argument package-1=package:1"},
        {{{"intel-rapl:0", "package-0\n", "5\n"}, {"intel-rapl:1", "limits-only\n", NULL}},
         "package-0=package:0"},
        {{{"intel-rapl:0:0", "dram\n", "5\n"}}, "intel-rapl:0:0/dram=dram:-1"}, /* its parent is not shown */
        {{{"intel-rapl:0", "package-0\n", "5\n"},
          {"intel-rapl:x", "package-7\n", "5\n"},
          {"intel-rapl:", "x\n", "5\n"}},
         "package-0=package:0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128], text[1024];
        struct me_meter meter;
        struct me_error err;
        tree_make(root, sizeof root);
        for (const struct zone *z = cases[i].zones; z < cases[i].zones + 8 && z->dir; z++)
            put_zone(root, z->dir, z->name, z->energy, "262143328850\n");
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "powercap"}, &err), 0);
        channels_text(&meter, text, sizeof text);
        assert_string_equal(text, cases[i].channels);
        me_meter_close(&meter);
        tree_remove(root);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *name, *constraint0, *constraint1;
        double max_power_w;
    } cases[] = {
        {"package-0", NULL, NULL, 1000},
        {"package-0", "95000000\n", "0\n", 190},
        {"package-0", "95000000\n", "120000000\n", 240},
        {"package-0", "15000000\n", NULL, 100},
        {"package-0", "\n", "", 1000},
        {"package-0", "junk\n", NULL, 1000},
        {"package-0", "18446744073709551615\n", NULL, 1000},
        {"dram", NULL, NULL, 400},
        {"core", "\n", NULL, 1000},
        {"psys", NULL, NULL, 4000},
        {"dram", "64500000\n", NULL, 129},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128];
        struct me_meter meter;
        tree_make(root, sizeof root);
        put_zone(root, "intel-rapl:0", cases[i].name, "5\n", "262143328850\n");
        if (cases[i].constraint0)
            tree_put(root, "sys/class/powercap/intel-rapl:0/constraint_0_max_power_uw", cases[i].constraint0);
        if (cases[i].constraint1)
            tree_put(root, "sys/class/powercap/intel-rapl:0/constraint_1_max_power_uw", cases[i].constraint1);
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "powercap"}, NULL), 0);
        assert_true(meter.channels[0].max_power_w == cases[i].max_power_w);
        me_meter_close(&meter);
        tree_remove(root);
    }
}

/* What a reading makes of the file's text, while the descriptor stays open. */
static void test_readings(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
        uint64_t count;
    } cases[] = {
        {"0\n", 0, 0},
        {"12", 0, 12},
        {"262143328850\n", 0, 262143328850},
        {"18446744073709551615\n", 0, UINT64_MAX},
        {"18446744073709551616\n", ERANGE, 0},
        {"99999999999999999999\n", ERANGE, 0},
        {"", ENODATA, 0},
        {"\n", ENODATA, 0},
        {"-1\n", EINVAL, 0},
        {" 1\n", EINVAL, 0},
        {"1 \n", EINVAL, 0},
        {"1\n\n", EINVAL, 0},
        {"0x10\n", EINVAL, 0},
        {"1.5\n", EINVAL, 0},
        {"1e3\n", EINVAL, 0},
    };
    char root[128];
    struct me_meter meter;
    struct me_reading reading;
    tree_make(root, sizeof root);
    put_zone(root, "intel-rapl:0", "package-0\n", "7\n", "262143328850\n");
    assert_int_equal(
        me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "powercap"}, NULL), 0);
    assert_int_equal(meter.channels[0].provenance, ME_PROVENANCE_REPLAY);
    assert_true(meter.channels[0].range == 262143328911);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tree_put(root, "sys/class/powercap/intel-rapl:0/energy_uj", cases[i].text);
        me_meter_read(&meter, &reading);
        assert_int_equal(reading.state, cases[i].error ? ME_READING_FAILED : ME_READING_OK);
        assert_int_equal(reading.error, cases[i].error);
        if (!cases[i].error) assert_true(reading.count == cases[i].count);
    }
    me_meter_close(&meter);
    me_meter_close(&meter); /* twice is fine */
    me_meter_close(NULL);
    tree_remove(root);
}

static void test_failed_zone_stays(void **state)
{
    (void)state;
    char root[128];
    struct me_meter meter;
    struct me_reading readings[2];
    tree_make(root, sizeof root);
    put_zone(root, "intel-rapl:0", "package-0\n", NULL, "262143328850\n");
    tree_put(root, "sys/class/powercap/intel-rapl:0/energy_uj/x", ""); /* a directory: reading it is EISDIR */
    put_zone(root, "intel-rapl:1", "package-1\n", "9\n", "262143328850\n");
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = root}, NULL), 0);
    assert_int_equal(meter.channel_count, 2);
    assert_string_equal(meter.channels[0].why_not, "energy_uj: Is a directory");
    assert_false(meter.channels[0].counted);
    assert_true(meter.channels[1].counted);
    me_meter_read(&meter, readings);
    assert_int_equal(readings[0].state, ME_READING_FAILED);
    assert_int_equal(readings[0].error, EISDIR);
    assert_int_equal(readings[1].state, ME_READING_OK);
    assert_true(readings[1].count == 9);
    me_meter_close(&meter);
    tree_remove(root);
}

/* The counters are root's: the reason says so, and the cure names this user's group. */
static void test_denied(void **state)
{
    (void)state;
    char root[128], path[256];
    struct me_meter meter;
    tree_make(root, sizeof root);
    put_zone(root, "intel-rapl:0", "package-0\n", "9\n", "262143328850\n");
    put_zone(root, "intel-rapl:0:0", "core\n", "9\n", "262143328850\n");
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/sys/class/powercap/intel-rapl:0%s/energy_uj", root, i ? ":0" : "");
        assert_int_equal(chmod(path, 0), 0);
    }
    bool was_root = geteuid() == 0;
    if (was_root) assert_int_equal(seteuid(65534), 0);
    int rc = me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "powercap"}, NULL);
    if (was_root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, 0);
    assert_false(meter.sources[0].found);
    assert_int_equal(meter.channel_count, 0);
    assert_non_null(strstr(meter.sources[0].reason, "2 zones, but energy_uj is for root only"));
    assert_non_null(strstr(meter.sources[0].reason, "CAP_DAC_READ_SEARCH"));
    assert_non_null(strstr(meter.sources[0].cure, "sudo "));
    assert_non_null(strstr(meter.sources[0].cure, "chgrp"));
    assert_int_equal(meter.sources[0].cure[strlen(meter.sources[0].cure) - 1], '\''); /* not cut off */
    me_meter_close(&meter);
    tree_remove(root);
}

static void test_absent(void **state)
{
    (void)state;
    static const struct {
        const char *cpuinfo, *file, *link, *reason, *cure;
    } cases[] = {
        {"processor : 0\nmodel name : Intel(R) Xeon(R) CPU\n", NULL, NULL, "module for them is not loaded",
         "sudo modprobe intel_rapl_msr"},
        {"processor : 0\nmodel name : AMD EPYC\nflags : fpu hypervisor\n", NULL, NULL, "virtual machine", ""},
        {"processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0c\n", NULL, NULL, "no such counters", ""},
        {"processor : 0\nmodel name : Intel(R) Xeon(R) CPU\n", ".dockerenv", NULL, "a container hides it",
         "docker run -v /sys:/host/sys:ro"},
        {"processor : 0\nmodel name : Intel(R) Xeon(R) CPU\n", NULL, "intel-rapl:0",
         "lead nowhere: a container hides it", "docker run -v /sys:/host/sys:ro"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128], path[256];
        struct me_meter meter;
        tree_make(root, sizeof root);
        tree_put(root, "proc/cpuinfo", cases[i].cpuinfo);
        if (cases[i].file) tree_put(root, cases[i].file, "");
        if (cases[i].link) {
            tree_put(root, "sys/class/powercap/intel-rapl/enabled", "1\n");
            snprintf(path, sizeof path, "%s/sys/class/powercap/%s", root, cases[i].link);
            assert_int_equal(symlink("../../devices/virtual/powercap/intel-rapl/intel-rapl:0", path), 0);
        }
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "powercap"}, NULL), 0);
        assert_false(meter.sources[0].found);
        assert_non_null(strstr(meter.sources[0].reason, cases[i].reason));
        if (cases[i].cure[0])
            assert_non_null(strstr(meter.sources[0].cure, cases[i].cure));
        else
            assert_string_equal(meter.sources[0].cure, "");
        me_meter_close(&meter);
        tree_remove(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),    cmocka_unit_test(test_range_is_the_kernels),
        cmocka_unit_test(test_zones),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_readings), cmocka_unit_test(test_failed_zone_stays),
        cmocka_unit_test(test_denied),   cmocka_unit_test(test_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
