/* The source perf: the texts of sysfs; recorded units; and, behind the rig's files, real events of the
 * kernel. A software event of type 1 counts the nanoseconds of a CPU, which a scale turns into watts. */
#include "me_cmocka.h"

#include "../../src/source/counters.h"
#include "../../src/source/perf.h"
#include "../../src/source/rights.h"
#include "me/clock.h"
#include "me/series.h"
#include "me_rig.h"
#include <errno.h>
#include <grp.h>
#include <math.h>

#define UNIT "sys/bus/event_source/devices/power"
#define CORE "sys/bus/event_source/devices/power_core"

static void test_cpus(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int count;
        unsigned cpus[4];
    } cases[] = {
        {"0", 1, {0}},
        {"0\n", 1, {0}},
        {"0,18", 2, {0, 18}},
        {"0-1", 2, {0, 1}},
        {"0-2,8", 4, {0, 1, 2, 8}},
        {"0-1023", 1024, {0, 1, 2, 3}},
        {"", -1, {0}},
        {",", -1, {0}},
        {"0,", -1, {0}},
        {"0-", -1, {0}},
        {"3-1", -1, {0}},
        {"-1", -1, {0}},
        {"0 1", -1, {0}},
        {"a", -1, {0}},
        {"0x1", -1, {0}},
        {"0-4294967295", -1, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned cpus[4] = {0};
        assert_int_equal(me_perf_parse_cpus(cases[i].text, cpus, 4), cases[i].count);
        for (int c = 0; c < cases[i].count && c < 4; c++) assert_int_equal(cpus[c], cases[i].cpus[c]);
    }
}

static void test_terms(void **state)
{
    (void)state;
    static const struct {
        const char *text, *names;
        uint64_t values[3];
        int rc;
    } cases[] = {
        {"event=0x02", "event ", {2}, 0},
        {"event=0x02\n", "event ", {2}, 0},
        {"event=2,umask=0x10", "event umask ", {2, 16}, 0},
        {"event=0xFFFFFFFFFFFFFFFF", "event ", {UINT64_MAX}, 0},
        {"edge,event=1", "edge event ", {1, 1}, 0},
        {"", "", {0}, 0},
        {"event=", "", {0}, -1},
        {"event=0x", "", {0}, -1},
        {"event=-1", "", {0}, -1},
        {"event=1;2", "", {0}, -1},
        {"event=0x10000000000000000", "", {0}, -1},
        {"=1", "", {0}, -1},
        {"event=1,,umask=1", "event ", {1}, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = cases[i].text;
        char name[16], names[64] = "";
        uint64_t value;
        int rc, n = 0;
        while ((rc = me_perf_next_term(&at, name, sizeof name, &value)) > 0) {
            assert_true(value == cases[i].values[n++]);
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", name);
        }
        assert_int_equal(rc, cases[i].rc);
        assert_string_equal(names, cases[i].names);
    }
}

static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        uint64_t value;
        int rc;
        uint64_t words[3];
    } cases[] = {
        {"config:0-7", 2, 0, {2}},
        {"config:0-7\n", 255, 0, {255}},
        {"config:8-15", 1, 0, {256}},
        {"config1:0-63", UINT64_MAX, 0, {0, UINT64_MAX}},
        {"config2:3", 1, 0, {0, 0, 8}},
        {"config:0-3,8-11", 0x25, 0, {0x205}},
        {"config:0-7", 256, -1, {0}}, /* does not fit */
        {"config:0-3,8", 0x25, -1, {0}},
        {"config3:0-7", 1, -1, {0}},
        {"config:7-0", 1, -1, {0}},
        {"config:0-64", 1, -1, {0}},
        {"config", 1, -1, {0}},
        {"konfig:0-7", 1, -1, {0}},
        {"", 1, -1, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_perf_config config = {{0}};
        assert_int_equal(me_perf_place_term(cases[i].format, cases[i].value, &config), cases[i].rc);
        assert_memory_equal(config.words, cases[i].words, sizeof config.words);
    }
}

/* 2^-32 J is 15625 / 2^26 uJ. */
static uint64_t exact_uj(uint64_t count)
{
    __extension__ unsigned __int128 product = (unsigned __int128)count * 15625;
    return (uint64_t)(product >> 26);
}

