/* Unpacking, on every machine. The folder is new, private and ours, and nothing that is written into it is a
 * link, so no path below it can lead out. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me/workload.h"
#include "receive.h"
#include "scripts.h"

static int put_file(int folder, const char *name, const char *bytes, size_t len, struct me_error *err)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc = fd < 0 ? -1 : me_write_all(fd, bytes, len);
    int reason = errno;
    if (fd >= 0 && close(fd) && !rc) {
        reason = errno;
        rc = -1;
    }
    return rc ? me_fail_errno(err, ME_E_RUN, reason, "cannot write %.400s", name) : 0;
}

/* The folders of a name's path; those that are there stay. */
static int put_parents(int folder, const char *name, struct me_error *err)
{
    char path[256];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
        if (mkdirat(folder, path, 0700) && errno != EEXIST)
            return me_fail_errno(err, ME_E_RUN, errno, "cannot make %s", path);
    }
    return 0;
}

static int put_scripts(int folder, struct me_error *err)
{
    struct me_script script = {.next = NULL};
    char path[256];
    while (me_scripts_next(&script)) {
        snprintf(path, sizeof path, ME_WORKLOAD_OWN_FILES "/%.200s", script.name);
        if (put_parents(folder, path, err) || put_file(folder, path, script.text, script.len, err)) return -1;
    }
    return 0;
}

static int put_parcel(const char *folder, const void *parcel, size_t len, struct me_error *err)
{
    struct me_unpacking *unpacking;
    if (me_unpacking_begin(&unpacking, folder, err)) return -1;
    int rc = me_unpacking_take(unpacking, parcel, len, err);
    if (!rc) rc = me_unpacking_end(unpacking, err);
    me_unpacking_release(unpacking);
    return rc;
}

int me_workload_unpack(const void *parcel, size_t len, const char *folder, struct me_error *err)
{
    struct me_error why = {0};
    if (mkdir(folder, 0700) && errno != EEXIST) return me_fail_errno(err, ME_E_RUN, errno, "%.400s", folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return me_fail_errno(err, ME_E_RUN, errno, "%.400s", folder);
    int rc = fchmod(fd, 0700) ? me_fail_errno(&why, ME_E_RUN, errno, "cannot be made private") : 0;
    if (!rc) rc = put_scripts(fd, &why);
    close(fd);
    if (rc) return me_fail(err, ME_E_RUN, "%.400s: %.500s", folder, why.text);
    return len ? put_parcel(folder, parcel, len, err) : 0;
}

/* --- removing ------------------------------------------------------------------------------------ */

/* The number of the mount that it lies in; -1: not known. A bind mount has the device of what it shows, so that
 * this alone tells it apart. */
static long find_mount(int fd)
{
    static const char key[] = "mnt_id:";
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    int info = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = info < 0 ? -1 : read(info, text, sizeof text - 1);
    if (info >= 0) close(info);
    text[n < 0 ? 0 : n] = '\0';
    const char *found = strstr(text, key);
    return found ? atol(found + sizeof key - 1) : -1;
}

static void remove_folder(int parent, const char *name, long mount);

/* Takes over `fd`. */
static void empty(int fd, long mount)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") && strcmp(name, "..") && unlinkat(fd, name, 0)) remove_folder(fd, name, mount);
    }
    closedir(dir);
}

/* What cannot be removed stays, and what it is in; so does what somebody mounted there, untouched. A folder that
 * the workload made unwritable is made ours again. */
static void remove_folder(int parent, const char *name, long mount)
{
    int place = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (place < 0) return;
    bool is_here = mount >= 0 && find_mount(place) == mount;
    close(place);
    if (!is_here) return;
    fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) empty(fd, mount);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void me_workload_remove(const char *folder)
{
    char path[PATH_MAX];
    if (!folder || !*folder || strlen(folder) >= sizeof path) return;
    strcpy(path, folder);
    char *slash = strrchr(path, '/');
    if (slash) *slash = '\0';
    int parent = open(!slash ? "." : slash == path ? "/" : path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) return;
    const char *name = slash ? slash + 1 : path;
    /* A link or a file, if the workload put one in its place. */
    if (unlinkat(parent, name, 0)) remove_folder(parent, name, find_mount(parent));
    close(parent);
}
