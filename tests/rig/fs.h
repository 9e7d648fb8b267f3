/* The rig as a file system: tree.h tells its shape. */
#ifndef RIG_FS_H
#define RIG_FS_H

#define FUSE_USE_VERSION 312
#include "tree.h"
#include <fuse_lowlevel.h>
#include <pthread.h>

struct rig_fs {
    struct rig rig;
    pthread_mutex_t lock; /* over rig and over the snapshots of open files */
};

extern const struct fuse_lowlevel_ops rig_fs_ops; /* userdata: struct rig_fs */

#endif
