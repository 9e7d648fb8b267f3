/* Which channels count (every scope once), the names of scopes, and the safe interval. */
#include "me/channel.h"
#include "me_cmocka.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A source may have a device behind it, "nvml@0000:01:00.0"; "~events": its channel is an activity. */
struct spec {
    const char *source, *name;
    enum me_scope scope;
    int package;
    enum me_class cls;
    const char *why;    /* set by the source; "" */
    const char *reason; /* expected: NULL if it counts, else a part of why_not */
};

#define CORE       ME_SCOPE_CORE
#define PKG        ME_SCOPE_PACKAGE
#define DRAM       ME_SCOPE_DRAM
#define GPU        ME_SCOPE_GPU
#define PLATFORM   ME_SCOPE_PLATFORM
#define NODE       ME_SCOPE_NODE
#define COUNTER    ME_CLASS_COUNTER
#define INTEGRATED ME_CLASS_INTEGRATED
#define MODELLED   ME_CLASS_MODELLED

static const struct {
    const char *what, *scopes;
    struct spec specs[6];
} count_cases[] = {
    {"nothing", "", {{0}}},
    {"two sockets with dram and cores",
     "package+dram",
     {{"powercap", "package-0", PKG, 0, COUNTER, "", NULL},
      {"powercap", "package-0/core", CORE, 0, COUNTER, "", "its package covers it"},
      {"powercap", "package-0/dram", DRAM, 0, COUNTER, "", NULL},
      {"powercap", "package-1", PKG, 1, COUNTER, "", NULL},
      {"powercap", "package-1/dram", DRAM, 1, COUNTER, "", NULL}}},
    {"psys covers the package (codecarbon PR#950)",
     "platform",
     {{"powercap", "psys", PLATFORM, -1, COUNTER, "", NULL},
      {"powercap", "package-0", PKG, 0, COUNTER, "", "the platform's meter covers it"},
      {"powercap", "package-0/core", CORE, 0, COUNTER, "", "the platform's meter covers it"}}},
    {"a node meter covers all, the GPU too",
     "node",
     {{"cray", "node", NODE, -1, COUNTER, "", NULL},
      {"powercap", "psys", PLATFORM, -1, COUNTER, "", "the node's meter covers it"},
      {"powercap", "package-0", PKG, 0, COUNTER, "", "the node's meter covers it"},
      {"nvml", "gpu-0", GPU, -1, COUNTER, "", "the node's meter covers it"}}},
    {"two node meters are one node",
     "node",
     {{"ipmi", "node", NODE, -1, INTEGRATED, "", "the same as energy of cray"},
      {"cray", "energy", NODE, -1, COUNTER, "", NULL}}},
    {"perf beside powercap is the same package",
     "package",
     {{"powercap", "package-0", PKG, 0, COUNTER, "", NULL},
      {"perf", "pkg", PKG, 0, COUNTER, "", "the same as package-0 of powercap"}}},
    {"two dies of one package are two",
     "package",
     {{"powercap", "package-0-die-0", PKG, 0, COUNTER, "", NULL},
      {"powercap", "package-0-die-1", PKG, 0, COUNTER, "", NULL}}},
    {"a mirror stays out",
     "package",
     {{"powercap", "package-0", PKG, 0, COUNTER, "", NULL},
      {"powercap", "package-0-mmio", PKG, 0, COUNTER, "mirror of package-0", "mirror of package-0"}}},
    {"a stalled platform meter lets the package in",
     "package",
     {{"powercap", "psys", PLATFORM, -1, COUNTER, "did not move", "did not move"},
      {"powercap", "package-0", PKG, 0, COUNTER, "", NULL}}},
    {"core alone is better than nothing", "core", {{"powercap", "core", CORE, 0, COUNTER, "", NULL}}},
    {"a measured package leaves no room for a model",
     "package",
     {{"model", "cpu", PKG, -1, MODELLED, "", "measured channels are there"},
      {"powercap", "package-0", PKG, 0, COUNTER, "", NULL}}},
    {"a measured core leaves none either",
     "core",
     {{"powercap", "core", CORE, 0, COUNTER, "", NULL},
      {"model", "cpu", PKG, -1, MODELLED, "", "measured channels are there"}}},
    {"a model fills the dram that nothing measures",
     "package+dram",
     {{"powercap", "package-0", PKG, 0, COUNTER, "", NULL}, {"model", "ram", DRAM, -1, MODELLED, "", NULL}}},
    {"a modelled node does not cover a measured package",
     "package",
     {{"model", "node", NODE, -1, MODELLED, "", "measured channels are there"},
      {"powercap", "package-0", PKG, 0, COUNTER, "", NULL}}},
    {"only a model", "package", {{"model", "cpu", PKG, -1, MODELLED, "", NULL}}},
    {"GPUs at two addresses add up",
     "gpu",
     {{"nvml@0000:01:00.0", "gpu-0", GPU, -1, COUNTER, "", NULL},
      {"rocm@0000:03:00.0", "rocm/gpu-0", GPU, -1, COUNTER, "", NULL}}},
    {"a GPU that its kernel driver shows too is one",
     "gpu",
     {{"hwmon@0000:03:00.0", "amdgpu-0", GPU, -1, INTEGRATED, "", "the same as gpu-0 of rocm"},
      {"rocm@0000:03:00.0", "gpu-0", GPU, -1, COUNTER, "", NULL},
      {"rocm@0000:05:00.0", "gpu-1", GPU, -1, COUNTER, "", NULL}}},
    {"a GPU without an address is taken for the one that has one",
     "gpu",
     {{"nvml@0000:01:00.0", "gpu-0", GPU, -1, COUNTER, "", NULL},
      {"external", "card", GPU, -1, INTEGRATED, "", "the same as gpu-0 of nvml"}}},
    {"a graphics chip in the processor is inside its package (an APU)",
     "package",
     {{"powercap", "package-0", PKG, 0, COUNTER, "", NULL},
      {"hwmon@0000:c5:00.0", "socket", PKG, -1, INTEGRATED, "", "the same as package-0 of powercap"},
      {"rocm@0000:c5:00.0", "gpu-0", GPU, -1, COUNTER, "", "it is a part of the package"}}},
    {"two power supplies of one source are two meters of the node",
     "node",
     {{"hwmon", "psu-1", NODE, -1, INTEGRATED, "", NULL},
      {"hwmon", "psu-2", NODE, -1, INTEGRATED, "", NULL},
      {"ipmi", "node", NODE, -1, INTEGRATED, "", "the same as psu-1 of hwmon"}}},
    {"four modules are four platforms, and cover their parts (Grace Hopper)",
     "platform",
     {{"hwmon", "module-0", PLATFORM, 0, INTEGRATED, "", NULL},
      {"hwmon", "module-1", PLATFORM, 1, INTEGRATED, "", NULL},
      {"hwmon", "grace-0", PKG, 0, INTEGRATED, "", "the platform's meter covers it"},
      {"nvml", "gpu-0", GPU, -1, COUNTER, "", "the platform's meter covers it"}}},
    {"a battery and psys are one platform",
     "platform",
     {{"powercap", "psys", PLATFORM, -1, COUNTER, "", NULL},
      {"battery", "BAT0", PLATFORM, -1, INTEGRATED, "", "the same as psys of powercap"}}},
    {"what the machine did is no energy",
     "package",
     {{"powercap", "package-0", PKG, 0, COUNTER, "", NULL},
      {"~events", "instructions", CORE, -1, COUNTER, "", ""}}},
    {"packages and GPUs add up",
     "package+gpu",
     {{"powercap", "package-0", PKG, 0, COUNTER, "", NULL},
      {"nvml", "gpu-0", GPU, -1, COUNTER, "", NULL},
      {"nvml", "gpu-1", GPU, -1, INTEGRATED, "", NULL}}},
};

