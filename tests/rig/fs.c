#include "fs.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* An open file keeps what its read at offset 0 said, so that reading on never mixes two answers. */
struct handle {
    int len; /* or -errno */
    char *text;
};

enum { LISTING = (RIG_ZONES + RIG_CONTROLS + RIG_FILES + RIG_DIRS + 16) * 128 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct rig_fs *fs = fuse_req_userdata(req);
    struct fuse_entry_param entry = {0}; /* timeouts of 0: what vanishes is gone at once */
    pthread_mutex_lock(&fs->lock);
    entry.ino = rig_tree_find(&fs->rig, parent, name);
    struct rig_node node = rig_tree_node(&fs->rig, entry.ino);
    if (entry.ino) entry.attr = rig_tree_stat(&node);
    pthread_mutex_unlock(&fs->lock);
    if (entry.ino)
        fuse_reply_entry(req, &entry);
    else
        fuse_reply_err(req, ENOENT);
}

static void fs_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    (void)info;
    struct rig_fs *fs = fuse_req_userdata(req);
    pthread_mutex_lock(&fs->lock);
    struct rig_node node = rig_tree_node(&fs->rig, ino);
    struct stat st = rig_tree_stat(&node);
    pthread_mutex_unlock(&fs->lock);
    fuse_reply_attr(req, &st, 0);
}

/* chmod and chown of meters work, since that is the cure we tell people; the rest is ignored. */
static void fs_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int what, struct fuse_file_info *info)
{
    struct rig_fs *fs = fuse_req_userdata(req);
    pthread_mutex_lock(&fs->lock);
    struct rig_node node = rig_tree_node(&fs->rig, ino);
    struct rig_trouble *trouble = rig_tree_trouble(&node);
    if (trouble) {
        if (what & FUSE_SET_ATTR_MODE) trouble->mode = st->st_mode & 0777;
        if (what & FUSE_SET_ATTR_UID) trouble->uid = st->st_uid;
        if (what & FUSE_SET_ATTR_GID) trouble->gid = st->st_gid;
    }
    pthread_mutex_unlock(&fs->lock);
    fs_getattr(req, ino, info);
}

static void fs_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct rig_fs *fs = fuse_req_userdata(req);
    char path[4096];
    struct rig_node node = rig_tree_node(&fs->rig, ino); /* names and parents never change: no lock */
    rig_tree_target(&fs->rig, &node, path, sizeof path);
    fuse_reply_readlink(req, path);
}

struct listing {
    fuse_req_t req;
    struct rig *rig;
    char *bytes;
    size_t len, size;
};

static void list_add(void *to, const char *name, uint64_t ino)
{
    struct listing *list = to;
    struct rig_node node = rig_tree_node(list->rig, ino);
    struct stat st = rig_tree_stat(&node);
    size_t need = fuse_add_direntry(list->req, NULL, 0, name, NULL, 0);
    if (list->len + need > list->size) return;
    fuse_add_direntry(list->req, list->bytes + list->len, need, name, &st, (off_t)(list->len + need));
    list->len += need;
}

/* The listing is made when the directory is opened: a zone that vanishes meanwhile shifts nothing. */
static void fs_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    struct rig_fs *fs = fuse_req_userdata(req);
    struct listing list = {.req = req, .rig = &fs->rig, .size = LISTING};
    struct listing *kept = malloc(sizeof *kept);
    list.bytes = malloc(list.size);
    if (!kept || !list.bytes) {
        free(kept);
        free(list.bytes);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    pthread_mutex_lock(&fs->lock);
    struct rig_node node = rig_tree_node(&fs->rig, ino);
    list_add(&list, ".", ino);
    list_add(&list, "..", INO_ROOT);
    rig_tree_list(&fs->rig, &node, list_add, &list);
    pthread_mutex_unlock(&fs->lock);
    *kept = list;
    info->fh = (uint64_t)(uintptr_t)kept;
    fuse_reply_open(req, info);
}

/* A reply holds whole entries only; the offset of each is where the next one begins. */
static void fs_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *info)
{
    (void)ino;
    const struct listing *list = (const struct listing *)(uintptr_t)info->fh;
    size_t begin = (size_t)off < list->len ? (size_t)off : list->len, end = begin;
    while (end < list->len) {
        uint32_t name_len; /* struct fuse_dirent: ino, off, namelen, type, name padded to 8 */
        memcpy(&name_len, list->bytes + end + 16, sizeof name_len);
        size_t entry = (24 + name_len + 7) & ~(size_t)7;
        if (end + entry - begin > size) break;
        end += entry;
    }
    fuse_reply_buf(req, list->bytes + begin, end - begin);
}

static void fs_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    (void)ino;
    struct listing *list = (struct listing *)(uintptr_t)info->fh;
    free(list->bytes);
    free(list);
    fuse_reply_err(req, 0);
}

static void fs_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    struct rig_fs *fs = fuse_req_userdata(req);
    pthread_mutex_lock(&fs->lock);
    struct rig_node node = rig_tree_node(&fs->rig, ino);
    const struct rig_trouble *trouble = rig_tree_trouble(&node);
    bool gone = rig_tree_gone(&fs->rig, &node);
    bool refused = trouble && trouble->fault == EACCES && trouble->left;
    pthread_mutex_unlock(&fs->lock);
    struct handle *handle = calloc(1, sizeof *handle);
    if (gone || refused || !handle) {
        free(handle);
        fuse_reply_err(req, gone ? ENOENT : refused ? EACCES : ENOMEM);
        return;
    }
    info->fh = (uint64_t)(uintptr_t)handle;
    info->direct_io = 1; /* every read comes to us, none from the page cache */
    fuse_reply_open(req, info);
}

