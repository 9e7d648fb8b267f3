#include "spool.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct me_extent {
    uint64_t in_stream, in_file;
};

void me_spool_init(struct me_spool *spool, const char *folder)
{
    *spool = (struct me_spool){.folder = folder, .fd = -1};
}

void me_spool_release(struct me_spool *spool)
{
    if (spool->fd >= 0) close(spool->fd);
    spool->fd = -1;
    spool->size = 0;
}

/* A file system that knows no O_TMPFILE (NFS) gives the name back at once. */
static int open_spool(struct me_spool *spool)
{
    char name[PATH_MAX];
    spool->fd = open(spool->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->fd >= 0) return 0;
    int len = snprintf(name, sizeof name, "%s/.spool-XXXXXX", spool->folder);
    if (len < 0 || (size_t)len >= sizeof name) return ENAMETOOLONG;
    spool->fd = mkostemp(name, O_CLOEXEC);
    if (spool->fd < 0) return errno;
    unlink(name);
    return 0;
}

static int write_at(const struct me_spool *spool, uint64_t at, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = pwrite(spool->fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        bytes += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* Bytes that follow the stream's last ones in the file need no extent of their own. */
static int add_extent(struct me_stream *stream, const struct me_spool *spool)
{
    if (stream->count) {
        const struct me_extent *last = &stream->extents[stream->count - 1];
        if (last->in_file + (stream->size - last->in_stream) == spool->size) return 0;
    }
    if (stream->count == stream->capacity) {
        size_t capacity = stream->capacity ? 2 * stream->capacity : 8;
        struct me_extent *extents = realloc(stream->extents, capacity * sizeof *extents);
        if (!extents) return ENOMEM;
        stream->extents = extents;
        stream->capacity = capacity;
    }
    stream->extents[stream->count++] = (struct me_extent){stream->size, spool->size};
    return 0;
}

int me_stream_append(struct me_stream *stream, struct me_spool *spool, const void *bytes, size_t len)
{
    if (!len) return 0;
    int failed = spool->fd < 0 ? open_spool(spool) : 0;
    if (!failed) failed = write_at(spool, spool->size, bytes, len);
    if (!failed) failed = add_extent(stream, spool);
    if (failed) return failed;
    stream->spool = spool;
    stream->size += len;
    spool->size += len;
    return 0;
}

/* The last extent that begins at or before `at`. */
static size_t find(const struct me_stream *stream, uint64_t at)
{
    size_t low = 0, high = stream->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (stream->extents[middle].in_stream <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int me_stream_read(void *context, uint64_t at, void *bytes, size_t len)
{
    const struct me_stream *stream = context;
    char *to = bytes;
    if (at > stream->size || len > stream->size - at) return EIO;
    for (size_t i = len ? find(stream, at) : 0; len;) {
        uint64_t end = i + 1 < stream->count ? stream->extents[i + 1].in_stream : stream->size;
        size_t want = end - at < len ? (size_t)(end - at) : len;
        uint64_t in_file = stream->extents[i].in_file + (at - stream->extents[i].in_stream);
        ssize_t n = pread(stream->spool->fd, to, want, (off_t)in_file);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n ? errno : EIO;
        to += n;
        at += (uint64_t)n;
        len -= (size_t)n;
        if (at == end) i++;
    }
    return 0;
}

void me_stream_release(struct me_stream *stream)
{
    free(stream->extents);
    *stream = (struct me_stream){0};
}
