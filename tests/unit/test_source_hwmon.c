/* The source hwmon: which sensors are known and what they mean, which of them count together, what is
 * an error code and no power; over trees of plain files, and against meters of a known power. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "../../src/source/hwmon.h"
#include "me/clock.h"
#include "tree.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define HWMON "sys/class/hwmon/"

static void rest_ms(int ms)
{
    me_clock_sleep_until(me_clock_mono_ns() + ms * INT64_C(1000000));
}

static void test_place(void **state)
{
    (void)state;
    static const struct {
        const char *chip, *label;
        enum me_hwmon_quantity quantity;
        bool apu;
        enum me_scope scope;
        int package;
        const char *name;
        bool known;
    } cases[] = {
        {"amd_energy", "Esocket1", ME_HWMON_ENERGY, false, ME_SCOPE_PACKAGE, 1, "package-1", true},
        {"amd_energy", "Ecore017", ME_HWMON_ENERGY, false, ME_SCOPE_CORE, -1, "core-17", true},
        {"amd_energy", "Esocket1", ME_HWMON_POWER, false, ME_SCOPE_CORE, -1, "amd_energy/Esocket1", false},
        {"power_meter", "Module Power Socket 2", ME_HWMON_POWER, false, ME_SCOPE_PLATFORM, 2, "module-2",
         true},
        {"power_meter", "Grace Power Socket 3", ME_HWMON_POWER, false, ME_SCOPE_PACKAGE, 3, "package-3",
         true},
        {"power_meter", "CPU Power Socket 0", ME_HWMON_POWER, false, ME_SCOPE_CORE, 0, "package-0/cpu", true},
        {"power_meter", "SysIO Power Socket 0", ME_HWMON_POWER, false, ME_SCOPE_CORE, 0, "package-0/sysio",
         true},
        {"power_meter", "", ME_HWMON_POWER, false, ME_SCOPE_NODE, -1, "node", true},
        {"power_meter", "ACME BMC 3", ME_HWMON_POWER, false, ME_SCOPE_NODE, -1, "node", true},
        {"power_meter", "DRAM Power Socket 0", ME_HWMON_POWER, false, ME_SCOPE_CORE, -1,
         "power_meter/DRAM Power Socket 0", false}, /* a part, in words we do not know */
        {"apm_xgene", "CPU power", ME_HWMON_POWER, false, ME_SCOPE_PACKAGE, 0, "package-0/cpu", true},
        {"apm_xgene", "IO power", ME_HWMON_POWER, false, ME_SCOPE_PACKAGE, 0, "package-0/io", true},
        {"fam15h_power", "", ME_HWMON_POWER, false, ME_SCOPE_PACKAGE, 0, "package-0", true},
        {"zenpower", "SVI2_P_SoC", ME_HWMON_POWER, false, ME_SCOPE_CORE, 0, "package-0/soc", true},
        {"ibmpowernv", "System", ME_HWMON_POWER, false, ME_SCOPE_PLATFORM, -1, "system", true},
        {"ibmpowernv", "Chip 8", ME_HWMON_ENERGY, false, ME_SCOPE_PACKAGE, 8, "package-8", true},
        {"ibmpowernv", "Chip 8 Vdd", ME_HWMON_ENERGY, false, ME_SCOPE_CORE, 8, "package-8/vdd", true},
        {"ibmpowernv", "Chip 8 Memory", ME_HWMON_POWER, false, ME_SCOPE_DRAM, 8, "package-8/dram", true},
        {"ibmpowernv", "Chip 8 GPU", ME_HWMON_POWER, false, ME_SCOPE_GPU, 8, "package-8/gpus", false},
        {"amdgpu", "PPT", ME_HWMON_POWER, false, ME_SCOPE_GPU, -1, "gpu-0", true},
        {"amdgpu", "", ME_HWMON_POWER, true, ME_SCOPE_PACKAGE, -1, "apu-0", true},
        {"amdgpu", "slowPPT", ME_HWMON_POWER, true, ME_SCOPE_PACKAGE, -1, "apu-0", true},
        {"amdgpu", "fastPPT", ME_HWMON_POWER, true, ME_SCOPE_CORE, -1, "gpu-0/fast", false},
        {"nouveau", "", ME_HWMON_POWER, false, ME_SCOPE_GPU, -1, "gpu-0", true},
        {"i915", "", ME_HWMON_ENERGY, false, ME_SCOPE_GPU, -1, "gpu-0", true},
        {"i915_gt1", "", ME_HWMON_ENERGY, false, ME_SCOPE_CORE, -1, "gpu-tile-1", false},
        {"xe", "card", ME_HWMON_ENERGY, false, ME_SCOPE_GPU, -1, "gpu-0", true},
        {"xe", "pkg", ME_HWMON_ENERGY, false, ME_SCOPE_GPU, -1, "gpu-0/package", true},
        {"corsairpsu", "power total", ME_HWMON_POWER, false, ME_SCOPE_PLATFORM, -1, "psu-0/out", true},
        {"corsairpsu", "power +12v", ME_HWMON_POWER, false, ME_SCOPE_CORE, -1, "corsairpsu/power +12v",
         false},
        {"macsmc_hwmon", "Total System Power", ME_HWMON_POWER, false, ME_SCOPE_PLATFORM, -1, "system", true},
        {"macsmc_hwmon", "AC Input Power", ME_HWMON_POWER, false, ME_SCOPE_CORE, -1, "input", false},
        {"ina3221", "VDD_IN", ME_HWMON_PRODUCT, false, ME_SCOPE_PLATFORM, -1, "module", true},
        {"ina3221", "VDD_CPU_GPU_CV", ME_HWMON_PRODUCT, false, ME_SCOPE_CORE, -1, "ina3221/VDD_CPU_GPU_CV",
         false},
        {"ibm_cffps2", "pin", ME_HWMON_POWER, false, ME_SCOPE_NODE, -1, "psu-0", true},
        {"ibm_cffps2", "pout1", ME_HWMON_POWER, false, ME_SCOPE_CORE, -1, "psu-0/out", false},
        {"tps53679", "pin", ME_HWMON_POWER, false, ME_SCOPE_CORE, -1, "tps53679/pin",
         false},                                                                            /* a regulator */
        {"adm1278", "pin", ME_HWMON_POWER, false, ME_SCOPE_CORE, -1, "adm1278/pin", false}, /* a hot swap */
        {"hwmon7", "", ME_HWMON_ENERGY, false, ME_SCOPE_CORE, -1, "hwmon7/energy1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_hwmon_sensor sensor = {.quantity = cases[i].quantity, .index = 1, .apu = cases[i].apu};
        struct me_hwmon_place place;
        snprintf(sensor.chip, sizeof sensor.chip, "%s", cases[i].chip);
        snprintf(sensor.label, sizeof sensor.label, "%s", cases[i].label);
        me_hwmon_place(&sensor, &place);
        assert_string_equal(place.name, cases[i].name);
        assert_int_equal(place.scope, cases[i].scope);
        assert_int_equal(place.package, cases[i].package);
        assert_int_equal(!place.why_not, cases[i].known);
        assert_true(place.period_s > 0 && place.period_s <= 1);
    }
}

