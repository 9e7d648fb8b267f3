/* The source ipmi: what ipmitool and its kin print, recorded machines, and the real path with a stub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "../../src/source/ipmi.h"
#include "../../src/source/ipmi_text.h"
#include "me/clock.h"
#include "tree.h"
#include <errno.h>
#include <stdbool.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define DCMI(power, state)                                                                                   \
    "\n    Instantaneous power reading:                   " power "\n"                                       \
    "    Minimum during sampling period:                162 Watts\n"                                         \
    "    Maximum during sampling period:                276 Watts\n"                                         \
    "    Average power reading over sample period:      176 Watts\n"                                         \
    "    IPMI timestamp:                           Wed Feb 15 12:49:51 2017\n"                               \
    "    Sampling period:                          01131466 Seconds.\n"                                      \
    "    Power reading state is:                   " state "\n\n"

/* Recorded answers; where they were recorded stands in tests/machines/ipmi-*. */
static const char freeipmi[] = "Current Power                        : 332 Watts\n"
                               "Minimum Power over sampling duration : 68 watts\n"
                               "Maximum Power over sampling duration : 504 watts\n"
                               "Average Power over sampling duration : 348 watts\n"
                               "Time Stamp                           : 11/03/2023 - 08:36:29\n"
                               "Statistics reporting time period     : 2685198000 milliseconds\n"
                               "Power Measurement                    : Active\n";
static const char merged_line[] =
    "\n    Instantaneous power reading:                   186 Watts\n"
    "    Minimum during sampling period:                129 Watts\n"
    "    Maximum during sampling period:                386 Watts\n"
    "    Average power reading over sample period:      198 Watts\n"
    "    IPMI timestamp:                           07/26/26 16:57:12 CDT    Sampling period:              "
    "            00898033 Seconds.\n"
    "    Power reading state is:                   activated\n\n";
static const char ipmiutil[] =
    "ipmiutil dcmi ver 3.17\n-- BMC version 6.10, IPMI version 2.0 \n"
    "DCMI Version:                   1.5\nDCMI Power Management:          Supported\n"
    "  Current Power:                   49 Watts\n"
    "  Min Power over sample duration:  6 Watts\n"
    "  Max Power over sample duration:  304 Watts\n"
    "  Avg Power over sample duration:  49 Watts\n"
    "  Timestamp:                       Thu Feb 15 09:37:32 2024\n\n"
    "  Sampling period:                 1000 ms\n"
    "  Power reading state is:          active\n"
    "  Exception Action:  OEM defined\n  Power Limit:       896 Watts (inactive)\n"
    "ipmiutil dcmi, completed successfully\n";
/* A whole system, averaged over 600 s: not a machine's reading. */
static const char capmc[] =
    "{\n\"start_time\":\"2015-04-01 17:02:10\",\n\"avg\":5942,\n\"min\":5748,\n\"max\":6132,\n"
    "\"window_len\":600,\n\"e\":0,\n\"err_msg\":\"\"\n}\n";

static void test_dcmi(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
        double watts;
    } cases[] = {
        {DCMI("215 Watts", "activated"), 0, 215},
        {DCMI("2578 Watts", "activated"), 0, 2578},
        {merged_line, 0, 186},
        {freeipmi, 0, 332},
        {ipmiutil, 0, 49},
        {DCMI("  0 Watts", "deactivated"), ENODATA, 0},
        {DCMI("0 Watts", "activated"), ENODATA, 0},
        {DCMI("319 Watts", "deactivated"), ENODATA, 0}, /* OpenBMC: the sensors say it better */
        {DCMI("30000 Watts", "activated"), 0, 30000},
        {DCMI("30001 Watts", "activated"), ERANGE, 0},
        {DCMI("65535 Watts", "activated"), ERANGE, 0},
        {DCMI("-1 Watts", "activated"), EPROTO, 0},
        {DCMI("215", "activated"), EPROTO, 0},
        {DCMI("215 kW", "activated"), EPROTO, 0},
        {DCMI("215 Wattseconds", "activated"), EPROTO, 0},
        {DCMI("215 Watts 3", "activated"), EPROTO, 0},
        {DCMI("n/a", "activated"), EPROTO, 0},
        {DCMI("215 Watts", ""), ENODATA, 0},
        {DCMI("215 Watts", "activated") DCMI("215 Watts", "activated"), EPROTO, 0},
        {"    Instantaneous power reading:    215 Watts\n", EPROTO, 0}, /* cut off */
        {"    Power reading state is:                   activated\n", EPROTO, 0},
        {capmc, EPROTO, 0},
        {"", EPROTO, 0},
        {"DCMI request failed because: Invalid command (c1)\n", EPROTO, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double watts = -1;
        int error = me_ipmi_parse_dcmi(cases[i].text, &watts);
        if (error != cases[i].error || watts != (error ? -1 : cases[i].watts))
            fail_msg("case %zu: %d %g", i, error, watts);
    }
}

