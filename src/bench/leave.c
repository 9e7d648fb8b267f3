/* Leaving where ranks are lost. MPI_Finalize would wait for them without end, and an mpirun of Open MPI 4 that misses a
 * daemon does not end by itself. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"
#include "me/root.h"

#define OTHERS_MS         300  /* the others leave too, and remove their journals */
#define LAUNCHER_GRACE_MS 4000 /* mpirun ends by itself then, or at SIGTERM, or so long later by SIGKILL */
#define CONNECTIONS_MAX   4096
#define LAUNCHER_TERM_MS  3000

static bool is_named(pid_t pid, const char *const *names)
{
    char path[32], name[32] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool there = fgets(name, sizeof name, file) != NULL;
    fclose(file);
    name[strcspn(name, "\n")] = '\0';
    for (; there && *names; names++)
        if (!strcmp(name, *names)) return true;
    return false;
}

static bool is_launcher(pid_t pid)
{
    static const char *const names[] = {"mpirun", "mpiexec", "orterun", "prterun", "orted", "prted", NULL};
    return is_named(pid, names);
}

static bool has_ended(int pidfd, int wait_ms)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    return poll(&end, 1, wait_ms) > 0;
}

/* The connections to its machines: one to a machine that hangs would stay behind it. */
static size_t list_connections(pid_t launcher, pid_t *pids, size_t room)
{
    static const char *const names[] = {"ssh", "agent", NULL};
    char path[64];
    size_t n = 0;
    int pid;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)launcher, (int)launcher);
    FILE *file = fopen(path, "re");
    while (file && n < room && fscanf(file, "%d", &pid) == 1)
        if (is_named(pid, names)) pids[n++] = pid;
    if (file) fclose(file);
    return n;
}

static void see_off(pid_t launcher, int pidfd)
{
    static const char *const names[] = {"ssh", "agent", NULL};
    pid_t pids[CONNECTIONS_MAX];
    if (has_ended(pidfd, LAUNCHER_GRACE_MS)) return;
    size_t n = list_connections(launcher, pids, CONNECTIONS_MAX);
    syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
    if (!has_ended(pidfd, LAUNCHER_TERM_MS)) syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    has_ended(pidfd, LAUNCHER_TERM_MS);
    for (size_t i = 0; i < n; i++)
        if (is_named(pids[i], names)) kill(pids[i], SIGTERM);
}

/* By a process that is nobody's child any more and holds none of our files: the launcher waits for their end. */
static void watch_launcher(void)
{
    struct me_root root = {.fd = -1};
    pid_t launcher = me_root_open(&root, "/", NULL) ? 0 : me_root_launcher(&root);
    me_root_close(&root);
    int pidfd = launcher > 1 && is_launcher(launcher) ? (int)syscall(SYS_pidfd_open, launcher, 0) : -1;
    pid_t child = pidfd < 0 ? -1 : fork();
    if (child == 0) {
        if (setsid() < 0 || fork()) _exit(0);
        dup2(pidfd, 0);
        closefrom(1);
        see_off(launcher, 0);
        _exit(0);
    }
    if (child > 0) waitpid(child, NULL, 0);
    if (pidfd >= 0) close(pidfd);
}

void me_leave(bool ends_launcher, int code)
{
    fflush(NULL);
    if (ends_launcher) {
        poll(NULL, 0, OTHERS_MS);
        watch_launcher();
    }
    _exit(code);
}
