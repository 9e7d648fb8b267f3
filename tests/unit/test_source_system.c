/* The source system over trees of plain files, and over this machine. */
#include "../../src/source/system.h"
#include "me/clock.h"
#include "me/source.h"
#include "me_cmocka.h"
#include "tree.h"
#include <errno.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_stat(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
        uint64_t busy, steal;
    } cases[] = {
        {"cpu  1 20 300 4000 50000 600000 7000000 80000000 9 9\ncpu0 1\nctxt 5\n", 0, 7600321, 80000000},
        {"cpu 1 2 3 4 5 6 7\n", 0, 19, 0}, /* before Linux 2.6.11 */
        {"cpu  1 2 3 4 5 6\n", EINVAL, 0, 0},
        {"cpu0 1 2 3 4 5 6 7\n", EINVAL, 0, 0},
        {"cpu  1 2 3 -4 5 6 7\n", EINVAL, 0, 0},
        {"intr 1\n", EINVAL, 0, 0},
        {"", EINVAL, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct me_system_stat stat = {.busy_ticks = 0};
        assert_int_equal(me_system_parse_stat(cases[i].text, &stat), cases[i].error);
        assert_true(stat.busy_ticks == cases[i].busy && stat.steal_ticks == cases[i].steal);
    }
}

static void test_field(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
        int error;
        uint64_t value;
    } cases[] = {
        {"MemTotal:       24683656 kB\nMemFree: 7 kB\n", "MemTotal:", 0, 24683656},
        {"MemTotal:       24683656 kB\nMemFree: 7 kB\n", "MemFree:", 0, 7},
        {"MemTotal:       24683656 kB\n", "MemAvailable:", ENODATA, 0},
        {"xpgfault 1\npgfaults 2\npgfault 18446744073709551615\n", "pgfault", 0, UINT64_MAX},
        {"pgfault 18446744073709551616\n", "pgfault", EINVAL, 0},
        {"pgfault -1\n", "pgfault", EINVAL, 0},
        {"pgfault\n", "pgfault", ENODATA, 0},
        {"pgfault", "pgfault", ENODATA, 0},
        {"intr 5 6 7\nctxt 77\n", "ctxt", 0, 77},
        {"", "ctxt", ENODATA, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t value = 0;
        assert_int_equal(me_system_parse_field(cases[i].text, cases[i].name, &value), cases[i].error);
        assert_true(value == cases[i].value);
    }
}

