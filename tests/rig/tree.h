/* The shape of what is mounted: which names are where, and the numbers (inodes) that stand for them.
 * Pure: it knows the rig, and neither FUSE nor the clock.
 *
 * The zones, in the directory told for them (the mount point itself, or sys/class/powercap):
 *     intel-rapl -> .devices/intel-rapl                 (a link, as in sysfs)
 *     intel-rapl/subsystem -> ../..
 *     intel-rapl:0 -> .devices/intel-rapl/intel-rapl:0
 *     intel-rapl:0:0 -> .devices/intel-rapl/intel-rapl:0/intel-rapl:0:0
 * and at the mount point .control. Names with a dot in front are there but not listed, so a listing shows
 * what Linux shows. The files lie where their paths say. */
#ifndef RIG_TREE_H
#define RIG_TREE_H

#include "rig.h"
#include <sys/stat.h>

/* Inode numbers carry what they name: zone i has a block of 64, control type k a block of 4. */
enum {
    INO_ROOT = 1,
    INO_DEVICES = 2,
    INO_CONTROL = 3,
    INO_TYPES = 0x100,
    INO_DIRS = 0x1000,
    INO_ZONES = 0x10000,
    INO_FILES = 0x100000
};
enum { TYPE_DIR, TYPE_ENABLED, TYPE_LINK, TYPE_SUBSYSTEM };
enum rig_attr {
    ZONE_DIR,
    ZONE_ENERGY,
    ZONE_RANGE,
    ZONE_NAME,
    ZONE_ENABLED,
    ZONE_MAX_POWER,
    ZONE_LIMIT,
    ZONE_CONSTRAINT,
    ZONE_UEVENT,
    ZONE_ATTRS,
    ZONE_LINK = 63,
};
struct rig_node {
    uint64_t ino;
    struct rig_zone *zone; /* NULL: not of a zone */
    struct rig_file *file; /* NULL: none */
    int dir;               /* a directory of the rig's, or -1 */
    int type;              /* control type, or -1 */
    unsigned attr;         /* ZONE_* or TYPE_* */
};

struct rig_node rig_tree_node(struct rig *rig, uint64_t ino);
struct stat rig_tree_stat(const struct rig_node *node);
/* The inode of a name in a directory, or 0. */
uint64_t rig_tree_find(struct rig *rig, uint64_t dir, const char *name);
/* Calls `add` for each name that a listing of the directory shows. */
typedef void rig_tree_add(void *to, const char *name, uint64_t ino);
void rig_tree_list(struct rig *rig, const struct rig_node *node, rig_tree_add *add, void *to);
/* Where a link points to, from its directory. */
void rig_tree_target(const struct rig *rig, const struct rig_node *node, char *path, size_t size);
/* The node is not there any more. */
bool rig_tree_gone(const struct rig *rig, const struct rig_node *node);
/* What can go wrong with the node and is told to; NULL for one that always answers. */
struct rig_trouble *rig_tree_trouble(const struct rig_node *node);

/* The part of it that has the shape of powercap (powercap.c). */
mode_t rig_powercap_mode(const struct rig_node *node);
uint64_t rig_powercap_find(struct rig *rig, const struct rig_node *node, const char *name);
uint64_t rig_powercap_find_link(struct rig *rig, const char *name); /* in the directory of the zones */
void rig_powercap_list(struct rig *rig, const struct rig_node *node, rig_tree_add *add, void *to);
void rig_powercap_list_links(struct rig *rig, rig_tree_add *add, void *to);
void rig_powercap_target(const struct rig *rig, const struct rig_node *node, char *path, size_t size);
/* The text of a file of a zone other than energy_uj; its length. */
int rig_powercap_text(const struct rig_zone *zone, unsigned attr, char text[RIG_NUMBER_TEXT]);

#endif
