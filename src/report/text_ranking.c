#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "me/utf8.h"
#include "writer.h"

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

/* What all rows of a group have in common decides what its columns need to say. */
struct common {
    bool scopes, class, work_unit;
    struct me_scale energy, power, duration, carbon, work;
};

static struct common compare(const struct me_row_summary *const *rows, size_t count)
{
    struct common common = {.scopes = true, .class = true, .work_unit = true};
    struct me_span_of energy = {0}, power = {0}, duration = {0}, carbon = {0}, work = {0};
    for (size_t i = 0; i < count; i++) {
        const struct me_row_summary *row = rows[i];
        if (strcmp(row->scopes, rows[0]->scopes)) common.scopes = false;
        if (strcmp(row->cls, rows[0]->cls)) common.class = false;
        if (strcmp(row->work_unit, rows[0]->work_unit)) common.work_unit = false;
        me_span_add(&energy, row->energy_mean_j, row->energy_ci95_j);
        me_span_add(&power, row->power_mean_w, NAN);
        me_span_add(&duration, row->duration_mean_s, NAN);
        me_span_add(&carbon, row->carbon_mean_g, row->carbon_ci95_g);
        me_span_add(&work, row->j_per_work, NAN);
    }
    common.energy = me_scale_for(ME_ENERGY, &energy);
    common.power = me_scale_for(ME_POWER, &power);
    common.duration = me_scale_for(ME_DURATION, &duration);
    common.carbon = me_scale_for(ME_CARBON, &carbon);
    common.work = me_scale_for(ME_ENERGY, &work);
    return common;
}

static const char *mark(const struct me_row_summary *row)
{
    bool modelled = !strcmp(row->cls, "modelled");
    if (!strcmp(row->provenance, "fake")) return modelled ? "FAKE, MODELLED" : "FAKE";
    if (!strcmp(row->provenance, "replay")) return modelled ? "REPLAY, MODELLED" : "REPLAY";
    return modelled ? "MODELLED" : "";
}

static void add_quantity(struct me_sheet *sheet, const struct me_scale *scale, double value, double ci)
{
    char text[96];
    me_scale_text(text, sizeof text, scale, value, ci);
    me_sheet_add(sheet, "%s", text);
}

/* "917.0" under a head that has the unit, or with its unit where the machines count different work. */
static void add_work(struct me_sheet *sheet, const struct common *common, const struct me_row_summary *row)
{
    double value = row->j_per_work / common->work.factor;
    if (!isfinite(value))
        me_sheet_add(sheet, "%s", "");
    else if (common->work_unit)
        me_sheet_add(sheet, "%.*f", common->work.decimals, value);
    else
        me_sheet_add(sheet, "%.*f %s/%s", common->work.decimals, value, common->work.unit, row->work_unit);
}

static void add_place(struct me_sheet *sheet, int place)
{
    if (place > 0)
        me_sheet_add(sheet, "%d", place);
    else
        me_sheet_add(sheet, "-");
}

/* Long names would push the line over ME_WRITER_WIDTH; they stand in full in the other tables. */
static void add_name(struct me_sheet *sheet, const char *name)
{
    enum { MOST = 20 };
    char text[64];
    snprintf(text, sizeof text, "%s", name);
    if (me_utf8_width(text) > MOST) {
        for (size_t len = strlen(text); len && me_utf8_width(text) >= MOST;) {
            text[--len] = '\0';
            me_utf8_clean(text, len + 1);
        }
        me_sheet_add(sheet, "%s…", text);
    } else
        me_sheet_add(sheet, "%s", text);
}

static void add_row(struct me_sheet *sheet, const struct me_result *result, const struct common *common,
                    const struct me_row_summary *row)
{
    add_place(sheet, row->place);
    add_name(sheet, me_text_name(result, row->machine_id));
    add_quantity(sheet, &common->energy, row->energy_mean_j, row->energy_ci95_j);
    add_quantity(sheet, &common->power, row->power_mean_w, NAN);
    add_quantity(sheet, &common->duration, row->duration_mean_s, NAN);
    me_sheet_add(sheet, "%d", row->n);
    me_sheet_add(sheet, "%s", common->scopes ? "" : row->scopes);
    me_sheet_add(sheet, "%s", common->class ? "" : row->cls);
    add_quantity(sheet, &common->carbon, row->carbon_mean_g, row->carbon_ci95_g);
    add_place(sheet, row->carbon_place);
    add_work(sheet, common, row);
    me_sheet_add(sheet, "%s", mark(row));
}

