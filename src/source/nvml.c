#include "nvml.h"
#include "ops.h"
#include "me/buffer.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int energy_of(void *context, size_t index, uint64_t *uj)
{
    const struct me_nvml *nvml = context;
    unsigned long long mj;
    if (!nvml->energy) return EOPNOTSUPP;
    int error = me_nvml_errno(nvml->energy(nvml->gpus[index].device, &mj));
    if (!error && __builtin_mul_overflow((uint64_t)mj, UINT64_C(1000), uj)) error = ERANGE;
    return error;
}

/* The types of nvmlValueType_t that a power may have. */
static int field_watts(const struct me_nvml_field *field, double *w)
{
    switch (field->type) {
    case 0:
        *w = field->value.d * 1e-3;
        return 0;
    case 1:
        *w = field->value.ui * 1e-3;
        return 0;
    case 2:
        *w = (double)field->value.ul * 1e-3;
        return 0;
    case 3:
        *w = (double)field->value.ull * 1e-3;
        return 0;
    case 4:
        *w = (double)field->value.sll * 1e-3;
        return 0;
    case 5:
        *w = field->value.si * 1e-3;
        return 0;
    case 6:
        *w = field->value.us * 1e-3;
        return 0;
    default:
        return EPROTO;
    }
}

static int instant_power(const struct me_nvml *nvml, void *device, unsigned scope, double *w)
{
    struct me_nvml_field field = {.field = ME_NVML_FIELD_POWER_INSTANT, .scope = scope, .type = -1};
    if (!nvml->fields) return EOPNOTSUPP;
    int error = me_nvml_errno(nvml->fields(device, 1, &field));
    if (!error) error = me_nvml_errno(field.result);
    return error ? error : field_watts(&field, w);
}

static int power_of(void *context, size_t index, double *w)
{
    const struct me_nvml *nvml = context;
    const struct me_nvml_gpu *gpu = &nvml->gpus[index];
    unsigned mw;
    if (gpu->has_instant) return instant_power(nvml, gpu->device, ME_NVML_SCOPE_GPU, w);
    if (!nvml->power) return EOPNOTSUPP;
    int error = me_nvml_errno(nvml->power(gpu->device, &mw));
    if (!error) *w = mw * 1e-3;
    return error;
}

static void close_nvml(void *context)
{
    me_nvml_stop(context);
}

static const struct me_gpu_meter meter = {.energy = energy_of, .power = power_of, .close = close_nvml};

/* In WSL the driver is the host's, and PCI addresses are the host's too. */
static bool is_drivers(const struct me_root *root, const char *device)
{
    static const char *const driver[] = {"proc/driver/nvidia/version", "sys/module/nvidia", NULL};
    static const char *const wsl[] = {"sys/bus/vmbus/drivers/dxgkrnl", NULL};
    if (me_gpu_driver_is_live(root, wsl)) return true;
    return me_gpu_driver_is_live(root, driver) && me_gpu_is_on_bus(root, device);
}

static void describe(const struct me_nvml *nvml, const struct me_root *root, struct me_nvml_gpu *own,
                     struct me_gpu *gpu)
{
    struct me_nvml_pci pci = {0};
    unsigned mig = 0, pending;
    double w;
    if (nvml->name(own->device, gpu->model, sizeof gpu->model)) gpu->model[0] = '\0';
    if (!nvml->pci(own->device, &pci)) /* NVML has no function number: a GPU is function 0 */
        me_gpu_address(gpu->device, sizeof gpu->device, pci.domain, pci.bus, pci.device, 0);
    if (!nvml->uuid || nvml->uuid(own->device, gpu->uuid, sizeof gpu->uuid)) gpu->uuid[0] = '\0';
    gpu->scope = ME_SCOPE_GPU;
    gpu->sees_driver = gpu->device[0] && is_drivers(root, gpu->device);
    own->has_instant = !instant_power(nvml, own->device, ME_NVML_SCOPE_GPU, &w);
    own->in_module = own->has_instant && !instant_power(nvml, own->device, ME_NVML_SCOPE_MODULE, &w) && w > 0;
    own->has_mig = nvml->mig_mode && !nvml->mig_mode(own->device, &mig, &pending) && mig;
    gpu->integrates = own->in_module;
    if (own->in_module)
        me_ops_say(
            gpu->basis, sizeof gpu->basis,
            "shares a module with a processor, and the energy counter may be the module's: the GPU's own "
            "power is integrated");
    if (own->has_mig)
        me_ops_say(gpu->basis, sizeof gpu->basis,
                   "MIG is on: what is read is the whole GPU's, of all slices");
}

