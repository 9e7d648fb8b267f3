#include "tables.h"
#include "me/data.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool open_table(const char *name, struct me_csv *csv)
{
    size_t len;
    const char *text = me_data_find(name, &len);
    if (text) me_csv_begin(csv, text, len);
    return text != NULL;
}

/* A number of the current row; NaN if the cell is empty or no number. */
static double get_number(const struct me_csv *csv, const char *column)
{
    double value;
    return me_parse_double(me_csv_cell(csv, column), 0, 1e9, &value) ? NAN : value;
}

static int get_year(const struct me_csv *csv, const char *column)
{
    double year = get_number(csv, column);
    return isnan(year) || year > 9999 ? 0 : (int)year;
}

/* A cloud region's life-cycle figure where the table has one: its Electricity Maps column does, and
 * its main column unless it is Google's own, which is direct. */
static bool fill_cloud(const struct me_csv *csv, struct me_grid *out)
{
    const char *publisher = "Electricity Maps, ODbL 1.0";
    bool google = strstr(me_csv_cell(csv, "ci_source"), "Google") != NULL;
    struct me_grid grid = {.g_per_kwh = get_number(csv, "em_2025_gco2e_per_kwh"), .year = 2025};
    if (isnan(grid.g_per_kwh)) {
        grid.g_per_kwh = get_number(csv, "gco2e_per_kwh");
        grid.year = get_year(csv, "year");
        grid.basis = google ? ME_BASIS_DIRECT : ME_BASIS_LIFE_CYCLE;
        if (google) publisher = "Google, Apache-2.0";
    }
    grid.pue = get_number(csv, "pue");
    snprintf(grid.source, sizeof grid.source, "cloud regions: %s:%s %d, %s (%s)",
             me_csv_cell(csv, "provider"), me_csv_cell(csv, "region"), grid.year, me_basis_name(grid.basis),
             publisher);
    if (isnan(grid.g_per_kwh)) return false;
    *out = grid;
    return true;
}

int me_tables_cloud(const char *provider, const char *region, struct me_grid *out)
{
    struct me_csv csv;
    int found = 0;
    if (!open_table("cloud_regions.csv", &csv)) return 0;
    while (me_csv_next(&csv)) {
        if (strcasecmp(me_csv_cell(&csv, "region"), region)) continue;
        if (provider[0] && strcasecmp(me_csv_cell(&csv, "provider"), provider)) continue;
        struct me_grid grid;
        if (!fill_cloud(&csv, &grid)) continue;
        if (!found++) *out = grid;
    }
    return found;
}

bool me_tables_zone(const char *zone, struct me_grid *out)
{
    struct me_csv csv;
    if (!open_table("electricitymaps_zones.csv", &csv)) return false;
    while (me_csv_next(&csv)) {
        if (strcasecmp(me_csv_cell(&csv, "zone"), zone)) continue;
        struct me_grid grid = {.g_per_kwh = NAN, .basis = ME_BASIS_LIFE_CYCLE, .pue = NAN};
        for (int year = 2025; year >= 2021 && isnan(grid.g_per_kwh); year--) {
            char column[32];
            snprintf(column, sizeof column, "gco2e_per_kwh_%d", year);
            grid.g_per_kwh = get_number(&csv, column);
            grid.year = year;
        }
        snprintf(grid.source, sizeof grid.source, "grid zones: %s %d, %s (Electricity Maps, ODbL 1.0)",
                 me_csv_cell(&csv, "zone"), grid.year, me_basis_name(grid.basis));
        if (isnan(grid.g_per_kwh)) return false;
        *out = grid;
        return true;
    }
    return false;
}

/* A state or subregion has a row a year; the newest wins. All of them are direct. */
bool me_tables_subnational(const char *code, struct me_grid *out)
{
    struct me_csv csv;
    struct me_grid best = {.g_per_kwh = NAN};
    if (!open_table("subnational.csv", &csv)) return false;
    while (me_csv_next(&csv)) {
        struct me_grid grid = {.g_per_kwh = get_number(&csv, "gco2e_per_kwh"),
                               .year = get_year(&csv, "year"),
                               .basis = ME_BASIS_DIRECT,
                               .pue = NAN};
        if (strcasecmp(me_csv_cell(&csv, "code"), code) || isnan(grid.g_per_kwh)) continue;
        bool epa = strstr(me_csv_cell(&csv, "source"), "EPA") != NULL;
        snprintf(grid.source, sizeof grid.source, "states and subregions: %s %d, %s (%s)",
                 me_csv_cell(&csv, "code"), grid.year, me_basis_name(grid.basis),
                 epa ? "US EPA eGRID" : "carbonfootprint.com, CC BY 4.0");
        if (isnan(best.g_per_kwh) || grid.year > best.year) best = grid;
    }
    if (isnan(best.g_per_kwh)) return false;
    *out = best;
    return true;
}

bool me_tables_country(const char *code, struct me_grid *out)
{
    struct me_csv csv;
    bool world = !code[0];
    if (!open_table("countries.csv", &csv)) return false;
    while (me_csv_next(&csv)) {
        const char *alpha2 = me_csv_cell(&csv, "alpha2"), *alpha3 = me_csv_cell(&csv, "alpha3");
        if (world && strcmp(alpha3, "WORLD")) continue;
        if (!world && strcmp(me_csv_cell(&csv, "kind"), "country")) continue;
        if (!world && strcasecmp(alpha2, code) && strcasecmp(alpha3, code)) continue;
        struct me_grid grid = {.g_per_kwh = get_number(&csv, "gco2e_per_kwh"),
                               .year = get_year(&csv, "year"),
                               .basis = ME_BASIS_LIFE_CYCLE,
                               .pue = NAN};
        /* No grid is free of carbon over its life: a 0 is one that was rounded or left out. */
        if (!(grid.g_per_kwh > 0)) return alpha2[0] && me_tables_zone(alpha2, out);
        bool codecarbon = strstr(me_csv_cell(&csv, "source"), "CodeCarbon") != NULL;
        char year[16] = "";
        if (grid.year) snprintf(year, sizeof year, " %d", grid.year);
        snprintf(grid.source, sizeof grid.source, "countries: %s%s, %s (%s)", alpha2[0] ? alpha2 : alpha3,
                 year, me_basis_name(grid.basis),
                 codecarbon ? "CodeCarbon, MIT" : "Ember via co2.js, CC BY-SA 4.0");
        *out = grid;
        return true;
    }
    return false;
}

void me_tables_country_code(const char *name, char code[4])
{
    struct me_csv csv;
    code[0] = '\0';
    if (!open_table("countries.csv", &csv)) return;
    while (me_csv_next(&csv))
        if (!strcasecmp(me_csv_cell(&csv, "name"), name) && !strcmp(me_csv_cell(&csv, "kind"), "country"))
            snprintf(code, 4, "%s", me_csv_cell(&csv, "alpha2"));
}

void me_tables_providers(const char *region, char *names, size_t size)
{
    struct me_csv csv;
    size_t len = 0;
    names[0] = '\0';
    if (!open_table("cloud_regions.csv", &csv)) return;
    while (me_csv_next(&csv) && len < size)
        if (!strcasecmp(me_csv_cell(&csv, "region"), region))
            len += (size_t)snprintf(names + len, size - len, "%s%s:%s", len ? ", " : "",
                                    me_csv_cell(&csv, "provider"), me_csv_cell(&csv, "region"));
}
