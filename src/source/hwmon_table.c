#include "hwmon.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define UNKNOWN "an unknown sensor: shown, not counted"

enum flag {
    SET = 1,
    NEVER_ZERO = 2,
    ANONYMOUS = 4,
    SUPPLY = 8,
    PACKAGE_BY_LABEL = 16, /* the number in the label is the package */
    PACKAGE_BY_CHIP = 32,  /* one such chip a package */
    ENERGY_ONLY = 64,
};

/* In patterns % stands for a decimal number, and a * at the end for anything; letters match in either
 * case. In names % is that number, # the ordinal of the chip among those of its name. */
struct row {
    const char *chip, *label, *name;
    enum me_scope scope;
    unsigned flags;
    double period_s;
    const char *why_not;
};

#define PSU(chip)                                                                                            \
    {chip, "pin*", "psu-#", ME_SCOPE_NODE, SUPPLY | SET, 1, NULL},                                           \
    {                                                                                                        \
        chip, "pout*", "psu-#/out", ME_SCOPE_CORE, 0, 1, "the output of a power supply; its input counts"    \
    }
#define RAIL    "one rail of several; what the others feed is not in it"
#define BY_CARD "its card covers it"

/* The kernel's page or driver is named where it is not that of the chip's name. */
static const struct row rows[] = {
    /* 64-bit sums of the 32-bit RAPL registers; zenergy is its successor outside the kernel */
    {"amd_energy", "Esocket%", "package-%", ME_SCOPE_PACKAGE, SET | PACKAGE_BY_LABEL | ENERGY_ONLY, 0.1,
     NULL},
    {"amd_energy", "Ecore%", "core-%", ME_SCOPE_CORE, ENERGY_ONLY, 0.1, NULL},
    {"zenergy", "Esocket%", "package-%", ME_SCOPE_PACKAGE, SET | PACKAGE_BY_LABEL | ENERGY_ONLY, 0.1, NULL},
    {"zenergy", "Ecore%", "core-%", ME_SCOPE_CORE, ENERGY_ONLY, 0.1, NULL},
    /* acpi_power_meter. NVIDIA Grace names its meters in oem_info (Grace performance tuning guide): the
     * module holds Grace and the GPU, Grace holds CPU and SysIO */
    {"power_meter", "Module Power Socket %", "module-%", ME_SCOPE_PLATFORM,
     SET | NEVER_ZERO | PACKAGE_BY_LABEL, 1, NULL},
    {"power_meter", "Grace Power Socket %", "package-%", ME_SCOPE_PACKAGE,
     SET | NEVER_ZERO | PACKAGE_BY_LABEL, 1, NULL},
    {"power_meter", "CPU Power Socket %", "package-%/cpu", ME_SCOPE_CORE, PACKAGE_BY_LABEL, 1, NULL},
    {"power_meter", "SysIO Power Socket %", "package-%/sysio", ME_SCOPE_CORE, PACKAGE_BY_LABEL, 1, NULL},
    {"power_meter", "*", "node", ME_SCOPE_NODE, ANONYMOUS | NEVER_ZERO, 1, NULL},
    /* xgene-hwmon: X-Gene and Ampere Altra. Cores, and the rest of the chip: together the package */
    {"apm_xgene", "CPU power", "package-#/cpu", ME_SCOPE_PACKAGE, SET | PACKAGE_BY_CHIP, 0.5, NULL},
    {"apm_xgene", "IO power", "package-#/io", ME_SCOPE_PACKAGE, SET | PACKAGE_BY_CHIP, 0.5, NULL},
    {"fam15h_power", "*", "package-#", ME_SCOPE_PACKAGE, SET | PACKAGE_BY_CHIP, 0.1, NULL},
    {"zenpower", "SVI2_P_Core", "package-#/cores", ME_SCOPE_CORE, PACKAGE_BY_CHIP, 0.1, NULL},
    {"zenpower", "SVI2_P_SoC", "package-#/soc", ME_SCOPE_CORE, PACKAGE_BY_CHIP, 0.1, NULL},
    /* ibmpowernv: POWER8 and 9; "System" is measured behind the power supplies */
    {"ibmpowernv", "System", "system", ME_SCOPE_PLATFORM, NEVER_ZERO, 0.1, NULL},
    {"ibmpowernv", "Chip %", "package-%", ME_SCOPE_PACKAGE, SET | PACKAGE_BY_LABEL, 0.1, NULL},
    {"ibmpowernv", "Chip % Memory", "package-%/dram", ME_SCOPE_DRAM, SET | PACKAGE_BY_LABEL, 0.1, NULL},
    {"ibmpowernv", "Chip % Vdd", "package-%/vdd", ME_SCOPE_CORE, PACKAGE_BY_LABEL, 0.1, NULL},
    {"ibmpowernv", "Chip % Vdn", "package-%/vdn", ME_SCOPE_CORE, PACKAGE_BY_LABEL, 0.1, NULL},
    {"ibmpowernv", "Chip % GPU", "package-%/gpus", ME_SCOPE_GPU, PACKAGE_BY_LABEL, 0.1,
     "all GPUs of a socket in one; each has its own meter"},
    /* graphics; their own libraries, if there, tell the same by the PCI address */
    {"amdgpu", "fastPPT", "gpu-#/fast", ME_SCOPE_CORE, 0, 0.1, "the same power over a shorter window"},
    {"amdgpu", "*", "gpu-#", ME_SCOPE_GPU, 0, 0.1, NULL},
    {"nouveau", "*", "gpu-#", ME_SCOPE_GPU, 0, 0.1, NULL},
    {"i915", "*", "gpu-#", ME_SCOPE_GPU, ENERGY_ONLY, 0.1, NULL},
    {"i915_gt%", "*", "gpu-tile-%", ME_SCOPE_CORE, ENERGY_ONLY, 0.1, BY_CARD},
    {"xe", "pkg", "gpu-#/package", ME_SCOPE_GPU, ENERGY_ONLY, 0.1, NULL},
    {"xe", "card", "gpu-#", ME_SCOPE_GPU, ENERGY_ONLY, 0.1, NULL},
    {"xe", "", "gpu-#", ME_SCOPE_GPU, ENERGY_ONLY, 0.1, NULL}, /* before the labels came: the card */
    {"xe", "*", "gpu-#/other", ME_SCOPE_CORE, ENERGY_ONLY, 0.1, BY_CARD},
    /* what a whole machine draws behind its power supply */
    {"corsairpsu", "power total", "psu-#/out", ME_SCOPE_PLATFORM, NEVER_ZERO, 1, NULL},
    {"corsairpsu", "*", "", ME_SCOPE_CORE, 0, 1, RAIL},
    {"macsmc_hwmon", "Total System Power", "system", ME_SCOPE_PLATFORM, NEVER_ZERO, 0.5, NULL},
    {"macsmc_hwmon", "AC Input Power", "input", ME_SCOPE_CORE, 0, 1, "it charges the battery too"},
    {"macsmc_hwmon", "*", "", ME_SCOPE_CORE, 0, 1, RAIL},
    /* NVIDIA Jetson: VDD_IN (POM_5V_IN of the Nano) is the input of the module, the rest lies behind it */
    {"ina3221", "VDD_IN", "module", ME_SCOPE_PLATFORM, NEVER_ZERO, 0.1, NULL},
    {"ina3221", "POM_5V_IN", "module", ME_SCOPE_PLATFORM, NEVER_ZERO, 0.1, NULL},
    {"ina3221", "VDD_*", "", ME_SCOPE_CORE, 0, 0.1, RAIL},
    {"ina3221", "POM_5V_*", "", ME_SCOPE_CORE, 0, 0.1, RAIL},
    {"ina3221", "VIN_SYS_5V0", "", ME_SCOPE_CORE, 0, 0.1, RAIL},
    /* PMBus power supplies. Other PMBus chips (voltage regulators, hot-swap controllers) have a "pin"
     * too, and it is not the machine's */
    PSU("acbel_fsg032"),
    PSU("bpa-rs600"),
    PSU("bpd-rs600"),
    PSU("d1u74t"),
    PSU("dps460"),
    PSU("dps650ab"),
    PSU("dps800"),
    PSU("dps920ab"),
    PSU("ibm_cffps"),
    PSU("ibm_cffps1"),
    PSU("ibm_cffps2"),
    PSU("intel_crps185"),
    PSU("ipsps1"),
    PSU("pfe1100"),
    PSU("pfe3000"),
    PSU("sgd009"),
    PSU("yh5151e"),
    PSU("ym2151e"),
};

