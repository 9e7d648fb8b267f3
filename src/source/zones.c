#include "zones.h"
#include "rapl.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_DIR "sys/class/powercap"

struct list {
    struct me_zone *zones;
    size_t count, links;
    bool failed;
};

/* "intel-rapl:0:a" to its parts; false for all other names ("intel-rapl", "subsystem", ...). */
static bool parse_dir(const char *dir, struct me_zone *zone)
{
    const char *colon = strchr(dir, ':');
    memset(zone, 0, sizeof *zone);
    if (!colon || colon == dir || (size_t)(colon - dir) >= sizeof zone->control) return false;
    if (strlen(dir) >= sizeof zone->dir) return false;
    while (*colon == ':' && zone->depth < ME_ZONE_DEPTH) {
        char *end;
        if (!isxdigit((unsigned char)colon[1])) return false;
        zone->number[zone->depth++] = (unsigned)strtoul(colon + 1, &end, 16);
        colon = end;
    }
    if (*colon) return false;
    memcpy(zone->dir, dir, strlen(dir) + 1);
    snprintf(zone->control, sizeof zone->control, "%.*s", (int)strcspn(dir, ":"), dir);
    return true;
}

static bool is_listed(const struct list *list, const char *dir)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->zones[i].dir, dir)) return true;
    return false;
}

static void add(struct list *list, const struct me_root *root, const char *path, struct me_zone *zone)
{
    char file[sizeof zone->path + 8];
    if (is_listed(list, zone->dir)) return; /* seen flat and nested */
    snprintf(zone->path, sizeof zone->path, "%s", path);
    snprintf(file, sizeof file, "%s/name", path);
    int len = me_root_read(root, file, zone->domain, sizeof zone->domain);
    if (len <= 0) { /* no zone, or one whose link leads nowhere, as where a container hides its target */
        if (len == -ENOENT) list->links++;
        return;
    }
    struct me_zone *zones = realloc(list->zones, (list->count + 1) * sizeof *zones);
    if (!zones) {
        list->failed = true;
        return;
    }
    list->zones = zones;
    list->zones[list->count++] = *zone;
}

/* Enters a directory and those in it that are zones or control types; never more than the depth of a
 * zone tree, since on a live machine the nested zones are links into the flat ones. */
static void walk(struct list *list, const struct me_root *root, const char *path, int depth)
{
    DIR *dir = me_root_opendir(root, path);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct me_zone zone;
        char inner[sizeof zone.path];
        bool is_zone = parse_dir(entry->d_name, &zone);
        if (entry->d_name[0] == '.' || (!is_zone && depth > 0)) continue;
        int len = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof inner) continue;
        if (is_zone) add(list, root, inner, &zone);
        if (depth < ME_ZONE_DEPTH) walk(list, root, inner, depth + 1);
    }
    closedir(dir);
}

static int compare(const void *a, const void *b)
{
    const struct me_zone *x = a, *y = b;
    int control = strcmp(x->control, y->control);
    if (control) { /* the first of two that show one counter is the one that counts */
        if (!strcmp(x->control, "intel-rapl")) return -1;
        if (!strcmp(y->control, "intel-rapl")) return 1;
        return control;
    }
    for (int i = 0; i < ME_ZONE_DEPTH; i++) {
        if (x->depth <= i || y->depth <= i) return x->depth - y->depth;
        if (x->number[i] != y->number[i]) return x->number[i] < y->number[i] ? -1 : 1;
    }
    return 0;
}

static const struct me_zone *find_parent(const struct list *list, const struct me_zone *zone)
{
    char dir[sizeof zone->dir];
    if (zone->depth < 2) return NULL;
    snprintf(dir, sizeof dir, "%s", zone->dir);
    *strrchr(dir, ':') = '\0';
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->zones[i].dir, dir)) return &list->zones[i];
    return NULL;
}

