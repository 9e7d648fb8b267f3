#include "cray.h"
#include "file.h"
#include "me/clock.h"
#include "ops.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER "sys/cray/pm_counters"

enum {
    ACCELS = 16,         /* nodes have up to eight */
    TRIES = 3,           /* of a reading during which the next scan came */
    SCANS_PER_STALL = 20 /* without a scan for so long, the controller has stopped */
};

struct state {
    int freshness; /* -1: this node has none */
    int64_t moved_ns, stall_ns;
    uint64_t scan;   /* the freshness of the last reading, since moved_ns */
    size_t readable; /* when it was opened */
    int error;       /* of the last that was not */
    size_t count;
    struct meter {
        int fd;
        bool gauge;
    } meters[];
};

static const char *skip_digits(const char *at)
{
    while (isdigit((unsigned char)*at)) at++;
    return at;
}

int me_cray_parse(const char *text, const char *unit, uint64_t *micro)
{
    size_t len = strlen(unit);
    if (!isdigit((unsigned char)*text)) return EPROTO;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    const char *at = skip_digits(text);
    if (*at++ != ' ' || strncmp(at, unit, len)) return EPROTO;
    at += len;
    if (*at == ' ') { /* the moment of the scan */
        const char *end = skip_digits(at + 1);
        if (end == at + 1 || strncmp(end, " us", 3)) return EPROTO;
        at = end + 3;
    }
    if (*at == '\n') at++;
    if (*at) return EPROTO;
    uint64_t scaled;
    if (errno || __builtin_mul_overflow((uint64_t)value, UINT64_C(1000000), &scaled)) return ERANGE;
    *micro = scaled;
    return 0;
}

static int read_micro(int fd, const char *unit, uint64_t *micro)
{
    char text[80];
    int error = me_file_text(fd, text, sizeof text);
    return error ? error : me_cray_parse(text, unit, micro);
}

static void read_meter(const struct meter *meter, struct me_reading *reading)
{
    uint64_t micro = 0;
    int error = meter->fd < 0 ? ENOENT : read_micro(meter->fd, meter->gauge ? "W" : "J", &micro);
    *reading = meter->gauge ? me_ops_level(error, (double)micro * 1e-6) : me_ops_count(error, micro);
}

/* Has the controller stopped? Its counters then stand still, and would show 0 W. */
static bool is_stalled(struct state *state, uint64_t scan)
{
    int64_t now_ns = me_clock_mono_ns();
    if (scan != state->scan) {
        state->scan = scan;
        state->moved_ns = now_ns;
    }
    return now_ns - state->moved_ns > state->stall_ns;
}

static void read_cray(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    uint64_t before = 0, after = 0;
    for (int i = 0; i < TRIES; i++) {
        int error = state->freshness < 0 ? 0 : me_file_count(state->freshness, &before);
        for (size_t m = 0; !error && m < state->count; m++) read_meter(&state->meters[m], &readings[m]);
        if (!error && state->freshness >= 0) error = me_file_count(state->freshness, &after);
        if (!error && before != after) continue;
        if (!error && state->freshness >= 0 && is_stalled(state, after)) error = ETIMEDOUT;
        if (error) me_ops_fail(source, readings, error);
        return;
    }
    me_ops_fail(source, readings, EAGAIN); /* values of several scans */
}

static void close_cray(struct me_source *source)
{
    struct state *state = source->state;
    for (size_t i = 0; state && i < state->count; i++)
        if (state->meters[i].fd >= 0) close(state->meters[i].fd);
    if (state && state->freshness >= 0) close(state->freshness);
    me_ops_release(source);
}

static int open_file(const struct me_root *root, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, FOLDER "/%s", name);
    return me_root_openat(root, path);
}

