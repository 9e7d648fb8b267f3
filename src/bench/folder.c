#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"
#include "me/store.h"
#include "me/workload.h"

/* me-0123456789abcdef-12-XXXXXX: the run, the machine, and what makes it new. */
#define PREFIX "me-"
#define LOCK   ME_WORKLOAD_OWN_FILES "/lock"
enum { RUN_ID_LEN = 16, RANDOM_LEN = 6, DAY_S = 86400 };

static bool is_ours(const char *name)
{
    if (strncmp(name, PREFIX, strlen(PREFIX))) return false;
    const char *at = name + strlen(PREFIX);
    size_t digits = strspn(at, "0123456789abcdef");
    if (digits != RUN_ID_LEN || at[digits] != '-' || !isdigit((unsigned char)at[digits + 1])) return false;
    at += digits + 1;
    at += strspn(at, "0123456789");
    return *at == '-' && strlen(at + 1) == RANDOM_LEN;
}

/* Nobody holds its lock. Where locks do not work (some network file systems) it may live. */
static bool is_dead(int dir, const char *name)
{
    char path[512];
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return false;
    if (time(NULL) - st.st_mtime < DAY_S) return false;
    snprintf(path, sizeof path, "%.255s/" LOCK, name);
    int lock = openat(dir, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0) return errno == ENOENT;
    bool free = !flock(lock, LOCK_EX | LOCK_NB);
    close(lock);
    return free;
}

/* What a run left that was killed outright. */
static void remove_dead(const char *parent)
{
    char path[4400];
    DIR *dir = opendir(parent);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!is_ours(entry->d_name) || !is_dead(dirfd(dir), entry->d_name)) continue;
        snprintf(path, sizeof path, "%.4095s/%.255s", parent, entry->d_name);
        me_workload_remove(path);
    }
    closedir(dir);
}

static void take_lock(struct me_folder *folder)
{
    char path[4200];
    snprintf(path, sizeof path, "%.4095s/" LOCK, folder->path);
    folder->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (folder->lock >= 0) flock(folder->lock, LOCK_EX | LOCK_NB);
}

static int make_in(struct me_folder *folder, const char *parent, const struct me_plan *plan, int machine_id,
                   struct me_error *err)
{
    struct statvfs disk;
    snprintf(folder->parent, sizeof folder->parent, "%s", parent);
    if (statvfs(parent, &disk)) return me_fail_errno(err, ME_E_RUN, errno, "%.400s", parent);
    if (disk.f_flag & ST_NOEXEC)
        return me_fail(err, ME_E_RUN, "%.400s: no program may be run there (noexec)", parent);
    int len = snprintf(folder->path, sizeof folder->path, "%s/" PREFIX "%s-%d-XXXXXX", parent, plan->run_id,
                       machine_id);
    if (len < 0 || (size_t)len >= sizeof folder->path || !mkdtemp(folder->path)) {
        folder->path[0] = '\0';
        return me_fail_errno(err, ME_E_RUN, errno, "cannot make a folder in %.400s", parent);
    }
    remove_dead(parent);
    return 0;
}

/* Is there room for so much? What a quota allows is told only by who tries. */
static int check_room(const struct me_folder *folder, uint64_t room, struct me_error *err)
{
    char path[4300];
    struct statvfs disk;
    int reason = 0;
    if (!room) return 0;
    snprintf(path, sizeof path, "%.4095s/" ME_WORKLOAD_OWN_FILES "/room", folder->path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return me_fail_errno(err, ME_E_RUN, errno, "%.400s", folder->path);
    if (!fstatvfs(fd, &disk) && disk.f_blocks && (double)disk.f_bavail * (double)disk.f_frsize < (double)room)
        reason = ENOSPC;
    else if (fallocate(fd, 0, 0, (off_t)room) && (errno == ENOSPC || errno == EDQUOT))
        reason = errno;
    unlink(path);
    close(fd);
    return reason ? me_fail_errno(err, ME_E_RUN, reason, "%.400s: %llu MiB of files", folder->parent,
                                  (unsigned long long)(room >> 20) + 1)
                  : 0;
}

static int try_place(struct me_folder *folder, const char *parent, const struct me_plan *plan, int machine_id,
                     uint64_t room, struct me_error *err)
{
    if (make_in(folder, parent, plan, machine_id, err)) return -1;
    if (me_workload_unpack(NULL, 0, folder->path, err) || check_room(folder, room, err)) {
        me_folder_remove(folder);
        return -1;
    }
    take_lock(folder);
    return 0;
}

int me_folder_make(struct me_folder *out, const struct me_plan *plan, int machine_id, uint64_t room,
                   struct me_error *err)
{
    struct me_error first = {0}, later;
    char state[sizeof out->parent];
    const char *others[] = {getenv("TMPDIR"), "/tmp", "/dev/shm"};
    *out = (struct me_folder){.lock = -1};
    if (!me_journal_dir(state, sizeof state, &first) && !me_journal_make_dir(state, &first)) {
        out->parent_is_ours = true;
        if (!try_place(out, state, plan, machine_id, room, &first)) return 0;
        rmdir(state);
    }
    out->parent_is_ours = false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i] && others[i][0] == '/' && !try_place(out, others[i], plan, machine_id, room, &later))
            return 0;
    *out = (struct me_folder){.lock = -1};
    return me_fail(err, ME_E_RUN, "no place for the run's files: %.700s", first.text);
}

void me_folder_remove(struct me_folder *folder)
{
    struct stat st;
    if (!folder || !folder->path[0]) return;
    me_workload_remove(folder->path);
    if (!lstat(folder->path, &st)) /* something is mounted in it, or belongs to somebody else */
        fprintf(stderr, "me_bench: %.1000s: not all of it could be removed\n", folder->path);
    if (folder->lock >= 0) close(folder->lock);
    if (folder->parent_is_ours) rmdir(folder->parent); /* stays if a journal is in it */
    *folder = (struct me_folder){.lock = -1};
}
