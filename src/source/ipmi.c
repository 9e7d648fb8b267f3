#include "ipmi.h"
#include "ipmi_text.h"
#include "me/clock.h"
#include "ops.h"
#include "runner.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SENSORS = 64, TEXT = 65536 };

/* BMCs measure about once a second, and some take seconds for a walk through their sensors. */
static const double period_s = 1, dcmi_patience_s = 5, sdr_patience_s = 20;

struct query {
    const char *file; /* in a recorded machine */
    const char *words[5];
    bool dcmi; /* else a table of sensors */
};
static const struct query queries[] = {
    {"commands/ipmitool dcmi power reading", {"ipmitool", "dcmi", "power", "reading"}, true},
    {"commands/ipmi-dcmi --get-system-power-statistics",
     {"ipmi-dcmi", "--get-system-power-statistics"},
     true},
    {"commands/ipmitool sdr list full", {"ipmitool", "sdr", "list", "full"}, false},
};
enum { QUERIES = sizeof queries / sizeof *queries };

struct state {
    struct me_root root;      /* the meter's: not ours to close */
    struct me_runner *runner; /* NULL: a recorded machine */
    const struct query *query;
    char program[PATH_MAX];
    double patience_s;
    size_t count;                          /* of sensors; 0: DCMI */
    struct me_ipmi_sensor wanted[SENSORS]; /* a channel each */
    struct me_ipmi_sensor seen[SENSORS];
    char text[TEXT];
};

/* Asks once; the answer is in state->text. 0 or an errno. */
static int ask(struct state *state, const struct query *query)
{
    int len;
    if (state->runner) {
        const char *argv[6] = {state->program};
        for (size_t i = 1; query->words[i]; i++) argv[i] = query->words[i];
        len = me_runner_run(state->runner, argv, state->patience_s, state->text, sizeof state->text);
    } else {
        len = me_root_read(&state->root, query->file, state->text, sizeof state->text);
    }
    if (len < 0) return -len;
    return strlen(state->text) == (size_t)len ? 0 : EPROTO;
}

static const struct me_ipmi_sensor *find(const struct state *state, size_t count,
                                         const struct me_ipmi_sensor *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(state->seen[i].name, wanted->name) && state->seen[i].nth == wanted->nth)
            return &state->seen[i];
    return NULL;
}

/* A power supply may rest at 0 W while another one feeds the machine; the machine may not. */
static void read_sensors(struct state *state, struct me_reading *readings)
{
    size_t count = me_ipmi_parse_sensors(state->text, state->seen, SENSORS);
    double supplies_w = 0;
    for (size_t i = 0; i < count; i++)
        if (state->seen[i].role == ME_IPMI_SUPPLY) supplies_w += state->seen[i].watts;
    for (size_t i = 0; i < state->count; i++) {
        const struct me_ipmi_sensor *sensor = find(state, count, &state->wanted[i]);
        bool is_dead = sensor && ((sensor->role == ME_IPMI_TOTAL && sensor->watts <= 0) ||
                                  (sensor->role == ME_IPMI_SUPPLY && supplies_w <= 0));
        readings[i] = sensor && !is_dead ? me_ops_level(0, sensor->watts) : me_ops_level(ENODATA, 0);
    }
}

static void read_ipmi(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    double watts = 0;
    int error = ask(state, state->query);
    if (!error && state->count) {
        read_sensors(state, readings);
        return;
    }
    if (!error) error = me_ipmi_parse_dcmi(state->text, &watts);
    if (error)
        me_ops_fail(source, readings, error);
    else
        readings[0] = me_ops_level(0, watts);
}

static void close_ipmi(struct me_source *source)
{
    struct state *state = source->state;
    if (state) me_runner_stop(state->runner);
    me_ops_release(source);
}

/* "CPU1_Power" is "cpu1-power"; a supply's is "psu-1". */
static void name_channel(const struct me_ipmi_sensor *sensor, char *name, size_t size)
{
    size_t len = 0;
    if (sensor->role == ME_IPMI_TOTAL) {
        snprintf(name, size, "node");
    } else if (sensor->role == ME_IPMI_SUPPLY) {
        const char *digits = sensor->name + strcspn(sensor->name, "0123456789");
        snprintf(name, size, "psu-%.*s", (int)strspn(digits, "0123456789"), digits);
    } else {
        for (const char *at = sensor->name; *at && len + 1 < size; at++)
            name[len++] = isalnum((unsigned char)*at) ? (char)tolower((unsigned char)*at) : '-';
        name[len] = '\0';
    }
}

static void add_channel(struct me_source *source, enum me_provenance provenance)
{
    source->channels[source->channel_count++] = (struct me_channel){.name = "node",
                                                                    .scope = ME_SCOPE_NODE,
                                                                    .kind = ME_KIND_GAUGE,
                                                                    .cls = ME_CLASS_INTEGRATED,
                                                                    .provenance = provenance,
                                                                    .unit = "W",
                                                                    .package = -1,
                                                                    .max_power_w = ME_IPMI_MAX_W};
}

