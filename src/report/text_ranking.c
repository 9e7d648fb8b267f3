#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "figures.h"

#define NAME_WIDTH 20 /* longer names stand in full in the other tables */

static int by_place(const void *a, const void *b)
{
    const struct me_row_summary *x = *(const struct me_row_summary *const *)a;
    const struct me_row_summary *y = *(const struct me_row_summary *const *)b;
    return x->place != y->place ? x->place - y->place : x->machine_id - y->machine_id;
}

size_t me_text_group(const struct me_result *result, int group, const struct me_row_summary **rows)
{
    size_t count = 0;
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].group == group && result->summaries[i].place > 0)
            rows[count++] = &result->summaries[i];
    qsort(rows, count, sizeof *rows, by_place);
    return count;
}

/* Those of the group that got no place: their figures stand behind the others'. */
static size_t add_unplaced(const struct me_result *result, int group, const struct me_row_summary **rows)
{
    size_t count = 0;
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].group == group && result->summaries[i].place < 1)
            rows[count++] = &result->summaries[i];
    return count;
}

static void add_place(struct me_sheet *sheet, int place)
{
    if (place > 0)
        me_sheet_add(sheet, "%d", place);
    else
        me_sheet_add(sheet, "-");
}

/* What is left out where the lines would be too long, in this order: the interval of the carbon (that of the
 * energy tells it), the rate (of the same work the time does), the power, the class, the carbon a unit. */
enum thrift { ALL, NO_CARBON_CI, NO_RATE, NO_POWER, NO_CLASS, NO_WORK_CARBON };

static void add_row(struct me_sheet *sheet, const struct me_result *result, const struct me_figures *figures,
                    const struct me_row_summary *row, enum thrift thrift)
{
    add_place(sheet, row->place);
    me_figures_add_name(sheet, me_text_name(result, row->machine_id), NAME_WIDTH, 0);
    me_figures_add(sheet, &figures->energy, row->energy_mean_j, row->energy_ci95_j);
    if (thrift < NO_POWER)
        me_figures_add(sheet, &figures->power, row->power_mean_w, NAN);
    else
        me_sheet_add(sheet, "%s", "");
    me_figures_add(sheet, &figures->duration, row->duration_mean_s, NAN);
    me_sheet_add(sheet, "%d", row->n);
    me_sheet_add(sheet, "%s", figures->class || thrift >= NO_CLASS ? "" : row->cls);
    me_figures_add(sheet, &figures->carbon, row->carbon_mean_g,
                   thrift < NO_CARBON_CI ? row->carbon_ci95_g : NAN);
    add_place(sheet, row->carbon_place);
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
}

static void fill_sheet(struct me_sheet *sheet, const struct me_result *result,
                       const struct me_row_summary *const *rows, size_t count, enum thrift thrift,
                       struct me_figures_heads *names)
{
    struct me_figures figures = me_figures_for(rows, count);
    me_figures_name(&figures, rows, count, names);
    const char *const heads[] = {
        ">#",      "<machine", ">energy",   ">power",           ">time",     ">n",       "<class",
        ">carbon", ">#CO2",    names->work, names->work_carbon, names->rate, ">accuracy"};
    me_sheet_init(sheet, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < count; i++) add_row(sheet, result, &figures, rows[i], thrift);
}

/* How many groups the workload of `row` has, which are numbered one after the other. */
static int count_groups(const struct me_result *result, const struct me_row_summary *row)
{
    int first = row->group, last = row->group;
    for (size_t i = 0; i < result->summary_count; i++) {
        const struct me_row_summary *other = &result->summaries[i];
        if (other->place < 1 || strcmp(other->workload, row->workload)) continue;
        if (other->group > last) last = other->group;
        if (other->group < first) first = other->group;
    }
    return last - first + 1;
}

static void print_head(FILE *out, const struct me_result *result, const struct me_row_summary *const *rows,
                       size_t count)
{
    const struct me_row_summary *row = rows[0];
    struct me_figures figures = me_figures_for(rows, count);
    char group[32] = "";
    bool plural = me_text_is_plural(result), several = count_groups(result, row) > 1;
    if (several) snprintf(group, sizeof group, "%s %d: ", plural ? ", group" : "Group", row->group);
    fputc('\n', out);
    me_wrap(out, 0, "%s%s%sanking by energy%s%s; covers %s; class %s%s%s", plural ? row->workload : "",
            several  ? group
            : plural ? ": "
                     : "",
            plural || several ? "r" : "R", *row->region ? " of " : "", row->region, row->scopes,
            figures.class ? row->cls : "on its line", *me_figures_mark(row) ? "; " : "",
            me_figures_mark(row));
}

static void print_group(const struct me_result *result, FILE *out, int group,
                        const struct me_row_summary **rows)
{
    struct me_sheet sheet = {0};
    struct me_figures_heads names;
    size_t ranked = me_text_group(result, group, rows);
    if (!ranked) return;
    size_t count = ranked + add_unplaced(result, group, rows + ranked);
    for (enum thrift thrift = ALL; thrift <= NO_WORK_CARBON; thrift++) {
        me_sheet_release(&sheet);
        fill_sheet(&sheet, result, rows, count, thrift, &names);
        if (me_sheet_width(&sheet, 2) <= ME_WRITER_WIDTH) break;
    }
    print_head(out, result, rows, count);
    me_sheet_print(&sheet, out, 2);
    me_sheet_release(&sheet);
}

int me_text_groups(const struct me_result *result)
{
    int last = 0;
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].place > 0 && result->summaries[i].group > last)
            last = result->summaries[i].group;
    return last;
}

static bool has_figures(const struct me_result *result)
{
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].n > 0) return true;
    return false;
}

void me_text_ranking(const struct me_result *result, FILE *out)
{
    int groups = me_text_groups(result);
    const struct me_row_summary **rows = calloc(result->summary_count + 1, sizeof *rows);
    if (rows && !groups)
        fprintf(out, "\nNothing to rank: no machine has %s.\n",
                has_figures(result) ? "a place" : "a known energy");
    for (int group = 1; rows && group <= groups; group++) print_group(result, out, group, rows);
    free(rows);
}
