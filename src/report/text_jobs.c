/* The batch system's jobs: which they were, who else was on their nodes, and what its own meter says. */
#include <math.h>
#include <string.h>
#include "figures.h"

#define MOST 12

struct share { /* over the repeats of a machine in a job */
    double share, energy_j, part_j;
    int n;
};

static bool is_run_of(const struct me_row_repeat *row, const struct me_row_job_node *node)
{
    return !strcmp(row->phase, "run") && !row->exit_status && row->machine_id == node->machine_id &&
           row->repeat >= node->first_repeat && row->repeat <= node->last_repeat;
}

static struct share find_share(const struct me_result *result, const struct me_row_job_node *node)
{
    struct share sum = {0};
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (!is_run_of(row, node) || !isfinite(row->cpu_share) || !isfinite(row->energy_j)) continue;
        sum.share += row->cpu_share;
        sum.energy_j += row->energy_j;
        sum.part_j += row->cpu_share * row->energy_j;
        sum.n++;
    }
    return sum;
}

/* The share by CPU time is a rule of thumb, so it is told as one and enters no ranking. */
static void tell_node(const struct me_result *result, const struct me_row_job_node *node, FILE *out)
{
    struct share share = find_share(result, node);
    char part[160] = "; its share by CPU time is not known";
    if (share.n)
        snprintf(part, sizeof part, "; by CPU time its share was %.0f %%, %.4g of %.4g J a repeat",
                 100 * share.share / share.n, share.part_j / share.n, share.energy_j / share.n);
    if (!strcmp(node->sharing, "yes"))
        me_wrap(out, 4, "%s, job %s: shared with %s%s", me_text_name(result, node->machine_id), node->job_id,
                *node->shared_with ? node->shared_with : "others", part);
    else
        me_wrap(out, 4, "%s, job %s: it had %d of %d processors, no other job was seen%s",
                me_text_name(result, node->machine_id), node->job_id, node->cpu_count, node->node_cpus, part);
}

void me_text_shared(const struct me_result *result, FILE *out)
{
    size_t told = 0;
    for (size_t i = 0; i < result->job_node_count; i++) {
        const struct me_row_job_node *node = &result->job_nodes[i];
        if (strcmp(node->sharing, "yes") && strcmp(node->sharing, "possible")) continue;
        if (!told)
            me_wrap(
                out, 2,
                "SHARED: the energy is that of whole nodes, and of these other jobs may have used a part:");
        if (told++ < MOST) tell_node(result, node, out);
    }
    if (told > MOST) me_wrap(out, 4, "... and %zu more.", told - MOST);
}

/* Ours beside Slurm's: all phases of the job's repeats on its machines. NaN where one is not known. */
static double sum_energy_j(const struct me_result *result, const struct me_row_job *job)
{
    double sum = 0;
    for (size_t n = 0; n < result->job_node_count; n++) {
        const struct me_row_job_node *node = &result->job_nodes[n];
        if (strcmp(node->job_id, job->job_id) || node->first_repeat < job->first_repeat ||
            node->last_repeat > job->last_repeat)
            continue;
        for (size_t i = 0; i < result->repeat_count; i++) {
            const struct me_row_repeat *row = &result->repeats[i];
            bool is_its = row->repeat >= node->first_repeat && row->repeat <= node->last_repeat;
            bool is_only_idle = !strcmp(row->phase, "idle") && result->job_count == 1;
            if (row->machine_id == node->machine_id && (is_its || is_only_idle)) sum += row->energy_j;
        }
    }
    return sum;
}

static void tell_meter(const struct me_result *result, const struct me_row_job *job, FILE *out)
{
    double ours = sum_energy_j(result, job);
    char every[48] = "at times not known", own[64] = "";
    if (isfinite(job->energy_every_s)) snprintf(every, sizeof every, "every %g s", job->energy_every_s);
    if (isfinite(ours)) snprintf(own, sizeof own, "; ours in its phases: %.5g J", ours);
    if (isfinite(job->energy_j))
        me_wrap(out, 4,
                "Slurm's own figure (%s, whole nodes, read %s): %.5g J in %.1f s, all nodes together%s",
                job->energy_plugin, every, job->energy_j, job->energy_s, own);
    else
        me_wrap(out, 4, "Slurm has a meter of its own (%s), but told no joules of this job",
                job->energy_plugin);
}

static void tell_job(const struct me_result *result, const struct me_row_job *job, FILE *out)
{
    char array[96] = "", again[48] = "", repeats[48] = "none measured";
    if (*job->array_task)
        snprintf(array, sizeof array, " (task %s of array %s)", job->array_task, job->array_job);
    if (job->restarts) snprintf(again, sizeof again, ", requeued %d times", job->restarts);
    if (job->restarts == 1) snprintf(again, sizeof again, ", requeued once");
    if (job->first_repeat && job->first_repeat == job->last_repeat)
        snprintf(repeats, sizeof repeats, "repeat %d", job->first_repeat);
    else if (job->first_repeat)
        snprintf(repeats, sizeof repeats, "repeats %d to %d", job->first_repeat, job->last_repeat);
    me_wrap(out, 2, "%s%s, cluster %s, partition %s, nodes %s%s: %s", job->job_id, array,
            *job->cluster ? job->cluster : "not known", *job->partition ? job->partition : "not known",
            *job->nodes ? job->nodes : "not known", again, repeats);
    if (*job->energy_plugin) tell_meter(result, job, out);
}

void me_text_jobs(const struct me_result *result, FILE *out)
{
    if (!result->job_count) return;
    fputs("\nJobs of Slurm's\n", out);
    for (size_t i = 0; i < result->job_count && i < MOST; i++) tell_job(result, &result->jobs[i], out);
    if (result->job_count > MOST) me_wrap(out, 2, "... and %zu more.", result->job_count - MOST);
}
