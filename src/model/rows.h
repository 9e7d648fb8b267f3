/* The result's tables as arrays, shared by the files that build them. */
#ifndef ME_MODEL_ROWS_H
#define ME_MODEL_ROWS_H

#include "me/result.h"

/* Moves all rows of `more` but its summaries behind those of `base`, and releases `more`. Without
 * memory nothing is moved. The arrays of `base` may come from anywhere: no spare room is assumed. */
int me_rows_join(struct me_result *base, struct me_result *more, struct me_error *err);
void me_rows_drop_summaries(struct me_result *result);
void me_rows_series_release(struct me_result_series *series);

/* Have two machines the same channels, in the same order? Where not, *differing (NULL: not asked) is the first. */
bool me_rows_same_channels(const struct me_result *a, int32_t a_id, const struct me_result *b, int32_t b_id,
                           const char **differing);

/* Appends a remark to a text for people: "a", then "a; b". What does not fit is cut. */
void me_rows_remark(char *text, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Repeats in the sense of the ranking: rows of phase "run". */
bool me_rows_is_run(const struct me_row_repeat *repeat);
/* The row of the repeat's own region; NULL: it was not marked in it. By searching. */
const struct me_row_region *me_rows_find_region(const struct me_result *result,
                                                const struct me_row_repeat *repeat);
/* Why a repeat, of which `region` is compared ("": the whole run), says nothing of the energy of its
 * workload: "repeat 3: no region train was marked". `row` is that region's, NULL if there is none. False, and
 * `text` is not touched, if it does. */
bool me_rows_explain(const struct me_row_repeat *repeat, const char *region, const struct me_row_region *row,
                     char *text, size_t size);

#endif
