/* The file that a workload prints into: it holds all that was printed, up to a limit. Of a longer one the
 * first and last halves of the limit stay, so that a workload which prints without end fills no disk. */
#ifndef ME_OUTPUT_H
#define ME_OUTPUT_H

#include <stdbool.h>
#include <sys/types.h>

struct me_output {
    int fd;         /* -1: none */
    off_t freed_to; /* what lies between the first half and here is a hole */
    off_t left_out; /* where the file system knows no holes: bytes cut off so far */
    bool disk_full; /* at some look */
    bool cannot_hole;
};

/* A file that is there and open for appending elsewhere. One that cannot be opened is not watched. */
void me_output_watch(struct me_output *output, const char *path);
/* Frees the middle of a file that is longer than ME_CHILD_OUTPUT_MAX. Its size stays as it is: the middle is
 * a hole. Where the file system has no holes (NFS before 4.2) everything behind the first half goes, and a
 * line in its place tells how much that was. Costs a system call while there is nothing to do. True: there
 * was, and at such a speed there soon is again. */
bool me_output_trim(struct me_output *output);
void me_output_release(struct me_output *output);

#endif
