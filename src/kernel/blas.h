/* OpenBLAS, loaded when a kernel needs it: its library starts a thread a core as soon as it is there,
 * which a sleeping or spinning machine must not pay for; and a machine without it gets a clear line. */
#ifndef ME_BLAS_H
#define ME_BLAS_H

#include "me/error.h"
#include <cblas.h>

struct me_blas {
    void *handle;
    __typeof__(cblas_sgemm) *sgemm;
    __typeof__(cblas_dgemm) *dgemm;
    __typeof__(openblas_set_num_threads) *set_num_threads;
    __typeof__(openblas_get_config) *get_config;
};

/* Loads it for calls from several threads of ours, with no thread of its own. */
int me_blas_open(struct me_blas *blas, struct me_error *err);
void me_blas_close(struct me_blas *blas); /* NULL-safe */

#endif
