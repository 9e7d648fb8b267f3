#include "network.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BETA1   0.9
#define BETA2   0.999
#define EPSILON 1e-7f
#define KEEP    1.25f /* 1 / (1 - 0.2): what dropout leaves is scaled up, so that testing needs nothing */
enum { DROP_BELOW = 13107 }; /* 0.2 of 65536 */

uint64_t me_network_random(uint64_t seed, uint64_t counter)
{
    uint64_t z = seed + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Glorot uniform: within +-sqrt(6 / (inputs + outputs)). */
static void draw(float *w, int inputs, int outputs, uint64_t seed)
{
    double limit = sqrt(6.0 / (inputs + outputs));
    for (int i = 0; i < inputs * outputs; i++)
        w[i] = (float)(limit * ((double)(me_network_random(seed, (uint64_t)i) >> 11) * 0x1p-52 - 1));
}

void me_network_init(struct me_network *network, const struct me_blas *blas, uint64_t seed)
{
    memset(network, 0, sizeof *network);
    network->blas = blas;
    network->seed = me_network_random(seed, 0);
    draw(network->weights.w1, ME_INPUTS, ME_HIDDEN, me_network_random(seed, 1));
    draw(network->weights.w2, ME_HIDDEN, ME_OUTPUTS, me_network_random(seed, 2));
}

static void relu(float *h, const float *bias, int n)
{
    for (int j = 0; j < n; j++) {
        float z = h[j] + bias[j];
        h[j] = z > 0 ? z : 0;
    }
}

/* One 64-bit draw decides over four units; by counter, so that the draws of a slice do not depend on
 * how many slices there are. */
static void relu_dropout(float *h, const float *bias, int n, uint64_t seed, uint64_t counter)
{
    for (int j = 0; j < n; j += 4) {
        uint64_t bits = me_network_random(seed, counter + (uint64_t)j / 4);
        for (int k = j; k < j + 4; k++, bits >>= 16) {
            float z = (h[k] + bias[k]) * KEEP;
            h[k] = z > 0 && (bits & 0xffff) >= DROP_BELOW ? z : 0;
        }
    }
}

void me_network_hidden(const struct me_network *network, const struct me_batch *batch,
                       const struct me_slice *slice, long step)
{
    const struct me_layers *w = &network->weights;
    float *h = batch->hidden + slice->first;
    network->blas->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch->count, slice->count, ME_INPUTS, 1,
                         batch->x, ME_INPUTS, w->w1 + (size_t)slice->first * ME_INPUTS, ME_INPUTS, 0, h,
                         ME_HIDDEN);
    for (int i = 0; i < batch->count; i++, h += ME_HIDDEN) {
        uint64_t at = ((uint64_t)step << 24) + (uint64_t)(i * ME_HIDDEN + slice->first) / 4;
        if (step)
            relu_dropout(h, w->b1 + slice->first, slice->count, network->seed, at);
        else
            relu(h, w->b1 + slice->first, slice->count);
    }
}

/* Turns the inputs of the softmax into the loss by them; returns the cross-entropy. */
static double softmax(float *o, const float *bias, int label, float scale, long *hits)
{
    int best = 0;
    float sum = 0;
    for (int j = 0; j < ME_OUTPUTS; j++) {
        o[j] += bias[j];
        if (o[j] > o[best]) best = j;
    }
    float top = o[best], right = o[label];
    for (int j = 0; j < ME_OUTPUTS; j++) sum += o[j] = expf(o[j] - top);
    for (int j = 0; j < ME_OUTPUTS; j++) o[j] *= scale / sum;
    o[label] -= scale;
    *hits += best == label;
    return logf(sum) + (double)(top - right);
}

void me_network_outputs(const struct me_network *network, const struct me_batch *batch,
                        struct me_slice *slice, double *loss, long *hits)
{
    const struct me_layers *w = &network->weights;
    network->blas->sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, batch->count, ME_OUTPUTS, ME_HIDDEN, 1,
                         batch->hidden, ME_HIDDEN, w->w2, ME_HIDDEN, 0, slice->outputs, ME_OUTPUTS);
    float scale = 1.0f / (float)batch->count; /* the loss is the batch's mean */
    for (int i = 0; i < batch->count; i++)
        *loss += softmax(slice->outputs + (ptrdiff_t)i * ME_OUTPUTS, w->b2, batch->labels[i], scale, hits);
}

float me_network_rate(double learning_rate, long step)
{
    return (float)(learning_rate * sqrt(1 - pow(BETA2, (double)step)) / (1 - pow(BETA1, (double)step)));
}

