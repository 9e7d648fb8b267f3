#include "ssh.h"
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void me_base64_encode(const void *bytes, size_t len, bool pad, char *text, size_t size)
{
    const unsigned char *in = bytes;
    size_t at = 0;
    for (size_t i = 0; i < len && at + 5 <= size; i += 3) {
        uint32_t word = (uint32_t)in[i] << 16;
        if (i + 1 < len) word |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < len) word |= in[i + 2];
        size_t chars = len - i >= 3 ? 4 : len - i + 1;
        for (size_t c = 0; c < 4; c++) {
            if (c < chars)
                text[at++] = alphabet[(word >> (18 - 6 * c)) & 63];
            else if (pad)
                text[at++] = '=';
        }
    }
    text[at] = '\0';
}

long me_base64_decode(const char *text, size_t len, unsigned char *bytes, size_t size)
{
    uint32_t word = 0;
    int bits = 0;
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '=' || text[i] == '\n' || text[i] == '\r' || text[i] == ' ') continue;
        const char *found = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!found) return -1;
        word = word << 6 | (uint32_t)(found - alphabet);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        if (at == size) return -1;
        bytes[at++] = (unsigned char)(word >> bits);
    }
    return (long)at;
}

uint32_t me_wire_u32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

const unsigned char *me_wire_string(const unsigned char **at, const unsigned char *end, size_t *len)
{
    if (end - *at < 4) return NULL;
    size_t size = me_wire_u32(*at);
    if (size > (size_t)(end - *at) - 4) return NULL;
    const unsigned char *bytes = *at + 4;
    *at = bytes + size;
    *len = size;
    return bytes;
}

void me_wire_put(struct me_buffer *out, const void *bytes, size_t len)
{
    unsigned char head[4] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16),
                             (unsigned char)(len >> 8), (unsigned char)len};
    me_buffer_append(out, head, 4);
    me_buffer_append(out, bytes, len);
}

void me_wipe_free(char *secret)
{
    if (!secret) return;
    explicit_bzero(secret, strlen(secret));
    free(secret);
}
