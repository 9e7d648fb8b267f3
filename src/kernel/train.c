#include "train.h"
#include "barrier.h"
#include "me/clock.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS_MAX = ME_HIDDEN / ME_SLICE_UNITS, TEST_BATCH = 250 };

enum gate { GATE_CLOSED, GATE_OPEN, GATE_CANCELLED };

struct trainer {
    struct me_network *network;
    const struct me_idx *idx;
    const struct me_train_options *options;
    FILE *out;
    uint32_t *order;
    struct me_batch batches[2]; /* one is learnt from while the next is gathered */
    int threads;
    struct me_barrier barrier; /* twice a step, which takes some 100 us */
    atomic_int gate;
};

struct worker {
    struct trainer *trainer;
    struct me_slice slice;
    int number;
    double loss;
    long hits;
    pthread_t thread;
};

#if defined __SSE2__
#include <xmmintrin.h>
static void flush_denormals(void)
{
    _mm_setcsr(_mm_getcsr() | 0x8040);
}
#elif defined __aarch64__
static void flush_denormals(void)
{
    unsigned long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | 1ul << 24));
}
#else
static void flush_denormals(void) {}
#endif

/* Fisher-Yates. */
static void shuffle(uint32_t *order, size_t n, uint64_t seed)
{
    for (size_t i = n - 1; i > 0; i--) {
        size_t j = me_network_random(seed, i) % (i + 1);
        uint32_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* This worker's share of the rows of the batch that begins at image `first`. */
static void gather(const struct worker *worker, struct me_batch *batch, size_t first)
{
    const struct trainer *trainer = worker->trainer;
    size_t left = trainer->options->samples - first, size = (size_t)trainer->options->batch;
    int count = (int)(left < size ? left : size);
    if (worker->number == 0) batch->count = count;
    for (int i = worker->number; i < count; i += trainer->threads)
        me_batch_gather(batch, i, trainer->idx, trainer->order[first + (size_t)i]);
}

/* The learning rate stays as it is until the last epoch and falls linearly to 0 there. With a constant
 * one the accuracy after three epochs is a matter of luck (86.0 to 87.1 % by seed), since the last few
 * batches still push the weights about; with the fall it was 87.0 to 87.6 % for each of 40 seeds. */
static double learning_rate(const struct me_train_options *options, long step)
{
    long steps = (long)((options->samples + (size_t)options->batch - 1) / (size_t)options->batch);
    long left = steps * options->epochs - step + 1;
    return options->learning_rate * (left < steps ? (double)left / (double)steps : 1.0);
}

static void train_step(struct worker *worker, size_t first, long step)
{
    struct trainer *trainer = worker->trainer;
    struct me_network *network = trainer->network;
    struct me_batch *batch = &trainer->batches[step % 2], *next = &trainer->batches[(step + 1) % 2];
    float rate = me_network_rate(learning_rate(trainer->options, step), step);
    me_network_hidden(network, batch, &worker->slice, step);
    me_barrier_wait(&trainer->barrier, trainer->threads);
    me_network_outputs(network, batch, &worker->slice, &worker->loss, &worker->hits);
    first += (size_t)trainer->options->batch;
    if (first < trainer->options->samples) gather(worker, next, first);
    me_network_learn_inputs(network, batch, &worker->slice, rate);
    me_barrier_wait(&trainer->barrier, trainer->threads);
    me_network_learn_outputs(network, &worker->slice, rate);
}

static void print_epoch(const struct worker *worker, int epoch, double seconds)
{
    const struct trainer *trainer = worker->trainer;
    double n = (double)trainer->options->samples;
    fprintf(trainer->out, "epoch %d/%d: loss %.4f, accuracy %.4f, %.3f s\n", epoch + 1,
            trainer->options->epochs, worker->loss / n, (double)worker->hits / n, seconds);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct trainer *trainer = worker->trainer;
    const struct me_train_options *options = trainer->options; /* NOLINT: init_workers set the trainer */
    int gate;
    while ((gate = atomic_load_explicit(&trainer->gate, memory_order_acquire)) == GATE_CLOSED) sched_yield();
    if (gate == GATE_CANCELLED) return NULL;
    flush_denormals(); /* Adam's mean of pixels that are seldom lit decays into them */
    long step = 1;
    for (int epoch = 0; epoch < options->epochs; epoch++) {
        int64_t begin_ns = me_clock_mono_ns();
        if (worker->number == 0)
            shuffle(trainer->order, options->samples, me_network_random(options->seed, (uint64_t)epoch));
        worker->loss = 0;
        worker->hits = 0;
        me_barrier_wait(&trainer->barrier, trainer->threads);
        gather(worker, &trainer->batches[step % 2], 0);
        me_barrier_wait(&trainer->barrier, trainer->threads);
        for (size_t first = 0; first < options->samples; first += (size_t)options->batch)
            train_step(worker, first, step++);
        me_barrier_wait(&trainer->barrier, trainer->threads);
        if (worker->number == 0) print_epoch(worker, epoch, (double)(me_clock_mono_ns() - begin_ns) * 1e-9);
    }
    return NULL;
}

/* Worker 0 is the caller's thread. */
static int run_workers(struct trainer *trainer, struct worker *workers, struct me_error *err)
{
    int started = 1, rc = 0, n = trainer->threads;
    for (; started < n && !rc; started++) {
        int errnum = pthread_create(&workers[started].thread, NULL, work, &workers[started]);
        if (!errnum) continue;
        rc = me_fail_errno(err, ME_E_RUN, errnum, "cannot start thread %d of %d", started + 1, n);
        break;
    }
    atomic_store_explicit(&trainer->gate, rc ? GATE_CANCELLED : GATE_OPEN, memory_order_release);
    work(&workers[0]);
    for (int i = 1; i < started; i++) pthread_join(workers[i].thread, NULL);
    return rc;
}

static int init_workers(struct worker *workers, struct trainer *trainer, struct me_error *err)
{
    int n = trainer->threads, units = ME_HIDDEN / n;
    for (int i = 0; i < n; i++) {
        size_t size = (size_t)trainer->options->batch * ME_OUTPUTS * sizeof(float);
        workers[i].trainer = trainer;
        workers[i].number = i;
        workers[i].slice = (struct me_slice){i * units, units, aligned_alloc(64, (size + 63) / 64 * 64)};
        if (!workers[i].slice.outputs) return me_fail(err, ME_E_RUN, "no memory");
    }
    return 0;
}

int me_train_run(struct me_network *network, const struct me_idx *idx, const struct me_train_options *options,
                 FILE *out, struct me_error *err)
{
    struct worker workers[THREADS_MAX] = {0};
    struct trainer trainer = {
        .network = network, .idx = idx, .options = options, .out = out, .threads = options->threads};
    int rc = -1;
    trainer.order = malloc(options->samples * sizeof *trainer.order);
    if (!trainer.order) {
        me_fail(err, ME_E_RUN, "no memory for the order of %zu images", options->samples);
        goto out;
    }
    for (size_t i = 0; i < options->samples; i++) trainer.order[i] = (uint32_t)i;
    for (int i = 0; i < 2; i++)
        if (me_batch_init(&trainer.batches[i], options->batch, err)) goto out;
    if (init_workers(workers, &trainer, err)) goto out;
    rc = run_workers(&trainer, workers, err);
out:
    for (int i = 0; i < THREADS_MAX; i++) free(workers[i].slice.outputs);
    for (int i = 0; i < 2; i++) me_batch_release(&trainer.batches[i]);
    free(trainer.order);
    return rc;
}

int me_train_test(const struct me_network *network, const struct me_idx *idx, double *accuracy, double *loss,
                  struct me_error *err)
{
    float outputs[TEST_BATCH * ME_OUTPUTS];
    struct me_slice all = {0, ME_HIDDEN, outputs};
    struct me_batch batch;
    double sum = 0;
    long hits = 0;
    if (me_batch_init(&batch, TEST_BATCH, err)) return -1;
    for (size_t first = 0; first < idx->count; first += TEST_BATCH) {
        batch.count = (int)(idx->count - first < TEST_BATCH ? idx->count - first : TEST_BATCH);
        for (int i = 0; i < batch.count; i++) me_batch_gather(&batch, i, idx, first + (size_t)i);
        me_network_hidden(network, &batch, &all, 0);
        me_network_outputs(network, &batch, &all, &sum, &hits);
    }
    me_batch_release(&batch);
    *accuracy = (double)hits / (double)idx->count;
    *loss = sum / (double)idx->count;
    return 0;
}
