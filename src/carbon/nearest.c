#include "me/data.h"
#include "tables.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names taken out of tables: a CSV cell lives only as long as its row. */
struct names {
    struct me_buffer text; /* each behind the other, with its NUL */
    size_t count;
};

/* `prefix` names a column whose cell stands before the name, with a colon; NULL: none. */
static void collect(struct names *names, const char *table, const char *prefix, const char *column)
{
    struct me_csv csv;
    size_t len;
    const char *text = me_data_find(table, &len);
    if (!text) return;
    me_csv_begin(&csv, text, len);
    while (me_csv_next(&csv)) {
        const char *cell = me_csv_cell(&csv, column);
        if (!cell[0]) continue;
        if (prefix) me_buffer_printf(&names->text, "%s:", me_csv_cell(&csv, prefix));
        me_buffer_append(&names->text, cell, strlen(cell) + 1);
        names->count++;
    }
}

/* Writes the nearest of the names to `word`, or "", and frees them. */
static void choose(struct names *names, const char *word, char *name, size_t size)
{
    const char **list = calloc(names->count + 1, sizeof *list);
    const char *at = names->text.data, *nearest = NULL;
    name[0] = '\0';
    if (list && !names->text.failed) {
        for (size_t i = 0; i < names->count; i++, at += strlen(at) + 1) list[i] = at;
        nearest = me_nearest(word, list);
    }
    if (nearest) snprintf(name, size, "%s", nearest);
    free(list);
    me_buffer_release(&names->text);
}

void me_tables_nearest_region(const char *region, char *name, size_t size)
{
    struct names names = {0};
    bool qualified = strchr(region, ':') != NULL;
    collect(&names, "cloud_regions.csv", qualified ? "provider" : NULL, "region");
    if (!qualified) {
        collect(&names, "electricitymaps_zones.csv", NULL, "zone");
        collect(&names, "subnational.csv", NULL, "code");
    }
    choose(&names, region, name, size);
}

void me_tables_nearest_country(const char *code, char *name, size_t size)
{
    struct names names = {0};
    collect(&names, "countries.csv", NULL, "alpha2");
    collect(&names, "countries.csv", NULL, "alpha3");
    collect(&names, "countries.csv", NULL, "name");
    choose(&names, code, name, size);
}
