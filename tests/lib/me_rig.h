/* A root whose files a me_rig serves, for a test in C; me_rig.py is the same for those in Python. Needs
 * root and /dev/fuse; skips the test where they are not there. */
#ifndef TEST_ME_RIG_H
#define TEST_ME_RIG_H

#include "tree.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>

struct served {
    char root[128]; /* the mount point: a root for `me_meter_options` */
    pid_t pid;
};

static inline bool served_is_there(const struct served *served)
{
    char path[160];
    snprintf(path, sizeof path, "%s/.control", served->root);
    return !access(path, F_OK);
}

/* `words`: the rig's own, "-f", "dev/cpu/0/msr,msr=1,...", NULL-terminated. The rig stands beside the
 * test program, and ends with it. */
static inline void served_begin(struct served *served, const char *const *words)
{
    static char parent_option[] = "-d";
    char path[256], *argv[64];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 16);
    assert_true(len > 0);
    path[len] = '\0';
    strcpy(strrchr(path, '/'), "/me_rig");
    if (access(path, X_OK) || access("/dev/fuse", R_OK | W_OK) || geteuid()) {
        print_message("no me_rig, no /dev/fuse, or not root: skipped\n");
        skip();
    }
    tree_make(served->root, sizeof served->root);
    int n = 0;
    argv[n++] = path;
    argv[n++] = parent_option;
    for (; *words && n < 62; words++) argv[n++] = strdup(*words);
    argv[n] = served->root;
    argv[n + 1] = NULL;
    served->pid = fork();
    assert_true(served->pid >= 0);
    if (!served->pid) {
        execv(path, argv);
        _exit(127);
    }
    for (int i = 2; i < n; i++) free(argv[i]);
    for (int i = 0; i < 2000 && !served_is_there(served); i++)
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    assert_true(served_is_there(served));
}

/* One line to the rig: "dev/cpu/0/msr:0x611 fault EIO". */
static inline void served_tell(const struct served *served, const char *line)
{
    char path[160];
    snprintf(path, sizeof path, "%s/.control", served->root);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", line);
    assert_int_equal(fclose(file), 0);
}

static inline void served_end(struct served *served)
{
    int status;
    kill(served->pid, SIGTERM);
    waitpid(served->pid, &status, 0);
    umount2(served->root, MNT_DETACH); /* it has done so itself, unless it died */
    tree_remove(served->root);
}

#endif
