#include "fftw.h"
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Each loads the library of the transforms along. */
static const struct {
    const char *library, *prefix, *package;
} precisions[] = {
    {"libfftw3_threads.so.3", "fftw_", "libfftw3-double3"},
    {"libfftw3f_threads.so.3", "fftwf_", "libfftw3-single3"},
};

#define AT(name) offsetof(struct me_fftw, wide.name), offsetof(struct me_fftw, narrow.name)
static const struct {
    const char *name;
    size_t offsets[2];
} symbols[] = {
    {"init_threads", {AT(init_threads)}},
    {"plan_with_nthreads", {AT(plan_with_nthreads)}},
    {"cleanup_threads", {AT(cleanup_threads)}},
    {"plan_dft_1d", {AT(plan)}},
    {"execute", {AT(execute)}},
    {"destroy_plan", {AT(destroy_plan)}},
};

static void *find(void *handle, const char *prefix, const char *name)
{
    char whole[64];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return dlsym(handle, whole);
}

int me_fftw_open(struct me_fftw *fftw, bool single, struct me_error *err)
{
    struct me_fftw found = {.single = single};
    const char *library = precisions[single].library, *prefix = precisions[single].prefix;
    const char *package = precisions[single].package;
    found.handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!found.handle)
        return me_fail(err, ME_E_RUN, "FFTW (%s) is missing; apt-get install %s", library, package);
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = find(found.handle, prefix, symbols[i].name);
        if (!symbol) {
            dlclose(found.handle);
            return me_fail(err, ME_E_RUN, "FFTW (%s) has no %s%s; apt-get install %s", library, prefix,
                           symbols[i].name, package);
        }
        memcpy((char *)&found + symbols[i].offsets[single], &symbol, sizeof symbol);
    }
    found.version = find(found.handle, prefix, "version");
    if (!found.version) found.version = "FFTW";
    if (!(single ? found.narrow.init_threads() : found.wide.init_threads())) {
        dlclose(found.handle);
        return me_fail(err, ME_E_RUN, "FFTW cannot use threads here");
    }
    *fftw = found;
    return 0;
}

/* The library stays loaded: its threads are detached, and the last of them may still be on its way out of
 * code that would be gone. */
void me_fftw_close(struct me_fftw *fftw)
{
    if (!fftw || !fftw->handle) return;
    fftw->single ? fftw->narrow.cleanup_threads() : fftw->wide.cleanup_threads();
    fftw->handle = NULL;
}

void *me_fftw_plan(const struct me_fftw *fftw, size_t n, void *in, void *out, int sign, int threads)
{
    if (fftw->single) {
        fftw->narrow.plan_with_nthreads(threads);
        return fftw->narrow.plan((int)n, in, out, sign, FFTW_ESTIMATE);
    }
    fftw->wide.plan_with_nthreads(threads);
    return fftw->wide.plan((int)n, in, out, sign, FFTW_ESTIMATE);
}

void me_fftw_execute(const struct me_fftw *fftw, void *plan)
{
    fftw->single ? fftw->narrow.execute(plan) : fftw->wide.execute(plan);
}

void me_fftw_destroy_plan(const struct me_fftw *fftw, void *plan)
{
    if (!plan) return;
    fftw->single ? fftw->narrow.destroy_plan(plan) : fftw->wide.destroy_plan(plan);
}
