/* What the sources of GPUs share: which GPUs the workload may see, which of a GPU's meters is fit for
 * use, and one channel a GPU. The sources differ in how they ask their library (struct me_gpu_meter). */
#ifndef ME_SOURCE_GPU_H
#define ME_SOURCE_GPU_H

#include "me/source.h"
#include <stdint.h>

/* Drivers move counters and powers every 20 to 100 ms (Yang, Adamek, Armour: "Part-time Power
 * Measurements", SC 2024, on more than 70 GPUs of NVIDIA): reading more often shows nothing more. */
#define ME_GPU_INTERVAL_S 0.1
/* How long a library may take to start. Eight GPUs without NVIDIA's persistence mode need about 10 s. */
#define ME_GPU_START_S 30.0

struct me_gpu {
    size_t number;   /* of the library's own count: the name of the channel is "gpu-<number>" */
    char model[96];  /* "NVIDIA A100-SXM4-40GB" */
    char device[24]; /* "0000:c3:00.0" */
    char uuid[64];   /* to compare with lists of visible GPUs; never stored */
    enum me_scope scope;
    bool integrates;  /* its power is read: there is no energy counter, or none fit for use */
    bool sees_driver; /* the kernel's driver holds this PCI device: what is read is no stub's */
    int lost;         /* the errno with which it went, for good */
    char why_not[96];
    char basis[384];
};

/* How one GPU is read: 0, or an errno; ENODEV is a GPU that is gone and stays so. */
struct me_gpu_meter {
    int (*energy)(void *context, size_t index, uint64_t *uj);
    int (*power)(void *context, size_t index, double *w);
    void (*close)(void *context);
};

struct me_gpus {
    const struct me_gpu_meter *meter;
    void *context; /* of the meter; closed by it */
    struct me_gpu *list;
    size_t count;
};

/* "0000:c3:00.0" from its parts. */
void me_gpu_address(char *device, size_t size, unsigned domain, unsigned bus, unsigned dev,
                    unsigned function);
/* The first display or accelerator device of a vendor ("0x10de") on the PCI bus, whether a driver holds
 * it or not, but for those that `is_part` (or NULL) calls a part of a processor. false: none. */
bool me_gpu_on_bus(const struct me_root *root, const char *vendor,
                   bool (*is_part)(const struct me_root *root, const char *device), char *device,
                   size_t size);
/* Is one of the driver's paths (NULL-terminated) there, shown by the kernel itself? */
bool me_gpu_driver_is_live(const struct me_root *root, const char *const *paths);
/* Does the kernel's PCI bus have this device? True where no PCI bus is shown at all (a container). */
bool me_gpu_is_on_bus(const struct me_root *root, const char *device);

/* Pure. The GPUs that a list such as "0,2", "GPU-8932f937" or "MIG-GPU-<uuid>/1/0" names, in its order.
 * Numbers count in named[0 .. n). As for CUDA (CUDA C++ Programming Guide, environment variables), a
 * word that names nothing ends the list: "0,-1,1" names one, "" and "NoDevFiles" none. What a MIG-<uuid>
 * belongs to cannot be told from the list: *unsure. *by_number: a plain number was used.
 * out has room for n. Returns how many are named. */
size_t me_gpu_list(const char *words, const struct me_gpu *list, const size_t *named, size_t n, size_t *out,
                   bool *unsure, bool *by_number);
/* Gives all that are not among seen[0 .. n) the reason "not visible to the workload (CUDA_...=0,1)". */
void me_gpus_hide(struct me_gpus *gpus, const size_t *seen, size_t n, const char *variable);
/* Are there several models? Then a number says nothing where numbers go by speed. */
bool me_gpus_are_mixed(const struct me_gpus *gpus);

/* Looks which meter of each GPU is fit: the energy counter, if it moves within 0.3 s; else its power,
 * integrated; else why_not. Returns how many GPUs have a reason not to be counted that is not theirs to
 * choose: no meter at all. */
size_t me_gpus_choose_meters(struct me_gpus *gpus);
/* Makes the source of them: found, channels, what is said of them. Takes them over, also on failure. */
int me_gpus_publish(struct me_source *source, struct me_gpus *gpus, struct me_error *err);
void me_gpus_release(struct me_gpus *gpus); /* NULL-safe */
/* The read and close of all sources of GPUs. */
void me_gpus_read(struct me_source *source, struct me_reading *readings);
void me_gpus_close(struct me_source *source);

#endif
