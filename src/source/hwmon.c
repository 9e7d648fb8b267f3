#include "hwmon.h"
#include "file.h"
#include "me/clock.h"
#include "ops.h"
#include "rights.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FASTEST_S 0.1 /* behind a sensor there may be firmware or a slow bus; not asked more often */
#define SLOWEST_S 1.0
#define REST_NS   INT64_C(1000000000)
#define LONG_S    10.0 /* a mean over more than this is worth a remark */

struct meter {
    int value, factor, fault; /* descriptors, kept open; -1: none */
    int error;                /* errno, where it could not be opened */
    bool energy, never_zero;
    double bound_w;
    bool rests;      /* never counts: is read once a second at most, and shows the last value between */
    int64_t read_ns; /* when, 0: not yet */
    struct me_reading last;
};

struct state {
    size_t count;
    struct meter meters[];
};

static void read_energy(const struct meter *meter, struct me_reading *reading)
{
    uint64_t uj = 0;
    int error = me_file_count(meter->value, &uj);
    *reading = me_ops_count(error, uj);
}

static void read_power(const struct meter *meter, struct me_reading *reading)
{
    long long uw, milliamperes;
    double watts = 0;
    int error = me_file_number(meter->value, &uw);
    if (!error && meter->factor >= 0) {
        error = me_file_number(meter->factor, &milliamperes);
        if (!error && __builtin_mul_overflow(uw, milliamperes, &uw)) error = ERANGE;
    }
    if (!error) error = me_hwmon_watts(uw, meter->bound_w, &watts);
    if (!error && meter->never_zero && !(watts > 0)) error = ENODATA;
    *reading = me_ops_level(error, watts);
}

static bool is_faulty(const struct meter *meter)
{
    long long fault;
    return meter->fault >= 0 && !me_file_number(meter->fault, &fault) && fault;
}

static void read_meter(const struct meter *meter, struct me_reading *reading)
{
    if (meter->value < 0)
        *reading = me_ops_count(meter->error, 0);
    else if (is_faulty(meter))
        *reading = me_ops_count(EIO, 0);
    else if (meter->energy)
        read_energy(meter, reading);
    else
        read_power(meter, reading);
}

static void read_all(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    for (size_t i = 0; i < state->count; i++) {
        struct meter *meter = &state->meters[i];
        int64_t now_ns = me_clock_mono_ns();
        if (!meter->rests || !meter->read_ns || now_ns - meter->read_ns >= REST_NS) {
            read_meter(meter, &meter->last);
            meter->read_ns = now_ns;
        }
        readings[i] = meter->last;
    }
}

static int open_path(const struct me_root *root, const char *path)
{
    return path[0] ? me_root_openat(root, path) : -1;
}

static void open_meter(const struct me_root *root, const struct me_hwmon_sensor *sensor,
                       const struct me_hwmon_place *place, struct meter *meter)
{
    *meter = (struct meter){.energy = sensor->quantity == ME_HWMON_ENERGY,
                            .never_zero = place->never_zero,
                            .bound_w = me_hwmon_bound_w(place->scope)};
    meter->value = me_root_openat(root, sensor->value);
    meter->factor = open_path(root, sensor->factor);
    meter->fault = open_path(root, sensor->fault);
    if (meter->value < 0) meter->error = -meter->value;
    if (sensor->factor[0] && meter->factor < 0 && meter->value >= 0) {
        meter->error = -meter->factor;
        close(meter->value);
        meter->value = -1;
    }
}

/* Why a sensor has no value now, in words. */
static void explain_failure(const struct me_hwmon_sensor *sensor, const struct meter *meter, int error,
                            struct me_channel *channel)
{
    const char *file = strrchr(sensor->value, '/') + 1;
    char reason[64];
    long long uw = 0;
    bool is_value = !meter->energy && meter->value >= 0 && meter->factor < 0 &&
                    (error == ENODATA || error == ERANGE) && !me_file_number(meter->value, &uw);
    if (error == EIO && is_faulty(meter))
        snprintf(channel->why_not, sizeof channel->why_not, "it says that it is faulty (power%u_fault)",
                 sensor->index);
    else if (is_value && !uw)
        snprintf(channel->why_not, sizeof channel->why_not, "stands at 0 W: no meter behind it");
    else if (is_value)
        snprintf(channel->why_not, sizeof channel->why_not, "%.24s says %.3g W: %s", file, (double)uw * 1e-6,
                 error == ENODATA ? "an error code, not a power" : "not a power that can be");
    else
        snprintf(channel->why_not, sizeof channel->why_not, "%.24s: %s", file,
                 strerror_r(error, reason, sizeof reason));
}