static void place(struct me_zone *zone, const struct me_zone *parent)
{
    zone->package = parent ? parent->package : -1;
    zone->die = parent ? parent->die : -1;
    zone->scope = ME_SCOPE_CORE;
    if (!strncmp(zone->domain, "package", 7)) {
        zone->scope = ME_SCOPE_PACKAGE;
        if (sscanf(zone->domain, "package-%d-die-%d", &zone->package, &zone->die) < 1)
            zone->package = (int)zone->number[0];   /* kernels before 3.16 write "package" only */
    } else if (!strncmp(zone->domain, "psys", 4)) { /* one a package on some servers: "psys-1" */
        zone->scope = ME_SCOPE_PLATFORM;
    } else if (!strcmp(zone->domain, "dram")) {
        zone->scope = ME_SCOPE_DRAM;
    } else if (strcmp(zone->domain, "core") && strcmp(zone->domain, "uncore")) {
        zone->unknown = "a zone of unknown kind";
    }
}

static bool is_taken(const struct list *list, size_t before, const char *name)
{
    for (size_t i = 0; i < before; i++)
        if (!strcmp(list->zones[i].name, name)) return true;
    return false;
}

/* "package-0", "package-0/core"; behind the control type for all but intel-rapl: "mmio/package-0". */
static void name_zone(struct list *list, size_t index)
{
    struct me_zone *zone = &list->zones[index];
    const struct me_zone *parent = find_parent(list, zone);
    const char *control = zone->control;
    char name[sizeof zone->name];
    if (!strncmp(control, "intel-rapl", 10)) control += control[10] == '-' ? 11 : 10;
    if (parent)
        snprintf(name, sizeof name, "%.24s/%.22s", parent->name, zone->domain);
    else if (zone->depth > 1)
        snprintf(name, sizeof name, "%.24s/%.22s", zone->dir, zone->domain);
    else
        snprintf(name, sizeof name, "%.16s%s%.24s", control, *control ? "/" : "", zone->domain);
    place(zone, parent);
    snprintf(zone->name, sizeof zone->name, "%s", name);
    for (int n = 2; is_taken(list, index, zone->name); n++)
        snprintf(zone->name, sizeof zone->name, "%.36s#%d", name, n);
}

int me_zones_list(const struct me_root *root, struct me_zone **zones, size_t *count, size_t *links,
                  struct me_error *err)
{
    struct list list = {0};
    walk(&list, root, CLASS_DIR, 0);
    if (list.failed) {
        free(list.zones);
        return me_fail(err, ME_E_RUN, "%s: no memory for its zones", CLASS_DIR);
    }
    if (list.count) qsort(list.zones, list.count, sizeof *list.zones, compare);
    for (size_t i = 0; i < list.count; i++) name_zone(&list, i); /* parents stand before their children */
    *zones = list.zones;
    *count = list.count;
    *links = list.links;
    return 0;
}

uint64_t me_zone_range(uint64_t max_energy_range_uj)
{
    const uint64_t mask = UINT32_MAX, max = max_energy_range_uj;
    if (!max) return 0;
    if (max <= UINT64_MAX / 1000 - mask) {
        uint64_t unit_nj = (max * 1000 + mask - 1) / mask;
        if (unit_nj && unit_nj < mask && mask * unit_nj / 1000 == max) return ((unit_nj << 32) + 500) / 1000;
    }
    return max == UINT64_MAX ? 0 : max + 1;
}

double me_zone_max_power_w(const struct me_root *root, const struct me_zone *zone)
{
    double largest_w = 0;
    for (int i = 0; i < 4; i++) {
        char path[sizeof zone->path + 40];
        unsigned long long uw;
        snprintf(path, sizeof path, "%s/constraint_%d_max_power_uw", zone->path, i);
        if (me_root_read_u64(root, path, &uw)) continue; /* not there, empty, ENODATA: normal */
        double watts = (double)uw * 1e-6;
        if (watts >= 1 && watts <= 10000 && watts > largest_w) largest_w = watts;
    }
    if (!largest_w) return me_rapl_bound_w(zone->scope);
    return 2 * largest_w < 100 ? 100 : 2 * largest_w;
}
