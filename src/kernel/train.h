/* Training and testing of the network, on several threads in lockstep. */
#ifndef ME_TRAIN_H
#define ME_TRAIN_H

#include "network.h"
#include <stdio.h>

struct me_train_options {
    int epochs, batch, threads; /* threads: 1, 2, 4 or 8 */
    size_t samples;             /* the first of the set; at most its count */
    uint64_t seed;              /* of the order of the images */
    double learning_rate;       /* falls linearly to 0 through the last epoch */
};

/* Trains and prints a line an epoch to `out`. The same seed, data and threads give the same weights. */
int me_train_run(struct me_network *network, const struct me_idx *idx, const struct me_train_options *options,
                 FILE *out, struct me_error *err);
/* Accuracy, 0 to 1, and mean loss over a set. */
int me_train_test(const struct me_network *network, const struct me_idx *idx, double *accuracy, double *loss,
                  struct me_error *err);

#endif
