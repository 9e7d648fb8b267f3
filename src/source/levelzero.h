/* The source `levelzero`: Intel's GPUs, by the system management part (sysman) of oneAPI Level Zero,
 * libze_loader.so.1. One energy counter a card: that of its card domain, else of its package domain;
 * domains of tiles lie inside and are not read. An integrated GPU is part of the processor, whose
 * package covers it. */
#ifndef ME_SOURCE_LEVELZERO_H
#define ME_SOURCE_LEVELZERO_H

#include "gpu.h"
#include "library.h"
#include "me/source.h"

extern const struct me_source_ops me_levelzero_ops;

/* Structures and numbers of the Level Zero specification (oneapi-src/level-zero: ze_api.h, zes_api.h
 * 1.17; none of these has changed since 1.0, but for what is marked). */
enum {
    ME_ZE_SUCCESS = 0,
    ME_ZE_DEVICE_LOST = 0x70000001,
    ME_ZE_NO_PERMISSION = 0x70010000,
    ME_ZE_NOT_AVAILABLE = 0x70010001,
    ME_ZE_DEPENDENCY = 0x70020000,
    ME_ZE_UNINITIALIZED = 0x78000001,
    ME_ZE_UNSUPPORTED = 0x78000003,
};
#define ME_ZE_GPU_ONLY          1U   /* ZE_INIT_FLAG_GPU_ONLY */
#define ME_ZE_TYPE_GPU          1    /* ZE_DEVICE_TYPE_GPU */
#define ME_ZE_INTEGRATED        1U   /* ZE_DEVICE_PROPERTY_FLAG_INTEGRATED */
#define ME_ZES_STRUCT_DEVICE    0x1  /* ZES_STRUCTURE_TYPE_DEVICE_PROPERTIES */
#define ME_ZES_STRUCT_PCI       0x2  /* ZES_STRUCTURE_TYPE_PCI_PROPERTIES */
#define ME_ZES_STRUCT_POWER     0xd  /* ZES_STRUCTURE_TYPE_POWER_PROPERTIES */
#define ME_ZES_STRUCT_POWER_EXT 0x28 /* ZES_STRUCTURE_TYPE_POWER_EXT_PROPERTIES, 1.4 */
#define ME_ZES_DOMAIN_CARD      1    /* ZES_POWER_DOMAIN_CARD */
#define ME_ZES_DOMAIN_PACKAGE   2    /* ZES_POWER_DOMAIN_PACKAGE */

struct me_zes_device { /* zes_device_properties_t, with ze_device_properties_t in it */
    int stype;
    void *next;
    struct {
        int stype;
        void *next;
        int type;
        uint32_t vendor, device, flags, subdevice, clock_rate;
        uint64_t max_alloc;
        uint32_t contexts, priority, threads_per_eu, simd_width, eus, subslices, slices;
        uint64_t timer_resolution;
        uint32_t timestamp_bits, kernel_timestamp_bits;
        uint8_t uuid[16];
        char name[256];
    } core;
    uint32_t subdevices;
    char serial[64], board[64], brand[64], model[64], vendor[64], driver[64];
};
struct me_zes_pci { /* zes_pci_properties_t */
    int stype;
    void *next;
    uint32_t domain, bus, device, function;
    int32_t gen, width;
    int64_t bandwidth;
    uint8_t have[3];
};
struct me_zes_power { /* zes_power_properties_t */
    int stype;
    void *next;
    uint8_t on_subdevice;
    uint32_t subdevice;
    uint8_t can_control, has_threshold;
    int32_t default_mw, min_mw, max_mw;
};
struct me_zes_power_ext { /* zes_power_ext_properties_t */
    int stype;
    void *next;
    int domain;
    void *default_limit;
};
struct me_zes_energy { /* zes_power_energy_counter_t */
    uint64_t uj, time_us;
};

struct me_zes {
    struct me_library library;
    int (*energy)(void *power, struct me_zes_energy *energy);
    int (*power_properties)(void *power, struct me_zes_power *properties);
    int (*power_domains)(void *device, uint32_t *count, void **domains);
    int (*device_properties)(void *device, struct me_zes_device *properties);
    int (*pci)(void *device, struct me_zes_pci *properties);
    /* Not in every loader; with the first three from 1.5, else with the three after them: */
    int (*init)(uint32_t flags);
    int (*drivers)(uint32_t *count, void **drivers);
    int (*devices)(void *driver, uint32_t *count, void **devices);
    int (*core_init)(uint32_t flags);
    int (*core_drivers)(uint32_t *count, void **drivers);
    int (*core_devices)(void *driver, uint32_t *count, void **devices);
    int (*card_domain)(void *device, void **domain); /* 1.3 */
    int started;
    size_t count;
    void **found;   /* [count] devices */
    void **domains; /* [count] the domain to read, or NULL; allocated with found */
};

int me_zes_errno(int result);
/* NULL with reason and cure in the source if it cannot be. */
struct me_zes *me_zes_start(struct me_source *source, const struct me_root *root);
void me_zes_stop(struct me_zes *zes);
/* The power domain that covers the whole card and has a counter; NULL: none. */
void *me_zes_domain(const struct me_zes *zes, void *device);

#endif
