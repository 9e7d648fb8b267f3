#include "nvml.h"
#include "rights.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct me_symbol symbols[] = {
    ME_SYMBOL(struct me_nvml, init, "nvmlInit_v2"),
    ME_SYMBOL(struct me_nvml, shutdown, "nvmlShutdown"),
    ME_SYMBOL(struct me_nvml, count, "nvmlDeviceGetCount_v2"),
    ME_SYMBOL(struct me_nvml, handle, "nvmlDeviceGetHandleByIndex_v2"),
    ME_SYMBOL(struct me_nvml, name, "nvmlDeviceGetName"),
    ME_SYMBOL(struct me_nvml, pci, "nvmlDeviceGetPciInfo_v3"),
    ME_SYMBOL(struct me_nvml, error_text, "nvmlErrorString"),
    ME_SYMBOL_OPTIONAL(struct me_nvml, uuid, "nvmlDeviceGetUUID"),
    ME_SYMBOL_OPTIONAL(struct me_nvml, energy, "nvmlDeviceGetTotalEnergyConsumption"),
    ME_SYMBOL_OPTIONAL(struct me_nvml, power, "nvmlDeviceGetPowerUsage"),
    ME_SYMBOL_OPTIONAL(struct me_nvml, fields, "nvmlDeviceGetFieldValues"),
    ME_SYMBOL_OPTIONAL(struct me_nvml, mig_mode, "nvmlDeviceGetMigMode"),
    ME_SYMBOL_OPTIONAL(struct me_nvml, by_uuid, "nvmlDeviceGetHandleByUUID"),
    ME_SYMBOL_OPTIONAL(struct me_nvml, mig_parent, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle"),
    {0},
};

int me_nvml_errno(int result)
{
    switch (result) {
    case ME_NVML_SUCCESS:
        return 0;
    case ME_NVML_INVALID_ARGUMENT:
        return EINVAL;
    case ME_NVML_NOT_SUPPORTED:
        return EOPNOTSUPP;
    case ME_NVML_NO_PERMISSION:
    case ME_NVML_OPERATING_SYSTEM:
        return EACCES;
    case ME_NVML_TIMEOUT:
        return ETIMEDOUT;
    case ME_NVML_GPU_IS_LOST:
    case ME_NVML_RESET_REQUIRED:
    case ME_NVML_GPU_NOT_FOUND:
        return ENODEV;
    case ME_NVML_MEMORY:
        return ENOMEM;
    default:
        return EIO;
    }
}

static void start_library(void *arg)
{
    struct me_nvml *nvml = arg;
    nvml->started = nvml->init();
}

static void explain_absent(struct me_source *source, const struct me_root *root)
{
    char device[24];
    bool driver = me_root_exists(root, "proc/driver/nvidia/version");
    const char *made = getenv("NVIDIA_VISIBLE_DEVICES"); /* the container engine's wish, if it is one */
    if (driver && (me_rights_is_container(root) || made)) {
        snprintf(source->reason, sizeof source->reason,
                 "the machine runs NVIDIA's driver, but this container has no libnvidia-ml.so.1");
        snprintf(source->cure, sizeof source->cure, "docker run --gpus all ... (the rest as before)");
    } else if (driver) {
        snprintf(source->reason, sizeof source->reason,
                 "NVIDIA's driver runs, but its library libnvidia-ml.so.1 is not installed (Ubuntu: "
                 "libnvidia-compute-<version of the driver>)");
        snprintf(source->cure, sizeof source->cure, "sudo apt-get install libnvidia-ml1");
    } else if (me_gpu_on_bus(root, "0x10de", NULL, device, sizeof device)) {
        snprintf(source->reason, sizeof source->reason,
                 "a GPU of NVIDIA at %s, but no driver of NVIDIA's and no libnvidia-ml.so.1", device);
        snprintf(source->cure, sizeof source->cure, "sudo apt-get install nvidia-driver");
    } else {
        snprintf(source->reason, sizeof source->reason, "no GPU of NVIDIA, no libnvidia-ml.so.1");
    }
}

/* nvmlInit said no. */
static void explain_refusal(struct me_source *source, const struct me_root *root, const struct me_nvml *nvml)
{
    const char *said = nvml->error_text(nvml->started);
    char device[24];
    snprintf(source->reason, sizeof source->reason, "libnvidia-ml.so.1: %.180s",
             said ? said : "unknown error");
    switch (nvml->started) {
    case ME_NVML_VERSION_MISMATCH:
        snprintf(source->reason, sizeof source->reason,
                 "libnvidia-ml.so.1 and the loaded kernel module are of different versions: the driver was "
                 "updated since the machine started");
        snprintf(source->cure, sizeof source->cure, "sudo reboot");
        break;
    case ME_NVML_DRIVER_NOT_LOADED:
        if (!me_gpu_on_bus(root, "0x10de", NULL, device, sizeof device)) {
            snprintf(source->reason, sizeof source->reason, "libnvidia-ml.so.1 is there, a GPU is not");
            break;
        }
        snprintf(source->reason, sizeof source->reason, "NVIDIA's kernel module is not loaded");
        snprintf(source->cure, sizeof source->cure, "sudo modprobe nvidia");
        break;
    case ME_NVML_NO_PERMISSION:
        snprintf(source->reason, sizeof source->reason,
                 "this user may not talk to NVIDIA's driver (/dev/nvidiactl)");
        snprintf(source->cure, sizeof source->cure, "sudo chmod a+rw /dev/nvidiactl /dev/nvidia[0-9]*");
        break;
    case ME_NVML_OPERATING_SYSTEM:
        snprintf(source->reason, sizeof source->reason,
                 "the GPUs are closed to this job or container by the system (cgroup)");
        snprintf(source->cure, sizeof source->cure, "%s (the rest as before)",
                 getenv("SLURM_JOB_ID") ? "srun --gpus=1 ..." : "docker run --gpus all ...");
        break;
    default:
        break;
    }
}

struct me_nvml *me_nvml_start(struct me_source *source, const struct me_root *root)
{
    static const char *const names[] = {"libnvidia-ml.so.1", NULL};
    struct me_nvml *nvml = calloc(1, sizeof *nvml);
    if (!nvml) {
        snprintf(source->reason, sizeof source->reason, "no memory");
        return NULL;
    }
    enum me_library_state state =
        me_library_open(&nvml->library, names, symbols, nvml, source->reason, sizeof source->reason);
    if (state != ME_LIBRARY_OPEN) {
        if (state == ME_LIBRARY_ABSENT) explain_absent(source, root);
        free(nvml);
        return NULL;
    }
    if (me_library_run(start_library, nvml, ME_GPU_START_S)) {
        snprintf(source->reason, sizeof source->reason,
                 "libnvidia-ml.so.1 did not start within %g s: the driver is stuck", ME_GPU_START_S);
        snprintf(source->cure, sizeof source->cure, "sudo dmesg | grep -i nvrm");
        return NULL; /* the library still has it */
    }
    if (nvml->started != ME_NVML_SUCCESS) {
        explain_refusal(source, root, nvml);
        me_library_close(&nvml->library);
        free(nvml);
        return NULL;
    }
    return nvml;
}

void me_nvml_stop(struct me_nvml *nvml)
{
    if (!nvml) return;
    nvml->shutdown();
    me_library_close(&nvml->library);
    free(nvml->gpus);
    free(nvml);
}
