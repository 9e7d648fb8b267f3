/* Can it run here? Asked before anything is measured, so that a machine without a framework is a line and
 * not a failed run. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "argv.h"
#include "environment.h"
#include "me/clock.h"
#include "me/utf8.h"
#include "me/workload.h"
#include "spawn.h"
#include "watcher.h"

enum { LIMIT_S = 60, KEPT = 2048, AT_ONCE = 256 };

/* The end of an output: its last line is what is wanted. */
struct tail {
    int fd;
    size_t len;
    char text[2 * KEPT];
};

struct check {
    pid_t pid;
    int pidfd;
    struct me_watcher watcher;
    struct tail out, err;
};

static void keep(struct tail *tail, const char *piece, size_t n)
{
    if (tail->len + n >= sizeof tail->text) {
        size_t kept = tail->len < KEPT ? tail->len : KEPT - 1;
        memmove(tail->text, tail->text + tail->len - kept, kept);
        tail->len = kept;
    }
    memcpy(tail->text + tail->len, piece, n);
    tail->len += n;
    tail->text[tail->len] = '\0';
}

/* Not to its end: where somebody prints without one as fast as we read, there is always more. */
static void drain(struct tail *tail)
{
    char piece[KEPT];
    for (int i = 0; i < AT_ONCE && tail->fd >= 0; i++) {
        ssize_t n = read(tail->fd, piece, sizeof piece);
        if (n < 0 && errno != EINTR) return;
        if (n > 0) keep(tail, piece, (size_t)n);
        if (n) continue;
        close(tail->fd);
        tail->fd = -1;
    }
}

/* The last line with anything in it, fit for a terminal. "" if there is none. */
static void last_line(const struct tail *tail, char *text, size_t size)
{
    size_t end = tail->len;
    while (end && strchr(" \t\r\n", tail->text[end - 1])) end--;
    size_t begin = end;
    while (begin && tail->text[begin - 1] != '\n') begin--;
    if (end - begin > 4 && !memcmp(tail->text + begin, "me: ", 4)) begin += 4; /* who speaks is known */
    snprintf(text, size, "%.*s", (int)(end - begin), tail->text + begin);
    me_utf8_clean(text, strlen(text) + 1);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = ' ';
}

static int open_tail(struct tail *tail, int *writing)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return -1;
    tail->fd = ends[0];
    *writing = ends[1];
    return fcntl(tail->fd, F_SETFL, O_NONBLOCK);
}

/* As the workload will be started, but that nothing is measured: no marks, no cores of its own. */
static int spawn(struct check *check, char **argv, const struct me_workload_place *place, const int *writing,
                 struct me_error *err)
{
    struct me_child_options options = {.files = place->files,
                                       .folder = place->files,
                                       .strip_env = place->plan->strip_env,
                                       .machine_id = place->machine_id,
                                       .machine_count = place->machine_count};
    char **environment;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    if (me_workload_environment_make(environ, &options, &environment, err)) return -1;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setsigmask(&how, &none);
    int reason = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    if (!reason) reason = posix_spawn_file_actions_adddup2(&files, writing[0], 1);
    if (!reason) reason = posix_spawn_file_actions_adddup2(&files, writing[1], 2);
    if (!reason) reason = posix_spawn_file_actions_addclosefrom_np(&files, 3);
    if (!reason && place->files) reason = posix_spawn_file_actions_addchdir_np(&files, place->files);
    if (!reason) reason = posix_spawn(&check->pid, argv[0], &files, &how, argv, environment);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    me_workload_environment_free(environment);
    return reason ? me_fail_errno(err, ME_E_RUN, reason, "cannot run %.300s", argv[0]) : 0;
}

static int start(struct check *check, char **argv, const struct me_workload_place *place,
                 struct me_error *err)
{
    int writing[2] = {-1, -1}, rc = -1;
    if (open_tail(&check->out, &writing[0]) || open_tail(&check->err, &writing[1]))
        me_fail_errno(err, ME_E_RUN, errno, "cannot make a pipe");
    else
        rc = spawn(check, argv, place, writing, err);
    for (int i = 0; i < 2; i++)
        if (writing[i] >= 0) close(writing[i]);
    if (rc) return -1;
    check->pidfd = (int)syscall(SYS_pidfd_open, check->pid, 0);
    me_watcher_start(&check->watcher, check->pid);
    return 0;
}

/* Until it ends, the time is up, or a signal wants us elsewhere. Returns its status; -1: it was ended, and
 * `text` says why. */
