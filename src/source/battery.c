#include "battery.h"
#include "file.h"
#include "me/clock.h"
#include "ops.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASS_DIR  "sys/class/power_supply"
#define INTERVAL_S 1.0 /* the ACPI driver asks the firmware once a second at most (cache_time) */
#define BOUND_W    2000.0
#define UWH_TO_UJ  3600 /* 1 uWh = 3600 uJ */

struct battery {
    int status;                  /* descriptors, kept open; -1: none */
    int power, current, voltage; /* power_now alone, or current_now and voltage_now */
    int energy, charge;          /* what is left: energy_now, or charge_now with voltage_now */
    long long last_left;         /* its last value, uWh or uAh */
    bool has_last;
};

struct state {
    size_t battery_count, adapter_count;
    struct battery *batteries;
    int *adapters;      /* `online` of mains and USB supplies */
    bool has_power;     /* every battery tells its power */
    bool has_left;      /* every battery tells what is left */
    int64_t powered_ns; /* when it was last seen with another supply; 0: never */
    double used_uj;     /* since the source was opened */
};

enum me_battery_status me_battery_status(const char *text)
{
    if (!strcasecmp(text, "Discharging")) return ME_BATTERY_DISCHARGING;
    return strcasecmp(text, "Charging") ? ME_BATTERY_IDLE : ME_BATTERY_POWERED;
}

bool me_battery_has_settled(int64_t powered_ns, int64_t now_ns)
{
    return !powered_ns || now_ns - powered_ns > INT64_C(12000000000);
}

static int to_watts(double magnitude_w, double *watts)
{
    if (!(magnitude_w > 0)) return ENODATA;
    if (magnitude_w > BOUND_W) return ERANGE;
    *watts = magnitude_w;
    return 0;
}

int me_battery_watts(long long power_uw, double *watts)
{
    double magnitude_uw = power_uw < 0 ? -(double)power_uw : (double)power_uw;
    return to_watts(magnitude_uw * 1e-6, watts);
}

int me_battery_product_watts(long long current_ua, long long voltage_uv, double *watts)
{
    double magnitude_ua = current_ua < 0 ? -(double)current_ua : (double)current_ua;
    if (voltage_uv <= 0) return ENODATA;
    return to_watts(magnitude_ua * (double)voltage_uv * 1e-12, watts);
}

static int read_battery_watts(const struct battery *battery, double *watts)
{
    long long power, current, voltage;
    int error;
    if (battery->power >= 0)
        return (error = me_file_number(battery->power, &power)) ? error : me_battery_watts(power, watts);
    if ((error = me_file_number(battery->current, &current))) return error;
    if ((error = me_file_number(battery->voltage, &voltage))) return error;
    return me_battery_product_watts(current, voltage, watts);
}

/* Is the machine fed by its batteries alone? 0 if so, ENODATA if not, or the errno of what could not be
 * read. A battery may discharge although the adapter is in: one that is too weak for the load. */
static int check_alone(const struct state *state, enum me_battery_status *status)
{
    bool discharges = false;
    for (size_t i = 0; i < state->adapter_count; i++) {
        long long online;
        if (!me_file_number(state->adapters[i], &online) && online) return ENODATA;
    }
    for (size_t i = 0; i < state->battery_count; i++) {
        char text[32];
        int error = me_file_text(state->batteries[i].status, text, sizeof text);
        if (error) return error == ENODATA ? EINVAL : error;
        status[i] = me_battery_status(text);
        if (status[i] == ME_BATTERY_POWERED) return ENODATA;
        if (status[i] == ME_BATTERY_DISCHARGING) discharges = true;
    }
    return discharges ? 0 : ENODATA;
}

#define MOST_BATTERIES 8

static int read_watts(const struct state *state, const enum me_battery_status *status, double *watts)
{
    double sum_w = 0;
    for (size_t i = 0; i < state->battery_count; i++) {
        double one_w;
        if (status[i] != ME_BATTERY_DISCHARGING) continue;
        int error = read_battery_watts(&state->batteries[i], &one_w);
        if (error) return error;
        sum_w += one_w;
    }
    *watts = sum_w;
    return 0;
}

