#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "figures.h"

#define MOST 12

static bool same_grid(const struct me_row_machine *a, const struct me_row_machine *b)
{
    return a->grid_gco2_per_kwh == b->grid_gco2_per_kwh && a->pue == b->pue && !strcmp(a->basis, b->basis) &&
           !strcmp(a->grid_source, b->grid_source);
}

/* The machines that share the grid of machine `first`: "green, blue and 3 more". */
static void name_sharers(const struct me_result *result, size_t first, struct me_buffer *names)
{
    size_t count = 0;
    for (size_t i = first; i < result->machine_count; i++) {
        if (i != first && !same_grid(&result->machines[first], &result->machines[i])) continue;
        if (count++ < 6) me_buffer_printf(names, "%s%s", count > 1 ? ", " : "", result->machines[i].name);
    }
    if (count > 6) me_buffer_printf(names, " and %zu more", count - 6);
}

void me_text_grid(const struct me_result *result, FILE *out)
{
    bool begun = false;
    for (size_t i = 0; i < result->machine_count; i++) {
        const struct me_row_machine *machine = &result->machines[i];
        bool told = !isfinite(machine->grid_gco2_per_kwh);
        for (size_t before = 0; before < i && !told; before++)
            told = same_grid(machine, &result->machines[before]);
        if (told) continue;
        if (!begun) fputs("\nCarbon is energy x PUE x grid intensity\n", out);
        begun = true;
        struct me_buffer names = ME_BUFFER_INIT;
        name_sharers(result, i, &names);
        me_wrap(out, 2, "%s: %.5g gCO2e/kWh (%s), PUE %.4g; %s",
                names.data && !names.failed ? names.data : machine->name, machine->grid_gco2_per_kwh,
                *machine->basis ? machine->basis : "basis not known", machine->pue, machine->grid_source);
        me_buffer_release(&names);
    }
}

struct region {
    const char *name, *workload;
    int machine_id;
    double calls, duration_s, energy_j, known_calls;
    double run_j, part_j; /* of the repeats in which both are known */
};

static bool is_region(const struct region *region, const struct me_row_region *row, const char *workload)
{
    return region->machine_id == row->machine_id && !strcmp(region->name, row->region) &&
           !strcmp(region->workload, workload);
}

static int by_machine(const void *a, const void *b)
{
    const struct me_row_region *x = *(const struct me_row_region *const *)a;
    const struct me_row_region *y = *(const struct me_row_region *const *)b;
    if (x->machine_id != y->machine_id) return x->machine_id < y->machine_id ? -1 : 1;
    return (x > y) - (x < y);
}

/* A repeat without a known energy is left out of the energy only. */
static void add_up(struct region *region, const struct me_row_region *row, const struct me_row_repeat *run)
{
    region->calls += row->calls;
    region->duration_s += row->duration_s;
    if (!isfinite(row->energy_j)) return;
    region->energy_j += row->energy_j;
    region->known_calls += row->calls;
    if (!run || !isfinite(run->energy_j)) return;
    region->part_j += row->energy_j;
    region->run_j += run->energy_j;
}

/* Sums the rows over the repeats. -1: no memory. */
static int sum_regions(const struct me_result *result, const struct me_runs *runs, struct region *regions,
                       size_t *count)
{
    size_t n = result->region_count, of_machine = 0; /* where those of the machine at hand begin */
    const struct me_row_region **rows = calloc(n + 1, sizeof *rows);
    if (!rows) return -1;
    for (size_t i = 0; i < n; i++) rows[i] = &result->regions[i];
    qsort(rows, n, sizeof *rows, by_machine);
    *count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct me_row_repeat *run = me_runs_find(runs, rows[i]->machine_id, rows[i]->repeat);
        const char *workload = run ? run->workload : "";
        if (i && rows[i]->machine_id != rows[i - 1]->machine_id) of_machine = *count;
        size_t at = of_machine;
        while (at < *count && !is_region(&regions[at], rows[i], workload)) at++;
        if (at == *count)
            regions[(*count)++] = (struct region){
                .name = rows[i]->region, .workload = workload, .machine_id = rows[i]->machine_id};
        add_up(&regions[at], rows[i], run);
    }
    free(rows);
    return 0;
}

static void add_region(struct me_sheet *sheet, const struct me_result *result, const struct region *region,
                       bool plural)
{
    bool known = region->known_calls > 0, all_known = known && region->known_calls == region->calls;
    me_figures_add_name(sheet, plural ? region->workload : "", 16, 8);
    me_sheet_add(sheet, "%s", region->name);
    me_figures_add_name(sheet, me_text_name(result, region->machine_id), 28, 0);
    me_sheet_add(sheet, "%.0f", region->calls);
    me_figures_add_alone(sheet, ME_DURATION, region->duration_s);
    me_figures_add_alone(sheet, ME_ENERGY, known ? region->energy_j : NAN);
    me_sheet_add(sheet, region->run_j > 0 ? "%.1f %%" : "-", 100 * region->part_j / region->run_j);
    me_sheet_add(sheet, all_known && region->energy_j > 0 && region->duration_s > 0 ? "%.4g W" : "-",
                 region->energy_j / region->duration_s);
    me_figures_add_alone(sheet, ME_ENERGY, known ? region->energy_j / region->known_calls : NAN);
}

