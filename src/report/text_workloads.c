/* The workloads side by side on each machine: what the same work costs in each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "figures.h"

#define MOST           12 /* machines; the file has them all */
#define WORKLOAD_WIDTH 20
#define WORKLOAD_TAIL  11 /* of "gemm --precision single" the end tells more than the middle */

/* What the runs of a workload used beside the region that is compared. */
struct rest {
    double energy_j, duration_s;
    size_t n;
};

struct board { /* the workloads of one machine that have figures, as they ran */
    const struct me_result *result;
    const struct me_row_summary **rows;
    struct rest *rests;
    size_t count;
};

static void add_rest(struct board *board, const struct me_row_repeat *run, const struct me_row_region *region)
{
    if (run->exit_status || !isfinite(run->energy_j) || !isfinite(region->energy_j)) return;
    for (size_t i = 0; i < board->count; i++) {
        const struct me_row_summary *row = board->rows[i];
        if (strcmp(row->workload, run->workload) || strcmp(row->region, region->region)) continue;
        board->rests[i].energy_j += run->energy_j - region->energy_j;
        board->rests[i].duration_s += run->duration_s - region->duration_s;
        board->rests[i].n++;
    }
}

static void fill_board(struct board *board, const struct me_runs *runs, int machine_id)
{
    const struct me_result *result = board->result;
    board->count = 0;
    for (size_t i = 0; i < result->summary_count; i++) {
        const struct me_row_summary *row = &result->summaries[i];
        if (row->machine_id != machine_id || row->n < 1) continue;
        board->rests[board->count] = (struct rest){0};
        board->rows[board->count++] = row;
    }
    for (size_t i = 0; i < result->region_count && board->count; i++) {
        const struct me_row_region *region = &result->regions[i];
        if (region->machine_id != machine_id) continue;
        const struct me_row_repeat *run = me_runs_find(runs, machine_id, region->repeat);
        if (run) add_rest(board, run, region);
    }
}

static bool is_one_region(const struct board *board)
{
    for (size_t i = 1; i < board->count; i++)
        if (strcmp(board->rows[i]->region, board->rows[0]->region)) return false;
    return true;
}

/* What is left out where the lines would be too long, in this order: the time of the rest, the interval of the
 * energy (what cannot be told apart is said below), the rate, the carbon a unit. */
enum thrift { ALL, NO_REST_TIME, NO_CI, NO_RATE, NO_WORK_CARBON };

static void add_row(struct me_sheet *sheet, const struct board *board, const struct me_figures *figures,
                    size_t i, enum thrift thrift)
{
    const struct me_row_summary *row = board->rows[i];
    double rests = (double)board->rests[i].n;
    me_figures_add_name(sheet, row->workload, WORKLOAD_WIDTH, WORKLOAD_TAIL);
    me_sheet_add(sheet, "%.12s", is_one_region(board) ? "" : *row->region ? row->region : "whole");
    me_figures_add(sheet, &figures->energy, row->energy_mean_j, thrift < NO_CI ? row->energy_ci95_j : NAN);
    me_figures_add(sheet, &figures->duration, row->duration_mean_s, NAN);
    me_figures_add_work(sheet, figures, row);
    if (thrift < NO_WORK_CARBON)
        me_figures_add_work_carbon(sheet, figures, row);
    else
        me_sheet_add(sheet, "%s", "");
    if (thrift < NO_RATE)
        me_figures_add_rate(sheet, figures, row);
    else
        me_sheet_add(sheet, "%s", "");
    me_figures_add_accuracy(sheet, row);
    if (rests > 0)
        me_figures_add_alone(sheet, ME_ENERGY, board->rests[i].energy_j / rests);
    else
        me_sheet_add(sheet, "%s", "");
    if (rests > 0 && thrift < NO_REST_TIME)
        me_figures_add_alone(sheet, ME_DURATION, board->rests[i].duration_s / rests);
    else
        me_sheet_add(sheet, "%s", "");
}

static void fill_sheet(struct me_sheet *sheet, const struct board *board, const struct me_figures *figures,
                       struct me_figures_heads *names, enum thrift thrift)
{
    me_figures_name(figures, board->rows, board->count, names);
    const char *const heads[] = {"<workload",        "<region",   ">energy",   ">time",     names->work,
                                 names->work_carbon, names->rate, ">accuracy", ">the rest", ">in"};
    me_sheet_init(sheet, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < board->count; i++) add_row(sheet, board, figures, i, thrift);
}

/* Why a workload's energy says nothing beside the others', or "": it has no place for what it came to on this
 * machine, or its accuracy is not that of the best here. */
