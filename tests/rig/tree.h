/* The shape of the directory: which names are where, and the numbers (inodes) that stand for them.
 * Pure: it knows the zones, and neither FUSE nor the clock. */
#ifndef RIG_TREE_H
#define RIG_TREE_H

#include "zone.h"
#include <sys/stat.h>

/* Inode numbers carry what they name: zone i has a block of 64, control type k a block of 4. */
enum { INO_ROOT = 1, INO_DEVICES = 2, INO_CONTROL = 3, INO_TYPES = 0x100, INO_ZONES = 0x10000 };
enum { TYPE_DIR, TYPE_ENABLED, TYPE_LINK };
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
/* Where the link of a zone or a control type points to, from the root. */
void rig_tree_target(const struct rig *rig, const struct rig_node *node, char *path, size_t size);
/* The text of a file of a zone other than energy_uj; its length. */
int rig_tree_text(const struct rig_zone *zone, unsigned attr, char text[RIG_TEXT]);

#endif
