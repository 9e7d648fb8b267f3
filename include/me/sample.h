/* The sampling thread: reads a meter at absolute instants into a series, and at any exact edge the
 * caller asks for. One lock guards the series; nothing else touches it until stop. */
#ifndef ME_SAMPLE_H
#define ME_SAMPLE_H

#include "me/series.h"
#include "me/source.h"

struct me_sampler;

struct me_sampler_stats {   /* since start, or between two calls: subtract */
    uint32_t late;          /* samples that began more than half a period after they were due, and
                               * those that had to be passed over */
    int64_t cpu_ns;         /* CPU time of the thread and of the edge reads */
    int64_t longest_gap_ns; /* between two samples, since the last me_sampler_gap_reset */
};

/* Called by the sampling thread about once a second and by every edge with the samples
 * [first, last) that are new, under the lock; for the journal. */
typedef void me_sampler_sink(void *context, const struct me_series *series, size_t first, size_t last);

/* Starts the thread. The period is 1/hz, or half the safe interval of the fastest-wrapping channel
 * if that is shorter. Meter and series must outlive the sampler. sink may be NULL. */
int me_sampler_start(struct me_sampler **out, struct me_meter *meter, struct me_series *series, double hz,
                     me_sampler_sink *sink, void *context, struct me_error *err);
/* Reads now, in the caller's thread; *index gets the sample's place in the series. The sample's
 * time is the middle of the reading; a reading that took longer than 500 us (the machine was busy)
 * is taken again, up to 5 times, and the shortest is kept; so is one in which a counted channel
 * failed. -1 also if an earlier sample could not be kept (no memory). */
int me_sampler_edge(struct me_sampler *sampler, size_t *index, struct me_error *err);
/* Energy of the counted channels from sample `first` to the newest, and the mean power of the
 * last second; NaN where not known. For the progress line. */
void me_sampler_now(struct me_sampler *sampler, size_t first, double *energy_j, double *power_w);
void me_sampler_stats(struct me_sampler *sampler, struct me_sampler_stats *stats);
void me_sampler_gap_reset(struct me_sampler *sampler);
/* Stops and joins the thread, hands the last samples to the sink, and frees; NULL-safe. */
void me_sampler_stop(struct me_sampler *sampler);

#endif
