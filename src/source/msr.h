/* The source `msr`: the energy registers of Intel and AMD processors, read from dev/cpu/N/msr, where no
 * driver of the kernel shows them. msr(4); which registers in which units: rapl.h.
 *
 * A register holds 32 bits and starts again at 0. A reading is floor(raw x unit) in uJ, and the channel's
 * range is 2^32 units, which is a whole number of uJ: no wrap costs a microjoule. */
#ifndef ME_SOURCE_MSR_H
#define ME_SOURCE_MSR_H

#include "me/source.h"

extern const struct me_source_ops me_msr_ops;

enum me_msr_lack {
    ME_MSR_NO_PROCESSOR, /* no processor that has such registers */
    ME_MSR_NO_FILE,      /* no dev/cpu/N/msr */
    ME_MSR_NOT_OPEN,     /* refused, or broken: `error` */
    ME_MSR_NO_UNIT,      /* the register of the units cannot be read (`error`), or is 0 */
    ME_MSR_NO_COUNTER,   /* no energy register can be read, or they all stand at 0 */
    ME_MSR_FOREIGN,      /* a device of this machine under the root of another */
};
/* Says why there is nothing to read, and the cure. `path`: the file that was tried. */
void me_msr_explain(struct me_source *source, const struct me_root *root, enum me_msr_lack lack,
                    const char *path, int error);

#endif
