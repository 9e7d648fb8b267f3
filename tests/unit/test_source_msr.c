/* The source msr: units by processor model, wraps, and registers behind plain files and the rig. */
#include "me_cmocka.h"

#include "../../src/source/rapl.h"
#include "me/clock.h"
#include "me/series.h"
#include "me/source.h"
#include "me_rig.h"
#include <errno.h>
#include <grp.h>
#include <math.h>
#include <sys/sysmacros.h>

#define ESU(n) ((uint64_t)(n) << 8)

static struct me_rapl_cpu intel(int model)
{
    return (struct me_rapl_cpu){.vendor = "GenuineIntel", .family = 6, .model = model};
}

static struct me_rapl_cpu amd(int family, int model)
{
    return (struct me_rapl_cpu){.vendor = "AuthenticAMD", .family = family, .model = model};
}

static void test_cpuinfo(void **state)
{
    (void)state;
    static const struct {
        const char *text, *vendor;
        int family, model;
    } cases[] = {
        {"processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Intel 9\n",
         "GenuineIntel", 6, 85},
        {"vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n\nmodel\t\t: 18\n", "AuthenticAMD", 25,
         17},
        {"model name\t: 7\n", "", 0, 0},
        {"CPU implementer\t: 0x41\n", "", 0, 0},
        {"", "", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_rapl_cpu cpu;
        me_rapl_cpu_parse(cases[i].text, &cpu);
        assert_string_equal(cpu.vendor, cases[i].vendor);
        assert_int_equal(cpu.family, cases[i].family);
        assert_int_equal(cpu.model, cases[i].model);
    }
}

/* What 2^20 units of a domain are, in uJ; 0: no such domain. */
static void test_units(void **state)
{
    (void)state;
    static const struct {
        int model;
        unsigned esu;
        uint64_t uj[ME_RAPL_DOMAINS]; /* package, dram, core, uncore, psys */
    } cases[] = {
        {0x2a, 16, {16000000, 0, 16000000, 16000000, 0}},               /* Sandy Bridge: no dram */
        {0x2d, 16, {16000000, 16000000, 16000000, 0, 0}},               /* Sandy Bridge-EP */
        {0x3c, 14, {64000000, 64000000, 64000000, 64000000, 0}},        /* Haswell */
        {0x3f, 14, {64000000, 16000000, 64000000, 0, 0}},               /* Haswell-EP: dram 15.3 uJ */
        {0x4f, 14, {64000000, 16000000, 64000000, 0, 0}},               /* Broadwell-EP */
        {0x56, 14, {64000000, 16000000, 64000000, 0, 0}},               /* Broadwell-DE */
        {0x55, 14, {64000000, 16000000, 64000000, 0, 0}},               /* Skylake-SP */
        {0x6a, 14, {64000000, 16000000, 64000000, 0, 0}},               /* Ice Lake-SP */
        {0x57, 14, {64000000, 16000000, 0, 0, 0}},                      /* Knights Landing */
        {0x8f, 14, {64000000, 64000000, 64000000, 0, 1048576000000}},   /* Sapphire Rapids: psys 1 J */
        {0xcf, 14, {64000000, 64000000, 64000000, 0, 1048576000000}},   /* Emerald Rapids */
        {0x9e, 14, {64000000, 64000000, 64000000, 64000000, 64000000}}, /* Kaby Lake */
        {0x37, 5, {33554432, 0, 33554432, 0, 0}},                       /* Silvermont: 2^5 uJ */
        {0x4c, 5, {33554432, 0, 33554432, 0, 0}},                       /* Airmont */
        {0x5c, 14, {64000000, 64000000, 64000000, 64000000, 0}},        /* Goldmont */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_rapl_cpu cpu = intel(cases[i].model);
        assert_int_equal(me_rapl_unit_address(&cpu), 0x606);
        assert_true(me_rapl_is_known(&cpu));
        for (int d = 0; d < ME_RAPL_DOMAINS; d++) {
            struct me_rapl_register reg =
                me_rapl_register(&cpu, (enum me_rapl_domain)d, ESU(cases[i].esu) | 3);
            assert_int_equal(reg.address != 0, cases[i].uj[d] != 0);
            assert_null(reg.unknown);
            if (reg.address) assert_true(me_rapl_uj(reg.unit, UINT64_C(1) << 20) == cases[i].uj[d]);
        }
    }
}

static void test_registers(void **state)
{
    (void)state;
    static const struct {
        struct me_rapl_cpu cpu;
        uint32_t units, addresses[ME_RAPL_DOMAINS];
        bool is_known;
    } cases[] = {
        {{"GenuineIntel", 6, 0x5e}, 0x606, {0x611, 0x619, 0x639, 0x641, 0x64d}, true},
        {{"AuthenticAMD", 0x17, 0x31}, 0xC0010299, {0xC001029B}, true},
        {{"AuthenticAMD", 0x19, 0x11}, 0xC0010299, {0xC001029B}, true},
        {{"AuthenticAMD", 0x1a, 0x02}, 0xC0010299, {0xC001029B}, true},
        {{"HygonGenuine", 0x18, 0x00}, 0xC0010299, {0xC001029B}, true},
        {{"AuthenticAMD", 0x1c, 0x00}, 0xC0010299, {0xC001029B}, false}, /* a later one */
        {{"AuthenticAMD", 0x15, 0x02}, 0, {0}, false},
        {{"GenuineIntel", 6, 0x1a}, 0, {0}, false}, /* Nehalem */
        {{"GenuineIntel", 6, 0x2c}, 0, {0}, false}, /* Westmere */
        {{"GenuineIntel", 15, 6}, 0, {0}, false},
        {{"", 0, 0}, 0, {0}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct me_rapl_cpu *cpu = &cases[i].cpu;
        assert_int_equal(me_rapl_unit_address(cpu), cases[i].units);
        assert_int_equal(me_rapl_is_known(cpu), cases[i].is_known);
        for (int d = 0; d < ME_RAPL_DOMAINS; d++)
            assert_int_equal(me_rapl_register(cpu, (enum me_rapl_domain)d, ESU(14)).address,
                             cases[i].addresses[d]);
    }
    assert_false(me_rapl_is_package_wide(&(struct me_rapl_cpu){"AuthenticAMD", 0x17, 0x01})); /* Naples */
    struct me_rapl_cpu genoa = amd(0x19, 0x11), skylake = intel(0x55);
    assert_true(me_rapl_is_package_wide(&genoa) && !me_rapl_is_package_wide(&skylake));
}

/* A model that is not in the table: its package as ever; what has differed before does not count. */
static void test_unknown_model(void **state)
{
    (void)state;
    struct me_rapl_cpu later = intel(0xf0), avoton = intel(0x4d);
    assert_false(me_rapl_is_known(&later));
    assert_null(me_rapl_register(&later, ME_RAPL_PACKAGE, ESU(14)).unknown);
    assert_null(me_rapl_register(&later, ME_RAPL_CORE, ESU(14)).unknown);
    assert_non_null(me_rapl_register(&later, ME_RAPL_DRAM, ESU(14)).unknown);
    assert_non_null(me_rapl_register(&later, ME_RAPL_PSYS, ESU(14)).unknown);
    assert_non_null(me_rapl_register(&avoton, ME_RAPL_PACKAGE, ESU(5)).unknown);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        enum me_rapl_domain domain;
        struct me_rapl_place place;
        bool with_die;
        const char *name;
    } cases[] = {
        {ME_RAPL_PACKAGE, {0, -1}, false, "package-0"},
        {ME_RAPL_DRAM, {1, 0}, false, "package-1/dram"},
        {ME_RAPL_CORE, {10, 0}, false, "package-10/core"},
        {ME_RAPL_UNCORE, {0, 0}, false, "package-0/uncore"},
        {ME_RAPL_PACKAGE, {0, 1}, true, "package-0-die-1"},
        {ME_RAPL_DRAM, {0, 1}, true, "package-0-die-1/dram"},
        {ME_RAPL_PACKAGE, {0, -1}, true, "package-0"},
        {ME_RAPL_PSYS, {0, 0}, false, "psys"},
        {ME_RAPL_PSYS, {1, 0}, false, "psys-1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[48];
        me_rapl_name(cases[i].domain, &cases[i].place, cases[i].with_die, name, sizeof name);
        assert_string_equal(name, cases[i].name);
    }
}

/* A 32-bit counter read through a million wraps: the energy by the channel's range is that of the raw
 * counts to the microjoule that the first and the last reading are rounded down by. */
static void test_a_million_wraps(void **state)
{
    (void)state;
    static const struct me_rapl_unit units[] = {{1000000, 14}, {1000000, 16}, {1000000, 0}, {1000000, 18},
                                                {1000000, 31}, {1u << 5, 0},  {1u << 10, 0}};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        const struct me_rapl_unit unit = units[u];
        const uint64_t range = me_rapl_range_uj(unit), first_raw = UINT64_C(4294967000);
        __extension__ unsigned __int128 total = 0, grown = 0;
        uint64_t last = me_rapl_uj(unit, first_raw), raw = first_raw, wraps = 0;
        for (uint64_t step = 0; wraps < 1000000; step++) {
            uint64_t by = UINT64_C(3000000000) + step % 1000003;
            wraps += (raw & UINT32_MAX) + by > UINT32_MAX;
            raw += by;
            grown += by;
            uint64_t now = me_rapl_uj(unit, raw); /* the upper half of the register is not the counter's */
            assert_true(now < range);
            total += now >= last ? now - last : range - last + now;
            last = now;
        }
        __extension__ unsigned __int128 truth = grown * unit.mul >> unit.shift;
        assert_true(total <= truth + 1 && truth <= total + 1);
    }
    assert_true(me_rapl_range_uj((struct me_rapl_unit){1000000, 14}) == UINT64_C(262144000000));
    assert_true(me_rapl_range_uj((struct me_rapl_unit){1000000, 16}) == UINT64_C(65536000000));
}

/* --- plain files -------------------------------------------------------------------------------- */

#define CPUINFO(model) "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: " model "\n"

static void put_register(const char *root, int cpu, unsigned address, uint64_t value)
{
    char path[64], full[256];
    snprintf(path, sizeof path, "dev/cpu/%d/msr", cpu);
    snprintf(full, sizeof full, "%s/%s", root, path);
    if (access(full, F_OK)) tree_put(root, path, "");
    int fd = open(full, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &value, sizeof value, (off_t)address), sizeof value);
    close(fd);
}

