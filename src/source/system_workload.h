/* What the workload itself uses while it runs: its process and all descendants, from proc. For the channels
 * workload-* of the source `system`. proc(5); Documentation/filesystems/proc.rst of the kernel.
 *
 * These numbers are for the course within a run. A run as a whole is told exactly by the kernel's account of
 * a child that was waited for, which comes in when it has ended (struct me_meter_workload). Until then:
 *   - CPU time, faults and bytes of a process hold those of its threads and of the children that it waited
 *     for, so nothing is lost when one of them ends. Time is in ticks of the kernel, 10 ms as a rule.
 *   - Switches are told by thread. Of a thread that has ended, those until the last look are known.
 *   - A child whose parent does not wait for it, or whose parent's parent must, may be missed for a while.
 * A number that falls for such a reason stands still until it is reached again: none ever falls. */
#ifndef ME_SOURCE_SYSTEM_WORKLOAD_H
#define ME_SOURCE_SYSTEM_WORKLOAD_H

#include <sys/types.h>
#include "me/source.h"

enum me_system_use {
    ME_SYSTEM_USE_CPU, /* ns */
    ME_SYSTEM_USE_SWITCHES,
    ME_SYSTEM_USE_FAULTS,
    ME_SYSTEM_USE_READ, /* B, from and to disks */
    ME_SYSTEM_USE_WRITTEN,
    ME_SYSTEM_USES
};

/* --- one walk from a process down: system_walk.c ------------------------------------------------- */

struct me_system_process {
    pid_t pid;
    uint64_t start; /* in ticks since boot: a number that was given anew has another */
};
struct me_system_task {
    pid_t pid, tid;
    uint64_t switches;
};
struct me_system_walk {
    struct me_root proc;
    /* Of the last walk, and of this one; parents before their children. */
    struct me_system_processes {
        struct me_system_process *list;
        size_t count, capacity;
    } before, now;
    struct me_system_tasks { /* sorted by tid after a walk */
        struct me_system_task *list;
        size_t count, capacity;
    } tasks_before, tasks_now;
    uint64_t gone_switches; /* of tasks that have ended */
    char text[8192];
};
/* Adds up what the process and its descendants use; those of the last walk too that have lost their parents
 * meanwhile. 0; ESRCH (it is not there), ENOMEM. errors[u] is an errno if a process did not show that. */
int me_system_walk(struct me_system_walk *walk, pid_t pid, uint64_t *uses, int *errors);
/* The process alone, without its descendants, and without a memory of it. */
int me_system_walk_one(struct me_system_walk *walk, pid_t pid, uint64_t *uses, int *errors);
/* Forgets what was there, before another workload. */
void me_system_walk_reset(struct me_system_walk *walk);
void me_system_walk_release(struct me_system_walk *walk);

/* --- over all runs ------------------------------------------------------------------------------- */

struct me_system_workload;
/* NULL if there is nobody to follow, or proc is not that of this process and its children, or no memory.
 * `followed` stays the caller's and is not looked at yet. */
struct me_system_workload *me_system_workload_open(const struct me_meter_workload *followed);
void me_system_workload_close(struct me_system_workload *workload); /* NULL-safe */
/* Can it be told here? */
bool me_system_workload_has(const struct me_system_workload *workload, enum me_system_use use);
/* Of proc, for the provenance. */
int me_system_workload_fd(const struct me_system_workload *workload);
/* A reading a use, accumulated over all runs. With very many processes it rests in between, but not for an
 * edge: then they are absent. */
void me_system_workload_read(struct me_system_workload *workload, bool for_edge, struct me_reading *readings);

#endif
