/* Ends the process group of a workload or of its check when we are gone without having been able to: killed
 * by SIGKILL, by the out-of-memory killer, by an mpirun that lost its patience. A workload's first process is
 * ended by the kernel then (PR_SET_PDEATHSIG), but not what that one has started. */
#ifndef ME_WATCHER_H
#define ME_WATCHER_H

#include <sys/types.h>

struct me_watcher {
    pid_t pid;    /* 0: none */
    int lifeline; /* held by us alone; its closing is our death */
};

/* Without a watcher (no memory, no process) the run goes on; then PR_SET_PDEATHSIG has to do. */
void me_watcher_start(struct me_watcher *watcher, pid_t group);
void me_watcher_end(struct me_watcher *watcher);

#endif
