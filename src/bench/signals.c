#include <signal.h>
#include <stddef.h>
#include "bench.h"

static volatile sig_atomic_t caught; /* a handler can reach nothing but a global */

static void remember(int signal)
{
    caught = signal;
}

void me_signals_watch(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGUSR1};
    struct sigaction action = {.sa_handler = remember}; /* no SA_RESTART: waits shall end */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int me_signals_caught(void)
{
    return caught;
}
