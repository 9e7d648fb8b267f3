/* FFTW, loaded when a kernel needs it, as OpenBLAS is (blas.h): a machine without it gets a clear line. */
#ifndef ME_FFTW_H
#define ME_FFTW_H

#include "me/error.h"
#include <fftw3.h>
#include <stdbool.h>

struct me_fftw {
    void *handle;
    bool single;
    union { /* of the precision that was asked for */
        struct {
            __typeof__(fftw_init_threads) *init_threads;
            __typeof__(fftw_plan_with_nthreads) *plan_with_nthreads;
            __typeof__(fftw_cleanup_threads) *cleanup_threads;
            __typeof__(fftw_plan_dft_1d) *plan;
            __typeof__(fftw_execute) *execute;
            __typeof__(fftw_destroy_plan) *destroy_plan;
        } wide;
        struct {
            __typeof__(fftwf_init_threads) *init_threads;
            __typeof__(fftwf_plan_with_nthreads) *plan_with_nthreads;
            __typeof__(fftwf_cleanup_threads) *cleanup_threads;
            __typeof__(fftwf_plan_dft_1d) *plan;
            __typeof__(fftwf_execute) *execute;
            __typeof__(fftwf_destroy_plan) *destroy_plan;
        } narrow;
    };
    const char *version;
};

int me_fftw_open(struct me_fftw *fftw, bool single, struct me_error *err);
void me_fftw_close(struct me_fftw *fftw); /* NULL-safe; plans are gone before */

/* A transform of n complex numbers from in to out, with its estimate of the best way, which touches neither;
 * sign -1 or 1. NULL: FFTW has none. */
void *me_fftw_plan(const struct me_fftw *fftw, size_t n, void *in, void *out, int sign, int threads);
void me_fftw_execute(const struct me_fftw *fftw, void *plan);
void me_fftw_destroy_plan(const struct me_fftw *fftw, void *plan); /* NULL is fine */

#endif
