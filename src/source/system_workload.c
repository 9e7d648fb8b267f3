/* What the workloads of all runs used, one after the other; see system_workload.h. */
#include "system_workload.h"
#include "me/clock.h"
#include "ops.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A look takes no more than this part of the time, but is never further away than a channel may be unread. */
#define REST_SHARE      50
#define LONGEST_REST_NS (4 * ME_NS_PER_S)
#define TRIES           3

struct me_system_workload {
    const struct me_meter_workload *followed;
    bool has[ME_SYSTEM_USES];
    pid_t pid;                      /* whom the last look was at; 0: nobody */
    uint64_t taken[ME_SYSTEM_USES]; /* the account as far as it is in `ended` */
    uint64_t ended[ME_SYSTEM_USES]; /* of all before that one */
    uint64_t most[ME_SYSTEM_USES];  /* the most that was seen of that one */
    int errors[ME_SYSTEM_USES];
    int64_t rest_until_ns;
    struct me_system_walk walk;
};

/* --- opening ------------------------------------------------------------------------------------- */

/* In a container that sees its host's proc, or another's, our children have other numbers there. */
static bool is_own_proc(const struct me_root *proc)
{
    char text[32];
    ssize_t len = readlinkat(proc->fd, "self", text, sizeof text - 1);
    if (len <= 0) return false;
    text[len] = '\0';
    return atoi(text) == (int)getpid();
}

/* What this process shows of itself, its children will show too. */
static bool find_uses(struct me_system_workload *workload)
{
    uint64_t uses[ME_SYSTEM_USES];
    char path[64];
    snprintf(path, sizeof path, "self/task/%d/children", (int)getpid());
    if (!is_own_proc(&workload->walk.proc) || !me_root_exists(&workload->walk.proc, path)) return false;
    snprintf(path, sizeof path, "self/io");
    bool has_io =
        me_root_read(&workload->walk.proc, path, workload->walk.text, sizeof workload->walk.text) > 0;
    int error = me_system_walk_one(&workload->walk, getpid(), uses, workload->errors);
    for (int u = 0; u < ME_SYSTEM_USES; u++)
        workload->has[u] = !error && !workload->errors[u] &&
                           (has_io || (u != ME_SYSTEM_USE_READ && u != ME_SYSTEM_USE_WRITTEN));
    return !error;
}

struct me_system_workload *me_system_workload_open(const struct me_meter_workload *followed)
{
    if (!followed) return NULL;
    struct me_system_workload *workload = calloc(1, sizeof *workload);
    if (!workload) return NULL;
    workload->followed = followed;
    workload->walk.proc.fd = -1;
    if (!me_root_open(&workload->walk.proc, "/proc", NULL) && find_uses(workload)) return workload;
    me_system_workload_close(workload);
    return NULL;
}

void me_system_workload_close(struct me_system_workload *workload)
{
    if (!workload) return;
    me_system_walk_release(&workload->walk);
    free(workload);
}

bool me_system_workload_has(const struct me_system_workload *workload, enum me_system_use use)
{
    return workload && workload->has[use];
}

int me_system_workload_fd(const struct me_system_workload *workload)
{
    return workload ? workload->walk.proc.fd : -1;
}

/* --- reading ------------------------------------------------------------------------------------- */

static void read_account(const struct me_meter_workload *followed, uint64_t *account)
{
    account[ME_SYSTEM_USE_CPU] = followed->cpu_ns;
    account[ME_SYSTEM_USE_SWITCHES] = followed->context_switches;
    account[ME_SYSTEM_USE_FAULTS] = followed->page_faults;
    account[ME_SYSTEM_USE_READ] = followed->read_bytes;
    account[ME_SYSTEM_USE_WRITTEN] = followed->written_bytes;
}

/* The one looked at has ended: its account takes the place of what was seen, unless more was seen, of
 * processes that nobody waited for. */
static void settle(struct me_system_workload *workload, pid_t next)
{
    uint64_t account[ME_SYSTEM_USES];
    read_account(workload->followed, account);
    for (int u = 0; u < ME_SYSTEM_USES; u++) {
        uint64_t used = account[u] - workload->taken[u];
        workload->ended[u] += used > workload->most[u] ? used : workload->most[u];
        workload->taken[u] = account[u];
        workload->most[u] = 0;
        workload->errors[u] = 0;
    }
    workload->pid = next;
    workload->rest_until_ns = 0;
    me_system_walk_reset(&workload->walk);
}

static void keep_most(struct me_system_workload *workload, const uint64_t *uses)
{
    for (int u = 0; u < ME_SYSTEM_USES; u++)
        if (uses[u] > workload->most[u]) workload->most[u] = uses[u];
}

static void fail_all(struct me_system_workload *workload, int error)
{
    for (int u = 0; u < ME_SYSTEM_USES; u++) workload->errors[u] = error;
}

/* If the workload ended during the walk, its number may have been another's already: what was seen does not
 * count, and its account is there. */
static void look(struct me_system_workload *workload, pid_t pid)
{
    uint64_t uses[ME_SYSTEM_USES];
    for (int i = 0; i < TRIES; i++) {
        if (!pid || pid != workload->pid) settle(workload, pid);
        if (!pid) return;
        int error = me_system_walk(&workload->walk, pid, uses, workload->errors);
        pid_t was = pid;
        pid = workload->followed->pid;
        if (pid != was) continue;
        if (!error)
            keep_most(workload, uses);
        else if (error != ESRCH)
            fail_all(workload, error);
        return;
    }
}

void me_system_workload_read(struct me_system_workload *workload, bool for_edge, struct me_reading *readings)
{
    pid_t pid = workload->followed->pid;
    int64_t begin_ns = me_clock_mono_ns();
    if (pid && pid == workload->pid && !for_edge && begin_ns < workload->rest_until_ns) {
        memset(readings, 0, ME_SYSTEM_USES * sizeof *readings);
        return;
    }
    look(workload, pid);
    int64_t end_ns = me_clock_mono_ns(), rest_ns = (end_ns - begin_ns) * REST_SHARE;
    workload->rest_until_ns = end_ns + (rest_ns < LONGEST_REST_NS ? rest_ns : LONGEST_REST_NS);
    for (int u = 0; u < ME_SYSTEM_USES; u++)
        readings[u] = me_ops_count(workload->errors[u], workload->ended[u] + workload->most[u]);
}
