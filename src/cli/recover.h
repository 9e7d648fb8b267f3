/* From the journals of a run to its result, in stages.
 *
 *   fetch.c     a process a machine, all at once: me_bench --journal there, its journal into a file here
 *   recover.c   which machines, what came of each, the assembly, and the tidying up */
#ifndef ME_CLI_RECOVER_H
#define ME_CLI_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include "me/error.h"

enum me_fetch_outcome {
    ME_FETCH_NONE = 0, /* it was reached, and holds none */
    ME_FETCH_WHOLE,    /* all that is there has come */
    ME_FETCH_PART,     /* some has come, then it broke off: `reason` */
    ME_FETCH_FAILED,   /* it cannot be reached, or cannot send: `reason` */
};
struct me_fetch {
    char **argv;     /* what is run; NULL: nothing, it stays as it is */
    char path[4400]; /* where its output goes */
    enum me_fetch_outcome outcome;
    char reason[256];
    pid_t pid;
    long long seen; /* bytes, */
    double at_s;    /* and when there were new ones */
};
/* Runs all, at most 32 at once; one that brings nothing for `patience_s` is ended. */
void me_fetch_all(struct me_fetch *fetches, size_t count, double patience_s);

struct me_recover_options {
    const char *hosts_dir; /* the hostfile's companion folder; NULL: that of plan.json */
    const char
        *run_id;      /* of a run before the last one, or beside it (plan-RUN.json); NULL: of the last one */
    const char *dirs; /* where journals lie too, one a line; "": nowhere else */
    bool keep;        /* the journals stay on the machines */
    double patience_s;
    bool is_over; /* the run has ended: what still holds it is ended, too */
};
/* Returns the exit code: 0, or 1 if something is missing; -1 with err. Says on `out` what it found. */
int me_recover(const char *folder, const struct me_recover_options *options, FILE *out, struct me_error *err);
/* Is there anything that the result of the folder's last run lacks? */
bool me_recover_is_due(const char *folder);

#endif