static void test_roles(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum me_ipmi_role role;
    } cases[] = {
        {"Pwr Consumption", ME_IPMI_TOTAL}, {"System Level", ME_IPMI_TOTAL},
        {"Total_Power", ME_IPMI_TOTAL},     {"SYS_POWER", ME_IPMI_TOTAL},
        {"Power Meter", ME_IPMI_TOTAL},     {"Node Power", ME_IPMI_TOTAL},
        {"PS1 Power In", ME_IPMI_SUPPLY},   {"PS2 Input Power", ME_IPMI_SUPPLY},
        {"PSU1_PIN", ME_IPMI_SUPPLY},       {"Power Supply 1 Input", ME_IPMI_SUPPLY},
        {"PSU1 Power Out", ME_IPMI_PART},   {"PSU1_POUT", ME_IPMI_PART},
        {"PSU In to Out 1", ME_IPMI_PART},  {"Power Supply 1", ME_IPMI_PART},
        {"CPU1 Power In", ME_IPMI_PART},    {"CPU_Power", ME_IPMI_PART},
        {"Memory Power", ME_IPMI_PART},     {"Chassis Power", ME_IPMI_PART},
        {"Total_Power_2", ME_IPMI_PART},    {"", ME_IPMI_PART},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (me_ipmi_role(cases[i].name) != cases[i].role) fail_msg("%s", cases[i].name);
}

static void test_sensors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sensors; /* "name#nth=watts:role " */
    } cases[] = {
        {"Current 1        | 6Ah | ok  | 10.1 | 0.40 Amps\nCurrent 2        | 6Bh | ok  | 10.2 | 0 Amps\n"
         "Pwr Consumption  | 77h | ok  |  7.1 | 98 Watts\n",
         "Pwr Consumption#0=98:0 "},
        {"PS1 Power In     | 52h | ok  | 10.1 | 132 Watts\nPS2 Power In     | 53h | ok  | 10.2 | 160 Watts\n",
         "PS1 Power In#0=132:1 PS2 Power In#0=160:1 "},
        {"UID Light        | 0x00              | ok\n01-Inlet Ambient | 21 degrees C      | ok\n"
         "Power Meter      | 110 Watts         | ok\nPower Supply 1   | 55.50 Watts       | nc\n",
         "Power Meter#0=110:0 Power Supply 1#0=55.5:2 "},
        {"System Level     | 189.000    | Watts      | ok    | na        | na        | na        | 917.000   "
         "| "
         "966.000   | na        \n",
         "System Level#0=189:0 "},
        {"PS1 Power In | 52h | ns  | 10.1 | No Reading\nPS2 Power In | 52h | ns  | 10.1 | 5 Watts\n", ""},
        {"Power In | 1h | ok | 10.1 | 5 Watts\nPower In | 2h | ok | 10.2 | 6 Watts\n",
         "Power In#0=5:2 Power In#1=6:2 "},
        {"Total_Power | 65535 Watts | ok\nTotal_Power | 4294967 Watts | ok\nTotal_Power | -5 Watts | ok\n",
         ""},
        {"a | b\n| 5 Watts | ok\nx | 5 Watts\ny | 5 Watts | ok | z\n", ""},
        {"x | 5 Watts | ok", "x#0=5:2 "},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_ipmi_sensor sensors[8];
        char text[512] = "";
        size_t count = me_ipmi_parse_sensors(cases[i].text, sensors, 8);
        for (size_t s = 0; s < count; s++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s#%u=%g:%d ", sensors[s].name,
                     sensors[s].nth, sensors[s].watts, (int)sensors[s].role);
        assert_string_equal(text, cases[i].sensors);
    }
    struct me_ipmi_sensor one;
    assert_int_equal(me_ipmi_parse_sensors("a | 1 W | ok\nb | 2 W | ok\n", &one, 1), 1);
}

