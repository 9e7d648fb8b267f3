#include "rocm.h"
#include "ops.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_rocm(void *context)
{
    me_rocm_stop(context);
}

static const struct me_gpu_meter meter = {
    .energy = me_rocm_energy, .power = me_rocm_power, .close = close_rocm};

static void describe(const struct me_rocm *rocm, const struct me_root *root, size_t index, struct me_gpu *gpu)
{
    static const char *const driver[] = {"sys/module/amdgpu", NULL};
    gpu->number = index;
    gpu->scope = ME_SCOPE_GPU;
    me_rocm_model(rocm, index, gpu->model, sizeof gpu->model);
    me_rocm_device(rocm, index, gpu->device, sizeof gpu->device);
    gpu->sees_driver =
        gpu->device[0] && me_gpu_driver_is_live(root, driver) && me_gpu_is_on_bus(root, gpu->device);
    if (!gpu->device[0]) return;
    if (me_rocm_is_apu(root, gpu->device))
        snprintf(gpu->why_not, sizeof gpu->why_not, "part of the processor, whose package covers it");
    if (me_rocm_is_socket(root, gpu->device)) {
        gpu->scope = ME_SCOPE_PACKAGE;
        me_ops_say(gpu->basis, sizeof gpu->basis,
                   "MI300A: one meter for cores, GPU and memory of the socket");
    }
}

/* Do both show one counter? Read several times, so that a tick between the two does not hide it. Two
 * GPUs of their own do not agree to the microjoule twice; one counter does not run a tick's 100 J ahead
 * of itself. */
static bool is_mirror(struct me_rocm *rocm, size_t a, size_t b)
{
    for (int i = 0, equal = 0; i < 6; i++) {
        uint64_t x, y;
        if (me_rocm_energy(rocm, a, &x) || me_rocm_energy(rocm, b, &y) || !x) return false;
        if ((x > y ? x - y : y - x) > UINT64_C(100000000)) return false;
        equal += x == y;
        if (equal == 2) return true;
    }
    return false;
}

static bool is_at_zero(struct me_rocm *rocm, size_t i)
{
    uint64_t uj;
    double w;
    if (me_rocm_energy(rocm, i, &uj) || uj) return false;
    return me_rocm_power(rocm, i, &w) || w <= 0;
}

/* The GPU whose meter also covers GPU i: itself, or the first die of its module. A first die stands one
 * before its second on the bus, or one after it, and no two share one. */
static size_t find_first_die(struct me_rocm *rocm, const struct me_gpus *gpus, size_t i, const bool *taken)
{
    const size_t beside[] = {i - 1, i + 1};
    for (size_t k = 0; k < 2; k++) {
        size_t j = beside[k];
        if (j >= gpus->count || taken[j] || gpus->list[j].why_not[0]) continue;
        if (strcmp(gpus->list[i].model, gpus->list[j].model) || is_at_zero(rocm, j)) continue;
        uint64_t uj;
        if (!me_rocm_energy(rocm, j, &uj)) return j;
    }
    return i;
}

/* covers[i]: where GPU i is metered. */
static int find_parts(struct me_rocm *rocm, struct me_gpus *gpus, size_t *covers)
{
    bool *taken = calloc(gpus->count + 1, sizeof *taken);
    if (!taken) return ENOMEM;
    for (size_t i = 0; i < gpus->count; i++) {
        struct me_gpu *gpu = &gpus->list[i];
        covers[i] = i;
        if (gpu->why_not[0]) continue;
        if (is_at_zero(rocm, i)) {
            size_t j = covers[i] = find_first_die(rocm, gpus, i, taken);
            taken[j] = true;
            if (j != i)
                snprintf(gpu->why_not, sizeof gpu->why_not, "second die of its module: gpu-%zu meters both",
                         gpus->list[j].number);
            continue;
        }
        for (size_t j = 0; j < i && covers[i] == i; j++)
            if (!gpus->list[j].why_not[0] && is_mirror(rocm, j, i)) covers[i] = j;
        if (covers[i] != i)
            snprintf(gpu->why_not, sizeof gpu->why_not, "repeats the counter of gpu-%zu",
                     gpus->list[covers[i]].number);
    }
    free(taken);
    return 0;
}

/* The numbers of the runtime: the kernel's order of compute nodes; the library's where it shows none. */
static int number_gpus(const struct me_root *root, struct me_gpus *gpus, size_t *named, size_t *count)
{
    struct me_rocm_node *nodes = NULL;
    size_t n = 0, known = 0;
    int error = me_rocm_nodes(root, &nodes, &n);
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < gpus->count; i++)
            if (!strcmp(gpus->list[i].device, nodes[k].device) && known < gpus->count) {
                snprintf(gpus->list[i].uuid, sizeof gpus->list[i].uuid, "%s", nodes[k].uuid);
                named[known++] = i;
                break;
            }
    if (!known)
        for (; known < gpus->count; known++) named[known] = known;
    free(nodes);
    *count = known;
    return error;
}

/* A module is the workload's if any of its dies is. */
static void hide(struct me_gpus *gpus, const size_t *covers, size_t *seen, size_t n, const char *variable)
{
    for (size_t i = 0; i < n; i++) seen[i] = covers[seen[i]];
    me_gpus_hide(gpus, seen, n, variable);
}

