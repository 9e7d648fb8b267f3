/* Look-ups in the embedded tables. Each returns whether the place was found; *out is then filled. */
#ifndef ME_CARBON_TABLES_H
#define ME_CARBON_TABLES_H

#include "me/carbon.h"

/* `provider` may be "": any. Returns how many regions have that name; *out is the first. */
int me_tables_cloud(const char *provider, const char *region, struct me_grid *out);
bool me_tables_zone(const char *zone, struct me_grid *out);
bool me_tables_subnational(const char *code, struct me_grid *out);
/* By alpha-2 or alpha-3 code; "" is the world's mean. */
bool me_tables_country(const char *code, struct me_grid *out);
/* The alpha-2 code of a country by its English name; "" if there is none. */
void me_tables_country_code(const char *name, char code[4]);

/* The nearest name to a region or a country code, for a message; "" if none is near. */
void me_tables_nearest_region(const char *region, char *name, size_t size);
void me_tables_nearest_country(const char *code, char *name, size_t size);
/* The providers that have a region of that name: "aws:x, ovh:x". */
void me_tables_providers(const char *region, char *names, size_t size);

#endif