static void test_watts(void **state)
{
    (void)state;
    static const struct {
        long long uw;
        enum me_scope scope;
        int error;
        double watts;
    } cases[] = {
        {262000000, ME_SCOPE_NODE, 0, 262},
        {0, ME_SCOPE_NODE, 0, 0},
        {1, ME_SCOPE_NODE, 0, 1e-6},
        {4294967295000, ME_SCOPE_NODE, ENODATA, 0},    /* 0xffffffff mW: lm-sensors 460 */
        {4294967295, ME_SCOPE_NODE, ENODATA, 0},       /* 0xffffffff uW: 4295 W would be possible */
        {4294967295000000, ME_SCOPE_NODE, ENODATA, 0}, /* 0xffffffff W */
        {2147483647, ME_SCOPE_NODE, ENODATA, 0},       /* INT_MAX uW: a float that did not fit */
        {65535000000, ME_SCOPE_NODE, ENODATA, 0},      /* 0xffff W */
        {4294967294, ME_SCOPE_NODE, 0, 4294.967294},
        {-1, ME_SCOPE_NODE, ERANGE, 0},
        {100000000000, ME_SCOPE_NODE, 0, 100000},
        {100000000001, ME_SCOPE_NODE, ERANGE, 0},
        {5000000001, ME_SCOPE_PACKAGE, ERANGE, 0},
        {INT64_MAX, ME_SCOPE_NODE, ERANGE, 0},
        {INT64_MIN, ME_SCOPE_NODE, ERANGE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double watts = -7;
        assert_int_equal(me_hwmon_watts(cases[i].uw, me_hwmon_bound_w(cases[i].scope), &watts),
                         cases[i].error);
        assert_float_equal(watts, cases[i].error ? -7 : cases[i].watts, 1e-9);
    }
}

/* Channels as "name=scope:package[!why]", joined by "; "; whatever counts has no "!". */
static void channels_text(const struct me_meter *meter, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < meter->channel_count; i++) {
        const struct me_channel *c = &meter->channels[i];
        used += (size_t)snprintf(text + used, size - used, "%s%s=%s:%d%s%s", i ? "; " : "", c->name,
                                 me_scope_name(c->scope), c->package, c->counted ? "" : "!", c->why_not);
    }
}

