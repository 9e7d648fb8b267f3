/* The network of the Keras MNIST example: 784 inputs, 128 ReLU units with dropout 0.2, 10 outputs with
 * softmax and cross-entropy; Glorot uniform start; Adam. Single precision.
 *
 * A step is cut by hidden units: a slice is the units [first, first + count) with all their weights,
 * and every thread has one. Only H (the hidden layer's values) crosses slices, so a step needs two
 * barriers and no sums over threads:
 *
 *     me_network_hidden(slice)                        writes H of the slice
 *     ---- barrier
 *     me_network_outputs()                            reads all H and w2; each thread for itself
 *     me_network_learn_inputs(slice)                  gradients of the slice; Adam on w1, b1
 *     ---- barrier
 *     me_network_learn_outputs(slice)                 Adam on the slice's columns of w2, and b2 */
#ifndef ME_NETWORK_H
#define ME_NETWORK_H

#include "blas.h"
#include "idx.h"

enum {
    ME_INPUTS = ME_IDX_PIXELS,
    ME_HIDDEN = 128,
    ME_OUTPUTS = ME_IDX_CLASSES,
    ME_SLICE_UNITS = 16, /* a slice is a multiple of it: one cache line of H */
};

struct me_layers { /* row-major, a row a unit */
    float w1[ME_HIDDEN * ME_INPUTS], b1[ME_HIDDEN];
    float w2[ME_OUTPUTS * ME_HIDDEN], b2[ME_OUTPUTS];
} __attribute__((aligned(64)));

struct me_network {
    struct me_layers weights, gradient, mean, square; /* mean, square: Adam's moments */
    const struct me_blas *blas;
    uint64_t seed;
};

struct me_batch {
    int count;       /* images */
    float *x;        /* [count x ME_INPUTS], 0 to 1 */
    uint8_t *labels; /* [count] */
    float *hidden;   /* [count x ME_HIDDEN] */
    float *error;    /* [count x ME_HIDDEN]: the loss by each unit's input */
};

struct me_slice {
    int first, count; /* hidden units */
    float *outputs;   /* [batch x ME_OUTPUTS], this thread's own; after me_network_outputs the loss by
                       * each output's input */
};

/* Draws the weights. */
void me_network_init(struct me_network *network, const struct me_blas *blas, uint64_t seed);
/* H = relu(x w1' + b1), with dropout of training step `step` (from 1), or without for step 0. */
void me_network_hidden(const struct me_network *network, const struct me_batch *batch,
                       const struct me_slice *slice, long step);
/* Softmax outputs and their loss: adds the batch's cross-entropy to *loss and its hits to *hits. */
void me_network_outputs(const struct me_network *network, const struct me_batch *batch,
                        struct me_slice *slice, double *loss, long *hits);
void me_network_learn_inputs(struct me_network *network, const struct me_batch *batch,
                             const struct me_slice *slice, float rate);
void me_network_learn_outputs(struct me_network *network, const struct me_slice *slice, float rate);
/* Adam's step size with both bias corrections, for step 1, 2, ... */
float me_network_rate(double learning_rate, long step);

/* Scales image `from` of the set into row `row` of the batch. */
void me_batch_gather(struct me_batch *batch, int row, const struct me_idx *idx, size_t from);
int me_batch_init(struct me_batch *batch, int count, struct me_error *err);
void me_batch_release(struct me_batch *batch); /* NULL-safe */

/* A random generator: SplitMix64 (Steele, Lea, Flood 2014), by counter. */
uint64_t me_network_random(uint64_t seed, uint64_t counter);

#endif
