/* The source `model`: for machines without any counter. Power from the load of the processors,
 *
 *     P(load) = idle_w + (max_w - idle_w) x load
 *
 * as a counter of modelled energy since it was opened,
 *
 *     E(t) = idle_w x t + (max_w - idle_w) x busy_seconds / threads
 *
 * with the busy seconds of all logical CPUs from proc/stat. The model is linear so that the counter
 * needs no history: any two reads give the energy between them, and no edge is lost. proc/stat counts
 * in 10 ms, so an edge is off by up to 10 ms of one CPU for each CPU that is busy.
 *
 * max_w is the thermal design power of the processor (src/data/cpu_tdp.csv) x sockets; in a virtual
 * machine TDP x its logical CPUs / the logical CPUs of that processor. A processor that the table
 * does not have gets 4 W a logical CPU (CodeCarbon's default).
 *
 * idle_w is 15 % of max_w. Measured (CodeCarbon's load profiles of 2025-01-14, mean RAPL watts):
 * 2 x Intel Xeon E5-2620 v3, TDP 170 W: idle 15.9 W = 9 %, full load 105 W = 62 %; AMD Ryzen
 * Threadripper 1950X, TDP 180 W: 42.7 W at 2.8 % load, which leads to 38 W = 21 % at none, full load
 * 167 W = 93 %. 15 % lies between the two idles. Against these 44 points the model is between 38 % of
 * TDP too low and 43 % too high: modelled joules rank nothing finely, and are marked wherever they show. */
#ifndef ME_SOURCE_MODEL_H
#define ME_SOURCE_MODEL_H

#include "cpu.h"
#include "me/source.h"

#define ME_MODEL_IDLE_SHARE   0.15
#define ME_MODEL_W_PER_THREAD 4.0

extern const struct me_source_ops me_model_ops;

/* Pure. The power at full load of a machine, and in `basis` where it comes from. */
double me_model_max_w(const struct me_cpu *cpu, char *basis, size_t size);
/* Pure. Busy clock ticks of all CPUs from the text of proc/stat: user, nice, system, irq and softirq
 * (guest time is in user; stolen time was another machine's). 0, or an errno. */
int me_model_busy_ticks(const char *text, uint64_t *ticks);

#endif