struct file {
    const char *path, *text; /* behind sys/class/hwmon, unless it begins with sys */
};

static void put_files(const char *root, const struct file *files, size_t most)
{
    for (const struct file *f = files; f < files + most && f->path; f++) {
        char path[256];
        snprintf(path, sizeof path, "%s%s", strncmp(f->path, "sys/", 4) ? HWMON : "", f->path);
        tree_put(root, path, f->text);
    }
}

static void test_trees(void **state)
{
    (void)state;
    static const struct {
        struct file files[12];
        const char *channels;
        double interval_s;
    } cases[] = {
        {{{"hwmon0/name", "power_meter\n"},
          {"hwmon0/device/power1_average", "262000000\n"},
          {"hwmon0/device/power1_average_interval", "300\n"}},
         "node=node:-1",
         0.3},
        {{{"hwmon0/device/name", "power_meter\n"}, {"hwmon0/device/power1_average", "262000000\n"}},
         "node=node:-1",
         1}, /* the old layout; nothing tells the interval */
        {{{"hwmon0/name", "power_meter\n"}, {"hwmon0/power1_average", "0\n"}},
         "node=node:-1!stands at 0 W: no meter behind it",
         1},
        {{{"hwmon0/name", "power_meter\n"}, {"hwmon0/power1_average", "4294967295000\n"}},
         "node=node:-1!power1_average says 4.29e+06 W: an error code, not a power",
         1},
        {{{"hwmon0/name", "power_meter\n"},
          {"hwmon0/power1_average", "262000000\n"},
          {"hwmon0/power1_is_battery", "1\n"}},
         "node=node:-1!it measures a battery",
         1},
        {{{"hwmon0/name", "power_meter\n"},
          {"hwmon0/power1_average", "262000000\n"},
          {"hwmon1/name", "power_meter\n"},
          {"hwmon1/power1_average", "131000000\n"}},
         "node=node:-1!several meters, and nothing says what each of them measures; "
         "hwmon/node=node:-1!several meters, and nothing says what each of them measures",
         1},
        {{{"hwmon2/name", "power_meter\n"},
          {"hwmon2/power1_average", "190000000\n"},
          {"hwmon2/power1_oem_info", "Grace Power Socket 0\n"},
          {"hwmon10/name", "power_meter\n"},
          {"hwmon10/power1_average", "210000000\n"},
          {"hwmon10/power1_oem_info", "Module Power Socket 0\n"}},
         "package-0=package:0!not added: the platform's meter covers it; module-0=platform:0",
         1},
        {{{"hwmon1/name", "power_meter\n"}, /* one of two modules says nothing: their sum would be half */
          {"hwmon1/power1_average", "190000000\n"},
          {"hwmon1/power1_oem_info", "Module Power Socket 0\n"},
          {"hwmon2/name", "power_meter\n"},
          {"hwmon2/power1_average", "4294967295000\n"},
          {"hwmon2/power1_oem_info", "Module Power Socket 1\n"},
          {"hwmon3/name", "power_meter\n"},
          {"hwmon3/power1_average", "90000000\n"},
          {"hwmon3/power1_oem_info", "Grace Power Socket 0\n"}},
         "module-0=platform:0!module-1 has no value, and without it the sum is not whole; "
         "module-1=platform:1!power1_average says 4.29e+06 W: an error code, not a power; "
         "package-0=package:0",
         1},
        {{{"hwmon0/name", "ibm_cffps2\n"}, /* two supplies, one at rest */
          {"hwmon0/power1_input", "300000000\n"},
          {"hwmon0/power1_label", "pin\n"},
          {"hwmon0/power2_input", "280000000\n"},
          {"hwmon0/power2_label", "pout1\n"},
          {"hwmon1/name", "ibm_cffps2\n"},
          {"hwmon1/power1_input", "0\n"},
          {"hwmon1/power1_label", "pin\n"}},
         "psu-0=node:-1; psu-0/out=core:-1!the output of a power supply; its input counts; psu-1=node:-1",
         1},
        {{{"hwmon0/name", "ibm_cffps2\n"}, /* one of two supplies does not answer */
          {"hwmon0/power1_input", "300000000\n"},
          {"hwmon0/power1_label", "pin\n"},
          {"hwmon1/name", "pfe1100\n"},
          {"hwmon1/power1_input", "\n"},
          {"hwmon1/power1_label", "pin\n"}},
         "psu-0=node:-1!pfe1100 has no value, and without it the sum is not whole; "
         "hwmon/psu-0=node:-1!power1_input: No data available",
         1},
        {{{"hwmon0/name", "ibm_cffps2\n"}, {"hwmon0/power1_input", "0\n"}, {"hwmon0/power1_label", "pin\n"}},
         "psu-0=node:-1!stands at 0 W: no meter behind it",
         1},
        {{{"hwmon0/name", "ibm_cffps2\n"}, /* never a supply and a meter both */
          {"hwmon0/power1_input", "300000000\n"},
          {"hwmon0/power1_label", "pin\n"},
          {"hwmon1/name", "power_meter\n"},
          {"hwmon1/power1_average", "310000000\n"}},
         "psu-0=node:-1!the node's meter shows the same; node=node:-1",
         1},
        {{{"hwmon0/name", "amd_energy\n"}, /* cores are inside the sockets */
          {"hwmon0/energy1_input", "1000\n"},
          {"hwmon0/energy1_label", "Ecore000\n"},
          {"hwmon0/energy3_input", "18446744073709551615\n"},
          {"hwmon0/energy3_label", "Esocket0\n"},
          {"hwmon0/energy4_input", "7000\n"},
          {"hwmon0/energy4_label", "Esocket1\n"}},
         "package-0=package:0; package-1=package:1",
         0.1},
        {{{"hwmon0/name", "xe\n"}, /* a card and the package on it; limits are no sensors */
          {"hwmon0/energy1_input", "5000\n"},
          {"hwmon0/energy1_label", "card\n"},
          {"hwmon0/energy2_input", "4000\n"},
          {"hwmon0/energy2_label", "pkg\n"},
          {"hwmon0/power1_max", "300000000\n"}},
         "gpu-0=gpu:-1; gpu-0/package=gpu:-1!its card covers it",
         0.1},
        {{{"hwmon0/name", "xe\n"}, {"hwmon0/energy2_input", "4000\n"}, {"hwmon0/energy2_label", "pkg\n"}},
         "gpu-0/package=gpu:-1", /* the package alone is better than nothing */
         0.1},
        {{{"hwmon0/name", "ibmpowernv\n"}, /* power and energy of one sensor */
          {"hwmon0/power1_input", "90000000\n"},
          {"hwmon0/power1_label", "Chip 0\n"},
          {"hwmon0/power2_input", "60000000\n"},
          {"hwmon0/power2_label", "Chip 0 Vdd\n"},
          {"hwmon0/energy1_input", "9000\n"},
          {"hwmon0/energy1_label", "Chip 0\n"}},
         "package-0=package:0; hwmon/package-0=package:0!its energy counter is read; "
         "package-0/vdd=core:0!not added: its package covers it",
         0.1},
        {{{"hwmon0/name", "ina3221\n"}, /* 5020 mV x 1500 mA = 7.53 W */
          {"hwmon0/in1_input", "5020\n"},
          {"hwmon0/in1_label", "VDD_IN\n"},
          {"hwmon0/curr1_input", "1500\n"},
          {"hwmon0/in2_input", "5020\n"},
          {"hwmon0/in2_label", "VDD_SOC\n"},
          {"hwmon0/curr2_input", "300\n"},
          {"hwmon0/in4_input", "3\n"},
          {"hwmon0/curr4_input", "1500\n"}},
         "module=platform:-1; ina3221/VDD_SOC=core:-1!one rail of several; what the others feed is not in it",
         0.1},
        {{{"hwmon0/name", "hid_a1_battery\n"}, /* a mirror of what the source battery reads */
          {"hwmon0/power1_input", "9000000\n"},
          {"sys/class/power_supply/hid-a1-battery/type", "Battery\n"},
          {"hwmon1/name", "mystery\n"},
          {"hwmon1/power3_input", "9000000\n"},
          {"hwmon1/power3_fault", "1\n"},
          {"hwmon2/power1_input", "-4\n"}},
         "mystery/power3=core:-1!it says that it is faulty (power3_fault); "
         "hwmon2/power1=core:-1!power1_input says -4e-06 W: not a power that can be",
         1},
        {{{"hwmon0/name", "amdgpu\n"},
          {"hwmon0/power1_average", "28000000\n"},
          {"hwmon0/power1_input", "1\n"},
          {"hwmon0/power1_cap", "1\n"},
          {"hwmon1/name", "amdgpu\n"},
          {"hwmon1/power1_average", "30000000\n"},
          {"hwmon1/in1_label", "vddnb\n"},
          {"hwmon2/name", "amdgpu\n"},
          {"hwmon2/power1_input", "3000000\n"},
          {"hwmon2/power1_cap", "3000000\n"}},
         "gpu-0=gpu:-1; apu-1=package:-1; gpu-2=gpu:-1",
         0.1}, /* a card, a processor's graphics, a card without a mean (MI300X) */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128], text[2048];
        struct me_meter meter;
        struct me_error err;
        tree_make(root, sizeof root);
        put_files(root, cases[i].files, 12);
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "hwmon"}, &err), 0);
        channels_text(&meter, text, sizeof text);
        assert_string_equal(text, cases[i].channels);
        assert_float_equal(meter.sources[0].interval_s, cases[i].interval_s, 1e-9);
        for (size_t c = 0; c < meter.channel_count; c++)
            assert_int_equal(meter.channels[c].provenance, ME_PROVENANCE_REPLAY);
        me_meter_close(&meter);
        tree_remove(root);
    }
}

