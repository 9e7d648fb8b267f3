#include "me/data.h"
#include <string.h>

/* Made by tables.S. To add a table: the file, a line there, a line in each of the two lists here, and
 * its source, licence and attribution in README.md. */
#define ME_TABLE(name) extern const char me_data_##name[], me_data_##name##_end[]
ME_TABLE(cloud_regions);
ME_TABLE(countries);
ME_TABLE(cpu_families);
ME_TABLE(cpu_tdp);
ME_TABLE(electricitymaps_zones);
ME_TABLE(power_families);
ME_TABLE(power_intervals);
ME_TABLE(power_packages);
ME_TABLE(power_terms);
ME_TABLE(subnational);

static const struct {
    const char *name, *begin, *end;
} tables[] = {
    {"cloud_regions.csv", me_data_cloud_regions, me_data_cloud_regions_end},
    {"countries.csv", me_data_countries, me_data_countries_end},
    {"cpu_families.csv", me_data_cpu_families, me_data_cpu_families_end},
    {"cpu_tdp.csv", me_data_cpu_tdp, me_data_cpu_tdp_end},
    {"electricitymaps_zones.csv", me_data_electricitymaps_zones, me_data_electricitymaps_zones_end},
    {"power_families.csv", me_data_power_families, me_data_power_families_end},
    {"power_intervals.csv", me_data_power_intervals, me_data_power_intervals_end},
    {"power_packages.csv", me_data_power_packages, me_data_power_packages_end},
    {"power_terms.csv", me_data_power_terms, me_data_power_terms_end},
    {"subnational.csv", me_data_subnational, me_data_subnational_end},
};

const char *me_data_find(const char *name, size_t *len)
{
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (strcmp(tables[i].name, name)) continue;
        *len = (size_t)(tables[i].end - tables[i].begin);
        return tables[i].begin;
    }
    return NULL;
}
