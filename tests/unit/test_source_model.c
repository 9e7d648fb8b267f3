/* The modelled source, the processor's names and facts, and the choice of sources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "../../src/source/model.h"
#include "me/clock.h"
#include "me/facts.h"
#include "me/source.h"
#include "me/units.h"
#include "tree.h"
#include <math.h>

static void test_plain_names(void **state)
{
    (void)state;
    static const struct {
        const char *model, *plain, *row; /* row: "" if the table does not have it */
        double tdp_w;
        int threads;
    } cases[] = {
        {"Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz", "Intel Xeon E5-2620 v3", "Intel Xeon E5-2620 v3", 85,
         12},
        {"AMD EPYC 7763 64-Core Processor", "AMD EPYC 7763", "AMD EPYC 7763", 280, 128},
        {"11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", "Intel Core i7-1165G7", "Intel Core i7-1165G7", 28,
         8},
        {"Intel(R) Core(TM) i5 CPU       M 560  @ 2.67GHz", "Intel Core i5 M 560", "Intel Core i5-560M", 35,
         0},
        {"Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", "Intel Xeon Platinum 8259CL",
         "Intel Xeon Platinum 8259CL", 210, 48},
        {"Intel(R) Xeon(R) CPU E5-2620 0 @ 2.00GHz", "Intel Xeon E5-2620", "Intel Xeon E5-2620", 95, 12},
        {"AMD Ryzen Threadripper 1950X 16-Core Processor", "AMD Ryzen Threadripper 1950X",
         "AMD Ryzen Threadripper 1950X", 180, 32},
        {"AMD Opteron(tm) Processor 6328", "AMD Opteron 6328", "AMD Opteron 6328", 115, 8},
        {"Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", "Intel Core i7-8650U", "Intel Core i7-8650U", 15, 8},
        /* in the table twice, the second time with another figure */
        {"Intel(R) Core(TM) i5-10600K CPU @ 4.10GHz", "Intel Core i5-10600K", "Intel Core i5-10600K", 125,
         12},
        {"AMD Ryzen 9 3900X 12-Core Processor", "AMD Ryzen 9 3900X", "AMD Ryzen 9 3900X", 105, 24},
        {"Intel(R) Xeon(R) Platinum 8480+", "Intel Xeon Platinum 8480+", "Intel Xeon Platinum 8480+", 350,
         112},
        {"AMD Ryzen Threadripper PRO 5995WX 64-Cores", "AMD Ryzen Threadripper PRO 5995WX",
         "AMD Ryzen Threadripper PRO 5995WX", 280, 128},
        {"AMD FX(tm)-8350 Eight-Core Processor", "AMD FX-8350", "FX-8350", 125, 8},
        {"AMD EPYC 7763P 64-Core Processor", "AMD EPYC 7763P", "", 0, 0}, /* a letter is another model */
        {"Intel(R) Xeon(R) CPU E5-2620 v9 @ 2.40GHz", "Intel Xeon E5-2620 v9", "", 0, 0},
        {"AMD EPYC", "AMD EPYC", "", 0, 0},
        {"Intel(R) Xeon(R) Processor @ 2.90GHz", "Intel Xeon", "", 0, 0},
        {"Neoverse-N1", "Neoverse-N1", "", 0, 0},
        /* as published tables write them */
        {"Intel Xeon E5-2660 2.2 GHz (Intel Turbo Boost Technology up to 3.00 GHz)", "Intel Xeon E5-2660",
         "Intel Xeon E5-2660", 95, 16},
        {"AMD EPYC 7742 2.25Ghz", "AMD EPYC 7742", "AMD EPYC 7742", 225, 128},
        {"AMD EPYC 7601 2.20 GHz, Dell SKU [338-BNCG]", "AMD EPYC 7601", "AMD EPYC 7601", 180, 64},
        {"2.6 GHz AMD Opteron 2435", "AMD Opteron 2435", "", 0, 0},
        {"Quad-Core AMD Opteron(r) Processor 8381 HE", "AMD Opteron 8381 HE", "", 0, 0},
        {"Intel(R) Xeon(R) 8480+,", "Intel Xeon 8480+", "Intel Xeon Platinum 8480+", 350, 112},
        {"Intel(R) Xeon(R) Gold 6780E,", "Intel Xeon Gold 6780E", "Intel Xeon 6780E", 330, 144},
        {"Intel E3-1260L v5", "Intel E3-1260L v5", "Intel Xeon E3-1260L v5", 45, 8},
        {"Intel Xeon E3-1240V2", "Intel Xeon E3-1240V2", "Intel Xeon E3-1240 v2", 69, 8},
        {"Intel Xeon processor 5160", "Intel Xeon 5160", "Intel Xeon 5160", 80, 0},
        {"Ampere\302\256 Altra\302\256 64-Bit Multi-Core Processor Q64-30", "Ampere Altra Q64-30",
         "Ampere Altra Q64-30", 180, 64},
        {"", "", "", 0, 0},
        {"(R)(R)(TM)", "", "", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char plain[96];
        struct me_cpu_row row = {0};
        me_cpu_plain_name(cases[i].model, plain, sizeof plain);
        assert_string_equal(plain, cases[i].plain);
        assert_int_equal(me_cpu_find(cases[i].model, &row), cases[i].row[0] != 0);
        assert_string_equal(row.model, cases[i].row);
        assert_true(row.tdp_w == cases[i].tdp_w);
        assert_int_equal(row.threads, cases[i].threads);
    }
}

