/* The batch system's job that we run in, asked on the head alone: thousands of ranks that ask slurmctld at once are
 * what its administrators fear. What it does not answer is left unknown; no measurement fails for it. */
#include "allocation.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "me/clock.h"
#include "me/slurm.h"
#include "me/store.h"
#include "me/workload.h"

#define PATIENCE_S       5.0
#define HASTY_PATIENCE_S 1.0 /* at the end, when we were told to end */

static struct me_slurm_node *list_nodes(struct me_plan *plan, size_t *count)
{
    struct me_slurm_node *nodes = calloc(plan->count + 1, sizeof *nodes);
    *count = 0;
    for (size_t i = 0; nodes && i < plan->count; i++) {
        struct me_batch_node *node = &plan->machines[i].node;
        if (node->node[0]) nodes[(*count)++] = (struct me_slurm_node){node->node, node};
    }
    return nodes;
}

/* Without scontrol the environment still tells how many processors each node gave. */
static void count_from_environment(const struct me_batch_job *job, const struct me_slurm_node *nodes,
                                   size_t count)
{
    const char *per_node = getenv("SLURM_JOB_CPUS_PER_NODE");
    struct me_slurm_names names;
    if (per_node && !me_slurm_expand(job->nodes, &names, NULL))
        for (size_t i = 0; i < count; i++)
            for (size_t n = 0; n < names.count && !nodes[i].node->cpu_count; n++)
                if (!strcmp(names.names[n], nodes[i].name))
                    nodes[i].node->cpu_count = me_slurm_cpus_of(per_node, n);
    if (per_node) me_slurm_names_release(&names);
}

/* squeue, where other jobs than ours can be. */
static void ask_queue(const struct me_batch_job *job, const struct me_slurm_node *nodes, size_t count,
                      double patience_s)
{
    const char *const argv[] = {"squeue", "-h",    "-t", "running,completing,suspended", "-w", job->nodes,
                                "-o",     "%A|%N", NULL};
    struct me_buffer text = ME_BUFFER_INIT;
    if (!me_slurm_ask(argv, patience_s, &text, NULL)) me_slurm_take_queue(text.data, job->id, nodes, count);
    me_buffer_release(&text);
}

static bool is_shared(const struct me_slurm_node *nodes, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) any |= nodes[i].node->sharing >= ME_SHARING_POSSIBLE;
    return any;
}

static void judge_sharing(const struct me_slurm_node *nodes, size_t count, bool exclusive)
{
    for (size_t i = 0; i < count; i++) {
        struct me_batch_node *node = nodes[i].node;
        bool known = node->cpu_count && node->node_cpus;
        if (exclusive || (known && node->cpu_count >= node->node_cpus))
            node->sharing = ME_SHARING_NONE;
        else if (known)
            node->sharing = ME_SHARING_POSSIBLE;
    }
}

/* scontrol: the settings, the job, its nodes. false: there is nobody to ask. */
static bool ask_control(struct me_batch_job *job, const struct me_slurm_node *nodes, size_t count)
{
    const char *const config[] = {"scontrol", "show", "config", NULL};
    const char *const of_job[] = {"scontrol", "-d", "show", "job", job->id, NULL};
    const char *const of_nodes[] = {"scontrol", "-o", "show", "node", job->nodes, NULL};
    struct me_buffer text = ME_BUFFER_INIT;
    bool exclusive = false, answered = !me_slurm_ask(config, PATIENCE_S, &text, NULL);
    if (answered) me_slurm_take_config(text.data, job);
    me_buffer_clear(&text);
    if (answered && !me_slurm_ask(of_job, PATIENCE_S, &text, NULL))
        exclusive = me_slurm_take_job(text.data, nodes, count);
    me_buffer_clear(&text);
    if (answered && !me_slurm_ask(of_nodes, PATIENCE_S, &text, NULL))
        me_slurm_take_nodes(text.data, nodes, count);
    me_buffer_release(&text);
    judge_sharing(nodes, count, exclusive);
    return answered;
}

void me_allocation_ask(struct me_plan *plan)
{
    struct me_batch_job *job = &plan->job;
    size_t count;
    if (!job->id[0]) return;
    struct me_slurm_node *nodes = list_nodes(plan, &count);
    if (!nodes) return;
    if (ask_control(job, nodes, count) && is_shared(nodes, count)) ask_queue(job, nodes, count, PATIENCE_S);
    count_from_environment(job, nodes, count);
    free(nodes);
}

int me_allocation_resume(struct me_plan *plan, const char *path, FILE *out, bool *nothing_left,
                         struct me_error *err)
{
    struct me_workloads list;
    struct me_result result = {0};
    if (!plan->job.restarts || access(path, F_OK)) return 0;
    if (me_workload_list(plan, &list, err) || me_store_read(path, false, &result, err)) return -1;
    int done = me_result_rounds_done(&result, plan->job.id, (int)list.count);
    me_result_release(&result);
    if (done > plan->repeats) done = plan->repeats;
    if (done)
        fprintf(out, "me_bench: job %s was requeued and goes on: %d of its %d repeat%s had been measured\n",
                plan->job.id, done, plan->repeats, plan->repeats == 1 ? "" : "s");
    *nothing_left = done == plan->repeats;
    plan->repeats -= done;
    for (size_t i = 0; *nothing_left && i < plan->count; i++)
        snprintf(plan->machines[i].done, sizeof plan->machines[i].done, "%s", ME_REPEATS_ALL);
    return 0;
}

/* Only srun's steps have an account of their own that covers all of our nodes. */
static bool has_meter(const struct me_batch_job *job)
{
    return job->energy_plugin[0] && getenv("SLURM_STEP_ID") && me_slurm_is_step();
}

static double ask_energy(const struct me_batch_job *job, double patience_s)
{
    char step[64];
    snprintf(step, sizeof step, "%s.%.16s", job->id, getenv("SLURM_STEP_ID"));
    const char *const argv[] = {"sstat", "-n", "-P", "-j", step, "-o", "ConsumedEnergyRaw", NULL};
    struct me_buffer text = ME_BUFFER_INIT;
    double joules = me_slurm_ask(argv, patience_s, &text, NULL) ? NAN : me_slurm_joules(text.data);
    me_buffer_release(&text);
    return joules;
}

static double unix_s(void)
{
    return (double)me_clock_unix_ns() / 1e9;
}

void me_allocation_begin(struct me_plan *plan)
{
    if (!has_meter(&plan->job)) return;
    plan->job.energy_before_j = ask_energy(&plan->job, PATIENCE_S);
    plan->job.before_unix_s = unix_s();
}

void me_allocation_end(struct me_plan *plan, bool hasty)
{
    struct me_batch_job *job = &plan->job;
    double patience_s = hasty ? HASTY_PATIENCE_S : PATIENCE_S;
    const char *const of_nodes[] = {"scontrol", "-o", "show", "node", job->nodes, NULL};
    struct me_buffer text = ME_BUFFER_INIT;
    size_t count;
    struct me_slurm_node *nodes = job->id[0] ? list_nodes(plan, &count) : NULL;
    if (!nodes) return;
    if (isfinite(job->energy_before_j)) {
        job->energy_after_j = ask_energy(job, patience_s);
        job->after_unix_s = unix_s();
    }
    if (job->energy_plugin[0] && !me_slurm_ask(of_nodes, patience_s, &text, NULL))
        me_slurm_take_nodes(text.data, nodes, count);
    me_buffer_release(&text);
    if (is_shared(nodes, count)) ask_queue(job, nodes, count, patience_s);
    free(nodes);
}