struct bench {
    char dir[64], *path;
    struct me_root root;
    struct me_meter_options options;
    struct me_source_setup setup;
    struct me_source source;
};

/* PATH is the folder bin in the tree alone. */
static void bench_make(struct bench *bench, bool live)
{
    char bin[128];
    *bench = (struct bench){.source.ops = &me_ipmi_ops};
    tree_make(bench->dir, sizeof bench->dir);
    tree_put(bench->dir, "bin/.empty", "");
    snprintf(bin, sizeof bin, "%s/bin:/usr/bin:/bin", bench->dir);
    bench->path = strdup(getenv("PATH"));
    setenv("PATH", bin, 1);
    assert_int_equal(me_root_open(&bench->root, bench->dir, NULL), 0);
    bench->setup = (struct me_source_setup){.root = &bench->root, .live = live, .options = &bench->options};
}

static void bench_open(struct bench *bench)
{
    struct me_error err = {.text = ""};
    if (me_ipmi_ops.open(&bench->source, &bench->setup, &err)) fail_msg("%s", err.text);
}

static void bench_end(struct bench *bench)
{
    if (bench->source.found) me_ipmi_ops.close(&bench->source);
    me_root_close(&bench->root);
    setenv("PATH", bench->path, 1);
    free(bench->path);
    tree_remove(bench->dir);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child of ours is left, dead or alive */
    assert_int_equal(errno, ECHILD);
}

/* A program in bin that answers `dcmi` and `sdr` with the files of that name in the tree; each must be
 * there, or it fails. */
static void put_stub(struct bench *bench, const char *name)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "bin/%s", name);
    snprintf(text, sizeof text, "#!/bin/sh\nexec cat \"%s/$1\"\n", bench->dir);
    tree_put(bench->dir, path, text);
    snprintf(text, sizeof text, "%s/%s", bench->dir, path);
    assert_int_equal(chmod(text, 0755), 0);
}

static void test_recorded(void **state)
{
    (void)state;
    struct bench bench;
    struct me_reading reading;
    bench_make(&bench, false);
    tree_put(bench.dir, "commands/ipmitool dcmi power reading", DCMI("215 Watts", "activated"));
    put_stub(&bench, "ipmitool"); /* is not asked */
    bench_open(&bench);
    assert_true(bench.source.found && bench.source.channel_count == 1 && bench.source.interval_s == 1);
    const struct me_channel *c = bench.source.channels;
    assert_true(c->provenance == ME_PROVENANCE_REPLAY && c->scope == ME_SCOPE_NODE && !c->why_not[0]);
    me_ipmi_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_OK && reading.level == 215);
    tree_put(bench.dir, "commands/ipmitool dcmi power reading", DCMI("0 Watts", "deactivated"));
    me_ipmi_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_FAILED && reading.error == ENODATA);
    bench_end(&bench);
}

static void test_recorded_deactivated(void **state)
{
    (void)state;
    struct bench bench;
    bench_make(&bench, false);
    tree_put(bench.dir, "commands/ipmitool dcmi power reading", DCMI("0 Watts", "deactivated"));
    bench_open(&bench);
    assert_false(bench.source.found);
    assert_non_null(strstr(bench.source.reason, "tells no power"));
    tree_put(bench.dir, "commands/ipmitool sdr list full",
             "Total_Power | 360 Watts | ok\nCPU | 90 Watts | ok\n");
    bench_open(&bench);
    assert_true(bench.source.found && bench.source.channel_count == 2);
    assert_string_equal(bench.source.channels[0].name, "node");
    assert_string_equal(bench.source.channels[0].why_not, "");
    assert_string_equal(bench.source.channels[1].name, "cpu");
    assert_string_not_equal(bench.source.channels[1].why_not, "");
    bench_end(&bench);
}