/* The kernel's scale loses nothing over all 64 bits. */
static void test_scale_is_exact(void **state)
{
    (void)state;
    struct me_perf_scale scale;
    uint64_t uj, count = 1;
    assert_int_equal(me_perf_parse_scale("2.3283064365386962890625e-10", &scale), 0);
    for (int i = 0; i < 200000; i++) {
        assert_int_equal(me_perf_uj(scale, count, &uj), 0);
        assert_true(uj == exact_uj(count));
        count = count * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    }
    const uint64_t edges[] = {0, 1, 4294, 4295, 4294967296, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        assert_int_equal(me_perf_uj(scale, edges[i], &uj), 0);
        assert_true(uj == exact_uj(edges[i]));
    }
}

static void test_scales(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        uint64_t count, uj; /* to 1 uJ in what a decimal that is no power of two can do */
    } cases[] = {
        {"2.3283064365386962890625e-10", 0, 4294967296, 1000000},
        {"2.3283064365386962890625e-10\n", 0, 4294967296, 1000000},
        {"2.3283064365386963e-10", 0, UINT64_C(1) << 62, UINT64_C(1073741824000000)},
        {"1e-6", 0, UINT64_MAX, UINT64_MAX},
        {"0.000001", 0, 12345, 12345},
        {"5e-8", 0, 1000000000, 50000000},
        {"1", 0, 3, 3000000},
        {"1E+0", 0, 3, 3000000},
        {".5", 0, 3, 1500000},
        {"0", -1, 0, 0},
        {"-1e-6", -1, 0, 0},
        {"1e", -1, 0, 0},
        {"1e-", -1, 0, 0},
        {"1.2.3", -1, 0, 0},
        {".", -1, 0, 0},
        {"", -1, 0, 0},
        {"nan", -1, 0, 0},
        {"inf", -1, 0, 0},
        {"0x1p-32", -1, 0, 0},
        {"1e-6x", -1, 0, 0},
        {"1e-50", -1, 0, 0},
        {"1e50", -1, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_perf_scale scale;
        uint64_t uj = 0;
        assert_int_equal(me_perf_parse_scale(cases[i].text, &scale), cases[i].rc);
        if (cases[i].rc) continue;
        assert_int_equal(me_perf_uj(scale, cases[i].count, &uj), 0);
        assert_true(uj <= cases[i].uj && cases[i].uj - uj <= 1);
    }
    struct me_perf_scale joule;
    uint64_t uj = 7;
    assert_int_equal(me_perf_parse_scale("1", &joule), 0);
    assert_int_equal(me_perf_uj(joule, UINT64_MAX, &uj), ERANGE);
    assert_true(uj == 7);
}

static void test_rights(void **state)
{
    (void)state;
    struct me_rights rights;
    me_rights_parse("Name:\tme\nCapInh:\t0000000000000000\nCapEff:\t0000004000020000\nSeccomp:\t2\n",
                    &rights);
    assert_true(me_rights_has(&rights, 38) && me_rights_has(&rights, 17) && !me_rights_has(&rights, 21));
    assert_true(rights.is_filtered);
    me_rights_parse("CapEff:\t0\nSeccomp:\t0\nSeccomp_filters:\t2\n", &rights);
    assert_true(!rights.capabilities && !rights.is_filtered);
    me_rights_parse("", &rights);
    assert_true(!rights.capabilities && !rights.is_filtered);
}

/* --- a source of two counters that are what the test makes of them ---------------------------- */

struct pair {
    uint64_t reads, time, tick;
    uint64_t rate[2], offset[2];
    bool fails;
};

static void read_pair(struct me_source *source, struct me_reading *readings)
{
    struct pair *pair = source->state;
    if (pair->reads++ % 2 == 0) pair->time += 600; /* there is a rest before each two readings */
    for (size_t i = 0; i < source->channel_count; i++) {
        uint64_t now = pair->time++ / pair->tick * pair->tick;
        readings[i] = (struct me_reading){.state = pair->fails ? ME_READING_FAILED : ME_READING_OK};
        readings[i].count = pair->offset[i] + pair->rate[i] * now;
    }
}

