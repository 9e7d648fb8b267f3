/* One writer: a file PATH.lock that names its holder, made by link(2), which is one step also where flock does not
 * work (NFS), and touched each second while it is held. Its holder is dead if its process is gone from this machine,
 * or if nobody has touched it for a while by the clock of who waits; then it is taken away, by one waiter alone
 * (PATH.lock.break), who looks again first. Whoever was held up for so long that this happened finds out before its
 * file takes its place (me_lock_confirm). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me/clock.h"
#include "me/root.h"
#include "me/store.h"

#define TOUCH_NS  ME_NS_PER_S
#define STALE_S   15
#define LOOK_NS   (ME_NS_PER_S / 50)
#define LEFT_S    60
#define TEXT_SIZE 512

struct holder {
    char host[65], boot_id[40], pid_namespace[64];
    long pid;
    char started[32]; /* as in its proc/PID/stat */
    char token[20];
};

struct me_lock {
    char path[4200];
    char text[TEXT_SIZE]; /* what the file holds while it is ours */
    pthread_t toucher;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool done, touching;
};

/* --- who holds it ------------------------------------------------------------------------------ */

/* Field 22 of proc/PID/stat; "" if there is no such process. The name before it may hold anything. */
static void start_of(long pid, char *started, size_t size)
{
    struct me_root root;
    char path[64], text[1024];
    started[0] = '\0';
    if (me_root_open(&root, "/", NULL)) return;
    snprintf(path, sizeof path, "proc/%ld/stat", pid);
    int len = me_root_read(&root, path, text, sizeof text);
    me_root_close(&root);
    const char *at = len > 0 ? strrchr(text, ')') : NULL;
    for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
    if (at) snprintf(started, size, "%.*s", (int)strcspn(at + 1, " "), at + 1);
}

static void know_myself(struct holder *me)
{
    struct me_root root;
    uint64_t token = 0;
    *me = (struct holder){.pid = getpid()};
    gethostname(me->host, sizeof me->host - 1);
    if (!me_root_open(&root, "/", NULL)) {
        me_root_boot_id(&root, me->boot_id);
        me_root_close(&root);
    }
    ssize_t len = readlink("/proc/self/ns/pid", me->pid_namespace, sizeof me->pid_namespace - 1);
    if (len < 0) me->pid_namespace[0] = '\0';
    start_of(me->pid, me->started, sizeof me->started);
    if (getrandom(&token, sizeof token, 0) != sizeof token) token = (uint64_t)me_clock_mono_ns();
    snprintf(me->token, sizeof me->token, "%016llx", (unsigned long long)token);
}

static void put_holder(const struct holder *holder, char text[TEXT_SIZE])
{
    snprintf(text, TEXT_SIZE, "%s\n%s\n%s\n%ld\n%s\n%s\n", holder->host, holder->boot_id,
             holder->pid_namespace, holder->pid, holder->started, holder->token);
}

static const char *take_line(const char *at, char *line, size_t size)
{
    size_t len = strcspn(at, "\n");
    snprintf(line, size, "%.*s", (int)len, at);
    return at[len] ? at + len + 1 : at + len;
}

static void get_holder(const char *text, struct holder *holder)
{
    char pid[24];
    *holder = (struct holder){0};
    text = take_line(text, holder->host, sizeof holder->host);
    text = take_line(text, holder->boot_id, sizeof holder->boot_id);
    text = take_line(text, holder->pid_namespace, sizeof holder->pid_namespace);
    text = take_line(text, pid, sizeof pid);
    text = take_line(text, holder->started, sizeof holder->started);
    take_line(text, holder->token, sizeof holder->token);
    holder->pid = strtol(pid, NULL, 10);
}

/* Known to be gone; of a process on another machine, or in another container, nobody here knows. */
static bool is_gone(const struct holder *holder, const struct holder *me)
{
    char started[32];
    if (!holder->boot_id[0] || strcmp(holder->boot_id, me->boot_id) ||
        strcmp(holder->pid_namespace, me->pid_namespace) || !holder->pid_namespace[0])
        return false;
    start_of(holder->pid, started, sizeof started);
    return strcmp(started, holder->started) != 0;
}

/* --- the file ---------------------------------------------------------------------------------- */

