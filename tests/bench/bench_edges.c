/* What the two kinds of edges gain over one plain reading: the energy between two of them beside the
 * rig's true power times the time between them. Prints, judges nothing.
 *
 *     bench_edges --root DIR --power WATTS [--pairs N] [--tick-ms MS]          [300] [1]
 *
 * WATTS is what all zones use together. The spans are 20 to 30 ms, begin and end at any phase of a tick, and the
 * three ways take turns. */
#include "me/clock.h"
#include "me/sample.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum way { PLAIN, NOW, TICK, WAYS };
static const char *const way_names[WAYS] = {"one plain reading", "ME_EDGE_NOW", "ME_EDGE_TICK"};

struct errors {
    double *each; /* joules */
    size_t count;
    size_t uneven; /* pairs in which the zones, of one power, do not show one energy */
    double waited_ms;
};

struct bench {
    struct me_meter meter;
    struct me_series series;
    struct me_sampler *sampler;
    struct me_reading *readings;
    double power_w;
};

struct moment {
    int64_t time_ns;
    const struct me_reading *readings; /* valid until the next moment is taken in the same place */
};

static struct moment read_plainly(struct bench *bench, struct me_reading *readings)
{
    int64_t begin_ns = me_clock_mono_ns();
    me_meter_read(&bench->meter, readings);
    return (struct moment){begin_ns + (me_clock_mono_ns() - begin_ns) / 2, readings};
}

/* The sample is copied, since the series moves as it grows. */
static struct moment read_edge(struct bench *bench, enum me_edge edge, struct me_reading *readings)
{
    size_t index, n = bench->meter.channel_count;
    struct me_error err;
    if (me_sampler_edge(bench->sampler, edge, &index, &err)) {
        fprintf(stderr, "bench_edges: %s\n", err.text);
        exit(1);
    }
    /* Nobody but the sampling thread touches the series, and at 1 Hz it rests now. */
    memcpy(readings, bench->series.readings + index * n, n * sizeof *readings);
    return (struct moment){bench->series.time_ns[index], readings};
}

static struct moment take(struct bench *bench, enum way way, struct me_reading *readings)
{
    if (way == PLAIN) return read_plainly(bench, readings);
    return read_edge(bench, way == NOW ? ME_EDGE_NOW : ME_EDGE_TICK, readings);
}

static void one_pair(struct bench *bench, enum way way, size_t number, struct errors *errors)
{
    size_t n = bench->meter.channel_count;
    /* Two irrational steps spread the phases of both edges evenly over a tick. */
    double before = fmod((double)number * 0.7548776662, 1.0),
           phase = fmod((double)number * 0.5698402910, 1.0);
    me_clock_sleep_until(me_clock_mono_ns() + (int64_t)(before * 3000000));
    int64_t asked_ns = me_clock_mono_ns();
    struct moment first = take(bench, way, bench->readings);
    errors->waited_ms += (double)(me_clock_mono_ns() - asked_ns) * 1e-6;
    me_clock_sleep_until(first.time_ns + 20000000 + (int64_t)(phase * 10000000));
    struct moment last = take(bench, way, bench->readings + n);
    double energy_j = 0;
    bool uneven = false;
    for (size_t c = 0; c < n; c++) {
        uint64_t uj = last.readings[c].count - first.readings[c].count;
        uneven |= uj != last.readings[0].count - first.readings[0].count;
        energy_j += (double)uj * 1e-6;
    }
    errors->uneven += uneven;
    errors->each[errors->count++] = energy_j - bench->power_w * (double)(last.time_ns - first.time_ns) * 1e-9;
}

static void print_errors(const char *name, const struct errors *errors, double tick_j)
{
    double sum = 0, worst = 0, n = (double)errors->count;
    for (size_t i = 0; i < errors->count; i++) {
        sum += fabs(errors->each[i]);
        worst = fmax(worst, fabs(errors->each[i]));
    }
    printf("  %-18s %9.3f mJ (%5.3f)  %9.3f mJ (%5.3f)   %6.2f ms  %5zu of %zu\n", name, sum / n * 1e3,
           sum / n / tick_j, worst * 1e3, worst / tick_j, errors->waited_ms / n, errors->uneven,
           errors->count);
}

static int run(struct bench *bench, size_t pairs, double tick_ms)
{
    struct errors errors[WAYS] = {0};
    struct me_error err;
    size_t n = bench->meter.channel_count;
    me_series_init(&bench->series, n);
    bench->readings = calloc(2 * n + 1, sizeof *bench->readings);
    for (int w = 0; w < WAYS; w++) errors[w].each = calloc(pairs + 1, sizeof(double));
    if (me_sampler_start(&bench->sampler, &bench->meter, &bench->series, 1, NULL, NULL, &err)) {
        fprintf(stderr, "bench_edges: %s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < pairs; i++)
        for (int w = 0; w < WAYS; w++) one_pair(bench, (enum way)w, i, &errors[w]);
    me_sampler_stop(bench->sampler);
    printf("  %zu zones, %g W together, a tick of %g ms: %g mJ\n", n, bench->power_w, tick_ms,
           bench->power_w * tick_ms);
    printf("  %-18s %20s  %20s   %9s  %s\n", "", "mean |error| (ticks)", "worst (ticks)", "an edge",
           "pairs whose zones differ");
    for (int w = 0; w < WAYS; w++) {
        print_errors(way_names[w], &errors[w], bench->power_w * tick_ms * 1e-3);
        free(errors[w].each);
    }
    free(bench->readings);
    me_series_release(&bench->series);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench bench = {.power_w = 200};
    struct me_error err;
    const char *root = "/";
    size_t pairs = 300;
    double tick_ms = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--root")) root = argv[i + 1];
        if (!strcmp(argv[i], "--power")) bench.power_w = atof(argv[i + 1]);
        if (!strcmp(argv[i], "--pairs")) pairs = (size_t)atol(argv[i + 1]);
        if (!strcmp(argv[i], "--tick-ms")) tick_ms = atof(argv[i + 1]);
    }
    if (me_meter_open(&bench.meter, &(struct me_meter_options){.root = root, .only = "powercap"}, &err)) {
        fprintf(stderr, "bench_edges: %s\n", err.text);
        return 2;
    }
    int rc = bench.meter.channel_count ? run(&bench, pairs, tick_ms) : 2;
    if (rc == 2) fprintf(stderr, "bench_edges: no powercap zones under %s\n", root);
    me_meter_close(&bench.meter);
    return rc;
}