static void test_mirrors(void **state)
{
    (void)state;
    static const struct {
        struct pair pair;
        bool is_mirror;
    } cases[] = {
        {{.tick = 1, .rate = {50, 50}}, true},
        {{.tick = 1, .rate = {50, 50}, .offset = {0, 1000000}}, true}, /* opened at another moment */
        {{.tick = 7, .rate = {50, 50}, .offset = {5, 3}}, true},
        {{.tick = 7, .rate = {50, 55}}, false},
        {{.tick = 7, .rate = {50, 200}, .offset = {5, 3}}, false},
        {{.tick = 200, .rate = {50, 51}}, false},
        {{.tick = 7, .rate = {50, 0}}, false},
        {{.tick = 7, .rate = {0, 50}}, false},
        {{.tick = 7, .rate = {0, 0}, .offset = {5, 5}}, false}, /* they do not move: not known */
        {{.tick = 1, .rate = {50, 50}, .fails = true}, false},
    };
    static const struct me_source_ops ops = {.name = "pair", .read = read_pair};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair pair = cases[i].pair;
        struct me_channel channels[2] = {{.kind = ME_KIND_COUNTER}, {.kind = ME_KIND_COUNTER}};
        struct me_source source = {.ops = &ops, .channels = channels, .channel_count = 2, .state = &pair};
        struct me_reading scratch[8];
        assert_int_equal(me_counters_is_mirror(&source, 0, 1, scratch), cases[i].is_mirror);
    }
}

/* --- sysfs ------------------------------------------------------------------------------------ */

/* Channels as "name=scope:package[!why]", joined by a blank. */
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

static void put_event(const char *root, const char *unit, const char *event, const char *code)
{
    char path[256];
    snprintf(path, sizeof path, "%s/events/%s", unit, event);
    tree_put(root, path, code);
    snprintf(path, sizeof path, "%s/events/%s.scale", unit, event);
    tree_put(root, path, "2.3283064365386962890625e-10\n");
    snprintf(path, sizeof path, "%s/events/%s.unit", unit, event);
    tree_put(root, path, "Joules\n");
}

static void put_place(const char *root, int cpu, const char *package, const char *die)
{
    char path[128];
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
    tree_put(root, path, package);
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/die_id", cpu);
    if (die) tree_put(root, path, die);
}

static void open_perf(struct me_meter *meter, const char *root)
{
    struct me_error err;
    if (me_meter_open(meter, &(struct me_meter_options){.root = root, .only = "perf"}, &err))
        fail_msg("%s", err.text);
}

static void test_replay(void **state)
{
    (void)state;
    static const struct {
        const char *mask, *packages[4], *dies[4]; /* of CPUs 0, 1, 2 and 3 */
        const char *cpuinfo, *events[6], *core_mask, *channels;
    } cases[] = {
        {"0\n",
         {"0\n"},
         {"0\n"},
         "",
         {"energy-ram", "energy-pkg"},
         NULL,
         "package-0=package:0 package-0/dram=dram:0"},
        {"0,2\n",
         {"1\n", "1\n", "0\n"},
         {0},
         "",
         {"energy-pkg"},
         NULL, /* where CPU 0 is in package 1 */
         "package-1=package:1 package-0=package:0"},
        {"0,18\n", {0}, {0}, "", {"energy-pkg"}, NULL, "package-0=package:0 package-1=package:1"},
        {"0\n",
         {"0\n"},
         {"0\n"},
         "",
         {"energy-psys", "energy-gpu", "energy-cores", "energy-pkg"},
         NULL,
         "package-0=package:0!not added: the platform's meter covers it "
         "package-0/core=core:0!not added: the platform's meter covers it "
         "package-0/uncore=core:0!not added: the platform's meter covers it psys=platform:-1"},
        {"0-1\n",
         {"0\n", "1\n"},
         {"0\n", "0\n"},
         "",
         {"energy-psys", "energy-pkg"},
         NULL,
         "package-0=package:0!not added: the platform's meter covers it "
         "package-1=package:1!not added: the platform's meter covers it psys=platform:-1 "
         "psys-1=platform:-1!taken for the same meter as psys"},
        {"0-3\n",
         {"0\n", "0\n", "1\n", "1\n"},
         {"0\n", "1\n", "0\n", "1\n"},
         "",
         {"energy-pkg"},
         NULL,
         "package-0-die-0=package:0 package-0-die-1=package:0 "
         "package-1-die-0=package:1 package-1-die-1=package:1"},
        {"0-1\n",
         {"0\n", "0\n"},
         {"0\n", "1\n"}, /* dies of AMD show their package's counter */
         "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n",
         {"energy-pkg"},
         NULL,
         "package-0-die-0=package:0 package-0-die-1=package:0!package-0-die-0 again, by way of another CPU"},
        {"0-1\n",
         {"0\n", "0\n"},
         {"0\n", "0\n"},
         "",
         {"energy-pkg"},
         NULL,
         "package-0-die-0=package:0 perf/package-0-die-0=package:0!package-0-die-0 again, by way of another "
         "CPU"},
        {"0\n",
         {"0\n", "0\n"},
         {"0\n", "0\n"},
         "",
         {"energy-pkg"},
         "0-1\n",
         "package-0=package:0 package-0/core=core:0!not added: its package covers it"},
        {"0\n", {"0\n"}, {"0\n"}, "", {"energy-pkg"}, "0-63\n", "package-0=package:0"}, /* too many to ask */
        {"0\n",
         {"0\n"},
         {"0\n"},
         "",
         {"energy-new", "energy-pkg"},
         NULL,
         "package-0=package:0 package-0/new=core:0!energy-new: an event of unknown kind"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128], text[1024];
        struct me_meter meter;
        struct me_reading readings[16];
        tree_make(root, sizeof root);
        tree_put(root, UNIT "/type", "20\n");
        tree_put(root, UNIT "/cpumask", cases[i].mask);
        tree_put(root, "proc/cpuinfo", cases[i].cpuinfo);
        for (int e = 0; e < 6 && cases[i].events[e]; e++)
            put_event(root, UNIT, cases[i].events[e], "event=0x02\n");
        for (int c = 0; c < 4 && cases[i].packages[c]; c++)
            put_place(root, c, cases[i].packages[c], cases[i].dies[c]);
        if (cases[i].core_mask) {
            tree_put(root, CORE "/type", "21\n");
            tree_put(root, CORE "/cpumask", cases[i].core_mask);
            put_event(root, CORE, "energy-core", "event=0x01\n");
        }
        open_perf(&meter, root);
        channels_text(&meter, text, sizeof text);
        assert_string_equal(text, cases[i].channels);
        me_meter_read(&meter, readings);
        for (size_t c = 0; c < meter.channel_count; c++) { /* never an event of the machine that looks on */
            assert_int_equal(meter.channels[c].provenance, ME_PROVENANCE_REPLAY);
            assert_int_equal(readings[c].state, ME_READING_FAILED);
            assert_int_equal(readings[c].error, ENODEV);
        }
        me_meter_close(&meter);
        tree_remove(root);
    }
}