/* 0, or an errno; opened anew each time, so that a network file system asks its server. */
static int read_lock(const char *path, char text[TEXT_SIZE], struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    text[0] = '\0';
    *st = (struct stat){0};
    if (fd < 0) return errno;
    ssize_t len = read(fd, text, TEXT_SIZE - 1);
    int failed = len < 0 || fstat(fd, st) ? errno : 0;
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    return failed;
}

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return errno;
    size_t len = strlen(text);
    ssize_t n = write(fd, text, len);
    int failed = n == (ssize_t)len ? 0 : n < 0 ? errno : ENOSPC;
    if (close(fd) && !failed) failed = errno;
    if (failed) unlink(path);
    return failed;
}

/* Makes `path` with the text in one step; EEXIST if it is there. A file system without hard links gets it in two. */
static int make_whole(const char *path, const char *text, const char *token)
{
    char own[4300];
    struct stat st;
    snprintf(own, sizeof own, "%s.%s", path, token);
    int failed = write_text(own, text);
    if (failed) return failed;
    failed = link(own, path) ? errno : 0;
    if (failed && !stat(own, &st) && st.st_nlink == 2) failed = 0; /* done, and only its answer was lost */
    unlink(own);
    if (failed == EPERM || failed == ENOSYS || failed == EOPNOTSUPP || failed == EMLINK)
        failed = write_text(path, text);
    return failed;
}

/* --- waiting ----------------------------------------------------------------------------------- */

/* A file that somebody else holds, as it was last seen to change. */
struct sight {
    char text[TEXT_SIZE];
    struct timespec touched;
    ino_t number;
    int64_t changed_ns;
};

/* Looks at it; false if it is not there. */
static bool look_at(const char *path, struct sight *sight)
{
    char text[TEXT_SIZE];
    struct stat st;
    if (read_lock(path, text, &st) == ENOENT) return false;
    bool same = sight->changed_ns && sight->number == st.st_ino && !strcmp(sight->text, text) &&
                sight->touched.tv_sec == st.st_mtim.tv_sec && sight->touched.tv_nsec == st.st_mtim.tv_nsec;
    if (same) return true;
    memcpy(sight->text, text, sizeof text);
    sight->touched = st.st_mtim;
    sight->number = st.st_ino;
    sight->changed_ns = me_clock_mono_ns();
    return true;
}

static bool is_stale(const struct sight *sight, const struct holder *me, int64_t stale_ns)
{
    struct holder holder;
    get_holder(sight->text, &holder);
    return is_gone(&holder, me) || me_clock_mono_ns() - sight->changed_ns > stale_ns;
}

/* Takes away a lock whose holder is dead, unless another has come to hold it meanwhile. */
static void break_lock(const char *path, const struct sight *sight, struct sight *breaker,
                       const struct holder *me, int64_t stale_ns)
{
    char guard[4300], text[TEXT_SIZE];
    struct stat st;
    snprintf(guard, sizeof guard, "%s.break", path);
    put_holder(me, text);
    if (!make_whole(guard, text, me->token)) {
        if (!read_lock(path, text, &st) && !strcmp(text, sight->text)) unlink(path);
        unlink(guard);
    } else if (look_at(guard, breaker) && is_stale(breaker, me, stale_ns)) {
        unlink(guard);
    }
}

static void describe(const char *text, char *who, size_t size)
{
    struct holder holder;
    get_holder(text, &holder);
    snprintf(who, size, "%s (process %ld)", holder.host[0] ? holder.host : "another run", holder.pid);
}

static int fail_busy(const char *path, const char *text, const struct me_lock_options *options,
                     struct me_error *err)
{
    char who[128];
    describe(text, who, sizeof who);
    return me_fail(err, ME_E_RUN, "%s: %s writes this result and was not done in %g s", path, who,
                   options->wait_s);
}

static int fail_errno(const char *path, int failed, struct me_error *err)
{
    char reason[128];
    return me_fail(err, ME_E_RUN, "%s: cannot write: %s%s", path, strerror_r(failed, reason, sizeof reason),
                   me_store_cure(failed));
}

static void say_waiting(const struct me_lock_options *options, const struct sight *sight)
{
    char who[128];
    describe(sight->text, who, sizeof who);
    if (options->say) options->say(options->context, who);
}

