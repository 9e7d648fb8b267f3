#include <signal.h>
#include <stddef.h>
#include <unistd.h>
#include "bench.h"

static volatile sig_atomic_t caught; /* a handler can reach nothing but a global */
static pid_t parent;                 /* mpirun, its daemon, or srun's */

static void remember(int signal)
{
    caught = signal;
}

void me_signals_watch(void)
{
    if (!parent) parent = getppid();
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1};
    struct sigaction action = {.sa_handler = remember}; /* no SA_RESTART: waits shall end */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool me_signals_orphaned(void)
{
    return parent && getppid() != parent;
}

int me_signals_caught(void)
{
    if (caught) return caught;
    return me_signals_orphaned() ? SIGTERM : 0;
}