/* A channel for each sensor. The first total counts; without one, what the supplies draw. */
static void add_sensors(struct me_source *source, enum me_provenance provenance)
{
    struct state *state = source->state;
    const struct me_ipmi_sensor *total = NULL;
    for (size_t i = 0; i < state->count && !total; i++)
        if (state->wanted[i].role == ME_IPMI_TOTAL && state->wanted[i].watts > 0) total = &state->wanted[i];
    for (size_t i = 0; i < state->count; i++) {
        const struct me_ipmi_sensor *sensor = &state->wanted[i];
        struct me_channel *channel = &source->channels[i];
        add_channel(source, provenance);
        name_channel(sensor, channel->name, sizeof channel->name);
        if (sensor->role == ME_IPMI_PART)
            snprintf(channel->why_not, sizeof channel->why_not,
                     "sensor %.32s: neither the machine's total nor a power supply's input", sensor->name);
        else if (sensor->role == ME_IPMI_TOTAL && sensor->watts <= 0)
            snprintf(channel->why_not, sizeof channel->why_not, "sensor %s: 0 W is no reading", sensor->name);
        else if (total && sensor != total && sensor->role == ME_IPMI_TOTAL)
            snprintf(channel->why_not, sizeof channel->why_not, "taken for the same meter as %s",
                     total->name);
        else if (total && sensor != total)
            snprintf(channel->why_not, sizeof channel->why_not, "a part of %s", total->name);
    }
}

/* Does the query find any power? Then the channels are there. 0 or an errno. */
static int try_query(struct me_source *source, const struct query *query, enum me_provenance provenance)
{
    struct state *state = source->state;
    double watts;
    state->patience_s = query->dcmi ? dcmi_patience_s : sdr_patience_s;
    int64_t begin_ns = me_clock_mono_ns();
    int error = ask(state, query);
    if (error == EIO) error = ask(state, query); /* some BMCs answer only when asked again */
    if (error) return error;
    double took_s = (double)(me_clock_mono_ns() - begin_ns) * 1e-9;
    if (query->dcmi) {
        error = me_ipmi_parse_dcmi(state->text, &watts);
        if (error) return error;
        add_channel(source, provenance);
    } else {
        state->count = me_ipmi_parse_sensors(state->text, state->wanted, SENSORS);
        if (!state->count) return ENODATA;
        add_sensors(source, provenance);
    }
    state->query = query;
    source->interval_s = 2 * took_s > period_s ? 2 * took_s : period_s; /* half of the time it may rest */
    return 0;
}

static const char *explain(int error, char *text, size_t size)
{
    if (error == ENODATA) return "tells no power (deactivated, 0 W or no sensor in watts)";
    if (error == EPROTO) return "answers what is not understood";
    if (error == ERANGE) return "tells a power that no machine has";
    if (error == EIO) return "failed";
    return strerror_r(error, text, size);
}

static void add_reason(struct me_source *source, const struct query *query, int error)
{
    char text[64];
    me_ops_say(source->reason, sizeof source->reason, "%s: %s", query->file + strlen("commands/"),
               explain(error, text, sizeof text));
}

/* The running machine: FreeIPMI is asked only where there is no ipmitool. */
static int try_live(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct state *state = source->state;
    bool any = false;
    if (!me_ipmi_is_reachable(source, setup->root)) return 0;
    if (me_runner_start(&state->runner, setup->options->strip_env, err)) return -1;
    for (size_t i = 0; i < QUERIES && !source->found; i++) {
        const struct query *query = &queries[i];
        bool is_second = !strcmp(query->words[0], "ipmi-dcmi");
        if (is_second && any) continue;
        if (!me_ipmi_find_program(query->words[0], state->program, sizeof state->program)) continue;
        any = true;
        int error = try_query(source, query, me_ipmi_provenance(setup->root, state->program));
        if (error) add_reason(source, query, error);
        source->found = !error;
    }
    if (!any) {
        snprintf(source->reason, sizeof source->reason,
                 "this machine has a BMC, but there is neither ipmitool nor ipmi-dcmi to ask it");
        snprintf(source->cure, sizeof source->cure, "sudo apt-get install ipmitool");
    }
    return 0;
}

static void try_recorded(struct me_source *source, const struct me_root *root)
{
    for (size_t i = 0; i < QUERIES && !source->found; i++) {
        int fd = me_root_openat(root, queries[i].file);
        if (fd < 0) continue;
        enum me_provenance provenance = me_root_provenance(fd);
        close(fd);
        if (provenance == ME_PROVENANCE_LIVE) provenance = ME_PROVENANCE_REPLAY;
        int error = try_query(source, &queries[i], provenance);
        if (error) add_reason(source, &queries[i], error);
        source->found = !error;
    }
    if (!source->found && !source->reason[0]) me_ops_say_foreign(source);
}

static int open_ipmi(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct state *state = calloc(1, sizeof *state);
    source->state = state;
    source->channels = calloc(SENSORS, sizeof *source->channels);
    int rc = -1;
    if (!state || !source->channels) {
        me_fail(err, ME_E_RUN, "ipmi: no memory");
        goto out;
    }
    state->root = *setup->root;
    rc = 0;
    if (setup->live)
        rc = try_live(source, setup, err);
    else
        try_recorded(source, setup->root);
    if (source->found)
        snprintf(source->reason, sizeof source->reason, "%s `%s`%s",
                 setup->live ? "asks the BMC by" : "recorded from", state->query->file + strlen("commands/"),
                 setup->live && source->channels[0].provenance == ME_PROVENANCE_FAKE
                     ? "; fake: not the kernel's device and the system's program"
                     : "");
out:
    if (!source->found) close_ipmi(source);
    return rc;
}

const struct me_source_ops me_ipmi_ops = {
    .name = "ipmi",
    .summary = "power of the whole machine, measured by its BMC (IPMI)",
    .open = open_ipmi,
    .read = read_ipmi,
    .close = close_ipmi,
};
