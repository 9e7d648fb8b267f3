#include "output.h"
#include "me/workload.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { HALF = ME_CHILD_OUTPUT_MAX / 2, STEP = 1 << 20 /* freeing less at a time is not worth a call */ };

void me_output_watch(struct me_output *output, const char *path)
{
    *output = (struct me_output){.fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY)};
}

/* What is printed between our look and the cut goes too, and is not counted. */
static void cut(struct me_output *output, off_t size)
{
    char line[80];
    if (ftruncate(output->fd, HALF)) return;
    output->left_out += size - HALF;
    int len = snprintf(line, sizeof line, "\n[me_bench: about %lld bytes left out here]\n",
                       (long long)output->left_out);
    if (write(output->fd, line, (size_t)len) < 0) return; /* the disk is full of something else */
}

static void free_middle(struct me_output *output, off_t size)
{
    off_t end = size - HALF;
    if (fallocate(output->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HALF, end - HALF))
        output->cannot_hole = errno != EINTR;
    else
        output->freed_to = end;
}

bool me_output_trim(struct me_output *output)
{
    struct stat file;
    struct statvfs disk;
    if (output->fd < 0 || fstat(output->fd, &file) || !S_ISREG(file.st_mode)) return false;
    if (file.st_size <= ME_CHILD_OUTPUT_MAX + STEP) return false;
    if (file.st_size < output->freed_to) output->freed_to = 0; /* the workload itself has cut it */
    if (!output->cannot_hole && file.st_size - HALF - output->freed_to < STEP) return false;
    if (!fstatvfs(output->fd, &disk) && !disk.f_bavail) output->disk_full = true;
    if (!output->cannot_hole) free_middle(output, file.st_size);
    if (output->cannot_hole) cut(output, file.st_size);
    return true;
}

void me_output_release(struct me_output *output)
{
    if (output->fd >= 0) close(output->fd);
    output->fd = -1;
}
