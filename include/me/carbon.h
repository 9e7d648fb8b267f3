/* Grid carbon intensity from the embedded tables. */
#ifndef ME_CARBON_H
#define ME_CARBON_H

#include "me/plan.h"

enum me_basis { ME_BASIS_LIFE_CYCLE, ME_BASIS_DIRECT, ME_BASIS_GIVEN };
const char *me_basis_name(enum me_basis basis); /* "life-cycle", "direct", "as given" */

struct me_grid {
    double g_per_kwh;
    int year; /* 0: not known (given by the user) */
    enum me_basis basis;
    double pue;       /* the cloud region's, NaN if the table has none */
    char source[160]; /* for people: "countries: DE 2024, life-cycle (Ember via co2.js, CC BY-SA 4.0)" */
};

/* Intensity for a machine: region (a cloud's, "aws:eu-central-1" or "eu-central-1" where only one
 * provider has that name; or a grid zone "US-CAL-CISO"), else country (alpha-2 or alpha-3), else the
 * world's mean. Life-cycle wherever a table has it. An unknown region or country is ME_E_INPUT and
 * names the nearest. "" means not given. */
int me_carbon_find(const char *region, const char *country, struct me_grid *out, struct me_error *err);
/* Fills grid_g_per_kwh, grid_source and pue of every machine of the plan where they are NaN / "";
 * a value of the config stays and is named "config". A PUE nobody knows is 1 and grid_source says so. */
int me_carbon_resolve(struct me_plan *plan, struct me_error *err);

#endif