static void test_curve_of_machine(void **state)
{
    (void)state;
    static const struct {
        struct me_cpu cpu;
        double least_w, most_w; /* of the package at full load */
        const char *basis;      /* begins with */
    } cases[] = {
        {{"AMD EPYC 7763 64-Core Processor", 1, 2, 2, true},
         2,
         280.0 * 2 / 128 * 1.1,
         "2/128 threads of AMD EPYC 7763; "},
        {{"AMD EPYC 7763 64-Core Processor", 1, 192, 192, true},
         200,
         280 * 1.5 * 1.1,
         "192/256 threads of AMD EPYC 7763; "},
        {{"AMD EPYC 7763 64-Core Processor", 2, 128, 256, false}, 300, 616, "AMD EPYC 7763 x 2 sockets; "},
        {{"Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", 1, 4, 8, false},
         9,
         16.5,
         "Intel Core i7-8650U x 1 socket; "},
        {{"Intel(R) Celeron(R) CPU J4125 @ 2.00GHz", 1, 2, 2, true},
         1,
         2.75,
         "2/8 threads, taken as 2 a core, of Intel Celeron J4125; "},
        {{"AMD EPYC", 1, 4, 4, true}, 4, 20, "4/64 threads of an unknown processor \"AMD EPYC\"; "},
        {{"AMD EPYC", 1, 96, 96, true}, 100, 600, "96/96 threads of an unknown processor \"AMD EPYC\"; "},
        {{"Elbrus-8C", 1, 8, 8, false}, 20, 120, "unknown processor \"Elbrus-8C\", 8 threads; "},
        {{"", 0, 0, 0, false}, 3, 100, "unknown processor \"\", 1 threads; "},
        {{"Intel(R) Core(TM) i5 CPU M 560", 1, 8, 16, true}, 5, 40, "16/64 threads of an unknown processor"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_curve curve;
        me_model_curve(&cases[i].cpu, 64, &curve);
        double full_w = me_curve_package_w(&curve, 1), idle_w = me_curve_package_w(&curve, 0);
        if (full_w < cases[i].least_w || full_w > cases[i].most_w || idle_w <= 0 || idle_w >= full_w)
            fail_msg("%s: %.2f W idle, %.2f W at full load", cases[i].basis, idle_w, full_w);
        if (strncmp(curve.basis, cases[i].basis, strlen(cases[i].basis))) fail_msg("%s", curve.basis);
        assert_non_null(strstr(curve.basis, "; memory not in it"));
    }
}

/* 10 W at rest, 40 W at half, 50 W at full load of two threads. */
static void bend(struct me_curve *curve)
{
    memset(curve, 0, sizeof *curve);
    for (int i = 0; i < ME_CURVE_POINTS; i++) curve->package_w[i] = i <= 5 ? 10 + 6 * i : 40 + 2 * (i - 5);
}

static void test_windows(void **state)
{
    (void)state;
    static const struct {
        double at, busy, energy; /* in windows, window seconds of both threads, and W x windows */
    } readings[] = {
        {0, 100, 0},         {0.5, 100, 5},    /* at rest */
        {0.5, 100, 5},                         /* the same moment */
        {1.0, 101, 40},                        /* half load on the whole: the window ends */
        {1.25, 101.5, 52.5},                   /* full load */
        {2.0, 103, 90},                        /* full load since the last: the window ends */
        {2.5, 103, 95},      {12.0, 123, 590}, /* at more than full load: counts as full */
        {12.5, 110, 595},                      /* proc/stat ran backwards: at rest */
        {12.25, 110, 595},                     /* time does not, but if it did */
        {13.0, 124, 630},                      /* 1 busy second more than ever: load one half */
    };
    struct me_curve curve;
    const double unit = ME_MODEL_WINDOW_S;
    struct me_model_clock clock = {.begin_busy_s = 100 * unit};
    bend(&curve);
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        uint64_t uj = me_model_advance(&clock, &curve, (int64_t)(readings[i].at * unit * 1e9 + 0.5),
                                       readings[i].busy * unit, 2);
        if (fabs((double)uj - readings[i].energy * unit * 1e6) > 2)
            fail_msg("%zu: %.6f J, not %g", i, (double)uj * 1e-6, readings[i].energy * unit);
    }
}

