/* gemm: C = A B of dense square matrices, 2 n^3 operations. Each of our threads multiplies its block of C
 * with an OpenBLAS that runs in one thread: Debian's has no more than 64 of its own, and these stay on their
 * cores, by the memory that they touched first. */
#include "blas.h"
#include "compute.h"
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { A, B, C, GRAIN = 16 };

static size_t gemm_choose(const struct me_job *job, const struct me_memory_facts *facts)
{
    double by_work = (job->single ? 4096 : 3251) * cbrt(job->threads);
    double by_memory = sqrt((double)facts->available / 4 / 3 / (double)me_job_width(job));
    size_t n = (size_t)fmin(by_work, by_memory);
    return n > GRAIN ? n / GRAIN * GRAIN : GRAIN;
}

static void gemm_layout(const struct me_job *job, size_t bytes[ME_JOB_ARRAYS])
{
    for (int i = A; i <= C; i++) bytes[i] = job->size * job->size * me_job_width(job);
}

static int gemm_open(struct me_job *job, bool plan, char *what, size_t size, struct me_error *err)
{
    (void)plan;
    struct me_blas *blas = malloc(sizeof *blas);
    if (!blas) return me_fail(err, ME_E_RUN, "no memory");
    if (me_blas_open(blas, err)) {
        free(blas);
        return -1;
    }
    job->library = blas;
    snprintf(what, size, "%s", blas->get_config());
    return 0;
}

static void gemm_close(struct me_job *job)
{
    me_blas_close(job->library);
    free(job->library);
    job->library = NULL;
}

/* The threads stand in a grid that is as square as their number lets it be: a block of C then needs the
 * least of A and B. */
static void find_block(const struct me_job *job, const struct me_worker *worker, size_t *row, size_t *row_end,
                       size_t *column, size_t *column_end)
{
    int threads = worker->team->threads, rows = (int)sqrt((double)threads);
    while (threads % rows) rows--;
    int columns = threads / rows;
    me_team_part(job->size, rows, worker->number / columns, GRAIN, row, row_end);
    me_team_part(job->size, columns, worker->number % columns, GRAIN, column, column_end);
}

/* A and B are read by many threads, and so lie in stripes all over the machine; C's blocks are each one's
 * own. */
static void gemm_fill(struct me_job *job, struct me_worker *worker)
{
    size_t n = job->size, first, end, row, row_end, column, column_end;
    me_team_share(worker, n * n, 4096, &first, &end);
    for (int array = A; array <= B; array++)
        for (size_t i = first; i < end; i++)
            me_job_set(job, array, i, me_job_random(job, (uint64_t)array, i));
    find_block(job, worker, &row, &row_end, &column, &column_end);
    for (; row < row_end; row++)
        for (size_t j = column; j < column_end; j++) me_job_set(job, C, row * n + j, 0);
}

static void gemm_pass(struct me_job *job, struct me_worker *worker)
{
    const struct me_blas *blas = job->library;
    size_t n = job->size, row, row_end, column, column_end;
    int ld = (int)n;
    find_block(job, worker, &row, &row_end, &column, &column_end);
    int height = (int)(row_end - row), width = (int)(column_end - column);
    if (!height || !width) return;
    if (job->single) {
        float *a = job->arrays[A], *b = job->arrays[B], *c = job->arrays[C];
        blas->sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, height, width, ld, 1, a + row * n, ld,
                    b + column, ld, 0, c + row * n + column, ld);
    } else {
        double *a = job->arrays[A], *b = job->arrays[B], *c = job->arrays[C];
        blas->dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, height, width, ld, 1, a + row * n, ld,
                    b + column, ld, 0, c + row * n + column, ld);
    }
}

static double gemm_work(const struct me_job *job)
{
    double n = (double)job->size;
    return 2 * n * n * n * 1e-9;
}

/* Of n each. */
struct checker {
    struct me_job *job;
    double *r, *br;        /* +-1; B r */
    double *right, *wrong; /* A (B r); what C r is off from that */
};

/* Freivalds: each entry of C goes into its row's sum with a sign that nothing knew when C was made, so that
 * a wrong one shows, with n^2 operations. All is added in double. */
static void check_rows(struct me_worker *worker, void *argument)
{
    const struct checker *checker = argument;
    const struct me_job *job = checker->job;
    size_t n = job->size, first, end;
    me_team_share(worker, n, 1, &first, &end);
    for (size_t i = first; i < end; i++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++) sum += me_job_get(job, B, i * n + j) * checker->r[j];
        checker->br[i] = sum;
    }
    me_team_wait(worker);
    for (size_t i = first; i < end; i++) {
        double cr = 0, abr = 0;
        for (size_t j = 0; j < n; j++) {
            cr += me_job_get(job, C, i * n + j) * checker->r[j];
            abr += me_job_get(job, A, i * n + j) * checker->br[j];
        }
        checker->right[i] = abr;
        checker->wrong[i] = fabs(cr - abr);
    }
}

/* The largest error of a row, against the rows' usual size. The rounding of n products grows with sqrt(n) at
 * most; a single entry that is off by its own size shows as 1/sqrt(n). */
static int gemm_check(struct me_job *job, struct me_team *team, long passes, double *residual,
                      struct me_error *err)
{
    (void)passes;
    size_t n = job->size;
    double *memory = malloc(4 * n * sizeof *memory), squares = 0, most = 0;
    struct checker checker = {job, memory, memory + n, memory + 2 * n, memory + 3 * n};
    if (!memory) return me_fail(err, ME_E_RUN, "no memory for the check");
    for (size_t i = 0; i < n; i++) checker.r[i] = me_job_random(job, C, i) < 0 ? -1 : 1;
    int rc = me_team_run(team, check_rows, &checker, err);
    for (size_t i = 0; i < n && !rc; i++) {
        squares += checker.right[i] * checker.right[i];
        most = me_more(most, checker.wrong[i]);
    }
    free(memory);
    if (rc) return rc;
    *residual = most / sqrt(squares / (double)n);
    return me_compute_judge("residual", *residual, 4 * sqrt((double)n) * me_job_epsilon(job), err);
}

const struct me_compute me_gemm_compute = {
    .name = "gemm",
    .power = "",
    .unit = "GFLOP",
    .metric = "gflop_per_s",
    .residual = "residual",
    .summary = "Multiply dense square matrices with OpenBLAS and print GFLOP/s.",
    .details = "A pass is C = A B, counted as 2 n^3 operations. By default n is 3251 x the cube root of\n"
               "the number of threads (4096 in single precision), some seconds a pass, or less where the\n"
               "three matrices would be more than a quarter of the memory that is available. The check:\n"
               "C r = A (B r) for a random vector r of +-1.",
    .size_help = "rows and columns of the matrices (default: see below)",
    .size_min = 1,
    .size_max = 1000000,
    .choose = gemm_choose,
    .layout = gemm_layout,
    .open = gemm_open,
    .close = gemm_close,
    .fill = gemm_fill,
    .pass = gemm_pass,
    .work = gemm_work,
    .check = gemm_check,
};

int me_gemm_main(int argc, char **argv)
{
    return me_compute_main(&me_gemm_compute, argc, argv);
}
