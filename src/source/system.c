#include "system.h"
#include "events.h"
#include "file.h"
#include "ops.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHORTEST_INTERVAL_S 0.5

static const struct {
    const char *name, *unit;
    enum me_kind kind;
} values[ME_SYSTEM_VALUES] = {
    [ME_SYSTEM_BUSY] = {"cpu-busy", "ns", ME_KIND_COUNTER}, /* of all processors together */
    [ME_SYSTEM_STEAL] = {"cpu-steal", "ns", ME_KIND_COUNTER},
    [ME_SYSTEM_FREQUENCY] = {"cpu-frequency", "Hz", ME_KIND_GAUGE},
    [ME_SYSTEM_TEMPERATURE] = {"cpu-temperature", "C", ME_KIND_GAUGE},
    [ME_SYSTEM_MEMORY] = {"memory-used", "B", ME_KIND_GAUGE},
    [ME_SYSTEM_SWITCHES] = {"context-switches", "1", ME_KIND_COUNTER},
    [ME_SYSTEM_FAULTS] = {"page-faults", "1", ME_KIND_COUNTER},
    [ME_SYSTEM_DISK_READ] = {"disk-read", "B", ME_KIND_COUNTER},
    [ME_SYSTEM_DISK_WRITTEN] = {"disk-written", "B", ME_KIND_COUNTER},
    [ME_SYSTEM_NET_RECEIVED] = {"net-received", "B", ME_KIND_COUNTER},
    [ME_SYSTEM_NET_SENT] = {"net-sent", "B", ME_KIND_COUNTER},
    [ME_SYSTEM_WORKLOAD + ME_SYSTEM_USE_CPU] = {"workload-cpu", "ns", ME_KIND_COUNTER},
    [ME_SYSTEM_WORKLOAD + ME_SYSTEM_USE_SWITCHES] = {"workload-switches", "1", ME_KIND_COUNTER},
    [ME_SYSTEM_WORKLOAD + ME_SYSTEM_USE_FAULTS] = {"workload-faults", "1", ME_KIND_COUNTER},
    [ME_SYSTEM_WORKLOAD + ME_SYSTEM_USE_READ] = {"workload-read", "B", ME_KIND_COUNTER},
    [ME_SYSTEM_WORKLOAD + ME_SYSTEM_USE_WRITTEN] = {"workload-written", "B", ME_KIND_COUNTER},
};

/* Reads the file, or up to the chunk in which a line begins with `name`, which spares the kernel the rest.
 * 0 or an errno. */
