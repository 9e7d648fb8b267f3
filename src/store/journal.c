#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me/store.h"

struct me_journal {
    int fd;
    int failed;           /* errno of the first append that failed; nothing is appended after it */
    off_t good;           /* bytes of whole appends */
    pthread_mutex_t lock; /* the sampling thread and the workload's loop both append */
    char dir[PATH_MAX], path[PATH_MAX];
};

int me_journal_make_dir(const char *dir, struct me_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", dir);
    for (char *at = path + 1;; at++) {
        char c = *at;
        if (c && c != '/') continue;
        *at = '\0';
        if (mkdir(path, 0700) && errno != EEXIST) return me_fail_errno(err, ME_E_RUN, errno, "%s", path);
        if (!c) return 0;
        *at = c;
    }
}

static struct me_journal *allocate(const char *dir, const char *name, struct me_error *err)
{
    struct me_journal *journal = calloc(1, sizeof *journal);
    if (!journal) {
        me_fail(err, ME_E_RUN, "%s: no memory for a journal", dir);
        return NULL;
    }
    journal->fd = -1;
    snprintf(journal->dir, sizeof journal->dir, "%s", dir);
    int len = snprintf(journal->path, sizeof journal->path, "%s/%s", dir, name);
    if (len > 0 && (size_t)len < sizeof journal->path && *dir && *name && !strchr(name, '/')) return journal;
    me_fail(err, ME_E_RUN, "%s/%s: not a name for a journal", dir, name);
    free(journal);
    return NULL;
}

int me_journal_open(struct me_journal **out, const char *dir, const char *name, struct me_error *err)
{
    struct me_journal *journal = allocate(dir, name, err);
    if (!journal) return -1;
    if (me_journal_make_dir(dir, err)) goto out;
    unlink(journal->path); /* and never follow a link that somebody put there */
    journal->fd = open(journal->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (journal->fd < 0) {
        me_fail_errno(err, ME_E_RUN, errno, "%s", journal->path);
        goto out;
    }
    pthread_mutex_init(&journal->lock, NULL);
    *out = journal;
    return 0;
out:
    free(journal);
    return -1;
}

static int append(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

void me_journal_append(struct me_journal *journal, const struct me_buffer *chunks, bool sync)
{
    pthread_mutex_lock(&journal->lock);
    if (!journal->failed) {
        int failed = chunks->failed ? ENOMEM : append(journal->fd, chunks->data, chunks->len);
        if (!failed) journal->good += (off_t)chunks->len;
        /* Half a chunk goes again; where that fails too, the decoder copes with it. */
        else if (ftruncate(journal->fd, journal->good))
            journal->good = -1;
        if (!failed && sync && fdatasync(journal->fd)) failed = errno;
        journal->failed = failed;
    }
    pthread_mutex_unlock(&journal->lock);
}

int me_journal_close(struct me_journal *journal, bool keep, struct me_error *err)
{
    if (!journal) return 0;
    int failed = journal->failed;
    if (close(journal->fd) && !failed) failed = errno;
    int rc =
        failed ? me_fail_errno(err, ME_E_RUN, failed, "%s: the journal is incomplete", journal->path) : 0;
    if (!keep) {
        unlink(journal->path);
        rmdir(journal->dir); /* stays if other journals are in it */
    }
    pthread_mutex_destroy(&journal->lock);
    free(journal);
    return rc;
}

static const char *home_directory(void)
{
    const char *home = getenv("HOME");
    if (home && *home == '/') return home;
    const struct passwd *user = getpwuid(getuid());
    return user && user->pw_dir && *user->pw_dir == '/' ? user->pw_dir : NULL;
}

int me_journal_dir(char *dir, size_t size, struct me_error *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = home_directory();
    bool given = state && *state == '/'; /* the XDG specification has relative paths ignored */
    if (!given && !home)
        return me_fail(err, ME_E_RUN, "no home directory for the journal; set XDG_STATE_HOME");
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s%s/machine-energy", given ? state : home,
                       given ? "" : "/.local/state");
    if (len < 0 || (size_t)len >= sizeof path || (size_t)len >= size)
        return me_fail(err, ME_E_RUN, "%.200s...: too long a path for the journal; set XDG_STATE_HOME", path);
    memcpy(dir, path, (size_t)len + 1);
    return 0;
}