static void put_package(const char *root, int cpu, const char *package, const char *die)
{
    char path[128];
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
    tree_put(root, path, package);
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/die_id", cpu);
    tree_put(root, path, die);
}

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

static void open_msr(struct me_meter *meter, const char *root)
{
    struct me_error err;
    if (me_meter_open(meter, &(struct me_meter_options){.root = root, .only = "msr"}, &err))
        fail_msg("%s", err.text);
}

/* Two sockets of four CPUs: one CPU each is asked. */
static void test_two_sockets(void **state)
{
    (void)state;
    char root[128], text[512];
    struct me_meter meter;
    struct me_reading readings[8];
    tree_make(root, sizeof root);
    tree_put(root, "proc/cpuinfo", CPUINFO("85"));
    for (int cpu = 0; cpu < 4; cpu++) {
        put_package(root, cpu, cpu % 2 ? "1\n" : "0\n", "0\n");
        put_register(root, cpu, 0x606, 0xa0e03);
        put_register(root, cpu, 0x64d, 0); /* the end of the file: all registers can be read */
        put_register(root, cpu, 0x611, UINT64_C(0xffffffff00000000) + (unsigned)cpu + 16384);
        put_register(root, cpu, 0x619, 65536 * (unsigned)(cpu + 1));
    }
    open_msr(&meter, root);
    channels_text(&meter, text, sizeof text);
    assert_string_equal(text, "package-0=package:0 package-0/dram=dram:0 "
                              "package-0/core=core:0!not added: its package covers it "
                              "package-1=package:1 package-1/dram=dram:1 "
                              "package-1/core=core:1!not added: its package covers it");
    assert_int_equal(meter.channels[0].provenance, ME_PROVENANCE_REPLAY);
    assert_true(meter.channels[0].range == UINT64_C(262144000000));
    assert_true(meter.channels[1].range == UINT64_C(65536000000));
    assert_true(fabs(me_channel_safe_interval_s(&meter.channels[0]) - 262.144) < 1e-9);
    me_meter_read(&meter, readings);
    assert_true(readings[0].count == 1000000 && readings[1].count == 1000000);
    assert_true(readings[3].count == 1000061 && readings[4].count == 2000000);
    me_meter_close(&meter);
    tree_remove(root);
}