static int take(struct me_lock *lock, const struct holder *me, const struct me_lock_options *options,
                struct me_error *err)
{
    struct sight sight = {0}, breaker = {0};
    int64_t begin_ns = me_clock_mono_ns(), limit_ns = (int64_t)(options->wait_s * 1e9);
    int64_t stale_ns = (int64_t)((options->stale_s > 0 ? options->stale_s : STALE_S) * 1e9);
    for (bool told = false;;) {
        if (!look_at(lock->path, &sight)) {
            int failed = make_whole(lock->path, lock->text, me->token);
            if (!failed) return 0;
            if (failed != EEXIST) return fail_errno(options->path, failed, err);
            continue;
        }
        if (is_stale(&sight, me, stale_ns)) break_lock(lock->path, &sight, &breaker, me, stale_ns);
        int64_t waited_ns = me_clock_mono_ns() - begin_ns;
        if (waited_ns > limit_ns) return fail_busy(options->path, sight.text, options, err);
        if (options->look && !options->look(options->context))
            return me_fail(err, ME_E_RUN, "%s: stopped while another run wrote it", options->path);
        if (!told && waited_ns > ME_NS_PER_S) {
            say_waiting(options, &sight);
            told = true;
        }
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_NS);
    }
}

/* What processes left that were killed as they made a lock: older than ours by far, by one clock, the file system's. */
static void sweep(const char *path)
{
    char directory[4200], other[4500];
    struct stat ours, st;
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    const char *name = slash ? path + (slash - directory) + 1 : path;
    if (slash) *slash = '\0';
    DIR *entries = opendir(slash ? directory : ".");
    size_t len = strlen(name);
    for (const struct dirent *entry; entries && (entry = readdir(entries));) {
        if (strncmp(entry->d_name, name, len) || entry->d_name[len] != '.') continue;
        snprintf(other, sizeof other, "%s/%s", slash ? directory : ".", entry->d_name);
        if (!stat(path, &ours) && !stat(other, &st) && ours.st_mtime - st.st_mtime > LEFT_S) unlink(other);
    }
    if (entries) closedir(entries);
}

/* --- holding ----------------------------------------------------------------------------------- */

static void *touch(void *context)
{
    struct me_lock *lock = context;
    pthread_mutex_lock(&lock->mutex);
    while (!lock->done) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += TOUCH_NS / ME_NS_PER_S;
        pthread_cond_timedwait(&lock->wake, &lock->mutex, &until);
        if (lock->done) break;
        pthread_mutex_unlock(&lock->mutex);
        if (!me_lock_confirm(lock, NULL)) utimensat(AT_FDCWD, lock->path, NULL, AT_SYMLINK_NOFOLLOW);
        pthread_mutex_lock(&lock->mutex);
    }
    pthread_mutex_unlock(&lock->mutex);
    return NULL;
}

/* Signals are the main thread's. */
static int start_toucher(struct me_lock *lock)
{
    pthread_condattr_t attributes;
    sigset_t all, before;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&lock->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&lock->mutex, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&lock->toucher, NULL, touch, lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    lock->touching = !failed;
    return failed;
}

int me_lock_take(struct me_lock **out, const struct me_lock_options *options, struct me_error *err)
{
    struct holder me;
    struct me_lock *lock = calloc(1, sizeof *lock);
    if (!lock) return me_fail(err, ME_E_RUN, "no memory");
    know_myself(&me);
    put_holder(&me, lock->text);
    int len = snprintf(lock->path, sizeof lock->path, "%s.lock", options->path);
    int rc = len < 0 || (size_t)len >= sizeof lock->path - 32
                 ? me_fail(err, ME_E_RUN, "%.200s...: path too long", options->path)
                 : take(lock, &me, options, err);
    if (rc) {
        free(lock);
        return -1;
    }
    sweep(lock->path);
    int failed = start_toucher(lock);
    if (failed) {
        me_lock_release(lock);
        return me_fail_errno(err, ME_E_RUN, failed, "%s: no thread", options->path);
    }
    *out = lock;
    return 0;
}

int me_lock_confirm(const struct me_lock *lock, struct me_error *err)
{
    char text[TEXT_SIZE];
    struct stat st;
    if (!read_lock(lock->path, text, &st) && !strcmp(text, lock->text)) return 0;
    return me_fail(err, ME_E_RUN, "%s: was held up for so long that another run has taken it", lock->path);
}

void me_lock_release(struct me_lock *lock)
{
    if (!lock) return;
    if (lock->touching) {
        pthread_mutex_lock(&lock->mutex);
        lock->done = true;
        pthread_cond_signal(&lock->wake);
        pthread_mutex_unlock(&lock->mutex);
        pthread_join(lock->toucher, NULL);
    }
    if (!me_lock_confirm(lock, NULL)) unlink(lock->path);
    pthread_cond_destroy(&lock->wake);
    pthread_mutex_destroy(&lock->mutex);
    free(lock);
}
