/* What sampling costs: a meter's read beside a bare pread loop over the same files, alternating in
 * one run; and the sampling thread's share of a CPU at three rates. Prints, judges nothing.
 *
 *     bench_sampler [--root DIR] [--seconds S]      [/] [5] */
#include "me/clock.h"
#include "me/sample.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS      31
#define MAX_FILES   64
#define ROUND_NS    INT64_C(20000000)
#define SHARE_TURNS 5

struct files {
    int fd[MAX_FILES];
    size_t count;
};

struct cost {
    double wall_us, cpu_us; /* per channel read */
};

/* The files that the meter's channels read, by the names that powercap gives its zones. */
static void open_files(struct files *files, const char *root)
{
    char command[512], path[512];
    snprintf(command, sizeof command, "ls -d '%s'/sys/class/powercap/*:*/energy_uj 2>/dev/null", root);
    FILE *list = popen(command, "r");
    while (list && files->count < MAX_FILES && fgets(path, sizeof path, list)) {
        path[strcspn(path, "\n")] = '\0';
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) files->fd[files->count++] = fd;
    }
    if (list) pclose(list);
}

static void bare_loop(const struct files *files)
{
    char text[32];
    for (size_t i = 0; i < files->count; i++)
        if (pread(files->fd[i], text, sizeof text, 0) < 0) abort();
}

/* Repeats one of the two for about ROUND_NS. */
static struct cost measure(struct me_meter *meter, const struct files *files, struct me_reading *readings)
{
    size_t n = 0, channels = meter ? meter->channel_count : files->count;
    int64_t wall_ns = me_clock_mono_ns(), cpu_ns = me_clock_thread_cpu_ns(), now_ns = wall_ns;
    for (; now_ns - wall_ns < ROUND_NS; now_ns = me_clock_mono_ns())
        for (int i = 0; i < 8; i++, n++) {
            if (meter)
                me_meter_read(meter, readings);
            else
                bare_loop(files);
        }
    double reads = (double)(n * channels) * 1e3;
    return (struct cost){(double)(now_ns - wall_ns) / reads,
                         (double)(me_clock_thread_cpu_ns() - cpu_ns) / reads};
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_row(const char *what, double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare_double);
    printf("  %-52s %9.3f us   (min %.3f, max %.3f, n %d)\n", what, values[ROUNDS / 2], values[0],
           values[ROUNDS - 1], ROUNDS);
}

static void print_reads(struct me_meter *meter, const struct files *files, struct me_reading *readings)
{
    static double wall[2][ROUNDS], cpu[2][ROUNDS], ratio[2][ROUNDS];
    measure(NULL, files, NULL);
    measure(meter, files, readings);
    for (int i = 0; i < ROUNDS; i++) {
        bool first = i % 2; /* each goes first as often */
        struct cost a = first ? measure(meter, files, readings) : (struct cost){0};
        struct cost b = measure(NULL, files, NULL);
        if (!first) a = measure(meter, files, readings);
        wall[0][i] = b.wall_us;
        wall[1][i] = a.wall_us;
        cpu[0][i] = b.cpu_us;
        cpu[1][i] = a.cpu_us;
        ratio[0][i] = a.wall_us / b.wall_us;
        ratio[1][i] = a.cpu_us / b.cpu_us;
    }
    print_row("bare pread loop, a file", wall[0]);
    print_row("me_meter_read, a channel", wall[1]);
    print_row("CPU of the bare pread loop, a file", cpu[0]);
    print_row("CPU of me_meter_read, a channel", cpu[1]);
    for (int i = 0; i < 2; i++) qsort(ratio[i], ROUNDS, sizeof **ratio, compare_double);
    printf("  %-52s %9.2f      (CPU: %.2f)\n", "ratio, pair by pair (aim: within 1.3)", ratio[0][ROUNDS / 2],
           ratio[1][ROUNDS / 2]);
}