static void test_places_by_cpuinfo(void **state)
{
    (void)state;
    char root[128], text[512];
    struct me_meter meter;
    tree_make(root, sizeof root);
    tree_put(root, "proc/cpuinfo",
             "processor\t: 0\n" CPUINFO("42") "physical id\t: 0\n\nprocessor\t: 1\n" CPUINFO(
                 "42") "physical id\t: 3\n");
    for (int cpu = 0; cpu < 3; cpu++) { /* of CPU 2 nothing is known: it is not a package of its own */
        put_register(root, cpu, 0x606, 0xa1003);
        put_register(root, cpu, 0x611, 5);
    }
    open_msr(&meter, root);
    channels_text(&meter, text, sizeof text);
    assert_string_equal(text, "package-0=package:0 package-3=package:3");
    me_meter_close(&meter);
    tree_remove(root);
}

static void test_absent(void **state)
{
    (void)state;
    static const struct {
        const char *cpuinfo;
        uint64_t units, package;
        bool has_file, container;
        const char *reason, *cure;
    } cases[] = {
        {"", 0xa0e03, 5, true, false, "no processor of Intel or AMD", ""},
        {"vendor_id\t: AuthenticAMD\ncpu family\t: 21\n", 0xa0e03, 5, true, false,
         "no processor of Intel or AMD", ""},
        {CPUINFO("85"), 0, 0, false, false, "module for it is not loaded", "sudo modprobe msr"},
        {CPUINFO("85"), 0, 0, false, true, "a container hides it", "sudo modprobe msr && docker run"},
        {CPUINFO("85") "flags\t\t: fpu hypervisor\n", 0, 0, false, false, "a virtual machine", ""},
        {CPUINFO("85"), 0, 5, true, false, "the register of the energy unit: it is 0", ""},
        {CPUINFO("85") "flags\t\t: fpu hypervisor\n", 0, 5, true, false, "it is 0; a virtual machine", ""},
        {CPUINFO("85"), 0xa0e03, 0, true, false, "the energy registers cannot be read or stand at 0", ""},
        /* a plain file is too short for the registers of AMD */
        {"vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n", 0xa0e03, 5, true, false,
         "Input/output error", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128];
        struct me_meter meter;
        tree_make(root, sizeof root);
        tree_put(root, "proc/cpuinfo", cases[i].cpuinfo);
        if (cases[i].container) tree_put(root, "run/.containerenv", "");
        if (cases[i].has_file) {
            put_register(root, 0, 0x64d, 0);
            put_register(root, 0, 0x606, cases[i].units);
            put_register(root, 0, 0x611, cases[i].package);
        }
        open_msr(&meter, root);
        const struct me_source *source = &meter.sources[0];
        assert_false(source->found);
        if (!strstr(source->reason, cases[i].reason)) fail_msg("case %zu: %s", i, source->reason);
        if (strncmp(source->cure, cases[i].cure, strlen(cases[i].cure)) != 0 ||
            !source->cure[0] != !cases[i].cure[0])
            fail_msg("case %zu: %s", i, source->cure);
        me_meter_close(&meter);
        tree_remove(root);
    }
}

