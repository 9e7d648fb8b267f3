/* The source powercap and the sampler against meters of known power (tests/rig). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "me/clock.h"
#include "me/sample.h"
#include "tree.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

#define ZONES "sys/class/powercap"

struct rig {
    char root[128], mount[192];
    pid_t pid;
};

static void rest_ms(int ms)
{
    me_clock_sleep_until(me_clock_mono_ns() + ms * INT64_C(1000000));
}

static bool has(const struct rig *rig, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", rig->mount, name);
    return !access(path, F_OK);
}

/* The rig stands beside this program. Zones are words like "intel-rapl:0,name=package-0,power=50". */
static void rig_start(struct rig *rig, const char *const *zones)
{
    static char parent_option[] = "--die-with-parent", zone_option[] = "-z";
    char path[256], *argv[24];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 16);
    assert_true(len > 0);
    path[len] = '\0';
    strcpy(strrchr(path, '/'), "/me_rig");
    if (access(path, X_OK) || access("/dev/fuse", R_OK | W_OK) || geteuid()) {
        print_message("no me_rig, no /dev/fuse, or not root: skipped\n");
        skip();
    }
    tree_make(rig->root, sizeof rig->root);
    tree_put(rig->root, ZONES "/.empty", "");
    snprintf(rig->mount, sizeof rig->mount, "%s/" ZONES, rig->root);
    int n = 0;
    argv[n++] = path;
    argv[n++] = parent_option;
    for (; *zones; zones++) {
        argv[n++] = zone_option;
        argv[n++] = strdup(*zones);
    }
    argv[n++] = rig->mount;
    argv[n] = NULL;
    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (!rig->pid) {
        execv(path, argv);
        _exit(127);
    }
    for (int i = 3; i < n - 1; i += 2) free(argv[i]);
    for (int i = 0; i < 2000 && !has(rig, ".control"); i++) rest_ms(2);
    assert_true(has(rig, ".control"));
}

static void rig_tell(const struct rig *rig, const char *line)
{
    char path[256];
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
    tree_remove(rig->root);
}

struct run {
    struct me_meter meter;
    struct me_series series;
    struct me_sampler *sampler;
    size_t first, last;
};

static void run_begin(struct run *run, const struct rig *rig, double hz)
{
    assert_int_equal(
        me_meter_open(&run->meter, &(struct me_meter_options){.root = rig->root, .only = "powercap"}, NULL),
        0);
    me_series_init(&run->series, run->meter.channel_count);
    assert_int_equal(me_sampler_start(&run->sampler, &run->meter, &run->series, hz, NULL, NULL, NULL), 0);
    assert_int_equal(me_sampler_edge(run->sampler, ME_EDGE_NOW, &run->first, NULL), 0);
}

static void run_stop(struct run *run)
{
    assert_int_equal(me_sampler_edge(run->sampler, ME_EDGE_NOW, &run->last, NULL), 0);
    me_sampler_stop(run->sampler);
}

static void run_release(struct run *run)
{
    me_series_release(&run->series);
    me_meter_close(&run->meter);
}

/* Energy of channel c is power x time: to the rig's tick at either end, to the time that the edge
 * readings took (the machine may be busy), and to 1 uJ a wrap. */
static void check_energy(const struct run *run, size_t c, double power_w)
{
    struct me_energy energy;
    assert_int_equal(
        me_series_energy(&run->series, &run->meter.channels[c], c, run->first, run->last, &energy),
        ME_FAULT_NONE);
    double span_s = me_ns_to_s(run->series.time_ns[run->last] - run->series.time_ns[run->first]);
    double error_j = me_energy_j(energy) - power_w * span_s;
    if (fabs(error_j) > power_w * 0.003)
        print_message("%g W x %g s = %g J, read %g J\n", power_w, span_s, power_w * span_s,
                      me_energy_j(energy));
    assert_true(fabs(error_j) <= power_w * 0.003);
}

static void test_known_power(void **state)
{
    (void)state;
    static const char *const zones[] = {"intel-rapl:0,name=package-0,power=50",
                                        "intel-rapl:0:0,name=dram,power=12.5,offset=262143328000", NULL};
    struct rig rig;
    struct run run;
    rig_start(&rig, zones);
    run_begin(&run, &rig, 10);
    assert_int_equal(run.meter.channel_count, 2);
    assert_int_equal(run.meter.channels[0].provenance, ME_PROVENANCE_FAKE);
    assert_true(run.meter.channels[0].counted && run.meter.channels[1].counted);
    rest_ms(1000);
    run_stop(&run);
    check_energy(&run, 0, 50);
    check_energy(&run, 1, 12.5); /* wraps at once */
    run_release(&run);
    rig_end(&rig);
}

