/* The workload's process: starting it, hearing its marks, and ending all that came of it.
 *
 * One workload at a time in a process, since every new child of ours is taken for the workload's; and
 * started by a thread that outlives it, since the kernel kills it when that thread ends. */
#include "descend.h"
#include "marks.h"
#include "me/clock.h"
#include "me/workload.h"
#include "output.h"
#include "spawn.h"
#include "usage.h"
#include "watcher.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILL_MS = 5000, LOOK_MS = 5, TRIM_MS = 50, TRIM_SOON_MS = 5 };

struct me_child {
    struct me_root root;
    pid_t pid; /* stays a zombie until release, so that its number and its group's stay ours */
    int pidfd;
    int mark_fd; /* -1 once every writer has closed it */
    struct me_marks marks;
    char chunk[4096];
    const char *at, *end; /* of the chunk: not looked at yet */
    uint64_t reads;       /* of chunks that had something in it */
    int64_t empty_ns;     /* when the pipe was found empty last, or became so by reading */
    int64_t since_ns;     /* that moment, before the chunk was read */
    bool exited;
    int exit_status;
    size_t left; /* after the exit: bytes that were in the pipe then. A stray process may
                             * keep it open or go on writing; that is no longer the workload */
    struct me_child_usage usage;
    struct me_pids before; /* children that we had already: not the workload's */
    int was_subreaper;
    struct me_watcher watcher;
    struct me_output outputs[2];
    int64_t trim_ns; /* when to look at them next */
    bool pours;      /* they were too long at the last look */
};

static void close_child(struct me_child *child)
{
    me_watcher_end(&child->watcher);
    for (int i = 0; i < 2; i++) me_output_release(&child->outputs[i]);
    if (child->mark_fd >= 0) close(child->mark_fd);
    if (child->pidfd >= 0) close(child->pidfd);
    prctl(PR_SET_CHILD_SUBREAPER, child->was_subreaper);
    me_pids_release(&child->before);
    me_root_close(&child->root);
    free(child);
}

int me_child_start(struct me_child **out, const struct me_child_options *options, struct me_error *err)
{
    struct me_child *child = calloc(1, sizeof *child);
    if (!child) return me_fail(err, ME_E_RUN, "no memory");
    child->empty_ns = me_clock_mono_ns();
    child->pidfd = child->mark_fd = child->root.fd = child->outputs[0].fd = child->outputs[1].fd = -1;
    prctl(PR_GET_CHILD_SUBREAPER, &child->was_subreaper);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what it leaves behind becomes our child, and can be found */
    if (me_root_open(&child->root, "/", err)) goto fail;
    me_descend_children(&child->root, 0, &child->before);
    if (me_spawn(&child->root, options, &child->pid, &child->mark_fd, err)) goto fail;
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0); /* closed at exec by itself */
    if (child->pidfd < 0) {
        me_fail_errno(err, ME_E_RUN, errno, "pidfd_open (Linux 5.4 or later is needed)");
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        goto fail;
    }
    me_watcher_start(&child->watcher, child->pid); /* after the workload, which must not wait for it */
    if (child->watcher.pid) me_pids_add(&child->before, child->watcher.pid);
    me_output_watch(&child->outputs[0], options->stdout_path);
    me_output_watch(&child->outputs[1], options->stderr_path);
    *out = child;
    return 0;
fail:
    close_child(child);
    return -1;
}

pid_t me_child_pid(const struct me_child *child)
{
    return child->pid;
}

/* Has it ended? Then its status, and how much it left in the pipe. */
static void look_for_exit(struct me_child *child)
{
    siginfo_t info = {.si_pid = 0};
    struct rusage used = {.ru_maxrss = 0};
    int waiting = 0;
    if (child->exited) return;
    /* The system call, since it tells what was used too, and leaves the zombie. */
    if (syscall(SYS_waitid, P_PID, child->pid, &info, WEXITED | WNOHANG | WNOWAIT, &used) || !info.si_pid)
        return;
    me_usage_add(&child->usage, &used);
    child->exited = true;
    child->exit_status = info.si_code == CLD_EXITED ? info.si_status : 256 + info.si_status;
    if (child->mark_fd >= 0 && !ioctl(child->mark_fd, FIONREAD, &waiting)) child->left = (size_t)waiting;
}

