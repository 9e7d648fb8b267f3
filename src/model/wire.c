#include "wire.h"
#include "me/utf8.h"
#include <string.h>

size_t me_wire_varint(uint8_t bytes[ME_WIRE_VARINT_MAX], uint64_t value)
{
    size_t len = 0;
    for (; value >= 0x80; value >>= 7) bytes[len++] = (uint8_t)(value | 0x80);
    bytes[len++] = (uint8_t)value;
    return len;
}

uint64_t me_wire_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

int64_t me_wire_unzigzag(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (value & 1 ? UINT64_MAX : 0));
}

void me_wire_put_uint(struct me_buffer *out, uint64_t value)
{
    uint8_t bytes[ME_WIRE_VARINT_MAX];
    me_buffer_append(out, bytes, me_wire_varint(bytes, value));
}

void me_wire_put_int(struct me_buffer *out, int64_t value)
{
    me_wire_put_uint(out, me_wire_zigzag(value));
}

void me_wire_put_fixed(struct me_buffer *out, uint64_t value, size_t bytes)
{
    uint8_t little[8];
    for (size_t i = 0; i < bytes; i++) little[i] = (uint8_t)(value >> (8 * i));
    me_buffer_append(out, little, bytes);
}

void me_wire_put_double(struct me_buffer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    me_wire_put_fixed(out, bits, 8);
}

void me_wire_put_text(struct me_buffer *out, const char *text)
{
    size_t len = strlen(text);
    me_wire_put_uint(out, len);
    me_buffer_append(out, text, len);
}

size_t me_wire_left(const struct me_wire *in)
{
    return (size_t)(in->end - in->at);
}

const uint8_t *me_wire_bytes(struct me_wire *in, size_t len)
{
    if (in->bad || me_wire_left(in) < len) {
        in->bad = true;
        return NULL;
    }
    in->at += len;
    return in->at - len;
}

uint64_t me_wire_uint(struct me_wire *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *byte = me_wire_bytes(in, 1);
        if (!byte) return 0;
        uint64_t bits = *byte & 0x7f;
        if (shift == 63 && bits > 1) break;
        value |= bits << shift;
        if (!(*byte & 0x80)) return value;
    }
    in->bad = true;
    return 0;
}

int64_t me_wire_int(struct me_wire *in, int64_t min, int64_t max)
{
    int64_t value = me_wire_unzigzag(me_wire_uint(in));
    if (!in->bad && value >= min && value <= max) return value;
    in->bad = true;
    return 0;
}

uint64_t me_wire_fixed(struct me_wire *in, size_t bytes)
{
    const uint8_t *little = me_wire_bytes(in, bytes);
    uint64_t value = 0;
    for (size_t i = 0; little && i < bytes; i++) value |= (uint64_t)little[i] << (8 * i);
    return value;
}

double me_wire_double(struct me_wire *in)
{
    uint64_t bits = me_wire_fixed(in, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void me_wire_text(struct me_wire *in, char *text, size_t size)
{
    uint64_t len = me_wire_uint(in);
    const uint8_t *bytes = len <= SIZE_MAX ? me_wire_bytes(in, (size_t)len) : NULL;
    if (!bytes) len = 0;
    size_t kept = len < size ? (size_t)len : size - 1;
    if (bytes && kept) memcpy(text, bytes, kept);
    text[kept] = '\0';
    me_utf8_clean(text, size);
}

uint32_t me_wire_crc32(uint32_t crc, const void *bytes, size_t len)
{
    static const uint32_t nibbles[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    const uint8_t *byte = bytes;
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc = (crc >> 4) ^ nibbles[(crc ^ byte[i]) & 0xf];
        crc = (crc >> 4) ^ nibbles[(crc ^ (byte[i] >> 4)) & 0xf];
    }
    return ~crc;
}
