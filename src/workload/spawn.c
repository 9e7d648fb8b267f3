#include "spawn.h"
#include "environment.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STDIN, STDOUT, STDERR, MARK = ME_ENVIRONMENT_MARK_FD, REPORT, FD_COUNT };
enum { ABOVE = 10, STACK_SIZE = 64 * 1024, FDS_MAX = 4096 };

struct spawn {
    char path[PATH_MAX];
    char *const *argv;
    const char *folder; /* to run in; NULL: ours */
    char **shell_argv;  /* /bin/sh PATH ARGS: for a script without a #! line */
    char **environment;
    int fds[FD_COUNT];      /* what becomes 0, 1, 2, ... in the child; all at or above ABOVE */
    int mark_fd, report_fd; /* our ends */
    struct me_affinity affinity;
    pid_t parent;
    void *stack;
};

static bool is_program(const char *path)
{
    struct stat file;
    return !stat(path, &file) && S_ISREG(file.st_mode) && !access(path, X_OK);
}

int me_spawn_find(const char *command, char *path, size_t size, struct me_error *err)
{
    if (strlen(command) >= size)
        return me_fail(err, ME_E_RUN, "cannot run %.64s...: its name is too long", command);
    if (strchr(command, '/')) {
        memcpy(path, command, strlen(command) + 1);
        return 0;
    }
    const char *at = getenv("PATH");
    if (!at || !*at) at = "/usr/local/bin:/usr/bin:/bin";
    while (*command) {
        char candidate[PATH_MAX];
        int dir_len = (int)strcspn(at, ":");
        int len =
            snprintf(candidate, sizeof candidate, "%.*s%s%s", dir_len, at, dir_len ? "/" : "./", command);
        if (len > 0 && (size_t)len < sizeof candidate && (size_t)len < size && is_program(candidate)) {
            memcpy(path, candidate, (size_t)len + 1);
            return 0;
        }
        if (!at[dir_len]) break;
        at += dir_len + 1;
    }
    return me_fail(err, ME_E_RUN, "cannot run '%s': there is no such command in PATH", command);
}

/* To the parent: why it did not come to run; negative if the folder was to blame. */
static void report(int reason)
{
    if (write(REPORT, &reason, sizeof reason) < 0) _exit(126);
    _exit(127);
}

/* The child. Memory is shared with the parent, which stands still until we exec or exit: system calls
 * only, and nothing of the parent's is written but errno. */
static int run_child(void *argument)
{
    const struct spawn *spawn = argument;
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != spawn->parent) _exit(127); /* it died before we asked to be told */
    setpgid(0, 0);
    for (int s = 1; s < NSIG; s++) sigaction(s, &action, NULL);
    for (int i = 0; i < REPORT; i++) dup2(spawn->fds[i], i);
    dup3(spawn->fds[REPORT], REPORT, O_CLOEXEC);
    if (syscall(SYS_close_range, FD_COUNT, ~0u, 0)) /* refused by an old container engine */
        for (int fd = FD_COUNT; fd < FDS_MAX; fd++) close(fd);
    me_affinity_apply(&spawn->affinity);
    if (spawn->folder && chdir(spawn->folder)) report(-errno);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(spawn->path, spawn->argv, spawn->environment);
    if (errno == ENOEXEC) execve("/bin/sh", spawn->shell_argv, spawn->environment);
    report(errno);
    return 127;
}

/* Takes over `fd`: the same open file at a number that no dup2 of the child overwrites. */
static int lift(int fd)
{
    if (fd < 0 || fd >= ABOVE) return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);
    int reason = errno;
    close(fd);
    errno = reason;
    return high;
}

static int open_pipe(int *reading, int *writing)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return -1;
    *reading = lift(ends[0]);
    *writing = lift(ends[1]);
    return *reading < 0 || *writing < 0 ? -1 : 0;
}

static int open_log(const char *path, struct me_error *err)
{
    /* Appending, so that one file can take both streams, and what a program printed is never overwritten. */
    int fd = lift(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666));
    return fd < 0 ? me_fail_errno(err, ME_E_RUN, errno, "%s", path) : fd;
}

