/* Packing, on the head. What is named may be a link; within a folder links are followed only to what is in
 * the folder too, since a machine shall get no more than was named. */
#include "parcel.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me/workload.h"

enum { TOPS_MAX = 1100, PIECE = 1 << 18 };

struct packing {
    struct me_buffer *out;
    const char *option;                  /* for messages: "--with" */
    char top[PATH_MAX];                  /* the real path of the folder that is packed; "": a file */
    char path[PATH_MAX];                 /* what is looked at, as the user would write it */
    char name[ME_PARCEL_NAME_MAX + 300]; /* and as the parcel has it */
    int depth, entries;
    struct { /* the folders above, so that a link to one of them is seen */
        dev_t device;
        ino_t inode;
    } above[ME_PARCEL_DEPTH_MAX];
    struct me_error *err;
};

static int fail_at(const struct packing *p, const char *what)
{
    return me_fail(p->err, ME_E_INPUT, "%s: %.700s: %s", p->option, p->path, what);
}

static int fail_too_big(const struct packing *p)
{
    return me_fail(p->err, ME_E_INPUT,
                   "%s: %.600s: with it more than %u MiB would go to every machine; put large data there "
                   "beforehand",
                   p->option, p->path, ME_PARCEL_BYTES_MAX >> 20);
}

static int read_content(struct packing *p, int fd)
{
    char *piece = malloc(PIECE);
    ssize_t n = 0;
    int rc = 0;
    if (!piece) return me_fail(p->err, ME_E_RUN, "no memory for the files");
    while (!rc && (n = read(fd, piece, PIECE)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            rc = me_fail_errno(p->err, ME_E_INPUT, errno, "%s: %.700s", p->option, p->path);
        else if (p->out->len + (size_t)n > ME_PARCEL_BYTES_MAX)
            rc = fail_too_big(p);
        else
            me_buffer_append(p->out, piece, (size_t)n);
    }
    free(piece);
    return rc;
}

static int pack_file(struct packing *p, int fd, const struct stat *st)
{
    struct me_parcel_entry entry = {
        .type = 'f', .executable = st->st_mode & S_IXUSR, .name = p->name, .name_len = strlen(p->name)};
    size_t at = p->out->len;
    /* Before it is read, so that a large one is refused at once. */
    if (st->st_size > (off_t)ME_PARCEL_BYTES_MAX || at + (size_t)st->st_size > ME_PARCEL_BYTES_MAX)
        return fail_too_big(p);
    me_parcel_put(p->out, &entry);
    size_t begin = p->out->len;
    if (read_content(p, fd)) return -1;
    me_parcel_set_size(p->out, at, p->out->len - begin);
    return 0;
}

/* A link within the folder: does it lead to what is in the folder too? */
static int check_link(const struct packing *p)
{
    char real[PATH_MAX];
    struct stat st;
    size_t len = strlen(p->top);
    if (!len || lstat(p->path, &st) || !S_ISLNK(st.st_mode)) return 0;
    if (!realpath(p->path, real))
        return me_fail_errno(p->err, ME_E_INPUT, errno, "%s: %.700s: the link leads nowhere", p->option,
                             p->path);
    if (!strncmp(real, p->top, len) && (!real[len] || real[len] == '/' || p->top[len - 1] == '/')) return 0;
    return fail_at(p, "the link leads out of the folder; copy what it shows, or name that too");
}

static int pack_one(struct packing *p);

/* Names that are not listed twice, in an order that does not depend on the disk. */
static int pack_names(struct packing *p, struct dirent **list, int count)
{
    size_t path_len = strlen(p->path), name_len = strlen(p->name);
    for (int i = 0; i < count; i++) {
        const char *name = list[i]->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
        if (path_len + strlen(name) + 2 > sizeof p->path || name_len + strlen(name) + 1 > ME_PARCEL_NAME_MAX)
            return fail_at(p, "its names are too long");
        snprintf(p->path + path_len, sizeof p->path - path_len, "/%s", name);
        snprintf(p->name + name_len, sizeof p->name - name_len, "/%s", name);
        if (pack_one(p)) return -1;
        p->path[path_len] = p->name[name_len] = '\0';
    }
    return 0;
}

static int pack_folder(struct packing *p, const struct stat *st)
{
    struct me_parcel_entry entry = {.type = 'd', .name = p->name, .name_len = strlen(p->name)};
    struct dirent **list = NULL;
    for (int i = 0; i < p->depth; i++)
        if (p->above[i].device == st->st_dev && p->above[i].inode == st->st_ino)
            return fail_at(p, "the link leads back to a folder above it");
    if (p->depth == ME_PARCEL_DEPTH_MAX - 1) return fail_at(p, "too many folders within each other");
    p->above[p->depth].device = st->st_dev;
    p->above[p->depth++].inode = st->st_ino;
    me_parcel_put(p->out, &entry);
    int count = scandir(p->path, &list, NULL, alphasort);
    if (count < 0) return me_fail_errno(p->err, ME_E_INPUT, errno, "%s: %.700s", p->option, p->path);
    int rc = pack_names(p, list, count);
    for (int i = 0; i < count; i++) free(list[i]);
    free(list);
    p->depth--;
    return rc;
}

/* Not blocking, so that a named pipe does not hold us up; what it is tells the open file. */
static int pack_one(struct packing *p)
{
    struct stat st;
    if (++p->entries > ME_PARCEL_ENTRIES_MAX) return fail_at(p, "too many files");
    if (check_link(p)) return -1;
    if (stat(p->path, &st)) return me_fail_errno(p->err, ME_E_INPUT, errno, "%s: %.700s", p->option, p->path);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return fail_at(p, "neither a file nor a folder, so it cannot be put onto a machine");
    int fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st)) {
        me_fail_errno(p->err, ME_E_INPUT, errno, "%s: %.700s", p->option, p->path);
        if (fd >= 0) close(fd);
        return -1;
    }
    int rc = S_ISDIR(st.st_mode)   ? pack_folder(p, &st)
             : S_ISREG(st.st_mode) ? pack_file(p, fd, &st)
                                   : fail_at(p, "it changed while it was read");
    close(fd);
    return rc;
}