static void describe(const struct me_hwmon_sensor *sensor, const struct me_hwmon_place *place,
                     const struct meter *meter, struct me_channel *channel, double *watts)
{
    static const char *const stems[] = {"energy", "power", "in"};
    struct me_reading reading;
    bool energy = sensor->quantity == ME_HWMON_ENERGY;
    *channel = (struct me_channel){.scope = place->scope,
                                   .kind = energy ? ME_KIND_COUNTER : ME_KIND_GAUGE,
                                   .cls = energy ? ME_CLASS_COUNTER : ME_CLASS_INTEGRATED,
                                   .package = place->package,
                                   .max_power_w = meter->bound_w};
    /* range 0: the drivers of the table add their registers up in 64 bits */
    snprintf(channel->unit, sizeof channel->unit, "%s", energy ? "uJ" : "W");
    snprintf(channel->name, sizeof channel->name, "%s", place->name);
    if (place->scope == ME_SCOPE_GPU || sensor->apu)
        snprintf(channel->device, sizeof channel->device, "%s", sensor->device);
    if (meter->value >= 0) channel->provenance = me_root_provenance(meter->value);
    read_meter(meter, &reading);
    *watts = reading.state == ME_READING_OK && !energy ? reading.level : NAN;
    if (sensor->disabled)
        snprintf(channel->why_not, sizeof channel->why_not, "switched off (%s%u_enable is 0)",
                 stems[sensor->quantity], sensor->index);
    else if (reading.state == ME_READING_FAILED)
        explain_failure(sensor, meter, reading.error, channel);
    else if (place->why_not)
        snprintf(channel->why_not, sizeof channel->why_not, "%s", place->why_not);
}

/* As fast as the fastest of those that may count has something new; where none may, as slow as can be. */
static double choose_interval(const struct me_channel *channels, const struct me_hwmon_place *places,
                              size_t count)
{
    double interval_s = SLOWEST_S;
    for (size_t i = 0; i < count; i++)
        if (!channels[i].why_not[0] && places[i].period_s < interval_s) interval_s = places[i].period_s;
    return interval_s < FASTEST_S ? FASTEST_S : interval_s;
}

/* The counters of single cores are inside their sockets', and each reading interrupts its core
 * (Documentation/hwmon/amd_energy.rst: a register of that core): where the sockets are shown, the cores
 * are left alone. */
static size_t drop_cores(struct me_hwmon_sensor *sensors, size_t count)
{
    bool sockets = false;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (sensors[i].quantity == ME_HWMON_ENERGY && !strncmp(sensors[i].label, "Esocket", 7))
            sockets = true;
    for (size_t i = 0; i < count; i++) {
        bool core = sensors[i].quantity == ME_HWMON_ENERGY && !strncmp(sensors[i].label, "Ecore", 5);
        if (!sockets || !core) sensors[kept++] = sensors[i];
    }
    return kept;
}

static bool is_denied(const struct state *state, size_t i)
{
    int error = state->meters[i].error;
    return state->meters[i].value < 0 && (error == EACCES || error == EPERM);
}

/* The driver amd_energy shows its counters to root only (CVE-2020-12912: they tell of other users' work). */
static void explain_cure(struct me_source *source, const struct me_hwmon_sensor *sensors)
{
    char group[48];
    size_t i = 0;
    while (!is_denied(source->state, i)) i++;
    me_rights_group(group, sizeof group);
    const char *files = sensors[i].quantity == ME_HWMON_ENERGY ? "energy*_input" : "power*_*";
    snprintf(source->cure, sizeof source->cure,
             "sudo sh -c 'cd /sys/class/hwmon && chgrp %s hwmon*/%s && chmod g+r hwmon*/%s'", group, files,
             files);
}

