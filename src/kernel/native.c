/* native: the training of the Keras MNIST example, without Keras: see network.h. */
#include "kernel.h"
#include "me/clock.h"
#include "me/mark.h"
#include "train.h"
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#define DEFAULT_DATA "/usr/share/datasets/fashion-mnist"

struct native_options {
    bool check;
    int epochs, samples, seed, batch, threads;
    const char *data;
};

#define FIELD(name) offsetof(struct native_options, name)
static const struct me_option option_rows[] = {
    {"epochs", 0, ME_OPTION_INT, FIELD(epochs), 1, 100000, "N", "times over the training images (default 3)"},
    {"samples", 0, ME_OPTION_INT, FIELD(samples), 1, 1000000, "N",
     "train on the first N images only (default: all)"},
    {"seed", 0, ME_OPTION_INT, FIELD(seed), 0, INT_MAX, "N", "of the random numbers (default 1)"},
    {"batch", 0, ME_OPTION_INT, FIELD(batch), 1, 4096, "N", "images a step (default 32)"},
    {"threads", 0, ME_OPTION_INT, FIELD(threads), 1, 8, "N",
     "1, 2, 4 or 8 (default: as many of these as there are cores)"},
    {"data", 0, ME_OPTION_STRING, FIELD(data), 0, 0, "DIR",
     "where the four IDX files are (default $ME_DATASETS, else " DEFAULT_DATA ")"},
    {"check", 0, ME_OPTION_FLAG, FIELD(check), 0, 0, NULL, "only tell whether it can run here"},
    {.name = NULL},
};
static const struct me_command command = {
    .program = "me_kernel native",
    .usage = "[--check] [options]",
    .summary = "Train a 784-128-10 network on Fashion-MNIST and print its test accuracy.",
    .options = option_rows};

/* The largest power of two within the cores: slices are then all alike. */
static int default_threads(void)
{
    int cpus = me_kernel_cpus(), threads = 1;
    while (threads * 2 <= cpus && threads < 8) threads *= 2;
    return threads;
}

static int parse(int argc, char **argv, struct native_options *options, struct me_error *err)
{
    const char *data = getenv("ME_DATASETS");
    *options = (struct native_options){.epochs = 3,
                                       .seed = 1,
                                       .batch = 32,
                                       .threads = default_threads(),
                                       .data = data && *data ? data : DEFAULT_DATA};
    int rc = me_kernel_options(&command, argc, argv, options, err);
    if (!rc && (options->threads & (options->threads - 1)))
        return me_fail(err, ME_E_INPUT, "--threads: %d is not 1, 2, 4 or 8", options->threads);
    return rc;
}

static int check(const struct native_options *options, struct me_error *err)
{
    struct me_blas blas = {.handle = NULL};
    size_t train, test;
    if (me_idx_check(options->data, "train", &train, err) || me_idx_check(options->data, "t10k", &test, err))
        return -1;
    if (me_blas_open(&blas, err)) return -1;
    printf("native: ready, %zu + %zu images, %s\n", train, test, blas.get_config());
    me_blas_close(&blas);
    return 0;
}

static int train(struct me_network *network, const struct me_idx *idx, const struct native_options *options,
                 struct me_error *err)
{
    struct me_train_options how = {.epochs = options->epochs,
                                   .batch = options->batch,
                                   .threads = options->threads,
                                   .samples = idx->count,
                                   .seed = me_network_random((uint64_t)options->seed, 3),
                                   .learning_rate = 0.001};
    if (options->samples && (size_t)options->samples < how.samples) how.samples = (size_t)options->samples;
    me_mark_begin("train");
    int rc = me_train_run(network, idx, &how, stdout, err);
    me_mark_end("train");
    if (!rc) me_mark_work((double)how.samples * how.epochs, "samples");
    return rc;
}

static int test(const struct me_network *network, const struct me_idx *idx, struct me_error *err)
{
    double accuracy, loss;
    me_mark_begin("test");
    int rc = me_train_test(network, idx, &accuracy, &loss, err);
    me_mark_end("test");
    if (rc) return rc;
    me_mark_metric("accuracy", accuracy);
    me_mark_metric("loss", loss);
    printf("test accuracy: %.4f (loss %.4f)\n", accuracy, loss);
    return 0;
}

static int run(const struct native_options *options, struct me_error *err)
{
    struct me_blas blas = {.handle = NULL};
    struct me_idx training = {0}, testing = {0};
    struct me_network *network = aligned_alloc(64, (sizeof *network + 63) / 64 * 64);
    int rc = -1;
    if (!network) {
        me_fail(err, ME_E_RUN, "no memory");
        goto out;
    }
    me_mark_begin("load");
    if (me_blas_open(&blas, err)) goto out;
    if (me_idx_read(options->data, "train", &training, err)) goto out;
    if (me_idx_read(options->data, "t10k", &testing, err)) goto out;
    me_network_init(network, &blas, (uint64_t)options->seed);
    me_mark_end("load");
    if (train(network, &training, options, err)) goto out;
    rc = test(network, &testing, err);
out:
    me_idx_release(&training);
    me_idx_release(&testing);
    free(network);
    me_blas_close(&blas);
    return rc;
}

int me_native_main(int argc, char **argv)
{
    struct me_error err;
    struct native_options options;
    int rc = parse(argc, argv, &options, &err);
    if (rc > 0) return ME_OK;
    if (!rc) rc = options.check ? check(&options, &err) : run(&options, &err);
    return rc ? me_kernel_report("native", &err) : ME_OK;
}