static int open_files(struct spawn *spawn, const struct me_child_options *options, struct me_error *err)
{
    spawn->fds[STDIN] = lift(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (spawn->fds[STDIN] < 0) return me_fail_errno(err, ME_E_RUN, errno, "/dev/null");
    if ((spawn->fds[STDOUT] = open_log(options->stdout_path, err)) < 0) return -1;
    if ((spawn->fds[STDERR] = open_log(options->stderr_path, err)) < 0) return -1;
    if (open_pipe(&spawn->mark_fd, &spawn->fds[MARK]) || open_pipe(&spawn->report_fd, &spawn->fds[REPORT]))
        return me_fail_errno(err, ME_E_RUN, errno, "cannot make a pipe to the workload");
    if (fcntl(spawn->mark_fd, F_SETFL, O_NONBLOCK)) return me_fail_errno(err, ME_E_RUN, errno, "fcntl");
    return 0;
}

static int make_shell_argv(struct spawn *spawn, struct me_error *err)
{
    size_t count = 0;
    while (spawn->argv[count]) count++;
    spawn->shell_argv = calloc(count + 2, sizeof(char *));
    if (!spawn->shell_argv) return me_fail(err, ME_E_RUN, "no memory for the command line");
    spawn->shell_argv[0] = (char *)"sh";
    spawn->shell_argv[1] = spawn->path;
    for (size_t i = 1; i < count; i++) spawn->shell_argv[i + 1] = spawn->argv[i];
    return 0;
}

/* As vfork, on a stack of its own: no page of ours is copied, neither now nor, write by write, while
 * the sampling thread works. Signals wait, so that no handler of ours runs in the child. */
static int start_child(struct spawn *spawn, pid_t *pid, struct me_error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t made = clone(run_child, (char *)spawn->stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, spawn);
    int reason = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (made < 0) return me_fail_errno(err, ME_E_RUN, reason, "cannot start a process for the workload");
    close(spawn->fds[REPORT]); /* ours; the child's is gone too once it runs the command */
    spawn->fds[REPORT] = -1;
    if (read(spawn->report_fd, &reason, sizeof reason) == (ssize_t)sizeof reason) {
        waitpid(made, NULL, 0);
        if (reason < 0)
            return me_fail_errno(err, ME_E_RUN, -reason, "cannot run '%s' in %s", spawn->path, spawn->folder);
        return me_fail_errno(err, ME_E_RUN, reason, "cannot run '%s'", spawn->path);
    }
    *pid = made;
    return 0;
}

static void release(struct spawn *spawn)
{
    for (int i = 0; i < FD_COUNT; i++)
        if (spawn->fds[i] >= 0) close(spawn->fds[i]);
    if (spawn->report_fd >= 0) close(spawn->report_fd);
    if (spawn->mark_fd >= 0) close(spawn->mark_fd);
    if (spawn->stack != MAP_FAILED) munmap(spawn->stack, STACK_SIZE);
    me_workload_environment_free(spawn->environment);
    free(spawn->shell_argv);
}

int me_spawn(const struct me_root *root, const struct me_child_options *options, pid_t *pid, int *mark_fd,
             struct me_error *err)
{
    struct spawn spawn = {.argv = options->argv,
                          .folder = options->folder,
                          .fds = {-1, -1, -1, -1, -1},
                          .mark_fd = -1,
                          .report_fd = -1,
                          .parent = getpid(),
                          .stack = MAP_FAILED};
    int rc = -1;
    if (!spawn.argv[0]) return me_fail(err, ME_E_RUN, "the workload's command is empty");
    if (me_spawn_find(spawn.argv[0], spawn.path, sizeof spawn.path, err)) goto out;
    if (make_shell_argv(&spawn, err)) goto out;
    if (me_workload_environment_make(environ, options, &spawn.environment, err)) goto out;
    if (options->cpus)
        spawn.affinity = options->cpus->affinity;
    else
        me_affinity_allocation(root, &spawn.affinity);
    spawn.stack =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (spawn.stack == MAP_FAILED) {
        me_fail_errno(err, ME_E_RUN, errno, "no memory for the workload's start");
        goto out;
    }
    if (open_files(&spawn, options, err)) goto out;
    if (start_child(&spawn, pid, err)) goto out;
    *mark_fd = spawn.mark_fd;
    spawn.mark_fd = -1;
    rc = 0;
out:
    release(&spawn);
    return rc;
}