static void remark(struct me_source *source, const struct me_hwmon_sensor *sensors, size_t cores)
{
    const struct state *state = source->state;
    size_t denied = 0;
    double window_s = 0;
    for (size_t i = 0; i < state->count; i++) {
        if (is_denied(state, i)) denied++;
        if (!source->channels[i].why_not[0] && sensors[i].window_s > window_s) window_s = sensors[i].window_s;
    }
    char *text = source->reason;
    const size_t size = sizeof source->reason;
    if (denied) {
        me_ops_say(text, size, "%zu of %zu sensors are for root only", denied, state->count);
        explain_cure(source, sensors);
    }
    if (window_s > LONG_S)
        me_ops_say(text, size, "a meter shows the mean of the last %.0f s: what is much shorter is smeared",
                   window_s);
    if (cores)
        me_ops_say(text, size, "%zu counters of single cores are inside the sockets', and not read", cores);
    source->found = denied < state->count;
}

static void explain_absent(struct me_source *source, const struct me_root *root)
{
    DIR *chips = me_root_opendir(root, "sys/class/hwmon");
    DIR *meter = me_root_opendir(root, "sys/bus/acpi/devices/ACPI000D:00");
    if (meter) {
        snprintf(source->reason, sizeof source->reason,
                 "the firmware has a power meter, and the kernel's module for it is not loaded");
        snprintf(source->cure, sizeof source->cure, "sudo modprobe acpi_power_meter");
    } else {
        snprintf(source->reason, sizeof source->reason, "%s",
                 chips ? "no chip in sys/class/hwmon measures energy or power"
                       : "no sys/class/hwmon: no sensor chips");
    }
    if (chips) closedir(chips);
    if (meter) closedir(meter);
}

static void close_all(struct me_source *source)
{
    struct state *state = source->state;
    for (size_t i = 0; state && i < state->count; i++) {
        const struct meter *meter = &state->meters[i];
        if (meter->value >= 0) close(meter->value);
        if (meter->factor >= 0) close(meter->factor);
        if (meter->fault >= 0) close(meter->fault);
    }
    me_ops_release(source);
}

static int open_sensors(struct me_source *source, const struct me_root *root,
                        const struct me_hwmon_sensor *sensors, size_t count, struct me_error *err)
{
    struct me_hwmon_place *places = calloc(count, sizeof *places);
    double *watts = calloc(count, sizeof *watts);
    struct state *state = calloc(1, sizeof *state + count * sizeof *state->meters);
    int rc = -1;
    source->state = state;
    source->channels = calloc(count, sizeof *source->channels);
    if (!places || !watts || !state || !source->channels) {
        me_fail(err, ME_E_RUN, "hwmon: no memory for %zu sensors", count);
        goto out;
    }
    state->count = source->channel_count = count;
    for (size_t i = 0; i < count; i++) {
        me_hwmon_place(&sensors[i], &places[i]);
        open_meter(root, &sensors[i], &places[i], &state->meters[i]);
        describe(&sensors[i], &places[i], &state->meters[i], &source->channels[i], &watts[i]);
    }
    me_hwmon_settle(sensors, places, watts, source->channels, count);
    for (size_t i = 0; i < count; i++) state->meters[i].rests = source->channels[i].why_not[0];
    source->interval_s = choose_interval(source->channels, places, count);
    rc = 0;
out:
    free(places);
    free(watts);
    return rc;
}

static int open_hwmon(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct me_hwmon_sensor *sensors = NULL;
    size_t all = 0;
    int rc = -1;
    if (me_hwmon_scan(setup->root, &sensors, &all, err)) return -1;
    size_t count = drop_cores(sensors, all);
    if (!count) {
        explain_absent(source, setup->root);
        rc = 0;
        goto out;
    }
    if (open_sensors(source, setup->root, sensors, count, err)) goto out;
    remark(source, sensors, all - count);
    rc = 0;
out:
    if (!source->found) close_all(source);
    free(sensors);
    return rc;
}

const struct me_source_ops me_hwmon_ops = {
    .name = "hwmon",
    .summary = "energy and power sensors of boards, supplies and cards, from sys/class/hwmon",
    .open = open_hwmon,
    .read = read_all,
    .close = close_all,
};
