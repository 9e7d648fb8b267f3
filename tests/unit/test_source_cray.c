/* The source cray: its texts, trees of plain files, and counters of known power that scan ten times a
 * second (tests/rig). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "../../src/source/cray.h"
#include "me/clock.h"
#include "tree.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define PM "sys/cray/pm_counters/"

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *unit;
        int error;
        uint64_t micro;
    } cases[] = {
        {"1360621494 J 1734094386309238 us\n", "J", 0, 1360621494000000},
        {"1360621494 J 1734094386309238 us", "J", 0, 1360621494000000},
        {"873 W 1734094386309238 us\n", "W", 0, 873000000},
        {"0 W\n", "W", 0, 0}, /* power_cap has no time stamp */
        {"7 J", "J", 0, 7000000},
        {"18446744073709 J 1 us", "J", 0, 18446744073709000000u},
        {"18446744073710 J 1 us", "J", ERANGE, 0},
        {"99999999999999999999 J 1 us", "J", ERANGE, 0},
        {"873 W 1 us", "J", EPROTO, 0},
        {"873 J 1 us", "W", EPROTO, 0},
        {"873 kJ 1 us", "J", EPROTO, 0},
        {"873 JJ 1 us", "J", EPROTO, 0},
        {"873 J 1 ms", "J", EPROTO, 0},
        {"873 J 1", "J", EPROTO, 0},
        {"873 J us", "J", EPROTO, 0},
        {"873 J 1 us 2", "J", EPROTO, 0},
        {"873 J\n\n", "J", EPROTO, 0},
        {"873J", "J", EPROTO, 0},
        {"873", "J", EPROTO, 0},
        {"-1 J 1 us", "J", EPROTO, 0},
        {" 1 J 1 us", "J", EPROTO, 0},
        {"1.5 J 1 us", "J", EPROTO, 0},
        {"0x10 J 1 us", "J", EPROTO, 0},
        {"", "J", EPROTO, 0},
        {"\n", "J", EPROTO, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t micro = 0;
        int error = me_cray_parse(cases[i].text, cases[i].unit, &micro);
        if (error != cases[i].error || micro != cases[i].micro)
            fail_msg("\"%s\": %d %llu", cases[i].text, error, (unsigned long long)micro);
    }
}

struct bench {
    char dir[64];
    struct me_root root;
    struct me_meter_options options;
    struct me_source source;
};

static void bench_open(struct bench *bench, const char *root)
{
    struct me_error err = {.text = ""};
    bench->source = (struct me_source){.ops = &me_cray_ops};
    if (me_root_open(&bench->root, root, &err)) fail_msg("%s", err.text);
    struct me_source_setup setup = {.root = &bench->root, .options = &bench->options};
    if (me_cray_ops.open(&bench->source, &setup, &err)) fail_msg("%s", err.text);
}

static void bench_close(struct bench *bench)
{
    if (bench->source.found) me_cray_ops.close(&bench->source);
    me_root_close(&bench->root);
}

/* "name=scope[!why]", joined by a blank. */
static void channels_text(const struct me_source *source, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < source->channel_count; i++) {
        const struct me_channel *c = &source->channels[i];
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s=%s%s%s", i ? " " : "", c->name, me_scope_name(c->scope),
                 c->why_not[0] ? "!" : "", c->why_not);
    }
}

static void test_channels(void **state)
{
    (void)state;
    static const struct {
        const char *files[8][2], *channels;
        double interval_s;
    } cases[] = {
        {{{"energy", "5 J 1 us\n"},
          {"power", "9 W 1 us\n"},
          {"cpu_energy", "2 J 1 us\n"},
          {"memory_energy", "0 J 1 us\n"},
          {"accel0_energy", "1 J 1 us\n"},
          {"accel3_energy", "1 J 1 us\n"},
          {"raw_scan_hz", "10\n"}},
         "node=node node-power=node!repeats node, whose counter is exact cpu=package memory=dram!stands at "
         "0: no "
         "meter behind it gpu-0=gpu gpu-3=gpu",
         0.1},
        {{{"energy", "garbage\n"}, {"power", "9 W 1 us\n"}, {"raw_scan_hz", "20\n"}},
         "node=node!energy: Protocol error node-power=node",
         0.05},
        {{{"energy", "5 W 1 us\n"}, {"cpu_energy", "2 J 1 us\n"}, {"raw_scan_hz", "0\n"}},
         "node=node!energy: Protocol error cpu=package",
         0.1},
        {{{"energy", "5 J 1 us\n"}}, "node=node", 0.1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench bench;
        char text[512], path[64];
        tree_make(bench.dir, sizeof bench.dir);
        for (size_t f = 0; f < 8 && cases[i].files[f][0]; f++) {
            snprintf(path, sizeof path, PM "%s", cases[i].files[f][0]);
            tree_put(bench.dir, path, cases[i].files[f][1]);
        }
        bench_open(&bench, bench.dir);
        assert_true(bench.source.found);
        channels_text(&bench.source, text, sizeof text);
        assert_string_equal(text, cases[i].channels);
        assert_true(bench.source.interval_s == cases[i].interval_s);
        bench_close(&bench);
        tree_remove(bench.dir);
    }
}

static void test_absent(void **state)
{
    (void)state;
    struct bench bench;
    tree_make(bench.dir, sizeof bench.dir);
    bench_open(&bench, bench.dir);
    assert_false(bench.source.found);
    assert_non_null(strstr(bench.source.reason, "no sys/cray/pm_counters"));
    bench_close(&bench);
    tree_put(bench.dir, PM "energy", "what\n");
    bench_open(&bench, bench.dir);
    assert_false(bench.source.found);
    assert_non_null(strstr(bench.source.reason, "none of its 1 counters can be read"));
    assert_string_equal(bench.source.cure, "");
    bench_close(&bench);
    char path[128];
    snprintf(path, sizeof path, "%s/" PM "energy", bench.dir);
    assert_int_equal(chmod(path, 0), 0);
    bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0);
    bench_open(&bench, bench.dir);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_false(bench.source.found);
    assert_string_equal(bench.source.cure, "sudo chmod a+r /sys/cray/pm_counters/*");
    bench_close(&bench);
    tree_remove(bench.dir);
}