static void test_absent(void **state)
{
    (void)state;
    static const struct {
        struct file files[3];
        const char *reason, *cure;
    } cases[] = {
        {{{NULL, NULL}}, "no sys/class/hwmon: no sensor chips", ""},
        {{{"hwmon0/name", "coretemp\n"}, {"hwmon0/temp1_input", "40000\n"}},
         "no chip in sys/class/hwmon measures energy or power",
         ""},
        {{{"sys/bus/acpi/devices/ACPI000D:00/hid", "ACPI000D\n"}},
         "the firmware has a power meter, and the kernel's module for it is not loaded",
         "sudo modprobe acpi_power_meter"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128];
        struct me_meter meter;
        struct me_error err;
        tree_make(root, sizeof root);
        put_files(root, cases[i].files, 3);
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "hwmon"}, &err), 0);
        assert_false(meter.sources[0].found);
        assert_string_equal(meter.sources[0].reason, cases[i].reason);
        assert_string_equal(meter.sources[0].cure, cases[i].cure);
        me_meter_close(&meter);
        tree_remove(root);
    }
}

/* The error code, an empty answer and a fault flag come in the middle of a run, and go again. */
static void test_readings(void **state)
{
    (void)state;
    static const struct {
        const char *path, *text;
        int error;
        double watts;
    } steps[] = {
        {HWMON "hwmon0/power1_average", "262000000\n", 0, 262},
        {HWMON "hwmon0/power1_average", "4294967295000\n", ENODATA, 0},
        {HWMON "hwmon0/power1_average", "263500000", 0, 263.5},
        {HWMON "hwmon0/power1_average", "0\n", ENODATA, 0}, /* the meter of a node that runs */
        {HWMON "hwmon0/power1_average", "-5\n", ERANGE, 0},
        {HWMON "hwmon0/power1_average", "99999999999999999999999\n", ERANGE, 0},
        {HWMON "hwmon0/power1_average", "", ENODATA, 0},
        {HWMON "hwmon0/power1_average", "12 W\n", EINVAL, 0},
        {HWMON "hwmon0/power1_average", "264000000\n", 0, 264},
        {HWMON "hwmon0/power1_fault", "1\n", EIO, 0},
        {HWMON "hwmon0/power1_fault", "0\n", 0, 264},
    };
    char root[128];
    struct me_meter meter;
    struct me_error err;
    tree_make(root, sizeof root);
    put_files(root,
              (const struct file[]){{"hwmon0/name", "power_meter\n"},
                                    {"hwmon0/power1_fault", "0\n"},
                                    {"hwmon0/power1_average", "262000000\n"}},
              3);
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "hwmon"}, &err),
                     0);
    assert_int_equal(meter.channel_count, 1);
    assert_true(meter.channels[0].counted);
    assert_string_equal(meter.channels[0].unit, "W");
    assert_int_equal(meter.channels[0].cls, ME_CLASS_INTEGRATED);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct me_reading reading;
        tree_put(root, steps[i].path, steps[i].text);
        me_meter_read_source(&meter, 0, &reading);
        assert_int_equal(reading.state, steps[i].error ? ME_READING_FAILED : ME_READING_OK);
        assert_int_equal(reading.error, steps[i].error);
        if (!steps[i].error) assert_float_equal(reading.level, steps[i].watts, 1e-9);
    }
    me_meter_close(&meter);
    tree_remove(root);
}

