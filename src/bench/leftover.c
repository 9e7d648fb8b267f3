/* me_bench --journal send|remove RUN-MACHINE, without MPI: what a run that was cut off left on this machine. `me
 * recover` calls it, there as here. */
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "me/clock.h"
#include "me/store.h"
#include "me/workload.h"

#define ORDERLY_NS (4 * ME_NS_PER_S) /* for a rank that is left to end its workload; then it is killed */
#define KILLED_NS  (2 * ME_NS_PER_S)
#define DAEMON_NS  ME_NS_PER_S
#define ELSEWHERE  "/tmp" /* where a machine without a home keeps it */

bool me_leftover_is_wanted(int argc, char **argv)
{
    return argc > 1 && !strcmp(argv[1], "--journal");
}

/* RUN-MACHINE, as me_station_open names it. */
static bool is_name(const char *name)
{
    size_t run = strspn(name, "0123456789abcdef");
    if (run == 0 || run > 16 || name[run] != '-') return false;
    size_t machine = strspn(name + run + 1, "0123456789");
    return machine > 0 && machine < 10 && !name[run + 1 + machine];
}

/* --- who still runs ---------------------------------------------------------------------------- */

/* The process that keeps the journal; 0: none, or one that we cannot see. */
static pid_t find_holder(int fd)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_GETLK, &whole) || whole.l_type == F_UNLCK || whole.l_pid < 2 ? 0 : whole.l_pid;
}

static bool is_free_within(int fd, int64_t wait_ns)
{
    int64_t end_ns = me_clock_mono_ns() + wait_ns;
    while (find_holder(fd)) {
        if (me_clock_mono_ns() > end_ns) return false;
        poll(NULL, 0, 20);
    }
    return true;
}

/* The process's parent if it has this name, else 0. */
static pid_t find_parent(pid_t pid, const char *const *names)
{
    char path[40], text[512];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = pid ? fopen(path, "re") : NULL;
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[n] = '\0';
    const char *paren = strrchr(text, ')');
    if (!paren || sscanf(paren + 1, " %*c %d", &parent) != 1 || parent < 2) return 0;
    snprintf(path, sizeof path, "/proc/%d/comm", parent);
    file = fopen(path, "re");
    n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[n ? n - 1 : 0] = '\0'; /* less its newline */
    for (; *names; names++)
        if (!strcmp(text, *names)) return parent;
    return 0;
}

/* It may have been stopped (SIGSTOP), and would then not hear the rest. */
static void ask_to_end(pid_t pid)
{
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
}

static void end_parent(pid_t pid)
{
    if (!pid) return;
    int64_t end_ns = me_clock_mono_ns() + DAEMON_NS;
    ask_to_end(pid);
    while (!kill(pid, 0) && me_clock_mono_ns() < end_ns) poll(NULL, 0, 20);
    kill(pid, SIGKILL);
}

/* The head has gone, or nobody would ask us: a rank that is left ends its workload and keeps what it has. */
static void end_holder(int fd)
{
    pid_t holder = find_holder(fd);
    if (!holder) return;
    static const char *const guards[] = {"me_guard", NULL}, *const daemons[] = {"orted", "prted", NULL};
    static const char *const shells[] = {"sh", "bash", "dash", NULL};
    pid_t guard = find_parent(holder, guards), daemon = find_parent(guard ? guard : holder, daemons);
    ask_to_end(holder);
    if (!is_free_within(fd, ORDERLY_NS)) {
        kill(holder, SIGKILL);
        is_free_within(fd, KILLED_NS);
    }
    end_parent(guard);
    pid_t shell = find_parent(daemon, shells);
    end_parent(daemon);
    if (shell) kill(shell, SIGCONT); /* it ends with its command, and with it the session of ssh */
}

/* --- the journal ------------------------------------------------------------------------------- */

static void make_path(const char *dir, const char *name, const char *suffix, char *path, size_t size)
{
    snprintf(path, size, "%.4000s/%s.%s", dir, name, suffix);
}

/* Opens it where it may lie; -1: it is nowhere. */
static int open_journal(const char *name, char *path, size_t size)
{
    char state[4096];
    const char *dirs[] = {me_journal_dir(state, sizeof state, NULL) ? NULL : state, ELSEWHERE};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
        if (!dirs[i]) continue;
        make_path(dirs[i], name, "mej", path, size);
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0) return fd;
    }
    return -1;
}

static int copy(int from, int to)
{
    static char piece[1 << 16];
    ssize_t n;
    while ((n = read(from, piece, sizeof piece)) != 0) {
        if (n < 0 && errno != EINTR) return errno;
        for (ssize_t at = 0, done; at < n; at += done)
            if ((done = write(to, piece + at, (size_t)(n - at))) < 0) return errno;
    }
    return 0;
}

static int send_journal(const char *name, struct me_error *err)
{
    char path[4200];
    int fd = open_journal(name, path, sizeof path);
    if (fd < 0) return 0; /* nothing comes, then */
    end_holder(fd);
    int failed = copy(fd, STDOUT_FILENO);
    close(fd);
    return failed ? me_fail_errno(err, ME_E_RUN, failed, "%s", path) : 0;
}

/* Folders of the run's files, me-RUN-MACHINE-XXXXXX. */
static void remove_folders(const char *parent, const char *name)
{
    char begin[64], path[4400];
    DIR *dir = opendir(parent);
    if (!dir) return;
    int len = snprintf(begin, sizeof begin, "me-%s-", name);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strncmp(entry->d_name, begin, (size_t)len)) continue;
        snprintf(path, sizeof path, "%.4000s/%.255s", parent, entry->d_name);
        me_workload_remove(path);
    }
    closedir(dir);
}

static void remove_from(const char *dir, const char *name)
{
    static const char *const suffixes[] = {"mej", "out", "err"};
    char path[4200];
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        make_path(dir, name, suffixes[i], path, sizeof path);
        unlink(path);
    }
    remove_folders(dir, name);
}

/* All that the run left here; not while it runs. */
static int remove_journal(const char *name, struct me_error *err)
{
    char path[4200], state[4096];
    const char *tmp = getenv("TMPDIR");
    int fd = open_journal(name, path, sizeof path);
    bool held = fd >= 0 && find_holder(fd);
    if (fd >= 0) close(fd);
    if (held) return me_fail(err, ME_E_RUN, "%s: its run goes on", path);
    remove_from(ELSEWHERE, name);
    if (tmp && *tmp == '/') remove_folders(tmp, name);
    remove_folders("/dev/shm", name);
    if (me_journal_dir(state, sizeof state, NULL)) return 0;
    remove_from(state, name);
    rmdir(state); /* stays if others' are in it */
    return 0;
}

int me_leftover_run(int argc, char **argv, struct me_error *err)
{
    const char *verb = argc == 4 ? argv[2] : "", *name = argc == 4 ? argv[3] : "";
    bool sends = !strcmp(verb, "send");
    if (!is_name(name) || (!sends && strcmp(verb, "remove")))
        return me_fail(err, ME_E_INPUT, "--journal: send or remove, and RUN-MACHINE; it is for me recover");
    return sends ? send_journal(name, err) : remove_journal(name, err);
}
