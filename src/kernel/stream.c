/* stream: what McCalpin's STREAM does (https://www.cs.virginia.edu/stream/): four loops over three arrays,
 *     copy c = a    scale b = s c    add c = a + b    triad a = b + s c
 * counted as the 2, 2, 3 and 3 words that each moves a step, without what a cache reads before it writes.
 * Other than there, s is sqrt(2) - 1: a is then after a pass what it was before, (2 s + s^2) a, and may be
 * passed over as often as one likes; and the entries differ, as those of programs do, so that the
 * wires move. */
/* A copying loop shall stay one: memcpy has stores that pass by the caches. (clang: -fno-builtin-memcpy.) */
#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif
#include "compute.h"
#include "me/clock.h"
#include <math.h>
#include <stdio.h>

enum { A, B, C, GRAIN = 512, VALUES = 64 };
#define SCALAR 0.41421356237309504880

static size_t stream_choose(const struct me_job *job, const struct me_memory_facts *facts)
{
    unsigned long long bytes = 4 * facts->caches, most = facts->available / 4 / 3;
    if (bytes < 256ull << 20) bytes = 256ull << 20;
    if (bytes > most) bytes = most;
    size_t n = (size_t)(bytes / me_job_width(job));
    return n > GRAIN ? n / GRAIN * GRAIN : GRAIN;
}

static void stream_layout(const struct me_job *job, size_t bytes[ME_JOB_ARRAYS])
{
    for (int i = A; i <= C; i++) bytes[i] = job->size * me_job_width(job);
}

/* The values that a begins with; 1 to 2. */
static double initial(const struct me_job *job, size_t i)
{
    return 1.5 + me_job_random(job, 0, i % VALUES);
}

static void stream_fill(struct me_job *job, struct me_worker *worker)
{
    size_t first, end;
    me_team_share(worker, job->size, GRAIN, &first, &end);
    for (size_t i = first; i < end; i++) {
        me_job_set(job, A, i, initial(job, i));
        me_job_set(job, B, i, 2);
        me_job_set(job, C, i, 0);
    }
}

#define LOOPS(REAL, NAME)                                                                                    \
    static void copy_##NAME(REAL *restrict c, const REAL *restrict a, size_t n)                              \
    {                                                                                                        \
        for (size_t i = 0; i < n; i++) c[i] = a[i];                                                          \
    }                                                                                                        \
    static void scale_##NAME(REAL *restrict b, const REAL *restrict c, size_t n)                             \
    {                                                                                                        \
        for (size_t i = 0; i < n; i++) b[i] = (REAL)SCALAR * c[i];                                           \
    }                                                                                                        \
    static void add_##NAME(REAL *restrict c, const REAL *restrict a, const REAL *restrict b, size_t n)       \
    {                                                                                                        \
        for (size_t i = 0; i < n; i++) c[i] = a[i] + b[i];                                                   \
    }                                                                                                        \
    static void triad_##NAME(REAL *restrict a, const REAL *restrict b, const REAL *restrict c, size_t n)     \
    {                                                                                                        \
        for (size_t i = 0; i < n; i++) a[i] = b[i] + (REAL)SCALAR * c[i];                                    \
    }                                                                                                        \
    static void part_##NAME(void *const *arrays, int part, size_t first, size_t n)                           \
    {                                                                                                        \
        REAL *a = (REAL *)arrays[A] + first, *b = (REAL *)arrays[B] + first, *c = (REAL *)arrays[C] + first; \
        if (part == 0) copy_##NAME(c, a, n);                                                                 \
        if (part == 1) scale_##NAME(b, c, n);                                                                \
        if (part == 2) add_##NAME(c, a, b, n);                                                               \
        if (part == 3) triad_##NAME(a, b, c, n);                                                             \
    }
LOOPS(float, single)
LOOPS(double, double)

static void stream_pass(struct me_job *job, struct me_worker *worker)
{
    size_t first, end;
    me_team_share(worker, job->size, GRAIN, &first, &end);
    int64_t before_ns = me_clock_mono_ns();
    for (int part = 0; part < 4; part++) {
        if (job->single)
            part_single(job->arrays, part, first, end - first);
        else
            part_double(job->arrays, part, first, end - first);
        me_team_wait(worker);
        if (worker->number) continue;
        int64_t now_ns = me_clock_mono_ns();
        job->seconds[part] += (double)(now_ns - before_ns) * 1e-9;
        before_ns = now_ns;
    }
}