/* Plain files stand still: after two seconds without a scan nothing is believed. */
static void test_stalled(void **state)
{
    (void)state;
    struct bench bench;
    struct me_reading reading;
    tree_make(bench.dir, sizeof bench.dir);
    tree_put(bench.dir, PM "energy", "5 J 1 us\n");
    tree_put(bench.dir, PM "freshness", "100\n");
    bench_open(&bench, bench.dir);
    me_cray_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_OK && reading.count == 5000000);
    me_clock_sleep_until(me_clock_mono_ns() + 2200 * INT64_C(1000000));
    me_cray_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_FAILED && reading.error == ETIMEDOUT);
    tree_put(bench.dir, PM "freshness", "101\n"); /* it is back */
    me_cray_ops.read(&bench.source, &reading);
    assert_int_equal(reading.state, ME_READING_OK);
    tree_put(bench.dir, PM "freshness", "what\n");
    me_cray_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_FAILED && reading.error == EINVAL);
    tree_put(bench.dir, PM "freshness", "102\n");
    tree_put(bench.dir, PM "energy", "5 W 1 us\n");
    me_cray_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_FAILED && reading.error == EPROTO);
    bench_close(&bench);
    tree_remove(bench.dir);
}

struct rig {
    char mount[64];
    pid_t pid;
};

static void rest_ms(int ms)
{
    me_clock_sleep_until(me_clock_mono_ns() + ms * INT64_C(1000000));
}

/* The rig stands beside this program. Node 800 W, processors 200 W, GPU 400 W; ten scans a second. */
static void rig_start(struct rig *rig)
{
    char path[256];
    static const char *const files[] = {
        PM "energy,power=800,unit=J,tick_ms=100,offset=1234567,format=%v J %t us",
        PM "power,power=800,unit=W,tick_ms=100,format=%v W %t us",
        PM "cpu_energy,power=200,unit=J,tick_ms=100,offset=77,format=%v J %t us",
        PM "accel0_energy,power=400,unit=J,tick_ms=100,offset=78,format=%v J %t us",
        PM "freshness,power=0,unit=J,tick_ms=100,format=%n",
        PM "raw_scan_hz,text=10",
        PM "version,text=3",
    };
    enum { FILES = sizeof files / sizeof *files };
    char *argv[2 * FILES + 4] = {path, (char *)"-d"};
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 16);
    assert_true(len > 0);
    path[len] = '\0';
    strcpy(strrchr(path, '/'), "/me_rig");
    if (access(path, X_OK) || access("/dev/fuse", R_OK | W_OK) || geteuid()) {
        print_message("no me_rig, no /dev/fuse, or not root: skipped\n");
        skip();
    }
    int n = 2;
    for (size_t i = 0; i < FILES; i++) {
        argv[n++] = (char *)"-f";
        argv[n++] = (char *)files[i];
    }
    tree_make(rig->mount, sizeof rig->mount);
    argv[n] = rig->mount;
    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (!rig->pid) {
        execv(path, argv);
        _exit(127);
    }
    snprintf(path, sizeof path, "%s/.control", rig->mount);
    for (int i = 0; i < 2000 && access(path, F_OK); i++) rest_ms(2);
    assert_int_equal(access(path, F_OK), 0);
}

static void rig_tell(const struct rig *rig, const char *line)
{
    char path[128];
    snprintf(path, sizeof path, "%s/.control", rig->mount);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", line);
    assert_int_equal(fclose(file), 0);
}

static void rig_end(struct rig *rig)
{
    int status;
    kill(rig->pid, SIGTERM);
    waitpid(rig->pid, &status, 0);
    umount2(rig->mount, MNT_DETACH); /* it has done so itself, unless it died */
    rmdir(rig->mount);
}

