#include "me/utf8.h"
#include <stdint.h>
#include <string.h>

/* How long the sequence that this byte begins would be; 0 if it begins none. */
static size_t promised(unsigned char first)
{
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return 2;
    if ((first & 0xf0) == 0xe0) return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t me_utf8_sequence(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t len = promised(s[0]);
    for (size_t i = 1; i < len; i++) {
        unsigned char low = 0x80, high = 0xbf;
        if (i == 1 && s[0] == 0xe0) low = 0xa0;
        if (i == 1 && s[0] == 0xed) high = 0x9f;
        if (i == 1 && s[0] == 0xf0) low = 0x90;
        if (i == 1 && s[0] == 0xf4) high = 0x8f;
        if (s[i] < low || s[i] > high) return 0;
    }
    return len;
}

void me_utf8_clean(char *text, size_t size)
{
    if (!size) return;
    text[size - 1] = '\0';
    size_t at = 0;
    while (text[at]) {
        size_t len = me_utf8_sequence(text + at);
        if (!len && strlen(text + at) < promised((unsigned char)text[at])) break; /* cut off */
        if (!len) text[at] = '?';
        at += len ? len : 1;
    }
    memset(text + at, 0, size - at);
}

static uint32_t decode(const unsigned char *s, size_t len)
{
    uint32_t point = len == 1 ? s[0] : s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) point = point << 6 | (s[i] & 0x3f);
    return point;
}

/* The large blocks of Unicode's EastAsianWidth.txt; wcwidth() would depend on the locale. */
static size_t columns(uint32_t point)
{
    static const struct {
        uint32_t first, last;
        size_t width;
    } blocks[] = {
        {0x0300, 0x036f, 0}, {0x200b, 0x200f, 0}, {0xfe00, 0xfe0f, 0},   {0x1100, 0x115f, 2},
        {0x2e80, 0xa4cf, 2}, {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe30, 0xfe6f, 2},
        {0xff00, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x1f300, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
    };
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        if (point >= blocks[i].first && point <= blocks[i].last) return blocks[i].width;
    return 1;
}

size_t me_utf8_width(const char *text)
{
    size_t width = 0;
    while (*text) {
        size_t len = me_utf8_sequence(text);
        width += len ? columns(decode((const unsigned char *)text, len)) : 1;
        text += len ? len : 1;
    }
    return width;
}
