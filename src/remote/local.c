/* The local transport: the same contract without a network, for machine 0 and for tests. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "me/clock.h"
#include "me/remote.h"

extern char **environ;

struct me_remote {
    const atomic_bool *cancel;
    void (*heard)(void *context, const char *bytes, size_t len);
    void *context;
};

static int local_connect(struct me_remote **out, const struct me_machine *machine,
                         const struct me_remote_options *options, struct me_error *err)
{
    (void)machine;
    struct me_remote *remote = calloc(1, sizeof *remote);
    if (!remote) return me_fail(err, ME_E_RUN, "no memory");
    remote->cancel = options->cancel;
    remote->heard = options->heard;
    remote->context = options->context;
    *out = remote;
    return 0;
}

struct run {
    pid_t pid;
    int in, out, errout; /* our ends; -1 when closed */
    const struct me_buffer *input;
    size_t sent;
};

static void close_end(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static int start(struct run *run, const char *command)
{
    int ends[6] = {-1, -1, -1, -1, -1, -1};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    const char *const argv[] = {"sh", "-c", command, NULL};
    int error =
        pipe2(ends, O_CLOEXEC) || pipe2(ends + 2, O_CLOEXEC) || pipe2(ends + 4, O_CLOEXEC) ? errno : 0;
    if (!error) {
        sigemptyset(&none);
        posix_spawnattr_init(&attr);
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
        posix_spawn_file_actions_adddup2(&actions, ends[3], 1);
        posix_spawn_file_actions_adddup2(&actions, ends[5], 2);
        error = posix_spawn(&run->pid, "/bin/sh", &actions, &attr, (char *const *)argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attr);
    }
    close_end(&ends[0]);
    close_end(&ends[3]);
    close_end(&ends[5]);
    run->in = ends[1];
    run->out = ends[2];
    run->errout = ends[4];
    return error;
}

static void take(const struct me_remote *remote, int *fd, struct me_buffer *to)
{
    char bytes[16384];
    ssize_t n = read(*fd, bytes, sizeof bytes);
    if (n > 0 && remote->heard) remote->heard(remote->context, bytes, (size_t)n);
    if (n > 0 && to) me_buffer_append(to, bytes, (size_t)n);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) close_end(fd);
}

/* A reader that went away must not end us by SIGPIPE: the signal is held back and taken out again. */
static ssize_t write_quietly(int fd, const char *bytes, size_t len)
{
    sigset_t pipe_set, old;
    struct timespec zero = {0};
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
    ssize_t n = write(fd, bytes, len);
    int error = errno;
    if (n < 0 && error == EPIPE) sigtimedwait(&pipe_set, NULL, &zero);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = error;
    return n;
}

static void give(struct run *run)
{
    size_t left = run->input ? run->input->len - run->sent : 0;
    ssize_t n = left ? write_quietly(run->in, run->input->data + run->sent, left) : 0;
    if (n > 0) run->sent += (size_t)n;
    if (!left || (n < 0 && errno != EAGAIN && errno != EINTR)) close_end(&run->in);
}

/* false: the time is up. */
static bool converse(const struct me_remote *remote, struct run *run, struct me_buffer *out,
                     struct me_buffer *errout, int64_t deadline)
{
    const atomic_bool *cancel = remote->cancel;
    fcntl(run->in, F_SETFL, O_NONBLOCK);
    while (run->out >= 0 || run->errout >= 0) {
        int64_t left = deadline - me_clock_mono_ns();
        if (left <= 0 || (cancel && atomic_load(cancel))) return false;
        struct pollfd ends[3] = {{run->out, POLLIN, 0}, {run->errout, POLLIN, 0}, {run->in, POLLOUT, 0}};
        poll(ends, 3, left < ME_NS_PER_S / 10 ? (int)(left / 1000000) + 1 : 100);
        if (ends[0].revents) take(remote, &run->out, out);
        if (ends[1].revents) take(remote, &run->errout, errout);
        if (ends[2].revents) give(run);
    }
    return true;
}

static int local_exec(struct me_remote *remote, const char *command, const struct me_buffer *input,
                      double timeout_s, struct me_buffer *out, struct me_buffer *errout, int *status,
                      struct me_error *err)
{
    struct run run = {.in = -1, .out = -1, .errout = -1, .input = input};
    int64_t deadline = me_clock_mono_ns() + (int64_t)(timeout_s * (double)ME_NS_PER_S);
    int code = 0, rc = 0;
    int error = start(&run, command);
    if (error)
        rc = me_fail_errno(err, ME_E_MACHINE, error, "localhost: /bin/sh");
    else {
        bool ended = converse(remote, &run, out, errout, deadline);
        if (!ended) kill(-run.pid, SIGKILL);
        while (waitpid(run.pid, &code, 0) < 0 && errno == EINTR) continue;
        bool cancelled = remote->cancel && atomic_load(remote->cancel);
        if (!ended)
            rc = me_fail(err, ME_E_MACHINE, "localhost: a command there %s",
                         cancelled ? "was interrupted" : "timed out");
    }
    close_end(&run.in);
    close_end(&run.out);
    close_end(&run.errout);
    if (!rc) *status = WIFEXITED(code) ? WEXITSTATUS(code) : 255;
    return rc;
}

static int copy(int from, int to)
{
    char bytes[65536];
    ssize_t n;
    while ((n = read(from, bytes, sizeof bytes)) > 0)
        for (ssize_t at = 0; at < n;) {
            ssize_t done = write(to, bytes + at, (size_t)(n - at));
            if (done < 0) return -1;
            at += done;
        }
    return n < 0 ? -1 : 0;
}

static int local_put(struct me_remote *remote, const char *local_path, const char *remote_path, int mode,
                     struct me_error *err)
{
    (void)remote;
    char tmp[4096];
    int rc = -1, to = -1;
    snprintf(tmp, sizeof tmp, "%.4000s.part-XXXXXX", remote_path);
    int from = open(local_path, O_RDONLY | O_CLOEXEC);
    if (from < 0) return me_fail_errno(err, ME_E_RUN, errno, "%s", local_path);
    to = mkostemp(tmp, O_CLOEXEC);
    if (to >= 0) rc = copy(from, to) || fchmod(to, (mode_t)mode) ? -1 : 0;
    int error = errno;
    if (to >= 0 && close(to) && !rc) rc = -1, error = errno;
    if (!rc && rename(tmp, remote_path)) rc = -1, error = errno;
    if (rc) {
        if (to >= 0) unlink(tmp);
        me_fail_errno(err, ME_E_MACHINE, error, "localhost: cannot write %s", remote_path);
    }
    close(from);
    return rc;
}

static const char *no_text(const struct me_remote *remote)
{
    (void)remote;
    return "";
}

static void local_close(struct me_remote *remote)
{
    free(remote);
}

const struct me_remote_ops me_remote_local = {
    .name = "local",
    .connect = local_connect,
    .exec = local_exec,
    .put = local_put,
    .host_key = no_text,
    .local_address = no_text,
    .close = local_close,
};
