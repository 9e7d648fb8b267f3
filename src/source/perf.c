#include "perf.h"
#include "counters.h"
#include "ops.h"
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reading a core's counter interrupts that core. A few are worth it; more would be felt by what is
 * measured, and their package's counter has them all. */
#define CORES_MAX 16

struct counter {
    int fd;
    int error; /* errno, where it could not be opened */
};
struct row { /* of a channel: the counters that add up to it */
    size_t first, count;
    struct me_perf_scale scale;
};
struct state {
    struct row *rows;
    struct counter *counters;
    size_t counter_count;
};

static int read_counter(const struct counter *counter, uint64_t *count)
{
    ssize_t len;
    if (counter->fd < 0) return counter->error;
    do len = read(counter->fd, count, sizeof *count);
    while (len < 0 && errno == EINTR);
    if (len < 0) return errno;
    return len == (ssize_t)sizeof *count ? 0 : ENODATA; /* end of file: the kernel gave the event up */
}

static int read_row(const struct state *state, const struct row *row, uint64_t *uj)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < row->count; i++) {
        uint64_t count = 0;
        int error = read_counter(&state->counters[row->first + i], &count);
        if (!error && __builtin_add_overflow(sum, count, &sum)) error = ERANGE;
        if (error) return error;
    }
    return me_perf_uj(row->scale, sum, uj);
}

static void read_rows(struct me_source *source, struct me_reading *readings)
{
    const struct state *state = source->state;
    for (size_t i = 0; i < source->channel_count; i++) {
        uint64_t uj = 0;
        int error = read_row(state, &state->rows[i], &uj);
        readings[i] = me_ops_count(error, uj);
    }
}

static void close_rows(struct me_source *source)
{
    struct state *state = source->state;
    for (size_t i = 0; state && i < state->counter_count; i++)
        if (state->counters[i].fd >= 0) close(state->counters[i].fd);
    if (state) {
        free(state->rows);
        free(state->counters);
    }
    me_ops_release(source);
}

/* A recorded machine's events are not this machine's: they are shown and not opened. */
static struct counter open_counter(const struct me_perf_unit *unit, const struct me_perf_event *event,
                                   unsigned cpu)
{
    struct perf_event_attr attr = {.size = sizeof attr, .type = unit->type};
    if (unit->provenance == ME_PROVENANCE_REPLAY) return (struct counter){.fd = -1, .error = ENODEV};
    if (event->unusable) return (struct counter){.fd = -1, .error = EINVAL};
    attr.config = event->config.words[0];
    attr.config1 = event->config.words[1];
    attr.config2 = event->config.words[2];
    long fd = syscall(SYS_perf_event_open, &attr, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
    return (struct counter){.fd = (int)fd, .error = fd < 0 ? errno : 0};
}

/* Room for all channels and counters that the units can have. */
static int make_room(struct me_source *source, size_t channels, size_t counters, struct me_error *err)
{
    struct state *state = calloc(1, sizeof *state);
    source->state = state;
    source->channels = calloc(channels + 1, sizeof *source->channels);
    if (state) state->rows = calloc(channels + 1, sizeof *state->rows);
    if (state) state->counters = calloc(counters + 1, sizeof *state->counters);
    if (!state || !source->channels || !state->rows || !state->counters)
        return me_fail(err, ME_E_RUN, "perf: no memory for %zu events", counters);
    return 0;
}

/* A new channel, without counters yet. */
static struct row *add_row(struct me_source *source, const struct me_perf_unit *unit,
                           const struct me_perf_event *event, const struct me_rapl_place *place,
                           bool with_die)
{
    struct state *state = source->state;
    struct me_channel *channel = &source->channels[source->channel_count];
    struct row *row = &state->rows[source->channel_count++];
    bool is_known = event->domain != ME_RAPL_DOMAINS;
    *channel = me_rapl_channel(is_known ? event->domain : ME_RAPL_CORE, place, with_die);
    char whole[32];
    me_rapl_name(ME_RAPL_PACKAGE, place, with_die, whole, sizeof whole);
    if (!is_known) snprintf(channel->name, sizeof channel->name, "%.24s/%.22s", whole, event->name + 7);
    channel->provenance = unit->provenance;
    if (event->unusable)
        snprintf(channel->why_not, sizeof channel->why_not, "%s: %s", event->name, event->unusable);
    *row = (struct row){.first = state->counter_count, .scale = event->scale};
    return row;
}

static void add_counter(struct me_source *source, struct row *row, const struct me_perf_unit *unit,
                        const struct me_perf_event *event, unsigned cpu)
{
    struct state *state = source->state;
    struct me_channel *channel = &source->channels[row - state->rows];
    struct counter *counter = &state->counters[state->counter_count++];
    char text[64];
    *counter = open_counter(unit, event, cpu);
    row->count++;
    if (counter->error && unit->provenance != ME_PROVENANCE_REPLAY && !channel->why_not[0])
        snprintf(channel->why_not, sizeof channel->why_not, "%s on CPU %u: %s", event->name, cpu,
                 strerror_r(counter->error, text, sizeof text));
}

/* Where each CPU of a unit lies. Where nothing tells, the mask does: it has one CPU a package. */
static struct me_rapl_place *place_cpus(const struct me_root *root, const struct me_perf_unit *unit)
{
    struct me_rapl_place *places = calloc(unit->cpu_count + 1, sizeof *places);
    for (size_t i = 0; places && i < unit->cpu_count; i++)
        if (me_rapl_place_read(root, unit->cpus[i], &places[i]))
            places[i] = (struct me_rapl_place){.package = (int)i, .die = -1};
    return places;
}

static bool has_other_die(const struct me_rapl_place *places, size_t n, size_t index)
{
    for (size_t i = 0; i < n; i++)
        if (i != index && places[i].package == places[index].package) return true;
    return false;
}

/* Package by package, and the machine's psys last. */
static void add_packages(struct me_source *source, const struct me_perf_unit *unit,
                         const struct me_rapl_place *places)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t c = 0; c < unit->cpu_count; c++)
            for (size_t e = 0; e < unit->event_count; e++) {
                const struct me_perf_event *event = &unit->events[e];
                if ((event->domain == ME_RAPL_PSYS) != (pass == 1)) continue;
                struct row *row =
                    add_row(source, unit, event, &places[c], has_other_die(places, unit->cpu_count, c));
                add_counter(source, row, unit, event, unit->cpus[c]);
            }
}

