/* The sampler: threads that read a meter into a series, at absolute instants and at any exact edge the
 * caller asks for. Nobody else touches the series until stop. */
#ifndef ME_SAMPLE_H
#define ME_SAMPLE_H

#include "me/series.h"
#include "me/source.h"

struct me_sampler;

struct me_sampler_stats { /* since start, or between two calls: subtract */
    uint32_t late;        /* samples that began more than half a period after they were due, and
                               * those that had to be passed over */
    int64_t cpu_ns;       /* CPU time of all its threads and of the edge reads */
    int64_t
        longest_gap_ns; /* between two samples of the sources without an interval, since the last me_sampler_gap_reset */
};

/* Called about once a second and after every edge with the samples that are new: `part` holds copies of
 * them, the first of which is number `first` of the series. For the journal; may block, since no
 * reading waits for it. Never called by two threads at once, nor before the first edge. */
typedef void me_sampler_sink(void *context, const struct me_series *part, size_t first);

/* Starts the threads. The period is 1/hz, or half the safe interval of the fastest-wrapping channel
 * if that is shorter; sources with an interval are read by threads of their own, each once before this
 * returns, and until its counters have moved if they do so within 0.3 s. Meter and series must outlive the sampler. sink may be NULL. */
int me_sampler_start(struct me_sampler **out, struct me_meter *meter, struct me_series *series, double hz,
                     me_sampler_sink *sink, void *context, struct me_error *err);
/* "10 Hz"; below a period of 5 ms also what came of asking for SCHED_FIFO: "1000 Hz, SCHED_FIFO" or
 * "1000 Hz, SCHED_FIFO refused: EPERM". Valid until the stop. */
const char *me_sampler_schedule(const struct me_sampler *sampler);

enum me_edge {
    ME_EDGE_NOW,  /* at this moment: something is running. If a tick passed while the channels were read,
                   * they are read again, so that all show the time after it: off by one tick at most */
    ME_EDGE_TICK, /* nothing is running: waits up to 3 ms for the first counted counter to tick, at which
                   * moment its number is true to some microseconds */
};
/* Reads now, in the caller's thread; *index gets the sample's place in the series. The sample's
 * time is the middle of the reading; a reading that took longer than 500 us (the machine was busy)
 * is taken again, up to 5 times, and the shortest is kept; so is one in which a counted channel
 * failed. Sources with an interval are asked to read soon. -1 also if an earlier sample could not be
 * kept (no memory). */
int me_sampler_edge(struct me_sampler *sampler, enum me_edge edge, size_t *index, struct me_error *err);
/* Energy of the counted channels from sample `first` to the newest, and the mean power of the
 * last second; NaN where not known. For the progress line. */
void me_sampler_now(struct me_sampler *sampler, size_t first, double *energy_j, double *power_w);
void me_sampler_stats(struct me_sampler *sampler, struct me_sampler_stats *stats);
void me_sampler_gap_reset(struct me_sampler *sampler);
/* Lets the sources with an interval read once more, so that the last edge lies between two readings, and
 * if their counters move within 0.3 s, between two ticks;
 * stops and joins the threads, hands the last samples to the sink, and frees; NULL-safe. */
void me_sampler_stop(struct me_sampler *sampler);
/* The begin of a stop, for a caller that cannot wait so long at a stretch: waits for those readings at most
 * `wait_ns`. True once all are done; then me_sampler_stop does the rest. NULL: true. */
bool me_sampler_finish(struct me_sampler *sampler, int64_t wait_ns);
/* The same for a run that was interrupted: slow readings are waited for no longer than `wait_ns`. False if
 * one is still under way: then the meter must stay open until the process ends, since a thread reads it; the
 * series is the caller's either way. NULL: true. */
bool me_sampler_abandon(struct me_sampler *sampler, int64_t wait_ns);

#endif
