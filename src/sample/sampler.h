/* The sampler from inside. Four kinds of threads meet at one series:
 *   the sampling thread reads the fast sources at absolute instants          (sampler.c)
 *   one pacer for each source with an interval reads that source             (pacer.c)
 *   the courier hands new samples to the sink, so that no disk delays a reading (courier.c)
 *   the caller reads edges                                                   (edge.c)
 * `lock` guards the series and all that is not said to be somebody's own; it is held while the fast
 * sources are read, never while a slow one is. */
#ifndef ME_SAMPLE_SAMPLER_H
#define ME_SAMPLE_SAMPLER_H

#include "me/sample.h"
#include <pthread.h>
#include <semaphore.h>

#define ME_LONG_READING_NS INT64_C(500000)

struct me_pacer {
    struct me_sampler *sampler;
    size_t source;
    int64_t interval_ns;
    pthread_t thread;
    bool started, ended;
    pthread_cond_t wake;
    bool asked, hurried;         /* an edge passed: read soon; read now */
    int64_t begin_ns, end_ns;    /* of its last reading; 0: none yet */
    struct me_reading *readings; /* its own: one sample */
    struct me_reading *mark;     /* another, and what has moved since it is to be known */
    bool ticked;                 /* all of its counted counters have */
};

struct me_progress_part { /* what me_sampler_now has added up of a channel already */
    size_t upto;
    uint64_t uj;
};

struct me_sampler {
    pthread_mutex_t lock;
    sem_t wake;          /* the sampling thread's: posted to stop it */
    pthread_cond_t news; /* a pacer made its first reading */
    pthread_t thread;
    bool stopping;
    bool abandoned; /* nobody wants the readings that are still under way */
    struct me_meter *meter;
    struct me_series *series;
    int64_t period_ns, last_ns;         /* last_ns: time of the newest sample of the fast sources */
    struct me_reading *readings, *best; /* scratch of one sample each */
    size_t lead;                        /* the counter by whose tick edges are set, or SIZE_MAX */
    uint32_t late;
    int64_t edge_cpu_ns, longest_gap_ns;
    size_t floor;    /* no sample may be put in before this one: it was handed over, or is an edge */
    int64_t edge_ns; /* the last edge */
    bool any_edge;
    char schedule[96]; /* written by the sampling thread before it says `ready` */
    bool ready;
    struct me_error failure; /* the first sample that could not be kept */

    struct me_pacer *pacers;
    size_t pacer_count;

    pthread_mutex_t handing; /* one hand-over at a time; taken before `lock` */
    pthread_t courier;
    pthread_cond_t courier_wake;
    me_sampler_sink *sink;
    void *context;
    size_t handed;         /* samples the sink has */
    struct me_series part; /* a copy of those that are being handed over; the courier's */

    size_t progress_first;
    struct me_progress_part *progress; /* [C] */
};

void me_sampler_cond_init(pthread_cond_t *cond); /* on CLOCK_MONOTONIC */
void me_sampler_wait_until(struct me_sampler *s, pthread_cond_t *cond, int64_t due_ns);
/* A thread that gets no signals: those are the main thread's. 0 or an errno. */
int me_sampler_thread(pthread_t *thread, void *(*run)(void *), void *arg);

/* One reading of the fast sources into s->readings: how long it took, and in *time_ns its middle. */
int64_t me_sampler_take(struct me_sampler *s, int64_t *time_ns);
/* Appends a sample of the fast sources. */
int me_sampler_keep(struct me_sampler *s, int64_t time_ns, const struct me_reading *readings);

/* Begins by reading each paced source once, and waits for that, at most some seconds. */
int me_pacers_start(struct me_sampler *s, struct me_error *err);
void me_pacers_ask(struct me_sampler *s, bool hurry); /* with the lock held */
/* Joins them; each reads once more if its last reading began before the last edge. */
void me_pacers_join(struct me_sampler *s);
/* Waits until all have ended, at most until then. */
bool me_pacers_have_ended(struct me_sampler *s, int64_t until_ns);
/* Nobody will join them: they end by themselves, and what they hold is never freed. */
void me_pacers_leave(struct me_sampler *s);
int64_t me_pacers_cpu_ns(const struct me_sampler *s);

int me_courier_start(struct me_sampler *s, struct me_error *err);
void me_courier_hand_over(struct me_sampler *s); /* without the lock */
void me_courier_join(struct me_sampler *s);

#endif