static bool match(const char *pattern, const char *text, int *number)
{
    for (; *pattern; pattern++) {
        if (*pattern == '*') return true;
        if (*pattern == '%') {
            int value = 0, digits = 0;
            for (; isdigit((unsigned char)*text) && digits < 6; text++, digits++)
                value = value * 10 + (*text - '0');
            if (!digits) return false;
            *number = value;
        } else if (tolower((unsigned char)*pattern) != tolower((unsigned char)*text++)) {
            return false;
        }
    }
    return !*text;
}

static void expand(const char *name, int number, unsigned ordinal, char *text, size_t size)
{
    size_t len = 0;
    for (text[0] = '\0'; *name && len + 12 < size; name++) {
        if (*name == '%')
            len += (size_t)snprintf(text + len, size - len, "%d", number);
        else if (*name == '#')
            len += (size_t)snprintf(text + len, size - len, "%u", ordinal);
        else
            len += (size_t)snprintf(text + len, size - len, "%c", *name);
    }
}

/* "chip/label", or "chip/power2" where there is no label. */
static void name_by_chip(const struct me_hwmon_sensor *sensor, char *text, size_t size)
{
    static const char *const quantities[] = {"energy", "power", "rail"};
    if (sensor->label[0])
        snprintf(text, size, "%.20s/%.26s", sensor->chip, sensor->label);
    else
        snprintf(text, size, "%.20s/%s%u", sensor->chip, quantities[sensor->quantity], sensor->index);
}

