/* IDX, the file format of MNIST and its relatives: a magic number (two zero bytes, 8 for unsigned
 * bytes, the number of dimensions), the dimensions as 32-bit big-endian numbers, the bytes. Read
 * through zlib, which takes plain files as they are.
 * Format: http://yann.lecun.com/exdb/mnist/ */
#ifndef ME_IDX_H
#define ME_IDX_H

#include "me/error.h"
#include <stddef.h>
#include <stdint.h>

enum { ME_IDX_SIDE = 28, ME_IDX_PIXELS = ME_IDX_SIDE * ME_IDX_SIDE, ME_IDX_CLASSES = 10 };

struct me_idx { /* `count` labelled images of 28 x 28 grey levels in 10 classes */
    size_t count;
    uint8_t *images; /* [count x ME_IDX_PIXELS] */
    uint8_t *labels; /* [count], below ME_IDX_CLASSES */
};

/* Reads <directory>/<set>-images-idx3-ubyte.gz and <set>-labels-idx1-ubyte.gz, set being "train" or
 * "t10k". Both whole, to the last byte: bad magic, wrong dimensions, truncated, damaged, trailing
 * bytes, unlike counts and labels out of range are each an error that names the file. A file that
 * is not there is ME_E_RUN and says which package has it. */
int me_idx_read(const char *directory, const char *set, struct me_idx *out, struct me_error *err);
/* Only the headers: are they there and do they fit? */
int me_idx_check(const char *directory, const char *set, size_t *count, struct me_error *err);
void me_idx_release(struct me_idx *idx); /* NULL-safe */

#endif