/* A device of this machine in another machine's tree would read this machine by the other's units. */
static void test_foreign_device(void **state)
{
    (void)state;
    char root[128], path[256];
    struct me_meter meter;
    tree_make(root, sizeof root);
    tree_put(root, "proc/cpuinfo", CPUINFO("85"));
    tree_put(root, "dev/cpu/0/x", "");
    snprintf(path, sizeof path, "%s/dev/cpu/0/msr", root);
    if (geteuid() || mknod(path, S_IFCHR | 0600, makedev(202, 0))) {
        tree_remove(root);
        skip();
    }
    open_msr(&meter, root);
    assert_false(meter.sources[0].found);
    const char *reason =
        meter.sources[0].reason; /* where the kernel has no such driver, it cannot be opened */
    assert_true(strstr(reason, "a device of the running machine") || strstr(reason, "No such device"));
    me_meter_close(&meter);
    tree_remove(root);
}

/* --- the rig ------------------------------------------------------------------------------------ */

/* Returns how long the slowest reading took. */
static double read_span(struct me_meter *meter, struct me_series *series, int count, int rest_ms)
{
    struct me_reading readings[8];
    int64_t slowest_ns = 0;
    me_series_init(series, meter->channel_count);
    for (int i = 0; i < count; i++) {
        int64_t begin = me_clock_mono_ns();
        me_meter_read(meter, readings);
        int64_t end = me_clock_mono_ns();
        if (end - begin > slowest_ns) slowest_ns = end - begin;
        assert_int_equal(me_series_append(series, begin, readings, NULL), 0);
        me_clock_sleep_until(end + rest_ms * INT64_C(1000000));
    }
    return me_ns_to_s(slowest_ns);
}

