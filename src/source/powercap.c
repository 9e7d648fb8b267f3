#include "powercap.h"
#include "counters.h"
#include "file.h"
#include "ops.h"
#include "zones.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct meter_zone {
    int fd;    /* of energy_uj, kept open: opening costs ten times what reading does */
    int error; /* errno, where it could not be opened */
};

struct state {
    size_t count;
    struct meter_zone zones[];
};

static void read_zones(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    for (size_t i = 0; i < state->count; i++) {
        const struct meter_zone *zone = &state->zones[i];
        uint64_t count = 0;
        int error = zone->fd < 0 ? zone->error : me_file_count(zone->fd, &count);
        readings[i] = me_ops_count(error, count);
    }
}

/* Do two dies' zones show one counter? Then b, read between two reads of a, lies between them, each
 * time; and two counters of their own do so once at most. Waits for two ticks (a tick is about 1 ms);
 * a pair that stands still is one if the values are equal and not 0. */
static bool is_mirror(int a, int b, bool is_static)
{
    uint64_t before = 0, between = 0, after = 0, seen = 0;
    int moves = 0;
    for (int i = 0; i < 100 && moves < 3; i++) {
        if (me_file_count(a, &before) || me_file_count(b, &between) || me_file_count(a, &after)) return false;
        if (after < before) continue; /* it wrapped just now */
        if (between < before || between > after) return false;
        if (!i || before != seen) moves++;
        seen = before;
        if (is_static) break;
        nanosleep(&(struct timespec){.tv_nsec = 500 * 1000}, NULL);
    }
    return moves >= 3 || (before == between && before);
}

static bool is_die_pair(const struct me_zone *a, const struct me_zone *b)
{
    const char *x = strrchr(a->name, '/'), *y = strrchr(b->name, '/'); /* the same part of each die */
    return a->die >= 0 && b->die >= 0 && a->die != b->die && a->package == b->package &&
           a->scope == b->scope && !strcmp(a->control, b->control) && !strcmp(x ? x : "", y ? y : "");
}

/* The same part of the machine behind another control type: the MMIO copy of a package. */
static bool is_copy(const struct me_zone *zone, const struct me_zone *first)
{
    const char *name = zone->name, *prefix = strstr(name, "/");
    if (!strcmp(zone->control, first->control)) return false;
    if (strncmp(zone->control, "intel-rapl-", 11) || !prefix) return false;
    return !strcmp(prefix + 1, first->name);
}

/* Marks a zone that repeats one before it. */
static void mark_repeats(struct me_source *source, const struct me_zone *zones, size_t index)
{
    struct state *state = source->state;
    struct me_channel *channel = &source->channels[index];
    bool is_static = channel->provenance == ME_PROVENANCE_REPLAY;
    for (size_t i = 0; i < index && !channel->why_not[0]; i++) {
        if (source->channels[i].why_not[0]) continue;
        if (zones[index].scope == ME_SCOPE_PLATFORM && zones[i].scope == ME_SCOPE_PLATFORM)
            snprintf(channel->why_not, sizeof channel->why_not, "taken for the same meter as %s",
                     zones[i].name); /* "psys-1": one a package on some servers, and not known to differ */
        else if (is_copy(&zones[index], &zones[i]))
            snprintf(channel->why_not, sizeof channel->why_not, "repeats %s, by way of %.28s", zones[i].name,
                     zones[index].control);
        else if (is_die_pair(&zones[index], &zones[i]) &&
                 is_mirror(state->zones[i].fd, state->zones[index].fd, is_static))
            snprintf(channel->why_not, sizeof channel->why_not, "mirrors %s: one counter, shown twice",
                     zones[i].name);
    }
}

static uint64_t read_range(const struct me_root *root, const struct me_zone *zone)
{
    char path[sizeof zone->path + 24];
    unsigned long long max;
    snprintf(path, sizeof path, "%s/max_energy_range_uj", zone->path);
    return me_root_read_u64(root, path, &max) ? 0 : me_zone_range(max);
}

