#include "tables.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *me_basis_name(enum me_basis basis)
{
    static const char *const names[] = {"life-cycle", "direct", "as given"};
    return names[basis];
}

static int unknown_region(const char *region, struct me_error *err)
{
    char nearest[64];
    me_tables_nearest_region(region, nearest, sizeof nearest);
    if (nearest[0])
        return me_fail(err, ME_E_INPUT, "region \"%s\" is not in the carbon tables: did you mean \"%s\"?",
                       region, nearest);
    return me_fail(err, ME_E_INPUT,
                   "region \"%s\" is not in the carbon tables: give a cloud region (aws:eu-central-1), "
                   "a grid zone (US-CAL-CISO), or grid_gco2_per_kwh",
                   region);
}

static int find_cloud(const char *region, struct me_grid *out, struct me_error *err)
{
    char provider[16] = "", names[160];
    const char *colon = strchr(region, ':');
    if (colon) {
        if (colon == region || (size_t)(colon - region) >= sizeof provider)
            return unknown_region(region, err);
        snprintf(provider, sizeof provider, "%.*s", (int)(colon - region), region);
    }
    int found = me_tables_cloud(provider, colon ? colon + 1 : region, out);
    if (found == 1) return 0;
    if (!found) return unknown_region(region, err);
    me_tables_providers(region, names, sizeof names);
    return me_fail(err, ME_E_INPUT, "region \"%s\" is not one place: write one of %s", region, names);
}

/* Life-cycle tables before direct ones: clouds and grid zones, then states. */
static int find_region(const char *region, struct me_grid *out, struct me_error *err)
{
    struct me_grid grid;
    bool is_cloud = strchr(region, ':') || me_tables_cloud("", region, &grid);
    if (is_cloud) return find_cloud(region, out, err);
    if (me_tables_zone(region, out) || me_tables_subnational(region, out)) return 0;
    return unknown_region(region, err);
}

/* Codes that people write although ISO 3166 has others. */
static const char *usual_mistake(const char *code)
{
    if (!strcasecmp(code, "UK")) return "GB";
    if (!strcasecmp(code, "EL")) return "GR";
    return NULL;
}

static int find_country(const char *country, struct me_grid *out, struct me_error *err)
{
    char code[4], nearest[96];
    if (me_tables_country(country, out)) return 0;
    if (strlen(country) == 2 && me_tables_zone(country, out)) return 0;
    const char *meant = usual_mistake(country);
    me_tables_country_code(country, code);
    if (!meant && code[0]) meant = code;
    if (!meant) {
        me_tables_nearest_country(country, nearest, sizeof nearest);
        if (nearest[0]) meant = nearest;
    }
    if (meant)
        return me_fail(err, ME_E_INPUT, "country \"%s\" is not in the carbon tables: did you mean \"%s\"?",
                       country, meant);
    return me_fail(err, ME_E_INPUT,
                   "country \"%s\" is not in the carbon tables: give its ISO 3166 code (DE, DEU), or "
                   "grid_gco2_per_kwh",
                   country);
}

int me_carbon_find(const char *region, const char *country, struct me_grid *out, struct me_error *err)
{
    if (region && region[0]) return find_region(region, out, err);
    if (country && country[0]) return find_country(country, out, err);
    if (me_tables_country("", out)) return 0;
    return me_fail(err, ME_E_RUN, "the carbon table countries.csv has no row WORLD");
}

static void name_source(struct me_plan_machine *machine, const char *intensity, const char *pue)
{
    snprintf(machine->grid_source, sizeof machine->grid_source, "%.120s; %s", intensity, pue);
}

/* A plan that was resolved before and came back as text has the basis only in its source. */
static void recall_basis(struct me_plan_machine *machine)
{
    for (int basis = ME_BASIS_LIFE_CYCLE; basis <= ME_BASIS_GIVEN && !machine->basis[0]; basis++) {
        const char *name = me_basis_name((enum me_basis)basis);
        bool named = basis == ME_BASIS_GIVEN ? !strncmp(machine->grid_source, "config", 6)
                                             : strstr(machine->grid_source, name) != NULL;
        if (named) snprintf(machine->basis, sizeof machine->basis, "%s", name);
    }
}

/* One machine. What the config gave stays; then a region only helps with the PUE, and need not be
 * one that the tables know. */
static int resolve(struct me_plan_machine *machine, struct me_error *err)
{
    struct me_grid grid = {.pue = NAN};
    struct me_error why;
    bool given = !isnan(machine->grid_g_per_kwh);
    if (machine->grid_source[0] && given && !isnan(machine->pue)) {
        recall_basis(machine);
        return 0;
    }
    if (!given && me_carbon_find(machine->region, machine->country, &grid, &why))
        return me_fail(err, why.code, "machine %d (%s): %s", machine->id, machine->name, why.text);
    if (given && machine->region[0] && me_carbon_find(machine->region, "", &grid, NULL)) grid.pue = NAN;
    if (given) {
        snprintf(grid.source, sizeof grid.source, "config");
        grid.basis = ME_BASIS_GIVEN;
    } else {
        machine->grid_g_per_kwh = grid.g_per_kwh;
    }
    bool world = !given && !machine->region[0] && !machine->country[0];
    if (world) {
        char source[sizeof grid.source];
        snprintf(source, sizeof source, "%.100s, no country was given", grid.source);
        memcpy(grid.source, source, sizeof source);
    }
    snprintf(machine->basis, sizeof machine->basis, "%s", me_basis_name(grid.basis));
    if (!isnan(machine->pue))
        name_source(machine, grid.source, "PUE from the config");
    else if (!isnan(grid.pue))
        name_source(machine, grid.source, "PUE of the cloud region");
    else
        name_source(machine, grid.source, "PUE not known, taken as 1");
    if (isnan(machine->pue)) machine->pue = isnan(grid.pue) ? 1 : grid.pue;
    return 0;
}

int me_carbon_resolve(struct me_plan *plan, struct me_error *err)
{
    for (size_t i = 0; i < plan->count; i++)
        if (resolve(&plan->machines[i], err)) return -1;
    return 0;
}