static void doubt(const struct me_row_summary *row, double best, char *text, size_t size)
{
    static const char lead[] = "not ranked: ";
    const char *reason = strstr(row->reason, lead);
    text[0] = '\0';
    if (row->group > 0 && row->place < 1 && reason) {
        reason += sizeof lead - 1;
        snprintf(text, size, "%.*s", (int)strcspn(reason, ";"), reason);
    } else if (isfinite(best) && !isfinite(row->accuracy)) {
        snprintf(text, size, "it told no test accuracy, and others did (best: %.3f)", best);
    } else if (best - me_accuracy_share(row->accuracy) > ME_ACCURACY_CLEARLY + 1e-9) {
        snprintf(text, size, "its test accuracy %.3f is clearly below the best, %.3f",
                 me_accuracy_share(row->accuracy), best);
    }
}

/* The best accuracy among the workloads that do the same kind of work and have a place; -INFINITY: none told
 * one. */
static double best_accuracy(const struct board *board, const char *unit)
{
    double best = -INFINITY;
    for (size_t i = 0; i < board->count; i++) {
        const struct me_row_summary *row = board->rows[i];
        if (strcmp(row->work_unit, unit) || (row->group > 0 && row->place < 1)) continue;
        best = fmax(best, me_accuracy_share(row->accuracy));
    }
    return best;
}

static double relative_ci(const struct me_row_summary *row)
{
    return row->energy_ci95_j / row->energy_mean_j;
}

/* One workload beside the one that takes least: "keras 2.04 times as much". */
static void tell_other(struct me_buffer *text, const struct me_row_summary *least,
                       const struct me_row_summary *row)
{
    double reach = least->j_per_work * relative_ci(least) + row->j_per_work * relative_ci(row);
    me_buffer_printf(text, "; %s %.3g times that", row->workload, row->j_per_work / least->j_per_work);
    if (row->j_per_work - least->j_per_work <= reach) /* NaN: no interval, no statement */
        me_buffer_printf(text, " (not distinguishable)");
}

static int by_work(const void *a, const void *b)
{
    const struct me_row_summary *x = *(const struct me_row_summary *const *)a;
    const struct me_row_summary *y = *(const struct me_row_summary *const *)b;
    return (x->j_per_work > y->j_per_work) - (x->j_per_work < y->j_per_work);
}

static void tell_least(const struct me_row_summary *const *rows, size_t count, FILE *out)
{
    struct me_buffer text = ME_BUFFER_INIT;
    char each[48], one[24];
    if (count < 2) return;
    me_figures_unit(one, sizeof one, rows[0]->work_unit);
    me_figures_text(each, sizeof each, ME_ENERGY, rows[0]->j_per_work);
    for (size_t i = 1; i < count; i++) tell_other(&text, rows[0], rows[i]);
    me_wrap(out, 2, "Least energy per %s: %s, %s%s.", one, rows[0]->workload, each,
            text.data && !text.failed ? text.data : "");
    me_buffer_release(&text);
}

/* `least` is NULL where no workload of its unit is beyond doubt. */
static void tell_doubt(const struct me_row_summary *row, const struct me_row_summary *least, const char *why,
                       FILE *out)
{
    if (least)
        me_wrap(out, 2, "%s takes %.3g times the energy of %s, and is not called better or worse: %s.",
                row->workload, row->j_per_work / least->j_per_work, least->workload, why);
    else
        me_wrap(out, 2, "%s is not compared: %s.", row->workload, why);
}

/* The workloads of one unit of work: which takes least, and of which it cannot be said. */
static void tell_unit(const struct board *board, FILE *out, const char *unit)
{
    double best = best_accuracy(board, unit);
    const struct me_row_summary **rows = calloc(board->count + 1, sizeof *rows);
    char why[160];
    size_t count = 0;
    for (size_t i = 0; rows && i < board->count; i++) {
        const struct me_row_summary *row = board->rows[i];
        doubt(row, best, why, sizeof why);
        if (!strcmp(row->work_unit, unit) && isfinite(row->j_per_work) && !*why) rows[count++] = row;
    }
    if (rows) qsort(rows, count, sizeof *rows, by_work);
    if (rows) tell_least(rows, count, out);
    for (size_t i = 0; rows && i < board->count; i++) {
        const struct me_row_summary *row = board->rows[i];
        doubt(row, best, why, sizeof why);
        if (!strcmp(row->work_unit, unit) && isfinite(row->j_per_work) && *why)
            tell_doubt(row, count ? rows[0] : NULL, why, out);
    }
    free(rows);
}

static void tell_units(const struct board *board, FILE *out)
{
    size_t units = 0;
    for (size_t i = 0; i < board->count; i++) {
        const char *unit = board->rows[i]->work_unit;
        bool told = !*unit;
        for (size_t before = 0; before < i && !told; before++)
            told = !strcmp(board->rows[before]->work_unit, unit);
        if (told) continue;
        units++;
        tell_unit(board, out, unit);
    }
    if (units > 1) me_wrap(out, 2, "Work in different units is not compared.");
}

