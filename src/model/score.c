#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What puts a machine into a group: how its total was had, and what it covers. */
struct standing {
    struct me_row_summary *summary;
    const struct me_row_machine *machine;
    int provenance;                   /* enum me_provenance; -1 if nothing counts */
    int cls;                          /* enum me_class; -1 if nothing counts */
    unsigned scopes;                  /* a bit a scope; a wider scope is a higher bit */
    const struct me_row_channel *gap; /* what its total should hold and does not, or NULL */
};

/* The values of the repeats that enter, side by side. */
struct values {
    double *energy_j, *carbon_g;
    size_t n;
    double duration_s, work;
};

/* number_of_X(name): the number of a name of X, or -1. */
#define DEFINE_NUMBER_OF(what, namer, type, count)                                                           \
    static int number_of_##what(const char *name)                                                            \
    {                                                                                                        \
        for (int i = 0; i < (count); i++)                                                                    \
            if (!strcmp(name, namer((enum type)i))) return i;                                                \
        return -1;                                                                                           \
    }
DEFINE_NUMBER_OF(scope, me_scope_name, me_scope, ME_SCOPE_COUNT)
DEFINE_NUMBER_OF(cls, me_class_name, me_class, ME_CLASS_MODELLED + 1)
DEFINE_NUMBER_OF(provenance, me_provenance_name, me_provenance, ME_PROVENANCE_REPLAY + 1)

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static void find_standing(const struct me_result *result, struct standing *standing)
{
    standing->provenance = standing->cls = -1;
    for (size_t i = 0; i < result->channel_count; i++) {
        const struct me_row_channel *row = &result->channels[i];
        int scope = number_of_scope(row->scope);
        if (row->machine_id != standing->machine->machine_id || !row->counted || scope < 0) continue;
        standing->scopes |= 1u << scope;
        standing->cls = larger(standing->cls, number_of_cls(row->cls));
        standing->provenance = larger(standing->provenance, number_of_provenance(row->provenance));
    }
}

static bool begins_with(const char *text, const char *begin)
{
    return !strncmp(text, begin, strlen(begin));
}

/* One package of two is no total of packages: where a scope counts, all of its channels must. And a GPU
 * that cannot be read is missing wherever no wider meter covers it: it is what the workload may be for. */
static void find_gap(const struct me_result *result, struct standing *standing)
{
    for (size_t i = 0; i < result->channel_count && !standing->gap; i++) {
        const struct me_row_channel *row = &result->channels[i];
        int scope = number_of_scope(row->scope);
        if (row->machine_id != standing->machine->machine_id || scope < 0) continue;
        bool is_due = standing->scopes & 1u << scope || (scope == ME_SCOPE_GPU && standing->scopes &&
                                                         standing->scopes < 1u << ME_SCOPE_PLATFORM);
        if (is_due && !row->counted && me_channel_is_missing(row->why_not)) standing->gap = row;
    }
}

static bool is_ranked(const struct standing *standing)
{
    return standing->summary->n && !standing->gap;
}

static void name_standing(const struct standing *standing)
{
    struct me_row_summary *summary = standing->summary;
    size_t len = 0;
    for (int scope = 0; scope < ME_SCOPE_COUNT && len < sizeof summary->scopes; scope++)
        if (standing->scopes & 1u << scope)
            len += (size_t)snprintf(summary->scopes + len, sizeof summary->scopes - len, "%s%s",
                                    len ? "+" : "", me_scope_name((enum me_scope)scope));
    if (standing->cls < 0 || standing->provenance < 0) return;
    snprintf(summary->cls, sizeof summary->cls, "%s", me_class_name((enum me_class)standing->cls));
    snprintf(summary->provenance, sizeof summary->provenance, "%s",
             me_provenance_name((enum me_provenance)standing->provenance));
}

/* A repeat that was cut short did less than the whole work, whatever it returned. The note begins so
 * when me_bench ended it; further on it may hold words of the workload. */
static bool was_cut_short(const struct me_row_repeat *row)
{
    return begins_with(row->note, "interrupted") || begins_with(row->note, "timeout");
}