/* All that the library lets us have. Returns how many it keeps closed. */
static int find_gpus(struct me_nvml *nvml, const struct me_root *root, struct me_gpus *gpus, size_t *closed)
{
    unsigned count = 0;
    *closed = 0;
    if (nvml->count(&count)) count = 0;
    gpus->list = calloc(count + 1, sizeof *gpus->list);
    nvml->gpus = calloc(count + 1, sizeof *nvml->gpus);
    if (!gpus->list || !nvml->gpus) return ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        struct me_nvml_gpu own = {0};
        if (nvml->handle(i, &own.device)) {
            (*closed)++;
            continue;
        }
        struct me_gpu *gpu = &gpus->list[gpus->count];
        gpu->number = i;
        describe(nvml, root, &own, gpu);
        nvml->gpus[gpus->count++] = own;
    }
    return 0;
}

/* A MIG slice by its own uuid says nothing of its GPU; the library does. The list with GPUs instead of
 * slices where that is known. */
static void name_slices(const struct me_nvml *nvml, const char *words, struct me_buffer *out)
{
    for (const char *at = words; at; at = strchr(at, ',')) {
        at += strspn(at, ", \t");
        size_t len = strcspn(at, ", \t");
        char word[96], uuid[64];
        void *slice, *device;
        snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), at);
        bool known = !strncasecmp(word, "MIG-", 4) && nvml->by_uuid && nvml->mig_parent && nvml->uuid &&
                     !nvml->by_uuid(word, &slice) && !nvml->mig_parent(slice, &device) &&
                     !nvml->uuid(device, uuid, sizeof uuid);
        me_buffer_printf(out, "%s%s", out->len ? "," : "", known ? uuid : word);
    }
}

/* Numbers are CUDA's, and CUDA counts the fastest first unless told otherwise: with several models, or
 * with slices, they name GPUs that we cannot know. Then all count, and that is said. */
static bool are_numbers_unsure(const struct me_nvml *nvml, const struct me_gpus *gpus)
{
    const char *order = getenv("CUDA_DEVICE_ORDER");
    for (size_t i = 0; i < gpus->count; i++)
        if (nvml->gpus[i].has_mig) return true;
    return me_gpus_are_mixed(gpus) && (!order || strcmp(order, "PCI_BUS_ID"));
}

static void say_unsure(struct me_source *source, struct me_gpus *gpus)
{
    for (size_t i = 0; i < gpus->count; i++)
        me_ops_say(gpus->list[i].basis, sizeof gpus->list[i].basis,
                   "counted although CUDA_VISIBLE_DEVICES may hide it");
    me_ops_say(source->reason, sizeof source->reason,
               "which of them CUDA_VISIBLE_DEVICES means cannot be told, so all are counted (CUDA counts the "
               "fastest first; a GPU's uuid is plain)");
    if (me_gpus_are_mixed(gpus))
        snprintf(source->cure, sizeof source->cure, "export CUDA_DEVICE_ORDER=PCI_BUS_ID");
}

static int hide_invisible(struct me_source *source, const struct me_nvml *nvml, struct me_gpus *gpus)
{
    const char *words = getenv("CUDA_VISIBLE_DEVICES");
    struct me_buffer translated = ME_BUFFER_INIT;
    bool unsure, by_number;
    if (!words) return 0;
    size_t *all = calloc(2 * gpus->count + 1, sizeof *all);
    if (!all) return ENOMEM;
    size_t *seen = all + gpus->count;
    for (size_t i = 0; i < gpus->count; i++) all[i] = i;
    name_slices(nvml, words, &translated);
    if (translated.data && !translated.failed) words = translated.data;
    size_t n = me_gpu_list(words, gpus->list, all, gpus->count, seen, &unsure, &by_number);
    if (n < gpus->count && (unsure || (by_number && are_numbers_unsure(nvml, gpus))))
        say_unsure(source, gpus);
    else
        me_gpus_hide(gpus, seen, n, "CUDA_VISIBLE_DEVICES");
    me_buffer_release(&translated);
    free(all);
    return 0;
}

static int open_nvml(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct me_gpus gpus = {.meter = &meter};
    size_t closed = 0;
    if (!setup->live) {
        me_ops_say_foreign(source);
        return 0;
    }
    struct me_nvml *nvml = me_nvml_start(source, setup->root);
    if (!nvml) return 0;
    gpus.context = nvml;
    if (find_gpus(nvml, setup->root, &gpus, &closed) || hide_invisible(source, nvml, &gpus)) {
        me_gpus_release(&gpus);
        return me_fail(err, ME_E_RUN, "nvml: no memory");
    }
    if (!gpus.count) {
        snprintf(source->reason, sizeof source->reason,
                 closed ? "NVIDIA's driver has GPUs, and keeps all of them closed to this user or job"
                        : "NVIDIA's driver shows no GPU");
        me_gpus_release(&gpus);
        return 0;
    }
    if (closed)
        me_ops_say(source->reason, sizeof source->reason,
                   "%zu more cannot be asked: closed to this job, or lost", closed);
    me_gpus_choose_meters(&gpus);
    return me_gpus_publish(source, &gpus, err);
}

const struct me_source_ops me_nvml_ops = {
    .name = "nvml",
    .summary = "GPUs of NVIDIA, by the driver's library libnvidia-ml",
    .open = open_nvml,
    .read = me_gpus_read,
    .close = me_gpus_close,
};
