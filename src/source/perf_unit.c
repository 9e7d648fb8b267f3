/* A performance monitoring unit with energy events, as sysfs describes it. */
#include "perf.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNITS "sys/bus/event_source/devices"

/* The events of arch/x86/events/rapl.c, in the order of our channels. */
static const struct {
    const char *event;
    enum me_rapl_domain domain;
} known[] = {{"energy-pkg", ME_RAPL_PACKAGE}, {"energy-ram", ME_RAPL_DRAM},  {"energy-cores", ME_RAPL_CORE},
             {"energy-gpu", ME_RAPL_UNCORE},  {"energy-core", ME_RAPL_CORE}, {"energy-psys", ME_RAPL_PSYS}};

static size_t rank_of(const char *event)
{
    size_t i = 0;
    while (i < sizeof known / sizeof *known && strcmp(known[i].event, event) != 0) i++;
    return i;
}

static int compare(const void *a, const void *b)
{
    const struct me_perf_event *x = a, *y = b;
    size_t i = rank_of(x->name), j = rank_of(y->name);
    return i != j ? (i < j ? -1 : 1) : strcmp(x->name, y->name);
}

static int read_file(const struct me_root *root, const char *unit, const char *file, char *text, size_t size)
{
    char path[192];
    int need = snprintf(path, sizeof path, UNITS "/%s/%s", unit, file);
    if (need < 0 || (size_t)need >= sizeof path) return -ENAMETOOLONG;
    int len = me_root_read(root, path, text, size);
    return len == 0 ? -ENODATA : len;
}

/* Where the file of format/ is missing, the places that these units have always had. */
static int place(const struct me_root *root, const char *unit, const char *term, uint64_t value,
                 struct me_perf_config *config)
{
    char file[64], format[64];
    snprintf(file, sizeof file, "format/%.40s", term);
    if (read_file(root, unit, file, format, sizeof format) < 0)
        snprintf(format, sizeof format, "%s", strcmp(term, "umask") != 0 ? "config:0-7" : "config:8-15");
    return me_perf_place_term(format, value, config);
}

static int read_config(const struct me_root *root, const char *unit, const char *event,
                       struct me_perf_config *config)
{
    char file[64], text[128], term[40];
    const char *at = text;
    uint64_t value;
    int rc;
    snprintf(file, sizeof file, "events/%.48s", event);
    if (read_file(root, unit, file, text, sizeof text) < 0) return -1;
    while ((rc = me_perf_next_term(&at, term, sizeof term, &value)) > 0)
        if (place(root, unit, term, value, config)) return -1;
    return rc;
}

static void read_event(const struct me_root *root, const char *unit, struct me_perf_event *event)
{
    char file[64], text[128];
    size_t rank = rank_of(event->name);
    event->domain = rank < sizeof known / sizeof *known ? known[rank].domain : ME_RAPL_DOMAINS;
    if (event->domain == ME_RAPL_DOMAINS) event->unusable = "an event of unknown kind";
    if (read_config(root, unit, event->name, &event->config))
        event->unusable = "its description in sysfs cannot be read";
    snprintf(file, sizeof file, "events/%s.unit", event->name);
    if (read_file(root, unit, file, text, sizeof text) < 0 || strcmp(text, "Joules") != 0)
        event->unusable = "its unit is not Joules";
    snprintf(file, sizeof file, "events/%s.scale", event->name);
    if (read_file(root, unit, file, text, sizeof text) < 0 || me_perf_parse_scale(text, &event->scale))
        event->unusable = "its scale cannot be read";
}

static int list_events(const struct me_root *root, const char *unit, struct me_perf_unit *found)
{
    char path[128];
    snprintf(path, sizeof path, UNITS "/%.32s/events", unit);
    DIR *dir = me_root_opendir(root, path);
    if (!dir) return errno;
    for (struct dirent *entry; (entry = readdir(dir)) && found->event_count < ME_PERF_EVENTS;) {
        struct me_perf_event *event = &found->events[found->event_count];
        if (strncmp(entry->d_name, "energy-", 7) != 0 || strchr(entry->d_name, '.')) continue;
        if (strlen(entry->d_name) >= sizeof event->name) continue;
        *event = (struct me_perf_event){0};
        strcpy(event->name, entry->d_name);
        found->event_count++;
    }
    closedir(dir);
    qsort(found->events, found->event_count, sizeof *found->events, compare);
    for (size_t i = 0; i < found->event_count; i++) read_event(root, unit, &found->events[i]);
    return found->event_count ? 0 : ENOENT;
}

static int list_cpus(const struct me_root *root, const char *unit, struct me_perf_unit *found)
{
    char text[4096];
    if (read_file(root, unit, "cpumask", text, sizeof text) < 0) return ENOENT;
    int count = me_perf_parse_cpus(text, NULL, 0);
    if (count <= 0) return EINVAL;
    found->cpus = calloc((size_t)count, sizeof *found->cpus);
    if (!found->cpus) return ENOMEM;
    found->cpu_count = (size_t)count;
    me_perf_parse_cpus(text, found->cpus, found->cpu_count);
    return 0;
}

int me_perf_unit_read(const struct me_root *root, const char *name, struct me_perf_unit *unit)
{
    char path[128];
    unsigned long long type;
    struct me_perf_unit found = {0};
    snprintf(path, sizeof path, UNITS "/%.32s/type", name);
    int fd = me_root_openat(root, path);
    if (fd < 0) return -fd;
    found.provenance = me_root_provenance(fd);
    close(fd);
    int error = -me_root_read_u64(root, path, &type);
    if (!error && type > UINT32_MAX) error = EINVAL;
    if (!error) error = list_cpus(root, name, &found);
    if (!error) error = list_events(root, name, &found);
    if (error) {
        me_perf_unit_release(&found);
        return error;
    }
    found.type = (uint32_t)type;
    *unit = found;
    return 0;
}

void me_perf_unit_release(struct me_perf_unit *unit)
{
    if (!unit) return;
    free(unit->cpus);
    unit->cpus = NULL;
    unit->cpu_count = unit->event_count = 0;
}
