/* Leaving where ranks are lost. MPI_Finalize would wait for them without end, MPI_Abort ends nobody where a job goes on
 * without its dead (orte_enable_recovery), and an mpirun of Open MPI 4 that misses a daemon does not end by itself. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

#define OTHERS_MS         300  /* the others leave too; then mpirun is asked to, */
#define LAUNCHER_GRACE_MS 4000 /* and so long later it is killed: its daemons see that, and end too */

static bool is_launcher(pid_t pid)
{
    static const char *const names[] = {"mpirun", "mpiexec", "orterun", "prterun"};
    char path[32], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool there = fgets(name, sizeof name, file) != NULL;
    fclose(file);
    name[strcspn(name, "\n")] = '\0';
    for (size_t i = 0; there && i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

static bool has_ended(int pidfd, int wait_ms)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    return poll(&end, 1, wait_ms) > 0;
}

/* By a process that is nobody's child any more and holds none of our files: the launcher waits for their end. */
static void watch_launcher(int pidfd)
{
    pid_t child = fork();
    if (child == 0) {
        if (setsid() < 0 || fork()) _exit(0);
        dup2(pidfd, 0);
        closefrom(1);
        if (!has_ended(0, LAUNCHER_GRACE_MS)) syscall(SYS_pidfd_send_signal, 0, SIGKILL, NULL, 0);
        _exit(0);
    }
    if (child > 0) waitpid(child, NULL, 0);
}

/* While we still live: of a job that goes on without its dead it would tell the exit status 0 when we have gone. */
static void end_launcher(void)
{
    pid_t launcher = getppid();
    int pidfd = is_launcher(launcher) ? (int)syscall(SYS_pidfd_open, launcher, 0) : -1;
    if (pidfd < 0) return;
    poll(NULL, 0, OTHERS_MS);
    watch_launcher(pidfd);
    syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
    has_ended(pidfd, LAUNCHER_GRACE_MS / 2);
}

void me_leave(bool is_head, int code)
{
    fflush(NULL);
    if (is_head) end_launcher();
    _exit(code);
}
