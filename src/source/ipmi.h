/* The source `ipmi`: what the machine's BMC measures, asked in band, through the kernel's IPMI device, by
 * way of ipmitool (`dcmi power reading`; where the BMC has no DCMI, the sensors in watts of `sdr list
 * full`), or of FreeIPMI's ipmi-dcmi where there is no ipmitool. A gauge of the whole machine, about one
 * a second.
 *
 * Where a reading came from. Under a root that is not the running machine's nothing is run; there the
 * file "commands/ipmitool dcmi power reading", and likewise "commands/ipmitool sdr list full", holds what
 * the command once printed: `replay`, or `fake` where a program (FUSE) answers for the file. On the
 * running machine it is `live` only if dev/ipmi0 is a character device of the kernel's driver (its major
 * number is that of "ipmidev" in proc/devices) and the program is the system's (in /usr/bin, /usr/sbin,
 * /bin, /sbin or /usr/local, and for root alone to change). Anything else is `fake`: so a test can put a
 * plain file dev/ipmi0 under its root and a script named ipmitool into PATH, and runs all of this. */
#ifndef ME_SOURCE_IPMI_H
#define ME_SOURCE_IPMI_H

#include "me/source.h"

extern const struct me_source_ops me_ipmi_ops;

/* The device's path under the root, or NULL if there is none. */
const char *me_ipmi_device(const struct me_root *root);
/* Is the device there, and may this user use it? If not, says why in reason and cure. */
bool me_ipmi_is_reachable(struct me_source *source, const struct me_root *root);
/* Finds a program in PATH and the system's folders. False if there is none. */
bool me_ipmi_find_program(const char *name, char *path, size_t size);
enum me_provenance me_ipmi_provenance(const struct me_root *root, const char *program);

#endif