/* Fills the chunk from the pipe; leaves it empty if there is nothing. */
static void read_pipe(struct me_child *child)
{
    size_t size = sizeof child->chunk;
    if (child->exited && child->left < size) size = child->left;
    child->at = child->end = child->chunk;
    if (child->mark_fd < 0 || !size) return;
    int64_t now_ns = me_clock_mono_ns();
    ssize_t n = read(child->mark_fd, child->chunk, size);
    if (n < 0 && errno == EINTR) return;
    if (n < 0 && errno == EAGAIN) {
        child->left = 0;
        return;
    }
    if (n <= 0) {
        close(child->mark_fd);
        child->mark_fd = -1;
        return;
    }
    if (child->exited) child->left -= (size_t)n;
    child->end = child->chunk + n;
    child->reads++;
    child->since_ns = child->empty_ns;
    if ((size_t)n < size) child->empty_ns = now_ns;
}

static bool last_events(struct me_child *child, struct me_child_event *event)
{
    if (me_marks_finish(&child->marks, event)) return true;
    event->type = ME_CHILD_EXITED;
    event->exit_status = child->exit_status;
    return true;
}

/* Waits for bytes or the end; false: the time is up, or a signal came. */
static bool wait_for_news(struct me_child *child, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = child->pidfd, .events = POLLIN}, {.fd = child->mark_fd, .events = POLLIN}};
    if (!child->exited && !poll(fds, 2, 0)) { /* so that we know whether the news was there already */
        int news = poll(fds, 2, timeout_ms);
        child->empty_ns = me_clock_mono_ns();
        if (news <= 0) return false;
    }
    if (fds[0].revents) look_for_exit(child);
    if (child->exited || fds[1].revents) read_pipe(child);
    return true;
}

static int remaining_ms(int64_t deadline_ns)
{
    int64_t left_ns = deadline_ns - me_clock_mono_ns();
    return left_ns > 0 ? (int)((left_ns + 999999) / 1000000) : 0;
}

/* Also after the exit: what was left behind may go on printing until release. */
static void trim_outputs(struct me_child *child)
{
    int64_t now_ns = me_clock_mono_ns();
    if (now_ns < child->trim_ns) return;
    child->pours = false;
    for (int i = 0; i < 2; i++)
        if (me_output_trim(&child->outputs[i])) child->pours = true;
    child->trim_ns = now_ns + (int64_t)(child->pours ? TRIM_SOON_MS : TRIM_MS) * 1000000;
}

bool me_child_disk_was_full(const struct me_child *child)
{
    return child->outputs[0].disk_full || child->outputs[1].disk_full;
}

void me_child_wait(struct me_child *child, int timeout_ms, struct me_child_event *event)
{
    int64_t deadline_ns = me_clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    *event = (struct me_child_event){.type = ME_CHILD_NOTHING};
    for (bool first = true;; first = false) {
        trim_outputs(child);
        if (me_marks_take(&child->marks, &child->at, child->end, event)) {
            event->read = child->reads;
            event->since_ns = child->since_ns;
            return;
        }
        if (child->exited && (child->mark_fd < 0 || !child->left) && last_events(child, event)) return;
        int left_ms = remaining_ms(deadline_ns);
        if (!first && !left_ms && !child->exited) return; /* also when bytes without an end pour in */
        int slice_ms = child->pours && left_ms > TRIM_SOON_MS ? TRIM_SOON_MS : left_ms;
        if (!wait_for_news(child, slice_ms) && slice_ms == left_ms) return;
    }
}

