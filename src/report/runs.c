#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "writer.h"

static int compare(int a_machine, int a_repeat, int b_machine, int b_repeat)
{
    if (a_machine != b_machine) return a_machine < b_machine ? -1 : 1;
    return (a_repeat > b_repeat) - (a_repeat < b_repeat);
}

static int compare_rows(const void *a, const void *b)
{
    const struct me_row_repeat *x = *(const struct me_row_repeat *const *)a;
    const struct me_row_repeat *y = *(const struct me_row_repeat *const *)b;
    return compare(x->machine_id, x->repeat, y->machine_id, y->repeat);
}

int me_runs_init(struct me_runs *runs, const struct me_result *result)
{
    *runs = (struct me_runs){.rows = calloc(result->repeat_count + 1, sizeof *runs->rows)};
    if (!runs->rows) return -1;
    for (size_t i = 0; i < result->repeat_count; i++)
        if (!strcmp(result->repeats[i].phase, "run")) runs->rows[runs->count++] = &result->repeats[i];
    qsort(runs->rows, runs->count, sizeof *runs->rows, compare_rows);
    return 0;
}

/* The first row that is not before that machine and repeat. */
static size_t find_row(const struct me_runs *runs, int machine_id, int repeat)
{
    size_t low = 0, high = runs->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct me_row_repeat *row = runs->rows[middle];
        if (compare(row->machine_id, row->repeat, machine_id, repeat) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct me_row_repeat *me_runs_find(const struct me_runs *runs, int machine_id, int repeat)
{
    size_t at = find_row(runs, machine_id, repeat);
    if (at == runs->count) return NULL;
    const struct me_row_repeat *row = runs->rows[at];
    return row->machine_id == machine_id && row->repeat == repeat ? row : NULL;
}

size_t me_runs_of(const struct me_runs *runs, int machine_id, const struct me_row_repeat *const **first)
{
    size_t begin = find_row(runs, machine_id, INT_MIN), end = begin;
    while (end < runs->count && runs->rows[end]->machine_id == machine_id) end++;
    *first = runs->rows + begin;
    return end - begin;
}

void me_runs_release(struct me_runs *runs)
{
    if (!runs) return;
    free(runs->rows);
    *runs = (struct me_runs){0};
}
