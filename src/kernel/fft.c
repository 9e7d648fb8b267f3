/* fft: the Fourier transform of n complex numbers in a row, 5 n log2(n) operations as benchFFT counts them
 * (http://www.fftw.org/speed/), whatever FFTW makes of it. From one array into another, so that each pass
 * transforms the same numbers. */
#include "compute.h"
#include "fftw.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { IN, OUT, GRAIN = 512, SEED = 7 };

struct library {
    struct me_fftw fftw;
    void *forward, *backward; /* plans */
};

/* FFTW's own tables are small against the two arrays. */
static size_t fft_choose(const struct me_job *job, const struct me_memory_facts *facts)
{
    double most = (double)facts->available / 4 / 2 / (2 * (double)me_job_width(job));
    size_t n = 1024;
    while (n < (1u << 30) && 2 * n <= ((size_t)job->threads << 24) && 2 * (double)n <= most) n *= 2;
    return n;
}

static void fft_layout(const struct me_job *job, size_t bytes[ME_JOB_ARRAYS])
{
    for (int i = IN; i <= OUT; i++) bytes[i] = job->size * 2 * me_job_width(job);
}

static void fft_close(struct me_job *job)
{
    struct library *library = job->library;
    if (!library) return;
    if (library->fftw.handle) {
        me_fftw_destroy_plan(&library->fftw, library->forward);
        me_fftw_destroy_plan(&library->fftw, library->backward);
        me_fftw_close(&library->fftw);
    }
    free(library);
    job->library = NULL;
}

static int fft_open(struct me_job *job, bool plan, char *what, size_t size, struct me_error *err)
{
    struct library *library = calloc(1, sizeof *library);
    if (!library) return me_fail(err, ME_E_RUN, "no memory");
    job->library = library;
    if (me_fftw_open(&library->fftw, job->single, err)) return -1;
    snprintf(what, size, "%s", library->fftw.version);
    if (!plan) return 0;
    void *in = job->arrays[IN], *out = job->arrays[OUT];
    library->forward = me_fftw_plan(&library->fftw, job->size, in, out, FFTW_FORWARD, job->threads);
    library->backward = me_fftw_plan(&library->fftw, job->size, out, in, FFTW_BACKWARD, job->threads);
    if (!library->forward || !library->backward)
        return me_fail(err, ME_E_RUN, "FFTW has no way to transform %zu numbers here", job->size);
    return 0;
}

/* FFTW's threads take their parts from all over; the stripes spread the pages over all nodes. */
static void fft_fill(struct me_job *job, struct me_worker *worker)
{
    size_t first, end;
    me_team_share(worker, 2 * job->size, GRAIN, &first, &end);
    for (size_t i = first; i < end; i++) {
        me_job_set(job, IN, i, me_job_random(job, SEED, i));
        me_job_set(job, OUT, i, 0);
    }
}

static void fft_pass(struct me_job *job, struct me_worker *worker)
{
    (void)worker;
    const struct library *library = job->library;
    me_fftw_execute(&library->fftw, library->forward);
}

static double fft_work(const struct me_job *job)
{
    return 5 * (double)job->size * log2((double)job->size) * 1e-9;
}

struct checker {
    struct me_job *job;
    size_t tone;
    double most;
};

/* After forward and backward: n times what was put in, whose numbers have a mean square of 1/12. */
static void check_return(struct me_worker *worker, void *argument)
{
    struct checker *checker = argument;
    const struct me_job *job = checker->job;
    size_t first, end;
    double most = 0;
    me_team_share(worker, 2 * job->size, GRAIN, &first, &end);
    for (size_t i = first; i < end; i++) {
        double error = me_job_get(job, IN, i) / (double)job->size - me_job_random(job, SEED, i);
        most = me_more(most, fabs(error) * sqrt(12));
    }
    most = me_team_most(worker, most);
    if (worker->number == 0) checker->most = most;
}

static void fill_tone(struct me_worker *worker, void *argument)
{
    const struct checker *checker = argument;
    const struct me_job *job = checker->job;
    size_t n = job->size, first, end;
    me_team_share(worker, n, GRAIN, &first, &end);
    for (size_t i = first; i < end; i++) {
        double turn = (double)(checker->tone * i % n) / (double)n;
        me_job_set(job, IN, 2 * i, cos(2 * M_PI * turn));
        me_job_set(job, IN, 2 * i + 1, sin(2 * M_PI * turn));
    }
}

static void check_tone(struct me_worker *worker, void *argument)
{
    struct checker *checker = argument;
    const struct me_job *job = checker->job;
    size_t first, end;
    double most = 0, n = (double)job->size;
    me_team_share(worker, job->size, GRAIN, &first, &end);
    for (size_t i = first; i < end; i++) {
        double real = me_job_get(job, OUT, 2 * i) / n - (i == checker->tone),
               imaginary = me_job_get(job, OUT, 2 * i + 1) / n;
        most = me_more(most, hypot(real, imaginary));
    }
    most = me_team_most(worker, most);
    if (worker->number == 0) checker->most = most;
}

static int fft_check(struct me_job *job, struct me_team *team, long passes, double *residual,
                     struct me_error *err)
{
    (void)passes;
    const struct library *library = job->library;
    struct checker checker = {.job = job, .tone = job->size / 3};
    double limit = 32 * fmax(1, log2((double)job->size)) * me_job_epsilon(job);
    me_fftw_execute(&library->fftw, library->backward);
    if (me_team_run(team, check_return, &checker, err)) return -1;
    *residual = checker.most;
    if (me_compute_judge("error of the way back", checker.most, limit, err)) return -1;
    if (me_team_run(team, fill_tone, &checker, err)) return -1;
    me_fftw_execute(&library->fftw, library->forward);
    if (me_team_run(team, check_tone, &checker, err)) return -1;
    *residual = me_more(*residual, checker.most);
    return me_compute_judge("error of a tone", checker.most, limit, err);
}

const struct me_compute me_fft_compute = {
    .name = "fft",
    .power = "",
    .unit = "GFLOP",
    .metric = "gflop_per_s",
    .residual = "error",
    .summary = "Transform a row of complex numbers with FFTW and print GFLOP/s.",
    .details = "A pass is one forward transform, counted as 5 n log2(n) operations; FFTW estimates its\n"
               "way (FFTW_ESTIMATE). By default n is 2^24 x the number of threads, rounded down to a\n"
               "power of two, at most 2^30, or less where that would be more than a quarter of the\n"
               "memory that is available. The check: the way back must give what was put in, and a\n"
               "single tone a single line.",
    .size_help = "complex numbers (default: see below)",
    .size_min = 2,
    .size_max = 1073741824,
    .own_threads = true,
    .choose = fft_choose,
    .layout = fft_layout,
    .open = fft_open,
    .close = fft_close,
    .fill = fft_fill,
    .pass = fft_pass,
    .work = fft_work,
    .check = fft_check,
};

int me_fft_main(int argc, char **argv)
{
    return me_compute_main(&me_fft_compute, argc, argv);
}
