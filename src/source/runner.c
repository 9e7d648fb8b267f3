#include "runner.h"
#include "me/clock.h"
#include "runner_serve.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_MS = 3000 }; /* beyond the deadline, for the runner to end what it started */

struct me_runner {
    pid_t pid;
    int socket;
    uint32_t number;
    struct me_runner_request request;
    struct me_runner_answer answer;
};

static bool is_stripped(const char *entry, char *const *names)
{
    static const char *const locale = "LC_ALL";
    size_t len = strcspn(entry, "=");
    if (len == strlen(locale) && !strncmp(entry, locale, len)) return true;
    for (; names && *names; names++)
        if (len == strlen(*names) && !strncmp(entry, *names, len)) return true;
    return false;
}

/* Pointers only: the strings stay where they are. */
static char **make_environment(char *const *strip_env)
{
    size_t count = 0, n = 0;
    while (environ[count]) count++;
    char **made = calloc(count + 2, sizeof *made);
    if (!made) return NULL;
    for (size_t i = 0; i < count; i++)
        if (!is_stripped(environ[i], strip_env)) made[n++] = environ[i];
    made[n] = (char *)"LC_ALL=C";
    return made;
}

/* _Fork and not fork: no handler of a library's (pthread_atfork) runs, and the child keeps to calls that
 * are safe after it. */
static int fork_runner(struct me_runner *runner, struct me_runner_serve *serve, struct me_error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return me_fail_errno(err, ME_E_RUN, errno, "socketpair for a meter's command");
    serve->socket = ends[1];
    runner->socket = ends[0];
    runner->pid = _Fork();
    if (!runner->pid) me_runner_serve(serve);
    int reason = errno;
    close(ends[1]);
    if (runner->pid > 0) return 0;
    return me_fail_errno(err, ME_E_RUN, reason, "cannot start a process for a meter's command");
}

int me_runner_start(struct me_runner **out, char *const *strip_env, struct me_error *err)
{
    struct me_runner *runner = calloc(1, sizeof *runner);
    struct me_runner_serve *serve = calloc(1, sizeof *serve);
    int rc = -1;
    if (!runner || !serve || !(serve->environment = make_environment(strip_env))) {
        me_fail(err, ME_E_RUN, "no memory for a meter's command");
        goto out;
    }
    runner->socket = serve->root.fd = -1;
    serve->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (serve->null_fd < 0) {
        me_fail_errno(err, ME_E_RUN, errno, "/dev/null");
        goto out;
    }
    if (!me_root_open(&serve->root, "/", err)) rc = fork_runner(runner, serve, err);
    close(serve->null_fd);
    me_root_close(&serve->root);
out:
    if (serve) free(serve->environment);
    free(serve);
    if (rc) {
        if (runner && runner->socket >= 0) close(runner->socket);
        free(runner);
        return -1;
    }
    *out = runner;
    return 0;
}

/* Returns the length of all words, or 0 if they are too long. */
static size_t join_words(const char *const *argv, char *words, size_t size)
{
    size_t used = 0;
    for (; *argv; argv++) {
        size_t len = strlen(*argv) + 1;
        if (len > size - used) return 0;
        memcpy(words + used, *argv, len);
        used += len;
    }
    return used;
}

/* An answer that an earlier call did not wait for is passed over. Returns its text's length or -errno. */
static int receive(struct me_runner *runner, int64_t deadline_ns)
{
    const size_t head = offsetof(struct me_runner_answer, text);
    for (;;) {
        struct pollfd fds = {.fd = runner->socket, .events = POLLIN};
        int64_t left_ns = deadline_ns - me_clock_mono_ns();
        if (left_ns <= 0) return -ETIMEDOUT;
        if (poll(&fds, 1, (int)(left_ns / 1000000) + 1) <= 0) continue;
        ssize_t n = recv(runner->socket, &runner->answer, sizeof runner->answer, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < (ssize_t)head) return -EPIPE;
        if (runner->answer.number == runner->number) return (int)((size_t)n - head);
    }
}

static int status_error(int status)
{
    if (WIFEXITED(status) && !WEXITSTATUS(status)) return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127) return ENOENT;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 126) return EACCES;
    return EIO;
}

int me_runner_run(struct me_runner *runner, const char *const *argv, double seconds, char *text, size_t size)
{
    size_t words = join_words(argv, runner->request.words, sizeof runner->request.words);
    if (!words) return -E2BIG;
    runner->request.number = ++runner->number;
    runner->request.timeout_ms = (int32_t)(seconds * 1e3);
    int64_t deadline_ns = me_clock_mono_ns() + (int64_t)(seconds * 1e9) + GRACE_MS * INT64_C(1000000);
    ssize_t sent = send(runner->socket, &runner->request, offsetof(struct me_runner_request, words) + words,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) return errno == EAGAIN ? -EBUSY : -EPIPE;
    int len = receive(runner, deadline_ns);
    if (len < 0) return len;
    int error = runner->answer.error ? runner->answer.error : status_error(runner->answer.status);
    if (!error && (size_t)len >= size) error = EFBIG;
    if (error) return -error;
    memcpy(text, runner->answer.text, (size_t)len);
    text[len] = '\0';
    return len;
}

/* Waits until it has ended, or the time is up. Only ever for this one child. */
static bool reap(pid_t pid, int ms)
{
    int64_t deadline_ns = me_clock_mono_ns() + ms * INT64_C(1000000);
    for (;;) {
        pid_t ended = waitpid(pid, NULL, WNOHANG);
        if (ended == pid || (ended < 0 && errno != EINTR)) return true;
        if (me_clock_mono_ns() > deadline_ns) return false;
        poll(NULL, 0, 1);
    }
}

void me_runner_stop(struct me_runner *runner)
{
    if (!runner) return;
    close(runner->socket); /* it sees this and ends */
    if (!reap(runner->pid, GRACE_MS)) {
        kill(runner->pid, SIGKILL);
        reap(runner->pid, GRACE_MS);
    }
    free(runner);
}
