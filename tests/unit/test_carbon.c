/* Grid intensity out of the embedded tables: figures, years and bases by place. */
#include "me/carbon.h"
#include "me/units.h"
#include "me_cmocka.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *region, *country;
        double g_per_kwh;
        int year;
        enum me_basis basis;
        double pue; /* 0: none */
        const char *source;
    } cases[] = {
        {"", "", 472.94, 2024, ME_BASIS_LIFE_CYCLE, 0,
         "countries: WORLD 2024, life-cycle (Ember via co2.js, CC BY-SA 4.0)"},
        {"", "DE", 342.06, 2024, ME_BASIS_LIFE_CYCLE, 0,
         "countries: DE 2024, life-cycle (Ember via co2.js, CC BY-SA 4.0)"},
        {"", "DEU", 342.06, 2024, ME_BASIS_LIFE_CYCLE, 0,
         "countries: DE 2024, life-cycle (Ember via co2.js, CC BY-SA 4.0)"},
        {"", "fr", 44.18, 2024, ME_BASIS_LIFE_CYCLE, 0,
         "countries: FR 2024, life-cycle (Ember via co2.js, CC BY-SA 4.0)"},
        {"", "BM", 650.794, 2022, ME_BASIS_LIFE_CYCLE, 0, "countries: BM 2022, life-cycle (CodeCarbon, MIT)"},
        {"", "AX", 0, 2025, ME_BASIS_LIFE_CYCLE, 0,
         "grid zones: AX 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"", "CF", 24, 2025, ME_BASIS_LIFE_CYCLE, 0, /* 0 in the table of countries */
         "grid zones: CF 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"", "CAF", 24, 2025, ME_BASIS_LIFE_CYCLE, 0,
         "grid zones: CF 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"aws:eu-central-1", "", 342, 2025, ME_BASIS_LIFE_CYCLE, 1.35,
         "cloud regions: aws:eu-central-1 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"eu-central-1", "FR", 342, 2025, ME_BASIS_LIFE_CYCLE, 1.35, /* the region goes before the country */
         "cloud regions: aws:eu-central-1 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"AWS:EU-Central-1", "", 342, 2025, ME_BASIS_LIFE_CYCLE, 1.35,
         "cloud regions: aws:eu-central-1 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"aws:ap-east-1", "", 590, 2025, ME_BASIS_LIFE_CYCLE, 0,
         "cloud regions: aws:ap-east-1 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"gcp:asia-east1", "", 519, 2025, ME_BASIS_LIFE_CYCLE, 1.12, /* not Google's own direct 439.29 */
         "cloud regions: gcp:asia-east1 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"gcp:us-central2", "", 372.23, 2024, ME_BASIS_DIRECT, 0, /* has no other */
         "cloud regions: gcp:us-central2 2024, direct (Google, Apache-2.0)"},
        {"US-CAL-CISO", "", 208, 2025, ME_BASIS_LIFE_CYCLE, 0,
         "grid zones: US-CAL-CISO 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"ca-qc", "", 41, 2025, ME_BASIS_LIFE_CYCLE, 0,
         "grid zones: CA-QC 2025, life-cycle (Electricity Maps, ODbL 1.0)"},
        {"US-TX", "", 409.16, 2020, ME_BASIS_DIRECT, 0, /* the newer of its two rows */
         "states and subregions: US-TX 2020, direct (carbonfootprint.com, CC BY 4.0)"},
        {"CAMX", "", 216.82, 2019, ME_BASIS_DIRECT, 0,
         "states and subregions: CAMX 2019, direct (US EPA eGRID)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_grid grid;
        struct me_error err = {.text = ""};
        if (me_carbon_find(cases[i].region, cases[i].country, &grid, &err))
            fail_msg("%s/%s: %s", cases[i].region, cases[i].country, err.text);
        bool right = (cases[i].g_per_kwh == 0 || fabs(grid.g_per_kwh - cases[i].g_per_kwh) < 1e-9) &&
                     grid.year == cases[i].year && grid.basis == cases[i].basis &&
                     (cases[i].pue > 0 ? grid.pue == cases[i].pue : isnan(grid.pue)) &&
                     !strcmp(grid.source, cases[i].source);
        if (!right)
            fail_msg("%s/%s: %g g, %d, %s, PUE %g, %s", cases[i].region, cases[i].country, grid.g_per_kwh,
                     grid.year, me_basis_name(grid.basis), grid.pue, grid.source);
    }
}