static void fs_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
    (void)ino;
    struct handle *handle = (struct handle *)(uintptr_t)info->fh;
    free(handle->text);
    free(handle);
    fuse_reply_err(req, 0);
}

static int print_state(const struct rig *rig, char **text)
{
    size_t size = 0;
    FILE *out = open_memstream(text, &size);
    if (!out) return -ENOMEM;
    rig_state(rig, out);
    return fclose(out) ? -EIO : (int)size;
}

/* A file of a zone. */
static int print_zone(struct rig *rig, const struct rig_node *node, char **text)
{
    if (!(*text = malloc(RIG_NUMBER_TEXT))) return -ENOMEM;
    if (!node->zone) return snprintf(*text, RIG_NUMBER_TEXT, "1\n"); /* a control type's `enabled` */
    if (node->attr == ZONE_ENERGY) return rig_zone_read(rig, node->zone, now_ns(), *text);
    return rig_zone_gone(rig, node->zone) ? -ENODEV : rig_powercap_text(node->zone, node->attr, *text);
}

/* Under the lock. The clock is read here, as late as may be. */
static void print_node(struct rig *rig, const struct rig_node *node, struct handle *handle)
{
    free(handle->text);
    handle->text = NULL;
    if (node->ino == INO_CONTROL)
        handle->len = print_state(rig, &handle->text);
    else if (node->file)
        handle->len = rig_file_read(rig, node->file, now_ns(), &handle->text);
    else
        handle->len = print_zone(rig, node, &handle->text);
}

/* A delayed read waits first and says then what is true when it answers. */
static void wait_delay(struct rig_fs *fs, const struct rig_node *node)
{
    pthread_mutex_lock(&fs->lock);
    const struct rig_trouble *trouble = rig_tree_trouble(node);
    unsigned delay_us = trouble ? trouble->delay_us : 0;
    pthread_mutex_unlock(&fs->lock);
    if (delay_us) nanosleep(&(struct timespec){delay_us / 1000000, (long)(delay_us % 1000000) * 1000}, NULL);
}

/* As /dev/cpu/N/msr: the offset is the register, and 8 bytes are read. */
static void read_register(fuse_req_t req, struct rig_fs *fs, const struct rig_node *node, size_t size,
                          off_t off)
{
    uint64_t value = 0;
    wait_delay(fs, node);
    pthread_mutex_lock(&fs->lock);
    int len = size < sizeof value
                  ? -EINVAL
                  : rig_file_read_register(&fs->rig, node->file, (uint64_t)off, now_ns(), &value);
    pthread_mutex_unlock(&fs->lock);
    if (len < 0)
        fuse_reply_err(req, -len);
    else
        fuse_reply_buf(req, (const char *)&value, (size_t)len);
}

static void fs_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *info)
{
    struct rig_fs *fs = fuse_req_userdata(req);
    struct handle *handle = (struct handle *)(uintptr_t)info->fh;
    struct rig_node node = rig_tree_node(&fs->rig, ino);
    char bytes[4096];
    if (node.file && node.file->kind == RIG_REGISTER) {
        read_register(req, fs, &node, size, off);
        return;
    }
    if (off == 0) wait_delay(fs, &node);
    pthread_mutex_lock(&fs->lock);
    if (off == 0) print_node(&fs->rig, &node, handle);
    int len = handle->len;
    size_t left = len > off ? (size_t)(len - off) : 0;
    if (left > size) left = size;
    if (left > sizeof bytes) left = sizeof bytes;
    if (left) memcpy(bytes, handle->text + off, left);
    pthread_mutex_unlock(&fs->lock);
    if (len < 0)
        fuse_reply_err(req, -len);
    else
        fuse_reply_buf(req, bytes, left);
}

static int run_commands(struct rig *rig, char *text)
{
    int rc = 0;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line && !rc; line = strtok_r(NULL, "\n", &rest))
        rc = rig_command(rig, line, now_ns());
    return rc;
}

/* Each write holds whole lines. A line that cannot be obeyed fails the write; those before it hold. */
static void fs_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t off,
                     struct fuse_file_info *info)
{
    (void)off;
    (void)info;
    struct rig_fs *fs = fuse_req_userdata(req);
    char *text = strndup(bytes, size);
    int rc = text ? 0 : -ENOMEM;
    if (text && ino == INO_CONTROL) {
        pthread_mutex_lock(&fs->lock);
        rc = run_commands(&fs->rig, text);
        pthread_mutex_unlock(&fs->lock);
    }
    free(text);
    if (rc < 0)
        fuse_reply_err(req, -rc);
    else
        fuse_reply_write(req, size);
}

const struct fuse_lowlevel_ops rig_fs_ops = {
    .lookup = fs_lookup,
    .getattr = fs_getattr,
    .setattr = fs_setattr,
    .readlink = fs_readlink,
    .opendir = fs_opendir,
    .readdir = fs_readdir,
    .releasedir = fs_releasedir,
    .open = fs_open,
    .read = fs_read,
    .write = fs_write,
    .release = fs_release,
};
