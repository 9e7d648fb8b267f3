/* Unpacking while the parcel comes in: a piece is written as soon as it is there, so that a large parcel takes no
 * memory on a machine. */
#include "receive.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me/workload.h"
#include "parcel.h"

struct me_unpacking {
    int folder, file; /* file: whose content comes; -1: none */
    bool is_begun, is_ended;
    uint64_t content; /* bytes of it that are still to come */
    size_t have;      /* of what stands before a content: the magic, or an entry's head and name */
    char path[4096];
    char text[ME_PARCEL_HEAD_BYTES + ME_PARCEL_NAME_MAX + 1];
};

int me_write_all(int fd, const char *bytes, size_t len)
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

int me_unpacking_begin(struct me_unpacking **out, const char *folder, struct me_error *err)
{
    struct me_unpacking *made = calloc(1, sizeof *made);
    if (!made) return me_fail(err, ME_E_RUN, "no memory for the files");
    made->file = -1;
    snprintf(made->path, sizeof made->path, "%s", folder);
    made->folder = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (made->folder < 0) {
        free(made);
        return me_fail_errno(err, ME_E_RUN, errno, "%.400s", folder);
    }
    *out = made;
    return 0;
}

void me_unpacking_release(struct me_unpacking *unpacking)
{
    if (!unpacking) return;
    if (unpacking->file >= 0) close(unpacking->file);
    close(unpacking->folder);
    free(unpacking);
}

static int fail_damaged(const struct me_unpacking *u, struct me_error *err)
{
    return me_fail(err, ME_E_RUN, "%.400s: the shipped files are damaged", u->path);
}

static int fail_write(const struct me_unpacking *u, struct me_error *err)
{
    return me_fail_errno(err, ME_E_RUN, errno, "%.400s: cannot write %.400s", u->path,
                         u->text + ME_PARCEL_HEAD_BYTES);
}

/* Some disks tell only now that they are full. */
static int close_file(struct me_unpacking *u, struct me_error *err)
{
    int file = u->file;
    u->file = -1;
    return close(file) ? fail_write(u, err) : 0;
}

/* An entry whose name is there; only its content is still to come. */
static int begin_entry(struct me_unpacking *u, struct me_parcel_entry *entry, struct me_error *err)
{
    char *name = u->text + ME_PARCEL_HEAD_BYTES;
    entry->name = name;
    name[entry->name_len] = '\0';
    u->have = 0;
    if (!me_parcel_is_entry(entry) || entry->size > ME_PARCEL_BYTES_MAX) return fail_damaged(u, err);
    u->is_ended = entry->type == 'e';
    if (entry->type == 'd' && mkdirat(u->folder, name, 0700)) return fail_write(u, err);
    if (entry->type != 'f') return 0;
    u->file = openat(u->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                     entry->executable ? 0700 : 0600);
    if (u->file < 0) return fail_write(u, err);
    u->content = entry->size;
    return u->content ? 0 : close_file(u, err);
}

/* What stands before a content has come so far as `have` says. */
static int look(struct me_unpacking *u, struct me_error *err)
{
    struct me_parcel_entry entry;
    if (!u->is_begun) {
        if (u->have < strlen(ME_PARCEL_MAGIC)) return 0;
        if (memcmp(u->text, ME_PARCEL_MAGIC, u->have))
            return me_fail(err, ME_E_RUN, "%.400s: the shipped files are no parcel", u->path);
        u->is_begun = true;
        u->have = 0;
        return 0;
    }
    if (u->have < ME_PARCEL_HEAD_BYTES) return 0;
    if (me_parcel_read_head(u->text, &entry)) return fail_damaged(u, err);
    return u->have < ME_PARCEL_HEAD_BYTES + entry.name_len ? 0 : begin_entry(u, &entry, err);
}

/* How much of it is needed before it can be looked at again. */
static size_t wanted(const struct me_unpacking *u)
{
    struct me_parcel_entry entry;
    if (!u->is_begun) return strlen(ME_PARCEL_MAGIC) - u->have;
    if (u->have < ME_PARCEL_HEAD_BYTES || me_parcel_read_head(u->text, &entry))
        return ME_PARCEL_HEAD_BYTES - u->have;
    return ME_PARCEL_HEAD_BYTES + entry.name_len - u->have;
}

static int take_content(struct me_unpacking *u, const char *bytes, size_t len, struct me_error *err)
{
    if (me_write_all(u->file, bytes, len)) return fail_write(u, err);
    u->content -= len;
    return u->content ? 0 : close_file(u, err);
}

int me_unpacking_take(struct me_unpacking *u, const void *bytes, size_t len, struct me_error *err)
{
    for (const char *at = bytes, *end = at + len; at < end;) {
        size_t n = (size_t)(end - at);
        if (u->is_ended) return fail_damaged(u, err); /* the end is the end */
        if (u->content) {
            if (n > u->content) n = (size_t)u->content;
            if (take_content(u, at, n, err)) return -1;
        } else {
            if (n > wanted(u)) n = wanted(u);
            memcpy(u->text + u->have, at, n);
            u->have += n;
            if (look(u, err)) return -1;
        }
        at += n;
    }
    return 0;
}

int me_unpacking_end(struct me_unpacking *u, struct me_error *err)
{
    return u->is_ended ? 0 : fail_damaged(u, err);
}
