/* cg: conjugate gradients, 50 iterations a pass from x = 0, as many as HPCG's, without a preconditioner, on
 * the matrix of Poisson's equation on a cube of n^3 points (6 on the diagonal, -1 for each of the up to six
 * neighbours). The matrix is stored, in compressed rows with 32-bit columns, though a stencil would do
 * without: what people solve has a matrix, and reading it is what solving costs. */
/* A copying loop shall stay one: memcpy has stores that pass by the caches. (clang: -fno-builtin-memcpy.) */
#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif
#include "compute.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>

enum { VALUES, COLUMNS, ROWS, RIGHT, X, R, P, Q };
enum { ITERATIONS = 50, GRAIN = 512, BLOCK = 4096, SEED = 11 };

static size_t rows_of(const struct me_job *job)
{
    return job->size * job->size * job->size;
}
/* Seven a row, less one for each of the n^2 points on each of the six faces. */
static size_t entries_of(const struct me_job *job)
{
    return 7 * rows_of(job) - 6 * job->size * job->size;
}

#define REAL       float
#define NAME(name) name##_single
#include "cg_real.h"
#undef REAL
#undef NAME
#define REAL       double
#define NAME(name) name##_double
#include "cg_real.h"
#undef REAL
#undef NAME

static size_t cg_choose(const struct me_job *job, const struct me_memory_facts *facts)
{
    double width = (double)me_job_width(job), row = 7 * (width + 4) + 8 + 5 * width;
    double by_work = 128 * cbrt(job->threads), by_memory = cbrt((double)facts->available / 4 / row);
    size_t n = (size_t)fmin(1600, fmin(by_work, by_memory));
    return n > 16 ? n : 16;
}

static void cg_layout(const struct me_job *job, size_t bytes[ME_JOB_ARRAYS])
{
    bytes[VALUES] = entries_of(job) * me_job_width(job);
    bytes[COLUMNS] = entries_of(job) * sizeof(uint32_t);
    bytes[ROWS] = (rows_of(job) + 1) * sizeof(uint64_t);
    for (int i = RIGHT; i <= Q; i++) bytes[i] = rows_of(job) * me_job_width(job);
}

static size_t less(size_t a, size_t b)
{
    return a < b ? a : b;
}
static size_t beyond(size_t a, size_t b)
{
    return a > b ? a - b : 0;
}

/* The entries before row i, so that each thread can begin with its own: seven a row, without the neighbours
 * that the points before it on the faces do not have. */
static uint64_t entries_before(size_t n, size_t i)
{
    size_t plane = n * n, lines = i / n, in_line = i % n, planes = i / plane, in_plane = i % plane;
    size_t x = 2 * lines + (in_line > 0);
    size_t y = 2 * n * planes + less(in_plane, n) + beyond(in_plane, plane - n);
    size_t z = less(i, plane) + beyond(i, plane * (n - 1));
    return 7 * i - x - y - z;
}

/* The neighbours of point i, itself between them, in the order of their numbers. */
static int neighbours(size_t n, size_t i, size_t columns[7])
{
    size_t plane = n * n, x = i % n, y = i / n % n, z = i / plane;
    int count = 0;
    if (z > 0) columns[count++] = i - plane;
    if (y > 0) columns[count++] = i - n;
    if (x > 0) columns[count++] = i - 1;
    columns[count++] = i;
    if (x + 1 < n) columns[count++] = i + 1;
    if (y + 1 < n) columns[count++] = i + n;
    if (z + 1 < n) columns[count++] = i + plane;
    return count;
}