/* Over two seconds each counter grows by its power x time, to a tick of 100 ms and a joule at either
 * end; and as the meter is made by a program it says so. */
static void test_known_power(void **state)
{
    (void)state;
    struct rig rig;
    struct bench bench;
    struct me_reading first[4], last[4];
    static const double watts[] = {800, 0, 200, 400};
    rig_start(&rig);
    rest_ms(150); /* accel0_energy and cpu_energy have moved */
    bench_open(&bench, rig.mount);
    assert_true(bench.source.found && bench.source.channel_count == 4);
    assert_int_equal(bench.source.channels[0].provenance, ME_PROVENANCE_FAKE);
    int64_t before_ns = me_clock_mono_ns();
    me_cray_ops.read(&bench.source, first);
    int64_t begin_ns = me_clock_mono_ns();
    rest_ms(2000);
    int64_t end_ns = me_clock_mono_ns();
    me_cray_ops.read(&bench.source, last);
    int64_t after_ns = me_clock_mono_ns();
    for (int i = 0; i < 4; i++) {
        assert_int_equal(first[i].state, ME_READING_OK);
        assert_int_equal(last[i].state, ME_READING_OK);
        if (i == 1) continue;
        double joules = (double)(last[i].count - first[i].count) * 1e-6;
        assert_true(joules >= watts[i] * ((double)(end_ns - begin_ns) * 1e-9 - 0.1) - 1);
        assert_true(joules <= watts[i] * ((double)(after_ns - before_ns) * 1e-9 + 0.1) + 1);
    }
    assert_true(last[1].level == 800);
    bench_close(&bench);
    rig_end(&rig);
}

/* Read as fast as can be, over some scans: in each good reading the values are of one scan, so that
 * what the node and the processors grew by is in the ratio of their powers, to the joule. */
static void test_one_scan(void **state)
{
    (void)state;
    struct rig rig;
    struct bench bench;
    struct me_reading first[4], r[4];
    rig_start(&rig);
    rest_ms(150);
    bench_open(&bench, rig.mount);
    me_cray_ops.read(&bench.source, first);
    int good = 0, moved = 0;
    uint64_t seen = first[0].count;
    for (int64_t end_ns = me_clock_mono_ns() + ME_NS_PER_S; me_clock_mono_ns() < end_ns;) {
        me_cray_ops.read(&bench.source, r);
        if (r[0].state != ME_READING_OK) continue;
        int64_t node = (int64_t)(r[0].count - first[0].count), cpu = (int64_t)(r[2].count - first[2].count);
        assert_true(llabs(node - 4 * cpu) <= 5 * 1000000);
        good++;
        moved += r[0].count != seen;
        seen = r[0].count;
    }
    assert_true(good > 5 && moved >= 2);
    bench_close(&bench);
    rig_end(&rig);
}

static void test_faults(void **state)
{
    (void)state;
    struct rig rig;
    struct bench bench;
    struct me_reading r[4];
    rig_start(&rig);
    rest_ms(150);
    bench_open(&bench, rig.mount);
    rig_tell(&rig, PM "cpu_energy fault EIO");
    me_cray_ops.read(&bench.source, r);
    assert_true(r[2].state == ME_READING_FAILED && r[2].error == EIO);
    assert_true(r[0].state == ME_READING_OK && r[3].state == ME_READING_OK); /* the rest goes on */
    rig_tell(&rig, PM "cpu_energy ok");
    me_cray_ops.read(&bench.source, r);
    assert_int_equal(r[2].state, ME_READING_OK);
    rig_tell(&rig, PM "energy fault garbage");
    me_cray_ops.read(&bench.source, r);
    assert_true(r[0].state == ME_READING_FAILED && r[0].error == EPROTO);
    rig_tell(&rig, PM "energy ok");
    rig_tell(&rig, PM "freshness fault EIO");
    me_cray_ops.read(&bench.source, r);
    for (int i = 0; i < 4; i++) assert_true(r[i].state == ME_READING_FAILED && r[i].error == EIO);
    rig_tell(&rig, PM "* ok");
    rig_tell(&rig, PM "* freeze"); /* the controller stops */
    me_cray_ops.read(&bench.source, r);
    assert_int_equal(r[0].state, ME_READING_OK);
    rest_ms(2300);
    me_cray_ops.read(&bench.source, r);
    for (int i = 0; i < 4; i++) assert_true(r[i].state == ME_READING_FAILED && r[i].error == ETIMEDOUT);
    rig_tell(&rig, PM "* thaw");
    rest_ms(150);
    me_cray_ops.read(&bench.source, r);
    assert_int_equal(r[0].state, ME_READING_OK);
    bench_close(&bench);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),   cmocka_unit_test(test_channels),    cmocka_unit_test(test_absent),
        cmocka_unit_test(test_stalled), cmocka_unit_test(test_known_power), cmocka_unit_test(test_one_scan),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
