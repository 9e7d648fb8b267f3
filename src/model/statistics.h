/* Means of a workload on a machine, for me_result_rank. */
#ifndef ME_MODEL_STATISTICS_H
#define ME_MODEL_STATISTICS_H

#include "index.h"
#include "standing.h"

/* Room for the values of the repeats that enter, side by side; enough for all repeats of the result. */
struct me_statistics {
    double *energy_j, *carbon_g;
};
/* Fills the summary of a standing whose machine, workload and region are known: the means over the repeats
 * that enter, and the reason, which tells what does not enter and why. */
void me_statistics_fill(const struct me_index *index, struct me_statistics *room,
                        struct me_standing *standing);

#endif
