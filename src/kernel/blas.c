#include "blas.h"
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char *const libraries[] = {"libopenblas.so.0", "libopenblasp.so.0", "libopenblas.so", NULL};

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
    {"cblas_sgemm", offsetof(struct me_blas, sgemm)},
    {"cblas_dgemm", offsetof(struct me_blas, dgemm)},
    {"openblas_set_num_threads", offsetof(struct me_blas, set_num_threads)},
    {"openblas_get_config", offsetof(struct me_blas, get_config)},
};

int me_blas_open(struct me_blas *blas, struct me_error *err)
{
    struct me_blas found = {.handle = NULL};
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* read while loading: start no threads */
    for (const char *const *name = libraries; *name && !found.handle; name++)
        found.handle = dlopen(*name, RTLD_NOW | RTLD_LOCAL);
    if (!found.handle)
        return me_fail(err, ME_E_RUN, "OpenBLAS (%s) is missing; apt-get install libopenblas0-pthread",
                       libraries[0]);
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(found.handle, symbols[i].name);
        if (!symbol) {
            dlclose(found.handle);
            return me_fail(err, ME_E_RUN, "OpenBLAS has no %s; apt-get install libopenblas0-pthread",
                           symbols[i].name);
        }
        memcpy((char *)&found + symbols[i].offset, &symbol, sizeof symbol);
    }
    found.set_num_threads(1);
    *blas = found;
    return 0;
}

void me_blas_close(struct me_blas *blas)
{
    if (!blas || !blas->handle) return;
    dlclose(blas->handle);
    blas->handle = NULL;
}