static int read_text(const struct me_system_state *state, int fd, const char *name)
{
    size_t len = 0, name_len = name ? strlen(name) : 0;
    if (fd < 0) return fd == -1 ? ENOENT : -fd;
    while (len < state->size - 1) {
        ssize_t n = pread(fd, state->text + len, state->size - 1 - len, (off_t)len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        len += (size_t)n;
        state->text[len] = '\0';
        if (!n) return len ? 0 : ENODATA;
        for (const char *at = state->text; name && (at = strstr(at, name)); at++)
            if (at > state->text && at[-1] == '\n' && strchr(at + name_len, '\n')) return 0;
    }
    return EFBIG;
}

static void read_stat(struct me_system_state *state, struct me_reading *out)
{
    struct me_system_stat stat = {.busy_ticks = 0};
    uint64_t switches = 0, tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    int no_text = read_text(state, state->stat, "ctxt");
    int error = no_text ? no_text : me_system_parse_stat(state->text, &stat);
    out[ME_SYSTEM_BUSY] = me_ops_count(error, stat.busy_ticks * tick_ns);
    out[ME_SYSTEM_STEAL] = me_ops_count(error, stat.steal_ticks * tick_ns);
    error = no_text ? no_text : me_system_parse_field(state->text, "ctxt", &switches);
    out[ME_SYSTEM_SWITCHES] = me_ops_count(error, switches);
}

/* The mean over processors. A policy whose processors have gone offline has no frequency. */
static struct me_reading read_frequency(struct me_system_state *state)
{
    double sum = 0, weights = 0, hz = 0;
    int error = ENODATA;
    if (state->cpuinfo >= 0) {
        error = read_text(state, state->cpuinfo, NULL);
        if (!error) error = me_system_parse_mhz(state->text, &hz);
        return me_ops_level(error, hz);
    }
    for (size_t i = 0; i < state->frequencies.count; i++) {
        uint64_t khz = 0;
        int rc = me_file_count(state->frequencies.list[i].fd, &khz);
        if (rc) error = rc;
        if (rc || !khz) continue;
        sum += (double)khz * state->frequencies.list[i].weight;
        weights += state->frequencies.list[i].weight;
    }
    return me_ops_level(weights > 0 ? 0 : error, sum / weights * 1e3);
}

/* The hottest. */
static struct me_reading read_temperature(struct me_system_state *state)
{
    double hottest = -1000, celsius;
    int error = ENODATA;
    for (size_t i = 0; i < state->temperatures.count; i++) {
        char text[32];
        int rc = me_file_text(state->temperatures.list[i].fd, text, sizeof text);
        if (!rc) rc = me_system_parse_celsius(text, &celsius);
        if (rc)
            error = rc;
        else if (celsius > hottest)
            hottest = celsius;
    }
    return me_ops_level(hottest > -1000 ? 0 : error, hottest);
}

static struct me_reading read_memory(struct me_system_state *state)
{
    uint64_t total = 0, available = 0;
    int error = read_text(state, state->meminfo, "MemAvailable:");
    if (!error) error = me_system_parse_field(state->text, "MemTotal:", &total);
    if (!error) error = me_system_parse_field(state->text, "MemAvailable:", &available);
    if (!error && available > total) error = ERANGE;
    return me_ops_level(error, (double)(total - available) * 1024);
}

static struct me_reading read_faults(struct me_system_state *state)
{
    uint64_t faults = 0;
    int error = read_text(state, state->vmstat, "pgfault");
    if (!error) error = me_system_parse_field(state->text, "pgfault", &faults);
    return me_ops_count(error, faults);
}

static void read_disks(struct me_system_state *state, struct me_reading *out)
{
    uint64_t in = 0, written = 0;
    int error = state->disk_count ? read_text(state, state->diskstats, NULL) : ENODEV;
    if (!error) error = me_system_parse_disks(state->text, state->disks, state->disk_count, &in, &written);
    out[ME_SYSTEM_DISK_READ] = me_ops_count(error, in);
    out[ME_SYSTEM_DISK_WRITTEN] = me_ops_count(error, written);
}

/* The sum; without one of them it is no sum. */
static struct me_reading read_sum(const struct me_system_files *files)
{
    uint64_t sum = 0;
    if (!files->count) return me_ops_count(ENODEV, 0);
    for (size_t i = 0; i < files->count; i++) {
        uint64_t bytes;
        int error = me_file_count(files->list[i].fd, &bytes);
        if (error) return me_ops_count(error, 0);
        sum += bytes;
    }
    return me_ops_count(0, sum);
}

static void read_values(struct me_system_state *state, struct me_reading *out)
{
    read_stat(state, out);
    out[ME_SYSTEM_FREQUENCY] = read_frequency(state);
    out[ME_SYSTEM_TEMPERATURE] = read_temperature(state);
    out[ME_SYSTEM_MEMORY] = read_memory(state);
    out[ME_SYSTEM_FAULTS] = read_faults(state);
    read_disks(state, out);
    out[ME_SYSTEM_NET_RECEIVED] = read_sum(&state->received);
    out[ME_SYSTEM_NET_SENT] = read_sum(&state->sent);
}

static void read_system(struct me_source *source, struct me_reading *readings)
{
    struct me_system_state *state = source->state;
    struct me_reading out[ME_SYSTEM_VALUES];
    /* First: soon after an edge it may be gone. */
    if (state->workload) me_system_workload_read(state->workload, source->for_edge, out + ME_SYSTEM_WORKLOAD);
    read_values(state, out);
    for (int v = 0; v < ME_SYSTEM_VALUES; v++)
        if (state->channels[v]) readings[state->channels[v] - 1] = out[v];
}

static void close_system(struct me_source *source)
{
    if (source->state) me_system_close(source->state);
    me_ops_release(source);
}

static void add_channel(struct me_source *source, enum me_system_value value)
{
    struct me_system_state *state = source->state;
    struct me_channel *channel = &source->channels[source->channel_count++];
    state->channels[value] = source->channel_count;
    *channel = (struct me_channel){.kind = values[value].kind,
                                   .cls = ME_CLASS_COUNTER,
                                   .scope = ME_SCOPE_NODE,
                                   .activity = true,
                                   .package = -1,
                                   .provenance = me_root_provenance(me_system_fd(state, value))};
    snprintf(channel->name, sizeof channel->name, "%s", values[value].name);
    snprintf(channel->unit, sizeof channel->unit, "%s", values[value].unit);
}

/* What can be read now is a channel; what cannot is not there. Only a virtual machine has its time stolen. */
static int open_system(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct me_reading out[ME_SYSTEM_VALUES];
    struct me_system_state *state = source->state = calloc(1, sizeof *state);
    source->channels = calloc(ME_SYSTEM_VALUES, sizeof *source->channels);
    if (!state || !source->channels || me_system_open(state, setup->root)) {
        if (!source->channels) { /* it was never opened: no descriptor to close */
            free(state);
            source->state = NULL;
        }
        close_system(source);
        return me_fail(err, ME_E_RUN, "system: no memory");
    }
    read_values(state, out);
    for (int v = 0; v < ME_SYSTEM_WORKLOAD; v++)
        if (out[v].state == ME_READING_OK && (v != ME_SYSTEM_STEAL || state->is_virtual))
            add_channel(source, (enum me_system_value)v);
    /* A replay's processes are not this machine's. */
    if (setup->live) state->workload = me_system_workload_open(setup->options->workload);
    for (int u = 0; u < ME_SYSTEM_USES; u++)
        if (me_system_workload_has(state->workload, (enum me_system_use)u))
            add_channel(source, (enum me_system_value)(ME_SYSTEM_WORKLOAD + u));
    source->found = source->channel_count > 0;
    /* A dozen files of proc cost 0.1 ms: at ten readings a second they were the dearest part of all. */
    source->interval_s = fmax(SHORTEST_INTERVAL_S, me_events_interval_s(state->cpus));
    if (source->found) return 0;
    snprintf(source->reason, sizeof source->reason, "none of these can be read from proc or sys");
    close_system(source);
    return 0;
}

const struct me_source_ops me_system_ops = {
    .name = "system",
    .summary = "what the machine did: processor use, frequency, temperature, memory, disk, network",
    .open = open_system,
    .read = read_system,
    .close = close_system,
};
