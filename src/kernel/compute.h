/* What gemm, stream, fft and cg share: their options, their size by the machine's memory, and the order of
 * their work: fill (region `setup`), passes until the time is up (region `run`), and a check of what came
 * out (region `check`). A wrong result is an error. Each kernel is a row of functions for that. */
#ifndef ME_COMPUTE_H
#define ME_COMPUTE_H

#include "kernel.h"
#include "network.h" /* me_network_random */
#include "team.h"
#include <float.h>
#include <stdbool.h>
#include <stddef.h>

enum { ME_JOB_ARRAYS = 8 };

struct me_job {
    size_t size; /* the n of the kernel */
    bool single; /* the arrays hold float, else double */
    int threads;
    void *arrays[ME_JOB_ARRAYS]; /* as the kernel's layout says */
    void *library;               /* the kernel's own */
    double seconds[4];           /* of the parts of a pass, where a kernel tells them apart */
};

struct me_memory_facts {
    unsigned long long available, caches; /* bytes */
};

struct me_compute {
    const char *name;
    const char *power;             /* behind n in print: "", "^3" */
    const char *unit, *metric;     /* "GFLOP", "gflop_per_s"; the rate is printed as unit/s */
    const char *residual;          /* what the check's number is called in print */
    const char *summary, *details; /* of --help */
    const char *size_help;
    double size_min, size_max; /* of --size */
    bool own_threads;          /* the library brings its own: pass is called by one thread */
    /* The n that is taken where none is given. */
    size_t (*choose)(const struct me_job *job, const struct me_memory_facts *facts);
    /* The bytes of each array for job->size; 0: not used. */
    void (*layout)(const struct me_job *job, size_t bytes[ME_JOB_ARRAYS]);
    /* Libraries and plans, from ready arrays; with `plan` false only whether the library is here, and what it
     * is. NULL: needs none. */
    int (*open)(struct me_job *job, bool plan, char *what, size_t size, struct me_error *err);
    void (*close)(struct me_job *job);
    /* Called by all threads of the team. */
    void (*fill)(struct me_job *job, struct me_worker *worker);
    void (*pass)(struct me_job *job, struct me_worker *worker);
    /* Units of work of one pass. */
    double (*work)(const struct me_job *job);
    /* Is the result right? -1: it is not. *residual is written also then. */
    int (*check)(struct me_job *job, struct me_team *team, long passes, double *residual,
                 struct me_error *err);
    /* What else the line of the result tells, or NULL. */
    void (*detail)(const struct me_job *job, const struct me_memory_facts *facts, long passes, char *text,
                   size_t size);
};

extern const struct me_compute me_gemm_compute;   /* arrays: A, B, C */
extern const struct me_compute me_stream_compute; /* a, b, c */
extern const struct me_compute me_fft_compute;    /* in, out */
extern const struct me_compute me_cg_compute;     /* values, columns, rows, b, x, r, p, q */

int me_compute_main(const struct me_compute *kernel, int argc, char **argv);
/* Takes the memory of the job's size, opens; and the way back (NULL-safe, twice is fine). */
int me_compute_prepare(const struct me_compute *kernel, struct me_job *job, struct me_error *err);
void me_compute_release(const struct me_compute *kernel, struct me_job *job);
/* Fills, with marks, and then runs the passes. */
int me_compute_fill(const struct me_compute *kernel, struct me_job *job, struct me_team *team,
                    struct me_error *err);
int me_compute_run(const struct me_compute *kernel, struct me_job *job, struct me_team *team, double seconds,
                   long *passes, double *elapsed, struct me_error *err);

/* The word for a check: -1 with a line if the value is above the limit, or is no number. */
int me_compute_judge(const char *what, double value, double limit, struct me_error *err);

static inline size_t me_job_width(const struct me_job *job)
{
    return job->single ? sizeof(float) : sizeof(double);
}
static inline double me_job_epsilon(const struct me_job *job)
{
    return job->single ? (double)FLT_EPSILON : DBL_EPSILON;
}
static inline double me_job_get(const struct me_job *job, int array, size_t i)
{
    return job->single ? (double)((const float *)job->arrays[array])[i]
                       : ((const double *)job->arrays[array])[i];
}
static inline void me_job_set(const struct me_job *job, int array, size_t i, double value)
{
    if (job->single)
        ((float *)job->arrays[array])[i] = (float)value;
    else
        ((double *)job->arrays[array])[i] = value;
}
/* Number i of stream `seed`, within [-0.5, 0.5], as an array of the job holds it. All bits are in use: zeros
 * cost less energy. */
static inline double me_job_random(const struct me_job *job, uint64_t seed, size_t i)
{
    double value = (double)(me_network_random(seed, i) >> 11) * 0x1p-53 - 0.5;
    return job->single ? (double)(float)value : value;
}

#endif