static void test_absent(void **state)
{
    (void)state;
    static const struct {
        const char *path, *text, *cpuinfo, *reason, *cure;
    } cases[] = {
        {"sys/x", "", "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n", "module is not loaded",
         "sudo modprobe rapl"},
        {"proc/sys/kernel/osrelease", "4.18.0-553.el8_10.x86_64\n",
         "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n", "module is not loaded",
         "sudo modprobe intel_rapl_perf"},
        {"sys/x", "", "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nflags\t\t: fpu hypervisor\n",
         "a virtual machine", ""},
        {"sys/x", "", "CPU implementer\t: 0x41\n", "no energy events", ""},
        {".dockerenv", "", "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n",
         "a container hides it", "docker run -v /sys:/host/sys:ro"},
        {UNIT "/type", "20\n", "", "no energy events", ""}, /* neither mask nor events */
        {UNIT "/type", "many\n", "", "Invalid argument", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128];
        struct me_meter meter;
        tree_make(root, sizeof root);
        tree_put(root, cases[i].path, cases[i].text);
        tree_put(root, "proc/cpuinfo", cases[i].cpuinfo);
        open_perf(&meter, root);
        assert_false(meter.sources[0].found);
        assert_non_null(strstr(meter.sources[0].reason, cases[i].reason));
        assert_true(!strncmp(meter.sources[0].cure, cases[i].cure, strlen(cases[i].cure)));
        assert_int_equal(!meter.sources[0].cure[0], !cases[i].cure[0]);
        me_meter_close(&meter);
        tree_remove(root);
    }
}

/* --- real events, behind the rig's files ------------------------------------------------------- */

#define FILE_OF(path, text) "-f", path ",text=" text
#define EVENT(unit, name, code, scale)                                                                       \
    FILE_OF(unit "/events/" name, "event=" code), FILE_OF(unit "/events/" name ".scale", scale),             \
        FILE_OF(unit "/events/" name ".unit", "Joules")
