/* The source `rocm`: AMD's GPUs, by libamd_smi, else by librocm_smi64.
 *
 * Of both only calls are used whose arguments stayed the same: in amdsmi.h from ROCm 5.7 to ROCm 7
 * (libamd_smi 23 to 26: amdsmi_init, _shut_down, _get_socket_handles, _get_processor_handles,
 * _get_gpu_device_bdf, _get_energy_count), in rocm_smi.h from ROCm 5.0 to 7 (rsmi_init, _shut_down,
 * _num_monitor_devices, _dev_pci_id_get, _dev_name_get, _dev_energy_count_get, _dev_power_ave_get,
 * _dev_power_get). amdsmi's power call fills a structure that changed its layout in 6.0 and again later,
 * so power is only had from rocm_smi; where amdsmi shows a GPU without an energy counter that moves
 * (its releases before 6.1 kept the first value for ever), rocm_smi is tried too, and the one with which
 * more GPUs can be measured is kept.
 *
 * A counter has units of 2^-16 J (linux: drivers/gpu/drm/amd/include/kgd_pp_interface.h, "15.259uJ
 * (2^-16) units"); the libraries call that 15.3 uJ, which is 0.27 % too much, and is put right here.
 *
 * Of a two-die module (MI250, MI250X) the driver shows energy and power at the first die only, and 0 at
 * the second (aldebaran_ppt.c: aldebaran_is_primary). Partitions of one GPU all show one counter. Both
 * count once. */
#ifndef ME_SOURCE_ROCM_H
#define ME_SOURCE_ROCM_H

#include "gpu.h"
#include "library.h"
#include "me/source.h"

extern const struct me_source_ops me_rocm_ops;

/* Counter value and the library's resolution in microjoules to microjoules. 0, or ERANGE. Pure. */
int me_rocm_energy_uj(uint64_t count, float resolution_uj, uint64_t *uj);
/* Is the GPU part of a processor (APU), whose package counter holds it? By the layout of the device's
 * gpu_metrics: 1 for cards, 2 and 3 for APUs (kgd_pp_interface.h). */
bool me_rocm_is_apu(const struct me_root *root, const char *device);
/* Is it an MI300A: one socket's cores, GPU and memory, metered as one? By its PCI id. */
bool me_rocm_is_socket(const struct me_root *root, const char *device);

/* The kernel's compute nodes that are GPUs and open to this process, in the order in which the ROCm
 * runtime numbers them. *count is 0 if the kernel shows none. */
struct me_rocm_node {
    char device[24];
    char uuid[24]; /* "GPU-<unique id>", as the runtime names it; "" for none */
};
int me_rocm_nodes(const struct me_root *root, struct me_rocm_node **nodes, size_t *count);

/* One opened library. */
struct me_rocm {
    struct me_library library;
    const char *name; /* "amdsmi" */
    size_t count;
    uint64_t *ids; /* [count] handles of amdsmi */
    union {
        struct {
            int (*init)(uint64_t flags);
            int (*shut_down)(void);
            int (*sockets)(uint32_t *count, void **sockets);
            int (*processors)(void *socket, uint32_t *count, void **processors);
            int (*bdf)(void *processor, uint64_t *bdf);
            int (*energy)(void *processor, uint64_t *count, float *resolution_uj, uint64_t *time_ns);
            int (*asic)(void *processor, void *info); /* optional: begins with the model's name */
        } amd;
        struct {
            int (*init)(uint64_t flags);
            int (*shut_down)(void);
            int (*count)(uint32_t *count);
            int (*bdf)(uint32_t index, uint64_t *bdf);
            int (*name)(uint32_t index, char *name, size_t size);
            int (*energy)(uint32_t index, uint64_t *count, float *resolution_uj, uint64_t *time_ns);
            int (*power_mean)(uint32_t index, uint32_t sensor, uint64_t *uw);
            int (*power)(uint32_t index, uint64_t *uw, int *type); /* optional: ROCm 6 */
        } rsmi;
    };
    bool is_amd;
    int started;
};

enum me_library_state me_rocm_start(struct me_rocm **out, bool amd, char *text, size_t size);
void me_rocm_stop(struct me_rocm *rocm);
int me_rocm_energy(void *rocm, size_t index, uint64_t *uj);
int me_rocm_power(void *rocm, size_t index, double *w);
/* "0000:c1:00.0", or "". And a model's name, or "". */
void me_rocm_device(const struct me_rocm *rocm, size_t index, char *device, size_t size);
void me_rocm_model(const struct me_rocm *rocm, size_t index, char *model, size_t size);

#endif
