/* What the journal costs: seconds of samples of 12 channels, encoded and given to the journal once a second as the
 * courier does, beside a plain write() of each raw sample with an fdatasync a second. Prints, judges nothing.
 *
 *     bench_journal DIR [SECONDS] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "me/clock.h"
#include "me/record.h"
#include "me/store.h"

enum { CHANNELS = 12 };

struct cost {
    double cpu_s;
    long long bytes;
};

/* Eight counters that grow by some watts and four levels that waver. */
static void make_row(size_t i, double hz, struct me_reading row[CHANNELS])
{
    for (size_t c = 0; c < CHANNELS; c++) {
        row[c] = (struct me_reading){.state = ME_READING_OK};
        if (c < 8)
            row[c].count = (uint64_t)((double)i / hz * (20e6 + 3e6 * (double)c)) + (i * 7919 + c * 31) % 97;
        else
            row[c].level = 40 + (double)((i * 31 + c) % 17) / 16;
    }
}

static double process_cpu_s(void)
{
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    return (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9;
}

static long long size_of(const char *path)
{
    struct stat file;
    return stat(path, &file) ? 0 : (long long)file.st_size;
}

static void make_part(struct me_series *part, size_t first, double hz)
{
    struct me_reading row[CHANNELS];
    part->count = 0;
    for (size_t i = first; i < first + (size_t)hz; i++) {
        make_row(i, hz, row);
        me_series_append(part, (int64_t)((double)i / hz * 1e9), row, NULL);
    }
}

/* A second of samples takes its second, so that the thread wakes as it does in a run. */
static int run_journal(const char *dir, double hz, int seconds, struct cost *cost, struct me_error *err)
{
    struct me_journal *journal;
    struct me_series part;
    char folder[4100], path[4200];
    snprintf(folder, sizeof folder, "%.4000s/journal", dir); /* it goes with the journal */
    snprintf(path, sizeof path, "%s/bench.mej", folder);
    if (me_journal_open(&journal, folder, "bench.mej", err)) return -1;
    me_series_init(&part, CHANNELS);
    cost->cpu_s = 0;
    for (int s = 0; s < seconds; s++) {
        struct me_buffer chunk = ME_BUFFER_INIT;
        int64_t next_ns = me_clock_mono_ns() + ME_NS_PER_S;
        make_part(&part, (size_t)(s * hz), hz);
        double before_s = process_cpu_s();
        me_record_put_part(&chunk, &part, (size_t)(s * hz));
        me_journal_append(journal, &chunk);
        me_buffer_release(&chunk);
        me_clock_sleep_until(next_ns);
        cost->cpu_s += process_cpu_s() - before_s;
    }
    me_journal_settle(journal, 10 * ME_NS_PER_S);
    cost->bytes = size_of(path);
    me_series_release(&part);
    return me_journal_close(journal, false, err);
}

static int run_plain(const char *dir, double hz, int seconds, struct cost *cost, struct me_error *err)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/bench.raw", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;
    if (fd < 0) return me_fail(err, ME_E_RUN, "%s: cannot be made", path);
    cost->cpu_s = 0;
    for (int s = 0; s < seconds; s++) {
        int64_t next_ns = me_clock_mono_ns() + ME_NS_PER_S;
        double before_s = process_cpu_s();
        for (size_t i = (size_t)(s * hz); i < (size_t)((s + 1) * hz); i++) {
            struct {
                int64_t time_ns;
                uint64_t values[CHANNELS];
            } sample = {(int64_t)i, {i}};
            if (write(fd, &sample, sizeof sample) < 0) rc = -1;
        }
        if (fdatasync(fd)) rc = -1;
        cost->cpu_s += process_cpu_s() - before_s;
        me_clock_sleep_until(next_ns);
    }
    cost->bytes = size_of(path);
    close(fd);
    unlink(path);
    return rc ? me_fail(err, ME_E_RUN, "%s: cannot be written", path) : 0;
}

int main(int argc, char **argv)
{
    static const double rates[] = {10, 100, 1000};
    const char *dir = argc > 1 ? argv[1] : ".";
    int seconds = argc > 2 ? atoi(argv[2]) : 5;
    struct me_error err = {0};
    printf("  %-10s %26s %26s   %s\n", "12 channels", "journal: CPU ms/s, bytes/s",
           "plain: CPU ms/s, bytes/s", "bytes a sample");
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct cost ours, plain;
        if (run_journal(dir, rates[i], seconds, &ours, &err) ||
            run_plain(dir, rates[i], seconds, &plain, &err)) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        printf("  %7.0f Hz %14.3f %11lld %14.3f %11lld   %.1f, %.1f\n", rates[i], ours.cpu_s / seconds * 1e3,
               ours.bytes / seconds, plain.cpu_s / seconds * 1e3, plain.bytes / seconds,
               (double)ours.bytes / seconds / rates[i], (double)plain.bytes / seconds / rates[i]);
    }
    return 0;
}
