/* What the work came to: energy that was saved by not learning is no merit. */
#include "rows.h"
#include "standing.h"
#include <math.h>
#include <stdio.h>

static void reject(struct me_standing *standing, const char *what)
{
    standing->is_unlike = true;
    me_rows_remark(standing->summary->reason, sizeof standing->summary->reason, "not ranked: %s", what);
}

double me_accuracy_share(double accuracy)
{
    if (!(accuracy >= 0 && accuracy <= 100)) return NAN;
    return accuracy > 1 ? accuracy / 100 : accuracy;
}

/* By itself, whatever others came to. */
static void judge_alone(struct me_standing *standing)
{
    double accuracy = standing->summary->accuracy;
    char what[128];
    if (standing->has_loss && !isfinite(standing->summary->loss))
        reject(standing, "its loss is no number: the training diverged");
    else if (standing->has_accuracy && !isfinite(accuracy))
        reject(standing, "its test accuracy is no number");
    else if (standing->has_accuracy && isnan(me_accuracy_share(accuracy))) {
        snprintf(what, sizeof what, "its test accuracy %.4g is neither a share of 1 nor a percentage",
                 accuracy);
        reject(standing, what);
    }
}

static void judge_against(struct me_standing *standing, double best)
{
    double accuracy = me_accuracy_share(standing->summary->accuracy);
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
        if (!group[i].is_unlike)
            best = fmax(best, me_accuracy_share(group[i].summary->accuracy)); /* NaN: the other */
    }
    for (size_t i = 0; i < n; i++)
        if (!group[i].is_unlike && isfinite(best)) judge_against(&group[i], best);
}