/* What the user named, without slashes at the end, and its last part. */
struct top {
    char path[PATH_MAX];
    const char *name;
    dev_t device;
    ino_t inode;
};

static int take_path(struct packing *p, const char *text, size_t len)
{
    while (len > 1 && text[len - 1] == '/') len--;
    snprintf(p->path, sizeof p->path, "%.*s", (int)len, text);
    const char *slash = strrchr(p->path, '/');
    const char *name = slash ? slash + 1 : p->path;
    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return fail_at(p, "has no name of its own; name the folder, or what is in it");
    if (!me_parcel_is_name(name, strlen(name)))
        return fail_at(p, "that name is taken by our own files; rename it");
    snprintf(p->name, sizeof p->name, "%s", name);
    return 0;
}

/* The names that are taken already, in `tops`; 1: this very file is there. */
static int check_new(const struct packing *p, const struct stat *st, struct top *tops, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(tops[i].name, p->name)) continue;
        if (tops[i].device == st->st_dev && tops[i].inode == st->st_ino) return 1;
        return me_fail(p->err, ME_E_INPUT,
                       "%s: %.300s and %.300s have one name, and would take each other's place; rename one",
                       p->option, tops[i].path, p->path);
    }
    struct top *top = &tops[(*count)++];
    *top = (struct top){.device = st->st_dev, .inode = st->st_ino};
    snprintf(top->path, sizeof top->path, "%s", p->path);
    const char *slash = strrchr(top->path, '/');
    top->name = slash ? slash + 1 : top->path;
    return 0;
}

static int pack_top(struct packing *p, const char *option, const char *text, size_t len, struct top *tops,
                    size_t *count)
{
    struct stat st;
    p->option = option;
    p->top[0] = '\0';
    if (take_path(p, text, len)) return -1;
    if (stat(p->path, &st)) return me_fail_errno(p->err, ME_E_INPUT, errno, "%s: %.700s", option, p->path);
    int known = check_new(p, &st, tops, count);
    if (known) return known < 0 ? -1 : 0;
    if (S_ISDIR(st.st_mode) && !realpath(p->path, p->top))
        return me_fail_errno(p->err, ME_E_INPUT, errno, "%s: %.700s", option, p->path);
    return pack_one(p);
}

static int pack_all(const struct me_plan *plan, struct packing *p, struct top *tops)
{
    size_t count = 0;
    for (const char *at = plan->with; *at;) {
        size_t len = strcspn(at, "\n");
        if (len && pack_top(p, "--with", at, len, tops, &count)) return -1;
        at += len + (at[len] == '\n');
    }
    const char *colon = strrchr(plan->function, ':');
    if (!colon) return 0;
    if (pack_top(p, "--train-func", plan->function, (size_t)(colon - plan->function), tops, &count))
        return -1;
    return p->top[0] ? fail_at(p, "a folder; name the Python file in it") : 0;
}

int me_workload_pack(const struct me_plan *plan, struct me_buffer *out, struct me_error *err)
{
    struct me_buffer made = ME_BUFFER_INIT;
    struct me_parcel_entry end = {.type = 'e', .name = ""};
    if (!plan->with[0] && !plan->function[0]) return 0;
    struct packing *p = calloc(1, sizeof *p);
    struct top *tops = calloc(TOPS_MAX, sizeof *tops);
    int rc = -1;
    if (!p || !tops) {
        me_fail(err, ME_E_RUN, "no memory for the files");
        goto out;
    }
    p->out = &made;
    p->err = err;
    me_buffer_puts(&made, ME_PARCEL_MAGIC);
    if (pack_all(plan, p, tops)) goto out;
    me_parcel_put(&made, &end);
    if (made.failed) {
        me_fail(err, ME_E_RUN, "no memory for the files");
        goto out;
    }
    me_buffer_release(out);
    *out = made;
    made = (struct me_buffer)ME_BUFFER_INIT;
    rc = 0;
out:
    me_buffer_release(&made);
    free(tops);
    free(p);
    return rc;
}
