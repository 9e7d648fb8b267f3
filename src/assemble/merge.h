/* What a run told, into a result that has a part of that run already: of a machine that was taken for lost, or of
 * the repeats that --resume has measured since. Pure. */
#ifndef ME_ASSEMBLE_MERGE_H
#define ME_ASSEMBLE_MERGE_H

#include "me/plan.h"
#include "me/result.h"
#include "me/store.h"

struct me_merge {
    int first_repeat; /* the run's repeats have their numbers behind this one; -1: as the rows that both have show, or
                       * behind those of the base */
    int *shifted;                /* by how much `fresh` is shifted now; follows */
    struct me_store_drop *drops; /* series of the base that give way; to be freed */
    size_t drop_count;
};
/* A repeat that both have stays as the base has it, but for one that was cut off in it (note "interrupted") and was
 * measured again. A machine that told nothing now stays as it was. `fresh` is changed. -1: it is not the same work. */
int me_merge(struct me_result *base, struct me_result *fresh, struct me_merge *merge, struct me_error *err);

#endif