/* Adds the channel of a file, if the file is there. */
static void add_meter(struct me_source *source, const struct me_root *root, const char *file,
                      const char *name, enum me_scope scope)
{
    struct state *state = source->state;
    int fd = open_file(root, file), error;
    if (fd == -ENOENT) return;
    bool gauge = strstr(file, "power") != NULL;
    struct me_channel *channel = &source->channels[source->channel_count++];
    *channel = (struct me_channel){.scope = scope,
                                   .kind = gauge ? ME_KIND_GAUGE : ME_KIND_COUNTER,
                                   .cls = gauge ? ME_CLASS_INTEGRATED : ME_CLASS_COUNTER,
                                   .package = -1};
    snprintf(channel->name, sizeof channel->name, "%s", name);
    snprintf(channel->unit, sizeof channel->unit, "%s", gauge ? "W" : "uJ");
    if (fd >= 0) channel->provenance = me_root_provenance(fd);
    state->meters[state->count++] = (struct meter){.fd = fd < 0 ? -1 : fd, .gauge = gauge};
    uint64_t micro = 0;
    char reason[64];
    error = fd < 0 ? -fd : read_micro(fd, gauge ? "W" : "J", &micro);
    if (error)
        state->error = error;
    else
        state->readable++;
    if (error)
        snprintf(channel->why_not, sizeof channel->why_not, "%s: %s", file,
                 strerror_r(error, reason, sizeof reason));
    else if (!micro)
        snprintf(channel->why_not, sizeof channel->why_not, "stands at 0: no meter behind it");
}

static void add_meters(struct me_source *source, const struct me_root *root)
{
    char file[32], name[32];
    add_meter(source, root, "energy", "node", ME_SCOPE_NODE);
    bool counted = source->channel_count && !source->channels[0].why_not[0];
    add_meter(source, root, "power", "node-power", ME_SCOPE_NODE);
    if (counted && source->channel_count == 2)
        snprintf(source->channels[1].why_not, sizeof source->channels[1].why_not,
                 "repeats node, whose counter is exact");
    add_meter(source, root, "cpu_energy", "cpu", ME_SCOPE_PACKAGE);
    add_meter(source, root, "memory_energy", "memory", ME_SCOPE_DRAM);
    for (int i = 0; i < ACCELS; i++) {
        snprintf(file, sizeof file, "accel%d_energy", i);
        snprintf(name, sizeof name, "gpu-%d", i);
        add_meter(source, root, file, name, ME_SCOPE_GPU);
    }
}

static double read_scan_hz(const struct me_root *root)
{
    unsigned long long hz;
    if (me_root_read_u64(root, FOLDER "/raw_scan_hz", &hz) || hz < 1 || hz > 1000) return 10;
    return (double)hz;
}

static void explain_absent(struct me_source *source)
{
    const struct state *state = source->state;
    char reason[64];
    if (!source->channel_count) {
        snprintf(source->reason, sizeof source->reason,
                 "no " FOLDER ": only nodes of HPE Cray EX and XC have it");
        return;
    }
    snprintf(source->reason, sizeof source->reason, FOLDER ": none of its %zu counters can be read: %s",
             source->channel_count, strerror_r(state->error, reason, sizeof reason));
    if (state->error == EACCES) snprintf(source->cure, sizeof source->cure, "sudo chmod a+r /" FOLDER "/*");
}

static int open_cray(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    const struct me_root *root = setup->root;
    struct state *state = calloc(1, sizeof *state + (ACCELS + 4) * sizeof *state->meters);
    if (state) state->freshness = -1;
    source->state = state;
    source->channels = calloc(ACCELS + 4, sizeof *source->channels);
    if (!state || !source->channels) {
        close_cray(source);
        return me_fail(err, ME_E_RUN, "cray: no memory");
    }
    add_meters(source, root);
    source->found = state->readable > 0;
    if (!source->found) {
        explain_absent(source);
        close_cray(source);
        return 0;
    }
    int fd = open_file(root, "freshness");
    state->freshness = fd < 0 ? -1 : fd;
    state->moved_ns = me_clock_mono_ns();
    source->interval_s = 1 / read_scan_hz(root);
    state->stall_ns = (int64_t)(source->interval_s * SCANS_PER_STALL * 1e9);
    if (state->stall_ns < 2 * ME_NS_PER_S) state->stall_ns = 2 * ME_NS_PER_S;
    return 0;
}

const struct me_source_ops me_cray_ops = {
    .name = "cray",
    .summary = "energy counters of HPE Cray nodes, from " FOLDER,
    .open = open_cray,
    .read = read_cray,
    .close = close_cray,
};