/* However often it is read, and whatever the load does, it never falls, and ends within a curve's bend. */
static void test_any_reading_rate(void **state)
{
    (void)state;
    static const double periods_s[] = {0.001, 0.01, 0.37, 1, 1.7};
    double ends_j[sizeof periods_s / sizeof *periods_s];
    struct me_curve curve;
    bend(&curve);
    for (size_t p = 0; p < sizeof periods_s / sizeof *periods_s; p++) {
        struct me_model_clock clock = {0};
        uint64_t before = 0;
        for (double at_s = 0; at_s <= 34; at_s += periods_s[p]) {
            double half = fmod(at_s, 6) < 3 ? fmod(at_s, 6) : 3; /* 3 s at full load, 3 s at rest */
            double busy_s = 2 * (floor(at_s / 6) * 3 + half);
            uint64_t uj = me_model_advance(&clock, &curve, (int64_t)(at_s * 1e9), busy_s, 2);
            assert_true(uj >= before);
            before = uj;
        }
        ends_j[p] = (double)before * 1e-6;
    }
    for (size_t p = 0; p < sizeof periods_s / sizeof *periods_s; p++) /* true: 18 s x 50 W + 16 s x 10 W */
        if (fabs(ends_j[p] - 1060) > 0.15 * 1060) fail_msg("every %g s: %g J", periods_s[p], ends_j[p]);
    assert_true(fabs(ends_j[0] - 1060) < 0.01 * 1060 && fabs(ends_j[1] - 1060) < 0.02 * 1060);
}

static void put_vm(const char *root)
{
    tree_put(root, "proc/cpuinfo",
             "processor : 0\nmodel name : AMD EPYC 7763 64-Core Processor\nphysical id : 0\ncore id : 0\n"
             "flags : fpu hypervisor\n\n"
             "processor : 1\nmodel name : AMD EPYC 7763 64-Core Processor\nphysical id : 0\ncore id : 1\n"
             "flags : fpu hypervisor\n\n");
    tree_put(root, "proc/stat", "cpu  1000 0 0 5000 0 0 0 0 0 0\ncpu0 1\ncpu1 2\n");
}