/* The least that sampling can cost on this machine: waking up and reading, nothing else. */
static double bare_share(const struct files *files, double hz, double seconds)
{
    int64_t begin_ns = me_clock_mono_ns(), cpu_ns = me_clock_thread_cpu_ns(), period_ns = (int64_t)(1e9 / hz);
    for (int64_t due_ns = begin_ns; due_ns < begin_ns + (int64_t)(seconds * 1e9); due_ns += period_ns) {
        me_clock_sleep_until(due_ns);
        bare_loop(files);
    }
    return 100 * (double)(me_clock_thread_cpu_ns() - cpu_ns) / (double)(me_clock_mono_ns() - begin_ns);
}

static double sampler_share(struct me_sampler *sampler, double seconds, uint32_t *late)
{
    struct me_sampler_stats before, after;
    int64_t begin_ns = me_clock_mono_ns();
    me_sampler_stats(sampler, &before);
    me_clock_sleep_until(begin_ns + (int64_t)(seconds * 1e9));
    me_sampler_stats(sampler, &after);
    *late += after.late - before.late;
    return 100 * (double)(after.cpu_ns - before.cpu_ns) / (double)(me_clock_mono_ns() - begin_ns);
}

/* The two take turns, so that a change of the machine's mood meets both. */
static int print_share(struct me_meter *meter, const struct files *files, double hz, double aim,
                       double seconds)
{
    struct me_series series;
    struct me_sampler *sampler;
    struct me_error err;
    double ours[SHARE_TURNS], bare[SHARE_TURNS];
    uint32_t late = 0;
    size_t samples = 0;
    for (int i = 0; i < SHARE_TURNS; i++) {
        bare[i] = bare_share(files, hz, seconds / SHARE_TURNS);
        me_series_init(&series, meter->channel_count);
        if (me_sampler_start(&sampler, meter, &series, hz, NULL, NULL, &err)) {
            fprintf(stderr, "bench_sampler: %s\n", err.text);
            return -1;
        }
        me_clock_sleep_until(me_clock_mono_ns() + 50000000); /* its start is not its share */
        ours[i] = sampler_share(sampler, seconds / SHARE_TURNS, &late);
        me_sampler_stop(sampler);
        samples += series.count;
        me_series_release(&series);
    }
    qsort(ours, SHARE_TURNS, sizeof *ours, compare_double);
    qsort(bare, SHARE_TURNS, sizeof *bare, compare_double);
    char what[80];
    snprintf(what, sizeof what, "sampler's share of a CPU at %g Hz (aim: under %g %%)", hz, aim);
    printf(
        "  %-52s %9.3f %%    (min %.3f, max %.3f, n %d; %u late of %zu; waking and preads alone %.3f %%)\n",
        what, ours[SHARE_TURNS / 2], ours[0], ours[SHARE_TURNS - 1], SHARE_TURNS, late, samples,
        bare[SHARE_TURNS / 2]);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct {
        double hz, aim;
    } rates[] = {{10, 0.05}, {100, 0.3}, {1000, 2}};
    const char *root = "/";
    double seconds = 5;
    struct me_meter meter;
    struct files files = {0};
    struct me_error err;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--root")) root = argv[i + 1];
        if (!strcmp(argv[i], "--seconds")) seconds = atof(argv[i + 1]);
    }
    if (me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "powercap"}, &err)) {
        fprintf(stderr, "bench_sampler: %s\n", err.text);
        return 2;
    }
    open_files(&files, root);
    struct me_reading *readings = calloc(meter.channel_count + 1, sizeof *readings);
    int rc = 0;
    if (!readings || !meter.channel_count || files.count != meter.channel_count) {
        printf("  no powercap zones under %s: nothing to measure\n", root);
    } else {
        printf("  %zu zones\n", files.count);
        print_reads(&meter, &files, readings);
        for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
            rc |= print_share(&meter, &files, rates[i].hz, rates[i].aim, seconds);
    }
    free(readings);
    me_meter_close(&meter);
    return rc ? 1 : 0;
}