/* All rows whose totals may be held against each other, beyond doubt, with work of this unit; the least first. */
static size_t list_best(const struct me_result *result, const char *unit, const struct me_row_summary **rows,
                        bool *left_out)
{
    struct board board = {.result = result, .rows = rows};
    size_t count = 0;
    char why[160];
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].n > 0) rows[board.count++] = &result->summaries[i];
    double best = best_accuracy(&board, unit);
    for (size_t i = 0; i < board.count; i++) {
        const struct me_row_summary *row = rows[i];
        if (strcmp(row->work_unit, unit) || !isfinite(row->j_per_work)) continue;
        doubt(row, best, why, sizeof why);
        *left_out |= *why;
        if (!*why) rows[count++] = row;
    }
    qsort(rows, count, sizeof *rows, by_work);
    return count;
}

static bool is_metered_alike(const struct me_row_summary *const *rows, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (strcmp(rows[i]->scopes, rows[0]->scopes) || strcmp(rows[i]->provenance, rows[0]->provenance) ||
            !strcmp(rows[i]->cls, "modelled") != !strcmp(rows[0]->cls, "modelled"))
            return false;
    return true;
}

/* "keras on blue, 12.05 uJ; keras on red takes 1.17 times that (not distinguishable)". */
static void tell_best(const struct me_result *result, const struct me_row_summary *const *rows, bool left_out,
                      FILE *out)
{
    const struct me_row_summary *least = rows[0], *next = rows[1];
    double reach = least->j_per_work * relative_ci(least) + next->j_per_work * relative_ci(next);
    char each[48], one[24];
    me_figures_unit(one, sizeof one, least->work_unit);
    me_figures_text(each, sizeof each, ME_ENERGY, least->j_per_work);
    me_wrap(out, 0, "Least energy per %s%s: %s on %s, %s; next is %s on %s, %.3g times that%s.", one,
            left_out ? ", of those that can be compared" : "", least->workload,
            me_text_name(result, least->machine_id), each, next->workload,
            me_text_name(result, next->machine_id), next->j_per_work / least->j_per_work,
            isnan(reach)                                    ? " (n = 1: how firm cannot be told)"
            : next->j_per_work - least->j_per_work <= reach ? " (not distinguishable)"
                                                            : "");
}

/* Where several workloads ran on several machines: which of all took least for a unit of work. Says nothing where
 * machines are metered differently; their rankings do. */
void me_text_best(const struct me_result *result, FILE *out)
{
    const struct me_row_summary **rows = calloc(result->summary_count + 2, sizeof *rows);
    if (!rows || !me_text_is_plural(result) || result->machine_count < 2) goto out;
    for (size_t i = 0; i < result->summary_count; i++) {
        const char *unit = result->summaries[i].work_unit;
        bool told = !*unit, left_out = false;
        for (size_t before = 0; before < i && !told; before++)
            told = !strcmp(result->summaries[before].work_unit, unit);
        size_t count = told ? 0 : list_best(result, unit, rows, &left_out);
        if (count > 1 && is_metered_alike(rows, count)) tell_best(result, rows, left_out, out);
    }
out:
    free(rows);
}

static void print_board(const struct board *board, FILE *out, const struct me_row_machine *machine)
{
    const struct me_row_summary *row = board->rows[0];
    struct me_figures figures = me_figures_for(board->rows, board->count);
    struct me_figures_heads names;
    struct me_sheet sheet = {0};
    const char *mark = me_figures_mark(row);
    bool rested = false, one_region = is_one_region(board) && *row->region;
    for (size_t i = 0; i < board->count; i++) rested |= board->rests[i].n > 0;
    for (enum thrift thrift = ALL; thrift <= NO_WORK_CARBON; thrift++) {
        me_sheet_release(&sheet);
        fill_sheet(&sheet, board, &figures, &names, thrift);
        if (me_sheet_width(&sheet, 2) <= ME_WRITER_WIDTH) break;
    }
    fputc('\n', out);
    me_wrap(out, 0, "Workloads on %s%s%s; covers %s; class %s%s%s", machine->name,
            one_region ? ": energy of " : "", one_region ? row->region : "", row->scopes, row->cls,
            *mark ? "; " : "", mark);
    me_sheet_print(&sheet, out, 2);
    if (rested)
        me_wrap(out, 2, "The rest: what a run took beside its region, as imports, loading and tests.");
    tell_units(board, out);
    me_sheet_release(&sheet);
}

void me_text_workloads(const struct me_result *result, FILE *out)
{
    struct me_runs runs = {0};
    struct board board = {.result = result,
                          .rows = calloc(result->summary_count + 1, sizeof *board.rows),
                          .rests = calloc(result->summary_count + 1, sizeof *board.rests)};
    size_t told = 0;
    if (!board.rows || !board.rests || !me_text_is_plural(result) || me_runs_init(&runs, result)) goto out;
    for (size_t i = 0; i < result->machine_count; i++) {
        if (told == MOST) {
            fputc('\n', out);
            me_wrap(out, 0, "Workloads on the other machines: the table summary of the file has them all.");
            break;
        }
        fill_board(&board, &runs, result->machines[i].machine_id);
        if (!board.count) continue;
        print_board(&board, out, &result->machines[i]);
        told++;
    }
out:
    me_runs_release(&runs);
    free(board.rows);
    free(board.rests);
}