static void test_disks(void **state)
{
    (void)state;
    static const char text[] = "   7       0 loop0 9 9 9 9 9 9 9 9 9 9 9 0 0 0 0\n"
                               "   8       0 sda 100 1 2048 5 200 2 4096 6 0 7 8\n" /* 11 columns: old */
                               "   8       1 sda1 100 1 2048 5 200 2 4096 6 0 7 8\n"
                               " 259       0 nvme0n1 1 0 8 0 1 0 16 0 0 0 0 0 0 0 0 0 0\n"
                               " 253       0 dm-0 1 0 8 0 1 0 16 0 0 0 0\n"
                               " 259       9 broken 1 0\n";
    static const struct {
        char disks[3][32];
        size_t count;
        int error;
        uint64_t in, out;
    } cases[] = {
        {{"sda"}, 1, 0, 2048 * 512, 4096 * 512},
        {{"sda", "nvme0n1"}, 2, 0, 2056 * 512, 4112 * 512},
        {{"sda", "nvme0n1", "sdb"}, 3, ENODEV, 0, 0}, /* pulled: the sum would fall */
        {{"sd"}, 1, ENODEV, 0, 0},
        {{"broken"}, 1, ENODEV, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char disks[3][32];
        uint64_t in = 0, out = 0;
        memcpy(disks, cases[i].disks, sizeof disks);
        assert_int_equal(me_system_parse_disks(text, disks, cases[i].count, &in, &out), cases[i].error);
        assert_true(in == cases[i].in && out == cases[i].out);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
        double celsius;
    } degrees[] = {
        {"45250\n", 0, 45.25},   {"-5000\n", 0, -5}, {"0\n", 0, 0},        {"-128000\n", ERANGE, 0},
        {"255000\n", ERANGE, 0}, {"", EINVAL, 0},    {"n/a\n", EINVAL, 0}, {"45 C\n", EINVAL, 0},
    };
    for (size_t i = 0; i < COUNT(degrees); i++) {
        double celsius = 0;
        assert_int_equal(me_system_parse_celsius(degrees[i].text, &celsius), degrees[i].error);
        assert_true(celsius == degrees[i].celsius);
    }
    double hz = 0;
    assert_int_equal(me_system_parse_mhz("cpu MHz\t\t: 2000.500\nx : 1\ncpu MHz\t\t: 1000.500\n", &hz), 0);
    assert_true(hz == 1500.5e6);
    assert_int_equal(me_system_parse_mhz("model name : cpu MHz\n", &hz), ENODATA);
    assert_int_equal(me_system_parse_mhz("cpu MHz : 0.000\n", &hz), ERANGE);
}

/* --- the source ---------------------------------------------------------------------------------- */

struct opened {
    char dir[128];
    struct me_root root;
    struct me_source source;
    struct me_reading readings[ME_SYSTEM_VALUES];
};

static void open_source(struct opened *o, const char *root)
{
    struct me_error err = {.text = ""};
    struct me_meter_options options = {.root = root};
    o->source = (struct me_source){.ops = &me_system_ops};
    assert_int_equal(me_root_open(&o->root, root, &err), 0);
    struct me_source_setup setup = {.root = &o->root, .live = me_root_is_live(&o->root), .options = &options};
    if (o->source.ops->open(&o->source, &setup, &err)) fail_msg("%s", err.text);
}

static void close_source(struct opened *o)
{
    if (o->source.found) o->source.ops->close(&o->source);
    me_root_close(&o->root);
}

static void test_nothing(void **state)
{
    (void)state;
    struct opened o;
    tree_make(o.dir, sizeof o.dir);
    open_source(&o, o.dir);
    assert_false(o.source.found);
    assert_true(o.source.reason[0]);
    assert_null(o.source.state);
    close_source(&o);
    tree_remove(o.dir);
}

static void put_server(const char *root)
{
    static const char *const files[][2] = {
        {"proc/stat", "cpu  100 20 30 4000 5 1 2 50 0 0\ncpu0 100\nintr 9 9\nctxt 1234\nbtime 1\n"},
        {"proc/meminfo", "MemTotal:        1000 kB\nMemFree:  100 kB\nMemAvailable:     400 kB\n"},
        {"proc/vmstat", "nr_free_pages 1\npgfault 555\npgmajfault 2\n"},
        {"proc/diskstats", "   8 0 sda 1 0 10 0 1 0 20 0 0 0 0\n   8 1 sda1 1 0 10 0 1 0 20 0 0 0 0\n"
                           "   7 0 loop0 1 0 99 0 1 0 99 0 0 0 0\n 259 0 nvme0n1 1 0 1 0 1 0 2 0 0 0 0\n"
                           " 259 1 nvme0c1n1 1 0 1 0 1 0 2 0 0 0 0\n"},
        {"sys/block/sda/device/type", "0\n"},
        {"sys/block/nvme0n1/device/model", "disk\n"},
        {"sys/block/nvme0c1n1/device/model", "disk\n"}, /* a path to it */
        {"sys/block/loop0/size", "8\n"},                /* moves bytes of sda */
        {"sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "3000000\n"},
        {"sys/devices/system/cpu/cpufreq/policy0/affected_cpus", "0 1 2\n"},
        {"sys/devices/system/cpu/cpufreq/policy3/scaling_cur_freq", "1000000\n"},
        {"sys/devices/system/cpu/cpufreq/policy3/affected_cpus", "3\n"},
        {"sys/class/hwmon/hwmon0/name", "nvme\n"},
        {"sys/class/hwmon/hwmon0/temp1_input", "99000\n"},
        {"sys/class/hwmon/hwmon1/name", "coretemp\n"},
        {"sys/class/hwmon/hwmon1/temp1_label", "Package id 0\n"},
        {"sys/class/hwmon/hwmon1/temp1_input", "51000\n"},
        {"sys/class/hwmon/hwmon1/temp2_label", "Core 0\n"},
        {"sys/class/hwmon/hwmon1/temp2_input", "90000\n"},
        {"sys/class/hwmon/hwmon2/name", "coretemp\n"},
        {"sys/class/hwmon/hwmon2/temp1_label", "Package id 1\n"},
        {"sys/class/hwmon/hwmon2/temp1_input", "52500\n"},
        {"sys/class/thermal/thermal_zone0/type", "x86_pkg_temp\n"}, /* the same sensor */
        {"sys/class/thermal/thermal_zone0/temp", "70000\n"},
        {"sys/class/net/eth0/device/vendor", "0x15b3\n"},
        {"sys/class/net/eth0/statistics/rx_bytes", "1000\n"},
        {"sys/class/net/eth0/statistics/tx_bytes", "2000\n"},
        {"sys/class/net/eth1/device/vendor", "0x15b3\n"},
        {"sys/class/net/eth1/statistics/rx_bytes", "1\n"},
        {"sys/class/net/eth1/statistics/tx_bytes", "2\n"},
        {"sys/class/net/eth0v0/device/physfn/vendor", "0x15b3\n"},
        {"sys/class/net/eth0v0/statistics/rx_bytes", "500\n"},
        {"sys/class/net/eth0v0/statistics/tx_bytes", "500\n"},
        {"sys/class/net/bond0/statistics/rx_bytes", "1001\n"},
        {"sys/class/net/bond0/statistics/tx_bytes", "2002\n"},
    };
    for (size_t i = 0; i < COUNT(files); i++) tree_put(root, files[i][0], files[i][1]);
}

static const struct me_reading *reading_of(const struct opened *o, const char *name)
{
    for (size_t i = 0; i < o->source.channel_count; i++)
        if (!strcmp(o->source.channels[i].name, name)) return &o->readings[i];
    return NULL;
}

static void expect_count(const struct opened *o, const char *name, uint64_t count)
{
    const struct me_reading *reading = reading_of(o, name);
    if (!reading || reading->state != ME_READING_OK) fail_msg("%s: no reading", name);
    if (reading->count != count) fail_msg("%s is %llu", name, (unsigned long long)reading->count);
}

static void expect_level(const struct opened *o, const char *name, double level)
{
    const struct me_reading *reading = reading_of(o, name);
    if (!reading || reading->state != ME_READING_OK) fail_msg("%s: no reading", name);
    if (reading->level != level) fail_msg("%s is %g", name, reading->level);
}

static void expect_failed(const struct opened *o, const char *name, int error)
{
    const struct me_reading *reading = reading_of(o, name);
    if (!reading || reading->state != ME_READING_FAILED) fail_msg("%s has not failed", name);
    assert_int_equal(reading->error, error);
}

static void test_server(void **state)
{
    (void)state;
    struct opened o;
    tree_make(o.dir, sizeof o.dir);
    put_server(o.dir);
    open_source(&o, o.dir);
    assert_true(o.source.found);
    assert_true(o.source.interval_s == 0.5);
    assert_int_equal(o.source.channel_count, 10); /* nobody steals from a real machine */
    for (size_t i = 0; i < o.source.channel_count; i++) {
        assert_true(o.source.channels[i].activity);
        assert_int_equal(o.source.channels[i].provenance, ME_PROVENANCE_REPLAY);
    }
    o.source.ops->read(&o.source, o.readings);
    uint64_t tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    expect_count(&o, "cpu-busy", 153 * tick_ns);
    expect_level(&o, "cpu-frequency", 2.5e9); /* three at 3 GHz, one at 1 GHz */
    expect_level(&o, "cpu-temperature", 52.5);
    expect_level(&o, "memory-used", 600 * 1024);
    expect_count(&o, "context-switches", 1234);
    expect_count(&o, "page-faults", 555);
    expect_count(&o, "disk-read", 11 * 512);
    expect_count(&o, "disk-written", 22 * 512);
    expect_count(&o, "net-received", 1001);
    expect_count(&o, "net-sent", 2002);
    assert_null(reading_of(&o, "cpu-steal"));
    close_source(&o);
    tree_remove(o.dir);
}

/* What goes away or turns into nonsense fails, each for itself, and comes back by itself. */
static void test_faults(void **state)
{
    (void)state;
    static const char path[] = "sys/class/hwmon/hwmon2/temp1_input";
    struct opened o;
    tree_make(o.dir, sizeof o.dir);
    put_server(o.dir);
    open_source(&o, o.dir);
    tree_put(o.dir, "proc/stat", "");
    tree_put(o.dir, "proc/diskstats", "   8 0 sda 1 0 10 0 1 0 20 0 0 0 0\n");
    tree_put(o.dir, "sys/class/net/eth1/statistics/rx_bytes", "gone\n");
    tree_put(o.dir, "sys/devices/system/cpu/cpufreq/policy3/scaling_cur_freq", "<unknown>\n");
    tree_put(o.dir, path, "255000\n");
    o.source.ops->read(&o.source, o.readings);
    expect_failed(&o, "cpu-busy", ENODATA);
    expect_failed(&o, "context-switches", ENODATA);
    expect_failed(&o, "disk-read", ENODEV);
    expect_failed(&o, "disk-written", ENODEV);
    expect_failed(&o, "net-received", EINVAL);
    expect_count(&o, "net-sent", 2002);
    expect_level(&o, "cpu-frequency", 3e9);
    expect_level(&o, "cpu-temperature", 51); /* the other package's */
    tree_put(o.dir, "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "0\n");
    tree_put(o.dir, "sys/class/hwmon/hwmon1/temp1_input", "\n");
    tree_put(o.dir, path, "\n");
    o.source.ops->read(&o.source, o.readings);
    expect_failed(&o, "cpu-temperature", ENODATA);
    assert_int_equal(reading_of(&o, "cpu-frequency")->state, ME_READING_FAILED);
    put_server(o.dir);
    tree_put(o.dir, "proc/meminfo", "MemTotal: 5 kB\nMemAvailable: 6 kB\n");
    o.source.ops->read(&o.source, o.readings);
    expect_failed(&o, "memory-used", ERANGE);
    expect_count(&o, "context-switches", 1234);
    expect_count(&o, "disk-read", 11 * 512);
    close_source(&o);
    tree_remove(o.dir);
}

struct file {
    const char *path, *text;
};

/* Which sensor stands for the processor, and which frequency is one. */
static void test_choice(void **state)
{
    (void)state;
    static const struct {
        struct file files[8];
        const char *channel;
        double level; /* 0: there is no such channel */
    } cases[] = {
        {{{"sys/class/hwmon/hwmon3/name", "k10temp\n"},
          {"sys/class/hwmon/hwmon3/temp1_label", "Tctl\n"},
          {"sys/class/hwmon/hwmon3/temp1_input", "87000\n"}, /* offset by 27 */
          {"sys/class/hwmon/hwmon3/temp2_label", "Tdie\n"},
          {"sys/class/hwmon/hwmon3/temp2_input", "60000\n"}},
         "cpu-temperature",
         60},
        {{{"sys/class/hwmon/hwmon3/name", "k10temp\n"},
          {"sys/class/hwmon/hwmon3/temp1_label", "Tctl\n"},
          {"sys/class/hwmon/hwmon3/temp1_input", "61000\n"},
          {"sys/class/hwmon/hwmon3/temp3_label", "Tccd1\n"},
          {"sys/class/hwmon/hwmon3/temp3_input", "65000\n"}},
         "cpu-temperature",
         61},
        {{{"sys/class/hwmon/hwmon3/name", "k10temp\n"}, {"sys/class/hwmon/hwmon3/temp1_input", "40000\n"}},
         "cpu-temperature",
         40},
        {{{"sys/class/hwmon/hwmon0/name", "cpu_thermal\n"},
          {"sys/class/hwmon/hwmon0/temp1_input", "45000\n"}},
         "cpu-temperature",
         45},
        {{{"sys/class/thermal/thermal_zone0/type", "acpitz\n"}, /* the board's */
          {"sys/class/thermal/thermal_zone0/temp", "27800\n"}},
         "cpu-temperature",
         0},
        {{{"sys/class/thermal/thermal_zone0/type", "acpitz\n"},
          {"sys/class/thermal/thermal_zone0/temp", "27800\n"},
          {"sys/class/thermal/thermal_zone11/type", "x86_pkg_temp\n"},
          {"sys/class/thermal/thermal_zone11/temp", "48000\n"}},
         "cpu-temperature",
         48},
        {{{"proc/cpuinfo", "processor : 0\nflags : fpu aperfmperf pni\ncpu MHz : 2000\n\n"
                           "processor : 1\nflags : fpu aperfmperf pni\ncpu MHz : 3000\n\n"}},
         "cpu-frequency",
         2.5e9},
        {{{"proc/cpuinfo", "processor : 0\nflags : fpu hypervisor\ncpu MHz : 2596.144\n\n"}}, /* a constant */
         "cpu-frequency",
         0},
        {{{"sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "800000\n"}}, "cpu-frequency", 8e8},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct opened o;
        tree_make(o.dir, sizeof o.dir);
        tree_put(o.dir, "proc/stat", "cpu  1 2 3 4 5 6 7\n");
        for (const struct file *file = cases[i].files; file->path; file++)
            tree_put(o.dir, file->path, file->text);
        open_source(&o, o.dir);
        assert_true(o.source.found);
        o.source.ops->read(&o.source, o.readings);
        if (cases[i].level != 0)
            expect_level(&o, cases[i].channel, cases[i].level);
        else
            assert_null(reading_of(&o, cases[i].channel));
        assert_null(reading_of(&o, "context-switches"));
        close_source(&o);
        tree_remove(o.dir);
    }
}

/* A machine of 256 processors: its proc/stat is longer than a page, and it is read the more rarely. */
static void test_large(void **state)
{
    (void)state;
    static char stat[64 * 1024], info[64 * 1024];
    struct opened o;
    size_t used = (size_t)snprintf(stat, sizeof stat, "cpu  1 2 3 4 5 6 7 0 0 0\n"), at = 0;
    for (int i = 0; i < 256; i++) {
        used += (size_t)snprintf(stat + used, sizeof stat - used, "cpu%d 22 33 44 55 66 77 88 99 0 0\n", i);
        at += (size_t)snprintf(info + at, sizeof info - at, "processor : %d\nflags : fpu hypervisor\n\n", i);
    }
    used += (size_t)snprintf(stat + used, sizeof stat - used, "intr");
    for (int i = 0; i < 4000; i++) used += (size_t)snprintf(stat + used, sizeof stat - used, " %d", i);
    snprintf(stat + used, sizeof stat - used, "\nctxt 987654321\n");
    tree_make(o.dir, sizeof o.dir);
    tree_put(o.dir, "proc/stat", stat);
    tree_put(o.dir, "proc/cpuinfo", info);
    open_source(&o, o.dir);
    assert_true(o.source.interval_s == 1);
    o.source.ops->read(&o.source, o.readings);
    expect_count(&o, "context-switches", 987654321);
    assert_non_null(reading_of(&o, "cpu-steal")); /* a virtual machine */
    close_source(&o);
    tree_remove(o.dir);
}

/* This machine: who works is seen to work. */
static void test_here(void **state)
{
    (void)state;
    struct opened o;
    open_source(&o, "/");
    assert_true(o.source.found);
    for (size_t i = 0; i < o.source.channel_count; i++)
        assert_int_equal(o.source.channels[i].provenance, ME_PROVENANCE_LIVE);
    o.source.ops->read(&o.source, o.readings);
    uint64_t busy = reading_of(&o, "cpu-busy")->count, switches = reading_of(&o, "context-switches")->count;
    for (int i = 0; i < 50; i++) me_clock_sleep_until(me_clock_mono_ns() + 500000);
    int64_t begin_ns = me_clock_thread_cpu_ns();
    while (me_clock_thread_cpu_ns() - begin_ns < 300 * 1000 * 1000) {
    }
    o.source.ops->read(&o.source, o.readings);
    assert_true(reading_of(&o, "cpu-busy")->count - busy > 200 * 1000 * 1000); /* ticks of 10 ms */
    assert_true(reading_of(&o, "context-switches")->count - switches >= 50);
    assert_true(reading_of(&o, "memory-used")->level > 1e6);
    close_source(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stat),    cmocka_unit_test(test_field),   cmocka_unit_test(test_disks),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_nothing), cmocka_unit_test(test_server),
        cmocka_unit_test(test_faults),  cmocka_unit_test(test_choice),  cmocka_unit_test(test_large),
        cmocka_unit_test(test_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
