#include "me/launch.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "environment.h"
#include "me/buffer.h"
#include "me/clock.h"

extern char **environ;

static int read_file(const char *path, struct me_buffer *text, struct me_error *err)
{
    char bytes[4096];
    size_t n;
    FILE *file = fopen(path, "re");
    if (!file) return me_fail_errno(err, ME_E_INPUT, errno, "%s (made by me hosts)", path);
    me_buffer_puts(text, "");
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0) me_buffer_append(text, bytes, n);
    int failed = ferror(file) || text->failed;
    fclose(file);
    return failed ? me_fail(err, ME_E_RUN, "%s: cannot be read", path) : 0;
}

/* In the child. Its own process group: Ctrl-C reaches us alone, and we tell it in order. Its input is
 * empty: a background group that reads the terminal would be stopped. */
static void become(char *const *argv, char *const *environment, const sigset_t *old, pid_t parent, int report)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(255);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, STDIN_FILENO);
    sigprocmask(SIG_SETMASK, old, NULL);
    execvpe(argv[0], argv, environment);
    int error = errno;
    if (write(report, &error, sizeof error) < 0) _exit(254);
    _exit(255);
}

static int start(char *const *argv, char *const *environment, const sigset_t *old, pid_t *pid,
                 struct me_error *err)
{
    int ends[2], error = 0;
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC)) return me_fail_errno(err, ME_E_RUN, errno, "%s", argv[0]);
    *pid = fork();
    if (*pid == 0) become(argv, environment, old, parent, ends[1]);
    int fork_error = errno;
    close(ends[1]);
    ssize_t n = *pid > 0 ? read(ends[0], &error, sizeof error) : 0; /* nothing comes if exec succeeds */
    close(ends[0]);
    if (*pid < 0) return me_fail_errno(err, ME_E_RUN, fork_error, "%s", argv[0]);
    if (n <= 0) return 0;
    waitpid(*pid, NULL, 0);
    if (error == ENOENT)
        return me_fail(err, ME_E_RUN, "%s is not in PATH; run: apt-get install openmpi-bin", argv[0]);
    return me_fail_errno(err, ME_E_RUN, error, "%s", argv[0]);
}

/* First the orderly end, then mpirun's own, then the end. */
static void pass_signal(pid_t pid, int times)
{
    if (times <= 2)
        kill(pid, times == 1 ? SIGUSR1 : SIGTERM);
    else
        kill(-pid, SIGKILL);
}

/* Once a stop was asked for, mpirun has `patience_s`; then the next harder signal follows by itself. With a
 * machine cut off, Open MPI 4.1 would wait for it without end. */
static int wait_for(pid_t pid, const sigset_t *set, double patience_s, const struct me_launch_watch *watch)
{
    static const struct timespec look = {.tv_sec = 1};
    int64_t harder_ns = INT64_MAX;
    int status = 0, times = 0;
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR)) break;
        int signal_number = sigtimedwait(set, NULL, &look);
        bool asked = signal_number > 0 && signal_number != SIGCHLD;
        if (harder_ns == INT64_MAX && !asked && watch && watch->is_over(watch->context)) {
            times = 1; /* nothing is left that an orderly end would ask */
            harder_ns = me_clock_mono_ns() + (int64_t)(patience_s * 1e9);
        }
        if (!asked && me_clock_mono_ns() < harder_ns) continue;
        pass_signal(pid, ++times);
        harder_ns = me_clock_mono_ns() + (int64_t)(patience_s * 1e9);
    }
    kill(-pid, SIGKILL); /* what it left: the ssh of a machine that hangs */
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int me_launch_run(char *const *argv, const char *env_file, char *const *strip_env, double patience_s,
                  const struct me_launch_watch *watch, int *status, struct me_error *err)
{
    struct me_buffer text = ME_BUFFER_INIT;
    char **environment = NULL;
    sigset_t set, old;
    pid_t pid = -1;
    int rc = read_file(env_file, &text, err);
    if (!rc) rc = me_environment_build(text.data, env_file, environ, strip_env, &environment, err);
    me_buffer_release(&text);
    if (rc) return -1;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &old);
    rc = start(argv, environment, &old, &pid, err);
    if (!rc) *status = wait_for(pid, &set, patience_s, watch);
    sigprocmask(SIG_SETMASK, &old, NULL);
    me_environment_free(environment);
    return rc;
}
