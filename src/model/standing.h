/* Who may be compared with whom, and who comes first; for me_result_rank. */
#ifndef ME_MODEL_STANDING_H
#define ME_MODEL_STANDING_H

#include "me/result.h"

/* A workload of a machine, with what puts it into a group: how its total was had, and what it covers. */
struct me_standing {
    struct me_row_summary *summary;
    const struct me_row_machine *machine;
    size_t workload;                  /* its number, in the order in which they ran */
    int provenance;                   /* enum me_provenance; -1 if nothing counts */
    int cls;                          /* enum me_class; -1 if nothing counts */
    unsigned scopes;                  /* a bit a scope; a wider scope is a higher bit */
    const struct me_row_channel *gap; /* what its total should hold and does not, or NULL */
    bool has_accuracy, has_loss;      /* it told one; what it told may be no number */
    bool is_unlike;                   /* what it came to cannot stand beside the others of its group */
};

/* What the machine's counted channels say: provenance, cls, scopes, gap. */
void me_standing_find(const struct me_result *result, const struct me_row_machine *machine,
                      struct me_standing *standing);
/* Writes scopes, class and provenance into the summary. */
void me_standing_name(const struct me_standing *standing);
/* Sorts the standings into groups, within a workload, and gives each its places. */
void me_standing_place(struct me_standing *standings, size_t n);

/* outcome.c: of one group, marks as unlike whose accuracy is clearly below the best, is not known where
 * others told one, or whose loss is no number; the reason goes to the summary. */
void me_outcome_judge(struct me_standing *group, size_t n);

#endif
