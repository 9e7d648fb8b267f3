/* HDF5 on bytes of ours, by a file driver whose writes and whose close never fail. A libhdf5 whose flush met a full
 * disk cannot be closed any more, and complains on stderr when the program ends; so what the disk refuses is
 * remembered here: from the first failure on nothing more is written, what HDF5 still writes is kept in memory (its
 * caches, some MiB at most if the caller stops soon) and read back from there. The caller asks for `failed`. */
#ifndef ME_STORE_VFD_H
#define ME_STORE_VFD_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct me_vfd_patch;
struct me_vfd {
    /* Set by the caller. Both return 0 or an errno; nothing is read at or beyond `size`. */
    int (*read)(void *context, uint64_t at, void *bytes, size_t len);
    int (*write)(void *context, uint64_t at, const void *bytes, size_t len); /* NULL: only read */
    void *context;
    uint64_t size; /* what there is; of a file that is written it grows */
    /* The driver's. */
    int failed;   /* errno of the first write that failed, or 0 */
    uint64_t end; /* the file's size as HDF5 sees it, after the close */
    struct me_vfd_patch *patches;
    size_t patch_count;
};

/* Access properties that open files on `vfd`, which stays the caller's until they are closed; -1 on failure. */
hid_t me_vfd_access(struct me_vfd *vfd);
void me_vfd_release(struct me_vfd *vfd); /* what was kept in memory; after the close */

#endif
