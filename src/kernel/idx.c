#include "idx.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { COUNT_MAX = 1000000 }; /* a damaged header must not ask for all memory */

struct idx_file {
    char path[PATH_MAX];
    gzFile gz;
    size_t count;
};

/* Exactly `size` bytes, or a line that says what is wrong with the file. */
static int read_bytes(struct idx_file *file, void *bytes, size_t size, struct me_error *err)
{
    size_t have = 0;
    while (have < size) {
        unsigned want = size - have > 1 << 24 ? 1 << 24 : (unsigned)(size - have);
        int n = gzread(file->gz, (char *)bytes + have, want);
        if (n > 0) {
            have += (size_t)n;
            continue;
        }
        int code = Z_OK;
        const char *reason = gzerror(file->gz, &code);
        if (code == Z_OK || code == Z_BUF_ERROR)
            return me_fail(err, ME_E_RUN, "%s: ends too early; install dataset-fashion-mnist anew",
                           file->path);
        if (code == Z_ERRNO) return me_fail_errno(err, ME_E_RUN, errno, "%s", file->path);
        return me_fail(err, ME_E_RUN, "%s: damaged (%s); install dataset-fashion-mnist anew", file->path,
                       reason);
    }
    return 0;
}

static uint32_t big_endian(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int check_header(struct idx_file *file, int dimensions, struct me_error *err)
{
    uint8_t header[16];
    uint32_t magic = 0x800u + (uint32_t)dimensions;
    if (read_bytes(file, header, 4, err)) return -1;
    if (big_endian(header) != magic)
        return me_fail(err, ME_E_RUN, "%s: not an IDX file of %s: magic 0x%08x where 0x%08x belongs",
                       file->path, dimensions == 3 ? "images" : "labels", big_endian(header), magic);
    if (read_bytes(file, header + 4, 4 * (size_t)dimensions, err)) return -1;
    uint32_t count = big_endian(header + 4);
    if (count == 0 || count > COUNT_MAX)
        return me_fail(err, ME_E_RUN, "%s: says it holds %u items; 1 to %d are possible", file->path, count,
                       COUNT_MAX);
    if (dimensions == 3 && (big_endian(header + 8) != ME_IDX_SIDE || big_endian(header + 12) != ME_IDX_SIDE))
        return me_fail(err, ME_E_RUN, "%s: images of %u x %u where 28 x 28 belongs", file->path,
                       big_endian(header + 8), big_endian(header + 12));
    file->count = count;
    return 0;
}

static void close_file(struct idx_file *file)
{
    if (file->gz) gzclose(file->gz);
    file->gz = NULL;
}

static int open_file(struct idx_file *file, const char *directory, const char *set, int dimensions,
                     struct me_error *err)
{
    int len = snprintf(file->path, sizeof file->path, "%s/%s-%s-idx%d-ubyte.gz", directory, set,
                       dimensions == 3 ? "images" : "labels", dimensions);
    if (len < 0 || (size_t)len >= sizeof file->path)
        return me_fail(err, ME_E_INPUT, "the data set's directory has too long a name");
    file->gz = gzopen(file->path, "rbe");
    if (!file->gz && errno == ENOENT)
        return me_fail(err, ME_E_RUN, "%s is missing; apt-get install dataset-fashion-mnist", file->path);
    if (!file->gz) return me_fail_errno(err, ME_E_RUN, errno ? errno : ENOMEM, "%s", file->path);
    gzbuffer(file->gz, 1 << 17);
    if (!check_header(file, dimensions, err)) return 0;
    close_file(file);
    return -1;
}

/* The items behind the header, and nothing behind them. */
static int read_items(struct idx_file *file, size_t item_size, uint8_t **out, struct me_error *err)
{
    size_t size = file->count * item_size;
    uint8_t *bytes = malloc(size);
    if (!bytes) return me_fail(err, ME_E_RUN, "%s: no memory for %zu bytes", file->path, size);
    if (read_bytes(file, bytes, size, err)) {
        free(bytes);
        return -1;
    }
    char extra;
    int n = gzread(file->gz, &extra, 1); /* also makes zlib look at the checksum */
    if (n != 0) {
        free(bytes);
        return me_fail(err, ME_E_RUN, "%s: %s; install dataset-fashion-mnist anew", file->path,
                       n > 0 ? "longer than its header says" : "damaged");
    }
    *out = bytes;
    return 0;
}

static int check_labels(const struct me_idx *idx, const char *path, struct me_error *err)
{
    for (size_t i = 0; i < idx->count; i++)
        if (idx->labels[i] >= ME_IDX_CLASSES)
            return me_fail(err, ME_E_RUN, "%s: label %zu is %d; 0 to 9 are possible", path, i,
                           idx->labels[i]);
    return 0;
}

static int open_pair(const char *directory, const char *set, struct idx_file *images, struct idx_file *labels,
                     struct me_error *err)
{
    if (open_file(images, directory, set, 3, err)) return -1;
    if (open_file(labels, directory, set, 1, err)) return -1;
    if (images->count != labels->count)
        return me_fail(err, ME_E_RUN, "%s: %zu labels for %zu images", labels->path, labels->count,
                       images->count);
    return 0;
}

int me_idx_read(const char *directory, const char *set, struct me_idx *out, struct me_error *err)
{
    struct idx_file images = {.gz = NULL}, labels = {.gz = NULL};
    struct me_idx idx = {0};
    int rc = -1;
    if (open_pair(directory, set, &images, &labels, err)) goto out;
    idx.count = images.count;
    if (read_items(&images, ME_IDX_PIXELS, &idx.images, err)) goto out;
    if (read_items(&labels, 1, &idx.labels, err)) goto out;
    if (check_labels(&idx, labels.path, err)) goto out;
    *out = idx;
    idx = (struct me_idx){0};
    rc = 0;
out:
    me_idx_release(&idx);
    close_file(&images);
    close_file(&labels);
    return rc;
}

int me_idx_check(const char *directory, const char *set, size_t *count, struct me_error *err)
{
    struct idx_file images = {.gz = NULL}, labels = {.gz = NULL};
    int rc = open_pair(directory, set, &images, &labels, err);
    if (!rc) *count = images.count;
    close_file(&images);
    close_file(&labels);
    return rc;
}

void me_idx_release(struct me_idx *idx)
{
    if (!idx) return;
    free(idx->images);
    free(idx->labels);
    *idx = (struct me_idx){0};
}
