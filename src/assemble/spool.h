/* A spool: streams of bytes that grow in turn, in one file without a name. What a kill leaves of it is nothing. */
#ifndef ME_ASSEMBLE_SPOOL_H
#define ME_ASSEMBLE_SPOOL_H

#include <stddef.h>
#include <stdint.h>
#include "me/error.h"

struct me_spool {
    const char *folder; /* where the file lies */
    int fd;             /* -1: nothing was written yet */
    uint64_t size;
};
struct me_extent;
struct me_stream { /* zero at first */
    struct me_spool *spool;
    uint64_t size;
    struct me_extent *extents;
    size_t count, capacity;
};

void me_spool_init(struct me_spool *spool, const char *folder);
/* Frees the room on the disk; its streams are empty then for who reads them (EIO). */
void me_spool_release(struct me_spool *spool);
/* 0, or an errno: nothing of the bytes is in the stream then. */
int me_stream_append(struct me_stream *stream, struct me_spool *spool, const void *bytes, size_t len);
/* 0, or an errno. The first argument is a struct me_stream: the form of me_store_image. */
int me_stream_read(void *stream, uint64_t at, void *bytes, size_t len);
void me_stream_release(struct me_stream *stream);

#endif
