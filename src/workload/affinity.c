/* mpirun pins every rank to one core when it starts one or two of them, so our own mask says nothing
 * about what the machine was given. The parent's does: mpirun, its daemon on this machine, or whoever
 * called us runs with all that the allocation (taskset, numactl, a batch system, a container) gives.
 *
 * Under srun it is the other way round: slurmstepd roams the whole node, and the mask that it gave us
 * is the allocation. So a child of slurmstepd keeps its own.
 *
 * The cpuset of the cgroup needs no look: sched_setaffinity meets every mask with it in the kernel.
 * That makes two system calls; the same through hwloc would load a topology for 5 to 50 ms in every
 * repeat, between the first reading and the workload. */
#include "affinity.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_slurm_step(const struct me_root *root, pid_t pid)
{
    char path[32], name[64];
    snprintf(path, sizeof path, "proc/%d/comm", (int)pid);
    return me_root_read(root, path, name, sizeof name) > 0 && !strcmp(name, "slurmstepd");
}

void me_affinity_allocation(const struct me_root *root, struct me_affinity *out)
{
    struct me_affinity mask = {{0}};
    /* 0: outside of our PID namespace. 0 would mean ourselves below, so not asked */
    pid_t parent = me_root_launcher(root);
    pid_t whose = parent > 0 && is_slurm_step(root, parent) ? 0 : parent;
    bool known = (parent > 0) && !sched_getaffinity(whose, sizeof mask, (cpu_set_t *)mask.bits);
    if (!known) memset(&mask, 0xff, sizeof mask);
    *out = mask;
}

void me_affinity_apply(const struct me_affinity *affinity)
{
    struct me_affinity all;
    if (!sched_setaffinity(0, sizeof *affinity, (const cpu_set_t *)affinity->bits)) return;
    memset(&all, 0xff, sizeof all); /* the parent is in another cpuset: all of ours */
    sched_setaffinity(0, sizeof all, (const cpu_set_t *)all.bits);
}
