#include "levelzero.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 64

static const struct me_symbol symbols[] = {
    ME_SYMBOL(struct me_zes, energy, "zesPowerGetEnergyCounter"),
    ME_SYMBOL(struct me_zes, power_properties, "zesPowerGetProperties"),
    ME_SYMBOL(struct me_zes, power_domains, "zesDeviceEnumPowerDomains"),
    ME_SYMBOL(struct me_zes, device_properties, "zesDeviceGetProperties"),
    ME_SYMBOL(struct me_zes, pci, "zesDevicePciGetProperties"),
    ME_SYMBOL_OPTIONAL(struct me_zes, init, "zesInit"),
    ME_SYMBOL_OPTIONAL(struct me_zes, drivers, "zesDriverGet"),
    ME_SYMBOL_OPTIONAL(struct me_zes, devices, "zesDeviceGet"),
    ME_SYMBOL_OPTIONAL(struct me_zes, core_init, "zeInit"),
    ME_SYMBOL_OPTIONAL(struct me_zes, core_drivers, "zeDriverGet"),
    ME_SYMBOL_OPTIONAL(struct me_zes, core_devices, "zeDeviceGet"),
    ME_SYMBOL_OPTIONAL(struct me_zes, card_domain, "zesDeviceGetCardPowerDomain"),
    {0},
};

int me_zes_errno(int result)
{
    switch (result) {
    case ME_ZE_SUCCESS:
        return 0;
    case ME_ZE_DEVICE_LOST:
        return ENODEV;
    case ME_ZE_NO_PERMISSION:
        return EACCES;
    case ME_ZE_UNSUPPORTED:
        return EOPNOTSUPP;
    case ME_ZE_NOT_AVAILABLE:
        return EBUSY;
    default:
        return EIO;
    }
}

/* Before zesInit (1.5) sysman was a part of the core that a variable switches on. It is taken back at
 * once: workloads must not inherit it. */
static int start_core(struct me_zes *zes)
{
    const char *name = "ZES_ENABLE_SYSMAN";
    bool mine = !getenv(name);
    if (!zes->core_init || !zes->core_drivers || !zes->core_devices) return ME_ZE_UNSUPPORTED;
    if (mine) setenv(name, "1", 1);
    int result = zes->core_init(ME_ZE_GPU_ONLY);
    if (mine) unsetenv(name);
    zes->drivers = zes->core_drivers;
    zes->devices = zes->core_devices;
    return result;
}

static int list_devices(struct me_zes *zes)
{
    void *drivers[MOST];
    uint32_t n = MOST;
    int result = zes->drivers(&n, drivers);
    zes->found = calloc(2 * MOST, sizeof *zes->found);
    if (!zes->found) return ME_ZE_NOT_AVAILABLE;
    zes->domains = zes->found + MOST;
    for (uint32_t i = 0; !result && i < n && i < MOST; i++) {
        uint32_t room = (uint32_t)(MOST - zes->count);
        if (room && !zes->devices(drivers[i], &room, zes->found + zes->count))
            zes->count += room < MOST - zes->count ? room : MOST - zes->count;
    }
    return result;
}

static void start_library(void *arg)
{
    struct me_zes *zes = arg;
    if (zes->init && zes->drivers && zes->devices)
        zes->started = zes->init(0);
    else
        zes->started = start_core(zes);
    if (!zes->started) zes->started = list_devices(zes);
}

static bool is_driven(const struct me_root *root)
{
    static const char *const paths[] = {"sys/bus/pci/drivers/xe", "sys/bus/pci/drivers/i915", NULL};
    return me_gpu_driver_is_live(root, paths);
}

/* Intel's integrated GPUs stand there, and in no other place. */
static bool is_integrated(const struct me_root *root, const char *device)
{
    (void)root;
    return !strcmp(device, "0000:00:02.0");
}

static void explain_absent(struct me_source *source, const struct me_root *root)
{
    char device[24];
    if (!is_driven(root) || !me_gpu_on_bus(root, "0x8086", is_integrated, device, sizeof device)) {
        snprintf(source->reason, sizeof source->reason, "no GPU card of Intel, no libze_loader.so.1");
        return;
    }
    snprintf(source->reason, sizeof source->reason, "a GPU of Intel at %s, but no libze_loader.so.1", device);
    snprintf(source->cure, sizeof source->cure, "sudo apt-get install libze1 libze-intel-gpu1");
}

struct me_zes *me_zes_start(struct me_source *source, const struct me_root *root)
{
    static const char *const names[] = {"libze_loader.so.1", NULL};
    struct me_zes *zes = calloc(1, sizeof *zes);
    if (!zes) {
        snprintf(source->reason, sizeof source->reason, "no memory");
        return NULL;
    }
    enum me_library_state state =
        me_library_open(&zes->library, names, symbols, zes, source->reason, sizeof source->reason);
    if (state != ME_LIBRARY_OPEN) {
        if (state == ME_LIBRARY_ABSENT) explain_absent(source, root);
        free(zes);
        return NULL;
    }
    if (me_library_run(start_library, zes, ME_GPU_START_S)) {
        snprintf(source->reason, sizeof source->reason,
                 "libze_loader.so.1 did not start within %g s: the driver is stuck", ME_GPU_START_S);
        return NULL; /* the library still has it */
    }
    if (zes->started) {
        bool none = zes->started == ME_ZE_UNINITIALIZED || zes->started == ME_ZE_DEPENDENCY;
        if (none)
            snprintf(source->reason, sizeof source->reason,
                     "libze_loader.so.1 is there, a driver for it that shows a GPU is not");
        else
            snprintf(source->reason, sizeof source->reason, "libze_loader.so.1 did not start: 0x%x",
                     (unsigned)zes->started);
        if (none && is_driven(root))
            snprintf(source->cure, sizeof source->cure, "sudo apt-get install libze-intel-gpu1");
        me_zes_stop(zes);
        return NULL;
    }
    return zes;
}

/* 2: the card; 1: its package, or a device whose driver knows one domain only; 0: a part of it. */
static int rank(const struct me_zes *zes, void *domain)
{
    struct me_zes_power_ext ext = {.stype = ME_ZES_STRUCT_POWER_EXT, .domain = -1};
    struct me_zes_power power = {.stype = ME_ZES_STRUCT_POWER, .next = &ext};
    if (zes->power_properties(domain, &power) || power.on_subdevice) return 0;
    if (ext.domain == ME_ZES_DOMAIN_CARD) return 2;
    return ext.domain == ME_ZES_DOMAIN_PACKAGE || ext.domain <= 0;
}

static bool reads(const struct me_zes *zes, void *domain)
{
    struct me_zes_energy energy;
    return domain && !zes->energy(domain, &energy);
}

void *me_zes_domain(const struct me_zes *zes, void *device)
{
    void *domains[MOST] = {NULL}, *card = NULL;
    uint32_t n = MOST;
    if (zes->card_domain && !zes->card_domain(device, &card) && reads(zes, card)) return card;
    if (zes->power_domains(device, &n, domains)) return NULL;
    for (int wanted = 2; wanted > 0; wanted--)
        for (uint32_t i = 0; i < n && i < MOST; i++)
            if (rank(zes, domains[i]) == wanted && reads(zes, domains[i])) return domains[i];
    return NULL;
}

void me_zes_stop(struct me_zes *zes)
{
    if (!zes) return;
    me_library_close(&zes->library);
    free(zes->found);
    free(zes);
}
