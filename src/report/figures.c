#include "figures.h"
#include <ctype.h>
#include <math.h>
#include <string.h>
#include "me/utf8.h"

struct me_figures me_figures_for(const struct me_row_summary *const *rows, size_t count)
{
    struct me_figures figures = {.class = true, .work_unit = true};
    struct me_span_of energy = {0}, power = {0}, duration = {0}, carbon = {0};
    struct me_span_of work = {0}, work_carbon = {0}, rate = {0};
    const char *unit = "";
    for (size_t i = 0; i < count; i++) {
        const struct me_row_summary *row = rows[i];
        if (strcmp(row->cls, rows[0]->cls)) figures.class = false;
        if (*row->work_unit && *unit && strcmp(row->work_unit, unit)) figures.work_unit = false;
        if (*row->work_unit) unit = row->work_unit;
        me_span_add(&energy, row->energy_mean_j, row->energy_ci95_j);
        me_span_add(&power, row->power_mean_w, NAN);
        me_span_add(&duration, row->duration_mean_s, NAN);
        me_span_add(&carbon, row->carbon_mean_g, row->carbon_ci95_g);
        me_span_add(&work, row->j_per_work, NAN);
        me_span_add(&work_carbon, row->g_per_work, NAN);
        me_span_add(&rate, row->work_per_s, NAN);
    }
    figures.energy = me_scale_for(ME_ENERGY, &energy);
    figures.power = me_scale_for(ME_POWER, &power);
    figures.duration = me_scale_for(ME_DURATION, &duration);
    figures.carbon = me_scale_for(ME_CARBON, &carbon);
    figures.work = me_scale_for(ME_ENERGY, &work);
    figures.work_carbon = me_scale_for(ME_CARBON, &work_carbon);
    figures.rate = me_scale_for(ME_RATE, &rate);
    return figures;
}

const char *me_figures_mark(const struct me_row_summary *row)
{
    bool modelled = !strcmp(row->cls, "modelled");
    if (!strcmp(row->provenance, "fake")) return modelled ? "FAKE, MODELLED" : "FAKE";
    if (!strcmp(row->provenance, "replay")) return modelled ? "REPLAY, MODELLED" : "REPLAY";
    return modelled ? "MODELLED" : "";
}

static bool ends_in(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len >= n && !strncmp(text + len - n, end, n);
}

/* English plurals of the plain sort; a unit that is no such word (GFLOP, passes) stays as it was told. */
void me_figures_unit(char *text, size_t size, const char *unit)
{
    snprintf(text, size, "%s", unit);
    size_t len = strlen(text);
    static const char *const others[] = {"ss", "us", "is", "ses", "xes", "ches", "shes", "zes"};
    if (len < 4 || text[len - 1] != 's' || !islower((unsigned char)text[len - 2])) return;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (ends_in(text, len, others[i])) return;
    text[len - 1] = '\0';
}

void me_figures_name(const struct me_figures *figures, const struct me_row_summary *const *rows, size_t count,
                     struct me_figures_heads *heads)
{
    const char *unit = "";
    char one[24];
    for (size_t i = 0; i < count && !*unit; i++) unit = rows[i]->work_unit;
    me_figures_unit(one, sizeof one, unit);
    if (figures->work_unit) {
        snprintf(heads->work, sizeof heads->work, ">%s/%.12s", figures->work.unit, one);
        snprintf(heads->work_carbon, sizeof heads->work_carbon, ">%sCO2e/%.12s", figures->work_carbon.unit,
                 one);
        snprintf(heads->rate, sizeof heads->rate, ">%.12s/s", unit);
    } else {
        snprintf(heads->work, sizeof heads->work, ">energy per unit");
        snprintf(heads->work_carbon, sizeof heads->work_carbon, ">CO2e per unit");
        snprintf(heads->rate, sizeof heads->rate, ">rate");
    }
}

/* "0.917" under a head that has the unit, or "917.0 uJ/sample" where the rows count different work. */
static void add_per_work(struct me_sheet *sheet, const struct me_figures *figures,
                         const struct me_row_summary *row, enum me_quantity quantity, double value)
{
    const struct me_scale *scale = quantity == ME_CARBON ? &figures->work_carbon : &figures->work;
    struct me_span_of span = {0};
    char one[24];
    me_span_add(&span, value, NAN);
    struct me_scale own = me_scale_for(quantity, &span);
    me_figures_unit(one, sizeof one, row->work_unit);
    if (!isfinite(value) || !*row->work_unit)
        me_sheet_add(sheet, "%s", "");
    else if (figures->work_unit)
        me_sheet_add(sheet, "%.*f", scale->decimals, value / scale->factor);
    else
        me_sheet_add(sheet, "%.*f %s/%.12s", own.decimals, value / own.factor, own.unit, one);
}

void me_figures_add_work(struct me_sheet *sheet, const struct me_figures *figures,
                         const struct me_row_summary *row)
{
    add_per_work(sheet, figures, row, ME_ENERGY, row->j_per_work);
}

void me_figures_add_work_carbon(struct me_sheet *sheet, const struct me_figures *figures,
                                const struct me_row_summary *row)
{
    add_per_work(sheet, figures, row, ME_CARBON, row->g_per_work);
}

void me_figures_add_rate(struct me_sheet *sheet, const struct me_figures *figures,
                         const struct me_row_summary *row)
{
    struct me_span_of span = {0};
    me_span_add(&span, row->work_per_s, NAN);
    struct me_scale own = me_scale_for(ME_RATE, &span);
    if (!isfinite(row->work_per_s) || !*row->work_unit)
        me_sheet_add(sheet, "%s", "");
    else if (figures->work_unit)
        me_sheet_add(sheet, "%.*f", figures->rate.decimals, row->work_per_s);
    else
        me_sheet_add(sheet, "%.*f %.12s/s", own.decimals, row->work_per_s, row->work_unit);
}

void me_figures_add_accuracy(struct me_sheet *sheet, const struct me_row_summary *row)
{
    if (isfinite(row->accuracy))
        me_sheet_add(sheet, "%.4f", row->accuracy);
    else
        me_sheet_add(sheet, "%s", "");
}

void me_figures_add(struct me_sheet *sheet, const struct me_scale *scale, double value, double ci)
{
    char text[96];
    me_scale_text(text, sizeof text, scale, value, ci);
    me_sheet_add(sheet, "%s", text);
}

void me_figures_text(char *text, size_t size, enum me_quantity quantity, double value)
{
    struct me_span_of span = {0};
    me_span_add(&span, value, NAN);
    struct me_scale scale = me_scale_for(quantity, &span);
    me_scale_text(text, size, &scale, value, NAN);
}

void me_figures_add_alone(struct me_sheet *sheet, enum me_quantity quantity, double value)
{
    char text[96];
    me_figures_text(text, sizeof text, quantity, value);
    me_sheet_add(sheet, "%s", text);
}

void me_figures_add_name(struct me_sheet *sheet, const char *name, size_t width, size_t tail)
{
    char text[128];
    snprintf(text, sizeof text, "%s", name);
    size_t len = strlen(text);
    const char *end = name + strlen(name);
    if (me_utf8_width(text) <= width) {
        me_sheet_add(sheet, "%s", text);
        return;
    }
    if (tail < len) end -= tail;
    while ((*end & 0xc0) == 0x80) end++; /* not within a letter */
    while (len && me_utf8_width(text) + me_utf8_width(end) >= width) {
        text[--len] = '\0';
        me_utf8_clean(text, len + 1);
    }
    me_sheet_add(sheet, "%s…%s", text, end);
}
