#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "writer.h"

#define MOST 12

static void add_quantity(struct me_sheet *sheet, enum me_quantity quantity, double value)
{
    struct me_span_of span = {0};
    char text[96];
    me_span_add(&span, value, NAN);
    struct me_scale scale = me_scale_for(quantity, &span);
    me_scale_text(text, sizeof text, &scale, value, NAN);
    me_sheet_add(sheet, "%s", text);
}

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
    const char *name;
    int machine_id, repeats;
    double calls, duration_s, energy_j, known_calls;
};

/* Sums the rows over the repeats; a repeat without a known energy is left out of the energy only. */
static size_t sum_regions(const struct me_result *result, struct region *regions)
{
    size_t count = 0;
    for (size_t i = 0; i < result->region_count; i++) {
        const struct me_row_region *row = &result->regions[i];
        size_t at = 0;
        while (at < count &&
               (regions[at].machine_id != row->machine_id || strcmp(regions[at].name, row->region)))
            at++;
        if (at == count)
            regions[count++] = (struct region){.name = row->region, .machine_id = row->machine_id};
        regions[at].repeats++;
        regions[at].calls += row->calls;
        regions[at].duration_s += row->duration_s;
        if (!isfinite(row->energy_j)) continue;
        regions[at].energy_j += row->energy_j;
        regions[at].known_calls += row->calls;
    }
    return count;
}

static void add_region(struct me_sheet *sheet, const struct me_result *result, const struct region *region)
{
    bool known = region->known_calls > 0;
    double per_call = known ? region->energy_j / region->known_calls : NAN;
    me_sheet_add(sheet, "%s", region->name);
    me_sheet_add(sheet, "%s", me_text_name(result, region->machine_id));
    me_sheet_add(sheet, "%.0f", region->calls);
    add_quantity(sheet, ME_DURATION, region->duration_s);
    add_quantity(sheet, ME_ENERGY, known ? region->energy_j : NAN);
    me_sheet_add(sheet,
                 region->energy_j > 0 && region->known_calls == region->calls && region->duration_s > 0
                     ? "%.4g W"
                     : "-",
                 region->energy_j / region->duration_s);
    add_quantity(sheet, ME_ENERGY, per_call);
}

void me_text_regions(const struct me_result *result, FILE *out)
{
    struct region *regions = calloc(result->region_count + 1, sizeof *regions);
    if (!regions || !result->region_count) goto out;
    size_t count = sum_regions(result, regions);
    const char *const heads[] = {"<region", "<machine", ">calls",        ">time",
                                 ">energy", ">power",   ">energy a call"};
    struct me_sheet sheet;
    me_sheet_init(&sheet, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < count; i++) add_region(&sheet, result, &regions[i]);
    fputs("\nRegions, all repeats together\n", out);
    me_sheet_print(&sheet, out, 2);
    me_sheet_release(&sheet);
out:
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
    add_quantity(sheet, ME_DURATION, cpu_s);
    me_sheet_add(sheet, duration_s > 0 ? "%.3f %%" : "-", 100 * cpu_s / duration_s);
    me_sheet_add(sheet, "%lu", late);
    add_quantity(sheet, ME_DURATION, gap_s);
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
