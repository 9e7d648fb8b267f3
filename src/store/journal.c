#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "me/buffer.h"
#include "me/clock.h"
#include "me/store.h"

#define SYNC_EVERY_NS (ME_NS_PER_S / 2)
#define RETRY_NS      ME_NS_PER_S       /* a full disk may get room again */
#define CLOSE_NS      (3 * ME_NS_PER_S) /* how long the end waits for a disk that does not answer */
#define QUEUE_MAX     ((size_t)64 << 20)

struct me_journal {
    int fd;
    pthread_t writer;
    pthread_mutex_t lock; /* guards all below; never held while the disk is waited for */
    pthread_cond_t news;  /* for the writer */
    pthread_cond_t done;  /* for those who wait for it */
    struct me_buffer queue;
    uint64_t appended, synced; /* bytes that were given to us; of these, on the disk */
    uint64_t written;          /* the writer's: with the kernel */
    int64_t synced_ns, cpu_ns; /* cpu_ns: the writer's, once it has ended */
    int waiting;               /* callers of me_journal_settle */
    bool closing, ended;       /* the writer shall end; has ended */
    bool abandoned; /* nobody waits for it any more: it takes all away itself, if it ever comes back */
    bool is_slow;   /* somebody waited in vain: nobody does again until the disk has caught up */
    int full;       /* errno of a disk without room, as long as that lasts */
    int failed;     /* errno of what cannot be mended: nothing is appended after it */
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

static void release(struct me_journal *journal)
{
    if (journal->fd >= 0) close(journal->fd);
    pthread_cond_destroy(&journal->done);
    pthread_cond_destroy(&journal->news);
    pthread_mutex_destroy(&journal->lock);
    free(journal);
}

static bool is_full(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

/* False: the time is up. */
static bool wait_until(struct me_journal *journal, pthread_cond_t *cond, int64_t due_ns)
{
    struct timespec due = {.tv_sec = due_ns / ME_NS_PER_S, .tv_nsec = due_ns % ME_NS_PER_S};
    return pthread_cond_timedwait(cond, &journal->lock, &due) != ETIMEDOUT;
}

/* --- the writer: the one thread that touches the disk ------------------------------------------ */

/* Writes on where a full disk stopped it, so that no gap arises. Returns 0, or what cannot be mended. */
static int write_batch(struct me_journal *journal, const struct me_buffer *batch)
{
    size_t at = 0;
    while (at < batch->len) {
        ssize_t n = write(journal->fd, batch->data + at, batch->len - at);
        int error = n < 0 ? errno : 0;
        if (error == EINTR) continue;
        if (error && !is_full(error)) return error;
        if (n > 0) at += (size_t)n;
        pthread_mutex_lock(&journal->lock);
        journal->full = error;
        if (error && !journal->closing) {
            pthread_cond_broadcast(&journal->done); /* nobody need wait for it */
            wait_until(journal, &journal->news, me_clock_mono_ns() + RETRY_NS);
        }
        bool give_up = error && journal->closing;
        pthread_mutex_unlock(&journal->lock);
        if (give_up) return error;
    }
    return 0;
}

static bool is_sync_due(const struct me_journal *journal)
{
    if (journal->synced == journal->written) return false;
    return journal->waiting || journal->closing || me_clock_mono_ns() - journal->synced_ns >= SYNC_EVERY_NS;
}

/* With the lock held, which it gives up meanwhile. */
static void write_queue(struct me_journal *journal)
{
    struct me_buffer batch = journal->queue;
    journal->queue = (struct me_buffer)ME_BUFFER_INIT;
    pthread_mutex_unlock(&journal->lock);
    int failed = write_batch(journal, &batch);
    pthread_mutex_lock(&journal->lock);
    journal->written += batch.len;
    if (failed) journal->failed = failed;
    me_buffer_release(&batch);
}

static void sync_all(struct me_journal *journal)
{
    uint64_t written = journal->written;
    pthread_mutex_unlock(&journal->lock);
    int failed =
        fdatasync(journal->fd) && errno != EINVAL ? errno : 0; /* EINVAL: there is no disk behind it */
    pthread_mutex_lock(&journal->lock);
    if (failed) journal->failed = failed;
    journal->synced = written;
    journal->synced_ns = me_clock_mono_ns();
    journal->is_slow = false;
    pthread_cond_broadcast(&journal->done);
}

static void *keep_writing(void *arg)
{
    struct me_journal *journal = arg;
    pthread_mutex_lock(&journal->lock);
    while (!journal->failed) {
        if (journal->queue.len)
            write_queue(journal);
        else if (is_sync_due(journal))
            sync_all(journal);
        else if (journal->closing)
            break;
        else if (journal->synced < journal->written)
            wait_until(journal, &journal->news, journal->synced_ns + SYNC_EVERY_NS);
        else
            pthread_cond_wait(&journal->news, &journal->lock);
    }
    journal->ended = true;
    journal->cpu_ns = me_clock_thread_cpu_ns();
    me_buffer_release(&journal->queue);
    pthread_cond_broadcast(&journal->done);
    bool abandoned = journal->abandoned;
    pthread_mutex_unlock(&journal->lock);
    if (abandoned) release(journal);
    return NULL;
}

/* A thread that gets no signals: those are the main thread's. */
static int start_writer(struct me_journal *journal, struct me_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&journal->writer, NULL, keep_writing, journal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error ? me_fail_errno(err, ME_E_RUN, error, "%s: no thread to write it", journal->path) : 0;
}

/* Held as long as the process lives: so others know that the journal still grows, and of whom. */
static void take_lock(const struct me_journal *journal)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    fcntl(journal->fd, F_SETLK, &whole); /* where there are no locks it goes without */
}

/* Root in a container writes into the folder of the user who started it, and leaves the file to them. */
static void give_to_owner(const struct me_journal *journal)
{
    struct stat dir;
    if (stat(journal->dir, &dir) || dir.st_uid == geteuid()) return;
    if (fchown(journal->fd, dir.st_uid, dir.st_gid))
        return; /* then root alone can read it: me recover does, as root */
}

int me_journal_open(struct me_journal **out, const char *dir, const char *name, struct me_error *err)
{
    struct me_journal *journal = allocate(dir, name, err);
    if (!journal) return -1;
    pthread_mutex_init(&journal->lock, NULL);
    init_cond(&journal->news);
    init_cond(&journal->done);
    if (me_journal_make_dir(dir, err)) goto out;
    unlink(journal->path); /* and never follow a link that somebody put there */
    journal->fd = open(journal->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (journal->fd < 0) {
        me_fail_errno(err, ME_E_RUN, errno, "%s", journal->path);
        goto out;
    }
    give_to_owner(journal);
    take_lock(journal);
    if (start_writer(journal, err)) {
        unlink(journal->path);
        goto out;
    }
    *out = journal;
    return 0;
out:
    release(journal);
    return -1;
}

/* --- its callers, who never wait for the disk unless they ask to --------------------------------- */

void me_journal_append(struct me_journal *journal, const struct me_buffer *chunks)
{
    pthread_mutex_lock(&journal->lock);
    if (!journal->failed) {
        bool is_too_much = journal->queue.len + chunks->len > QUEUE_MAX;
        if (!is_too_much && !chunks->failed) me_buffer_append(&journal->queue, chunks->data, chunks->len);
        if (chunks->failed || journal->queue.failed) journal->failed = ENOMEM;
        if (is_too_much) journal->failed = journal->full ? journal->full : ETIMEDOUT;
        journal->appended += chunks->len;
        pthread_cond_signal(&journal->news);
    }
    pthread_mutex_unlock(&journal->lock);
}

bool me_journal_settle(struct me_journal *journal, int64_t wait_ns)
{
    int64_t until_ns = me_clock_mono_ns() + wait_ns;
    pthread_mutex_lock(&journal->lock);
    uint64_t wanted = journal->appended;
    journal->waiting++;
    pthread_cond_signal(&journal->news);
    while (!journal->failed && !journal->full && !journal->is_slow && journal->synced < wanted)
        if (!wait_until(journal, &journal->done, until_ns)) journal->is_slow = true;
    journal->waiting--;
    bool settled = !journal->failed && journal->synced >= wanted;
    pthread_mutex_unlock(&journal->lock);
    return settled;
}

int64_t me_journal_cpu_ns(struct me_journal *journal)
{
    struct timespec cpu = {0};
    clockid_t clock;
    pthread_mutex_lock(&journal->lock);
    int64_t cpu_ns = journal->cpu_ns;
    if (!journal->ended && !pthread_getcpuclockid(journal->writer, &clock) && !clock_gettime(clock, &cpu))
        cpu_ns = (int64_t)cpu.tv_sec * ME_NS_PER_S + cpu.tv_nsec;
    pthread_mutex_unlock(&journal->lock);
    return cpu_ns;
}

/* Whether the writer has come to its end; one that hangs in the kernel is left behind with all it holds, the journal
 * too. */
static bool end_writer(struct me_journal *journal)
{
    int64_t until_ns = me_clock_mono_ns() + CLOSE_NS;
    pthread_mutex_lock(&journal->lock);
    journal->closing = true;
    pthread_cond_broadcast(&journal->news);
    while (!journal->ended && wait_until(journal, &journal->done, until_ns)) continue;
    bool ended = journal->ended;
    pthread_t writer = journal->writer;
    journal->abandoned = !ended;
    pthread_mutex_unlock(&journal->lock); /* from here on an abandoned one may be gone */
    if (ended)
        pthread_join(writer, NULL);
    else
        pthread_detach(writer);
    return ended;
}

int me_journal_close(struct me_journal *journal, bool keep, struct me_error *err)
{
    char path[PATH_MAX];
    if (!journal) return 0;
    memcpy(path, journal->path, sizeof path);
    if (!end_writer(journal))
        return me_fail(err, ME_E_RUN, "%s: the journal is incomplete: its disk does not answer", path);
    int failed = journal->failed, rc = 0;
    if (close(journal->fd) && !failed) failed = errno;
    journal->fd = -1;
    if (failed) rc = me_fail_errno(err, ME_E_RUN, failed, "%s: the journal is incomplete", journal->path);
    if (!keep) {
        unlink(journal->path);
        rmdir(journal->dir); /* stays if other journals are in it */
    }
    release(journal);
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
