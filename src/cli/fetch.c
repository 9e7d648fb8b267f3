#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "me/clock.h"
#include "me/units.h"
#include "prepare.h"
#include "recover.h"

enum { AT_ONCE = 32, LOOK_MS = 10 };

static double now_s(void)
{
    return me_ns_to_s(me_clock_mono_ns());
}

static void name_errors(const struct me_fetch *fetch, char *path, size_t size)
{
    snprintf(path, size, "%s.err", fetch->path);
}

/* In the child. A group of its own, so that all of it can be ended. */
static void become(const struct me_fetch *fetch, pid_t parent)
{
    char errors[4500];
    name_errors(fetch, errors, sizeof errors);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(255);
    int in = open("/dev/null", O_RDONLY);
    int out = open(fetch->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int err = open(errors, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (in < 0 || out < 0 || err < 0 || dup2(in, 0) < 0 || dup2(err, 2) < 0 || dup2(out, 1) < 0) _exit(255);
    closefrom(3);
    execvp(fetch->argv[0], fetch->argv);
    dprintf(2, "%s: %s\n", fetch->argv[0], strerror(errno));
    _exit(255);
}

static void start(struct me_fetch *fetch)
{
    pid_t parent = getpid();
    fetch->at_s = now_s();
    fetch->pid = fork();
    if (fetch->pid == 0) become(fetch, parent);
    if (fetch->pid > 0) return;
    fetch->outcome = ME_FETCH_FAILED;
    snprintf(fetch->reason, sizeof fetch->reason, "no process: %s", strerror(errno));
}

/* What it said last, which is why it failed. */
static void read_reason(struct me_fetch *fetch, int status)
{
    char path[4500], text[4096], *last = text;
    name_errors(fetch, path, sizeof path);
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    while (n && text[n - 1] == '\n') n--;
    text[n] = '\0';
    for (char *at = text; (at = strchr(at, '\n')); last = ++at) continue;
    if (*last)
        me_preflight_clean(fetch->reason, sizeof fetch->reason, last, strlen(last));
    else
        snprintf(fetch->reason, sizeof fetch->reason, "exit status %d",
                 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static long long size_of(const struct me_fetch *fetch)
{
    struct stat file;
    return stat(fetch->path, &file) ? 0 : (long long)file.st_size;
}

static void settle(struct me_fetch *fetch, int status)
{
    char errors[4500];
    bool is_well = WIFEXITED(status) && !WEXITSTATUS(status);
    fetch->pid = 0;
    fetch->seen = size_of(fetch);
    if (is_well)
        fetch->outcome = fetch->seen ? ME_FETCH_WHOLE : ME_FETCH_NONE;
    else
        fetch->outcome = fetch->seen ? ME_FETCH_PART : ME_FETCH_FAILED;
    if (!is_well && !fetch->reason[0]) read_reason(fetch, status);
    name_errors(fetch, errors, sizeof errors);
    unlink(errors);
    if (!fetch->seen) unlink(fetch->path);
}

/* True while it runs. */
static bool look_at(struct me_fetch *fetch, double patience_s)
{
    int status;
    if (waitpid(fetch->pid, &status, WNOHANG) == fetch->pid) {
        kill(-fetch->pid, SIGKILL); /* what it may have left */
        settle(fetch, status);
        return false;
    }
    long long size = size_of(fetch);
    if (size != fetch->seen) fetch->at_s = now_s();
    fetch->seen = size;
    if (now_s() - fetch->at_s < patience_s) return true;
    snprintf(fetch->reason, sizeof fetch->reason, "silent for %g s", patience_s);
    kill(-fetch->pid, SIGKILL);
    waitpid(fetch->pid, &status, 0);
    settle(fetch, status);
    return false;
}

void me_fetch_all(struct me_fetch *fetches, size_t count, double patience_s)
{
    size_t next = 0, first = 0;
    int running = 0;
    while (next < count || running) {
        for (; next < count && running < AT_ONCE; next++) {
            if (!fetches[next].argv) continue;
            start(&fetches[next]);
            running += fetches[next].pid > 0;
        }
        for (size_t i = first; i < next; i++)
            if (fetches[i].pid > 0 && !look_at(&fetches[i], patience_s)) running--;
        while (first < next && fetches[first].pid <= 0) first++;
        if (running) poll(NULL, 0, LOOK_MS);
    }
}
