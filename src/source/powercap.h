/* The source `powercap`: energy counters of the Linux power capping framework (RAPL of Intel and
 * AMD, and what else registers there). Documentation/power/powercap/powercap.rst of the kernel. */
#ifndef ME_SOURCE_POWERCAP_H
#define ME_SOURCE_POWERCAP_H

#include "me/source.h"

extern const struct me_source_ops me_powercap_ops;

/* Says why a machine shows no zones, and the one command that cures it. `links`: entries that lead
 * nowhere, as a container's engine leaves them when it hides their target. */
void me_powercap_explain_absent(struct me_source *source, const struct me_root *root, size_t links);
/* The same where there are zones and this user may not read them. */
void me_powercap_explain_denied(struct me_source *source, size_t zones);

#endif
