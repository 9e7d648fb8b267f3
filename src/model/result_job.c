#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *me_sharing_name(enum me_sharing sharing)
{
    static const char *const names[] = {"", "no", "possible", "yes"};
    return (size_t)sharing < sizeof names / sizeof *names ? names[sharing] : "";
}

/* The numbers of the phases in which something ran; of machine `id`, or of all where it is negative. */
static void find_repeats(const struct me_result *result, int id, int32_t *first, int32_t *last)
{
    *first = *last = 0;
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (!me_rows_is_run(row) || (id >= 0 && row->machine_id != id)) continue;
        if (!*first || row->repeat < *first) *first = row->repeat;
        if (row->repeat > *last) *last = row->repeat;
    }
}

static void fill_job(struct me_row_job *row, const struct me_batch_job *job, const struct me_result *result)
{
    *row = (struct me_row_job){.restarts = job->restarts,
                               .energy_every_s = job->energy_every_s,
                               .energy_j = job->energy_after_j - job->energy_before_j,
                               .energy_begin_unix_s = job->before_unix_s,
                               .energy_s = job->after_unix_s - job->before_unix_s};
    memcpy(row->job_id, job->id, sizeof row->job_id);
    memcpy(row->array_job, job->array_job, sizeof row->array_job);
    memcpy(row->array_task, job->array_task, sizeof row->array_task);
    memcpy(row->cluster, job->cluster, sizeof row->cluster);
    memcpy(row->partition, job->partition, sizeof row->partition);
    memcpy(row->nodes, job->nodes, sizeof row->nodes);
    memcpy(row->energy_plugin, job->energy_plugin, sizeof row->energy_plugin);
    find_repeats(result, -1, &row->first_repeat, &row->last_repeat);
}

static void fill_node(struct me_row_job_node *row, const struct me_batch_job *job,
                      const struct me_plan_machine *machine, const struct me_result *result)
{
    const struct me_batch_node *node = &machine->node;
    *row = (struct me_row_job_node){.machine_id = machine->id,
                                    .cpu_count = node->cpu_count,
                                    .node_cpus = node->node_cpus,
                                    .power_w = node->power_w};
    memcpy(row->job_id, job->id, sizeof row->job_id);
    memcpy(row->node, node->node, sizeof row->node);
    memcpy(row->cpus, node->cpus, sizeof row->cpus);
    memcpy(row->shared_with, node->shared_with, sizeof row->shared_with);
    snprintf(row->sharing, sizeof row->sharing, "%s", me_sharing_name(node->sharing));
    find_repeats(result, machine->id, &row->first_repeat, &row->last_repeat);
}

int me_result_add_job(struct me_result *result, const struct me_plan *plan, struct me_error *err)
{
    struct me_result add = {0};
    if (!plan->job.id[0]) return 0;
    add.jobs = calloc(1, sizeof *add.jobs);
    add.job_nodes = calloc(plan->count + 1, sizeof *add.job_nodes);
    if (!add.jobs || !add.job_nodes) {
        me_result_release(&add);
        return me_fail(err, ME_E_RUN, "no memory for the job's rows");
    }
    fill_job(&add.jobs[add.job_count++], &plan->job, result);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->machines[i].node.node[0])
            fill_node(&add.job_nodes[add.job_node_count++], &plan->job, &plan->machines[i], result);
    int rc = me_rows_join(result, &add, err);
    me_result_release(&add);
    return rc;
}

static int count_good(const struct me_result *result, const struct me_row_job_node *node)
{
    int count = 0;
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (row->machine_id == node->machine_id && row->repeat >= node->first_repeat &&
            row->repeat <= node->last_repeat && me_rows_is_run(row) && !row->exit_status &&
            isfinite(row->energy_j))
            count++;
    }
    return count;
}

/* Of one start of the job: the least of its machines. Starts are told apart by their repeats, which follow. */
static int count_of_start(const struct me_result *result, const struct me_row_job *job)
{
    int least = -1;
    for (size_t i = 0; i < result->job_node_count; i++) {
        const struct me_row_job_node *node = &result->job_nodes[i];
        bool is_its = node->first_repeat >= job->first_repeat && node->last_repeat <= job->last_repeat;
        if (strcmp(node->job_id, job->job_id) || !(is_its || !node->first_repeat)) continue;
        int count = count_good(result, node);
        if (least < 0 || count < least) least = count;
    }
    return least < 0 ? 0 : least;
}

int me_result_rounds_done(const struct me_result *result, const char *job_id, int workloads)
{
    int rounds = 0;
    for (size_t i = 0; i < result->job_count; i++)
        if (!strcmp(result->jobs[i].job_id, job_id))
            rounds += count_of_start(result, &result->jobs[i]) / workloads;
    return rounds;
}

void me_result_forget_interrupts(struct me_result *base, const struct me_result *more)
{
    const char *interrupted = me_status_name(ME_STATUS_INTERRUPTED), *ok = me_status_name(ME_STATUS_OK);
    for (size_t i = 0; i < more->machine_count; i++) {
        if (strcmp(more->machines[i].status, ok)) continue;
        for (size_t j = 0; j < base->machine_count; j++) {
            struct me_row_machine *row = &base->machines[j];
            if (row->machine_id != more->machines[i].machine_id || strcmp(row->status, interrupted)) continue;
            snprintf(row->status, sizeof row->status, "%s", ok);
            row->reason[0] = '\0';
        }
    }
}

static void widen(int32_t *first, int32_t *last, int32_t more_first, int32_t more_last)
{
    if (more_first && (!*first || more_first < *first)) *first = more_first;
    if (more_last > *last) *last = more_last;
}

static struct me_row_job *find_start(const struct me_result *result, const struct me_row_job *job)
{
    for (size_t i = 0; i < result->job_count; i++)
        if (!strcmp(result->jobs[i].job_id, job->job_id) && result->jobs[i].restarts == job->restarts)
            return &result->jobs[i];
    return NULL;
}

/* The row of that machine within the start's repeats; one that measured nothing fits too. */
static struct me_row_job_node *find_node(const struct me_result *result, const struct me_row_job *start,
                                         const struct me_row_job_node *node)
{
    for (size_t i = 0; i < result->job_node_count; i++) {
        struct me_row_job_node *row = &result->job_nodes[i];
        bool is_its = !row->first_repeat ||
                      (row->first_repeat >= start->first_repeat && row->last_repeat <= start->last_repeat);
        if (row->machine_id == node->machine_id && !strcmp(row->job_id, node->job_id) && is_its) return row;
    }
    return NULL;
}

void me_result_merge_jobs(struct me_result *base, struct me_result *fresh)
{
    for (size_t i = 0; i < fresh->job_count; i++) {
        const struct me_row_job *job = &fresh->jobs[i];
        struct me_row_job *start = find_start(base, job);
        if (!start) continue;
        widen(&start->first_repeat, &start->last_repeat, job->first_repeat, job->last_repeat);
        size_t kept = 0;
        for (size_t n = 0; n < fresh->job_node_count; n++) {
            struct me_row_job_node *node = &fresh->job_nodes[n], *old = find_node(base, start, node);
            if (old)
                widen(&old->first_repeat, &old->last_repeat, node->first_repeat, node->last_repeat);
            else
                fresh->job_nodes[kept++] = *node;
        }
        fresh->job_node_count = kept;
        fresh->jobs[i--] = fresh->jobs[--fresh->job_count];
    }
}
