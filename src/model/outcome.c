/* What the work came to: energy that was saved by not learning is no merit. */
#include "rows.h"
#include "standing.h"
#include <math.h>

static void reject(struct me_standing *standing, const char *what)
{
    standing->is_unlike = true;
    me_rows_remark(standing->summary->reason, sizeof standing->summary->reason, "not ranked: %s", what);
}

/* By itself, whatever others came to. */
static void judge_alone(struct me_standing *standing)
{
    if (standing->has_loss && !isfinite(standing->summary->loss))
        reject(standing, "its loss is no number: the training diverged");
    else if (standing->has_accuracy && !isfinite(standing->summary->accuracy))
        reject(standing, "its test accuracy is no number");
}

static void judge_against(struct me_standing *standing, double best)
{
    double accuracy = standing->summary->accuracy;
    char what[128];
    if (isnan(accuracy))
        snprintf(what, sizeof what, "it told no test accuracy, and others of its group did (best: %.3f)",
                 best);
    else if (best - accuracy > ME_ACCURACY_CLEARLY + 1e-9)
        snprintf(what, sizeof what, "its test accuracy %.3f is clearly below the best of its group, %.3f",
                 accuracy, best);
    else
        return;
    reject(standing, what);
}

void me_outcome_judge(struct me_standing *group, size_t n)
{
    double best = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        judge_alone(&group[i]);
        if (!group[i].is_unlike) best = fmax(best, group[i].summary->accuracy); /* NaN: the other one */
    }
    for (size_t i = 0; i < n; i++)
        if (!group[i].is_unlike && isfinite(best)) judge_against(&group[i], best);
}