#define BASE FILE_OF(UNIT "/type", "1"), FILE_OF(UNIT "/format/event", "config:0-7")
#define PLACE(cpu, die)                                                                                      \
    FILE_OF("sys/devices/system/cpu/cpu" cpu "/topology/physical_package_id", "0"),                          \
        FILE_OF("sys/devices/system/cpu/cpu" cpu "/topology/die_id", die)

/* 5e-8 J a nanosecond are 50 W. */
static void test_known_power(void **state)
{
    (void)state;
    static const char *const words[] = {BASE, FILE_OF(UNIT "/cpumask", "0"),
                                        EVENT(UNIT, "energy-pkg", "0x00", "5e-8"),
                                        EVENT(UNIT, "energy-ram", "0x00", "1.25e-8"), NULL};
    static const double power_w[] = {50, 12.5};
    struct served served;
    struct me_meter meter;
    struct me_series series;
    struct me_reading readings[2];
    served_begin(&served, words);
    open_perf(&meter, served.root);
    assert_int_equal(meter.channel_count, 2);
    assert_int_equal(meter.channels[0].provenance, ME_PROVENANCE_FAKE);
    assert_true(meter.channels[0].counted && meter.channels[1].counted);
    assert_true(meter.channels[0].range == 0 && meter.channels[0].interval_s == 0);
    me_series_init(&series, 2);
    int64_t slowest_ns = 0;
    for (int i = 0; i < 20; i++) {
        int64_t before = me_clock_mono_ns();
        me_meter_read(&meter, readings);
        int64_t after = me_clock_mono_ns();
        if (after - before > slowest_ns) slowest_ns = after - before;
        assert_int_equal(me_series_append(&series, before, readings, NULL), 0);
        me_clock_sleep_until(after + 20 * 1000000);
    }
    double span_s = me_ns_to_s(series.time_ns[19] - series.time_ns[0]), slow_s = me_ns_to_s(slowest_ns);
    for (size_t c = 0; c < 2; c++) {
        struct me_energy energy;
        assert_int_equal(me_series_energy(&series, &meter.channels[c], c, 0, 19, &energy), ME_FAULT_NONE);
        assert_true(fabs(me_energy_j(energy) - power_w[c] * span_s) <= power_w[c] * (0.001 + slow_s));
    }
    me_series_release(&series);
    me_meter_close(&meter);
    served_end(&served);
}

/* Two dies behind which one clock ticks are one counter; and the kernel refuses one event of two. */
static void test_dies_and_a_broken_event(void **state)
{
    (void)state;
    static const char *const words[] = {BASE,
                                        PLACE("0", "0"),
                                        PLACE("1", "1"),
                                        FILE_OF(UNIT "/cpumask", "0-1"),
                                        EVENT(UNIT, "energy-pkg", "0x00", "5e-8"),
                                        EVENT(UNIT, "energy-ram", "0xee", "5e-8"),
                                        NULL};
    struct served served;
    struct me_meter meter;
    struct me_reading readings[4];
    char text[512];
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) skip();
    served_begin(&served, words);
    open_perf(&meter, served.root);
    channels_text(&meter, text, sizeof text);
    assert_string_equal(text, "package-0-die-0=package:0 "
                              "package-0-die-0/dram=dram:0!energy-ram on CPU 0: No such file or directory "
                              "package-0-die-1=package:0!mirrors package-0-die-0: one counter, shown twice "
                              "package-0-die-1/dram=dram:0!energy-ram on CPU 1: No such file or directory");
    me_meter_read(&meter, readings);
    assert_int_equal(readings[0].state, ME_READING_OK);
    assert_int_equal(readings[1].state, ME_READING_FAILED);
    assert_int_equal(readings[1].error, ENOENT);
    me_meter_close(&meter);
    served_end(&served);
}

/* An event that stays 0 (7: alignment faults, which x86 does not have) has no meter behind it; and the
 * cores of a package add up. */
