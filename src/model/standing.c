#include "standing.h"
#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void find_counted(const struct me_result *result, struct me_standing *standing)
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

/* One package of two is no total of packages: where a scope counts, all of its channels must. And a GPU
 * that cannot be read is missing wherever no wider meter covers it: it is what the workload may be for. */
static void find_gap(const struct me_result *result, struct me_standing *standing)
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

void me_standing_find(const struct me_result *result, const struct me_row_machine *machine,
                      struct me_standing *standing)
{
    *standing = (struct me_standing){.machine = machine};
    find_counted(result, standing);
    find_gap(result, standing);
}

static bool is_ranked(const struct me_standing *standing)
{
    return standing->summary->n && !standing->gap;
}

void me_standing_name(const struct me_standing *standing)
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

/* Groups stand in this order: by workload; within one, live before fake before replay, measured before
 * modelled, wider scopes first. Machines that have no repeat, or a part of their total only, stand behind all
 * groups. */
static int compare_groups(const struct me_standing *a, const struct me_standing *b)
{
    bool a_out = !is_ranked(a), b_out = !is_ranked(b);
    bool a_modelled = a->cls == ME_CLASS_MODELLED, b_modelled = b->cls == ME_CLASS_MODELLED;
    if (a_out || b_out) return a_out - b_out;
    if (a->workload != b->workload) return a->workload < b->workload ? -1 : 1;
    if (a->provenance != b->provenance) return a->provenance < b->provenance ? -1 : 1;
    if (a_modelled != b_modelled) return a_modelled - b_modelled;
    if (a->scopes != b->scopes) return a->scopes > b->scopes ? -1 : 1;
    return 0;
}

static int compare_standings(const void *a, const void *b)
{
    const struct me_standing *x = a, *y = b;
    int order = compare_groups(x, y);
    if (order) return order;
    if (x->workload != y->workload) return x->workload < y->workload ? -1 : 1; /* of those without a group */
    return (x->machine->machine_id > y->machine->machine_id) -
           (x->machine->machine_id < y->machine->machine_id);
}

/* Places of one group: one more than the machines that used less, so that equals share a place. Whose outcome
 * is unlike has none. */
static void place(struct me_standing *group, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct me_row_summary *mine = group[i].summary;
        int32_t place = 1, carbon_place = 1;
        for (size_t j = 0; j < n && !group[i].is_unlike; j++) {
            const struct me_row_summary *other = group[j].summary;
            if (group[j].is_unlike) continue;
            place += other->energy_mean_j < mine->energy_mean_j;
            carbon_place += other->carbon_mean_g < mine->carbon_mean_g;
        }
        mine->place = group[i].is_unlike ? 0 : place;
        mine->carbon_place = group[i].is_unlike || isnan(mine->carbon_mean_g) ? 0 : carbon_place;
    }
}

static bool has_basis(const struct me_standing *group, size_t n, const char *basis)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(group[i].machine->basis, basis)) return true;
    return false;
}

/* Life-cycle and direct intensities differ by several times on clean grids (the tables'
 * PROVENANCE): a carbon order over both must say so. */
static void remark_bases(struct me_standing *group, size_t n)
{
    if (!has_basis(group, n, "life-cycle") || !has_basis(group, n, "direct")) return;
    for (size_t i = 0; i < n; i++)
        me_rows_remark(
            group[i].summary->reason, sizeof group[i].summary->reason,
            "the carbon order mixes grid intensities on two bases, life-cycle and direct; this one is %s",
            group[i].machine->basis[0] ? group[i].machine->basis : "not known");
}

void me_standing_place(struct me_standing *standings, size_t n)
{
    int32_t number = 0;
    qsort(standings, n, sizeof *standings, compare_standings);
    for (size_t i = 0, next; i < n && is_ranked(&standings[i]); i = next) {
        for (next = i + 1; next < n && !compare_groups(&standings[i], &standings[next]); next++) {
        }
        number++;
        for (size_t j = i; j < next; j++) standings[j].summary->group = number;
        me_outcome_judge(standings + i, next - i);
        place(standings + i, next - i);
        remark_bases(standings + i, next - i);
    }
}
