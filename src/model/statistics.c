#include "statistics.h"
#include "rows.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A metric over the repeats that enter and told it. */
struct mean {
    double sum;
    size_t n;
};

struct sums { /* over the repeats that enter */
    size_t n;
    double duration_s, work;
    const char *unit;
    struct mean accuracy, loss;
    size_t left_out;
    const struct me_row_repeat *first_left_out;
};

static bool begins_with(const char *text, const char *begin)
{
    return !strncmp(text, begin, strlen(begin));
}

/* A repeat that was cut short did less than the whole work, whatever it returned. The note begins so
 * when me_bench ended it; further on it may hold words of the workload. */
static bool was_cut_short(const struct me_row_repeat *row)
{
    return begins_with(row->note, "interrupted") || begins_with(row->note, "timeout");
}

static void add_metric(const struct me_index *index, const struct me_row_repeat *row, const char *name,
                       struct mean *mean)
{
    const struct me_row_metric *metric = me_index_metric(index, row->machine_id, row->repeat, name);
    if (!metric) return;
    mean->sum += metric->value;
    mean->n++;
}

/* What is compared of a repeat: of the whole run, or of the summary's region. */
static void add_repeat(const struct me_index *index, const struct me_row_repeat *row,
                       const struct me_row_region *region, struct sums *sums, struct me_statistics *values)
{
    values->energy_j[sums->n] = region ? region->energy_j : row->energy_j;
    values->carbon_g[sums->n++] = region ? region->carbon_g : row->carbon_g;
    sums->duration_s += region ? region->duration_s : row->duration_s;
    if (sums->unit && strcmp(sums->unit, row->work_unit)) sums->work = NAN; /* unlike work has no sum */
    sums->unit = row->work_unit;
    sums->work += row->work;
    add_metric(index, row, "accuracy", &sums->accuracy);
    add_metric(index, row, "loss", &sums->loss);
}

static const struct me_row_region *find_region(const struct me_index *index,
                                               const struct me_row_summary *summary,
                                               const struct me_row_repeat *row)
{
    return summary->region[0] ? me_index_region(index, row->machine_id, row->repeat, summary->region) : NULL;
}

static void collect(const struct me_index *index, const struct me_row_summary *summary, struct sums *sums,
                    struct me_statistics *values)
{
    const struct me_row_repeat *const *runs;
    size_t n = me_index_runs(index, summary->machine_id, summary->workload, &runs);
    for (size_t i = 0; i < n; i++) {
        const struct me_row_region *region = find_region(index, summary, runs[i]);
        char why_not[256];
        if (me_rows_explain(runs[i], summary->region, region, why_not, sizeof why_not) ||
            was_cut_short(runs[i])) {
            if (!sums->left_out++) sums->first_left_out = runs[i];
        } else {
            add_repeat(index, runs[i], region, sums, values);
        }
    }
}

static double sum(const double *values, size_t n)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) total += values[i];
    return total;
}

static void fill_work(struct me_row_summary *summary, const struct sums *sums, double energy_j,
                      double carbon_g)
{
    if (!(sums->work > 0)) return;
    snprintf(summary->work_unit, sizeof summary->work_unit, "%s", sums->unit);
    summary->j_per_work = energy_j / sums->work;
    summary->g_per_work = carbon_g / sums->work;
    if (sums->duration_s > 0) summary->work_per_s = sums->work / sums->duration_s;
}

static void fill_outcome(struct me_standing *standing, const struct sums *sums)
{
    standing->has_accuracy = sums->accuracy.n > 0;
    standing->has_loss = sums->loss.n > 0;
    if (sums->accuracy.n) standing->summary->accuracy = sums->accuracy.sum / (double)sums->accuracy.n;
    if (sums->loss.n) standing->summary->loss = sums->loss.sum / (double)sums->loss.n;
}

static void fill_means(struct me_standing *standing, const struct sums *sums,
                       const struct me_statistics *values)
{
    struct me_row_summary *summary = standing->summary;
    double n = (double)sums->n;
    if (!sums->n) return;
    double energy_j = sum(values->energy_j, sums->n), carbon_g = sum(values->carbon_g, sums->n);
    summary->n = (int32_t)sums->n;
    summary->energy_mean_j = energy_j / n;
    summary->energy_ci95_j = me_ci95(values->energy_j, sums->n);
    summary->carbon_mean_g = carbon_g / n;
    summary->carbon_ci95_g = me_ci95(values->carbon_g, sums->n);
    summary->duration_mean_s = sums->duration_s / n;
    if (sums->duration_s > 0) summary->power_mean_w = energy_j / sums->duration_s;
    fill_work(summary, sums, energy_j, carbon_g);
    fill_outcome(standing, sums);
}

