#include "rocm.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define INIT_AMD_GPUS UINT64_C(2) /* amdsmi.h: AMDSMI_INIT_AMD_GPUS */
#define NO_VALUE      UINT64_MAX  /* a field that this GPU's metrics do not have */
#define ROUNDED_UJ    15.3F       /* rocm_smi.cc: kEnergyCounterResolution */

static const struct me_symbol amd_symbols[] = {
    ME_SYMBOL(struct me_rocm, amd.init, "amdsmi_init"),
    ME_SYMBOL(struct me_rocm, amd.shut_down, "amdsmi_shut_down"),
    ME_SYMBOL(struct me_rocm, amd.sockets, "amdsmi_get_socket_handles"),
    ME_SYMBOL(struct me_rocm, amd.processors, "amdsmi_get_processor_handles"),
    ME_SYMBOL(struct me_rocm, amd.bdf, "amdsmi_get_gpu_device_bdf"),
    ME_SYMBOL(struct me_rocm, amd.energy, "amdsmi_get_energy_count"),
    ME_SYMBOL_OPTIONAL(struct me_rocm, amd.asic, "amdsmi_get_gpu_asic_info"),
    {0},
};
static const struct me_symbol rsmi_symbols[] = {
    ME_SYMBOL(struct me_rocm, rsmi.init, "rsmi_init"),
    ME_SYMBOL(struct me_rocm, rsmi.shut_down, "rsmi_shut_down"),
    ME_SYMBOL(struct me_rocm, rsmi.count, "rsmi_num_monitor_devices"),
    ME_SYMBOL(struct me_rocm, rsmi.bdf, "rsmi_dev_pci_id_get"),
    ME_SYMBOL(struct me_rocm, rsmi.name, "rsmi_dev_name_get"),
    ME_SYMBOL(struct me_rocm, rsmi.energy, "rsmi_dev_energy_count_get"),
    ME_SYMBOL(struct me_rocm, rsmi.power_mean, "rsmi_dev_power_ave_get"),
    ME_SYMBOL_OPTIONAL(struct me_rocm, rsmi.power, "rsmi_dev_power_get"),
    {0},
};
/* The plain names come with ROCm's own packages, which put them below /opt and not always on the
 * loader's path; the numbered ones are the distributions'. */
static const char *const amd_names[] = {"libamd_smi.so",    "/opt/rocm/lib/libamd_smi.so",
                                        "libamd_smi.so.26", "libamd_smi.so.25",
                                        "libamd_smi.so.24", NULL};
static const char *const rsmi_names[] = {"librocm_smi64.so",
                                         "/opt/rocm/lib/librocm_smi64.so",
                                         "librocm_smi64.so.1",
                                         "librocm_smi64.so.7",
                                         "librocm_smi64.so.6",
                                         "librocm_smi64.so.5",
                                         NULL};

int me_rocm_energy_uj(uint64_t count, float resolution_uj, uint64_t *uj)
{
    int exponent;
    if (count == NO_VALUE || !(resolution_uj > 0) || !isfinite(resolution_uj)) return ERANGE;
    unsigned __int128 product;
    if (resolution_uj == ROUNDED_UJ || fabsf(resolution_uj - 15.259F) < 0.001F) {
        product = ((unsigned __int128)count * 1000000) >> 16;
    } else {
        /* A float is a whole number of 24 bits times a power of two: exact, and rounded down once. */
        unsigned __int128 whole = (unsigned __int128)ldexpf(frexpf(resolution_uj, &exponent), 24);
        int shift = exponent - 24;
        product = (unsigned __int128)count * whole;
        if (shift > 32 || shift < -120) return ERANGE;
        product = shift >= 0 ? product << shift : product >> -shift;
    }
    if (product > UINT64_MAX) return ERANGE;
    *uj = (uint64_t)product;
    return 0;
}