static void print_head(FILE *out, const struct common *common, const struct me_row_summary *row, int groups)
{
    fputc('\n', out);
    char group[32] = "";
    if (groups > 1) snprintf(group, sizeof group, "Group %d: ", row->group);
    me_wrap(out, 0, "%s%s by energy; covers %s; class %s", group, groups > 1 ? "ranking" : "Ranking",
            common->scopes ? row->scopes : "what its line says", common->class ? row->cls : "on its line");
}

static void print_group(const struct me_result *result, FILE *out, int group, int groups,
                        const struct me_row_summary **rows)
{
    size_t count = me_text_group(result, group, rows);
    if (!count) return;
    struct common common = compare(rows, count);
    char work[48];
    if (common.work_unit)
        snprintf(work, sizeof work, ">%s/%.24s", common.work.unit, rows[0]->work_unit);
    else
        snprintf(work, sizeof work, ">per work");
    const char *const heads[] = {">#",      "<machine", ">energy", ">power", ">time", ">n",
                                 "<covers", "<class",   ">carbon", ">#CO2",  work,    "<"};
    struct me_sheet sheet;
    me_sheet_init(&sheet, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < count; i++) add_row(&sheet, result, &common, rows[i]);
    print_head(out, &common, rows[0], groups);
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

void me_text_ranking(const struct me_result *result, FILE *out)
{
    int groups = me_text_groups(result);
    const struct me_row_summary **rows = calloc(result->summary_count + 1, sizeof *rows);
    if (rows && !groups) fputs("\nNothing to rank: no machine has a known energy.\n", out);
    for (int group = 1; rows && group <= groups; group++) print_group(result, out, group, groups, rows);
    free(rows);
}

/* One machine: nothing to rank, so its figures stand one under the other. */
void me_text_single(const struct me_result *result, FILE *out)
{
    const struct me_row_summary *row = &result->summaries[0];
    const struct me_row_machine *machine = &result->machines[0];
    struct common common = compare(&row, 1);
    const char *const heads[] = {"<", "<", "<"};
    struct me_sheet sheet;
    me_sheet_init(&sheet, heads, 3);
    me_sheet_add(&sheet, "machine");
    me_sheet_add(&sheet, "%s", machine->name);
    me_sheet_add(&sheet, "%s", machine->cpu_model);
    me_sheet_add(&sheet, "energy");
    add_quantity(&sheet, &common.energy, row->energy_mean_j, row->energy_ci95_j);
    me_sheet_add(&sheet, "covers %s; class %s%s%s", row->scopes, row->cls, *mark(row) ? "; " : "", mark(row));
    me_sheet_add(&sheet, "power");
    add_quantity(&sheet, &common.power, row->power_mean_w, NAN);
    me_sheet_add(&sheet, "mean over the run");
    me_sheet_add(&sheet, "time");
    add_quantity(&sheet, &common.duration, row->duration_mean_s, NAN);
    me_sheet_add(&sheet, "mean of %d repeat%s", row->n, row->n == 1 ? "" : "s");
    me_sheet_add(&sheet, "carbon");
    add_quantity(&sheet, &common.carbon, row->carbon_mean_g, row->carbon_ci95_g);
    me_sheet_add(&sheet, "CO2 equivalent");
    if (isfinite(row->j_per_work)) {
        me_sheet_add(&sheet, "work");
        common.work_unit = false; /* no head here to hold the unit */
        add_work(&sheet, &common, row);
        me_sheet_add(&sheet, "energy for each of the %s done", row->work_unit);
    }
    fputc('\n', out);
    me_sheet_print(&sheet, out, 2);
    me_sheet_release(&sheet);
}
