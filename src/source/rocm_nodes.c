#include "file.h"
#include "rocm.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_NODES 512
#define NODES      "sys/class/kfd/kfd/topology/nodes"

static uint64_t property(const char *text, const char *name)
{
    const char *value = me_file_line(text, name);
    return value ? strtoull(value, NULL, 10) : 0;
}

/* linux: drivers/gpu/drm/amd/amdkfd/kfd_topology.c; location_id has bus, device and function as on PCI. */
static bool read_node(const struct me_root *root, unsigned number, struct me_rocm_node *node)
{
    char path[96], text[4096];
    snprintf(path, sizeof path, NODES "/%u/properties", number);
    if (me_root_read(root, path, text, sizeof text) <= 0) return false; /* refused: not this job's */
    if (!property(text, "simd_count ")) return false;                   /* a processor */
    uint64_t location = property(text, "location_id "), unique = property(text, "unique_id ");
    me_gpu_address(node->device, sizeof node->device, (unsigned)property(text, "domain "),
                   (unsigned)(location >> 8), (unsigned)(location >> 3), (unsigned)location);
    node->uuid[0] = '\0';
    if (unique) snprintf(node->uuid, sizeof node->uuid, "GPU-%016" PRIx64, unique);
    return true;
}

int me_rocm_nodes(const struct me_root *root, struct me_rocm_node **nodes, size_t *count)
{
    struct me_rocm_node *list = NULL;
    size_t n = 0;
    for (unsigned i = 0; i < MOST_NODES; i++) {
        char path[96];
        struct me_rocm_node node;
        snprintf(path, sizeof path, NODES "/%u", i);
        if (!me_root_exists(root, path)) break;
        if (!read_node(root, i, &node)) continue;
        struct me_rocm_node *more = realloc(list, (n + 1) * sizeof *more);
        if (!more) {
            free(list);
            return ENOMEM;
        }
        list = more;
        list[n++] = node;
    }
    *nodes = list;
    *count = n;
    return 0;
}

bool me_rocm_is_apu(const struct me_root *root, const char *device)
{
    char path[96];
    unsigned char header[4]; /* u16 size, u8 format, u8 content */
    snprintf(path, sizeof path, "sys/bus/pci/devices/%s/gpu_metrics", device);
    int fd = me_root_openat(root, path);
    if (fd < 0) return false;
    ssize_t len = pread(fd, header, sizeof header, 0);
    close(fd);
    return len == (ssize_t)sizeof header && (header[2] == 2 || header[2] == 3);
}

bool me_rocm_is_socket(const struct me_root *root, const char *device)
{
    char path[96], id[16];
    snprintf(path, sizeof path, "sys/bus/pci/devices/%s/device", device);
    return me_root_read(root, path, id, sizeof id) > 0 && !strcmp(id, "0x74a0");
}
