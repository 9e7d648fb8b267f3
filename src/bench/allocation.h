/* The batch system's job that we run in; for rank 0. Each returns at once where there is none. */
#ifndef ME_ALLOCATION_H
#define ME_ALLOCATION_H

#include <stdbool.h>
#include <stdio.h>
#include "me/plan.h"

/* Of plan->job, which me_slurm_job_here filled, and of the machines' node names: what else there is to know before
 * the start. Takes tens of milliseconds, and at most some seconds where Slurm does not answer. */
void me_allocation_ask(struct me_plan *plan);
/* A requeued job goes on where it stopped: takes off the plan's repeats what the result at `path` has of it already.
 * None left: all machines' `done` says so too. Nothing for others. */
int me_allocation_resume(struct me_plan *plan, const char *path, FILE *out, bool *nothing_left,
                         struct me_error *err);
/* Its own meter before the first phase and behind the last one; and who shares our nodes by then. `hasty`: little time
 * is left. */
void me_allocation_begin(struct me_plan *plan);
void me_allocation_end(struct me_plan *plan, bool hasty);

#endif
