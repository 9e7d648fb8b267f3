/* The source `nvml`: NVIDIA's GPUs, by the driver's management library, libnvidia-ml.so.1. The library
 * is asked for its counters and starts nothing on a GPU.
 *
 * The energy counter (nvmlDeviceGetTotalEnergyConsumption; Volta and newer) is taken where it is there
 * and moves; else power is integrated, the instantaneous one (field 186) where the driver has it, since
 * nvmlDeviceGetPowerUsage is a mean of the last second on Ampere and newer. Where a GPU shares a module
 * with a processor (Grace), the counter may be the whole module's: there the GPU's own power is taken.
 * With MIG on, all is the whole GPU's: slices have no meter.
 *
 * GPUs that CUDA_VISIBLE_DEVICES hides from the workload are shown and not counted.
 * NVIDIA_VISIBLE_DEVICES is the container engine's: the library shows what it let through, with other
 * numbers, so it is not applied a second time. */
#ifndef ME_SOURCE_NVML_H
#define ME_SOURCE_NVML_H

#include "gpu.h"
#include "library.h"
#include "me/source.h"

extern const struct me_source_ops me_nvml_ops;

/* Structures and numbers of the NVML API reference (docs.nvidia.com/deploy/nvml-api; nvml.h 13). */
enum {
    ME_NVML_SUCCESS = 0,
    ME_NVML_INVALID_ARGUMENT = 2,
    ME_NVML_NOT_SUPPORTED = 3,
    ME_NVML_NO_PERMISSION = 4,
    ME_NVML_DRIVER_NOT_LOADED = 9,
    ME_NVML_TIMEOUT = 10,
    ME_NVML_GPU_IS_LOST = 15,
    ME_NVML_RESET_REQUIRED = 16,
    ME_NVML_OPERATING_SYSTEM = 17, /* closed by the system or a cgroup */
    ME_NVML_VERSION_MISMATCH = 18,
    ME_NVML_MEMORY = 20,
    ME_NVML_GPU_NOT_FOUND = 28,
};
#define ME_NVML_FIELD_POWER_INSTANT 186U /* NVML_FI_DEV_POWER_INSTANT, mW */
#define ME_NVML_SCOPE_GPU           0U   /* NVML_POWER_SCOPE_GPU */
#define ME_NVML_SCOPE_MODULE        1U   /* NVML_POWER_SCOPE_MODULE: GPU and CPU */
struct me_nvml_pci {                     /* nvmlPciInfo_t, as nvmlDeviceGetPciInfo_v3 fills it */
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};
struct me_nvml_field { /* nvmlFieldValue_t */
    unsigned field, scope;
    long long timestamp_us, latency_us;
    int type, result;
    union {
        double d;
        int si;
        unsigned ui;
        unsigned long ul;
        unsigned long long ull;
        long long sll;
        unsigned short us;
    } value;
};

struct me_nvml {
    struct me_library library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *count);
    int (*handle)(unsigned index, void **device);
    int (*name)(void *device, char *name, unsigned size);
    int (*pci)(void *device, struct me_nvml_pci *pci);
    const char *(*error_text)(int result);
    /* Not in every library: */
    int (*uuid)(void *device, char *uuid, unsigned size);
    int (*energy)(void *device, unsigned long long *mj);
    int (*power)(void *device, unsigned *mw);
    int (*fields)(void *device, int count, struct me_nvml_field *fields);
    int (*mig_mode)(void *device, unsigned *current, unsigned *pending);
    int (*by_uuid)(const char *uuid, void **device);
    int (*mig_parent)(void *mig_device, void **device);
    int started; /* what init said */
    struct me_nvml_gpu {
        void *device;
        bool has_instant; /* field 186 */
        bool in_module;   /* shares a module with a processor */
        bool has_mig;
    } * gpus;
};

int me_nvml_errno(int result);
/* Opens the library and starts it. NULL with reason and cure in the source if that cannot be. */
struct me_nvml *me_nvml_start(struct me_source *source, const struct me_root *root);
/* nvmlShutdown, and frees. */
void me_nvml_stop(struct me_nvml *nvml);

#endif