static void test_dead_and_cores(void **state)
{
    (void)state;
    static const char *const words[] = {BASE,
                                        PLACE("0", "0"),
                                        PLACE("1", "0"),
                                        FILE_OF(UNIT "/cpumask", "0"),
                                        EVENT(UNIT, "energy-pkg", "0x00", "5e-8"),
                                        EVENT(UNIT, "energy-ram", "0x07", "5e-8"),
                                        FILE_OF(CORE "/type", "1"),
                                        FILE_OF(CORE "/cpumask", "0-1"),
                                        EVENT(CORE, "energy-core", "0x00", "1e-8"),
                                        NULL};
    struct served served;
    struct me_meter meter;
    struct me_reading before[3], after[3];
    char text[512];
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) skip();
    served_begin(&served, words);
    open_perf(&meter, served.root);
    channels_text(&meter, text, sizeof text);
    assert_string_equal(text, "package-0=package:0 "
                              "package-0/dram=dram:0!stands at 0: no meter behind it "
                              "package-0/core=core:0!not added: its package covers it");
    me_meter_read(&meter, before);
    me_clock_sleep_until(me_clock_mono_ns() + 200000000);
    me_meter_read(&meter, after);
    double package = (double)(after[0].count - before[0].count);
    double cores = (double)(after[2].count - before[2].count); /* 2 x 10 W beside 50 W */
    assert_true(fabs(cores / package - 0.4) < 0.02);
    me_meter_close(&meter);
    served_end(&served);
}

/* What powercap shows too counts once, as an event. */
static void test_twins(void **state)
{
    (void)state;
    static const char *const words[] = {BASE,
                                        FILE_OF(UNIT "/cpumask", "0"),
                                        EVENT(UNIT, "energy-pkg", "0x00", "5e-8"),
                                        "-p",
                                        "sys/class/powercap",
                                        "-z",
                                        "intel-rapl:0,name=package-0,power=50",
                                        "-z",
                                        "intel-rapl:0:0,name=dram,power=5",
                                        NULL};
    struct served served;
    struct me_meter meter;
    char text[512];
    served_begin(&served, words);
    assert_int_equal(
        me_meter_open(&meter, &(struct me_meter_options){.root = served.root, .only = "perf,powercap"}, NULL),
        0);
    channels_text(&meter, text, sizeof text);
    assert_string_equal(text, "package-0=package:0 "
                              "powercap/package-0=package:0!not added: the same as package-0 of perf "
                              "package-0/dram=dram:0");
    me_meter_close(&meter);
    served_end(&served);
}

static bool tells_who_denies(const char *cure, bool is_container)
{
    if (is_container)
        return strstr(cure, "--cap-add PERFMON --security-opt seccomp=unconfined --user root ") &&
               strstr(cure, "; --cap-add SYS_ADMIN where the engine does not know PERFMON)");
    return strstr(cure, "sudo setcap cap_perfmon=ep /") ||
           !strcmp(cure, "sudo sysctl kernel.perf_event_paranoid=0");
}

/* What a user without rights is told. The child has no capability and is nobody. */
static void check_denied(const char *const *words, bool is_container)
{
    struct served served;
    char level[8] = "";
    FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "r");
    if (!file || !fgets(level, sizeof level, file)) fail();
    fclose(file);
    if (atoi(level) < 1) {
        print_message("perf_event_paranoid is below 1: nothing is denied here\n");
        return;
    }
    served_begin(&served, words);
    pid_t pid = fork();
    if (!pid) {
        struct me_meter meter;
        int status = 0;
        if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) _exit(9);
        if (me_meter_open(&meter, &(struct me_meter_options){.root = served.root, .only = "perf"}, NULL))
            _exit(8);
        const struct me_source *source = &meter.sources[0];
        if (source->found || source->channel_count) status |= 1;
        if (!strstr(source->reason, "perf_event_paranoid is 2")) status |= 2;
        if (!tells_who_denies(source->cure, is_container)) status |= 4;
        if (status) fprintf(stderr, "%s\n%s\n", source->reason, source->cure);
        me_meter_close(&meter);
        _exit(status);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    served_end(&served);
}

static void test_denied(void **state)
{
    (void)state;
    static const char *const words[] = {BASE, FILE_OF(UNIT "/cpumask", "0"),
                                        FILE_OF("proc/sys/kernel/perf_event_paranoid", "2"),
                                        EVENT(UNIT, "energy-pkg", "0x00", "5e-8"), NULL};
    static const char *const container[] = {BASE,
                                            FILE_OF(UNIT "/cpumask", "0"),
                                            FILE_OF("proc/sys/kernel/perf_event_paranoid", "2"),
                                            FILE_OF("run/systemd/container", "docker"),
                                            EVENT(UNIT, "energy-pkg", "0x00", "5e-8"),
                                            NULL};
    check_denied(words, false);
    check_denied(container, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_scale_is_exact),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_mirrors),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_known_power),
        cmocka_unit_test(test_dies_and_a_broken_event),
        cmocka_unit_test(test_dead_and_cores),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