static void test_find_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *region, *country, *message;
    } cases[] = {
        {"eu-centrl-1", "",
         "region \"eu-centrl-1\" is not in the carbon tables: did you mean \"eu-central-1\"?"},
        {"aws:eu-centrl-1", "", "did you mean \"aws:eu-central-1\"?"},
        {"gcp:eu-central-1", "", "did you mean"},
        {":eu-central-1", "", "region \":eu-central-1\""},
        {"a-very-long-provider-name:x", "", "is not in the carbon tables: give a cloud region"},
        {"US-CAL-CSIO", "", "did you mean \"US-CAL-CISO\"?"},
        {"zzzzzzzzzzzz", "",
         "give a cloud region (aws:eu-central-1), a grid zone (US-CAL-CISO), or grid_gco2_per_kwh"},
        {"", "UK", "country \"UK\" is not in the carbon tables: did you mean \"GB\"?"},
        {"", "Germany", "did you mean \"DE\"?"},
        {"", "Germny", "did you mean \"Germany\"?"},
        {"", "WORLD", "country \"WORLD\" is not"}, /* an aggregate is no country */
        {"", "EU27", "country \"EU27\" is not"},
        {"", "99", "give its ISO 3166 code (DE, DEU), or grid_gco2_per_kwh"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_grid grid = {.year = 4711};
        struct me_error err = {.text = ""};
        int rc = me_carbon_find(cases[i].region, cases[i].country, &grid, &err);
        if (rc != -1 || err.code != ME_E_INPUT || !strstr(err.text, cases[i].message))
            fail_msg("%s/%s: %d: %s", cases[i].region, cases[i].country, rc, err.text);
        assert_int_equal(grid.year, 4711);
    }
}

static void test_resolve(void **state)
{
    (void)state;
    static const struct {
        const char *region, *country;
        double grid, pue;           /* NAN: not in the config */
        double g_per_kwh, used_pue; /* expected */
        const char *source, *basis;
    } cases[] = {
        {"", "DE", NAN, NAN, 342.06, 1,
         "countries: DE 2024, life-cycle (Ember via co2.js, CC BY-SA 4.0); PUE not known, taken as 1",
         "life-cycle"},
        {"aws:eu-central-1", "", NAN, NAN, 342, 1.35,
         "cloud regions: aws:eu-central-1 2025, life-cycle (Electricity Maps, ODbL 1.0); PUE of the cloud "
         "region",
         "life-cycle"},
        {"aws:eu-central-1", "", NAN, 1.2, 342, 1.2,
         "cloud regions: aws:eu-central-1 2025, life-cycle (Electricity Maps, ODbL 1.0); PUE from the config",
         "life-cycle"},
        {"", "", 12.5, 1.1, 12.5, 1.1, "config; PUE from the config", "as given"},
        {"", "", 0, NAN, 0, 1, "config; PUE not known, taken as 1", "as given"},
        {"our-own-hall", "", 12.5, NAN, 12.5, 1, "config; PUE not known, taken as 1", "as given"},
        {"aws:eu-central-1", "", 12.5, NAN, 12.5, 1.35, "config; PUE of the cloud region", "as given"},
        {"", "", NAN, NAN, 472.94, 1,
         "countries: WORLD 2024, life-cycle (Ember via co2.js, CC BY-SA 4.0), no country was given; PUE not "
         "known, taken "
         "as 1",
         "life-cycle"},
        {"US-TX", "", NAN, NAN, 409.16, 1,
         "states and subregions: US-TX 2020, direct (carbonfootprint.com, CC BY 4.0); PUE not known, taken "
         "as 1",
         "direct"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_plan_machine machine = {.id = 1, .grid_g_per_kwh = cases[i].grid, .pue = cases[i].pue};
        struct me_plan plan = {.machines = &machine, .count = 1};
        struct me_error err = {.text = ""};
        snprintf(machine.region, sizeof machine.region, "%s", cases[i].region);
        snprintf(machine.country, sizeof machine.country, "%s", cases[i].country);
        for (int round = 0; round < 2; round++) { /* resolved once, it stays */
            if (round) machine.basis[0] = '\0';   /* as after a way through JSON */
            if (me_carbon_resolve(&plan, &err)) fail_msg("case %zu: %s", i, err.text);
            bool right = fabs(machine.grid_g_per_kwh - cases[i].g_per_kwh) < 1e-9 &&
                         machine.pue == cases[i].used_pue && !strcmp(machine.grid_source, cases[i].source) &&
                         !strcmp(machine.basis, cases[i].basis);
            if (!right)
                fail_msg("case %zu: %g g, PUE %g, %s, %s", i, machine.grid_g_per_kwh, machine.pue,
                         machine.basis, machine.grid_source);
        }
    }
}

static void test_resolve_names_the_machine(void **state)
{
    (void)state;
    struct me_plan_machine machines[2] = {
        {.id = 1, .name = "n1", .grid_g_per_kwh = NAN, .pue = NAN},
        {.id = 7, .name = "n7", .country = "XQ", .grid_g_per_kwh = NAN, .pue = NAN}};
    struct me_plan plan = {.machines = machines, .count = 2};
    struct me_error err;
    assert_int_equal(me_carbon_resolve(&plan, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    assert_non_null(strstr(err.text, "machine 7 (n7): country \"XQ\" is not in the carbon tables"));
}

/* 1 kWh at PUE 1.5 on a grid of 400 g is 600 g; and a watt is not a kilowatt. */
static void test_formula(void **state)
{
    (void)state;
    assert_true(fabs(me_carbon_g(3.6e6, 1.5, 400) - 600) < 1e-9);
    assert_true(fabs(me_carbon_g(165, 1, 342.06) - 0.01567775) < 1e-9);
    assert_true(isnan(me_carbon_g(NAN, 1, 400)) && isnan(me_carbon_g(1, 1, NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),    cmocka_unit_test(test_find_refuses),
        cmocka_unit_test(test_resolve), cmocka_unit_test(test_resolve_names_the_machine),
        cmocka_unit_test(test_formula),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
