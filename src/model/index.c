#include "index.h"
#include "rows.h"
#include <stdlib.h>
#include <string.h>

static int compare_ids(int32_t a, int32_t b)
{
    return (a > b) - (a < b);
}

/* Rows that are alike stay in their order: they are of one array. */
static int compare_places(const void *a, const void *b)
{
    return (a > b) - (a < b);
}

static int compare_keys(int32_t a_machine, int32_t a_repeat, const char *a_name, int32_t b_machine,
                        int32_t b_repeat, const char *b_name)
{
    if (a_machine != b_machine) return compare_ids(a_machine, b_machine);
    return a_repeat != b_repeat ? compare_ids(a_repeat, b_repeat) : strcmp(a_name, b_name);
}

static int compare_runs(const void *a, const void *b)
{
    const struct me_row_repeat *x = *(const struct me_row_repeat *const *)a;
    const struct me_row_repeat *y = *(const struct me_row_repeat *const *)b;
    int order = compare_keys(x->machine_id, 0, x->workload, y->machine_id, 0, y->workload);
    return order ? order : compare_places(x, y);
}

static int compare_regions(const void *a, const void *b)
{
    const struct me_row_region *x = *(const struct me_row_region *const *)a;
    const struct me_row_region *y = *(const struct me_row_region *const *)b;
    int order = compare_keys(x->machine_id, x->repeat, x->region, y->machine_id, y->repeat, y->region);
    return order ? order : compare_places(x, y);
}

static int compare_metrics(const void *a, const void *b)
{
    const struct me_row_metric *x = *(const struct me_row_metric *const *)a;
    const struct me_row_metric *y = *(const struct me_row_metric *const *)b;
    int order = compare_keys(x->machine_id, x->repeat, x->metric, y->machine_id, y->repeat, y->metric);
    return order ? order : compare_places(x, y);
}

static int compare_workloads(const void *a, const void *b)
{
    const struct me_row_repeat *x = *(const struct me_row_repeat *const *)a;
    const struct me_row_repeat *y = *(const struct me_row_repeat *const *)b;
    int order = strcmp(x->workload, y->workload);
    if (!order) order = compare_ids(x->repeat, y->repeat);
    return order ? order : compare_places(x, y);
}

static int compare_firsts(const void *a, const void *b)
{
    const struct me_row_repeat *x = *(const struct me_row_repeat *const *)a;
    const struct me_row_repeat *y = *(const struct me_row_repeat *const *)b;
    return x->repeat != y->repeat ? compare_ids(x->repeat, y->repeat) : compare_places(x, y);
}

static void find_workloads(struct me_index *index)
{
    const struct me_row_repeat **rows = index->workloads;
    size_t kept = 0;
    memcpy(rows, index->runs, index->run_count * sizeof *rows);
    qsort(rows, index->run_count, sizeof *rows, compare_workloads);
    for (size_t i = 0; i < index->run_count; i++)
        if (!kept || strcmp(rows[kept - 1]->workload, rows[i]->workload)) rows[kept++] = rows[i];
    qsort(rows, kept, sizeof *rows, compare_firsts);
    index->workload_count = kept;
}

int me_index_init(struct me_index *index, const struct me_result *result)
{
    struct me_index new = {0};
    new.runs = calloc(result->repeat_count + 1, sizeof *new.runs);
    new.workloads = calloc(result->repeat_count + 1, sizeof *new.workloads);
    new.regions = calloc(result->region_count + 1, sizeof *new.regions);
    new.metrics = calloc(result->metric_count + 1, sizeof *new.metrics);
    if (!new.runs || !new.workloads || !new.regions || !new.metrics) {
        me_index_release(&new);
        return -1;
    }
    for (size_t i = 0; i < result->repeat_count; i++)
        if (me_rows_is_run(&result->repeats[i])) new.runs[new.run_count++] = &result->repeats[i];
    for (size_t i = 0; i < result->region_count; i++) new.regions[new.region_count++] = &result->regions[i];
    for (size_t i = 0; i < result->metric_count; i++) new.metrics[new.metric_count++] = &result->metrics[i];
    qsort(new.runs, new.run_count, sizeof *new.runs, compare_runs);
    qsort(new.regions, new.region_count, sizeof *new.regions, compare_regions);
    qsort(new.metrics, new.metric_count, sizeof *new.metrics, compare_metrics);
    find_workloads(&new);
    *index = new;
    return 0;
}

void me_index_release(struct me_index *index)
{
    if (!index) return;
    free(index->runs);
    free(index->workloads);
    free(index->regions);
    free(index->metrics);
    *index = (struct me_index){0};
}

/* The first run of a machine whose workload is not before `workload`. */
static size_t find_runs(const struct me_index *index, int32_t machine_id, const char *workload)
{
    size_t low = 0, high = index->run_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct me_row_repeat *row = index->runs[middle];
        if (compare_keys(row->machine_id, 0, row->workload, machine_id, 0, workload) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t me_index_runs(const struct me_index *index, int32_t machine_id, const char *workload,
                     const struct me_row_repeat *const **first)
{
    size_t begin = find_runs(index, machine_id, workload), end = begin;
    while (end < index->run_count && index->runs[end]->machine_id == machine_id &&
           !strcmp(index->runs[end]->workload, workload))
        end++;
    *first = index->runs + begin;
    return end - begin;
}

const struct me_row_repeat *me_index_run(const struct me_index *index, int32_t machine_id, int32_t repeat)
{
    size_t i = find_runs(index, machine_id, "");
    for (; i < index->run_count && index->runs[i]->machine_id == machine_id; i++)
        if (index->runs[i]->repeat == repeat) return index->runs[i];
    return NULL;
}

/* What is looked for: a row of this machine and repeat, by its region or metric. */
struct key {
    int32_t machine_id, repeat;
    const char *name;
};

static int find_region(const void *key, const void *at)
{
    const struct key *k = key;
    const struct me_row_region *row = *(const struct me_row_region *const *)at;
    return compare_keys(k->machine_id, k->repeat, k->name, row->machine_id, row->repeat, row->region);
}

static int find_metric(const void *key, const void *at)
{
    const struct key *k = key;
    const struct me_row_metric *row = *(const struct me_row_metric *const *)at;
    return compare_keys(k->machine_id, k->repeat, k->name, row->machine_id, row->repeat, row->metric);
}

const struct me_row_region *me_index_region(const struct me_index *index, int32_t machine_id, int32_t repeat,
                                            const char *region)
{
    struct key key = {machine_id, repeat, region};
    const struct me_row_region *const *found =
        bsearch(&key, index->regions, index->region_count, sizeof *index->regions, find_region);
    return found ? *found : NULL;
}

const struct me_row_metric *me_index_metric(const struct me_index *index, int32_t machine_id, int32_t repeat,
                                            const char *metric)
{
    struct key key = {machine_id, repeat, metric};
    const struct me_row_metric *const *found =
        bsearch(&key, index->metrics, index->metric_count, sizeof *index->metrics, find_metric);
    return found ? *found : NULL;
}