/* Energy between two readings lies between rest and full load of the time between them. */
static void test_model_energy(void **state)
{
    (void)state;
    char root[128];
    struct me_meter meter;
    struct me_reading before, after;
    tree_make(root, sizeof root);
    put_vm(root);
    int64_t opened_ns = me_clock_mono_ns();
    struct me_meter_options options = {.root = root, .only = "powercap,model"};
    assert_int_equal(me_meter_open(&meter, &options, NULL), 0);
    assert_int_equal(meter.source_count, 2);
    assert_false(meter.sources[0].found);
    assert_true(meter.sources[1].found);
    assert_non_null(strstr(meter.sources[1].reason, "2/128 threads of AMD EPYC 7763"));
    assert_int_equal(meter.channel_count, 1);
    const struct me_channel *channel = &meter.channels[0];
    assert_true(channel->counted);
    assert_int_equal(channel->cls, ME_CLASS_MODELLED);
    assert_int_equal(channel->provenance, ME_PROVENANCE_REPLAY);
    assert_int_equal(strncmp(channel->basis, "2/128 threads of AMD EPYC 7763; ", 32), 0);
    assert_non_null(strstr(channel->basis, "; memory not in it"));
    me_meter_read(&meter, &before);
    int64_t begin_ns = me_clock_mono_ns();
    while (me_clock_mono_ns() - begin_ns < 20000000) continue;
    tree_put(root, "proc/stat", "cpu  1060 10 20 5000 0 4 6 0 0 0\n"); /* 100 ticks in 20 ms: full load */
    me_meter_read(&meter, &after);
    assert_int_equal(before.state, ME_READING_OK);
    assert_int_equal(after.state, ME_READING_OK);
    double most_j = channel->max_power_w * me_ns_to_s(me_clock_mono_ns() - opened_ns) + 2e-6,
           least_j = channel->max_power_w * 0.02 - 2e-6,
           energy_j = (double)(after.count - before.count) * 1e-6;
    assert_true(channel->max_power_w > 2 && channel->max_power_w < 5);
    assert_true(energy_j >= least_j && energy_j <= most_j);
    tree_put(root, "proc/stat", "cpu  1000 0 0 5000 0 0 0 0 0 0\n"); /* it never runs backwards */
    me_meter_read(&meter, &before);
    assert_true(before.state == ME_READING_OK && before.count >= after.count);
    tree_put(root, "proc/stat", "");
    me_meter_read(&meter, &after);
    assert_int_equal(after.state, ME_READING_FAILED);
    me_meter_close(&meter);
    tree_remove(root);
}

/* Where the program chose it, it says why there was no counter. */
static void test_says_why(void **state)
{
    (void)state;
    char root[128];
    struct me_meter meter;
    tree_make(root, sizeof root);
    put_vm(root);
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = root}, NULL), 0);
    size_t found = 0;
    for (size_t i = 0; i < meter.channel_count; i++) {
        if (strcmp(meter.channels[i].name, "model")) continue;
        assert_true(meter.channels[i].counted);
        assert_non_null(
            strstr(meter.channels[i].basis, "; memory not in it; powercap: no zones in sys/class/powercap"));
        found++;
    }
    assert_int_equal(found, 1);
    me_meter_close(&meter);
    tree_remove(root);
}

static void test_choice(void **state)
{
    (void)state;
    static const struct {
        const char *only;
        bool has_powercap;
        const char *channels, *error; /* counted channels; or a part of the error */
    } cases[] = {
        {NULL, false, "model ", NULL},
        {"", false, "model ", NULL},
        {NULL, true, "package-0 ", NULL},
        {"powercap", true, "package-0 ", NULL},
        {"powercap", false, "", NULL},
        {"model", true, "model ", NULL},
        {"model,powercap", true, "package-0 ", NULL}, /* measured before modelled */
        {" powercap , model ", false, "model ", NULL},
        {"pref", true, NULL, "there is no source pref (there are: "},
        {"powercap,pref", true, NULL, "there is no source pref"},
        {"power", true, NULL, "there is no source power "},
        {"powercaps", true, NULL, "there is no source powercaps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128], text[128] = "";
        struct me_meter meter;
        struct me_error err;
        tree_make(root, sizeof root);
        put_vm(root);
        if (cases[i].has_powercap) {
            tree_put(root, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
            tree_put(root, "sys/class/powercap/intel-rapl:0/energy_uj", "7\n");
        }
        int rc = me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = cases[i].only}, &err);
        assert_int_equal(rc, cases[i].error ? -1 : 0);
        if (rc) {
            assert_int_equal(err.code, ME_E_INPUT);
            assert_non_null(strstr(err.text, cases[i].error));
        } else {
            for (size_t c = 0; c < meter.channel_count; c++)
                if (meter.channels[c].counted) {
                    strcat(text, meter.channels[c].name);
                    strcat(text, " ");
                }
            assert_string_equal(text, cases[i].channels);
            me_meter_close(&meter);
        }
        tree_remove(root);
    }
    struct me_meter meter;
    struct me_error err;
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = "/proc/no such root"}, &err),
                     -1);
    assert_int_equal(err.code, ME_E_INPUT);
}

