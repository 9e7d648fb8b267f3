/* What a machine is: read once, at the start. */
#ifndef ME_FACTS_H
#define ME_FACTS_H

#include "me/record.h"
#include "me/root.h"

/* Fills host, boot_id, cpu_model, sockets, cores, threads, memory_bytes, kernel and
 * unix_minus_mono_ns from the root's proc and sys; machine_id and name become 0 and "", they are the
 * plan's. What a root does not tell (a recorded machine has few files) is "" or 0; never an error. */
void me_machine_facts(const struct me_root *root, struct me_facts *facts);

#endif
