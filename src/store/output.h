/* A file that takes its place when it is whole: written beside it under a name of its own, flushed, renamed. */
#ifndef ME_STORE_OUTPUT_H
#define ME_STORE_OUTPUT_H

#include <limits.h>
#include "me/error.h"
#include "vfd.h"

struct me_output {
    const char *path;
    char temporary[PATH_MAX];
    int fd;
    int failed;                  /* errno of what failed last, or 0 */
    struct me_vfd vfd;           /* writes to it */
    void (*look)(void *context); /* called while it is written; NULL: not */
    void *context;
};

int me_output_open(struct me_output *output, const char *path, struct me_error *err);
/* After HDF5's close: to the disk. -1 also for what failed before, with the disk's own reason. */
int me_output_flush(struct me_output *output, struct me_error *err);
/* Takes the place of what was at `path`. */
int me_output_rename(struct me_output *output, struct me_error *err);
/* Closes, and removes the file unless it was renamed. */
void me_output_close(struct me_output *output);

#endif