/* The statuses of amdsmi.h and rocm_smi.h that mean something to people. */
static int errno_of(const struct me_rocm *rocm, int status)
{
    static const struct {
        int amd, rsmi, error;
    } known[] = {{0, 0, 0},       {1, 1, EINVAL},   {2, 2, EOPNOTSUPP}, {3, 9, EOPNOTSUPP}, {10, 4, EACCES},
                 {15, 5, ENOMEM}, {31, 10, ENODEV}, {40, 14, ENODATA},  {30, 16, EBUSY}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (status == (rocm->is_amd ? known[i].amd : known[i].rsmi)) return known[i].error;
    return EIO;
}

static void *handle_of(const struct me_rocm *rocm, size_t index)
{
    return (void *)(uintptr_t)rocm->ids[index];
}

int me_rocm_energy(void *context, size_t index, uint64_t *uj)
{
    const struct me_rocm *rocm = context;
    uint64_t count = 0, time_ns;
    float resolution_uj = 0;
    int status = rocm->is_amd ? rocm->amd.energy(handle_of(rocm, index), &count, &resolution_uj, &time_ns)
                              : rocm->rsmi.energy((uint32_t)index, &count, &resolution_uj, &time_ns);
    int error = errno_of(rocm, status);
    if (!error && count == NO_VALUE) error = EOPNOTSUPP;
    return error ? error : me_rocm_energy_uj(count, resolution_uj, uj);
}

int me_rocm_power(void *context, size_t index, double *w)
{
    const struct me_rocm *rocm = context;
    uint64_t uw = 0;
    int type, status = -1;
    if (rocm->is_amd) return EOPNOTSUPP;
    if (rocm->rsmi.power) status = rocm->rsmi.power((uint32_t)index, &uw, &type);
    if (status) status = rocm->rsmi.power_mean((uint32_t)index, 0, &uw);
    if (!status) *w = (double)uw * 1e-6;
    return errno_of(rocm, status);
}

void me_rocm_device(const struct me_rocm *rocm, size_t index, char *device, size_t size)
{
    uint64_t bdf = 0;
    device[0] = '\0';
    if (rocm->is_amd) { /* amdsmi_bdf_t: 3 bits function, 5 device, 8 bus, 48 domain */
        if (rocm->amd.bdf(handle_of(rocm, index), &bdf)) return;
        me_gpu_address(device, size, (unsigned)(bdf >> 16), (unsigned)(bdf >> 8), (unsigned)(bdf >> 3),
                       (unsigned)bdf);
    } else { /* the same, but 32 bits of domain at the top, and a partition's number between */
        if (rocm->rsmi.bdf((uint32_t)index, &bdf)) return;
        me_gpu_address(device, size, (unsigned)(bdf >> 32), (unsigned)(bdf >> 8), (unsigned)(bdf >> 3),
                       (unsigned)bdf);
    }
}

void me_rocm_model(const struct me_rocm *rocm, size_t index, char *model, size_t size)
{
    /* amdsmi_asic_info_t has had several lengths, none above 1 KiB, and always the name first. */
    char name[8192] = "";
    int status = 0;
    if (!rocm->is_amd)
        status = rocm->rsmi.name((uint32_t)index, name, 256);
    else if (rocm->amd.asic)
        status = rocm->amd.asic(handle_of(rocm, index), name);
    if (status) name[0] = '\0';
    name[sizeof name - 1] = '\0';
    snprintf(model, size, "%.80s", name[0] ? name : "GPU of AMD");
}

static int add_processors(struct me_rocm *rocm, void *socket)
{
    void *handles[64];
    uint32_t n = sizeof handles / sizeof *handles;
    if (rocm->amd.processors(socket, &n, handles)) return 0;
    if (n > sizeof handles / sizeof *handles) n = sizeof handles / sizeof *handles;
    uint64_t *ids = realloc(rocm->ids, (rocm->count + n + 1) * sizeof *ids);
    if (!ids) return -1;
    rocm->ids = ids;
    for (uint32_t i = 0; i < n; i++) ids[rocm->count++] = (uint64_t)(uintptr_t)handles[i];
    return 0;
}

static int list_amd(struct me_rocm *rocm)
{
    uint32_t n = 0;
    int status = rocm->amd.sockets(&n, NULL);
    void **sockets = status || !n ? NULL : calloc(n, sizeof *sockets);
    if (!sockets) return status;
    status = rocm->amd.sockets(&n, sockets);
    for (uint32_t i = 0; !status && i < n; i++) status = add_processors(rocm, sockets[i]);
    free(sockets);
    return status;
}

static int list_rsmi(struct me_rocm *rocm)
{
    uint32_t n = 0;
    int status = rocm->rsmi.count(&n);
    rocm->count = status ? 0 : n;
    return status;
}

static void start_library(void *arg)
{
    struct me_rocm *rocm = arg;
    if (rocm->is_amd) {
        rocm->started = rocm->amd.init(INIT_AMD_GPUS);
        if (!rocm->started) rocm->started = list_amd(rocm);
    } else {
        rocm->started = rocm->rsmi.init(0);
        if (!rocm->started) rocm->started = list_rsmi(rocm);
    }
}

enum me_library_state me_rocm_start(struct me_rocm **out, bool amd, char *text, size_t size)
{
    struct me_rocm *rocm = calloc(1, sizeof *rocm);
    if (!rocm) return ME_LIBRARY_ABSENT;
    rocm->is_amd = amd;
    rocm->name = amd ? "libamd_smi" : "librocm_smi64";
    enum me_library_state state = me_library_open(&rocm->library, amd ? amd_names : rsmi_names,
                                                  amd ? amd_symbols : rsmi_symbols, rocm, text, size);
    if (state != ME_LIBRARY_OPEN) {
        free(rocm);
        return state;
    }
    if (me_library_run(start_library, rocm, ME_GPU_START_S)) {
        snprintf(text, size, "%s did not start within %g s: the driver is stuck",
                 amd ? "libamd_smi" : "librocm_smi64", ME_GPU_START_S);
        return ME_LIBRARY_UNUSABLE; /* the library still has it */
    }
    if (rocm->started) {
        snprintf(text, size, "%s did not start: status %d", rocm->name, rocm->started);
        me_library_close(&rocm->library);
        free(rocm->ids);
        free(rocm);
        return ME_LIBRARY_UNUSABLE;
    }
    *out = rocm;
    return ME_LIBRARY_OPEN;
}

void me_rocm_stop(struct me_rocm *rocm)
{
    if (!rocm) return;
    if (rocm->is_amd)
        rocm->amd.shut_down();
    else
        rocm->rsmi.shut_down();
    me_library_close(&rocm->library);
    free(rocm->ids);
    free(rocm);
}