/* Reaps the dead among the children that the workload left to us. */
static void reap(struct me_child *child)
{
    struct me_pids children = {.pids = NULL};
    struct rusage used;
    me_descend_children(&child->root, 0, &children);
    for (size_t i = 0; i < children.count; i++)
        if (children.pids[i] != child->pid && !me_pids_has(&child->before, children.pids[i]) &&
            wait4(children.pids[i], NULL, WNOHANG, &used) > 0)
            me_usage_add(&child->usage, &used);
    me_pids_release(&children);
}

int me_child_usage(struct me_child *child, struct me_child_usage *usage)
{
    struct rusage own = {.ru_maxrss = 0};
    if (!child->exited) return -1;
    reap(child); /* here and not at the exit, whose moment is an edge of the measurement */
    *usage = child->usage;
    getrusage(RUSAGE_SELF, &own);
    if (usage->max_rss_bytes <= (uint64_t)own.ru_maxrss * 1024) usage->max_rss_bytes = 0;
    return 0;
}

/* Sends the signal to all that is left; returns how many there were that it could be sent to, and adds
 * those that *sent has not yet. */
static size_t signal_all(struct me_child *child, int signal_number, struct me_pids *sent)
{
    struct me_pids left = {.pids = NULL};
    size_t reached = 0;
    me_descend_all(&child->root, &child->before, &left);
    for (size_t i = 0; i < left.count; i++) {
        if (kill(left.pids[i], signal_number)) continue;
        reached++;
        if (sent && !me_pids_has(sent, left.pids[i])) me_pids_add(sent, left.pids[i]);
    }
    me_pids_release(&left);
    return reached;
}

/* Until nothing is left: a process may have forked between our look and our signal, and its children
 * become ours. Ends after KILL_MS for the sake of one that hangs in the kernel. */
static void kill_all(struct me_child *child, struct me_pids *killed)
{
    int64_t deadline_ns = me_clock_mono_ns() + (int64_t)KILL_MS * 1000000;
    while (signal_all(child, SIGKILL, killed) && remaining_ms(deadline_ns)) {
        kill(-child->pid, SIGKILL); /* the kernel misses none of the group that is just forking */
        poll(NULL, 0, 1);
        reap(child);
    }
    reap(child);
    look_for_exit(child);
}

/* Once to each, since many programs take a second SIGTERM for impatience: the group at a stroke, then
 * those that have left it. */
static void terminate_all(struct me_child *child)
{
    struct me_pids left = {.pids = NULL};
    kill(-child->pid, SIGTERM);
    me_descend_all(&child->root, &child->before, &left);
    for (size_t i = 0; i < left.count; i++)
        if (getpgid(left.pids[i]) != child->pid) kill(left.pids[i], SIGTERM);
    me_pids_release(&left);
    signal_all(child, SIGCONT, NULL); /* a stopped process would not take notice */
}

void me_child_stop(struct me_child *child, int grace_ms)
{
    int64_t deadline_ns = me_clock_mono_ns() + (int64_t)grace_ms * 1000000;
    terminate_all(child);
    while (remaining_ms(deadline_ns)) {
        struct pollfd end = {.fd = child->exited ? -1 : child->pidfd, .events = POLLIN};
        poll(&end, 1, LOOK_MS);
        trim_outputs(child);
        look_for_exit(child);
        reap(child);
        if (!signal_all(child, 0, NULL)) break;
    }
    kill_all(child, NULL);
}

int me_child_release(struct me_child *child)
{
    if (!child) return 0;
    struct me_pids killed = {.pids = NULL};
    kill_all(child, &killed);
    int strays = (int)killed.count - me_pids_has(&killed, child->pid);
    me_watcher_end(&child->watcher); /* while the group's number is still ours */
    waitpid(child->pid, NULL, child->exited ? 0 : WNOHANG);
    me_pids_release(&killed);
    close_child(child);
    return strays;
}
