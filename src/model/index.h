/* The rows of a result as the ranking asks for them, found by halving: a few thousand machines with some
 * workloads have a hundred thousand of them. */
#ifndef ME_MODEL_INDEX_H
#define ME_MODEL_INDEX_H

#include "me/result.h"

struct me_index {
    const struct me_row_repeat **runs; /* of phase "run"; by machine, workload and their order */
    size_t run_count;
    const struct me_row_region **regions; /* by machine, repeat and region */
    size_t region_count;
    const struct me_row_metric **metrics; /* by machine, repeat and metric */
    size_t metric_count;
    const struct me_row_repeat **workloads; /* a run of each, by the number of its first repeat */
    size_t workload_count;
};
/* Points into the result, which must outlive it and not change. -1: no memory, and nothing to release. */
int me_index_init(struct me_index *index, const struct me_result *result);
void me_index_release(struct me_index *index); /* NULL-safe */

/* The runs of a workload on a machine, in their order: *first points at them. Returns how many. */
size_t me_index_runs(const struct me_index *index, int32_t machine_id, const char *workload,
                     const struct me_row_repeat *const **first);
/* The run of that number on a machine, or NULL. */
const struct me_row_repeat *me_index_run(const struct me_index *index, int32_t machine_id, int32_t repeat);
/* NULL: there is none. */
const struct me_row_region *me_index_region(const struct me_index *index, int32_t machine_id, int32_t repeat,
                                            const char *region);
const struct me_row_metric *me_index_metric(const struct me_index *index, int32_t machine_id, int32_t repeat,
                                            const char *metric);

#endif
