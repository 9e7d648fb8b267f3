#include "gpu.h"
#include "me/clock.h"
#include "ops.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_NS INT64_C(300000000) /* three times the slowest period known */
#define STEP_NS   INT64_C(10000000)

static void say(struct me_gpu *gpu, const char *what)
{
    me_ops_say(gpu->basis, sizeof gpu->basis, "%s", what);
}

static int read_energy(const struct me_gpus *gpus, size_t i, uint64_t *uj)
{
    return gpus->meter->energy(gpus->context, i, uj);
}

static int read_power(const struct me_gpus *gpus, size_t i, double *w)
{
    int error = gpus->meter->power(gpus->context, i, w);
    return !error && (!isfinite(*w) || *w < 0) ? ERANGE : error;
}

/* The first reading of each counter. Those without one are read as power. */
static size_t read_first(struct me_gpus *gpus, uint64_t *first)
{
    size_t counters = 0;
    for (size_t i = 0; i < gpus->count; i++) {
        struct me_gpu *gpu = &gpus->list[i];
        if (gpu->integrates) continue;
        if (!read_energy(gpus, i, &first[i])) {
            counters++;
            continue;
        }
        double w;
        gpu->integrates = true;
        if (!read_power(gpus, i, &w)) say(gpu, "no energy counter: power integrated");
    }
    return counters;
}

/* Waits until each counter has moved; *still marks those that have not. */
static void watch(const struct me_gpus *gpus, const uint64_t *first, bool *still)
{
    int64_t end_ns = me_clock_mono_ns() + SETTLE_NS;
    bool any = true;
    for (size_t i = 0; i < gpus->count; i++)
        still[i] = !gpus->list[i].integrates && !gpus->list[i].why_not[0];
    while (any) {
        any = false;
        for (size_t i = 0; i < gpus->count; i++) {
            uint64_t uj;
            if (still[i] && !read_energy(gpus, i, &uj) && uj != first[i]) still[i] = false;
            any |= still[i];
        }
        int64_t now_ns = me_clock_mono_ns();
        if (now_ns >= end_ns) break;
        if (any) me_clock_sleep_until(now_ns + STEP_NS);
    }
}

/* A counter that stands while power flows is not to be believed; one that stands at no power is. */
static void judge_still(struct me_gpus *gpus, size_t i, uint64_t first)
{
    struct me_gpu *gpu = &gpus->list[i];
    double w;
    int error = read_power(gpus, i, &w);
    if (!error && w > 0) {
        gpu->integrates = true;
        say(gpu, "its energy counter stands still: power integrated");
    } else if (!first) {
        snprintf(gpu->why_not, sizeof gpu->why_not, "stands at 0: no meter behind it");
    } else if (error) {
        snprintf(gpu->why_not, sizeof gpu->why_not, "its energy counter stands still, and no power is shown");
    }
}

size_t me_gpus_choose_meters(struct me_gpus *gpus)
{
    uint64_t *first = calloc(gpus->count + 1, sizeof *first);
    bool *still = calloc(gpus->count + 1, sizeof *still);
    size_t without = 0;
    if (first && still && read_first(gpus, first)) watch(gpus, first, still);
    for (size_t i = 0; i < gpus->count; i++) {
        struct me_gpu *gpu = &gpus->list[i];
        char text[64];
        double w;
        if (gpu->why_not[0]) continue;
        if (still && still[i]) judge_still(gpus, i, first[i]);
        int error = gpu->integrates ? read_power(gpus, i, &w) : 0;
        if (error)
            snprintf(gpu->why_not, sizeof gpu->why_not, "neither energy nor power is shown: %s",
                     strerror_r(error, text, sizeof text));
        if (gpu->why_not[0]) without++;
    }
    free(first);
    free(still);
    return without;
}

/* "2 x NVIDIA A100, NVIDIA T400" before what was said already. */
static void name_models(struct me_source *source, const struct me_gpus *gpus)
{
    char said[sizeof source->reason];
    snprintf(said, sizeof said, "%s", source->reason);
    source->reason[0] = '\0';
    for (size_t i = 0, same; i < gpus->count; i += same) {
        const char *model = gpus->list[i].model;
        size_t len = strlen(source->reason);
        for (same = 1; i + same < gpus->count && !strcmp(gpus->list[i + same].model, model);) same++;
        if (len > 120) continue;
        snprintf(source->reason + len, sizeof source->reason - len, "%s%.60s", len ? ", " : "",
                 model[0] ? model : "unnamed GPU");
        len = strlen(source->reason);
        if (same > 1) snprintf(source->reason + len, sizeof source->reason - len, " x %zu", same);
    }
    if (said[0]) me_ops_say(source->reason, sizeof source->reason, "%s", said);
}

static void describe(struct me_channel *channel, const struct me_gpu *gpu)
{
    *channel = (struct me_channel){.scope = gpu->scope,
                                   .kind = gpu->integrates ? ME_KIND_GAUGE : ME_KIND_COUNTER,
                                   .cls = gpu->integrates ? ME_CLASS_INTEGRATED : ME_CLASS_COUNTER,
                                   .package = -1,
                                   .provenance = gpu->sees_driver ? ME_PROVENANCE_LIVE : ME_PROVENANCE_FAKE};
    snprintf(channel->name, sizeof channel->name, "gpu-%zu", gpu->number);
    snprintf(channel->unit, sizeof channel->unit, gpu->integrates ? "W" : "uJ");
    snprintf(channel->device, sizeof channel->device, "%s", gpu->device);
    snprintf(channel->why_not, sizeof channel->why_not, "%s", gpu->why_not);
    snprintf(channel->basis, sizeof channel->basis, "%s", gpu->basis);
}

int me_gpus_publish(struct me_source *source, struct me_gpus *gpus, struct me_error *err)
{
    struct me_gpus *state = malloc(sizeof *state);
    struct me_channel *channels = calloc(gpus->count + 1, sizeof *channels);
    if (!state || !channels) {
        free(state);
        free(channels);
        me_gpus_release(gpus);
        return me_fail(err, ME_E_RUN, "%s: no memory for %zu GPUs", source->ops->name, gpus->count);
    }
    *state = *gpus;
    *gpus = (struct me_gpus){0};
    for (size_t i = 0; i < state->count; i++) describe(&channels[i], &state->list[i]);
    name_models(source, state);
    source->state = state;
    source->channels = channels;
    source->channel_count = state->count;
    source->interval_s = ME_GPU_INTERVAL_S;
    source->found = true;
    return 0;
}

void me_gpus_release(struct me_gpus *gpus)
{
    if (!gpus) return;
    if (gpus->context) gpus->meter->close(gpus->context);
    free(gpus->list);
    *gpus = (struct me_gpus){0};
}

void me_gpus_read(struct me_source *source, struct me_reading *readings)
{
    struct me_gpus *gpus = source->state;
    for (size_t i = 0; i < gpus->count; i++) {
        struct me_gpu *gpu = &gpus->list[i];
        struct me_reading reading = {.state = ME_READING_OK};
        int error = gpu->lost; /* one that fell off the bus is not asked again: that may hang */
        if (!error && gpu->integrates) error = read_power(gpus, i, &reading.level);
        if (!error && !gpu->integrates) error = read_energy(gpus, i, &reading.count);
        if (error == ENODEV) gpu->lost = error;
        if (error) reading = (struct me_reading){.state = ME_READING_FAILED, .error = (int16_t)error};
        readings[i] = reading;
    }
}

void me_gpus_close(struct me_source *source)
{
    me_gpus_release(source->state);
    me_ops_release(source);
}
