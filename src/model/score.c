/* The ranking: a summary for each workload of each machine. What it needs stands in index.c (rows found
 * fast), statistics.c (means), outcome.c (what the work came to) and standing.c (groups and places). */
#include "rows.h"
#include "statistics.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* All that me_result_rank makes. */
struct score {
    struct me_index index;
    struct me_standing *machines; /* without a workload, one a machine */
    struct me_standing *standings;
    struct me_row_summary *summaries;
    size_t count; /* of standings and summaries: workloads x machines */
    struct me_statistics values;
};

static int make_room(struct score *score, const struct me_result *result)
{
    if (me_index_init(&score->index, result)) return -1;
    size_t machines = result->machine_count;
    size_t workloads = score->index.workload_count ? score->index.workload_count : 1;
    if (__builtin_mul_overflow(machines, workloads, &score->count)) return -1;
    score->machines = calloc(machines + 1, sizeof *score->machines);
    score->standings = calloc(score->count + 1, sizeof *score->standings);
    score->summaries = calloc(score->count + 1, sizeof *score->summaries);
    score->values.energy_j = calloc(result->repeat_count + 1, sizeof(double));
    score->values.carbon_g = calloc(result->repeat_count + 1, sizeof(double));
    return score->machines && score->standings && score->summaries && score->values.energy_j &&
                   score->values.carbon_g
               ? 0
               : -1;
}

static void release(struct score *score)
{
    me_index_release(&score->index);
    free(score->machines);
    free(score->standings);
    free(score->summaries);
    free(score->values.energy_j);
    free(score->values.carbon_g);
}

/* `example` is a run of the workload, or NULL where nothing ran. Of all its runs the same region is compared,
 * also where --append brought some that were meant for another. */
static void begin_summary(struct me_row_summary *summary, int32_t machine_id,
                          const struct me_row_repeat *example)
{
    *summary = (struct me_row_summary){
        .machine_id = machine_id,
        .energy_mean_j = NAN,
        .energy_ci95_j = NAN,
        .carbon_mean_g = NAN,
        .carbon_ci95_g = NAN,
        .duration_mean_s = NAN,
        .power_mean_w = NAN,
        .j_per_work = NAN,
        .g_per_work = NAN,
        .work_per_s = NAN,
        .accuracy = NAN,
        .loss = NAN,
    };
    if (!example) return;
    memcpy(summary->workload, example->workload, sizeof summary->workload);
    memcpy(summary->region, example->region, sizeof summary->region);
}

static void summarise(struct score *score, size_t machines, size_t workload, size_t machine)
{
    size_t number = workload * machines + machine;
    struct me_standing *standing = &score->standings[number];
    *standing = score->machines[machine];
    standing->summary = &score->summaries[number];
    standing->workload = workload;
    begin_summary(standing->summary, standing->machine->machine_id,
                  score->index.workload_count ? score->index.workloads[workload] : NULL);
    me_standing_name(standing);
    me_statistics_fill(&score->index, &score->values, standing);
}

int me_result_rank(struct me_result *result, struct me_error *err)
{
    struct score score = {0};
    size_t machines = result->machine_count;
    int rc = -1;
    if (make_room(&score, result)) {
        me_fail(err, ME_E_RUN, "no memory to rank %zu machines", machines);
        goto out;
    }
    for (size_t i = 0; i < machines; i++) me_standing_find(result, &result->machines[i], &score.machines[i]);
    for (size_t workload = 0; workload * machines < score.count; workload++)
        for (size_t i = 0; i < machines; i++) summarise(&score, machines, workload, i);
    me_standing_place(score.standings, score.count);
    me_rows_drop_summaries(result);
    result->summaries = score.summaries;
    result->summary_count = score.count;
    score.summaries = NULL;
    rc = 0;
out:
    release(&score);
    return rc;
}
