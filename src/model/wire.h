/* Numbers and texts as bytes, the same on every machine: little-endian, varints of 7 bits a byte. */
#ifndef ME_MODEL_WIRE_H
#define ME_MODEL_WIRE_H

#include "me/buffer.h"
#include <stdint.h>

#define ME_WIRE_VARINT_MAX 10 /* bytes of the longest varint */

size_t me_wire_varint(uint8_t bytes[ME_WIRE_VARINT_MAX], uint64_t value); /* returns its length */
/* Small magnitudes of either sign become small numbers: 0, -1, 1, -2 are 0, 1, 2, 3. */
uint64_t me_wire_zigzag(int64_t value);
int64_t me_wire_unzigzag(uint64_t value);

void me_wire_put_uint(struct me_buffer *out, uint64_t value); /* varint */
void me_wire_put_int(struct me_buffer *out, int64_t value);   /* zigzag varint */
void me_wire_put_fixed(struct me_buffer *out, uint64_t value, size_t bytes);
void me_wire_put_double(struct me_buffer *out, double value);   /* its 8 bytes */
void me_wire_put_text(struct me_buffer *out, const char *text); /* length, bytes */

/* Bytes to be read, never beyond `end`. A read past it, or a value that does not fit, sets `bad` and
 * gives 0; so that a reader checks once, at the end. */
struct me_wire {
    const uint8_t *at, *end;
    bool bad;
};
size_t me_wire_left(const struct me_wire *in);
uint64_t me_wire_uint(struct me_wire *in);
int64_t me_wire_int(struct me_wire *in, int64_t min, int64_t max);
uint64_t me_wire_fixed(struct me_wire *in, size_t bytes);
double me_wire_double(struct me_wire *in);
const uint8_t *me_wire_bytes(struct me_wire *in, size_t len); /* NULL if there are not so many */
/* A text too long for `size` is cut, what stands behind a NUL is dropped, and what is not UTF-8 is
 * made so. */
void me_wire_text(struct me_wire *in, char *text, size_t size);

/* CRC-32 as zlib, PNG and Ethernet have it (polynomial 0x04C11DB7, reflected). */
uint32_t me_wire_crc32(uint32_t crc, const void *bytes, size_t len); /* begin with 0 */

#endif