/* To the tick at either end, and to the time that a reading takes on a machine that may be busy. */
static void check_power(const struct me_meter *meter, const struct me_series *series, size_t c,
                        double power_w, double slow_s)
{
    struct me_energy energy;
    double span_s = me_ns_to_s(series->time_ns[series->count - 1] - series->time_ns[0]);
    assert_int_equal(me_series_energy(series, &meter->channels[c], c, 0, series->count - 1, &energy),
                     ME_FAULT_NONE);
    assert_true(fabs(me_energy_j(energy) - power_w * span_s) <= power_w * (0.002 + slow_s));
}

static void test_known_power(void **state)
{
    (void)state;
    static const char *const words[] = {
        "-f", "proc/cpuinfo,text=vendor_id : GenuineIntel\ncpu family : 6\nmodel : 85", "-f",
        "dev/cpu/0/msr,msr=1,0x606=0xa0e03,0x611=power:50:2^-14:4294900000,0x619=power:8:2^-16", NULL};
    struct served served;
    struct me_meter meter;
    struct me_series series;
    char text[256];
    served_begin(&served, words);
    open_msr(&meter, served.root);
    channels_text(&meter, text, sizeof text);
    assert_string_equal(text, "package-0=package:0 package-0/dram=dram:0"); /* 0x639 answers EIO */
    assert_int_equal(meter.channels[0].provenance, ME_PROVENANCE_FAKE);
    double slow_s = read_span(&meter, &series, 30, 10);
    assert_true(series.readings[0].count >
                series.readings[29 * 2].count); /* it wrapped: 67296 units are 4.1 J */
    check_power(&meter, &series, 0, 50, slow_s);
    check_power(&meter, &series, 1, 8, slow_s);
    me_series_release(&series);
    me_meter_close(&meter);
    served_end(&served);
}

static void test_amd_and_a_lost_register(void **state)
{
    (void)state;
    static const char *const words[] = {
        "-f", "proc/cpuinfo,text=vendor_id : AuthenticAMD\ncpu family : 25\nmodel : 17", "-f",
        "dev/cpu/0/msr,msr=1,0xc0010299=0xa1003,0xc001029b=power:50:2^-16:4294900000", NULL};
    struct served served;
    struct me_meter meter;
    struct me_series series;
    struct me_reading reading;
    served_begin(&served, words);
    open_msr(&meter, served.root);
    assert_int_equal(meter.channel_count, 1);
    assert_string_equal(meter.channels[0].name, "package-0");
    double slow_s = read_span(&meter, &series, 10, 10);
    check_power(&meter, &series, 0, 50, slow_s);
    me_series_release(&series);
    served_tell(&served, "dev/cpu/0/msr:0xc001029b fault EIO");
    me_meter_read(&meter, &reading);
    assert_int_equal(reading.state, ME_READING_FAILED);
    assert_int_equal(reading.error, EIO);
    served_tell(&served, "dev/cpu/0/msr:0xc001029b ok");
    me_meter_read(&meter, &reading);
    assert_int_equal(reading.state, ME_READING_OK);
    me_meter_close(&meter);
    served_end(&served);
}

