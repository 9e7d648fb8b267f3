#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>
#include "prepare.h"

#define AT_ONCE   64
#define KEPT_OPEN 128 /* connections from one round to the next; of more machines each is made anew */
#define FILES_EACH                                                                                           \
    6 /* that a machine under way has open: connection, a second one to try the key, a file to put, ... */
#define FILES_OWN   40 /* ours, with room to spare */
#define STACK_BYTES (512 * 1024)
#define SECRETS     16

struct secret {
    char *prompt, *text;
};

struct me_pool {
    atomic_bool cancel, stop;
    pthread_t watcher;
    sigset_t signals, old;
    pthread_mutex_t lock; /* the progress line, and the person at the terminal */
    struct secret secrets[SECRETS];
    /* the round that is running */
    struct me_preparation *preparation;
    me_pool_step *step;
    enum me_step at;
    const char *doing;
    bool keeps; /* connections, for the next round */
    atomic_size_t next;
    size_t total, done, failed;
    size_t layers, layers_done; /* of images that are pulled */
};

/* The first signal winds down; the second ends us at once. SIGUSR2 ends the watch. */
static void *watch(void *context)
{
    struct me_pool *pool = context;
    int number = 0;
    bool before = false;
    while (!atomic_load(&pool->stop)) {
        if (sigwait(&pool->signals, &number) || number == SIGUSR2) continue;
        if (before) {
            signal(number, SIG_DFL);
            pthread_sigmask(SIG_UNBLOCK, &pool->signals, NULL);
            raise(number);
        }
        before = true;
        atomic_store(&pool->cancel, true);
    }
    return NULL;
}

int me_pool_create(struct me_pool **out, struct me_error *err)
{
    struct me_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return me_fail(err, ME_E_RUN, "no memory");
    pthread_mutex_init(&pool->lock, NULL);
    sigemptyset(&pool->signals);
    sigaddset(&pool->signals, SIGINT);
    sigaddset(&pool->signals, SIGTERM);
    sigaddset(&pool->signals, SIGHUP);
    sigaddset(&pool->signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &pool->signals, &pool->old);
    int error = pthread_create(&pool->watcher, NULL, watch, pool);
    if (error) {
        pthread_sigmask(SIG_SETMASK, &pool->old, NULL);
        free(pool);
        return me_fail_errno(err, ME_E_RUN, error, "cannot start a thread");
    }
    *out = pool;
    return 0;
}

const atomic_bool *me_pool_cancel(const struct me_pool *pool)
{
    return &pool->cancel;
}

void me_pool_rearm(struct me_pool *pool)
{
    atomic_store(&pool->cancel, false);
}

