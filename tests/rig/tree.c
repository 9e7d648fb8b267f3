#include "tree.h"
#include <string.h>

struct rig_node rig_tree_node(struct rig *rig, uint64_t ino)
{
    struct rig_node node = {.ino = ino, .type = -1, .dir = -1};
    if (ino >= INO_FILES) {
        node.file = &rig->files[ino - INO_FILES];
    } else if (ino >= INO_ZONES) {
        node.zone = &rig->zones[(ino - INO_ZONES) / 64];
        node.attr = (unsigned)((ino - INO_ZONES) % 64);
    } else if (ino >= INO_DIRS) {
        node.dir = (int)(ino - INO_DIRS);
    } else if (ino >= INO_TYPES) {
        node.type = (int)((ino - INO_TYPES) / 4);
        node.attr = (unsigned)((ino - INO_TYPES) % 4);
    } else if (ino == INO_ROOT) {
        node.dir = 0;
    }
    return node;
}

static mode_t node_mode(const struct rig_node *node)
{
    if (node->dir >= 0) return S_IFDIR | 0755;
    if (node->ino == INO_CONTROL) return S_IFREG | 0600;
    if (!node->file) return rig_powercap_mode(node);
    return node->file->kind == RIG_LINK ? S_IFLNK | 0777 : S_IFREG | node->file->trouble.mode;
}

struct stat rig_tree_stat(const struct rig_node *node)
{
    struct stat st = {.st_ino = node->ino, .st_mode = node_mode(node), .st_nlink = 1, .st_blksize = 4096};
    if (S_ISREG(st.st_mode)) st.st_size = 4096; /* as sysfs says of every file */
    const struct rig_trouble *trouble = rig_tree_trouble(node);
    if (trouble) {
        st.st_uid = trouble->uid;
        st.st_gid = trouble->gid;
    }
    return st;
}

bool rig_tree_gone(const struct rig *rig, const struct rig_node *node)
{
    if (node->zone) return rig_zone_gone(rig, node->zone) || rig_dir_gone(rig, rig->zones_dir);
    if (node->file) return rig_file_gone(rig, node->file);
    return node->dir > 0 && rig_dir_gone(rig, node->dir);
}

struct rig_trouble *rig_tree_trouble(const struct rig_node *node)
{
    if (node->zone && node->attr == ZONE_ENERGY) return &node->zone->trouble;
    return node->file ? &node->file->trouble : NULL;
}

static uint64_t dir_ino(int dir)
{
    return dir ? INO_DIRS + (uint64_t)dir : INO_ROOT;
}

/* The name that a path has in its directory. */
static const char *leaf(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

struct search {
    const char *name;
    uint64_t ino;
};

static void compare(void *to, const char *name, uint64_t ino)
{
    struct search *search = to;
    if (!search->ino && !strcmp(name, search->name)) search->ino = ino;
}

static void list_dir(struct rig *rig, int dir, rig_tree_add *add, void *to)
{
    for (int i = 1; i < rig->dir_count; i++)
        if (rig->dirs[i].parent == dir && !rig->dirs[i].gone) add(to, leaf(rig->dirs[i].path), dir_ino(i));
    for (int i = 0; i < rig->file_count; i++) {
        const struct rig_file *file = &rig->files[i];
        if (file->dir == dir && !file->trouble.gone && rig_file_first(rig, file))
            add(to, leaf(file->path), INO_FILES + (uint64_t)i);
    }
}

uint64_t rig_tree_find(struct rig *rig, uint64_t dir, const char *name)
{
    struct rig_node node = rig_tree_node(rig, dir);
    if (rig_tree_gone(rig, &node)) return 0;
    if (dir == INO_ROOT && !strcmp(name, ".control")) return INO_CONTROL;
    if (node.dir < 0) return rig_powercap_find(rig, &node, name);
    struct search search = {name, 0};
    list_dir(rig, node.dir, compare, &search);
    if (!search.ino && node.dir == rig->zones_dir) return rig_powercap_find_link(rig, name);
    return search.ino;
}

void rig_tree_list(struct rig *rig, const struct rig_node *node, rig_tree_add *add, void *to)
{
    if (rig_tree_gone(rig, node)) return;
    if (node->dir < 0) {
        rig_powercap_list(rig, node, add, to);
        return;
    }
    if (node->dir == rig->zones_dir) rig_powercap_list_links(rig, add, to);
    list_dir(rig, node->dir, add, to);
}

void rig_tree_target(const struct rig *rig, const struct rig_node *node, char *path, size_t size)
{
    if (node->file)
        snprintf(path, size, "%s", node->file->text);
    else
        rig_powercap_target(rig, node, path, size);
}
