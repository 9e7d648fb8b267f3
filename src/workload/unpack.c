/* Unpacking, on every machine. The folder is new, private and ours, and nothing that is written into it is a
 * link, so no path below it can lead out. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me/workload.h"
#include "parcel.h"
#include "scripts.h"

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int put_file(int folder, const char *name, const char *bytes, size_t len, bool executable,
                    struct me_error *err)
{
    int fd =
        openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, executable ? 0700 : 0600);
    int rc = fd < 0 ? -1 : write_all(fd, bytes, len);
    int reason = errno;
    if (fd >= 0 && close(fd) && !rc) {
        reason = errno;
        rc = -1;
    }
    return rc ? me_fail_errno(err, ME_E_RUN, reason, "cannot write %.400s", name) : 0;
}

static int put_folder(int folder, const char *name, struct me_error *err)
{
    if (!mkdirat(folder, name, 0700)) return 0;
    return me_fail_errno(err, ME_E_RUN, errno, "cannot make %.400s", name);
}

static int put_parcel(int folder, const void *parcel, size_t len, struct me_error *err)
{
    struct me_parcel_reader reader;
    struct me_parcel_entry entry;
    char name[ME_PARCEL_NAME_MAX + 1];
    if (me_parcel_open(&reader, parcel, len))
        return me_fail(err, ME_E_RUN, "the shipped files are no parcel");
    for (;;) {
        if (me_parcel_next(&reader, &entry)) return me_fail(err, ME_E_RUN, "the shipped files are damaged");
        if (entry.type == 'e') return 0;
        snprintf(name, sizeof name, "%.*s", (int)entry.name_len, entry.name);
        if (entry.type == 'd'
                ? put_folder(folder, name, err)
                : put_file(folder, name, entry.content, (size_t)entry.size, entry.executable, err))
            return -1;
    }
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
        if (put_parents(folder, path, err) || put_file(folder, path, script.text, script.len, false, err))
            return -1;
    }
    return 0;
}

int me_workload_unpack(const struct me_plan *plan, const void *parcel, size_t len, const char *folder,
                       struct me_error *err)
{
    (void)plan; /* ours are small and always there: also a plain command may be Python */
    struct me_error why = {0};
    if (mkdir(folder, 0700) && errno != EEXIST) return me_fail_errno(err, ME_E_RUN, errno, "%.400s", folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return me_fail_errno(err, ME_E_RUN, errno, "%.400s", folder);
    int rc = fchmod(fd, 0700) ? me_fail_errno(&why, ME_E_RUN, errno, "cannot be made private") : 0;
    if (!rc) rc = put_scripts(fd, &why);
    if (!rc && len) rc = put_parcel(fd, parcel, len, &why);
    close(fd);
    return rc ? me_fail(err, ME_E_RUN, "%.400s: %.500s", folder, why.text) : 0;
}

/* Takes over `fd`. What cannot be removed stays, and what it is in; a folder that the workload made
 * unwritable is made ours again. */
static void empty(int fd, dev_t device)
{
    struct stat st;
    if (fstat(fd, &st) || st.st_dev != device) { /* somebody mounted something there: not ours */
        close(fd);
        return;
    }
    fchmod(fd, 0700);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..") || !unlinkat(fd, name, 0)) continue;
        fchmodat(fd, name, 0700, AT_SYMLINK_NOFOLLOW);
        int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner >= 0) empty(inner, device);
        unlinkat(fd, name, AT_REMOVEDIR);
    }
    closedir(dir);
}

void me_workload_remove(const char *folder)
{
    if (!folder || !*folder) return;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0) return;
    if (fstat(fd, &st))
        close(fd);
    else
        empty(fd, st.st_dev);
    rmdir(folder);
}
