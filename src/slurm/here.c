#include "me/slurm.h"
#include "me/clock.h"
#include "me/options.h"
#include "me/root.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void take(const char *name, char *text, size_t size)
{
    const char *value = getenv(name);
    snprintf(text, size, "%s", value ? value : "");
}

bool me_slurm_job_here(struct me_batch_job *job)
{
    char restarts[16];
    long number;
    *job = (struct me_batch_job)ME_BATCH_JOB_UNKNOWN;
    take("SLURM_JOB_ID", job->id, sizeof job->id);
    if (!job->id[0]) return false;
    take("SLURM_CLUSTER_NAME", job->cluster, sizeof job->cluster);
    take("SLURM_JOB_PARTITION", job->partition, sizeof job->partition);
    take("SLURM_JOB_NODELIST", job->nodes, sizeof job->nodes);
    take("SLURM_ARRAY_JOB_ID", job->array_job, sizeof job->array_job);
    take("SLURM_ARRAY_TASK_ID", job->array_task, sizeof job->array_task);
    take("SLURM_RESTART_COUNT", restarts, sizeof restarts);
    if (!me_parse_int(restarts, 0, 1000000, &number)) job->restarts = (int)number;
    return true;
}

bool me_slurm_is_step(void)
{
    struct me_root root;
    char path[48], name[64];
    bool is_step = false;
    if (getppid() <= 0 || me_root_open(&root, "/", NULL)) return false;
    snprintf(path, sizeof path, "proc/%d/comm", (int)getppid());
    if (me_root_read(&root, path, name, sizeof name) > 0) is_step = !strcmp(name, "slurmstepd");
    me_root_close(&root);
    return is_step;
}

/* Standard output into the pipe, all else nowhere; signals as they come. 0, or why not. */
static int start(const char *const *argv, int out, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

/* Until it closes its output; false: it did not in time. */
static bool read_all(int fd, int64_t end_ns, struct me_buffer *out)
{
    for (;;) {
        int64_t left_ms = (end_ns - me_clock_mono_ns()) / 1000000;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left_ms <= 0) return false;
        int ready = poll(&wait, 1, (int)left_ms);
        if (ready < 0 && errno != EINTR) return false;
        if (ready <= 0) continue;
        char piece[8192];
        ssize_t n = read(fd, piece, sizeof piece);
        if (n == 0) return true;
        if (n > 0) me_buffer_append(out, piece, (size_t)n);
        if (n < 0 && errno != EINTR) return false;
    }
}

int me_slurm_ask(const char *const *argv, double timeout_s, struct me_buffer *out, struct me_error *err)
{
    int pipe_fds[2], status = -1;
    pid_t pid;
    int64_t end_ns = me_clock_mono_ns() + (int64_t)(timeout_s * 1e9);
    if (pipe2(pipe_fds, O_CLOEXEC)) return me_fail_errno(err, ME_E_RUN, errno, "%s", argv[0]);
    int failed = start(argv, pipe_fds[1], &pid);
    close(pipe_fds[1]);
    if (failed) {
        close(pipe_fds[0]);
        return me_fail_errno(err, ME_E_RUN, failed, "%s", argv[0]);
    }
    bool whole = read_all(pipe_fds[0], end_ns, out);
    close(pipe_fds[0]);
    if (!whole) kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    me_buffer_append(out, "", 0);
    if (!whole) return me_fail(err, ME_E_RUN, "%s: no answer within %g s", argv[0], timeout_s);
    if (!WIFEXITED(status) || WEXITSTATUS(status) || out->failed)
        return me_fail(err, ME_E_RUN, "%s %s: it failed", argv[0], argv[1] ? argv[1] : "");
    return 0;
}
