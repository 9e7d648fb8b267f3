#include "external.h"
#include "me/clock.h"
#include "me/credentials.h"
#include "runner.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER = 4096, TRIES = 2 };

struct meter {
    struct me_external_spec spec;
    char *action, *shown; /* shown: without passwords in URLs */
    int64_t read_ns;      /* when it was last read; 0: never */
};
struct state {
    struct me_root root; /* the meter's: not ours to close */
    struct me_runner *runner;
    size_t count;
    double interval_s; /* the shortest */
    char answer[ANSWER];
    struct meter meters[];
};

/* A pipe without a writer must not hold us up. Returns the length, or -errno. */
static int read_path(const struct me_root *root, const char *path, char *text, size_t size)
{
    int fd = openat(root->fd, path + strspn(path, "/"), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -errno;
    ssize_t len;
    do len = read(fd, text, size - 1);
    while (len < 0 && errno == EINTR);
    int error = errno;
    close(fd);
    if (len < 0) return -error;
    text[len] = '\0';
    return (int)len;
}

static double patience_s(const struct me_external_spec *spec)
{
    return fmin(fmax(2 * spec->interval_s, 2), 60);
}

/* 0 or an errno. */
static int ask(struct state *state, const struct meter *meter, uint64_t *micro)
{
    int len;
    if (meter->spec.is_path) {
        len = read_path(&state->root, meter->action, state->answer, sizeof state->answer);
    } else {
        const char *const argv[] = {"/bin/sh", "-c", meter->action, NULL};
        len =
            me_runner_run(state->runner, argv, patience_s(&meter->spec), state->answer, sizeof state->answer);
    }
    if (len < 0) return -len;
    if (strlen(state->answer) != (size_t)len) return EPROTO;
    return me_external_answer(&meter->spec, state->answer, micro);
}

/* A slow meter among faster ones rests until its own interval is over, give or take half a turn. */
static bool is_due(const struct state *state, const struct meter *meter, int64_t now_ns)
{
    double rest_s = meter->spec.interval_s - state->interval_s;
    if (rest_s <= 0 || !meter->read_ns) return true;
    return (double)(now_ns - meter->read_ns) * 1e-9 >= meter->spec.interval_s - state->interval_s / 2;
}

static void read_external(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    for (size_t i = 0; i < state->count; i++) {
        struct meter *meter = &state->meters[i];
        uint64_t micro = 0;
        int64_t now_ns = me_clock_mono_ns();
        readings[i] = (struct me_reading){.state = ME_READING_ABSENT};
        if (!source->for_edge && !is_due(state, meter, now_ns)) continue;
        meter->read_ns = now_ns;
        int error = ask(state, meter, &micro);
        readings[i].state = error ? ME_READING_FAILED : ME_READING_OK;
        readings[i].error = (int16_t)error;
        if (error) continue;
        if (meter->spec.unit.power)
            readings[i].level = (double)micro / 1e6;
        else
            readings[i].count = micro;
    }
}

static void close_external(struct me_source *source)
{
    struct state *state = source->state;
    for (size_t i = 0; state && i < state->count; i++) {
        free(state->meters[i].action);
        free(state->meters[i].shown);
    }
    if (state) me_runner_stop(state->runner);
    free(state);
    free(source->channels);
    source->state = NULL;
    source->channels = NULL;
    source->channel_count = 0;
}

static const char *explain(int error, char *text, size_t size)
{
    if (error == EPROTO) return "its first line is not one number of that unit";
    if (error == ERANGE) return "its number is too large";
    if (error == ENODATA) return "0 W: no machine that is on uses none";
    if (error == EIO) return "the command failed";
    if (error == ETIMEDOUT) return "no answer in time";
    if (error == EFBIG) return "it prints more than 4 KiB";
    return strerror_r(error, text, size);
}

static void describe(struct me_channel *channel, const struct meter *meter)
{
    const struct me_external_spec *spec = &meter->spec;
    *channel = (struct me_channel){.source = "external",
                                   .scope = spec->scope,
                                   .kind = spec->unit.power ? ME_KIND_GAUGE : ME_KIND_COUNTER,
                                   .cls = spec->unit.power ? ME_CLASS_INTEGRATED : ME_CLASS_COUNTER,
                                   .provenance = ME_PROVENANCE_LIVE,
                                   .package = -1,
                                   .range = spec->range_uj,
                                   .max_power_w = spec->max_w,
                                   .interval_s = spec->interval_s};
    snprintf(channel->unit, sizeof channel->unit, "%s", spec->unit.power ? "W" : "uJ");
    snprintf(channel->name, sizeof channel->name, "%s",
             spec->name[0] ? spec->name : me_scope_name(spec->scope));
    int len = (int)strlen(meter->shown);
    for (len = len < 200 ? len : 200; len && ((unsigned char)meter->shown[len] & 0xc0) == 0x80;)
        len--; /* UTF-8 */
    snprintf(channel->basis, sizeof channel->basis, "the user's own meter, %s%s %.*s", spec->unit.name,
             spec->is_path ? " <" : " of", len, meter->shown);
}

/* Asks once, so that a meter that does not work is told before the run and not after it. 0 or an errno. */
static int try_meter(struct state *state, struct meter *meter, struct me_channel *channel)
{
    uint64_t micro;
    char text[64];
    int error = EPROTO;
    for (int i = 0; i < TRIES && error && error != ETIMEDOUT; i++) error = ask(state, meter, &micro);
    if (error) snprintf(channel->why_not, sizeof channel->why_not, "%s", explain(error, text, sizeof text));
    return error;
}

static void explain_broken(struct me_source *source)
{
    const struct state *state = source->state;
    const struct meter *meter = &state->meters[0];
    snprintf(source->reason, sizeof source->reason, "%s `%.100s`: %s",
             meter->spec.is_path ? "file" : "command", meter->shown, source->channels[0].why_not);
    snprintf(source->cure, sizeof source->cure, "%s%.200s", meter->spec.is_path ? "cat " : "", meter->shown);
}

/* The meters of the text, which was checked before. */
static int add_meters(struct me_source *source, const char *text, struct me_error *err)
{
    struct state *state = source->state;
    struct me_external_spec spec;
    unsigned number = 1;
    for (int rc; (rc = me_external_next(&text, number, &spec, err)); number++) {
        struct meter *meter = &state->meters[state->count];
        if (rc < 0) return -1;
        meter->spec = spec;
        state->count++;
        meter->spec.action = NULL;
        meter->action = strndup(spec.action, spec.action_len);
        meter->shown = strndup(spec.action, spec.action_len);
        if (!meter->action || !meter->shown) return me_fail(err, ME_E_RUN, "external: no memory");
        me_credentials_mask(meter->shown);
        if (!state->interval_s || spec.interval_s < state->interval_s) state->interval_s = spec.interval_s;
    }
    return 0;
}

static size_t count_meters(const char *text)
{
    struct me_external_spec spec;
    size_t count = 0;
    while (me_external_next(&text, 1, &spec, NULL) > 0) count++;
    return count;
}

static int open_meters(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    const char *text = setup->options->external;
    size_t count = count_meters(text);
    struct state *state = calloc(1, sizeof *state + count * sizeof *state->meters);
    source->state = state;
    source->channels = calloc(count + 1, sizeof *source->channels);
    if (!state || !source->channels) return me_fail(err, ME_E_RUN, "external: no memory");
    state->root = *setup->root;
    if (add_meters(source, text, err) || me_runner_start(&state->runner, setup->options->strip_env, err))
        return -1;
    source->channel_count = count;
    source->interval_s = state->interval_s;
    for (size_t i = 0; i < count; i++) {
        describe(&source->channels[i], &state->meters[i]);
        source->found |= !try_meter(state, &state->meters[i], &source->channels[i]);
    }
    if (!source->found) explain_broken(source);
    return 0;
}

static int open_external(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    const char *text = setup->options ? setup->options->external : NULL;
    if (me_external_check(text, err)) return -1;
    if (!text || !text[strspn(text, "; \t\r\n")]) {
        snprintf(source->reason, sizeof source->reason, "no meter of your own is given");
        return 0;
    }
    if (!setup->live) {
        snprintf(source->reason, sizeof source->reason,
                 "not asked: it would speak of this machine, and not of the one under --root");
        return 0;
    }
    int rc = open_meters(source, setup, err);
    if (rc || !source->found) close_external(source);
    return rc;
}

const struct me_source_ops me_external_ops = {
    .name = "external",
    .summary = "the user's own meters: commands or files that print watts or joules",
    .open = open_external,
    .read = read_external,
    .close = close_external,
};