void me_pool_destroy(struct me_pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->stop, true);
    pthread_kill(pool->watcher, SIGUSR2);
    pthread_join(pool->watcher, NULL);
    pthread_sigmask(SIG_SETMASK, &pool->old, NULL);
    for (size_t i = 0; i < SECRETS; i++) {
        if (pool->secrets[i].text) explicit_bzero(pool->secrets[i].text, strlen(pool->secrets[i].text));
        free(pool->secrets[i].text);
        free(pool->secrets[i].prompt);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static void show_progress(struct me_pool *pool)
{
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r%s: %zu of %zu", pool->doing, pool->done, pool->total);
    if (pool->layers) fprintf(stderr, ", %zu of %zu layers", pool->layers_done, pool->layers);
    if (pool->failed) fprintf(stderr, ", %zu failed", pool->failed);
    fprintf(stderr, "\033[K%s", pool->done == pool->total ? "\r\033[K" : "");
}

void me_pool_hear(void *context, const char *bytes, size_t len)
{
    struct me_pool *pool = context;
    size_t begun = 0, ended = 0;
    for (size_t i = 0; i < len; i++) {
        begun += bytes[i] == '\001';
        ended += bytes[i] == '\002';
    }
    if (!begun && !ended) return;
    pthread_mutex_lock(&pool->lock);
    pool->layers += begun;
    pool->layers_done += ended;
    show_progress(pool);
    pthread_mutex_unlock(&pool->lock);
}

/* A thousand machines are no thousand descriptors, nor as many sessions in memory. */
static void run_step(struct me_pool *pool, struct me_host *host)
{
    struct me_preparation *preparation = pool->preparation;
    struct me_error err = {0};
    bool anew = !host->remote && host->step != ME_STEP_WAITING;
    if (anew && host->ops->connect(&host->remote, host->machine, &preparation->remote_options, &err))
        me_host_fail(host, &err);
    else
        pool->step(preparation, host);
    if (pool->keeps || !host->remote || !host->state) return;
    host->ops->close(host->remote);
    host->remote = NULL;
}

static void *work(void *context)
{
    struct me_pool *pool = context;
    size_t i;
    while ((i = atomic_fetch_add(&pool->next, 1)) < pool->preparation->count) {
        struct me_host *host = &pool->preparation->hosts[i];
        if (host->step != pool->at) continue;
        run_step(pool, host);
        pthread_mutex_lock(&pool->lock);
        pool->done++;
        pool->failed += host->step == ME_STEP_FAILED;
        show_progress(pool);
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

/* How many machines at once, and whether their connections stay open, as the limit of descriptors allows. */
static size_t plan_descriptors(struct me_pool *pool, const struct me_preparation *preparation)
{
    struct rlimit limit = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &limit);
    size_t files = limit.rlim_cur > 65536 ? 65536 : (size_t)limit.rlim_cur;
    size_t left = files > FILES_OWN ? files - FILES_OWN : 0, at_once = left / FILES_EACH;
    if (at_once > AT_ONCE) at_once = AT_ONCE;
    if (!at_once) at_once = 1;
    pool->keeps = preparation->count <= KEPT_OPEN && preparation->count + FILES_EACH * at_once <= left;
    return at_once;
}

void me_pool_run(struct me_pool *pool, struct me_preparation *preparation, enum me_step at,
                 me_pool_step *step, const char *doing)
{
    pthread_t threads[AT_ONCE];
    pthread_attr_t attr;
    size_t started = 0;
    pool->preparation = preparation;
    pool->step = step;
    pool->at = at;
    pool->doing = doing;
    pool->total = pool->done = pool->failed = pool->layers = pool->layers_done = 0;
    atomic_store(&pool->next, 0);
    for (size_t i = 0; i < preparation->count; i++) pool->total += preparation->hosts[i].step == at;
    if (pool->total) show_progress(pool);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    size_t at_once = plan_descriptors(pool, preparation);
    while (started < at_once && started < pool->total &&
           !pthread_create(&threads[started], &attr, work, pool))
        started++;
    pthread_attr_destroy(&attr);
    if (!started) work(pool); /* no thread to be had: one after another, then */
    for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
}

/* Reads a line without echo, and without hanging on when cancelled. */
static bool read_hidden(int tty, const atomic_bool *cancel, char *text, size_t size)
{
    size_t len = 0;
    for (;;) {
        struct pollfd poller = {.fd = tty, .events = POLLIN};
        if (atomic_load(cancel)) return false;
        if (poll(&poller, 1, 100) <= 0) continue;
        char c;
        ssize_t n = read(tty, &c, 1);
        if (n <= 0) return false;
        if (c == '\n') break;
        if (len + 1 < size) text[len++] = c;
    }
    text[len] = '\0';
    return len > 0;
}

static bool ask_person(struct me_pool *pool, const char *prompt, char *text, size_t size)
{
    struct termios before, quiet;
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0) return false;
    bool ok = false;
    if (!tcgetattr(tty, &before)) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(tty, TCSAFLUSH, &quiet);
        dprintf(tty, "\r\033[K%s", prompt);
        ok = read_hidden(tty, &pool->cancel, text, size);
        tcsetattr(tty, TCSAFLUSH, &before);
        dprintf(tty, "\n");
    }
    close(tty);
    return ok;
}

bool me_pool_ask(void *context, const char *prompt, char *text, size_t size)
{
    struct me_pool *pool = context;
    bool ok = false;
    pthread_mutex_lock(&pool->lock);
    struct secret *secret = pool->secrets;
    while (secret < pool->secrets + SECRETS - 1 && secret->prompt && strcmp(secret->prompt, prompt)) secret++;
    if (secret->prompt && !strcmp(secret->prompt, prompt)) { /* asked before, for another machine */
        ok = secret->text && strlen(secret->text) < size;
        if (ok) strcpy(text, secret->text);
    } else {
        ok = ask_person(pool, prompt, text, size);
        if (!secret->prompt && (secret->prompt = strdup(prompt)) && ok) secret->text = strdup(text);
    }
    pthread_mutex_unlock(&pool->lock);
    return ok;
}
