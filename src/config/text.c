#include "text.h"
#include "me/utf8.h"
#include <string.h>

size_t me_text_valid(const char *text)
{
    const char *c = text;
    for (size_t n; *c && (n = me_utf8_sequence(c)); c += n) {
    }
    return (size_t)(c - text);
}

static bool is_control(const char *text, size_t n)
{
    const unsigned char *c = (const unsigned char *)text;
    return n == 1 ? *c < 0x20 || *c == 0x7F : n == 2 && c[0] == 0xC2 && c[1] < 0xA0;
}

bool me_text_has_control(const char *text)
{
    for (size_t n; *text && (n = me_utf8_sequence(text)); text += n)
        if (is_control(text, n)) return true;
    return false;
}

void me_text_clean(const char *text, char *clean, size_t size)
{
    char *at = clean, *end = clean + size;
    while (*text) {
        size_t n = me_utf8_sequence(text), width = n ? n : 1;
        bool fits = strlen(text) < (size_t)(end - at);
        if (!fits && (size_t)(end - at) < width + sizeof "...") {
            at = stpcpy(at, "...");
            break;
        }
        if (n == 0 || is_control(text, n))
            *at++ = '?';
        else
            at = mempcpy(at, text, n);
        text += width;
    }
    *at = '\0';
}