/* The number of the repeat that a machine's reason is about ("repeat 3: ..."); -1: not about one. */
static int32_t blamed_repeat(const struct me_row_machine *machine)
{
    int number;
    return sscanf(machine->reason, "repeat %d:", &number) == 1 ? (int32_t)number : -1;
}

/* What went wrong with one workload of a machine is no remark on the others. */
static bool is_concerned(const struct me_index *index, const struct me_standing *standing)
{
    int32_t number = blamed_repeat(standing->machine);
    const struct me_row_repeat *row =
        number < 0 ? NULL : me_index_run(index, standing->machine->machine_id, number);
    return !row || !strcmp(row->workload, standing->summary->workload);
}

static bool is_ok(const struct me_row_machine *machine)
{
    return !strcmp(machine->status, me_status_name(ME_STATUS_OK));
}

static void explain_left_out(const struct me_index *index, struct me_row_summary *summary,
                             const struct sums *sums, bool is_told)
{
    char why_not[256];
    const struct me_row_repeat *row = sums->first_left_out;
    if (!sums->left_out) return;
    me_rows_remark(summary->reason, sizeof summary->reason, "%zu of %zu repeats do not count", sums->left_out,
                   sums->left_out + sums->n);
    if (!is_told &&
        me_rows_explain(row, summary->region, find_region(index, summary, row), why_not, sizeof why_not))
        me_rows_remark(summary->reason, sizeof summary->reason, "%s", why_not);
}

/* What is to be said of a machine that has figures. */
static void remark(const struct me_index *index, const struct me_standing *standing, const struct sums *sums)
{
    struct me_row_summary *summary = standing->summary;
    const struct me_row_machine *machine = standing->machine;
    bool is_told = sums->left_out && blamed_repeat(machine) == sums->first_left_out->repeat;
    explain_left_out(index, summary, sums, is_told);
    if (standing->gap)
        me_rows_remark(summary->reason, sizeof summary->reason, "not ranked: its total lacks %s (%s)",
                       standing->gap->channel, standing->gap->why_not);
    if (!is_concerned(index, standing)) return;
    if (!is_ok(machine))
        me_rows_remark(summary->reason, sizeof summary->reason, "%s: %s", machine->status, machine->reason);
    else if (machine->reason[0])
        me_rows_remark(summary->reason, sizeof summary->reason, "%s", machine->reason);
}

/* Why a machine has no figures. */
static void explain(const struct me_index *index, const struct me_standing *standing)
{
    struct me_row_summary *summary = standing->summary;
    const struct me_row_machine *machine = standing->machine;
    const struct me_row_repeat *const *runs;
    char why_not[256];
    if ((!is_ok(machine) || machine->reason[0]) && is_concerned(index, standing)) {
        me_rows_remark(summary->reason, sizeof summary->reason, "%s: %s", machine->status, machine->reason);
    } else if (!me_index_runs(index, machine->machine_id, summary->workload, &runs)) {
        me_rows_remark(summary->reason, sizeof summary->reason, "no repeat was measured");
    } else {
        if (!me_rows_explain(runs[0], summary->region, find_region(index, summary, runs[0]), why_not,
                             sizeof why_not))
            snprintf(why_not, sizeof why_not, "repeat %d: %s", runs[0]->repeat,
                     runs[0]->note[0] ? runs[0]->note : "its workload failed");
        me_rows_remark(summary->reason, sizeof summary->reason, "%s", why_not);
    }
}

void me_statistics_fill(const struct me_index *index, struct me_statistics *room,
                        struct me_standing *standing)
{
    struct sums sums = {0};
    collect(index, standing->summary, &sums, room);
    if (standing->cls >= 0 && standing->provenance >= 0) fill_means(standing, &sums, room);
    if (standing->summary->n)
        remark(index, standing, &sums);
    else
        explain(index, standing);
}