/* ROCR_VISIBLE_DEVICES picks by number or uuid; HIP_VISIBLE_DEVICES, and where it is not set
 * CUDA_VISIBLE_DEVICES, picks among those (ROCm documentation, "GPU isolation techniques"). */
static int hide_invisible(const struct me_root *root, struct me_gpus *gpus, const size_t *covers)
{
    const char *rocr = getenv("ROCR_VISIBLE_DEVICES"), *second = "HIP_VISIBLE_DEVICES";
    bool unsure, by_number;
    size_t n = 0, *named = calloc(3 * gpus->count + 1, sizeof *named);
    if (!named) return ENOMEM;
    size_t *seen = named + gpus->count, *last = seen + gpus->count;
    int error = number_gpus(root, gpus, named, &n);
    if (!error && rocr) {
        n = me_gpu_list(rocr, gpus->list, named, n, seen, &unsure, &by_number);
        memcpy(named, seen, n * sizeof *named);
        hide(gpus, covers, seen, n, "ROCR_VISIBLE_DEVICES");
    }
    if (!getenv(second)) second = "CUDA_VISIBLE_DEVICES";
    if (!error && getenv(second)) {
        n = me_gpu_list(getenv(second), gpus->list, named, n, last, &unsure, &by_number);
        hide(gpus, covers, last, n, second);
    }
    free(named);
    return error;
}

/* One library's view. *unfit: GPUs that cannot be measured with it. -1: no memory. */
static int look(struct me_rocm *rocm, const struct me_root *root, struct me_gpus *gpus, size_t *unfit)
{
    *gpus = (struct me_gpus){.meter = &meter, .context = rocm};
    gpus->list = calloc(rocm->count + 1, sizeof *gpus->list);
    size_t *covers = calloc(rocm->count + 1, sizeof *covers);
    int rc = -1;
    if (!gpus->list || !covers) goto out;
    gpus->count = rocm->count;
    for (size_t i = 0; i < gpus->count; i++) describe(rocm, root, i, &gpus->list[i]);
    if (find_parts(rocm, gpus, covers) || hide_invisible(root, gpus, covers)) goto out;
    *unfit = me_gpus_choose_meters(gpus);
    rc = 0;
out:
    free(covers);
    return rc;
}

static void explain_absent(struct me_source *source, const struct me_root *root)
{
    char device[24];
    if (!me_gpu_on_bus(root, "0x1002", me_rocm_is_apu, device, sizeof device)) {
        snprintf(source->reason, sizeof source->reason,
                 "no GPU card of AMD, no libamd_smi, no librocm_smi64");
        return;
    }
    snprintf(source->reason, sizeof source->reason,
             "a GPU of AMD at %s, but neither libamd_smi (ROCm: amd-smi-lib) nor librocm_smi64", device);
    snprintf(source->cure, sizeof source->cure, "sudo apt-get install rocm-smi");
}

/* librocm_smi64 is only started where libamd_smi is not there or leaves a GPU unmeasured. */
static int choose_library(struct me_source *source, const struct me_root *root, struct me_gpus *best)
{
    char text[2][sizeof source->reason] = {"", ""};
    size_t fit = 0;
    *best = (struct me_gpus){0};
    for (int k = 0; k < 2; k++) {
        struct me_rocm *rocm = NULL;
        struct me_gpus gpus;
        size_t unfit = 0;
        if (me_rocm_start(&rocm, k == 0, text[k], sizeof text[k]) != ME_LIBRARY_OPEN) continue;
        if (look(rocm, root, &gpus, &unfit)) {
            me_gpus_release(&gpus);
            me_gpus_release(best);
            return -1;
        }
        if (best->context && gpus.count - unfit <= fit) {
            me_gpus_release(&gpus);
            break;
        }
        me_gpus_release(best);
        *best = gpus;
        fit = gpus.count - unfit;
        if (gpus.count && !unfit) break;
    }
    if (!best->context) {
        if (text[0][0] || text[1][0])
            snprintf(source->reason, sizeof source->reason, "%s", text[0][0] ? text[0] : text[1]);
        else
            explain_absent(source, root);
    }
    return 0;
}

static int open_rocm(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct me_gpus gpus;
    if (!setup->live) {
        me_ops_say_foreign(source);
        return 0;
    }
    if (choose_library(source, setup->root, &gpus)) return me_fail(err, ME_E_RUN, "rocm: no memory");
    if (!gpus.context) return 0;
    if (!gpus.count) {
        snprintf(source->reason, sizeof source->reason, "%s shows no GPU",
                 ((const struct me_rocm *)gpus.context)->name);
        me_gpus_release(&gpus);
        return 0;
    }
    me_ops_say(source->reason, sizeof source->reason, "by %s", ((const struct me_rocm *)gpus.context)->name);
    return me_gpus_publish(source, &gpus, err);
}

const struct me_source_ops me_rocm_ops = {
    .name = "rocm",
    .summary = "GPUs of AMD, by libamd_smi or librocm_smi64",
    .open = open_rocm,
    .read = me_gpus_read,
    .close = me_gpus_close,
};