/* 2 J at 100 W: 50 wraps a second, followed although 1 Hz was asked for. */
static void test_wraps(void **state)
{
    (void)state;
    static const char *const zones[] = {"intel-rapl:0,name=package-0,power=100,range=2000000,max_power=50",
                                        NULL};
    struct rig rig;
    struct run run;
    rig_start(&rig, zones);
    run_begin(&run, &rig, 1);
    assert_true(run.meter.channels[0].range == 2000001);
    assert_true(run.meter.channels[0].max_power_w == 100);
    rest_ms(600);
    run_stop(&run);
    assert_true(run.last - run.first > 10);
    struct me_energy energy;
    enum me_fault fault =
        me_series_energy(&run.series, &run.meter.channels[0], 0, run.first, run.last, &energy);
    /* a busy machine may miss the 20 ms; that is told, and never a wrong number */
    if (fault == ME_FAULT_NONE)
        check_energy(&run, 0, 100);
    else
        assert_int_equal(fault, ME_FAULT_TOO_LONG);
    run_release(&run);
    rig_end(&rig);
}

static void test_fault_in_the_middle(void **state)
{
    (void)state;
    static const struct {
        const char *fault;
        int error;
    } cases[] = {{"intel-rapl:0 fault EIO", EIO},
                 {"intel-rapl:0 fault ENODATA", ENODATA},
                 {"intel-rapl:0 fault garbage", EINVAL},
                 {"intel-rapl:0 fault empty", ENODATA}};
    static const char *const zones[] = {"intel-rapl:0,name=package-0,power=50", NULL};
    struct rig rig;
    rig_start(&rig, zones);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run;
        int failed = 0;
        run_begin(&run, &rig, 200);
        rest_ms(60);
        rig_tell(&rig, cases[i].fault);
        rest_ms(60);
        rig_tell(&rig, "intel-rapl:0 ok");
        rest_ms(60);
        run_stop(&run);
        for (size_t s = run.first; s <= run.last; s++) {
            const struct me_reading *reading = &run.series.readings[s];
            if (reading->state != ME_READING_FAILED) continue;
            assert_int_equal(reading->error, cases[i].error);
            failed++;
        }
        assert_true(failed > 0);
        check_energy(&run, 0, 50); /* neither a zero nor a wrap */
        run_release(&run);
    }
    rig_end(&rig);
}

static void test_vanished_zone(void **state)
{
    (void)state;
    static const char *const zones[] = {"intel-rapl:0,name=package-0,power=50",
                                        "intel-rapl:1,name=package-1,power=20,offset=1000", NULL};
    struct rig rig;
    struct run run;
    struct me_energy energy;
    rig_start(&rig, zones);
    run_begin(&run, &rig, 50);
    rest_ms(100);
    rig_tell(&rig, "intel-rapl:1 vanish");
    rest_ms(100);
    run_stop(&run);
    check_energy(&run, 0, 50);
    assert_int_equal(me_series_energy(&run.series, &run.meter.channels[1], 1, run.first, run.last, &energy),
                     ME_FAULT_EDGE);
    run_release(&run);
    rig_end(&rig);
}

static void test_dies(void **state)
{
    (void)state;
    static const char *const zones[] = {
        "intel-rapl:0,name=package-0-die-0,power=50,offset=5000000",
        "intel-rapl:1,name=package-0-die-1,mirror=intel-rapl:0", /* one counter, shown twice */
        "intel-rapl:2,name=package-1-die-0,power=40,offset=1000000",
        "intel-rapl:3,name=package-1-die-1,power=41,offset=9000000", /* two dies */
        "intel-rapl:4,name=psys,power=0",                            /* no meter behind it */
        NULL};
    struct rig rig;
    struct me_meter meter;
    rig_start(&rig, zones);
    assert_int_equal(
        me_meter_open(&meter, &(struct me_meter_options){.root = rig.root, .only = "powercap"}, NULL), 0);
    assert_int_equal(meter.channel_count, 5);
    assert_true(meter.channels[0].counted && meter.channels[2].counted && meter.channels[3].counted);
    assert_string_equal(meter.channels[1].why_not, "mirrors package-0-die-0: one counter, shown twice");
    assert_string_equal(meter.channels[4].why_not, "stands at 0: no meter behind it");
    me_meter_close(&meter);
    rig_end(&rig);
}

/* `enabled` is the power limit's, not the counter's; and a zone broken at the start stays, named. */
static void test_disabled_and_broken(void **state)
{
    (void)state;
    static const char *const zones[] = {"intel-rapl:0,name=package-0,power=50,enabled=0",
                                        "intel-rapl:1,name=package-1,power=50,offset=1", NULL};
    struct rig rig;
    struct run run;
    rig_start(&rig, zones);
    rig_tell(&rig, "intel-rapl:1 fault EINVAL");
    run_begin(&run, &rig, 10);
    assert_true(run.meter.channels[0].counted);
    assert_false(run.meter.channels[1].counted);
    assert_string_equal(run.meter.channels[1].why_not, "energy_uj: Invalid argument");
    rest_ms(50);
    run_stop(&run);
    check_energy(&run, 0, 50);
    assert_int_equal(run.series.readings[1].state, ME_READING_FAILED);
    run_release(&run);
    rig_end(&rig);
}