static bool enters(const struct me_row_repeat *row)
{
    return me_rows_is_run(row) && row->exit_status == 0 && isfinite(row->energy_j) && !was_cut_short(row);
}

/* Collects the repeats that enter, and remarks on those that do not. */
static void collect(const struct me_result *result, struct me_row_summary *summary, struct values *values)
{
    size_t left_out = 0;
    const char *unit = NULL;
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (row->machine_id != summary->machine_id || !me_rows_is_run(row)) continue;
        if (!enters(row)) {
            left_out++;
            continue;
        }
        values->energy_j[values->n] = row->energy_j;
        values->carbon_g[values->n++] = row->carbon_g;
        values->duration_s += row->duration_s;
        if (unit && strcmp(unit, row->work_unit)) values->work = NAN; /* unlike work has no sum */
        unit = row->work_unit;
        values->work += row->work;
    }
    if (values->n && left_out)
        me_rows_remark(summary->reason, sizeof summary->reason, "%zu of %zu repeats do not count", left_out,
                       left_out + values->n);
    if (values->n && values->work > 0) snprintf(summary->work_unit, sizeof summary->work_unit, "%s", unit);
}

static double sum(const double *values, size_t n)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) total += values[i];
    return total;
}

static void fill_statistics(struct me_row_summary *summary, const struct values *values)
{
    double n = (double)values->n, energy_j = sum(values->energy_j, values->n);
    if (!values->n) return;
    summary->n = (int32_t)values->n;
    summary->energy_mean_j = energy_j / n;
    summary->energy_ci95_j = me_ci95(values->energy_j, values->n);
    summary->carbon_mean_g = sum(values->carbon_g, values->n) / n;
    summary->carbon_ci95_g = me_ci95(values->carbon_g, values->n);
    summary->duration_mean_s = values->duration_s / n;
    if (values->duration_s > 0) summary->power_mean_w = energy_j / values->duration_s;
    if (values->work > 0) summary->j_per_work = energy_j / values->work;
}

/* Why a machine has no place. */
static void explain(const struct me_result *result, const struct standing *standing)
{
    struct me_row_summary *summary = standing->summary;
    const struct me_row_machine *machine = standing->machine;
    if (summary->n && standing->gap)
        me_rows_remark(summary->reason, sizeof summary->reason, "not ranked: its total lacks %s (%s)",
                       standing->gap->channel, standing->gap->why_not);
    if (summary->n) {
        if (strcmp(machine->status, me_status_name(ME_STATUS_OK)))
            me_rows_remark(summary->reason, sizeof summary->reason, "%s: %s", machine->status,
                           machine->reason);
        else if (machine->reason[0])
            me_rows_remark(summary->reason, sizeof summary->reason, "%s", machine->reason);
        return;
    }
    if (strcmp(machine->status, me_status_name(ME_STATUS_OK)) || machine->reason[0]) {
        me_rows_remark(summary->reason, sizeof summary->reason, "%s: %s", machine->status, machine->reason);
        return;
    }
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (row->machine_id != machine->machine_id || !me_rows_is_run(row)) continue;
        me_rows_remark(summary->reason, sizeof summary->reason, "repeat %d: %s", row->repeat,
                       row->note[0] ? row->note : "its workload failed");
        return;
    }
    me_rows_remark(summary->reason, sizeof summary->reason, "no repeat was measured");
}

static void summarise(const struct me_result *result, struct standing *standing, struct values *values)
{
    struct me_row_summary *summary = standing->summary;
    *summary = (struct me_row_summary){
        .machine_id = standing->machine->machine_id,
        .energy_mean_j = NAN,
        .energy_ci95_j = NAN,
        .carbon_mean_g = NAN,
        .carbon_ci95_g = NAN,
        .duration_mean_s = NAN,
        .power_mean_w = NAN,
        .j_per_work = NAN,
    };
    values->n = 0;
    values->duration_s = values->work = 0;
    find_standing(result, standing);
    find_gap(result, standing);
    name_standing(standing);
    collect(result, summary, values);
    if (standing->cls >= 0 && standing->provenance >= 0) fill_statistics(summary, values);
    explain(result, standing);
}