static void open_zone(const struct me_root *root, const struct me_zone *zone, struct me_channel *channel,
                      struct meter_zone *meter)
{
    char path[sizeof zone->path + 16], reason[64];
    uint64_t count;
    snprintf(path, sizeof path, "%s/energy_uj", zone->path);
    meter->fd = me_root_openat(root, path);
    meter->error = meter->fd < 0 ? -meter->fd : 0;
    *channel = (struct me_channel){.scope = zone->scope,
                                   .kind = ME_KIND_COUNTER,
                                   .cls = ME_CLASS_COUNTER,
                                   .package = zone->package,
                                   .unit = "uJ"};
    snprintf(channel->name, sizeof channel->name, "%s", zone->name);
    channel->range = read_range(root, zone);
    channel->max_power_w = me_zone_max_power_w(root, zone);
    if (meter->fd >= 0) channel->provenance = me_root_provenance(meter->fd);
    int error = meter->fd < 0 ? meter->error : me_file_count(meter->fd, &count);
    if (error)
        snprintf(channel->why_not, sizeof channel->why_not, "energy_uj: %s",
                 strerror_r(error, reason, sizeof reason));
    else if (zone->unknown)
        snprintf(channel->why_not, sizeof channel->why_not, "%s", zone->unknown);
}

static bool is_denied(const struct state *state)
{
    for (size_t i = 0; i < state->count; i++)
        if (state->zones[i].error != EACCES && state->zones[i].error != EPERM) return false;
    return state->count > 0;
}

static void close_zones(struct me_source *source)
{
    struct state *state = source->state;
    for (size_t i = 0; state && i < state->count; i++)
        if (state->zones[i].fd >= 0) close(state->zones[i].fd);
    me_ops_release(source);
}

/* Keeps the zones that have a counter; a driver may register zones that only limit power. */
static size_t keep_meters(const struct me_root *root, struct me_zone *zones, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        char path[sizeof zones->path + 16];
        snprintf(path, sizeof path, "%s/energy_uj", zones[i].path);
        int fd = me_root_openat(root, path);
        if (fd >= 0) close(fd);
        if (fd != -ENOENT) zones[kept++] = zones[i];
    }
    return kept;
}

static int open_zones(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    const struct me_root *root = setup->root;
    struct me_zone *zones = NULL;
    size_t count = 0, links = 0;
    int rc = -1;
    if (me_zones_list(root, &zones, &count, &links, err)) return -1;
    count = keep_meters(root, zones, count);
    if (!count) {
        me_powercap_explain_absent(source, root, links);
        rc = 0;
        goto out;
    }
    struct state *state = calloc(1, sizeof *state + count * sizeof *state->zones);
    source->state = state;
    source->channels = calloc(count, sizeof *source->channels);
    if (!state || !source->channels) {
        me_fail(err, ME_E_RUN, "powercap: no memory for %zu zones", count);
        goto out;
    }
    state->count = source->channel_count = count;
    for (size_t i = 0; i < count; i++) open_zone(root, &zones[i], &source->channels[i], &state->zones[i]);
    for (size_t i = 0; i < count; i++) mark_repeats(source, zones, i);
    if (me_counters_mark_dead(source, err)) goto out;
    source->found = !is_denied(state);
    if (!source->found) me_powercap_explain_denied(source, count);
    rc = 0;
out:
    if (!source->found) close_zones(source);
    free(zones);
    return rc;
}

/* `enabled` of a zone is not asked: it tells whether the power *limit* is on
 * (intel_rapl_common.c: get_domain_enable reads PL1_ENABLE), and the counter runs either way. */
const struct me_source_ops me_powercap_ops = {
    .name = "powercap",
    .summary = "energy counters of processor and memory (RAPL), from sys/class/powercap",
    .open = open_zones,
    .read = read_zones,
    .close = close_zones,
};