/* The cores of AMD, one channel a package. */
static void add_cores(struct me_source *source, const struct me_perf_unit *unit,
                      const struct me_rapl_place *places)
{
    if (unit->cpu_count > CORES_MAX) {
        snprintf(
            source->reason, sizeof source->reason,
            "energy-core of %zu cores is left out: reading it would interrupt each of them, and the package "
            "has it",
            unit->cpu_count);
        return;
    }
    for (size_t c = 0; c < unit->cpu_count; c++) {
        bool is_first = true;
        for (size_t i = 0; i < c; i++) is_first &= places[i].package != places[c].package;
        if (!is_first || !unit->event_count) continue;
        struct row *row = add_row(source, unit, unit->events, &places[c], false);
        for (size_t i = c; i < unit->cpu_count; i++)
            if (places[i].package == places[c].package)
                add_counter(source, row, unit, unit->events, unit->cpus[i]);
    }
}

/* The errno of all counters, if none could be opened; else 0. */
static int find_denial(const struct me_source *source)
{
    const struct state *state = source->state;
    int error = 0;
    for (size_t i = 0; i < state->counter_count; i++) {
        if (!state->counters[i].error) return 0;
        error = state->counters[i].error;
    }
    return error;
}

static int open_units(struct me_source *source, const struct me_root *root,
                      const struct me_perf_unit *packages, const struct me_perf_unit *cores,
                      struct me_error *err)
{
    struct me_rapl_place *places = place_cpus(root, packages), *core_places = place_cpus(root, cores);
    struct me_rapl_cpu cpu;
    int rc = -1;
    me_rapl_cpu_read(root, &cpu);
    size_t room = packages->cpu_count * packages->event_count + cores->cpu_count;
    if (!places || !core_places) {
        me_fail(err, ME_E_RUN, "perf: no memory");
        goto out;
    }
    if (make_room(source, room, room, err)) goto out;
    add_packages(source, packages, places);
    add_cores(source, cores, core_places);
    int error = find_denial(source);
    bool is_replay = packages->provenance == ME_PROVENANCE_REPLAY && packages->cpu_count;
    source->found = source->channel_count && (!error || is_replay);
    if (!source->found) me_perf_explain_denied(source, root, error);
    if (source->found && me_counters_mark_repeats(source, me_rapl_is_package_wide(&cpu), err)) goto out;
    if (source->found && me_counters_mark_dead(source, err)) goto out;
    rc = 0;
out:
    free(places);
    free(core_places);
    if (rc) source->found = false;
    if (!source->found) close_rows(source);
    return rc;
}

static int open_perf(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct me_perf_unit packages = {0}, cores = {0};
    char text[64];
    int rc = 0, error = me_perf_unit_read(setup->root, "power", &packages);
    me_perf_unit_read(setup->root, "power_core", &cores); /* beside the first one, or not at all */
    if (!error)
        rc = open_units(source, setup->root, &packages, &cores, err);
    else if (error == ENOENT || error == ENOTDIR)
        me_perf_explain_absent(source, setup->root);
    else
        snprintf(source->reason, sizeof source->reason, "sys/bus/event_source/devices/power: %s",
                 strerror_r(error, text, sizeof text));
    me_perf_unit_release(&packages);
    me_perf_unit_release(&cores);
    return rc;
}

const struct me_source_ops me_perf_ops = {
    .name = "perf",
    .summary = "energy counters of processor and memory (RAPL), as events of the kernel's perf",
    .open = open_perf,
    .read = read_rows,
    .close = close_rows,
};
