/* The tether between mpirun and a container: bytes that come as long as mpirun and every link between live (ssh, the
 * engine's client, the engine). `feed`, beside mpirun, sends one now and then; `hold` is the container's first process: it
 * starts the command, and when the tether breaks, or is silent for too long, it ends all. The engine then takes the
 * container away. So nothing outlives mpirun, whatever is killed, also without a word.
 *
 *     me_bench --tether feed PID
 *     me_bench --tether hold SECONDS COMMAND... */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"
#include "me/clock.h"

enum { FEED_MS = 2000, GRACE_MS = 3000, LOOK_MS = 100, NOT_RUN = 126, NOT_FOUND = 127 };

bool me_tether_is_wanted(int argc, char **argv)
{
    return argc > 3 && !strcmp(argv[1], "--tether");
}

static int parse(const char *text, const char *what, long min, long max, long *out, struct me_error *err)
{
    return me_parse_int(text, min, max, out)
               ? me_fail(err, ME_E_INPUT, "--tether: %.64s is no %s", text, what)
               : 0;
}

/* --- feed ---------------------------------------------------------------------------------------- */

static int pidfd_open_of(long pid)
{
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

/* Ends when the process does, or when nobody reads any more. */
static int feed(const char *text, struct me_error *err)
{
    long pid;
    if (parse(text, "process", 1, INT32_MAX, &pid, err)) return -1;
    int process = pidfd_open_of(pid);          /* -1: gone already, or an old kernel: then kill() tells */
    fcntl(STDOUT_FILENO, F_SETFL, O_NONBLOCK); /* a link that hangs does not hang us */
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct pollfd ends[2] = {{STDOUT_FILENO, 0, 0}, {process, POLLIN, 0}};
        if (write(STDOUT_FILENO, "\n", 1) < 0 && errno != EAGAIN) return 0;
        poll(ends, 2, FEED_MS);
        if (ends[0].revents || ends[1].revents || kill((pid_t)pid, 0)) return 0;
    }
}

/* --- hold ---------------------------------------------------------------------------------------- */

/* The command in a group of its own. The signals that we read from a descriptor are its own again. */
static pid_t start(char **argv, const sigset_t *before)
{
    pid_t pid = fork();
    if (pid) return pid;
    setpgid(0, 0);
    sigprocmask(SIG_SETMASK, before, NULL);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, STDIN_FILENO);
    execvp(argv[0], argv);
    dprintf(STDERR_FILENO, "me_bench: --tether: %s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? NOT_FOUND : NOT_RUN);
}

/* As a container's first process we get everybody's orphans. true: the command itself has ended. */
static bool reap(pid_t command, int *code)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != command) continue;
        *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return true;
    }
    return false;
}

static void end_all(pid_t command)
{
    int64_t until = me_clock_mono_ns() + GRACE_MS * (ME_NS_PER_S / 1000);
    int code;
    kill(-command, SIGTERM);
    while (!reap(command, &code) && me_clock_mono_ns() < until)
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_MS * (ME_NS_PER_S / 1000));
    kill(-command, SIGKILL);
    if (getpid() == 1) kill(-1, SIGKILL);
}

/* Takes what has come. false: the other end is gone. */
static bool hear(void)
{
    char bytes[256];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static int watch(pid_t command, int signals, int64_t silence_ns)
{
    int64_t heard_ns = me_clock_mono_ns();
    int code = 0;
    for (;;) {
        struct signalfd_siginfo info = {0};
        struct pollfd ends[2] = {{STDIN_FILENO, POLLIN, 0}, {signals, POLLIN, 0}};
        poll(ends, 2, 1000);
        bool ends_us = ends[1].revents && read(signals, &info, sizeof info) > 0 && info.ssi_signo != SIGCHLD;
        if (reap(command, &code)) return code;
        if (ends[0].revents && hear())
            heard_ns = me_clock_mono_ns();
        else if (ends[0].revents)
            ends_us = true;
        if (!ends_us && me_clock_mono_ns() - heard_ns < silence_ns) continue;
        end_all(command);
        return ME_E_RUN;
    }
}

static int hold(const char *text, char **argv, struct me_error *err)
{
    long seconds;
    sigset_t set, before;
    if (parse(text, "number of seconds", 1, 3600, &seconds, err)) return -1;
    if (!argv[0]) return me_fail(err, ME_E_INPUT, "--tether: no command");
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &before);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    pid_t command = signals < 0 ? -1 : start(argv, &before);
    if (command < 0) return me_fail_errno(err, ME_E_RUN, errno, "--tether");
    return watch(command, signals, seconds * ME_NS_PER_S);
}

int me_tether_run(char **argv, struct me_error *err)
{
    if (!strcmp(argv[2], "feed")) return feed(argv[3], err);
    if (!strcmp(argv[2], "hold")) return hold(argv[3], argv + 4, err);
    return me_fail(err, ME_E_INPUT, "--tether: %.64s is neither feed nor hold", argv[2]);
}
