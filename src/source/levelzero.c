#include "levelzero.h"
#include "ops.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int energy_of(void *context, size_t index, uint64_t *uj)
{
    const struct me_zes *zes = context;
    struct me_zes_energy energy;
    int error = zes->domains[index] ? me_zes_errno(zes->energy(zes->domains[index], &energy)) : EOPNOTSUPP;
    if (!error) *uj = energy.uj;
    return error;
}

static int power_of(void *context, size_t index, double *w)
{
    (void)context;
    (void)index;
    (void)w;
    return EOPNOTSUPP; /* sysman tells energy only */
}

static void close_levelzero(void *context)
{
    me_zes_stop(context);
}

static const struct me_gpu_meter meter = {.energy = energy_of, .power = power_of, .close = close_levelzero};

/* false: not a GPU, or seen already by way of another driver. */
static bool describe(struct me_zes *zes, const struct me_root *root, void *device, struct me_gpus *gpus,
                     uint32_t *tiles)
{
    static const char *const driver[] = {"sys/bus/pci/drivers/xe", "sys/bus/pci/drivers/i915", NULL};
    struct me_zes_device about = {.stype = ME_ZES_STRUCT_DEVICE};
    struct me_zes_pci pci = {.stype = ME_ZES_STRUCT_PCI};
    struct me_gpu *gpu = &gpus->list[gpus->count];
    if (zes->device_properties(device, &about) || about.core.type != ME_ZE_TYPE_GPU) return false;
    if (!zes->pci(device, &pci))
        me_gpu_address(gpu->device, sizeof gpu->device, pci.domain, pci.bus, pci.device, pci.function);
    for (size_t i = 0; i < gpus->count; i++)
        if (gpu->device[0] && !strcmp(gpus->list[i].device, gpu->device)) return false;
    const char *name = about.core.name[0] ? about.core.name : about.model;
    snprintf(gpu->model, sizeof gpu->model, "%.80s", name[0] ? name : "GPU of Intel");
    gpu->number = gpus->count;
    gpu->scope = ME_SCOPE_GPU;
    gpu->sees_driver =
        gpu->device[0] && me_gpu_driver_is_live(root, driver) && me_gpu_is_on_bus(root, gpu->device);
    *tiles = about.subdevices;
    zes->domains[gpus->count] = me_zes_domain(zes, device);
    if (about.core.flags & ME_ZE_INTEGRATED)
        snprintf(gpu->why_not, sizeof gpu->why_not, "part of the processor, whose package covers it");
    else if (!zes->domains[gpus->count])
        snprintf(gpu->why_not, sizeof gpu->why_not, "its driver shows no energy counter of the whole card");
    gpus->count++;
    return true;
}

/* The numbers of ZE_AFFINITY_MASK are cards ("0", or "0.1" for a tile of it), or tiles where
 * ZE_FLAT_DEVICE_HIERARCHY is not COMPOSITE and a card has several (specification: core programming
 * guide, "Environment Variables"). Returns how many numbers there are; *unsure: it cannot be told. */
static size_t number_cards(const struct me_gpus *gpus, const uint32_t *tiles, size_t *named, size_t room,
                           bool *unsure)
{
    const char *mode = getenv("ZE_FLAT_DEVICE_HIERARCHY"), *order = getenv("ZE_ENABLE_PCI_ID_DEVICE_ORDER");
    bool flat = mode && strcasecmp(mode, "COMPOSITE");
    size_t n = 0;
    *unsure = me_gpus_are_mixed(gpus) && (!order || strcmp(order, "1"));
    for (size_t i = 0; i < gpus->count; i++) {
        uint32_t numbers = flat && tiles[i] > 1 ? tiles[i] : 1;
        if (!mode && tiles[i] > 1) *unsure = true; /* newer drivers are flat, older ones are not */
        for (uint32_t k = 0; k < numbers && n < room; k++) named[n++] = i;
    }
    return n;
}

/* Marks the cards that the mask names; a word that is no number ends it. */
static size_t read_mask(const char *words, const size_t *named, size_t n, size_t *seen)
{
    size_t count = 0;
    for (const char *at = words; at && count < n; at = strchr(at, ',')) {
        char *end;
        at += strspn(at, ", ");
        if (*at < '0' || *at > '9') break;
        unsigned long number = strtoul(at, &end, 10);
        if (number >= n) continue;
        seen[count++] = named[number];
    }
    return count;
}

static bool names_all(const struct me_gpus *gpus, const size_t *seen, size_t n)
{
    for (size_t i = 0; i < gpus->count; i++) {
        size_t k = 0;
        while (k < n && seen[k] != i) k++;
        if (k == n) return false;
    }
    return true;
}

static int hide_invisible(struct me_source *source, struct me_gpus *gpus, const uint32_t *tiles)
{
    const char *mask = getenv("ZE_AFFINITY_MASK");
    size_t room = 64 * gpus->count;
    bool unsure;
    if (!mask || !*mask) return 0; /* an empty mask hides nothing */
    size_t *named = calloc(2 * room + 1, sizeof *named);
    if (!named) return ENOMEM;
    size_t *seen = named + room, n = number_cards(gpus, tiles, named, room, &unsure);
    size_t count = read_mask(mask, named, n, seen);
    if (unsure && !names_all(gpus, seen, count)) {
        for (size_t i = 0; i < gpus->count; i++)
            me_ops_say(gpus->list[i].basis, sizeof gpus->list[i].basis,
                       "counted although ZE_AFFINITY_MASK may hide it");
        me_ops_say(source->reason, sizeof source->reason,
                   "which of them ZE_AFFINITY_MASK means cannot be told, so all are counted");
        snprintf(source->cure, sizeof source->cure,
                 "export ZE_ENABLE_PCI_ID_DEVICE_ORDER=1 ZE_FLAT_DEVICE_HIERARCHY=FLAT");
    } else {
        me_gpus_hide(gpus, seen, count, "ZE_AFFINITY_MASK");
    }
    free(named);
    return 0;
}

static int open_levelzero(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct me_gpus gpus = {.meter = &meter};
    if (!setup->live) {
        me_ops_say_foreign(source);
        return 0;
    }
    struct me_zes *zes = me_zes_start(source, setup->root);
    if (!zes) return 0;
    gpus.context = zes;
    gpus.list = calloc(zes->count + 1, sizeof *gpus.list);
    uint32_t *tiles = calloc(zes->count + 1, sizeof *tiles);
    int error = gpus.list && tiles ? 0 : ENOMEM;
    for (size_t i = 0; !error && i < zes->count; i++)
        if (!describe(zes, setup->root, zes->found[i], &gpus, &tiles[gpus.count]))
            gpus.list[gpus.count] = (struct me_gpu){0};
    if (!error) error = hide_invisible(source, &gpus, tiles);
    free(tiles);
    if (error) {
        me_gpus_release(&gpus);
        return me_fail(err, ME_E_RUN, "levelzero: no memory");
    }
    if (!gpus.count) {
        snprintf(source->reason, sizeof source->reason, "libze_loader.so.1 shows no GPU");
        me_gpus_release(&gpus);
        return 0;
    }
    me_gpus_choose_meters(&gpus);
    return me_gpus_publish(source, &gpus, err);
}

const struct me_source_ops me_levelzero_ops = {
    .name = "levelzero",
    .summary = "graphics cards of Intel, by oneAPI Level Zero's system management (libze_loader)",
    .open = open_levelzero,
    .read = me_gpus_read,
    .close = me_gpus_close,
};
