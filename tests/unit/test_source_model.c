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
#include <errno.h>

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

static void test_max_power(void **state)
{
    (void)state;
    static const struct {
        struct me_cpu cpu;
        double max_w;
        const char *basis;
    } cases[] = {
        {{"AMD EPYC 7763 64-Core Processor", 1, 2, 2, true},
         280.0 * 2 / 128,
         "TDP 280 W of AMD EPYC 7763 x 2/128 threads"},
        {{"AMD EPYC 7763 64-Core Processor", 2, 128, 256, false},
         560,
         "TDP 280 W of AMD EPYC 7763 x 2 sockets"},
        {{"Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", 1, 4, 8, false},
         15,
         "TDP 15 W of Intel Core i7-8650U x 1 socket"},
        {{"Intel(R) Celeron(R) CPU J4125 @ 2.00GHz", 1, 2, 2, true},
         2.5,
         "TDP 10 W of Intel Celeron J4125 x 2/8 threads, taken as 2 a core"},
        {{"AMD EPYC", 1, 4, 4, true}, 16, "4 W x 4 threads: no TDP known for \"AMD EPYC\""},
        {{"", 0, 0, 0, false}, 4, "4 W x 1 threads: no TDP known for \"\""},
        {{"Intel(R) Core(TM) i5 CPU M 560", 1, 8, 16, true},
         35,
         "4 W x 16 threads: how many Intel Core i5-560M has is not known"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char basis[128];
        double max_w = me_model_max_w(&cases[i].cpu, basis, sizeof basis);
        assert_true(max_w == cases[i].max_w);
        assert_string_equal(basis, cases[i].basis);
    }
}

static void test_busy_ticks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
        uint64_t ticks;
    } cases[] = {
        {"cpu  1 20 300 4000 50000 600000 7000000 80000000 9 9\ncpu0 1", 0, 7600321},
        {"cpu  1 2 3 4 5 6 7\n", 0, 19},
        {"cpu  1 2 3 4 5 6\n", EINVAL, 0},
        {"cpu0 1 2 3 4 5 6 7\n", EINVAL, 0},
        {"intr 1 2 3 4 5 6 7 8\n", EINVAL, 0},
        {"", EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ticks = 0;
        assert_int_equal(me_model_busy_ticks(cases[i].text, &ticks), cases[i].error);
        assert_true(ticks == cases[i].ticks);
    }
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

/* 4.375 W at full load of 2 threads, 15 % of it idle: a second of one thread is 1.859375 J more. */
static void test_model_energy(void **state)
{
    (void)state;
    char root[128];
    struct me_meter meter;
    struct me_reading before, after;
    tree_make(root, sizeof root);
    put_vm(root);
    int64_t opened_ns = me_clock_mono_ns();
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = root}, NULL), 0);
    assert_int_equal(meter.source_count, 2);
    assert_false(meter.sources[0].found);
    assert_true(meter.sources[1].found);
    assert_non_null(strstr(meter.sources[1].reason, "TDP 280 W of AMD EPYC 7763 x 2/128 threads"));
    assert_int_equal(meter.channel_count, 1);
    const struct me_channel *channel = &meter.channels[0];
    assert_true(channel->counted);
    assert_int_equal(channel->cls, ME_CLASS_MODELLED);
    assert_int_equal(channel->provenance, ME_PROVENANCE_REPLAY);
    assert_string_equal(
        channel->basis,
        "TDP 280 W of AMD EPYC 7763 x 2/128 threads; powercap: no zones in sys/class/powercap: "
        "a virtual machine is not shown the processor's counters");
    me_meter_read(&meter, &before);
    tree_put(root, "proc/stat", "cpu  1060 10 20 5000 0 4 6 0 0 0\n"); /* 100 ticks = 1 s of a thread */
    me_meter_read(&meter, &after);
    assert_int_equal(before.state, ME_READING_OK);
    assert_int_equal(after.state, ME_READING_OK);
    double idle_w = 4.375 * 0.15, ticks = (double)sysconf(_SC_CLK_TCK);
    double busy_j = (4.375 - idle_w) / 2 * 100 / ticks,
           energy_j = (double)(after.count - before.count) * 1e-6;
    double most_idle_j = idle_w * me_ns_to_s(me_clock_mono_ns() - opened_ns) + 2e-6;
    assert_true(energy_j >= busy_j - 2e-6);
    assert_true(energy_j <= busy_j + most_idle_j);
    tree_put(root, "proc/stat", "cpu  1000 0 0 5000 0 0 0 0 0 0\n"); /* it never runs backwards */
    me_meter_read(&meter, &before);
    assert_true(before.state == ME_READING_OK && before.count >= after.count);
    tree_put(root, "proc/stat", "");
    me_meter_read(&meter, &after);
    assert_int_equal(after.state, ME_READING_FAILED);
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
        {"perf", true, NULL, "there is no source perf (there are: powercap, model)"},
        {"powercap,perf", true, NULL, "there is no source perf"},
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
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = "/nonexistent"}, &err), -1);
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
        cmocka_unit_test(test_plain_names), cmocka_unit_test(test_max_power),
        cmocka_unit_test(test_busy_ticks),  cmocka_unit_test(test_model_energy),
        cmocka_unit_test(test_choice),      cmocka_unit_test(test_facts),
        cmocka_unit_test(test_topology),    cmocka_unit_test(test_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
