#include "library.h"
#include "me/clock.h"
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The dynamic linker has one message for "not there" and "there, but broken"; only the name of the
 * library itself before this phrase means the former. */
static bool is_absent(const char *name, const char *message)
{
    size_t len = strlen(name);
    return !message || (!strncmp(message, name, len) && strstr(message + len, "No such file or directory"));
}

static const char *find_symbols(void *handle, const struct me_symbol *symbols, void **found)
{
    for (size_t i = 0; symbols[i].name; i++) {
        found[i] = dlsym(handle, symbols[i].name);
        if (!found[i] && !symbols[i].optional) return symbols[i].name;
    }
    return NULL;
}

static size_t count_symbols(const struct me_symbol *symbols)
{
    size_t n = 0;
    while (symbols[n].name) n++;
    return n;
}

/* All or nothing: a table that is half filled must not be used. */
static enum me_library_state fill(void *handle, const char *name, const struct me_symbol *symbols,
                                  void *functions, char *text, size_t size)
{
    size_t n = count_symbols(symbols);
    void **found = calloc(n + 1, sizeof *found);
    const char *missing = found ? find_symbols(handle, symbols, found) : "(no memory)";
    for (size_t i = 0; !missing && i < n; i++)
        memcpy((char *)functions + symbols[i].offset, &found[i], sizeof found[i]);
    free(found);
    if (!missing) return ME_LIBRARY_OPEN;
    snprintf(text, size, "%s has no function %s: too old, or not the library of that name", name, missing);
    return ME_LIBRARY_UNUSABLE;
}

enum me_library_state me_library_open(struct me_library *library, const char *const *names,
                                      const struct me_symbol *symbols, void *functions, char *text,
                                      size_t size)
{
    enum me_library_state state = ME_LIBRARY_ABSENT;
    for (size_t i = 0; names[i]; i++) {
        void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        if (!handle) {
            const char *message = dlerror();
            if (is_absent(names[i], message) || state == ME_LIBRARY_UNUSABLE) continue;
            snprintf(text, size, "%s", message);
            state = ME_LIBRARY_UNUSABLE;
            continue;
        }
        enum me_library_state filled = fill(handle, names[i], symbols, functions, text, size);
        if (filled == ME_LIBRARY_OPEN) {
            *library = (struct me_library){.handle = handle, .name = names[i]};
            return ME_LIBRARY_OPEN;
        }
        dlclose(handle);
        state = filled;
    }
    return state;
}

void me_library_close(struct me_library *library)
{
    if (!library || !library->handle) return;
    dlclose(library->handle);
    *library = (struct me_library){0};
}

/* Shared by the caller and the thread; whoever is done last frees it. */
struct call {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    void (*work)(void *arg);
    void *arg;
    bool done, left;
};

static void call_free(struct call *call)
{
    pthread_cond_destroy(&call->ended);
    pthread_mutex_destroy(&call->lock);
    free(call);
}

static void *run(void *arg)
{
    struct call *call = arg;
    call->work(call->arg);
    pthread_mutex_lock(&call->lock);
    call->done = true;
    bool left = call->left;
    pthread_cond_signal(&call->ended);
    pthread_mutex_unlock(&call->lock);
    if (left) call_free(call);
    return NULL;
}

static int start(struct call *call)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread, NULL, run, call);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) pthread_detach(thread);
    return error;
}

static struct call *call_create(void (*work)(void *arg), void *arg)
{
    struct call *call = calloc(1, sizeof *call);
    pthread_condattr_t attr;
    if (!call) return NULL;
    pthread_mutex_init(&call->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&call->ended, &attr);
    pthread_condattr_destroy(&attr);
    call->work = work;
    call->arg = arg;
    return call;
}

int me_library_run(void (*work)(void *arg), void *arg, double seconds)
{
    struct call *call = call_create(work, arg);
    if (!call) return -1;
    if (start(call)) {
        call_free(call);
        return -1;
    }
    int64_t until_ns = me_clock_mono_ns() + (int64_t)(seconds * 1e9);
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    pthread_mutex_lock(&call->lock);
    int error = 0;
    while (!call->done && !error) error = pthread_cond_timedwait(&call->ended, &call->lock, &until);
    bool done = call->done;
    call->left = !done;
    pthread_mutex_unlock(&call->lock);
    if (done) call_free(call);
    return done ? 0 : -1;
}