static void test_nothing_recorded(void **state)
{
    (void)state;
    struct bench bench;
    bench_make(&bench, false);
    tree_put(bench.dir, "dev/ipmi0", "");
    put_stub(&bench, "ipmitool");
    tree_put(bench.dir, "dcmi", DCMI("215 Watts", "activated"));
    bench_open(&bench);
    assert_false(bench.source.found);
    assert_non_null(strstr(bench.source.reason, "not asked"));
    bench_end(&bench);
}

/* The way of the real thing, with a stub: found, read, and marked as fake. */
static void test_stub(void **state)
{
    (void)state;
    struct bench bench;
    struct me_reading reading;
    char path[128];
    bench_make(&bench, true);
    tree_put(bench.dir, "dev/ipmi0", "");
    put_stub(&bench, "ipmitool");
    tree_put(bench.dir, "dcmi", DCMI("2578 Watts", "activated"));
    bench_open(&bench);
    if (!bench.source.found) fail_msg("%s", bench.source.reason);
    assert_int_equal(bench.source.channels[0].provenance, ME_PROVENANCE_FAKE);
    assert_non_null(strstr(bench.source.reason, "fake"));
    me_ipmi_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_OK && reading.level == 2578);
    snprintf(path, sizeof path, "%s/dcmi", bench.dir); /* it breaks in the middle, and comes back */
    assert_int_equal(unlink(path), 0);
    me_ipmi_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_FAILED && reading.error == EIO);
    tree_put(bench.dir, "dcmi", DCMI("100 Watts", "activated"));
    me_ipmi_ops.read(&bench.source, &reading);
    assert_true(reading.state == ME_READING_OK && reading.level == 100);
    bench_end(&bench);
}

/* A character device is not enough: it must be the driver's. */
static void test_other_device(void **state)
{
    (void)state;
    struct bench bench;
    char path[128];
    bench_make(&bench, true);
    tree_put(bench.dir, "dev/.empty", "");
    snprintf(path, sizeof path, "%s/dev/ipmi0", bench.dir);
    if (mknod(path, S_IFCHR | 0666, makedev(1, 3))) tree_put(bench.dir, "dev/ipmi0", "");
    tree_put(bench.dir, "proc/devices",
             "Character devices:\n  1 mem\n240 ipmidev\n\nBlock devices:\n  1 ipmidev\n");
    assert_int_equal(me_ipmi_provenance(&bench.root, "/bin/sh"), ME_PROVENANCE_FAKE);
    tree_put(bench.dir, "proc/devices", "Character devices:\n 11 ipmidev\n\nBlock devices:\n");
    assert_int_equal(me_ipmi_provenance(&bench.root, "/bin/sh"), ME_PROVENANCE_FAKE);
    if (geteuid() == 0) { /* were it the driver's, the program would have to be the system's */
        tree_put(bench.dir, "proc/devices", "Character devices:\n  1 ipmidev\n\nBlock devices:\n");
        assert_int_equal(me_ipmi_provenance(&bench.root, "/bin/sh"), ME_PROVENANCE_LIVE);
        put_stub(&bench, "ipmitool");
        snprintf(path, sizeof path, "%s/bin/ipmitool", bench.dir);
        assert_int_equal(me_ipmi_provenance(&bench.root, path), ME_PROVENANCE_FAKE);
    }
    bench_end(&bench);
}

static void test_supplies(void **state)
{
    (void)state;
    struct bench bench;
    struct me_reading r[3];
    bench_make(&bench, true);
    tree_put(bench.dir, "dev/ipmi0", "");
    put_stub(&bench, "ipmitool"); /* which fails for dcmi */
    tree_put(bench.dir, "sdr",
             "PS1 Power In | 132 Watts | ok\nPS2 Power In | 160 Watts | ok\nFan | 5 Watts | ok\n");
    bench_open(&bench);
    if (!bench.source.found) fail_msg("%s", bench.source.reason);
    assert_int_equal(bench.source.channel_count, 3);
    const struct me_channel *c = bench.source.channels;
    assert_string_equal(c[0].name, "psu-1");
    assert_string_equal(c[1].name, "psu-2");
    assert_true(!c[0].why_not[0] && !c[1].why_not[0] && c[2].why_not[0]);
    tree_put(bench.dir, "sdr",
             "Fan | 6 Watts | ok\nPS2 Power In | 0 Watts | ok\nPS1 Power In | 290 Watts | ok\n");
    me_ipmi_ops.read(&bench.source, r);
    assert_true(r[0].state == ME_READING_OK && r[0].level == 290);
    assert_true(r[1].state == ME_READING_OK && r[1].level == 0); /* it rests */
    assert_true(r[2].state == ME_READING_OK && r[2].level == 6);
    tree_put(bench.dir, "sdr", "PS2 Power In | 0 Watts | ok\nPS1 Power In | 0 Watts | ok\n");
    me_ipmi_ops.read(&bench.source, r);
    for (int i = 0; i < 3; i++) assert_true(r[i].state == ME_READING_FAILED && r[i].error == ENODATA);
    bench_end(&bench);
}