/* What has left the battery since the last reading. */
static int read_used(struct battery *battery, double *used_uj)
{
    long long left, voltage_uv;
    double uj_per_step = UWH_TO_UJ;
    int error = me_file_number(battery->energy >= 0 ? battery->energy : battery->charge, &left);
    if (error) return error;
    if (battery->energy < 0) { /* uAh x uV = 1e-12 Wh = 3.6e-3 uJ */
        if ((error = me_file_number(battery->voltage, &voltage_uv))) return error;
        uj_per_step = (double)voltage_uv * 3.6e-3;
    }
    double fell = battery->has_last ? (double)battery->last_left - (double)left : 0;
    battery->last_left = left;
    battery->has_last = true;
    *used_uj = fell * uj_per_step;
    return 0;
}

static int read_left(struct state *state, uint64_t *used_uj)
{
    double sum_uj = 0;
    for (size_t i = 0; i < state->battery_count; i++) {
        double one_uj;
        int error = read_used(&state->batteries[i], &one_uj);
        if (error) return error;
        sum_uj += one_uj;
    }
    state->used_uj += sum_uj; /* it may rise: a gauge corrects itself */
    if (state->used_uj < 0) state->used_uj = 0;
    *used_uj = (uint64_t)state->used_uj;
    return 0;
}

static void read_batteries(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    enum me_battery_status status[MOST_BATTERIES];
    int alone = check_alone(state, status);
    int64_t now_ns = me_clock_mono_ns();
    size_t next = 0;
    if (alone == ENODATA) state->powered_ns = now_ns;
    if (state->has_power) {
        struct me_reading *reading = &readings[next++];
        double watts = 0;
        int error = alone ? alone : read_watts(state, status, &watts);
        if (alone == ENODATA || (!alone && !me_battery_has_settled(state->powered_ns, now_ns)))
            *reading = (struct me_reading){.state = ME_READING_ABSENT};
        else
            *reading = me_ops_level(error, watts);
    }
    if (state->has_left) {
        uint64_t used_uj = 0;
        int error = read_left(state, &used_uj);
        readings[next] = me_ops_count(error, used_uj);
    }
}

static int open_file(const struct me_root *root, const char *supply, const char *file)
{
    char path[160];
    snprintf(path, sizeof path, CLASS_DIR "/%.90s/%s", supply, file);
    int fd = me_root_openat(root, path);
    return fd < 0 ? -1 : fd;
}

static bool reads(const struct me_root *root, const char *supply, const char *file, char *text, size_t size)
{
    char path[160];
    snprintf(path, sizeof path, CLASS_DIR "/%.90s/%s", supply, file);
    return me_root_read(root, path, text, size) > 0;
}

/* A file that has a number; what answers ENODEV or nothing is as good as not there. */
static int open_number(const struct me_root *root, const char *supply, const char *file)
{
    long long value;
    int fd = open_file(root, supply, file);
    if (fd < 0 || !me_file_number(fd, &value)) return fd;
    close(fd);
    return -1;
}

/* The batteries of a mouse or a keyboard say so in `scope`. */
static bool is_device(const struct me_root *root, const char *supply)
{
    char text[32];
    return reads(root, supply, "scope", text, sizeof text) && !strcasecmp(text, "Device");
}

static void close_battery(const struct battery *battery)
{
    const int files[] = {battery->status,  battery->power,  battery->current,
                         battery->voltage, battery->energy, battery->charge};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] >= 0) close(files[i]);
}

static int add_battery(struct state *state, const struct me_root *root, const char *supply)
{
    char text[32];
    if (reads(root, supply, "present", text, sizeof text) && !strcmp(text, "0")) return 0; /* an empty bay */
    if (state->battery_count == MOST_BATTERIES) return 0;
    struct battery *batteries =
        realloc(state->batteries, (state->battery_count + 1) * sizeof *state->batteries);
    if (!batteries) return -1;
    state->batteries = batteries;
    struct battery *battery = &batteries[state->battery_count++];
    *battery = (struct battery){.status = open_file(root, supply, "status"),
                                .power = open_number(root, supply, "power_now"),
                                .current = open_number(root, supply, "current_now"),
                                .voltage = open_number(root, supply, "voltage_now"),
                                .energy = open_number(root, supply, "energy_now"),
                                .charge = open_number(root, supply, "charge_now")};
    return 0;
}

static int add_adapter(struct state *state, const struct me_root *root, const char *supply)
{
    int online = open_number(root, supply, "online");
    if (online < 0) return 0;
    int *adapters = realloc(state->adapters, (state->adapter_count + 1) * sizeof *adapters);
    if (!adapters) {
        close(online);
        return -1;
    }
    state->adapters = adapters;
    adapters[state->adapter_count++] = online;
    return 0;
}

