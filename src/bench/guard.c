/* Open MPI 4 ends a whole job when it sees a rank die. So what it starts and watches is a guard, which has the rank as
 * its child and does nothing but wait: when that is killed the guard stays, and the others' run goes on. Before the
 * measuring nothing would be lost, and all would wait for the dead: there the guard falls with the rank. And without
 * rank 0 no run goes on. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

static volatile sig_atomic_t rank; /* the signals' handler can reach nothing but a global */
static volatile bool *is_held;     /* shared by both processes; NULL: there is no guard */

static void hand_on(int signal_number)
{
    if (rank > 0) kill(rank, signal_number);
}

static void end(int signal_number)
{
    (void)signal_number;
    _exit(ME_E_RUN);
}

static void handle(void (*handler)(int))
{
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    struct sigaction action = {.sa_handler = handler};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}

/* What looks for ranks by their name finds one. */
static void rename_guard(char *name)
{
    char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    static const char guard[] = "me_guard";
    size_t room = strlen(last);
    memset(last, 0, room);
    memcpy(last, guard, room < sizeof guard ? room : sizeof guard - 1);
    prctl(PR_SET_NAME, guard);
}

void me_guard_hold(void)
{
    if (is_held) *is_held = true;
}

void me_guard(char **argv)
{
    pid_t parent = getppid(), guard = getpid(), child;
    int status;
    if (!getenv("OMPI_COMM_WORLD_RANK") || getenv("SLURM_STEP_ID")) return;
    void *shared = mmap(NULL, sizeof *is_held, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    child = shared == MAP_FAILED ? -1 : fork();
    if (child < 0) return; /* it goes without */
    is_held = shared;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != guard) _exit(ME_E_RUN);
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(ME_E_RUN);
    rename_guard(argv[0]);
    rank = child;
    handle(hand_on);
    while (waitpid(child, &status, 0) < 0) continue;
    rank = 0;
    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    if (!*is_held) _exit(ME_E_RUN);
    handle(end); /* until the launcher ends us with the others */
    for (;;) pause();
}
