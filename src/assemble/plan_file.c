#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "me/assembly.h"
#include "me/credentials.h"
#include "me/store.h"

static bool mask(char *text)
{
    char *before = strdup(text);
    me_credentials_mask(text);
    bool changed = before && strcmp(before, text);
    free(before);
    return changed;
}

int me_plan_to_keep(const struct me_plan *plan, struct me_plan *kept, struct me_error *err)
{
    struct me_buffer json = ME_BUFFER_INIT;
    int rc = me_plan_to_json(plan, &json, err); /* which is a copy */
    if (!rc) rc = me_plan_from_json(json.data, json.len, kept, err);
    me_buffer_release(&json);
    if (rc) return -1;
    for (size_t i = 0; kept->command[i]; i++) kept->masked |= mask(kept->command[i]);
    for (size_t i = 0; i < kept->count; i++) kept->masked |= mask(kept->machines[i].external);
    kept->masked |= mask(kept->external);
    kept->masked |= mask(kept->args);
    return 0;
}

void me_plan_file_path(const char *folder, const char *run_id, char *path, size_t size)
{
    snprintf(path, size, "%.4000s/plan%s%.16s.json", folder, run_id ? "-" : "", run_id ? run_id : "");
}

/* plan-0123456789abcdef.json */
static bool take_run_id(const char *name, char run_id[17])
{
    static const char begin[] = "plan-", end[] = ".json";
    size_t digits = 0;
    if (strncmp(name, begin, sizeof begin - 1)) return false;
    name += sizeof begin - 1;
    digits = strspn(name, "0123456789abcdef");
    if (digits < 1 || digits > 16 || strcmp(name + digits, end)) return false;
    snprintf(run_id, 17, "%.*s", (int)digits, name);
    return true;
}

size_t me_plan_file_list(const char *folder, char (*run_ids)[17], size_t max)
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *entry; dir && n < max && (entry = readdir(dir));)
        n += take_run_id(entry->d_name, run_ids[n]);
    if (dir) closedir(dir);
    return n;
}

static int write_text(const char *path, const struct me_buffer *text, struct me_error *err)
{
    char temporary[4200];
    snprintf(temporary, sizeof temporary, "%s.XXXXXX",
             path); /* by chance: two nodes may have one process number */
    int fd = mkostemp(temporary, O_CLOEXEC), failed = fd < 0 ? errno : 0;
    ssize_t n = failed ? 0 : write(fd, text->data, text->len);
    if (!failed && n < 0) failed = errno;
    if (!failed && (size_t)n < text->len) failed = ENOSPC;
    if (!failed && fsync(fd)) failed = errno;
    if (fd >= 0 && close(fd) && !failed) failed = errno;
    if (!failed && rename(temporary, path)) failed = errno;
    if (!failed) return 0;
    unlink(temporary);
    return me_fail_errno(err, ME_E_RUN, failed, "%s: cannot write", path);
}

int me_plan_file_write(const char *folder, const char *run_id, const struct me_plan *plan,
                       struct me_error *err)
{
    char path[4100];
    struct me_buffer json = ME_BUFFER_INIT;
    struct me_plan kept;
    if (me_plan_to_keep(plan, &kept, err)) return -1;
    me_plan_file_path(folder, run_id, path, sizeof path);
    int rc = me_plan_to_json(&kept, &json, err);
    if (!rc) rc = write_text(path, &json, err);
    me_buffer_release(&json);
    me_plan_release(&kept);
    return rc;
}

int me_plan_file_read(const char *folder, const char *run_id, struct me_plan *plan, struct me_error *err)
{
    char path[4100], piece[4096];
    struct me_buffer text = ME_BUFFER_INIT;
    struct me_error inner = {0};
    size_t n;
    me_plan_file_path(folder, run_id, path, sizeof path);
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT)
        return me_fail(err, ME_E_INPUT, "%s: there is none: no experiment of this name was begun here", path);
    if (!file) return me_fail_errno(err, ME_E_INPUT, errno, "%s", path);
    me_buffer_puts(&text, "");
    while ((n = fread(piece, 1, sizeof piece, file)) > 0) me_buffer_append(&text, piece, n);
    bool failed = ferror(file) || text.failed;
    fclose(file);
    int rc = failed ? me_fail(err, ME_E_RUN, "%s: cannot be read", path) : 0;
    if (!rc && me_plan_from_json(text.data, text.len, plan, &inner))
        rc = me_fail(err, ME_E_INPUT, "%s: %.800s", path, inner.text);
    me_buffer_release(&text);
    return rc;
}

int me_plan_file_hold(const char *folder, const char *run_id)
{
    char path[4100];
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    me_plan_file_path(folder, run_id, path, sizeof path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0) fcntl(fd, F_SETLK, &whole);
    return fd;
}

int me_plan_file_holder(const char *folder, const char *run_id)
{
    char path[4100];
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    me_plan_file_path(folder, run_id, path, sizeof path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool held = fd >= 0 && !fcntl(fd, F_GETLK, &whole) && whole.l_type != F_UNLCK;
    if (fd >= 0) close(fd);
    return held ? (int)whole.l_pid : 0;
}
