#include "team.h"
#include "kernel.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

enum { CPUS_MAX = 8192 };
enum gate { GATE_CLOSED, GATE_OPEN, GATE_CANCELLED };

/* A line of the cache each, so that no thread waits for another's. Two values, used in turn: one that is
 * still being read by a slow thread is not written by a fast one. */
struct me_team_slot {
    _Alignas(64) double part[2];
};

struct member {
    struct me_worker worker;
    me_team_work *work;
    void *argument;
    pthread_t thread;
};

union mask { /* a cpu_set_t ends at 1024 */
    cpu_set_t set;
    unsigned long bits[CPUS_MAX / (8 * sizeof(unsigned long))];
};

/* Each CPU of the mask in its order, if there are as many as threads. With fewer threads the scheduler
 * spreads them better over cores and sockets than the order of numbers would. */
static int *list_cpus(int threads)
{
    union mask mask = {.bits = {0}};
    int *cpus = NULL, n = 0;
    if (threads != me_kernel_cpus() || sched_getaffinity(0, sizeof mask, &mask.set)) return NULL;
    cpus = malloc((size_t)threads * sizeof *cpus);
    for (int cpu = 0; cpus && cpu < CPUS_MAX && n < threads; cpu++)
        if (CPU_ISSET_S((size_t)cpu, sizeof mask, &mask.set)) cpus[n++] = cpu;
    return cpus;
}

int me_team_init(struct me_team *team, int threads, struct me_error *err)
{
    size_t size = (size_t)threads * sizeof(struct me_team_slot);
    struct me_team_slot *slots = aligned_alloc(_Alignof(struct me_team_slot), size);
    if (!slots) return me_fail(err, ME_E_RUN, "no memory for %d threads", threads);
    *team = (struct me_team){.threads = threads, .slots = slots, .cpus = list_cpus(threads)};
    return 0;
}

void me_team_release(struct me_team *team)
{
    if (!team) return;
    free(team->slots);
    free(team->cpus);
    team->slots = NULL;
    team->cpus = NULL;
}

/* A mask that is refused leaves the thread where the scheduler wants it. */
static void bind_to(int cpu)
{
    union mask mask = {.bits = {0}};
    CPU_SET_S((size_t)cpu, sizeof mask, &mask.set);
    sched_setaffinity(0, sizeof mask, &mask.set);
}

static void *join_in(void *argument)
{
    struct member *member = argument;
    struct me_team *team = member->worker.team;
    int gate;
    while ((gate = atomic_load_explicit(&team->gate, memory_order_acquire)) == GATE_CLOSED) sched_yield();
    if (gate == GATE_CANCELLED) return NULL;
    if (team->cpus) bind_to(team->cpus[member->worker.number]); /* NOLINT: me_team_run set the team */
    member->work(&member->worker, member->argument);
    return NULL;
}

int me_team_run(struct me_team *team, me_team_work *work, void *argument, struct me_error *err)
{
    int n = team->threads, started = 1, errnum = 0;
    union mask before = {.bits = {0}};
    struct member *members = calloc((size_t)n, sizeof *members);
    if (!members) return me_fail(err, ME_E_RUN, "no memory for %d threads", n);
    sched_getaffinity(0, sizeof before, &before.set);
    atomic_store(&team->gate, GATE_CLOSED);
    for (int i = 0; i < n; i++) members[i] = (struct member){{team, i, 0}, work, argument, 0};
    for (; started < n; started++) {
        errnum = pthread_create(&members[started].thread, NULL, join_in, &members[started]);
        if (errnum) break;
    }
    atomic_store_explicit(&team->gate, errnum ? GATE_CANCELLED : GATE_OPEN, memory_order_release);
    join_in(&members[0]);
    for (int i = 1; i < started; i++) pthread_join(members[i].thread, NULL);
    free(members);
    if (team->cpus) sched_setaffinity(0, sizeof before, &before.set);
    if (!errnum) return 0;
    return me_fail_errno(err, ME_E_RUN, errnum, "cannot start thread %d of %d", started + 1, n);
}

void me_team_wait(struct me_worker *worker)
{
    me_barrier_wait(&worker->team->barrier, worker->team->threads);
}

/* Puts down this thread's part, waits for all, and tells where they lie in each slot. */
static int exchange(struct me_worker *worker, double part)
{
    int turn = worker->turn;
    worker->turn = !turn;
    worker->team->slots[worker->number].part[turn] = part;
    me_team_wait(worker);
    return turn;
}

double me_team_sum(struct me_worker *worker, double part)
{
    const struct me_team *team = worker->team;
    int turn = exchange(worker, part);
    double sum = 0;
    for (int i = 0; i < team->threads; i++) sum += team->slots[i].part[turn];
    return sum;
}

double me_team_most(struct me_worker *worker, double part)
{
    const struct me_team *team = worker->team;
    int turn = exchange(worker, part);
    double most = team->slots[0].part[turn];
    for (int i = 1; i < team->threads; i++) most = me_more(most, team->slots[i].part[turn]);
    return most;
}

void me_team_part(size_t n, int parts, int i, size_t grain, size_t *first, size_t *end)
{
    size_t grains = (n + grain - 1) / grain;
    *first = grains * (size_t)i / (size_t)parts * grain;
    *end = grains * ((size_t)i + 1) / (size_t)parts * grain;
    if (*first > n) *first = n;
    if (*end > n) *end = n;
}

void me_team_share(const struct me_worker *worker, size_t n, size_t grain, size_t *first, size_t *end)
{
    me_team_part(n, worker->team->threads, worker->number, grain, first, end);
}
