#include "me/root.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

const char *me_provenance_name(enum me_provenance p)
{
    static const char *const names[] = {"live", "fake", "replay"};
    return names[p];
}

const char *me_root_default(void)
{
    const char *path = getenv("ME_ROOT");
    return path && *path ? path : "/";
}

/* Who named the path: the command line, or the environment, which is easily forgotten. */
static int fail_open(const char *path, int error, struct me_error *err)
{
    if (strcmp(path, me_root_default()) != 0) return me_fail_errno(err, ME_E_INPUT, error, "--root %s", path);
    return me_fail_errno(err, ME_E_INPUT, error, "ME_ROOT=%s (unset it, or name a folder with --root)", path);
}

int me_root_open(struct me_root *root, const char *path, struct me_error *err)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return fail_open(path, errno, err);
    root->fd = fd;
    snprintf(root->path, sizeof root->path, "%s", path);
    return 0;
}

void me_root_close(struct me_root *root)
{
    if (!root || root->fd < 0) return;
    close(root->fd);
    root->fd = -1;
}

int me_root_openat(const struct me_root *root, const char *path)
{
    int fd = openat(root->fd, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

DIR *me_root_opendir(const struct me_root *root, const char *path)
{
    int fd = openat(root->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return NULL;
    DIR *dir = fdopendir(fd);
    if (!dir) close(fd);
    return dir;
}

bool me_root_exists(const struct me_root *root, const char *path)
{
    return !faccessat(root->fd, path, F_OK, 0) || errno == EACCES;
}

static int read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, text + len, size - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return (int)len;
        len += (size_t)n;
    }
    return -EFBIG;
}

int me_root_read(const struct me_root *root, const char *path, char *text, size_t size)
{
    int fd = me_root_openat(root, path);
    if (fd < 0) return fd;
    char *bytes = malloc(size);
    int len = bytes ? read_all(fd, bytes, size) : -ENOMEM;
    close(fd);
    if (len >= 0) {
        while (len > 0 && strchr(" \t\r\n", bytes[len - 1])) len--;
        memcpy(text, bytes, (size_t)len);
        text[len] = '\0';
    }
    free(bytes);
    return len;
}

int me_root_read_u64(const struct me_root *root, const char *path, unsigned long long *value)
{
    char text[64];
    int len = me_root_read(root, path, text, sizeof text);
    if (len < 0) return len;
    if (text[0] < '0' || text[0] > '9') return -EINVAL;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || *end) return -EINVAL;
    *value = number;
    return 0;
}

enum me_provenance me_root_provenance(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs)) return ME_PROVENANCE_REPLAY;
    if (fs.f_type == SYSFS_MAGIC || fs.f_type == PROC_SUPER_MAGIC) return ME_PROVENANCE_LIVE;
    return fs.f_type == FUSE_SUPER_MAGIC ? ME_PROVENANCE_FAKE : ME_PROVENANCE_REPLAY;
}

bool me_root_is_live(const struct me_root *root)
{
    int fd = me_root_openat(root, "proc/version");
    if (fd < 0) return false;
    enum me_provenance provenance = me_root_provenance(fd);
    close(fd);
    return provenance == ME_PROVENANCE_LIVE;
}

int me_root_launcher(const struct me_root *root)
{
    int parent = (int)getppid(), launcher;
    char path[48], text[512];
    snprintf(path, sizeof path, "proc/%d/stat", parent); /* "77 (me_guard) S 76 ..." */
    if (parent <= 0 || me_root_read(root, path, text, sizeof text) <= 0) return parent;
    return sscanf(text, "%*d (me_guard) %*c %d", &launcher) == 1 ? launcher : parent;
}

void me_root_boot_id(const struct me_root *root, char *boot_id)
{
    char text[64];
    int len = me_root_read(root, "proc/sys/kernel/random/boot_id", text, sizeof text);
    snprintf(boot_id, 40, "%.39s", len > 0 ? text : "");
}
