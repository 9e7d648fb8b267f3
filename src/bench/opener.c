#include "opener.h"
#include "me/clock.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_NS (ME_NS_PER_S / 100)

/* All that the thread needs is its own: it may outlive the caller. */
struct opener {
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool ended, abandoned;
    int rc;
    struct me_meter meter;
    struct me_meter_options options;
    char *texts[4];
    char **strip_env;
    struct me_error err;
};

static void destroy(struct opener *opener)
{
    for (size_t i = 0; i < sizeof opener->texts / sizeof *opener->texts; i++) free(opener->texts[i]);
    for (size_t i = 0; opener->strip_env && opener->strip_env[i]; i++) free(opener->strip_env[i]);
    free(opener->strip_env);
    pthread_cond_destroy(&opener->news);
    pthread_mutex_destroy(&opener->lock);
    free(opener);
}

static bool copy_text(char **copy, const char **text)
{
    if (!*text) return true;
    *text = *copy = strdup(*text);
    return *copy != NULL;
}

static bool copy_names(struct opener *opener)
{
    char *const *names = opener->options.strip_env;
    size_t count = 0;
    while (names && names[count]) count++;
    opener->options.strip_env = opener->strip_env = calloc(count + 1, sizeof *opener->strip_env);
    if (!opener->strip_env) return false;
    for (size_t i = 0; i < count; i++)
        if (!(opener->strip_env[i] = strdup(names[i]))) return false;
    return true;
}

static struct opener *create(const struct me_meter_options *options)
{
    struct opener *opener = calloc(1, sizeof *opener);
    if (!opener) return NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&opener->news, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&opener->lock, NULL);
    opener->meter.root.fd = -1;
    opener->options = *options;
    if (copy_text(&opener->texts[0], &opener->options.root) &&
        copy_text(&opener->texts[1], &opener->options.only) &&
        copy_text(&opener->texts[2], &opener->options.external) &&
        copy_text(&opener->texts[3], &opener->options.events) && copy_names(opener))
        return opener;
    destroy(opener);
    return NULL;
}

static void *run(void *arg)
{
    struct opener *opener = arg;
    opener->rc = me_meter_open(&opener->meter, &opener->options, &opener->err);
    pthread_mutex_lock(&opener->lock);
    opener->ended = true;
    bool abandoned = opener->abandoned;
    pthread_cond_signal(&opener->news);
    pthread_mutex_unlock(&opener->lock);
    if (abandoned) {
        me_meter_close(&opener->meter);
        destroy(opener);
    }
    return NULL;
}

/* Signals stay with the main thread. 0 or an errno. */
static int start(struct opener *opener, pthread_t *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, opener);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* Waits for its end, or for a stop; which of them it was. */
static bool has_ended(struct opener *opener, struct me_link *link)
{
    pthread_mutex_lock(&opener->lock);
    while (!opener->ended) {
        int64_t due_ns = me_clock_mono_ns() + LOOK_NS;
        struct timespec due = {.tv_sec = due_ns / ME_NS_PER_S, .tv_nsec = due_ns % ME_NS_PER_S};
        pthread_cond_timedwait(&opener->news, &opener->lock, &due);
        if (opener->ended) break;
        pthread_mutex_unlock(&opener->lock);
        bool goes_on = link->wait(link);
        pthread_mutex_lock(&opener->lock);
        if (!goes_on) break;
    }
    bool ended = opener->ended;
    opener->abandoned = !ended;
    pthread_mutex_unlock(&opener->lock);
    return ended;
}

int me_opener_open(struct me_meter *meter, const struct me_meter_options *options, struct me_link *link,
                   bool *stopped, struct me_error *err)
{
    struct opener *opener = create(options);
    pthread_t thread;
    if (!opener) return me_fail(err, ME_E_RUN, "sources: no memory");
    int error = start(opener, &thread);
    if (error) {
        destroy(opener);
        return me_fail_errno(err, ME_E_RUN, error, "sources: no thread");
    }
    if (!has_ended(opener, link)) {
        pthread_detach(thread);
        *stopped = true;
        return me_fail(err, ME_E_RUN, "stopped while the meters were opened");
    }
    pthread_join(thread, NULL);
    int rc = opener->rc;
    if (rc)
        *err = opener->err;
    else
        *meter = opener->meter;
    destroy(opener);
    return rc;
}
