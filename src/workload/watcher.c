#include "watcher.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A shell waiting in read costs nothing while it waits, and shares no memory with us. A session of its
 * own, so that what kills our process group passes it by. */
static int start_shell(const char *group, int lifeline, pid_t *pid)
{
    char *const argv[] = {
        (char *)"me_watcher", (char *)"-c",  (char *)"read -r line || kill -s KILL -- \"-$1\"",
        (char *)"me_watcher", (char *)group, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&files)) return -1;
    if (posix_spawnattr_init(&how)) {
        posix_spawn_file_actions_destroy(&files);
        return -1;
    }
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setsigmask(&how, &none);
    int rc = posix_spawn_file_actions_adddup2(&files, lifeline, 0) ||
             posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0) ||
             posix_spawn_file_actions_adddup2(&files, 1, 2) ||
             posix_spawn_file_actions_addclosefrom_np(&files, 3) ||
             posix_spawn(pid, "/bin/sh", &files, &how, argv, environment);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return rc ? -1 : 0;
}

void me_watcher_start(struct me_watcher *watcher, pid_t group)
{
    char text[16];
    int ends[2];
    *watcher = (struct me_watcher){.lifeline = -1};
    snprintf(text, sizeof text, "%d", (int)group);
    if (pipe2(ends, O_CLOEXEC)) return;
    if (start_shell(text, ends[0], &watcher->pid)) {
        watcher->pid = 0;
        close(ends[1]);
    } else {
        watcher->lifeline = ends[1];
    }
    close(ends[0]);
}

void me_watcher_end(struct me_watcher *watcher)
{
    if (!watcher->pid) return;
    kill(watcher->pid, SIGKILL); /* before the lifeline goes: it must not take that for our death */
    waitpid(watcher->pid, NULL, 0);
    close(watcher->lifeline);
    *watcher = (struct me_watcher){.lifeline = -1};
}
