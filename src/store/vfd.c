#include "vfd.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct me_vfd_patch {
    uint64_t at;
    size_t len;
    char *bytes;
};

/* HDF5's handle of an open file: its own fields first. */
struct file {
    H5FD_t own;
    struct me_vfd *vfd;
    haddr_t eoa; /* end of what HDF5 has allocated */
};

struct info { /* what travels in the access properties */
    struct me_vfd *vfd;
};

static H5FD_t *open_file(const char *name, unsigned flags, hid_t access, haddr_t max)
{
    (void)name;
    (void)flags;
    (void)max;
    const struct info *info = H5Pget_driver_info(access);
    struct file *file = info ? calloc(1, sizeof *file) : NULL;
    if (!file) return NULL;
    file->vfd = info->vfd;
    return &file->own;
}

static herr_t close_file(H5FD_t *own)
{
    struct file *file = (struct file *)own;
    file->vfd->end = file->eoa;
    free(file);
    return 0;
}

static herr_t query(const H5FD_t *own, unsigned long *flags)
{
    (void)own;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t get_eoa(const H5FD_t *own, H5FD_mem_t type)
{
    (void)type;
    return ((const struct file *)own)->eoa;
}

static herr_t set_eoa(H5FD_t *own, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((struct file *)own)->eoa = address;
    return 0;
}

static haddr_t get_eof(const H5FD_t *own, H5FD_mem_t type)
{
    (void)type;
    return ((const struct file *)own)->vfd->size;
}

static void apply(const struct me_vfd_patch *patch, uint64_t at, char *bytes, size_t len)
{
    uint64_t first = patch->at > at ? patch->at : at;
    uint64_t end = patch->at + patch->len < at + len ? patch->at + patch->len : at + len;
    if (first < end) memcpy(bytes + (first - at), patch->bytes + (first - patch->at), (size_t)(end - first));
}

static herr_t read_file(H5FD_t *own, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t len, void *bytes)
{
    (void)type;
    (void)transfer;
    struct me_vfd *vfd = ((struct file *)own)->vfd;
    size_t there = at >= vfd->size ? 0 : vfd->size - at < len ? (size_t)(vfd->size - at) : len;
    if (there && vfd->read(vfd->context, at, bytes, there)) {
        if (!vfd->failed) return -1;
        there = 0; /* of a disk that has failed already, so that the close does not */
    }
    memset((char *)bytes + there, 0, len - there);
    for (size_t i = 0; i < vfd->patch_count; i++) apply(&vfd->patches[i], at, bytes, len);
    return 0;
}

static int keep(struct me_vfd *vfd, uint64_t at, const void *bytes, size_t len)
{
    struct me_vfd_patch *patches = realloc(vfd->patches, (vfd->patch_count + 1) * sizeof *patches);
    if (!patches) return -1;
    vfd->patches = patches;
    struct me_vfd_patch patch = {at, len, malloc(len ? len : 1)};
    if (!patch.bytes) return -1;
    memcpy(patch.bytes, bytes, len);
    patches[vfd->patch_count++] = patch;
    return 0;
}

static herr_t write_file(H5FD_t *own, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t len,
                         const void *bytes)
{
    (void)type;
    (void)transfer;
    struct me_vfd *vfd = ((struct file *)own)->vfd;
    if (!vfd->failed) vfd->failed = vfd->write ? vfd->write(vfd->context, at, bytes, len) : EROFS;
    if (vfd->failed && keep(vfd, at, bytes, len)) return -1;
    if (!vfd->failed && at + len > vfd->size) vfd->size = at + len;
    return 0;
}

/* A file is as long as what was written; the caller cuts or lengthens it to `end`. */
static herr_t truncate_file(H5FD_t *own, hid_t transfer, hbool_t closing)
{
    (void)own;
    (void)transfer;
    (void)closing;
    return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600, /* of the range that is free for everyone */
#endif
    .name = "machine-energy",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .fapl_size = sizeof(struct info),
    .open = open_file,
    .close = close_file,
    .query = query,
    .get_eoa = get_eoa,
    .set_eoa = set_eoa,
    .get_eof = get_eof,
    .read = read_file,
    .write = write_file,
    .truncate = truncate_file,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t me_vfd_access(struct me_vfd *vfd)
{
    const struct info info = {vfd};
    hid_t id = H5FDregister(&driver), access = id < 0 ? -1 : H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_driver(access, id, &info) < 0) {
        H5Pclose(access);
        access = -1;
    }
    if (id >= 0) H5FDunregister(id); /* the properties, and the files, hold it from here on */
    return access;
}

void me_vfd_release(struct me_vfd *vfd)
{
    for (size_t i = 0; i < vfd->patch_count; i++) free(vfd->patches[i].bytes);
    free(vfd->patches);
    vfd->patches = NULL;
    vfd->patch_count = 0;
}