/* Dies: two registers that move alike from different values are one counter; others are two. A dead dram,
 * and packages that cannot be asked, stay visible. */
static void test_dies(void **state)
{
    (void)state;
#define PLACE(cpu, package, die)                                                                             \
    "-f", "sys/devices/system/cpu/cpu" cpu "/topology/physical_package_id,text=" package, "-f",              \
        "sys/devices/system/cpu/cpu" cpu "/topology/die_id,text=" die
    static const char *const words[] = {
        "-f",
        "proc/cpuinfo,text=vendor_id : GenuineIntel\ncpu family : 6\nmodel : 85",
        PLACE("0", "0", "0"),
        PLACE("1", "0", "1"),
        PLACE("2", "1", "0"),
        PLACE("3", "1", "1"),
        PLACE("4", "2", "0"),
        PLACE("5", "3", "0"),
        "-f",
        "dev/cpu/0/msr,msr=1,0x606=0xa0e03,0x611=power:50,0x619=0",
        "-f",
        "dev/cpu/1/msr,msr=1,0x606=0xa0e03,0x611=power:50:2^-14:500",
        "-f",
        "dev/cpu/2/msr,msr=1,0x606=0xa0e03,0x611=power:50:2^-14:7000000",
        "-f",
        "dev/cpu/3/msr,msr=1,0x606=0xa0e03,0x611=power:80:2^-14:7000000",
        "-f",
        "dev/cpu/4/msr,msr=1,0x611=power:50:2^-14",
        "-f",
        "dev/cpu/5/msr,msr=1,0x606=0xa0e03,0x619=power:5:2^-16",
        NULL};
    struct served served;
    struct me_meter meter;
    char text[512];
    served_begin(&served, words);
    open_msr(&meter, served.root);
    channels_text(&meter, text, sizeof text);
    assert_string_equal(text, "package-0-die-0=package:0 "
                              "package-0-die-0/dram=dram:0!stands at 0: no meter behind it "
                              "package-0-die-1=package:0!mirrors package-0-die-0: one counter, shown twice "
                              "package-1-die-0=package:1 package-1-die-1=package:1 "
                              "package-3=package:3!dev/cpu/5/msr: Input/output error "
                              "package-3/dram=dram:3 package-2=package:2!dev/cpu/4/msr: Input/output error");
    me_meter_close(&meter);
    served_end(&served);
}

static void test_denied(void **state)
{
    (void)state;
    static const char *const words[] = {
        "-f", "proc/cpuinfo,text=vendor_id : GenuineIntel\ncpu family : 6\nmodel : 85", "-f",
        "dev/cpu/0/msr,msr=1,0x606=0xa0e03,0x611=power:50", NULL};
    struct served served;
    int status;
    served_begin(&served, words);
    pid_t pid = fork();
    if (!pid) {
        struct me_meter meter;
        int wrong = 0;
        if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) _exit(9);
        if (me_meter_open(&meter, &(struct me_meter_options){.root = served.root, .only = "msr"}, NULL))
            _exit(8);
        const struct me_source *source = &meter.sources[0];
        if (source->found) wrong |= 1;
        if (!strstr(source->reason, "Permission denied; it takes the right to the file and CAP_SYS_RAWIO"))
            wrong |= 2;
        if (source->cure[0] && !strstr(source->cure, "chmod g+r /dev/cpu/*/msr; setcap cap_sys_rawio=ep /"))
            wrong |= 4;
        if (wrong) fprintf(stderr, "%s\n%s\n", source->reason, source->cure);
        me_meter_close(&meter);
        _exit(wrong);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    served_end(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpuinfo),     cmocka_unit_test(test_units),
        cmocka_unit_test(test_registers),   cmocka_unit_test(test_unknown_model),
        cmocka_unit_test(test_names),       cmocka_unit_test(test_a_million_wraps),
        cmocka_unit_test(test_two_sockets), cmocka_unit_test(test_places_by_cpuinfo),
        cmocka_unit_test(test_absent),      cmocka_unit_test(test_foreign_device),
        cmocka_unit_test(test_known_power), cmocka_unit_test(test_amd_and_a_lost_register),
        cmocka_unit_test(test_dies),        cmocka_unit_test(test_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