static void test_total_beside_supplies(void **state)
{
    (void)state;
    struct bench bench;
    bench_make(&bench, true);
    tree_put(bench.dir, "dev/ipmidev/0", "");
    put_stub(&bench, "ipmitool");
    tree_put(bench.dir, "sdr",
             "PS1 Power In | 132 Watts | ok\nSys_Power | 0 Watts | ok\nTotal_Power | 120 Watts | ok\n"
             "Node Power | 119 Watts | ok\n");
    bench_open(&bench);
    assert_true(bench.source.found && bench.source.channel_count == 4);
    const struct me_channel *c = bench.source.channels;
    assert_string_equal(c[0].why_not, "a part of Total_Power");
    assert_string_equal(c[1].why_not, "sensor Sys_Power: 0 W is no reading");
    assert_string_equal(c[2].why_not, "");
    assert_string_equal(c[3].why_not, "taken for the same meter as Total_Power");
    bench_end(&bench);
}

static void test_absent(void **state)
{
    (void)state;
    struct bench bench;
    bench_make(&bench, true);
    bench_open(&bench);
    assert_false(bench.source.found);
    assert_string_equal(bench.source.cure, "sudo modprobe -a ipmi_devintf ipmi_si");
    tree_put(bench.dir, "sys/class/dmi/id/chassis_type", "10\n");
    bench.source.cure[0] = '\0';
    bench_open(&bench);
    assert_string_equal(bench.source.cure, ""); /* a laptop */
    tree_put(bench.dir, "sys/class/ipmi/ipmi0/dev", "240:0\n");
    bench_open(&bench);
    assert_non_null(strstr(bench.source.cure, "--device /dev/ipmi0"));
    tree_put(bench.dir, "dev/ipmi0", "");
    char path[256];
    bool has_tool = me_ipmi_find_program("ipmitool", path, sizeof path) ||
                    me_ipmi_find_program("ipmi-dcmi", path, sizeof path);
    bench.source.cure[0] = '\0';
    if (!has_tool) {
        bench_open(&bench);
        assert_string_equal(bench.source.cure, "sudo apt-get install ipmitool");
    }
    put_stub(&bench, "ipmitool"); /* it fails for all */
    bench.source.reason[0] = bench.source.cure[0] = '\0';
    bench_open(&bench);
    assert_false(bench.source.found);
    assert_string_equal(bench.source.reason,
                        "ipmitool dcmi power reading: failed; ipmitool sdr list full: failed");
    bench_end(&bench);
}

static void test_denied(void **state)
{
    (void)state;
    struct bench bench;
    bench_make(&bench, true);
    put_stub(&bench, "ipmitool");
    tree_put(bench.dir, "dcmi", DCMI("215 Watts", "activated"));
    tree_put(bench.dir, "dev/ipmi0", "");
    char path[128];
    snprintf(path, sizeof path, "%s/dev/ipmi0", bench.dir);
    assert_int_equal(chmod(path, 0), 0);
    bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0);
    bench_open(&bench);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_false(bench.source.found);
    assert_non_null(strstr(bench.source.reason, "dev/ipmi0 is for root only"));
    assert_non_null(strstr(bench.source.cure, "sudo chgrp "));
    assert_non_null(strstr(bench.source.cure, "chmod g+rw /dev/ipmi0"));
    bench_end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dcmi),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_sensors),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_recorded_deactivated),
        cmocka_unit_test(test_nothing_recorded),
        cmocka_unit_test(test_stub),
        cmocka_unit_test(test_other_device),
        cmocka_unit_test(test_supplies),
        cmocka_unit_test(test_total_beside_supplies),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