/* Groups stand in this order: live before fake before replay, measured before modelled, wider scopes
 * first. Machines that have no repeat, or a part of their total only, stand behind all groups. */
static int compare_groups(const struct standing *a, const struct standing *b)
{
    bool a_out = !is_ranked(a), b_out = !is_ranked(b);
    bool a_modelled = a->cls == ME_CLASS_MODELLED, b_modelled = b->cls == ME_CLASS_MODELLED;
    if (a_out || b_out) return a_out - b_out;
    if (a->provenance != b->provenance) return a->provenance < b->provenance ? -1 : 1;
    if (a_modelled != b_modelled) return a_modelled - b_modelled;
    if (a->scopes != b->scopes) return a->scopes > b->scopes ? -1 : 1;
    return 0;
}

static int compare_standings(const void *a, const void *b)
{
    const struct standing *x = a, *y = b;
    int order = compare_groups(x, y);
    if (order) return order;
    return (x->machine->machine_id > y->machine->machine_id) -
           (x->machine->machine_id < y->machine->machine_id);
}

/* Places of one group: one more than the machines that used less, so that equals share a place. */
static void place(struct standing *group, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct me_row_summary *mine = group[i].summary;
        int32_t place = 1, carbon_place = 1;
        for (size_t j = 0; j < n; j++) {
            const struct me_row_summary *other = group[j].summary;
            place += other->energy_mean_j < mine->energy_mean_j;
            carbon_place += other->carbon_mean_g < mine->carbon_mean_g;
        }
        mine->place = place;
        mine->carbon_place = isnan(mine->carbon_mean_g) ? 0 : carbon_place;
    }
}

static bool has_basis(const struct standing *group, size_t n, const char *basis)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(group[i].machine->basis, basis)) return true;
    return false;
}

/* Life-cycle and direct intensities differ by several times on clean grids (the tables'
 * PROVENANCE): a carbon order over both must say so. */
static void remark_bases(struct standing *group, size_t n)
{
    if (!has_basis(group, n, "life-cycle") || !has_basis(group, n, "direct")) return;
    for (size_t i = 0; i < n; i++)
        me_rows_remark(
            group[i].summary->reason, sizeof group[i].summary->reason,
            "the carbon order mixes grid intensities on two bases, life-cycle and direct; this one is %s",
            group[i].machine->basis[0] ? group[i].machine->basis : "not known");
}

static void place_groups(struct standing *standings, size_t n)
{
    int32_t number = 0;
    qsort(standings, n, sizeof *standings, compare_standings);
    for (size_t i = 0, next; i < n && is_ranked(&standings[i]); i = next) {
        for (next = i + 1; next < n && !compare_groups(&standings[i], &standings[next]); next++) {
        }
        number++;
        for (size_t j = i; j < next; j++) standings[j].summary->group = number;
        place(standings + i, next - i);
        remark_bases(standings + i, next - i);
    }
}

int me_result_rank(struct me_result *result, struct me_error *err)
{
    size_t n = result->machine_count;
    struct me_row_summary *summaries = calloc(n + 1, sizeof *summaries);
    struct standing *standings = calloc(n + 1, sizeof *standings);
    struct values values = {.energy_j = calloc(result->repeat_count + 1, sizeof(double)),
                            .carbon_g = calloc(result->repeat_count + 1, sizeof(double))};
    int rc = -1;
    if (!summaries || !standings || !values.energy_j || !values.carbon_g) {
        me_fail(err, ME_E_RUN, "no memory to rank %zu machines", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        standings[i].summary = &summaries[i];
        standings[i].machine = &result->machines[i];
        summarise(result, &standings[i], &values);
    }
    place_groups(standings, n);
    me_rows_drop_summaries(result);
    result->summaries = summaries;
    result->summary_count = n;
    summaries = NULL;
    rc = 0;
out:
    free(summaries);
    free(standings);
    free(values.energy_j);
    free(values.carbon_g);
    return rc;
}
