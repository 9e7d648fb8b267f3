/* How many samples come late at a rate, and the longest gap between two. Prints one line, judges nothing.
 *
 *     bench_late [--root DIR] [--sources LIST] [--hz HZ] [--seconds S] [--label TEXT]
 *                [/]          [powercap]       [1000]    [10]
 *
 * Slow sources of the list are read beside the zones of powercap, by threads of their own. */
#include "me/clock.h"
#include "me/sample.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wanted {
    const char *root, *sources, *label;
    double hz, seconds;
};

/* Samples of the sources with an interval. */
static size_t count_slow(const struct me_meter *meter, const struct me_series *series)
{
    size_t n = 0;
    for (size_t s = 0; s < series->count; s++)
        for (size_t c = 0; c < series->channels; c++)
            if (meter->channels[c].interval_s > 0 &&
                series->readings[s * series->channels + c].state == ME_READING_OK) {
                n++;
                break;
            }
    return n;
}

/* A journal would take them; here they only pass by, so that the courier has its work too. */
static void sink(void *context, const struct me_series *part, size_t first)
{
    *(size_t *)context = first + part->count;
}

static int measure(struct me_meter *meter, struct me_series *series, const struct wanted *wanted,
                   struct me_error *err)
{
    struct me_sampler *sampler;
    struct me_sampler_stats before, after;
    size_t handed = 0, index;
    if (me_sampler_start(&sampler, meter, series, wanted->hz, sink, &handed, err)) return -1;
    char schedule[96];
    snprintf(schedule, sizeof schedule, "%s", me_sampler_schedule(sampler));
    me_clock_sleep_until(me_clock_mono_ns() + ME_NS_PER_S / 10); /* its start is not what is asked about */
    me_sampler_edge(sampler, ME_EDGE_NOW, &index, NULL);         /* from here on samples are handed over */
    me_sampler_gap_reset(sampler);
    me_sampler_stats(sampler, &before);
    int64_t begin_ns = me_clock_mono_ns();
    me_clock_sleep_until(begin_ns + (int64_t)(wanted->seconds * 1e9));
    me_sampler_stats(sampler, &after);
    double due = (double)(me_clock_mono_ns() - begin_ns) * 1e-9 * wanted->hz;
    me_sampler_stop(sampler);
    uint32_t late = after.late - before.late;
    printf("  %-40s %5u of %-6.0f %7.2f    %7.2f ms  %s\n", wanted->label, late, due, 1000 * late / due,
           (double)after.longest_gap_ns * 1e-6, schedule);
    size_t slow = count_slow(meter, series);
    if (slow) printf("    (%zu samples of the slow source)\n", slow);
    return 0;
}

static struct wanted parse(int argc, char **argv)
{
    struct wanted wanted = {.root = "/", .sources = "powercap", .label = "", .hz = 1000, .seconds = 10};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--root")) wanted.root = argv[i + 1];
        if (!strcmp(argv[i], "--sources")) wanted.sources = argv[i + 1];
        if (!strcmp(argv[i], "--label")) wanted.label = argv[i + 1];
        if (!strcmp(argv[i], "--hz")) wanted.hz = atof(argv[i + 1]);
        if (!strcmp(argv[i], "--seconds")) wanted.seconds = atof(argv[i + 1]);
    }
    return wanted;
}

int main(int argc, char **argv)
{
    struct wanted wanted = parse(argc, argv);
    struct me_meter_options options = {.root = wanted.root, .only = wanted.sources};
    struct me_meter meter;
    struct me_series series;
    struct me_error err;
    if (me_meter_open(&meter, &options, &err)) {
        fprintf(stderr, "bench_late: %s\n", err.text);
        return 2;
    }
    me_series_init(&series, meter.channel_count);
    int rc = measure(&meter, &series, &wanted, &err);
    if (rc) fprintf(stderr, "bench_late: %s\n", err.text);
    me_series_release(&series);
    me_meter_close(&meter);
    return rc ? 1 : 0;
}