static size_t build(const struct spec *specs, struct me_channel *channels)
{
    size_t n = 0;
    for (; n < 6 && specs[n].name; n++) {
        const char *source = specs[n].source, *device = strchr(source, '@');
        bool activity = *source == '~';
        source += activity;
        channels[n] = (struct me_channel){
            .scope = specs[n].scope, .package = specs[n].package, .cls = specs[n].cls, .activity = activity};
        snprintf(channels[n].name, sizeof channels[n].name, "%s", specs[n].name);
        snprintf(channels[n].source, sizeof channels[n].source, "%.*s", (int)strcspn(source, "@"), source);
        snprintf(channels[n].device, sizeof channels[n].device, "%s", device ? device + 1 : "");
        snprintf(channels[n].why_not, sizeof channels[n].why_not, "%s", specs[n].why);
    }
    return n;
}

static void test_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof count_cases / sizeof *count_cases; i++) {
        struct me_channel channels[6];
        char scopes[64];
        size_t n = build(count_cases[i].specs, channels);
        for (int round = 0; round < 2; round++) { /* asked twice, it answers the same */
            me_channels_count(channels, n);
            me_channels_scopes(channels, n, scopes, sizeof scopes);
            if (strcmp(scopes, count_cases[i].scopes))
                fail_msg("%s: scopes %s, not %s", count_cases[i].what, scopes, count_cases[i].scopes);
            for (size_t c = 0; c < n; c++) {
                const char *reason = count_cases[i].specs[c].reason;
                bool right = channels[c].counted == !reason &&
                             (reason ? strstr(channels[c].why_not, reason) != NULL : !channels[c].why_not[0]);
                if (!right)
                    fail_msg("%s: %s: counted %d, \"%s\"", count_cases[i].what, channels[c].name,
                             channels[c].counted, channels[c].why_not);
            }
        }
    }
}

static void test_count_again_after_a_stall(void **state)
{
    (void)state;
    struct me_channel channels[2] = {{.name = "psys", .source = "powercap", .scope = ME_SCOPE_PLATFORM},
                                     {.name = "package-0", .source = "powercap", .scope = ME_SCOPE_PACKAGE}};
    me_channels_count(channels, 2);
    assert_true(channels[0].counted && !channels[1].counted);
    snprintf(channels[0].why_not, sizeof channels[0].why_not, "did not move");
    me_channels_count(channels, 2);
    assert_true(!channels[0].counted && channels[1].counted);
    assert_string_equal(channels[0].why_not, "did not move");
    assert_string_equal(channels[1].why_not, "");
}

