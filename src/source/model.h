/* The source `model`: for machines without any counter. The package's power from the load of the
 * processors, by the curve of me/curve.h, as a counter of modelled energy since it was opened:
 *
 *     E(t) = sum over windows of P(load in the window) x its length
 *     load = busy seconds / (threads x seconds)
 *
 * with the busy seconds of all logical CPUs from proc/stat. A window ends with the first reading that comes
 * a quarter of a second or more after its begin; within it the energy is P(load so far) x time so far, so
 * that any two readings give the energy between them and no edge is lost. Where P is steep that falls while
 * the load does; the counter then goes on as at idle until the sum has caught up. P bends, so reading more slowly
 * than that makes the windows longer and the result a little different. proc/stat counts in 10 ms, so an
 * edge is off by up to 10 ms of one CPU for each CPU that is busy.
 *
 * A virtual machine gets its share of the processor: its logical CPUs / those of the processor. Where that
 * is not known, the host is taken to have 64.
 *
 * Memory is not in it. Modelled joules rank nothing finely, and are marked wherever they show. */
#ifndef ME_SOURCE_MODEL_H
#define ME_SOURCE_MODEL_H

#include "cpu.h"
#include "me/source.h"

#define ME_MODEL_HOST_THREADS 64
#define ME_MODEL_WINDOW_S     0.25

extern const struct me_source_ops me_model_ops;

/* Pure. The curve of a machine; its basis says more about the processor than that of me_curve_make. */
void me_model_curve(const struct me_cpu *cpu, double memory_gb, struct me_curve *curve);

struct me_model_clock { /* begin of the window that runs, and the energy up to there */
    int64_t begin_ns;
    double begin_busy_s, begin_j;
    int64_t last_ns; /* the last reading ... */
    double last_j; /* ... below which the counter never falls, and above which it grows as at idle at least */
};
/* Pure. The counter at `now_ns`, when all CPUs together have been busy for `busy_s` since they were
 * started. */
uint64_t me_model_advance(struct me_model_clock *clock, const struct me_curve *curve, int64_t now_ns,
                          double busy_s, int threads);

#endif