static void test_facts(void **state)
{
    (void)state;
    static const struct {
        const char *cpuinfo, *model;
        int sockets, cores, threads;
    } cases[] = {
        {"processor\t: 0\nmodel name\t: X  Y\nphysical id\t: 0\ncore id\t: 0\n\n"
         "processor\t: 1\nmodel name\t: X  Y\nphysical id\t: 1\ncore id\t: 0\n\n"
         "processor\t: 2\nmodel name\t: X  Y\nphysical id\t: 0\ncore id\t: 0\n\n"
         "processor\t: 3\nmodel name\t: X  Y\nphysical id\t: 1\ncore id\t: 0\n",
         "X Y", 2, 2, 4},
        {"processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\n"
         "processor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
         "Neoverse-N1", 1, 0, 2},
        {"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xfff\n", "ARM implementer 0x41 part 0xfff", 1,
         0, 1},
        {"processor\t: 0\ncpu\t\t: POWER7 (architected), altivec supported\nclock\t: 3\n",
         "POWER7 (architected), altivec supported", 1, 0, 1},
        {"vendor_id       : IBM/S390\n# processors    : 2\nprocessor 0: version = FF\nprocessor 1: version = "
         "FF\n",
         "", 1, 0, 2},
        {"", "", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128];
        struct me_root handle;
        struct me_facts facts;
        tree_make(root, sizeof root);
        tree_put(root, "proc/cpuinfo", cases[i].cpuinfo);
        tree_put(root, "proc/meminfo", "MemTotal:       24684084 kB\nMemFree: 1 kB\n");
        tree_put(root, "proc/sys/kernel/hostname", "node7\n");
        tree_put(root, "proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
        tree_put(root, "proc/sys/kernel/random/boot_id", "0f0e0d0c-0000-4000-8000-000000000001\n");
        assert_int_equal(me_root_open(&handle, root, NULL), 0);
        me_machine_facts(&handle, &facts);
        assert_string_equal(facts.cpu_model, cases[i].model);
        assert_int_equal(facts.sockets, cases[i].sockets);
        assert_int_equal(facts.cores, cases[i].cores);
        assert_int_equal(facts.threads, cases[i].threads);
        assert_true(facts.memory_bytes == UINT64_C(24684084) * 1024);
        assert_string_equal(facts.host, "node7");
        assert_string_equal(facts.kernel, "Linux 6.1.0-18-amd64");
        assert_string_equal(facts.boot_id, "0f0e0d0c-0000-4000-8000-000000000001");
        me_root_close(&handle);
        tree_remove(root);
    }
}

/* Processors without the lines in cpuinfo have the numbers in sysfs. */
static void test_topology(void **state)
{
    (void)state;
    char root[128], path[128], text[16];
    struct me_root handle;
    struct me_facts facts;
    tree_make(root, sizeof root);
    tree_put(root, "proc/cpuinfo", "processor : 0\nprocessor : 1\nprocessor : 2\nprocessor : 4\n");
    for (int i = 0; i < 5; i++) { /* 3 is offline; cores 0 0 1 1 of packages 0 0 0 1 */
        if (i == 3) continue;
        snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/core_id", i);
        snprintf(text, sizeof text, "%d\n", i / 2 > 1 ? 1 : i / 2);
        tree_put(root, path, text);
        snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/physical_package_id", i);
        tree_put(root, path, i == 4 ? "1\n" : "0\n");
    }
    assert_int_equal(me_root_open(&handle, root, NULL), 0);
    me_machine_facts(&handle, &facts);
    assert_int_equal(facts.threads, 4);
    assert_int_equal(facts.cores, 3);
    assert_int_equal(facts.sockets, 2);
    me_root_close(&handle);
    tree_remove(root);
}

/* This machine, whatever it is. */
static void test_live(void **state)
{
    (void)state;
    struct me_root handle;
    struct me_facts facts;
    assert_int_equal(me_root_open(&handle, "/", NULL), 0);
    me_machine_facts(&handle, &facts);
    assert_true(facts.threads >= 1 && facts.memory_bytes > 0);
    assert_true(facts.boot_id[0] && facts.host[0] && facts.kernel[0]);
    assert_true(facts.unix_minus_mono_ns > 0);
    me_root_close(&handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_names),  cmocka_unit_test(test_curve_of_machine),
        cmocka_unit_test(test_windows),      cmocka_unit_test(test_any_reading_rate),
        cmocka_unit_test(test_model_energy), cmocka_unit_test(test_says_why),
        cmocka_unit_test(test_choice),       cmocka_unit_test(test_facts),
        cmocka_unit_test(test_topology),     cmocka_unit_test(test_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