/* Adam (Kingma, Ba 2015) as Keras has it: epsilon beside the uncorrected root. */
static void adam(float *restrict w, const float *restrict gradient, float *restrict mean,
                 float *restrict square, int n, float rate)
{
    for (int i = 0; i < n; i++) {
        float g = gradient[i];
        float m = mean[i] + (g - mean[i]) * (float)(1 - BETA1);
        float s = square[i] + (g * g - square[i]) * (float)(1 - BETA2);
        mean[i] = m;
        square[i] = s;
        w[i] -= rate * m / (sqrtf(s) + EPSILON);
    }
}

#define ADAM(network, layer, first, n, rate)                                                                 \
    adam((network)->weights.layer + (first), (network)->gradient.layer + (first),                            \
         (network)->mean.layer + (first), (network)->square.layer + (first), (n), (rate))

/* error = outputs' error x w2, where the unit was on; b1's gradient is its sum. */
static void backward_hidden(struct me_network *network, const struct me_batch *batch,
                            const struct me_slice *slice)
{
    float *error = batch->error + slice->first, *b1 = network->gradient.b1 + slice->first;
    const float *h = batch->hidden + slice->first;
    network->blas->sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, batch->count, slice->count, ME_OUTPUTS, 1,
                         slice->outputs, ME_OUTPUTS, network->weights.w2 + slice->first, ME_HIDDEN, 0, error,
                         ME_HIDDEN);
    memset(b1, 0, (size_t)slice->count * sizeof *b1);
    for (int i = 0; i < batch->count; i++, error += ME_HIDDEN, h += ME_HIDDEN)
        for (int j = 0; j < slice->count; j++) {
            error[j] = h[j] > 0 ? error[j] * KEEP : 0; /* dropped and negative units are both 0 in H */
            b1[j] += error[j];
        }
}

void me_network_learn_inputs(struct me_network *network, const struct me_batch *batch,
                             const struct me_slice *slice, float rate)
{
    int at = slice->first * ME_INPUTS;
    backward_hidden(network, batch, slice);
    network->blas->sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, ME_OUTPUTS, slice->count, batch->count, 1,
                         slice->outputs, ME_OUTPUTS, batch->hidden + slice->first, ME_HIDDEN, 0,
                         network->gradient.w2 + slice->first, ME_HIDDEN);
    network->blas->sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, slice->count, ME_INPUTS, batch->count, 1,
                         batch->error + slice->first, ME_HIDDEN, batch->x, ME_INPUTS, 0,
                         network->gradient.w1 + at, ME_INPUTS);
    ADAM(network, w1, at, slice->count * ME_INPUTS, rate);
    ADAM(network, b1, slice->first, slice->count, rate);
    if (slice->first > 0) return;
    memset(network->gradient.b2, 0, sizeof network->gradient.b2);
    for (int i = 0; i < batch->count * ME_OUTPUTS; i++)
        network->gradient.b2[i % ME_OUTPUTS] += slice->outputs[i];
}

void me_network_learn_outputs(struct me_network *network, const struct me_slice *slice, float rate)
{
    for (int o = 0; o < ME_OUTPUTS; o++) ADAM(network, w2, o * ME_HIDDEN + slice->first, slice->count, rate);
    if (slice->first == 0) ADAM(network, b2, 0, ME_OUTPUTS, rate);
}

void me_batch_gather(struct me_batch *batch, int row, const struct me_idx *idx, size_t from)
{
    const uint8_t *restrict pixels = idx->images + from * ME_INPUTS;
    float *restrict x = batch->x + (ptrdiff_t)row * ME_INPUTS;
    for (int i = 0; i < ME_INPUTS; i++) x[i] = (float)pixels[i] * (1.0f / 255);
    batch->labels[row] = idx->labels[from];
}

int me_batch_init(struct me_batch *batch, int count, struct me_error *err)
{
    size_t n = (size_t)count;
    struct me_batch made = {.count = count,
                            .x = aligned_alloc(64, n * ME_INPUTS * sizeof(float)),
                            .labels = malloc(n),
                            .hidden = aligned_alloc(64, n * ME_HIDDEN * sizeof(float)),
                            .error = aligned_alloc(64, n * ME_HIDDEN * sizeof(float))};
    if (!made.x || !made.labels || !made.hidden || !made.error) {
        me_batch_release(&made);
        return me_fail(err, ME_E_RUN, "no memory for batches of %d images", count);
    }
    *batch = made;
    return 0;
}

void me_batch_release(struct me_batch *batch)
{
    if (!batch) return;
    free(batch->x);
    free(batch->labels);
    free(batch->hidden);
    free(batch->error);
    *batch = (struct me_batch){0};
}
