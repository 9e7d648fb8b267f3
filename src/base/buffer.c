#include "me/buffer.h"
#include "me/utf8.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct me_buffer *buf, size_t more)
{
    if (buf->failed) return false;
    if (more < buf->cap && buf->len < buf->cap - more) return true; /* one byte stays for the NUL */
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap - buf->len <= more) {
        if (cap > SIZE_MAX / 2) {
            buf->failed = true;
            return false;
        }
        cap *= 2;
    }
    char *data = realloc(buf->data, cap);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void me_buffer_append(struct me_buffer *buf, const void *bytes, size_t len)
{
    if (!reserve(buf, len)) return;
    if (len) memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void me_buffer_puts(struct me_buffer *buf, const char *text)
{
    me_buffer_append(buf, text, strlen(text));
}

void me_buffer_printf(struct me_buffer *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        buf->failed = true;
        return;
    }
    if (!reserve(buf, (size_t)len)) return;
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void me_buffer_shell_quoted(struct me_buffer *buf, const char *text)
{
    me_buffer_puts(buf, "'");
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            me_buffer_puts(buf, "'\\''");
        else
            me_buffer_append(buf, c, 1);
    }
    me_buffer_puts(buf, "'");
}

void me_buffer_json_quoted(struct me_buffer *buf, const char *text)
{
    me_buffer_puts(buf, "\"");
    for (size_t len; *text; text += len ? len : 1) {
        unsigned char c = (unsigned char)*text;
        len = me_utf8_sequence(text);
        if (c == '"' || c == '\\')
            me_buffer_printf(buf, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            me_buffer_printf(buf, "\\u%04x", c);
        else if (len)
            me_buffer_append(buf, text, len);
        else
            me_buffer_puts(buf, "\\ufffd"); /* RFC 8259 wants valid UTF-8 */
    }
    me_buffer_puts(buf, "\"");
}

void me_buffer_clear(struct me_buffer *buf)
{
    buf->len = 0;
    buf->failed = false;
    if (buf->data) buf->data[0] = '\0';
}

void me_buffer_release(struct me_buffer *buf)
{
    if (!buf) return;
    free(buf->data);
    *buf = (struct me_buffer)ME_BUFFER_INIT;
}
