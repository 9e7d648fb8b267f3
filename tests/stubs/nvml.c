/* libnvidia-ml.so.1 as far as it is needed, for tests. Keys of ME_STUB_NVML: gpus, power, energy (yes,
 * no, still, zero), tick, model, mig (0, 1), module (0, 1: shares a module with a processor), instant
 * (1, 0), init (what nvmlInit_v2 returns), delay (of nvmlInit_v2), closed (0, 1: handle refused),
 * lost_after (seconds after the start; 0: never). */
#include "stub.h"

#define ENV "ME_STUB_NVML"

struct pci {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
};
struct field {
    unsigned field, scope;
    long long timestamp, latency;
    int type, result;
    unsigned long long value;
};

static double started_s;

static unsigned index_of(void *device)
{
    return (unsigned)((uintptr_t)device & 0xff);
}

static int is_slice(void *device)
{
    return ((uintptr_t)device & 0x200) != 0;
}

static int lost(unsigned gpu)
{
    double after_s = stub_number(ENV, "lost_after", gpu, 0);
    return after_s > 0 && stub_now_s() - started_s > after_s;
}

STUB_API int nvmlInit_v2(void)
{
    stub_start(ENV);
    started_s = stub_now_s();
    return (int)stub_number(ENV, "init", 0, 0);
}

STUB_API int nvmlShutdown(void)
{
    return 0;
}

STUB_API const char *nvmlErrorString(int result)
{
    return result == 999 ? "Unknown Error" : "an error";
}

STUB_API int nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = (unsigned)stub_number(ENV, "gpus", 0, 1);
    return 0;
}

STUB_API int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    if (stub_number(ENV, "closed", index, 0) > 0) return 4;
    *device = (void *)(uintptr_t)(0x100 + index);
    return 0;
}

STUB_API int nvmlDeviceGetName(void *device, char *name, unsigned size)
{
    stub_word(ENV, "model", index_of(device), "Stub GPU", name, size);
    return 0;
}

STUB_API int nvmlDeviceGetUUID(void *device, char *uuid, unsigned size)
{
    snprintf(uuid, size, "GPU-%x0abcdef-1111-2222-3333-444455556666", index_of(device) + 10);
    return 0;
}

STUB_API int nvmlDeviceGetPciInfo_v3(void *device, struct pci *pci)
{
    memset(pci, 0, sizeof *pci);
    pci->domain = 0xfade;
    pci->bus = 0xc0 + index_of(device);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%08X:%02X:00.0", pci->domain, pci->bus);
    return 0;
}

STUB_API int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *mj)
{
    if (lost(index_of(device))) return 15;
    if (stub_is(ENV, "energy", index_of(device), "yes", "no")) return 3;
    double scale = stub_number(ENV, "module", index_of(device), 0) > 0 ? 2 : 1; /* GPU and processor */
    *mj = (unsigned long long)(stub_energy_j(ENV, index_of(device)) * 1000 * scale + 0.5);
    return 0;
}

STUB_API int nvmlDeviceGetPowerUsage(void *device, unsigned *mw)
{
    if (lost(index_of(device))) return 15;
    *mw = (unsigned)(stub_power_w(ENV, index_of(device)) * 1000 + 0.5);
    return 0;
}

STUB_API int nvmlDeviceGetFieldValues(void *device, int count, struct field *fields)
{
    unsigned gpu = index_of(device);
    if (lost(gpu)) return 15;
    for (int i = 0; i < count; i++) {
        int module = stub_number(ENV, "module", gpu, 0) > 0;
        fields[i].result = fields[i].field != 186 || stub_number(ENV, "instant", gpu, 1) < 1 ||
                                   (fields[i].scope && !module) || fields[i].scope > 1
                               ? 3
                               : 0;
        fields[i].type = 1;
        fields[i].value = (unsigned)(stub_power_w(ENV, gpu) * (fields[i].scope ? 2000 : 1000) + 0.5);
    }
    return 0;
}

STUB_API int nvmlDeviceGetMigMode(void *device, unsigned *current, unsigned *pending)
{
    *current = *pending = (unsigned)stub_number(ENV, "mig", index_of(device), 0);
    return 0;
}

/* Slices are "MIG-<GPU>...". */
STUB_API int nvmlDeviceGetHandleByUUID(const char *uuid, void **device)
{
    if (strncmp(uuid, "MIG-", 4) || uuid[4] < '0' || uuid[4] > '9') return 6;
    *device = (void *)(uintptr_t)(0x300 + (unsigned)(uuid[4] - '0'));
    return 0;
}

STUB_API int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *slice, void **device)
{
    if (!is_slice(slice)) return 2;
    *device = (void *)(uintptr_t)(0x100 + index_of(slice));
    return 0;
}
