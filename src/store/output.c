#include "output.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "me/store.h"

#define MARK ".tmp-" /* between the file's name and 16 random digits */

const char *me_store_cure(int errnum)
{
    if (errnum == ENOSPC || errnum == EDQUOT) return "; make room and try again; nothing else was changed";
    if (errnum == EACCES || errnum == EPERM || errnum == EROFS)
        return "; choose a folder that you may write to";
    return "";
}

static int fail(struct me_output *output, int errnum, struct me_error *err)
{
    char reason[128];
    output->failed = errnum;
    return me_fail(err, ME_E_RUN, "%s: cannot write: %s%s", output->path,
                   strerror_r(errnum, reason, sizeof reason), me_store_cure(errnum));
}

static int read_at(void *context, uint64_t at, void *bytes, size_t len)
{
    const struct me_output *output = context;
    while (len) {
        ssize_t n = pread(output->fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n ? errno : EIO;
        bytes = (char *)bytes + n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_at(void *context, uint64_t at, const void *bytes, size_t len)
{
    const struct me_output *output = context;
    if (output->look) output->look(output->context);
    while (len) {
        ssize_t n = pwrite(output->fd, bytes, len, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        bytes = (const char *)bytes + n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* Of two machines on one file system two processes can have one number: so the name is by chance. */
static int name_temporary(struct me_output *output, struct me_error *err)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return me_fail_errno(err, ME_E_RUN, errno, "no random number");
    int len = snprintf(output->temporary, sizeof output->temporary, "%s" MARK "%016llx", output->path,
                       (unsigned long long)number);
    if (len < 0 || (size_t)len >= sizeof output->temporary)
        return me_fail(err, ME_E_RUN, "%.200s...: path too long", output->path);
    return 0;
}

int me_output_open(struct me_output *output, const char *path, struct me_error *err)
{
    *output = (struct me_output){.path = path, .fd = -1};
    if (name_temporary(output, err)) {
        output->temporary[0] = '\0';
        return -1;
    }
    output->fd = open(output->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->fd < 0) {
        output->temporary[0] = '\0';
        return fail(output, errno, err);
    }
    output->vfd = (struct me_vfd){.read = read_at, .write = write_at, .context = output};
    return 0;
}

int me_output_flush(struct me_output *output, struct me_error *err)
{
    int failed = output->vfd.failed;
    if (!failed && ftruncate(output->fd, (off_t)output->vfd.end)) failed = errno;
    if (!failed && fsync(output->fd)) failed = errno;
    int fd = output->fd;
    output->fd = -1;
    if (close(fd) && !failed) failed = errno;
    return failed ? fail(output, failed, err) : 0;
}

static size_t directory_of(const char *path, char *directory, size_t size)
{
    snprintf(directory, size, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = '\0';
    else
        snprintf(directory, size, ".");
    return slash ? (size_t)(slash - directory) + 1 : 0;
}

/* Makes the rename last through a power cut. Some network file systems cannot sync a directory
 * (EINVAL); the file itself is safe by then. */
static int sync_directory(const char *path)
{
    char directory[PATH_MAX];
    directory_of(path, directory, sizeof directory);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int failed = fsync(fd) && errno != EINVAL ? errno : 0;
    close(fd);
    return failed;
}

int me_output_rename(struct me_output *output, struct me_error *err)
{
    int failed = rename(output->temporary, output->path) ? errno : 0;
    if (!failed) {
        output->temporary[0] = '\0';
        failed = sync_directory(output->path);
    }
    return failed ? fail(output, failed, err) : 0;
}

void me_output_close(struct me_output *output)
{
    if (output->fd >= 0) close(output->fd);
    if (output->temporary[0]) unlink(output->temporary);
    me_vfd_release(&output->vfd);
}

void me_store_sweep(const char *path)
{
    char directory[PATH_MAX], other[PATH_MAX + 256];
    const char *name = path + directory_of(path, directory, sizeof directory);
    size_t len = strlen(name);
    DIR *entries = opendir(directory);
    for (const struct dirent *entry; entries && (entry = readdir(entries));) {
        if (strncmp(entry->d_name, name, len) || strncmp(entry->d_name + len, MARK, strlen(MARK))) continue;
        snprintf(other, sizeof other, "%s/%s", directory, entry->d_name);
        unlink(other);
    }
    if (entries) closedir(entries);
}
