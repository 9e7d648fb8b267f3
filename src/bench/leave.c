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

#define OTHERS_MS         300  /* the others leave too, and remove their journals */
#define LAUNCHER_GRACE_MS 4000 /* mpirun ends by itself then, or at SIGTERM, or so long later by SIGKILL */
#define LAUNCHER_TERM_MS  3000

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

static pid_t parent_of(pid_t pid)
{
    char path[32], text[512];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[n] = '\0';
    const char *paren = strrchr(text, ')');
    return paren && sscanf(paren + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* Behind our guard, if we have one; 0: we were started in another way. */
static pid_t find_launcher(void)
{
    pid_t parent = getppid();
    if (parent > 1 && is_launcher(parent)) return parent;
    parent = parent > 1 ? parent_of(parent) : 0;
    return parent > 1 && is_launcher(parent) ? parent : 0;
}

static bool has_ended(int pidfd, int wait_ms)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    return poll(&end, 1, wait_ms) > 0;
}

static void see_off(int pidfd)
{
    if (has_ended(pidfd, LAUNCHER_GRACE_MS)) return;
    syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
    if (has_ended(pidfd, LAUNCHER_TERM_MS)) return;
    syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

/* By a process that is nobody's child any more and holds none of our files: the launcher waits for their end. */
static void watch_launcher(void)
{
    pid_t launcher = find_launcher();
    int pidfd = launcher ? (int)syscall(SYS_pidfd_open, launcher, 0) : -1;
    pid_t child = pidfd < 0 ? -1 : fork();
    if (child == 0) {
        if (setsid() < 0 || fork()) _exit(0);
        dup2(pidfd, 0);
        closefrom(1);
        see_off(0);
        _exit(0);
    }
    if (child > 0) waitpid(child, NULL, 0);
    if (pidfd >= 0) close(pidfd);
}

void me_leave(bool is_head, int code)
{
    fflush(NULL);
    if (is_head) {
        poll(NULL, 0, OTHERS_MS);
        watch_launcher();
    }
    _exit(code);
}
