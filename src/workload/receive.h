/* What both ways of putting a file share. */
#ifndef ME_WORKLOAD_RECEIVE_H
#define ME_WORKLOAD_RECEIVE_H

#include <stddef.h>

/* -1: errno says why not all of it. */
int me_write_all(int fd, const char *bytes, size_t len);

#endif