/* A sensor that never counts is left in peace for a second; one beside it that counts is not. */
static void test_rest(void **state)
{
    (void)state;
    char root[128];
    struct me_meter meter;
    struct me_error err;
    struct me_reading readings[2];
    tree_make(root, sizeof root);
    put_files(root,
              (const struct file[]){{"hwmon0/name", "amdgpu\n"},
                                    {"hwmon0/power1_average", "5000000\n"},
                                    {"hwmon1/name", "mystery\n"},
                                    {"hwmon1/power1_input", "5000000\n"}},
              4);
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "hwmon"}, &err),
                     0);
    int64_t begin_ns = me_clock_mono_ns();
    me_meter_read_source(&meter, 0, readings);
    tree_put(root, HWMON "hwmon0/power1_average", "6000000\n");
    tree_put(root, HWMON "hwmon1/power1_input", "6000000\n");
    me_meter_read_source(&meter, 0, readings);
    assert_float_equal(readings[0].level, 6, 1e-9);
    if (me_clock_mono_ns() - begin_ns < 500000000) assert_float_equal(readings[1].level, 5, 1e-9);
    rest_ms(1050);
    me_meter_read_source(&meter, 0, readings);
    assert_float_equal(readings[1].level, 6, 1e-9);
    me_meter_close(&meter);
    tree_remove(root);
}