static enum me_fault fault_of(const struct run *run, size_t c)
{
    struct me_energy energy;
    return me_series_energy(&run->series, &run->meter.channels[c], c, run->first, run->last, &energy);
}

/* A tick of 15 ms: the energy is right to one tick at either end, over any length; and dies that mirror
 * each other are told from dies that do not. */
static void test_slow_tick(void **state)
{
    (void)state;
    static const char *const zones[] = {
        "intel-rapl:0,name=package-0-die-0,power=50,tick_ms=15,offset=5000000",
        "intel-rapl:1,name=package-0-die-1,mirror=intel-rapl:0",
        "intel-rapl:2,name=package-1,power=80,tick_ms=15,offset=262143328000", NULL};
    static const int lengths_ms[] = {4, 40, 400};
    static const double power_w[] = {50, 0, 80};
    struct rig rig;
    rig_start(&rig, zones);
    for (size_t i = 0; i < 3; i++) {
        struct run run;
        run_begin(&run, &rig, 10);
        assert_true(run.meter.channels[0].counted && run.meter.channels[2].counted);
        assert_false(run.meter.channels[1].counted);
        rest_ms(lengths_ms[i]);
        run_stop(&run);
        for (size_t c = 0; c < 3; c += 2) {
            struct me_energy energy;
            assert_int_equal(
                me_series_energy(&run.series, &run.meter.channels[c], c, run.first, run.last, &energy),
                ME_FAULT_NONE);
            double span_s = me_ns_to_s(run.series.time_ns[run.last] - run.series.time_ns[run.first]);
            assert_true(fabs(me_energy_j(energy) - power_w[c] * span_s) <= power_w[c] * (0.015 + 0.002));
        }
        run_release(&run);
    }
    rig_end(&rig);
}

/* A counter that dies in the middle, and one that somebody sets back, have no energy to tell: neither
 * what they showed before nor a whole range. The other zone is not touched by it. */
static void test_dies_and_set_back(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int rest_ms;
        enum me_fault fault;
    } cases[] = {{"intel-rapl:1 freeze", 1300, ME_FAULT_STALLED},
                 {"intel-rapl:1 energy 5", 50, ME_FAULT_BACKWARDS},
                 {"intel-rapl:1 ok", 50, ME_FAULT_NONE}};
    static const char *const zones[] = {"intel-rapl:0,name=package-0,power=50",
                                        "intel-rapl:1,name=package-1,power=50,offset=60000000000", NULL};
    struct rig rig;
    rig_start(&rig, zones);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run;
        run_begin(&run, &rig, 50);
        rest_ms(100);
        rig_tell(&rig, cases[i].line);
        rest_ms(cases[i].rest_ms);
        run_stop(&run);
        assert_int_equal(fault_of(&run, 1), cases[i].fault);
        check_energy(&run, 0, 50);
        run_release(&run);
        rig_tell(&rig, "intel-rapl:1 ok");
    }
    rig_end(&rig);
}

/* Rule 8 is each channel's: one that does not count, and wraps fast, is followed too, and its losses
 * are its own. 0.5 J at 100 W are 5 ms. */
static void test_uncounted_wraps(void **state)
{
    (void)state;
    static const char *const zones[] = {"intel-rapl:0,name=package-0,power=50",
                                        "intel-rapl:0:0,name=core,power=20,range=500000,max_power=50", NULL};
    struct rig rig;
    struct run run;
    rig_start(&rig, zones);
    run_begin(&run, &rig, 1);
    assert_true(run.meter.channels[0].counted && !run.meter.channels[1].counted);
    rest_ms(400);
    run_stop(&run);
    assert_true(run.last - run.first > 40); /* every 2.5 ms, though 1 Hz was asked for */
    check_energy(&run, 0, 50);
    if (fault_of(&run, 1) == ME_FAULT_NONE)
        check_energy(&run, 1, 20);
    else
        assert_int_equal(fault_of(&run, 1), ME_FAULT_TOO_LONG); /* this machine was busy */
    run_release(&run);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_power),
        cmocka_unit_test(test_wraps),
        cmocka_unit_test(test_fault_in_the_middle),
        cmocka_unit_test(test_vanished_zone),
        cmocka_unit_test(test_dies),
        cmocka_unit_test(test_disabled_and_broken),
        cmocka_unit_test(test_slow_tick),
        cmocka_unit_test(test_dies_and_set_back),
        cmocka_unit_test(test_uncounted_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