static double gigabytes(const struct me_job *job, int words)
{
    return (double)words * (double)job->size * (double)me_job_width(job) * 1e-9;
}

static double stream_work(const struct me_job *job)
{
    return gigabytes(job, 10);
}

/* What one entry of each array must have become. */
static void expect(const struct me_job *job, long passes, double values[3][VALUES])
{
    float a_single[VALUES], b_single[VALUES], c_single[VALUES];
    double a[VALUES], b[VALUES], c[VALUES];
    for (size_t i = 0; i < VALUES; i++) {
        a[i] = initial(job, i);
        a_single[i] = (float)a[i];
    }
    void *single[] = {a_single, b_single, c_single}, *wide[] = {a, b, c};
    for (long pass = 0; pass < passes; pass++)
        for (int part = 0; part < 4; part++)
            job->single ? part_single(single, part, 0, VALUES) : part_double(wide, part, 0, VALUES);
    for (size_t i = 0; i < VALUES; i++) {
        values[A][i] = job->single ? (double)a_single[i] : a[i];
        values[B][i] = job->single ? (double)b_single[i] : b[i];
        values[C][i] = job->single ? (double)c_single[i] : c[i];
    }
}

struct checker {
    struct me_job *job;
    double expected[3][VALUES];
    double most; /* relative error */
};

static void check_entries(struct me_worker *worker, void *argument)
{
    struct checker *checker = argument;
    size_t first, end;
    double most = 0;
    me_team_share(worker, checker->job->size, GRAIN, &first, &end);
    for (int array = A; array <= C; array++) {
        for (size_t i = first; i < end; i++) {
            double expected = checker->expected[array][i % VALUES];
            most = me_more(most, fabs(me_job_get(checker->job, array, i) - expected) / expected);
        }
    }
    most = me_team_most(worker, most);
    if (worker->number == 0) checker->most = most;
}

/* The single numbers went through the same operations, so that most often there is no error at all; a
 * compiler may have fused multiply and add in the one and not in the other. */
static int stream_check(struct me_job *job, struct me_team *team, long passes, double *residual,
                        struct me_error *err)
{
    struct checker checker = {.job = job};
    expect(job, passes, checker.expected);
    if (me_team_run(team, check_entries, &checker, err)) return -1;
    *residual = checker.most;
    return me_compute_judge("error", checker.most, (16 + 4 * (double)passes) * me_job_epsilon(job), err);
}

static void stream_detail(const struct me_job *job, const struct me_memory_facts *facts, long passes,
                          char *text, size_t size)
{
    static const int words[] = {2, 2, 3, 3};
    double rate[4], bytes = (double)job->size * (double)me_job_width(job);
    for (int i = 0; i < 4; i++) rate[i] = gigabytes(job, words[i]) * (double)passes / job->seconds[i];
    int len = snprintf(text, size, " (copy %.1f, scale %.1f, add %.1f, triad %.1f GB/s)", rate[0], rate[1],
                       rate[2], rate[3]);
    if (bytes < 4 * (double)facts->caches && len > 0)
        snprintf(text + len, size - (size_t)len,
                 "; arrays of %.1f MiB are below 4 x the last-level cache (%.1f MiB): not the memory's rate",
                 bytes / 0x1p20, (double)facts->caches / 0x1p20);
}

const struct me_compute me_stream_compute = {
    .name = "stream",
    .power = "",
    .unit = "GB",
    .metric = "gb_per_s",
    .residual = "error",
    .summary = "Copy, scale, add and triad of three arrays; prints GB/s.",
    .details = "A pass is all four, counted as STREAM counts them: 2 + 2 + 3 + 3 words an entry. By\n"
               "default each array has 4 times the bytes of all last-level caches together, 256 MiB at\n"
               "least, or less where the three would be more than a quarter of the memory that is\n"
               "available; the result says so. The check: every entry, by doing the same with single\n"
               "numbers.",
    .size_help = "entries of each array (default: see below)",
    .size_min = 1,
    .size_max = 2147483647,
    .choose = stream_choose,
    .layout = stream_layout,
    .fill = stream_fill,
    .pass = stream_pass,
    .work = stream_work,
    .check = stream_check,
    .detail = stream_detail,
};

int me_stream_main(int argc, char **argv)
{
    return me_compute_main(&me_stream_compute, argc, argv);
}