/* Why a dash stands there, of the first of each kind: the file has the note of every row. */
static void tell_unknown(const struct me_result *result, FILE *out)
{
    const char *told[MOST];
    size_t lines = 0;
    for (size_t i = 0; i < result->region_count && lines < MOST; i++) {
        const struct me_row_region *row = &result->regions[i];
        bool is_told = isfinite(row->energy_j) || !*row->note;
        for (size_t before = 0; before < lines && !is_told; before++)
            is_told = !strcmp(told[before], row->note);
        if (is_told) continue;
        told[lines++] = row->note;
        me_wrap(out, 2, "%s, %s, repeat %d: energy not known: %s", row->region,
                me_text_name(result, row->machine_id), row->repeat, row->note);
    }
}

void me_text_regions(const struct me_result *result, FILE *out)
{
    struct me_runs runs = {0};
    struct region *regions = calloc(result->region_count + 1, sizeof *regions);
    if (!regions || !result->region_count || me_runs_init(&runs, result)) goto out;
    bool plural = me_text_is_plural(result);
    size_t count;
    if (sum_regions(result, &runs, regions, &count)) goto out;
    const char *const heads[] = {"<workload", "<region",     "<machine", ">calls",        ">time",
                                 ">energy",   ">of the run", ">power",   ">energy a call"};
    struct me_sheet sheet;
    me_sheet_init(&sheet, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < count; i++) add_region(&sheet, result, &regions[i], plural);
    fputs("\nRegions, all repeats together\n", out);
    me_sheet_print(&sheet, out, 2);
    me_sheet_release(&sheet);
    tell_unknown(result, out);
out:
    me_runs_release(&runs);
    free(regions);
}

static void add_cost(struct me_sheet *sheet, const struct me_result *result,
                     const struct me_row_machine *machine)
{
    double cpu_s = 0, duration_s = 0, gap_s = 0;
    unsigned long late = 0;
    size_t rows = 0;
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (row->machine_id != machine->machine_id || strcmp(row->phase, "run")) continue;
        rows++;
        cpu_s += row->sampler_cpu_s;
        duration_s += row->duration_s;
        late += row->late_samples;
        if (row->longest_gap_s > gap_s) gap_s = row->longest_gap_s;
    }
    if (!rows) return;
    me_sheet_add(sheet, "%s", machine->name);
    me_figures_add_alone(sheet, ME_DURATION, cpu_s);
    me_sheet_add(sheet, duration_s > 0 ? "%.3f %%" : "-", 100 * cpu_s / duration_s);
    me_sheet_add(sheet, "%lu", late);
    me_figures_add_alone(sheet, ME_DURATION, gap_s);
    me_sheet_add(sheet, "%s", machine->sampler);
}

void me_text_cost(const struct me_result *result, FILE *out)
{
    const char *const heads[] = {"<machine",      ">sampler CPU", ">of one core",
                                 ">late samples", ">longest gap", "<sampling"};
    struct me_sheet sheet;
    me_sheet_init(&sheet, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < result->machine_count; i++) add_cost(&sheet, result, &result->machines[i]);
    if (sheet.cells) fputs("\nWhat the measuring cost\n", out);
    me_sheet_print(&sheet, out, 2);
    me_sheet_release(&sheet);
}

static bool same_channel(const struct me_row_channel *a, const struct me_row_channel *b)
{
    return !b->counted && !strcmp(a->channel, b->channel) && !strcmp(a->source, b->source) &&
           !strcmp(a->why_not, b->why_not);
}

void me_text_uncounted(const struct me_result *result, FILE *out)
{
    size_t lines = 0;
    for (size_t i = 0; i < result->channel_count; i++) {
        const struct me_row_channel *row = &result->channels[i];
        bool told = row->counted || !*row->scope; /* an activity has none, and no energy */
        for (size_t before = 0; before < i && !told; before++)
            told = same_channel(row, &result->channels[before]);
        if (told) continue;
        size_t machines = 1;
        for (size_t more = i + 1; more < result->channel_count; more++)
            machines += same_channel(row, &result->channels[more]);
        if (!lines) fputs("\nRead, but not counted in any total\n", out);
        if (++lines > MOST) continue;
        char where[96];
        if (machines == 1)
            snprintf(where, sizeof where, "%s", me_text_name(result, row->machine_id));
        else
            snprintf(where, sizeof where, "%zu machines", machines);
        me_wrap(out, 2, "%s (%s), %s: %s", row->channel, row->source, where,
                *row->why_not ? row->why_not : "no reason given");
    }
    if (lines > MOST) me_wrap(out, 2, "... and %zu more; the file has them all.", lines - MOST);
}
