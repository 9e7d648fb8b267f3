/* The whole rig: zones, files and the directories they lie in. Pure, as all but fs.c and main.c. */
#ifndef RIG_RIG_H
#define RIG_RIG_H

#include "file.h"
#include "zone.h"

enum { RIG_ZONES = 256, RIG_CONTROLS = 64, RIG_FILES = 1024, RIG_DIRS = 512 };

struct rig_dir {
    char path[RIG_PATH]; /* "" for the mount point, else without a slash at either end */
    int parent;          /* -1: of the mount point */
    bool gone;
};

struct rig {
    uint64_t epoch_ns;
    int64_t wall_ns; /* what CLOCK_REALTIME is ahead of CLOCK_MONOTONIC */
    struct rig_zone zones[RIG_ZONES];
    int zone_count;
    char controls[RIG_CONTROLS][RIG_NAME];
    int control_count;
    struct rig_file files[RIG_FILES];
    int file_count;
    struct rig_dir dirs[RIG_DIRS]; /* the first is the mount point */
    int dir_count;
    char zones_path[RIG_PATH];
    int zones_dir; /* where the zones lie */
};

/* The directory of a path, made with all it lies in; -1: no room, or a file is in the way. */
int rig_dir_make(struct rig *rig, const char *path);
int rig_dir_find(const struct rig *rig, const char *path); /* or -1 */
bool rig_dir_gone(const struct rig *rig, int dir);         /* it, or one that it lies in */
/* "sys/class/hwmon": no slash at an end, no "." or "..", no white space, nothing that a pattern is made of. */
bool rig_path_good(const char *path);

/* To be called once after the last zone and file; starts the counters. NULL, or what is wrong. */
const char *rig_link(struct rig *rig, uint64_t now_ns, int64_t wall_ns);
/* One line for the control file: "NAME power 80"; NAME is a zone, a file, a register, a directory or a
 * pattern of them. 0 or -errno; nothing is changed on failure of a command to a single name. */
int rig_command(struct rig *rig, const char *line, uint64_t now_ns);
/* The state of all zones and files, a line each. */
void rig_state(const struct rig *rig, FILE *out);
void rig_release(struct rig *rig);

#endif