/* Voltage x current: 5020 mV x 1500 mA = 7.53 W, and no number if one of the two has none. */
static void test_product(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text;
        int error;
        double watts;
    } steps[] = {
        {"hwmon0/in1_input", "5020\n", 0, 7.53},
        {"hwmon0/curr1_input", "2000\n", 0, 10.04},
        {"hwmon0/curr1_input", "\n", ENODATA, 0},
        {"hwmon0/curr1_input", "-2000\n", ERANGE, 0},
        {"hwmon0/curr1_input", "9223372036854775807\n", ERANGE, 0},
        {"hwmon0/curr1_input", "0\n", ENODATA, 0},
        {"hwmon0/curr1_input", "1500\n", 0, 7.53},
        {"hwmon0/in1_input", "x\n", EINVAL, 0},
    };
    char root[128];
    struct me_meter meter;
    struct me_error err;
    tree_make(root, sizeof root);
    put_files(root,
              (const struct file[]){{"hwmon0/name", "ina3221\n"},
                                    {"hwmon0/in1_input", "5020\n"},
                                    {"hwmon0/in1_label", "  VDD_IN\n"},
                                    {"hwmon0/curr1_input", "1500\n"}},
              4);
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "hwmon"}, &err),
                     0);
    assert_string_equal(meter.channels[0].name, "module");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct me_reading reading;
        put_files(root, &(const struct file){steps[i].file, steps[i].text}, 1);
        me_meter_read_source(&meter, 0, &reading);
        assert_int_equal(reading.state, steps[i].error ? ME_READING_FAILED : ME_READING_OK);
        assert_int_equal(reading.error, steps[i].error);
        if (!steps[i].error) assert_float_equal(reading.level, steps[i].watts, 1e-9);
    }
    me_meter_close(&meter);
    tree_remove(root);
}