static void cg_fill(struct me_job *job, struct me_worker *worker)
{
    uint32_t *columns = job->arrays[COLUMNS];
    uint64_t *rows = job->arrays[ROWS];
    size_t first, end, row[7];
    me_team_share(worker, rows_of(job), GRAIN, &first, &end);
    uint64_t k = entries_before(job->size, first);
    for (size_t i = first; i < end; i++) {
        int count = neighbours(job->size, i, row);
        rows[i] = k;
        for (int j = 0; j < count; j++, k++) {
            columns[k] = (uint32_t)row[j];
            me_job_set(job, VALUES, k, row[j] == i ? 6 : -1);
        }
        me_job_set(job, RIGHT, i, me_job_random(job, SEED, i));
        for (int array = X; array <= Q; array++) me_job_set(job, array, i, 0);
    }
    if (end == rows_of(job)) rows[end] = k;
}

static void cg_pass(struct me_job *job, struct me_worker *worker)
{
    job->single ? solve_single(job, worker) : solve_double(job, worker);
}

static double cg_work(const struct me_job *job)
{
    return ITERATIONS * (2 * (double)entries_of(job) + 10 * (double)rows_of(job)) * 1e-9;
}

struct checker {
    struct me_job *job;
    double right, residual, gap; /* sums of squares: of b, of b - A x, of what r is off from that */
};

static void check_rows(struct me_worker *worker, void *argument)
{
    struct checker *checker = argument;
    const struct me_job *job = checker->job;
    double right = 0, residual = 0, gap = 0;
    size_t first, end, row[7];
    me_team_share(worker, rows_of(job), GRAIN, &first, &end);
    for (size_t i = first; i < end; i++) {
        int count = neighbours(job->size, i, row);
        double b = me_job_random(job, SEED, i), rest = b - 7 * me_job_get(job, X, i);
        for (int j = 0; j < count; j++) rest += me_job_get(job, X, row[j]);
        double off = rest - me_job_get(job, R, i);
        right += b * b;
        residual += rest * rest;
        gap += off * off;
    }
    right = me_team_sum(worker, right);
    residual = me_team_sum(worker, residual);
    gap = me_team_sum(worker, gap);
    if (worker->number) return;
    checker->right = right;
    checker->residual = residual;
    checker->gap = gap;
}

/* The two residuals part by the rounding of each iteration, which is of the order of epsilon |A| |x|. 1000
 * epsilon is 20 an iteration. A noise, as b is, loses more than nine tenths in 50 iterations on any grid. */
static int cg_check(struct me_job *job, struct me_team *team, long passes, double *residual,
                    struct me_error *err)
{
    (void)passes;
    struct checker checker = {.job = job};
    if (me_team_run(team, check_rows, &checker, err)) return -1;
    *residual = sqrt(checker.residual / checker.right);
    double gap = sqrt(checker.gap / checker.right);
    if (me_compute_judge("iterated residual's error", gap, 1000 * me_job_epsilon(job), err)) return -1;
    return me_compute_judge("residual", *residual, 0.1, err);
}

const struct me_compute me_cg_compute = {
    .name = "cg",
    .power = "^3",
    .unit = "GFLOP",
    .metric = "gflop_per_s",
    .residual = "residual",
    .summary = "Conjugate gradients on a sparse matrix in compressed rows; prints GFLOP/s.",
    .details = "The matrix is the 7-point one of Poisson's equation on a cube of n x n x n points. A\n"
               "pass is 50 iterations from zero, each counted as 2 nnz + 10 n^3 operations: the product,\n"
               "two dot products and three additions of vectors. By default n is 128 x the cube root of\n"
               "the number of threads, or less where matrix and vectors would be more than a quarter of\n"
               "the memory that is available. The check: b - A x, without the stored matrix, is the\n"
               "residual that the iterations had, and a tenth of b at most.",
    .size_help = "points on an edge of the cube (default: see below)",
    .size_min = 16,
    .size_max = 1600,
    .choose = cg_choose,
    .layout = cg_layout,
    .fill = cg_fill,
    .pass = cg_pass,
    .work = cg_work,
    .check = cg_check,
};

int me_cg_main(int argc, char **argv)
{
    return me_compute_main(&me_cg_compute, argc, argv);
}