static int await(struct check *check, char *text, size_t size)
{
    int64_t end_ns = me_clock_mono_ns() + LIMIT_S * ME_NS_PER_S;
    int status = -1;
    bool ended = false, interrupted = false;
    while (!ended && !interrupted && me_clock_mono_ns() < end_ns) {
        struct pollfd fds[3] = {{.fd = check->pidfd, .events = POLLIN},
                                {.fd = check->out.fd, .events = POLLIN},
                                {.fd = check->err.fd, .events = POLLIN}};
        interrupted = poll(fds, 3, check->pidfd < 0 ? 10 : 1000) < 0 && errno == EINTR;
        siginfo_t info = {.si_pid = 0};
        ended = !waitid(P_PID, (id_t)check->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
        if (ended) status = info.si_code == CLD_EXITED ? info.si_status : 256 + info.si_status;
        drain(&check->out);
        drain(&check->err);
    }
    kill(-check->pid, SIGKILL); /* and what it left behind, while the number is still its own */
    me_watcher_end(&check->watcher);
    while (waitpid(check->pid, NULL, 0) < 0 && errno == EINTR) continue;
    if (ended) return status;
    if (interrupted)
        snprintf(text, size, "interrupted");
    else
        snprintf(text, size, "its --check took longer than %d s", LIMIT_S);
    return -1;
}

static bool judge(struct check *check, const struct me_workload_entry *entry, char *text, size_t size)
{
    int status = await(check, text, size);
    if (status < 0) return false;
    last_line(status ? &check->err : &check->out, text, size);
    if (!text[0]) last_line(status ? &check->out : &check->err, text, size);
    if (status && !text[0])
        snprintf(text, size, "%.95s cannot run here: its --check ended with status %d", entry->label, status);
    if (!status && !text[0]) snprintf(text, size, "%.95s", entry->label);
    return !status;
}

/* A command has no --check: is it there? */
static bool check_command(const struct me_workload_place *place, const char *word, char *text, size_t size)
{
    char path[PATH_MAX], here[2 * PATH_MAX];
    struct me_error err = {0};
    struct stat file;
    bool with = place->plan->with[0] && place->files;
    if (me_spawn_find(word, path, sizeof path, &err)) {
        snprintf(here, sizeof here, "%s/%s", with ? place->files : ".", word);
        bool is_here = !strchr(word, '/') && !stat(here, &file) && S_ISREG(file.st_mode);
        snprintf(text, size, is_here ? "%s; write ./%.200s" : "%s", err.text, word);
        return false;
    }
    bool shipped = with && path[0] != '/';
    snprintf(here, sizeof here, "%s%s%s", shipped ? place->files : "", shipped ? "/" : "", path);
    if (stat(here, &file))
        snprintf(text, size, "cannot run '%.200s': %s%s", word, strerror(errno),
                 path[0] == '/' ? ""
                 : shipped      ? "; it is not among what --with names"
                                : "; --with ships it");
    else if (!S_ISREG(file.st_mode) || access(here, X_OK))
        snprintf(text, size, "cannot run '%.200s': not an executable file%s", word,
                 S_ISREG(file.st_mode) ? "; chmod +x makes it one" : "");
    else {
        snprintf(text, size, "%.300s", path);
        return true;
    }
    return false;
}

/* The vector of the run, with --check behind it. */
static bool check_vector(const struct me_workload_entry *entry, const struct me_workload_place *place,
                         char **argv, char *text, size_t size)
{
    static char word[] = "--check";
    struct check check = {.pidfd = -1, .out.fd = -1, .err.fd = -1};
    struct me_error err = {0};
    size_t n = 0;
    bool is_ready = false;
    while (argv[n]) n++;
    char **with = calloc(n + 2, sizeof *with);
    if (!with) {
        snprintf(text, size, "no memory");
        return false;
    }
    memcpy(with, argv, n * sizeof *with);
    with[n] = word;
    if (start(&check, with, place, &err))
        snprintf(text, size, "%s", err.text);
    else
        is_ready = judge(&check, entry, text, size);
    if (check.pidfd >= 0) close(check.pidfd);
    if (check.out.fd >= 0) close(check.out.fd);
    if (check.err.fd >= 0) close(check.err.fd);
    free(with);
    return is_ready;
}

bool me_workload_check(const struct me_workload_entry *entry, const struct me_workload_place *place,
                       char *text, size_t size)
{
    struct me_error err = {0};
    char **argv = NULL;
    if (me_workload_argv(entry, place, &argv, &err)) {
        snprintf(text, size, "%s", err.text);
        return false;
    }
    bool is_function = !strcmp(place->plan->workload, "function");
    bool is_ready = entry->row || is_function ? check_vector(entry, place, argv, text, size)
                                              : check_command(place, argv[0], text, size);
    me_workload_argv_free(argv);
    return is_ready;
}