/* A short mean is read, a long one only where there is no momentary value; and then it is said. */
static void test_average(void **state)
{
    (void)state;
    static const struct {
        const char *interval, *input;
        double watts;
        const char *reason;
    } cases[] = {
        {"1000\n", "7000000\n", 9, ""},
        {"2000\n", "7000000\n", 9, ""},
        {"30000\n", "7000000\n", 7, ""},
        {NULL, "7000000\n", 9, ""},
        {"30000\n", NULL, 9, "a meter shows the mean of the last 30 s: what is much shorter is smeared"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128];
        struct me_meter meter;
        struct me_error err;
        struct me_reading reading;
        tree_make(root, sizeof root);
        tree_put(root, HWMON "hwmon0/name", "fam15h_power\n");
        tree_put(root, HWMON "hwmon0/power1_average", "9000000\n");
        if (cases[i].interval) tree_put(root, HWMON "hwmon0/power1_average_interval", cases[i].interval);
        if (cases[i].input) tree_put(root, HWMON "hwmon0/power1_input", cases[i].input);
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "hwmon"}, &err), 0);
        assert_int_equal(meter.channel_count, 1);
        me_meter_read_source(&meter, 0, &reading);
        assert_int_equal(reading.state, ME_READING_OK);
        assert_float_equal(reading.level, cases[i].watts, 1e-9);
        assert_string_equal(meter.sources[0].reason, cases[i].reason);
        me_meter_close(&meter);
        tree_remove(root);
    }
}

/* A graphics processor's sensor stands for the package where nothing better does, and for a card its
 * PCI address is told. */
static void test_graphics(void **state)
{
    (void)state;
    char root[128];
    struct me_meter meter;
    struct me_error err;
    struct me_meter_options options = {.root = root, .only = "powercap,hwmon"};
    tree_make(root, sizeof root);
    put_files(
        root,
        (const struct file[]){{"hwmon0/name", "amdgpu\n"},
                              {"hwmon0/power1_input", "60000000\n"},
                              {"hwmon1/name", "amdgpu\n"},
                              {"hwmon1/power1_average", "90000000\n"},
                              {"hwmon1/power1_cap", "90000000\n"},
                              {"hwmon1/device/uevent", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:c3:00.0\nX=1\n"}},
        6);
    assert_int_equal(me_meter_open(&meter, &options, &err), 0);
    assert_string_equal(meter.channels[0].name, "apu-0");
    assert_true(meter.channels[0].counted);
    assert_string_equal(meter.channels[0].device, "");
    assert_string_equal(meter.channels[1].device, "0000:c3:00.0");
    assert_true(meter.channels[1].counted);
    me_meter_close(&meter);
    tree_put(root, "sys/class/powercap/intel-rapl:0/name", "package-0\n");
    tree_put(root, "sys/class/powercap/intel-rapl:0/energy_uj", "5\n");
    assert_int_equal(me_meter_open(&meter, &options, &err), 0);
    assert_int_equal(meter.channel_count, 3);
    assert_true(meter.channels[0].counted);
    assert_string_equal(meter.channels[1].why_not, "not added: the same as package-0 of powercap");
    assert_true(meter.channels[2].counted);
    me_meter_close(&meter);
    tree_remove(root);
}

static void test_denied(void **state)
{
    (void)state;
    char root[128], path[192];
    struct me_meter meter;
    struct me_error err;
    tree_make(root, sizeof root);
    put_files(root,
              (const struct file[]){{"hwmon0/name", "amd_energy\n"},
                                    {"hwmon0/energy1_label", "Esocket0\n"},
                                    {"hwmon0/energy1_input", "5\n"}},
              3);
    snprintf(path, sizeof path, "%s/" HWMON "hwmon0/energy1_input", root);
    assert_int_equal(chmod(path, 0), 0);
    if (!geteuid()) assert_int_equal(seteuid(65534), 0);
    int rc = me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "hwmon"}, &err);
    if (!getuid()) assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, 0);
    assert_false(meter.sources[0].found);
    assert_string_equal(meter.sources[0].reason, "1 of 1 sensors are for root only");
    assert_non_null(strstr(meter.sources[0].cure, "hwmon*/energy*_input"));
    me_meter_close(&meter);
    tree_remove(root);
}

struct rig {
    char root[128];
    pid_t pid;
};

