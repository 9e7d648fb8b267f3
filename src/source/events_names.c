/* Names of events to what perf_event_open takes. libpfm4 comes with a perf_event.h of its own, which
 * clashes with the kernel's: this is the one file that sees it. */
#include "events.h"
#include "me/options.h"
#include <perfmon/pfmlib_perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int encode(const char *name, struct me_event *event)
{
    struct perf_event_attr attr = {.size = sizeof attr};
    pfm_perf_encode_arg_t arg = {.attr = &attr, .size = sizeof arg};
    int rc = pfm_get_os_event_encoding(name, PFM_PLM0 | PFM_PLM3, PFM_OS_PERF_EVENT, &arg);
    if (rc) return rc;
    *event = (struct me_event){
        .type = attr.type,
        .config = attr.config,
        .config1 = attr.config1,
        .config2 = attr.config2,
        .exclude_user = attr.exclude_user,
        .exclude_kernel = attr.exclude_kernel,
        .exclude_hv = attr.exclude_hv,
        .exclude_guest = attr.exclude_guest,
        .exclude_host = attr.exclude_host,
        .is_time = attr.type == PERF_TYPE_SOFTWARE &&
                   (attr.config == PERF_COUNT_SW_CPU_CLOCK || attr.config == PERF_COUNT_SW_TASK_CLOCK)};
    return 0;
}

size_t me_events_of_set(enum me_event_set set, struct me_event *events)
{
    static const struct {
        const char *name, *pfm;
    } sets[][5] = {
        {{"instructions", "perf::INSTRUCTIONS"},
         {"cycles", "perf::CYCLES"},
         {"cache-misses", "perf::CACHE-MISSES"},
         {"branch-misses", "perf::BRANCH-MISSES"},
         {NULL, NULL}},
        /* not the clocks: on the whole machine they run while it idles, too */
        {{"context-switches", "perf::CONTEXT-SWITCHES"},
         {"cpu-migrations", "perf::CPU-MIGRATIONS"},
         {"page-faults", "perf::PAGE-FAULTS"},
         {NULL, NULL}},
    };
    size_t count = 0;
    if (pfm_initialize()) return 0;
    for (size_t i = 0; sets[set][i].name; i++) {
        if (encode(sets[set][i].pfm, &events[count])) continue;
        snprintf(events[count++].name, sizeof events->name, "%s", sets[set][i].name);
    }
    return count;
}

/* The event's own name: without the PMU before it and the attributes behind. */
static void bare_name(const char *name, char *bare, size_t size)
{
    const char *colons = strstr(name, "::"), *start = colons ? colons + 2 : name;
    snprintf(bare, size, "%.*s", (int)strcspn(start, ":"), start);
}

struct names { /* of all events of all processors that libpfm4 knows, NULL-terminated */
    const char **list;
    size_t count, capacity;
};

static void add_name(struct names *names, const char *name)
{
    if (!name) return;
    if (names->count + 1 >= names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 4096;
        const char **list = realloc(names->list, capacity * sizeof *list);
        if (!list) return;
        names->list = list;
        names->capacity = capacity;
    }
    names->list[names->count++] = name;
    names->list[names->count] = NULL;
}

/* The names of a PMU's events; of all PMUs, or of those that are here. */
static void list_names(struct names *names, bool only_here)
{
    for (int pmu = 0; pmu < PFM_PMU_MAX; pmu++) {
        pfm_pmu_info_t about = {.size = sizeof about};
        if (pfm_get_pmu_info((pfm_pmu_t)pmu, &about) || (only_here && !about.is_present)) continue;
        for (int i = about.first_event; i != -1; i = pfm_get_event_next(i)) {
            pfm_event_info_t event = {.size = sizeof event};
            if (pfm_get_event_info(i, PFM_OS_NONE, &event)) continue;
            add_name(names, event.name);
            add_name(names, event.equiv);
        }
    }
}

static bool is_listed(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (!strcasecmp(names->list[i], name)) return true;
    return false;
}

/* Writes up to three of the nearest names, " (near: A, B, C)"; "" if none is near. Spoils the list. */
static void say_nearest(struct names *names, const char *name, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < 3 && names->count; i++) {
        const char *near = me_nearest(name, names->list);
        if (!near) break;
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : " (near: ", near);
        if (used >= size) break;
        for (size_t k = 0; k < names->count; k++)
            while (k < names->count && !strcasecmp(names->list[k], near))
                names->list[k] = names->list[--names->count];
        names->list[names->count] = NULL;
    }
    if (used && used < size) snprintf(text + used, size - used, ")");
}

/* Is it an event of some other processor? If not, *err says what is near. */
static int check_elsewhere(const char *name, struct me_error *err)
{
    struct names all = {.list = NULL}, here = {.list = NULL};
    char bare[64], near[256];
    bare_name(name, bare, sizeof bare);
    list_names(&all, false);
    int rc = is_listed(&all, bare) ? 0 : -1;
    if (rc) {
        list_names(&here, true);
        say_nearest(&here, bare, near, sizeof near);
        if (!near[0]) say_nearest(&all, bare, near, sizeof near);
        me_fail(err, ME_E_INPUT, "events: no processor has an event %s%s", name, near);
    }
    free(all.list);
    free(here.list);
    return rc;
}

/* One name. *found: it can be counted here, and *event is it. */
static int look_up(const char *name, struct me_event *event, bool *found, struct me_error *err)
{
    int rc = encode(name, event);
    *found = !rc;
    if (!rc) return 0;
    if (rc == PFM_ERR_ATTR || rc == PFM_ERR_ATTR_VAL || rc == PFM_ERR_UMASK || rc == PFM_ERR_ATTR_SET ||
        rc == PFM_ERR_FEATCOMB)
        return me_fail(err, ME_E_INPUT, "events: %s: %s", name, pfm_strerror(rc));
    return check_elsewhere(name, err);
}

bool me_events_is_none(const char *names)
{
    return names && !strcmp(names, "none");
}

int me_events_of_names(const char *names, struct me_event *events, size_t *count, char *missing, size_t size,
                       struct me_error *err)
{
    size_t n = 0, used = 0;
    if (pfm_initialize()) return me_fail(err, ME_E_RUN, "events: libpfm4 does not start");
    missing[0] = '\0';
    for (const char *at = names + strspn(names, ", "); *at; at += strspn(at, ", ")) {
        char name[96];
        struct me_event event;
        bool found;
        size_t len = strcspn(at, ", ");
        if (len >= sizeof name) return me_fail(err, ME_E_INPUT, "events: %.60s...: the name is too long", at);
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        at += len;
        if (n == ME_EVENTS_MAX)
            return me_fail(err, ME_E_INPUT, "events: %s is one too many; %d can be counted", name,
                           ME_EVENTS_MAX);
        if (!strcmp(name, "none"))
            return me_fail(err, ME_E_INPUT, "events: none stands alone, or not at all");
        if (look_up(name, &event, &found, err)) return -1;
        if (found) {
            snprintf(event.name, sizeof event.name, "%.47s", name);
            events[n++] = event;
        } else if (used < size) {
            used += (size_t)snprintf(missing + used, size - used, "%s%s", used ? ", " : "", name);
        }
    }
    *count = n;
    return 0;
}

int me_events_check(const char *names, struct me_error *err)
{
    struct me_event events[ME_EVENTS_MAX];
    char missing[8];
    size_t count;
    if (!names || me_events_is_none(names)) return 0;
    return me_events_of_names(names, events, &count, missing, sizeof missing, err);
}