static void test_scopes_fit(void **state)
{
    (void)state;
    struct me_channel channels[2] = {{.scope = ME_SCOPE_DRAM, .counted = true},
                                     {.scope = ME_SCOPE_PACKAGE, .counted = true}};
    char text[10];
    me_channels_scopes(channels, 2, text, sizeof text);
    assert_string_equal(text, "package+d");
    me_channels_scopes(channels, 1, text, 1);
    assert_string_equal(text, "");
}

static void test_safe_interval(void **state)
{
    (void)state;
    static const struct {
        enum me_kind kind;
        uint64_t range;
        double max_power_w, seconds;
    } cases[] = {
        {ME_KIND_COUNTER, 262143328850, 120, 262143.32885 / 120},
        {ME_KIND_COUNTER, 1000000, 50, 0.02},
        {ME_KIND_COUNTER, 0, 120, INFINITY},
        {ME_KIND_GAUGE, 1000000, 120, INFINITY},
        {ME_KIND_COUNTER, 1000000000, 0, 1.0}, /* no bound known: 1000 W */
        {ME_KIND_COUNTER, 1000000000, NAN, 1.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_channel channel = {
            .kind = cases[i].kind, .range = cases[i].range, .max_power_w = cases[i].max_power_w};
        double seconds = me_channel_safe_interval_s(&channel);
        assert_true(seconds == cases[i].seconds ||
                    fabs(seconds - cases[i].seconds) < 1e-9 * cases[i].seconds);
    }
}

/* All reasons that sources give: which of them speak of energy that no other channel has? */
static void test_missing(void **state)
{
    (void)state;
    static const struct {
        const char *why_not;
        bool is_missing;
    } cases[] = {
        {"", false},
        {"not added: its package covers it", false},
        {"not added: powercap/package-1 counts instead; energy-pkg on CPU 8: Input/output error", false},
        {"repeats package-0, by way of intel-rapl-mmio", false},
        {"repeats node, whose counter is exact", false},
        {"mirrors package-0-die-0: one counter, shown twice", false},
        {"taken for the same meter as psys", false},
        {"package-0 again, by way of another CPU", false},
        {"a zone of unknown kind", false},
        {"energy-foo: an event of unknown kind", false},
        {"an unknown sensor: shown, not counted", false},
        {"sensor PS1: neither the machine's total nor a power supply's input", false},
        {"a part of node", false},
        {"sensor Total: 0 W is no reading", false},
        {"it measures a battery", false},
        {"its card covers it", false},
        {"its energy counter is read", false},
        {"the chip's first sensor counts", false},
        {"the node's meter shows the same", false},
        {"several meters, and nothing says what each of them measures", false},
        {"all GPUs of a socket in one; each has its own meter", false},
        {"the output of a power supply; its input counts", false},
        {"one rail of several; what the others feed is not in it", false},
        {"the same power over a shorter window", false},
        {"what is left falls in steps of 36 J and more, seconds apart: a cross-check", false},
        {"part of the processor, whose package covers it", false},
        {"second die of its module: gpu-0 meters both", false},
        {"not visible to the workload (CUDA_VISIBLE_DEVICES=0)", false},
        {"energy_uj: Input/output error", true},
        {"energy-pkg on CPU 8: Input/output error", true},
        {"energy-pkg: its scale cannot be read", true},
        {"its unit is not known for this processor model", true},
        {"stands at 0: no meter behind it", true},
        {"stands at 0 W: no meter behind it", true},
        {"did not move", true},
        {"psu-2 gave no reading", true},
        {"differs by 17 % from powercap/package-0", true},
        {"psu-1 has no value, and without it the sum is not whole", true},
        {"switched off (power3_enable is 0)", true},
        {"power1_average says 4.29e+06 W: an error code, not a power", true},
        {"its energy counter stands still, and no power is shown", true},
        {"its driver shows no energy counter of the whole card", true},
        {"neither energy nor power is shown: Input/output error", true},
        {"the command failed", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (me_channel_is_missing(cases[i].why_not) != cases[i].is_missing) fail_msg("%s", cases[i].why_not);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(me_scope_name(ME_SCOPE_CORE), "core");
    assert_string_equal(me_scope_name(ME_SCOPE_NODE), "node");
    assert_string_equal(me_kind_name(ME_KIND_COUNTER), "counter");
    assert_string_equal(me_kind_name(ME_KIND_GAUGE), "gauge");
    assert_string_equal(me_class_name(ME_CLASS_INTEGRATED), "integrated");
    assert_string_equal(me_class_name(ME_CLASS_MODELLED), "modelled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),      cmocka_unit_test(test_count_again_after_a_stall),
        cmocka_unit_test(test_scopes_fit), cmocka_unit_test(test_safe_interval),
        cmocka_unit_test(test_missing),    cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
