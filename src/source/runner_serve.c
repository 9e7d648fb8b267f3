#include "runner_serve.h"
#include "me/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOCKET = 3, ROOT = 4, FIRST_FREE = 5, ABOVE = 10, FDS_MAX = 4096, KILL_MS = 500 };

struct job {
    pid_t pid;
    int pidfd, output;
    size_t len;
    int64_t deadline_ns;
    bool ended;
};

static void close_from(unsigned first)
{
    if (syscall(SYS_close_range, first, ~0u, 0)) /* refused by an old container engine */
        for (unsigned fd = first; fd < FDS_MAX; fd++) close((int)fd);
}

/* Nothing that the program had open stays open here: a pipe to ssh would hold the whole run up. */
static void settle(struct me_runner_serve *serve)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    setsid();
    for (int s = 1; s < NSIG; s++) sigaction(s, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "me_runner");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int fds[] = {serve->null_fd, serve->socket, serve->root.fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) /* above what the next lines overwrite */
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, ABOVE);
    for (int fd = 0; fd < SOCKET; fd++) dup2(fds[0], fd);
    dup3(fds[1], SOCKET, O_CLOEXEC);
    dup3(fds[2], ROOT, O_CLOEXEC);
    close_from(FIRST_FREE);
    serve->socket = SOCKET;
    serve->root.fd = ROOT;
}

/* Kills our children; theirs become ours, since we are a subreaper. */
static void kill_children(struct me_runner_serve *serve)
{
    char text[1024];
    int fd = me_root_openat(&serve->root, "proc/thread-self/children");
    if (fd < 0) return;
    ssize_t n = read(fd, text, sizeof text); /* more of them are found by the next look */
    close(fd);
    pid_t pid = 0;
    for (ssize_t i = 0; i < n; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            pid = pid * 10 + (text[i] - '0');
            continue;
        }
        if (pid > 1) kill(pid, SIGKILL);
        pid = 0;
    }
}

/* Until none is left; bounded, for the sake of one that hangs in the kernel. All children here are the
 * commands' own, so any may be waited for. Returns 0 or EBUSY. */
static int end_children(struct me_runner_serve *serve)
{
    int64_t deadline_ns = me_clock_mono_ns() + KILL_MS * INT64_C(1000000);
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD) return 0;
        if (pid > 0) continue;
        if (me_clock_mono_ns() > deadline_ns) return EBUSY;
        kill_children(serve);
        poll(NULL, 0, 1);
    }
}

/* Words that each end in a NUL, `len` bytes of them, made an argument vector. */
static int split_words(struct me_runner_request *request, size_t len, char **argv)
{
    size_t argc = 0;
    if (!len || request->words[len - 1]) return EINVAL;
    for (char *at = request->words; at < request->words + len; at += strlen(at) + 1) {
        if (argc == ME_RUNNER_ARGS) return E2BIG;
        argv[argc++] = at;
    }
    argv[argc] = NULL;
    return 0;
}

static _Noreturn void exec_command(char **argv, char **environment, int output)
{
    setpgid(0, 0);
    dup2(output, 1);
    close_from(3);
    execve(argv[0], argv, environment);
    _exit(errno == EACCES ? 126 : 127);
}

static int start_job(struct me_runner_serve *serve, char **argv, struct job *job)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK)) return errno;
    fcntl(ends[1], F_SETFL, 0); /* only our end must not block */
    job->output = ends[0];
    job->pid = _Fork(); /* not vfork: a program on a dead file system would hold us up too */
    if (!job->pid) exec_command(argv, serve->environment, ends[1]);
    int error = job->pid < 0 ? errno : 0;
    close(ends[1]);
    if (error) return error;
    job->pidfd = (int)syscall(SYS_pidfd_open, job->pid, 0);
    return job->pidfd < 0 ? errno : 0;
}

/* Takes what the pipe holds. 0, or an errno. */
static int drain(struct me_runner_serve *serve, struct job *job)
{
    for (;;) {
        ssize_t n = read(job->output, serve->answer.text + job->len, sizeof serve->answer.text - job->len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN ? 0 : errno;
        if (!n) {
            close(job->output);
            job->output = -1;
            return 0;
        }
        job->len += (size_t)n;
        if (job->len == sizeof serve->answer.text) return EFBIG;
    }
}

static int wait_job(struct me_runner_serve *serve, struct job *job)
{
    while (!job->ended) {
        struct pollfd fds[] = {{.fd = job->pidfd, .events = POLLIN},
                               {.fd = job->output, .events = POLLIN},
                               {.fd = serve->socket, .events = POLLRDHUP}};
        int64_t left_ns = job->deadline_ns - me_clock_mono_ns();
        if (left_ns <= 0) return ETIMEDOUT;
        if (poll(fds, 3, (int)(left_ns / 1000000) + 1) <= 0) continue;
        if (fds[2].revents) return EPIPE;
        job->ended = fds[0].revents != 0; /* looked at first: what it wrote is in the pipe by then */
        int error = job->output >= 0 ? drain(serve, job) : 0;
        if (error) return error;
    }
    return 0;
}

static int run_job(struct me_runner_serve *serve, size_t words_len, size_t *len)
{
    struct job job = {.pid = -1, .pidfd = -1, .output = -1};
    char *argv[ME_RUNNER_ARGS + 1];
    int error = end_children(serve);
    if (!error) error = split_words(&serve->request, words_len, argv);
    if (error) return error;
    job.deadline_ns = me_clock_mono_ns() + serve->request.timeout_ms * INT64_C(1000000);
    error = start_job(serve, argv, &job);
    if (!error) error = wait_job(serve, &job);
    if (job.pid > 0) {
        kill(-job.pid, SIGKILL); /* not waited for yet: the number is still its group's */
        serve->answer.status = -1;
        if (job.ended) waitpid(job.pid, &serve->answer.status, 0);
        end_children(serve);
    }
    if (job.pidfd >= 0) close(job.pidfd);
    if (job.output >= 0) close(job.output);
    *len = job.len;
    return error;
}

_Noreturn void me_runner_serve(struct me_runner_serve *serve)
{
    settle(serve);
    for (;;) {
        ssize_t n = recv(serve->socket, &serve->request, sizeof serve->request, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < (ssize_t)offsetof(struct me_runner_request, words)) break;
        size_t len = 0;
        serve->answer.number = serve->request.number;
        serve->answer.status = 0;
        serve->answer.error = run_job(serve, (size_t)n - offsetof(struct me_runner_request, words), &len);
        if (serve->answer.error) len = 0;
        if (send(serve->socket, &serve->answer, offsetof(struct me_runner_answer, text) + len, MSG_NOSIGNAL) <
            0)
            break;
    }
    end_children(serve);
    _exit(0);
}
