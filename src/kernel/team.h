/* The threads of one kernel. A team is run for each part of the work anew; thread i is then on the same
 * core as before, and so finds the memory that it touched first in its own part of the machine. */
#ifndef ME_TEAM_H
#define ME_TEAM_H

#include "barrier.h"
#include "me/error.h"
#include <math.h>
#include <stdatomic.h>
#include <stddef.h>

struct me_team_slot;
struct me_team {
    int threads;
    int *cpus;                  /* thread i's; NULL: threads are not bound, since not each CPU has one */
    struct me_team_slot *slots; /* what the threads add up */
    struct me_barrier barrier;
    atomic_int gate;
};
struct me_worker {
    struct me_team *team;
    int number; /* 0 is the caller's own thread */
    int turn;   /* of me_team_sum and me_team_most */
};
typedef void me_team_work(struct me_worker *worker, void *argument);

int me_team_init(struct me_team *team, int threads, struct me_error *err);
void me_team_release(struct me_team *team); /* NULL-safe, twice is fine */
/* All threads do the work, and have done it on return. Where one cannot be started, none has begun. */
int me_team_run(struct me_team *team, me_team_work *work, void *argument, struct me_error *err);

/* Within the work, called by all of them: */
void me_team_wait(struct me_worker *worker); /* all wait for all */
/* The sum over the threads, added in the order of their numbers: the same for all, and in each run. */
double me_team_sum(struct me_worker *worker, double part);
double me_team_most(struct me_worker *worker, double part);
/* This thread's share of n things, in whole grains but for the last. */
void me_team_share(const struct me_worker *worker, size_t n, size_t grain, size_t *first, size_t *end);
/* Part i of `parts` of them. */
void me_team_part(size_t n, int parts, int i, size_t grain, size_t *first, size_t *end);

/* The larger one; NaN if one of them is. */
static inline double me_more(double a, double b)
{
    return b <= a || isnan(a) ? a : b;
}

#endif
