/* What a source finds out about its counters by reading them, right after it opened them. */
#ifndef ME_SOURCE_COUNTERS_H
#define ME_SOURCE_COUNTERS_H

#include "me/source.h"

/* Some processors have the register of a part (dram, psys) without a meter behind it: it stays 0 for
 * ever. Left in the total it would make the whole total unknown. Marks those that would count and stand
 * at 0 for 50 ms; one that just passed through 0 moves on within a tick. The source must be readable.
 * -1: no memory. */
int me_counters_mark_dead(struct me_source *source, struct me_error *err);

/* Do the channels a and b, a before b, show one counter? They may have begun at different values; so it
 * is asked by how much they grow. b, read between two readings of a, grows by what lies between the
 * least and the most that a can have grown by, each of three times, where those two are not more than 2 %
 * apart. Takes some 10 ms, at most 130 ms. false if they do not move, or cannot be read. `scratch` holds
 * four times the source's channels. */
bool me_counters_is_mirror(struct me_source *source, size_t a, size_t b, struct me_reading *scratch);

/* Marks the channels that repeat one before them: of one package or psys, the same part (what stands
 * behind the slash of the name), and the same counter by me_counters_is_mirror. `is_package_wide`: all
 * dies of a package show one counter, and need not be asked. -1: no memory. */
int me_counters_mark_repeats(struct me_source *source, bool is_package_wide, struct me_error *err);

#endif
