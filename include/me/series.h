/* All samples of a machine: S instants x C channels; and the exact energy between two of them. A
 * source that is read by a thread of its own makes samples of its own, in which the channels of all
 * other sources are absent. */
#ifndef ME_SERIES_H
#define ME_SERIES_H

#include <stddef.h>
#include <stdint.h>
#include "me/channel.h"
#include "me/error.h"
#include "me/units.h"

struct me_series {
    size_t channels;             /* C, fixed at init */
    size_t count, capacity;      /* S */
    int64_t *time_ns;            /* [S], ascending; CLOCK_MONOTONIC of that machine */
    struct me_reading *readings; /* [S x C], row by row */
};
void me_series_init(struct me_series *series, size_t channels);
void me_series_release(struct me_series *series); /* NULL-safe */
/* Appends a sample of C readings. -1: no memory, or time runs backwards. */
int me_series_append(struct me_series *series, int64_t time_ns, const struct me_reading *readings,
                     struct me_error *err);
/* Puts a sample where its time belongs, but not before the sample number `floor`: if it is older than
 * the sample before that, it gets that one's time. For readings that took so long that others were
 * made meanwhile. */
int me_series_insert(struct me_series *series, size_t floor, int64_t time_ns,
                     const struct me_reading *readings, struct me_error *err);

/* Why an energy is not known. */
enum me_fault {
    ME_FAULT_NONE = 0,
    ME_FAULT_ABSENT,    /* no reading of this channel in the span */
    ME_FAULT_EDGE,      /* the reading at the begin or the end failed */
    ME_FAULT_TOO_LONG,  /* two good readings further apart than range / maximum power */
    ME_FAULT_STALLED,   /* a counter that stood still for more than 1 s (or 5 of its intervals) at the
                         * begin or the end of the span, or all the while: what is missing, or was there
                         * before, is not known */
    ME_FAULT_BACKWARDS, /* a counter without a range ran backwards, or one with a range fell by more than
                         * four times its maximum power makes a wrap of: it was set back */
    ME_FAULT_RANGE,     /* a reading that cannot be: at or above the counter's range; more than ten times
                         * what its maximum power, if known, makes since it last moved (and a stall's
                         * time before); or a gauge whose integral is negative or beyond what an energy holds */
    ME_FAULT_SHORT,     /* a counter that did not tick in a whole phase, or a phase shorter than the
                         * channel's interval; me_series_energy gives a number for it */
    ME_FAULT_GAP,       /* a channel with an interval that was not read for more than 1 s and 10 of them */
};
const char *me_fault_text(enum me_fault fault); /* "" for none; else a phrase for people */

/* Energy of channel `c` from sample `first` to sample `last` (indexes, first <= last).
 * Counter: last - first + wraps x range over the good readings between, exact in microjoules.
 * Gauge: time-weighted (trapezoid) integral of watts over the good readings.
 * A channel with an interval is not read at the edges: it is followed from the last good reading at or
 * before the first sample to the first one at or after the last, and of the two readings that an edge
 * lies between, the share of time counts (a counter's step is taken as even since the step before it, a
 * gauge's as a line).
 * Returns the fault; *energy is written only for ME_FAULT_NONE. */
enum me_fault me_series_energy(const struct me_series *series, const struct me_channel *channel, size_t c,
                               size_t first, size_t last, struct me_energy *energy);

/* How far apart the values of a channel with an interval are in the span and around it: its interval, or
 * more where it was read, or moved, less often. Of what is used in such a time it is not known in which
 * part of it. 0 for a channel without an interval. */
double me_series_period_s(const struct me_series *series, const struct me_channel *channel, size_t c,
                          size_t first, size_t last);

/* What an activity channel shows from sample `first` to sample `last`. */
struct me_activity {
    double value;     /* counter: how much it grew, in its unit; gauge: the time-weighted mean */
    double low, high; /* gauge: the extremes among the readings; counter: NaN */
};
/* The same rules as for energies. *activity is written only for ME_FAULT_NONE. */
enum me_fault me_series_activity(const struct me_series *series, const struct me_channel *channel, size_t c,
                                 size_t first, size_t last, struct me_activity *activity);

#endif
