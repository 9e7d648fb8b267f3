/* Opening the meters takes as long as the slowest of them takes to answer: a command that hangs, a service
 * processor, a library. It is done by a thread of its own, so that the rank meanwhile lets itself be heard,
 * and ends when it is told to. */
#ifndef ME_BENCH_OPENER_H
#define ME_BENCH_OPENER_H

#include "bench.h"
#include "me/source.h"

/* me_meter_open, while link->wait is called. If that says stop, *stopped becomes true and -1 is returned at
 * once; the opening goes on behind our back until the process ends, or is undone if it comes to an end. */
int me_opener_open(struct me_meter *meter, const struct me_meter_options *options, struct me_link *link,
                   bool *stopped, struct me_error *err);

#endif
