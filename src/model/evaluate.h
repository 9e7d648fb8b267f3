/* Energies of a record's spans, for me_result_add. */
#ifndef ME_MODEL_EVALUATE_H
#define ME_MODEL_EVALUATE_H

#include "me/result.h"

/* Takes out of the count, with why_not: counters that never moved, a platform's meter that shows less
 * than its parts, wide meters that never said anything, perf's counters that powercap refutes. Writes
 * what was done, and which two sources differ by more than 5 % about one thing, into `what` ("" if
 * nothing). */
void me_evaluate_retire(struct me_record *record, char *what, size_t size);
/* Energy of a channel over a phase: as me_series_energy, but a counter that did not tick in it is a
 * fault. Something was running, so its energy was not 0, only less than a tick's. */
enum me_fault me_evaluate_phase(const struct me_record *record, size_t c, size_t first, size_t last,
                                struct me_energy *energy);
/* Energy of the counted channels between two samples, a phase or a call of a region. Of calls there are
 * many and short ones, and the 0 of one makes up for the whole tick of another. If it is not known: false,
 * and the first channel to blame with its reason is remarked in `note`. */
bool me_evaluate_total(const struct me_record *record, size_t first, size_t last, bool is_phase,
                       struct me_energy *total, char *note, size_t size);
/* Remarks that a slow counted channel has fewer than ten values in `length_s`, a phase or a call between the
 * two samples: what it used about an edge may belong to the other side of it. */
void me_evaluate_remark_coarse(const struct me_record *record, size_t first, size_t last, double length_s,
                               char *note, size_t size);
double me_evaluate_duration_s(const struct me_record *record, size_t first, size_t last);
/* How far the machine's clock was ahead of the head's, in seconds, when it was looked at and (in line between) at a
 * sample, and by how much that may be wrong; NaN: not known. */
void me_evaluate_clock(const struct me_record *record, enum me_clock_when when, double *offset_s,
                       double *bound_s);
void me_evaluate_clock_at(const struct me_record *record, size_t sample, double *offset_s, double *bound_s);
int64_t me_evaluate_unix_ns(const struct me_record *record, size_t sample);
/* Fills names, times, values and states of a series whose sizes and arrays are there already. */
void me_evaluate_series(const struct me_record *record, size_t first, struct me_result_series *series);
/* Fills the row of an activity channel over a phase. */
void me_evaluate_activity(const struct me_record *record, size_t c, size_t first, size_t last,
                          struct me_row_activity *row);
/* Appends the rows of the regions of all run phases, by repeat and name. -1: no memory. */
int me_evaluate_regions(const struct me_record *record, const struct me_row_machine *machine,
                        struct me_result *out);

#endif