/* The rig stands beside this program. */
static void rig_start(struct rig *rig, const char *const *files)
{
    static char option[] = "-f", die[] = "-d";
    char path[256], control[192], *argv[24];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 16);
    int n = 0;
    assert_true(len > 0);
    path[len] = '\0';
    strcpy(strrchr(path, '/'), "/me_rig");
    if (access(path, X_OK) || access("/dev/fuse", R_OK | W_OK) || geteuid()) {
        print_message("no me_rig, no /dev/fuse, or not root: skipped\n");
        skip();
    }
    tree_make(rig->root, sizeof rig->root);
    argv[n++] = path;
    argv[n++] = die;
    for (; *files; files++) {
        argv[n++] = option;
        argv[n++] = strdup(*files);
    }
    argv[n++] = rig->root;
    argv[n] = NULL;
    rig->pid = fork();
    assert_true(rig->pid >= 0);
    if (!rig->pid) {
        execv(path, argv);
        _exit(127);
    }
    for (int i = 3; i < n - 1; i += 2) free(argv[i]);
    snprintf(control, sizeof control, "%s/.control", rig->root);
    for (int i = 0; i < 2000 && access(control, F_OK); i++) rest_ms(2);
    assert_int_equal(access(control, F_OK), 0);
}

static void rig_stop(struct rig *rig)
{
    kill(rig->pid, SIGTERM);
    waitpid(rig->pid, NULL, 0);
    umount2(rig->root, MNT_DETACH);
    rmdir(rig->root);
}

/* 70 W on a meter that shows the mean of the last second, and 40 W on a 64-bit counter: joules are power
 * x time, read through the source alone. */
static void test_known_power(void **state)
{
    (void)state;
    static const char *const files[] = {
        HWMON "hwmon0/name,text=amd_energy",
        HWMON "hwmon0/energy1_label,text=Esocket0",
        HWMON "hwmon0/energy1_input,power=40,unit=uJ",
        HWMON "hwmon1/name,text=power_meter",
        HWMON "hwmon1/device/power1_average,power=70,unit=uW,tick_ms=1000,mean=1",
        HWMON "hwmon1/device/power1_average_interval,text=1000",
        NULL,
    };
    struct rig rig;
    struct me_meter meter;
    struct me_error err;
    struct me_reading first[2], last[2], readings[2];
    double gauge_j = 0, before_w;
    rig_start(&rig, files);
    rest_ms(1100); /* a mean of a second needs one */
    assert_int_equal(
        me_meter_open(&meter, &(struct me_meter_options){.root = rig.root, .only = "hwmon"}, &err), 0);
    assert_int_equal(meter.channel_count, 2);
    assert_string_equal(meter.channels[0].name, "package-0");
    assert_string_equal(meter.channels[1].name, "node");
    assert_int_equal(meter.channels[1].provenance, ME_PROVENANCE_FAKE);
    int64_t begin_ns = me_clock_mono_ns(), then_ns = begin_ns, now_ns = begin_ns;
    me_meter_read_source(&meter, 0, first);
    before_w = first[1].level;
    for (int i = 0; i < 15; i++) {
        rest_ms(100);
        now_ns = me_clock_mono_ns();
        me_meter_read_source(&meter, 0, readings);
        assert_int_equal(readings[1].state, ME_READING_OK);
        gauge_j += (before_w + readings[1].level) / 2 * (double)(now_ns - then_ns) * 1e-9;
        before_w = readings[1].level;
        then_ns = now_ns;
    }
    memcpy(last, readings, sizeof last);
    double seconds = (double)(now_ns - begin_ns) * 1e-9;
    assert_int_equal(first[0].state, ME_READING_OK);
    double counter_j = (double)(last[0].count - first[0].count) * 1e-6;
    assert_true(fabs(gauge_j - 70 * seconds) < 0.01 * 70 * seconds);
    assert_true(fabs(counter_j - 40 * seconds) < 0.05 * 40 * seconds); /* the machine may be busy */
    me_meter_close(&meter);
    rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_place),  cmocka_unit_test(test_watts),       cmocka_unit_test(test_trees),
        cmocka_unit_test(test_absent), cmocka_unit_test(test_readings),    cmocka_unit_test(test_average),
        cmocka_unit_test(test_rest),   cmocka_unit_test(test_product),     cmocka_unit_test(test_graphics),
        cmocka_unit_test(test_denied), cmocka_unit_test(test_known_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