static int add_supply(struct state *state, const struct me_root *root, const char *supply)
{
    char type[32] = "";
    bool told = reads(root, supply, "type", type, sizeof type);
    if (supply[0] == '.' || is_device(root, supply)) return 0;
    if (told ? !strcasecmp(type, "Battery") : !!strcasestr(supply, "battery"))
        return add_battery(state, root, supply);
    if (!strcasecmp(type, "Mains") || !strncasecmp(type, "USB", 3) || !strcasecmp(type, "Wireless"))
        return add_adapter(state, root, supply);
    return 0;
}

static int find_supplies(struct state *state, const struct me_root *root)
{
    int rc = 0;
    DIR *dir = me_root_opendir(root, CLASS_DIR);
    if (!dir) return 0;
    for (struct dirent *entry; !rc && (entry = readdir(dir));) rc = add_supply(state, root, entry->d_name);
    closedir(dir);
    state->has_power = state->has_left = state->battery_count;
    for (size_t i = 0; i < state->battery_count; i++) {
        const struct battery *battery = &state->batteries[i];
        if (battery->power < 0 && (battery->current < 0 || battery->voltage < 0)) state->has_power = false;
        if (battery->energy < 0 && (battery->charge < 0 || battery->voltage < 0)) state->has_left = false;
    }
    return rc;
}

static void close_batteries(struct me_source *source)
{
    struct state *state = source->state;
    for (size_t i = 0; state && i < state->battery_count; i++) close_battery(&state->batteries[i]);
    for (size_t i = 0; state && i < state->adapter_count; i++) close(state->adapters[i]);
    if (state) {
        free(state->batteries);
        free(state->adapters);
    }
    me_ops_release(source);
}

static void describe(struct me_source *source)
{
    const struct state *state = source->state;
    const struct me_channel common = {.scope = ME_SCOPE_PLATFORM,
                                      .cls = ME_CLASS_INTEGRATED,
                                      .package = -1,
                                      .max_power_w = BOUND_W,
                                      .provenance = me_root_provenance(state->batteries[0].status)};
    if (state->has_power) {
        struct me_channel *channel = &source->channels[source->channel_count++];
        *channel = common;
        channel->kind = ME_KIND_GAUGE;
        snprintf(channel->name, sizeof channel->name, "battery");
        snprintf(channel->unit, sizeof channel->unit, "W");
    }
    if (state->has_left) {
        struct me_channel *channel = &source->channels[source->channel_count++];
        *channel = common;
        channel->kind = ME_KIND_COUNTER;
        snprintf(channel->name, sizeof channel->name, "battery/used");
        snprintf(channel->unit, sizeof channel->unit, "uJ");
        snprintf(channel->why_not, sizeof channel->why_not,
                 "what is left falls in steps of 36 J and more, seconds apart: a cross-check");
    }
}

/* Decided once, when the source is opened: a channel that would count and has no reading makes the total
 * unknown, and while it is plugged in the machine may have better ones. */
static bool explain(struct me_source *source)
{
    struct state *state = source->state;
    enum me_battery_status status[MOST_BATTERIES];
    if (!state->battery_count) {
        snprintf(source->reason, sizeof source->reason, "no battery in sys/class/power_supply");
        return false;
    }
    int error = check_alone(state, status);
    if (error == ENODATA) {
        snprintf(source->reason, sizeof source->reason,
                 "only while discharging: the machine has another supply, and what it draws is not the "
                 "battery's");
        snprintf(source->cure, sizeof source->cure, "unplug the machine");
        return false;
    }
    if (error || (!state->has_power && !state->has_left)) {
        snprintf(source->reason, sizeof source->reason, "the battery tells %s",
                 error ? "no status" : "neither its power nor what is left");
        return false;
    }
    if (!state->has_power)
        snprintf(source->reason, sizeof source->reason,
                 "the battery does not tell its power, and what is left is too coarse to count");
    return true;
}

static int open_battery(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct state *state = calloc(1, sizeof *state);
    int rc = -1;
    source->state = state;
    source->channels = calloc(2, sizeof *source->channels);
    if (!state || !source->channels || find_supplies(state, setup->root)) {
        me_fail(err, ME_E_RUN, "battery: no memory");
        goto out;
    }
    source->found = explain(source);
    if (source->found) describe(source);
    source->interval_s = INTERVAL_S;
    rc = 0;
out:
    if (!source->found) close_batteries(source);
    return rc;
}

const struct me_source_ops me_battery_ops = {
    .name = "battery",
    .summary = "what the machine draws from its battery, from sys/class/power_supply; while unplugged",
    .open = open_battery,
    .read = read_batteries,
    .close = close_batteries,
};
