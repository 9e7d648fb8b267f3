#include "rows.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_channels(const struct me_result *result, int32_t id)
{
    for (size_t i = 0; i < result->channel_count; i++)
        if (result->channels[i].machine_id == id) return true;
    return false;
}

/* One that told nothing, for it was lost, is known by its name alone. */
static bool is_same(const struct me_result *base, const struct me_row_machine *old,
                    const struct me_result *more, const struct me_row_machine *now)
{
    bool same_name = !strcmp(old->name, now->name), same_boot = !strcmp(old->boot_id, now->boot_id);
    if (!same_name && !same_boot) return false; /* as nearly all pairs; the rest takes a search */
    if (!has_channels(base, old->machine_id) || !has_channels(more, now->machine_id)) return same_name;
    return same_boot && me_rows_same_channels(base, old->machine_id, more, now->machine_id, NULL);
}

static bool is_taken(const int32_t *ids, size_t count, int32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id) return true;
    return false;
}

static int32_t next_id(const struct me_result *base)
{
    int32_t next = 0;
    for (size_t i = 0; i < base->machine_count; i++)
        if (base->machines[i].machine_id >= next) next = base->machines[i].machine_id + 1;
    return next;
}

static bool has_name(const struct me_result *result, const char *name)
{
    for (size_t i = 0; i < result->machine_count; i++)
        if (!strcmp(result->machines[i].name, name)) return true;
    return false;
}

/* "n1", and where another machine has that name already "n1#2". */
static void make_name_unique(const struct me_result *base, struct me_row_machine *row)
{
    char name[sizeof row->name];
    memcpy(name, row->name, sizeof name);
    for (int n = 2; n < 10000 && has_name(base, name); n++)
        snprintf(name, sizeof name, "%.*s#%d", (int)sizeof name - 8, row->name, n);
    memcpy(row->name, name, sizeof name);
}

static void find_ids(const struct me_result *base, struct me_result *more, int32_t *ids)
{
    int32_t next = next_id(base);
    for (size_t i = 0; i < more->machine_count; i++) {
        struct me_row_machine *now = &more->machines[i];
        const struct me_row_machine *same = NULL;
        for (size_t j = 0; j < base->machine_count && !same; j++)
            if (is_same(base, &base->machines[j], more, now) &&
                !is_taken(ids, i, base->machines[j].machine_id))
                same = &base->machines[j];
        ids[i] = same ? same->machine_id : next++;
        if (same)
            memcpy(now->name, same->name, sizeof now->name);
        else
            make_name_unique(base, now);
    }
}

static int32_t renumbered(const struct me_result *more, const int32_t *ids, int32_t id)
{
    for (size_t i = 0; i < more->machine_count; i++)
        if (more->machines[i].machine_id == id) return ids[i];
    return id;
}

int me_result_renumber(const struct me_result *base, struct me_result *more, int32_t *ids,
                       struct me_error *err)
{
    int32_t *own = calloc(more->machine_count + 1, sizeof *own);
    if (!own) return me_fail(err, ME_E_RUN, "no memory for %zu machines", more->machine_count);
    find_ids(base, more, own);
#define RENUMBER(rows, count)                                                                                \
    for (size_t i = 0; i < more->count; i++)                                                                 \
    more->rows[i].machine_id = renumbered(more, own, more->rows[i].machine_id)
    RENUMBER(channels, channel_count);
    RENUMBER(repeats, repeat_count);
    RENUMBER(energies, energy_count);
    RENUMBER(activities, activity_count);
    RENUMBER(regions, region_count);
    RENUMBER(metrics, metric_count);
    RENUMBER(job_nodes, job_node_count);
    RENUMBER(series, series_count);
#undef RENUMBER
    for (size_t i = 0; i < more->machine_count; i++) more->machines[i].machine_id = own[i]; /* the last */
    if (ids) memcpy(ids, own, more->machine_count * sizeof *ids);
    free(own);
    return 0;
}
