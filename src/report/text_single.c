#include <math.h>
#include <string.h>
#include "figures.h"

static const struct me_row_summary *find_measured(const struct me_result *result)
{
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].n > 0) return &result->summaries[i];
    return &result->summaries[0];
}

/* What the whole run used, where a region of it is what the other figures are of. */
static void add_whole_run(struct me_sheet *sheet, const struct me_result *result,
                          const struct me_row_summary *summary)
{
    double energy_j = 0, duration_s = 0, n = 0;
    char time[48];
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (strcmp(row->phase, "run") || row->exit_status || !isfinite(row->energy_j)) continue;
        energy_j += row->energy_j;
        duration_s += row->duration_s;
        n++;
    }
    if (!*summary->region || n < 1) return;
    me_figures_text(time, sizeof time, ME_DURATION, duration_s / n);
    me_sheet_add(sheet, "whole run");
    me_figures_add_alone(sheet, ME_ENERGY, energy_j / n);
    me_sheet_add(sheet, "in %s, with all that is not %s", time, summary->region);
}

static void add_work(struct me_sheet *sheet, struct me_figures *figures, const struct me_row_summary *row)
{
    if (!isfinite(row->j_per_work)) return;
    figures->work_unit = false; /* no head here to hold the unit */
    me_sheet_add(sheet, "work");
    me_figures_add_work(sheet, figures, row);
    me_sheet_add(sheet, "energy for each of the %s done", row->work_unit);
    if (isfinite(row->g_per_work)) {
        me_sheet_add(sheet, "%s", "");
        me_figures_add_work_carbon(sheet, figures, row);
        me_sheet_add(sheet, "CO2 equivalent of each");
    }
    if (isfinite(row->work_per_s)) {
        me_sheet_add(sheet, "rate");
        me_figures_add_rate(sheet, figures, row);
        me_sheet_add(sheet, "work in the time above");
    }
}

static void add_outcome(struct me_sheet *sheet, const struct me_row_summary *row)
{
    if (isfinite(row->accuracy)) {
        me_sheet_add(sheet, "accuracy");
        me_sheet_add(sheet, "%.4f", row->accuracy);
        me_sheet_add(sheet, "as the workload told it");
    }
    if (isfinite(row->loss)) {
        me_sheet_add(sheet, "loss");
        me_sheet_add(sheet, "%.4g", row->loss);
        me_sheet_add(sheet, "%s", "");
    }
}

/* One machine, one workload: nothing to rank, so its figures stand one under the other. */
void me_text_single(const struct me_result *result, FILE *out)
{
    const struct me_row_summary *row = find_measured(result);
    const struct me_row_machine *machine = &result->machines[0];
    struct me_figures figures = me_figures_for(&row, 1);
    const char *mark = me_figures_mark(row), *const heads[] = {"<", "<", "<"};
    struct me_sheet sheet;
    me_sheet_init(&sheet, heads, 3);
    me_sheet_add(&sheet, "machine");
    me_sheet_add(&sheet, "%s", machine->name);
    me_sheet_add(&sheet, "%s", machine->cpu_model);
    me_sheet_add(&sheet, "energy");
    me_figures_add(&sheet, &figures.energy, row->energy_mean_j, row->energy_ci95_j);
    me_sheet_add(&sheet, "%s%s%scovers %s; class %s%s%s", *row->region ? "of " : "", row->region,
                 *row->region ? "; " : "", row->scopes, row->cls, *mark ? "; " : "", mark);
    add_whole_run(&sheet, result, row);
    me_sheet_add(&sheet, "power");
    me_figures_add(&sheet, &figures.power, row->power_mean_w, NAN);
    me_sheet_add(&sheet, "mean over %s", *row->region ? row->region : "the run");
    me_sheet_add(&sheet, "time");
    me_figures_add(&sheet, &figures.duration, row->duration_mean_s, NAN);
    me_sheet_add(&sheet, "mean of %d repeat%s", row->n, row->n == 1 ? "" : "s");
    me_sheet_add(&sheet, "carbon");
    me_figures_add(&sheet, &figures.carbon, row->carbon_mean_g, row->carbon_ci95_g);
    me_sheet_add(&sheet, "CO2 equivalent");
    add_work(&sheet, &figures, row);
    add_outcome(&sheet, row);
    fputc('\n', out);
    me_sheet_print(&sheet, out, 2);
    me_sheet_release(&sheet);
}
