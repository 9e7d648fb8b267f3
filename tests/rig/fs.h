/* The zones as a file system, in the shape that /sys/class/powercap has:
 *     intel-rapl -> .devices/intel-rapl                 (a link, as in sysfs)
 *     intel-rapl:0 -> .devices/intel-rapl/intel-rapl:0
 *     intel-rapl:0:0 -> .devices/intel-rapl/intel-rapl:0/intel-rapl:0:0
 *     .control                                          (ours: read the state, write commands)
 * Names with a dot in front are there but not listed, so a directory listing shows what Linux shows. */
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