static const struct row *find(const struct me_hwmon_sensor *sensor, int *number)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        *number = 0;
        if ((rows[i].flags & ENERGY_ONLY) && sensor->quantity != ME_HWMON_ENERGY) continue;
        if (match(rows[i].chip, sensor->chip, number) && match(rows[i].label, sensor->label, number))
            return &rows[i];
    }
    return NULL;
}

/* A meter that says it measures a part, in words that are not those of the table. */
static bool names_a_part(const char *label)
{
    static const char *const parts[] = {"socket", "cpu", "gpu", "dram", "memory",  "dimm",
                                        "module", "soc", "fan", "disk", "storage", "rail"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcasestr(label, parts[i])) return true;
    return false;
}

/* The sensor of a graphics chip inside the processor shows the socket's power: the firmware answers
 * with it (drivers/gpu/drm/amd/pm/swsmu: CurrentSocketPower), so it stands for the package and never
 * beside it. Which package it is, is not known. */
static void place_apu(struct me_hwmon_place *place, unsigned ordinal)
{
    place->scope = ME_SCOPE_PACKAGE;
    place->package = -1;
    snprintf(place->name, sizeof place->name, "apu-%u", ordinal);
}

void me_hwmon_place(const struct me_hwmon_sensor *sensor, struct me_hwmon_place *place)
{
    int number;
    const struct row *row = find(sensor, &number);
    *place =
        (struct me_hwmon_place){.scope = ME_SCOPE_CORE, .package = -1, .why_not = UNKNOWN, .period_s = 1};
    if (row && (row->flags & ANONYMOUS) && names_a_part(sensor->label)) row = NULL;
    if (row) {
        place->scope = row->scope;
        place->why_not = row->why_not;
        place->period_s = row->period_s;
        place->is_set = row->flags & SET;
        place->never_zero = row->flags & NEVER_ZERO;
        place->anonymous = row->flags & ANONYMOUS;
        place->supply = row->flags & SUPPLY;
        if (row->flags & PACKAGE_BY_LABEL) place->package = number;
        if (row->flags & PACKAGE_BY_CHIP) place->package = (int)sensor->ordinal;
    }
    if (row && row->name[0])
        expand(row->name, number, sensor->ordinal, place->name, sizeof place->name);
    else
        name_by_chip(sensor, place->name, sizeof place->name);
    if (sensor->apu && place->scope == ME_SCOPE_GPU) place_apu(place, sensor->ordinal);
    if (sensor->is_battery) place->why_not = "it measures a battery";
    if (sensor->update_s > 0) place->period_s = sensor->update_s;
}

double me_hwmon_bound_w(enum me_scope scope)
{
    static const double bounds_w[ME_SCOPE_COUNT] = {5000, 5000, 2000, 5000, 20000, 100000};
    return bounds_w[scope];
}

int me_hwmon_watts(long long uw, double bound_w, double *watts)
{
    static const long long codes_uw[] = {2147483647, 4294967295, 65535000000, 4294967295000,
                                         4294967295000000};
    for (size_t i = 0; i < sizeof codes_uw / sizeof *codes_uw; i++)
        if (uw == codes_uw[i]) return ENODATA;
    double value = (double)uw * 1e-6;
    if (value < 0 || value > bound_w) return ERANGE;
    *watts = value;
    return 0;
}
