#include "rows.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void me_rows_series_release(struct me_result_series *series)
{
    free(series->names);
    free(series->unix_ns);
    free(series->values);
    free(series->states);
}

void me_rows_drop_summaries(struct me_result *result)
{
    free(result->summaries);
    result->summaries = NULL;
    result->summary_count = 0;
}

void me_result_release(struct me_result *result)
{
    if (!result) return;
    for (size_t i = 0; i < result->series_count; i++) me_rows_series_release(&result->series[i]);
    free(result->command);
    free(result->plan_json);
    free(result->machines);
    free(result->channels);
    free(result->repeats);
    free(result->energies);
    free(result->activities);
    free(result->regions);
    free(result->metrics);
    free(result->jobs);
    free(result->job_nodes);
    free(result->summaries);
    free(result->series);
    *result = (struct me_result){0};
}

/* One table of a result, as bytes. */
struct table {
    size_t rows, count; /* offsets of the array and of its count in struct me_result */
    size_t size;        /* of a row */
};
#define TABLE(array, counter)                                                                                \
    {                                                                                                        \
        offsetof(struct me_result, array), offsetof(struct me_result, counter),                              \
            sizeof *((struct me_result *)0)->array                                                           \
    }
static const struct table tables[] = {
    TABLE(machines, machine_count),    TABLE(channels, channel_count),
    TABLE(repeats, repeat_count),      TABLE(energies, energy_count),
    TABLE(activities, activity_count), TABLE(regions, region_count),
    TABLE(metrics, metric_count),      TABLE(jobs, job_count),
    TABLE(job_nodes, job_node_count),  TABLE(series, series_count),
};
enum { TABLES = sizeof tables / sizeof *tables };

static void *get_rows(const struct me_result *result, const struct table *table)
{
    void *rows; /* copied, since the arrays are of different pointer types */
    memcpy(&rows, (const char *)result + table->rows, sizeof rows);
    return rows;
}

static void set_rows(struct me_result *result, const struct table *table, void *rows)
{
    memcpy((char *)result + table->rows, &rows, sizeof rows);
}

static size_t *get_count(struct me_result *result, const struct table *table)
{
    return (size_t *)(void *)((char *)result + table->count);
}

int me_rows_join(struct me_result *base, struct me_result *more, struct me_error *err)
{
    for (size_t i = 0; i < TABLES; i++) { /* all the room first, then nothing can fail */
        size_t total = *get_count(base, &tables[i]) + *get_count(more, &tables[i]);
        if (!total) continue;
        void *rows = total > SIZE_MAX / tables[i].size
                         ? NULL
                         : realloc(get_rows(base, &tables[i]), total * tables[i].size);
        if (!rows) return me_fail(err, ME_E_RUN, "no memory for a result of %zu rows", total);
        set_rows(base, &tables[i], rows);
    }
    for (size_t i = 0; i < TABLES; i++) {
        size_t *count = get_count(base, &tables[i]), *add = get_count(more, &tables[i]);
        if (!*add) continue;
        char *rows = get_rows(base, &tables[i]);
        memcpy(rows + *count * tables[i].size, get_rows(more, &tables[i]), *add * tables[i].size);
        *count += *add;
        *add = 0; /* what a moved series holds is no longer more's to free */
    }
    me_result_release(more);
    return 0;
}

int me_result_join(struct me_result *result, struct me_result *more, struct me_error *err)
{
    int rc = me_rows_join(result, more, err);
    me_result_release(more);
    return rc;
}

void me_rows_remark(char *text, size_t size, const char *format, ...)
{
    size_t len = strlen(text);
    if (len + 3 >= size) return;
    if (len) {
        memcpy(text + len, "; ", 3);
        len += 2;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text + len, size - len, format, args);
    va_end(args);
}

bool me_rows_is_run(const struct me_row_repeat *repeat)
{
    return !strcmp(repeat->phase, me_phase_name(ME_PHASE_RUN));
}

const struct me_row_region *me_rows_find_region(const struct me_result *result,
                                                const struct me_row_repeat *repeat)
{
    for (size_t i = 0; i < result->region_count; i++) {
        const struct me_row_region *row = &result->regions[i];
        if (row->machine_id == repeat->machine_id && row->repeat == repeat->repeat &&
            !strcmp(row->region, repeat->region))
            return row;
    }
    return NULL;
}

static void explain_exit(const struct me_row_repeat *repeat, char *text, size_t size)
{
    char how[64];
    if (repeat->exit_status > 256)
        snprintf(how, sizeof how, "the workload was ended by signal %d", repeat->exit_status - 256);
    else if (repeat->exit_status < 0)
        snprintf(how, sizeof how, "the workload did not end by itself");
    else
        snprintf(how, sizeof how, "the workload's exit status was %d", repeat->exit_status);
    snprintf(text, size, "repeat %d: %s%s%s", repeat->repeat, how, repeat->note[0] ? ": " : "", repeat->note);
}

bool me_rows_explain(const struct me_row_repeat *repeat, const char *region, const struct me_row_region *row,
                     char *text, size_t size)
{
    int number = repeat->repeat;
    if (repeat->exit_status) {
        explain_exit(repeat, text, size);
        return true;
    }
    if (isfinite(region[0] ? (row ? row->energy_j : NAN) : repeat->energy_j)) return false;
    if (!region[0])
        snprintf(text, size, "repeat %d: energy not known: %s", number, repeat->note);
    else if (!row)
        snprintf(text, size, "repeat %d: no region %s was marked", number, region);
    else
        snprintf(text, size, "repeat %d: energy of %s not known: %s", number, region, row->note);
    return true;
}

/* The next row of machine `id` at or behind *at, or NULL. */
static const struct me_row_channel *next_channel(const struct me_result *result, int32_t id, size_t *at)
{
    while (*at < result->channel_count) {
        const struct me_row_channel *row = &result->channels[(*at)++];
        if (row->machine_id == id) return row;
    }
    return NULL;
}

static bool is_same_channel(const struct me_row_channel *a, const struct me_row_channel *b)
{
    return !strcmp(a->channel, b->channel) && !strcmp(a->source, b->source) && !strcmp(a->scope, b->scope) &&
           !strcmp(a->kind, b->kind) && !strcmp(a->cls, b->cls) && !strcmp(a->provenance, b->provenance) &&
           !strcmp(a->unit, b->unit) && a->range == b->range && a->counted == b->counted;
}

bool me_rows_same_channels(const struct me_result *a, int32_t a_id, const struct me_result *b, int32_t b_id,
                           const char **differing)
{
    size_t i = 0, j = 0;
    for (;;) {
        const struct me_row_channel *old = next_channel(a, a_id, &i), *now = next_channel(b, b_id, &j);
        if (!old && !now) return true;
        if (old && now && is_same_channel(old, now)) continue;
        if (differing) *differing = old ? old->channel : now->channel;
        return false;
    }
}
