/* What this process may do, for the advice that a source gives where it is not allowed something. */
#ifndef ME_SOURCE_RIGHTS_H
#define ME_SOURCE_RIGHTS_H

#include "me/root.h"
#include <stdbool.h>
#include <stddef.h>

struct me_rights {
    unsigned long long capabilities; /* effective; bit n is capability n of linux/capability.h */
    bool is_filtered;                /* a seccomp filter decides on its system calls, as in a container */
};
/* Pure: from the text of proc/self/status. */
void me_rights_parse(const char *status, struct me_rights *rights);
void me_rights_read(struct me_rights *rights);
bool me_rights_has(const struct me_rights *rights, int capability);

/* The group of this process, by name, else by number: for the cures that open a file to it. */
void me_rights_group(char *group, size_t size);
/* The cure `sudo setcap CAPABILITY=ep` for this program, and for me_bench where that stands beside it,
 * since that is what measures. false if it would not help: the file lies where the kernel heeds no such
 * rights (mounted nosuid, or from another machine). */
bool me_rights_setcap(const char *capability, char *cure, size_t size);

/* Are we inside a container, as its engine marks it? */
bool me_rights_is_container(const struct me_root *root);

#endif
