/* Growing bytes. A failed allocation sets `failed` and later appends do nothing, so that a writer
 * checks once, at the end. `data` is always terminated by a NUL that `len` does not count
 * (data is NULL only before the first append). */
#ifndef ME_BUFFER_H
#define ME_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct me_buffer {
    char *data;
    size_t len;
    size_t cap;
    bool failed;
};

#define ME_BUFFER_INIT                                                                                       \
    {                                                                                                        \
        0                                                                                                    \
    }

void me_buffer_append(struct me_buffer *buf, const void *bytes, size_t len);
void me_buffer_puts(struct me_buffer *buf, const char *text);
void me_buffer_printf(struct me_buffer *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends `text` quoted for a POSIX shell, always within single quotes. */
void me_buffer_shell_quoted(struct me_buffer *buf, const char *text);
/* Appends `text` as a JSON string in UTF-8; a byte that is none becomes U+FFFD. */
void me_buffer_json_quoted(struct me_buffer *buf, const char *text);
/* Forgets the content, keeps the memory and clears `failed`. */
void me_buffer_clear(struct me_buffer *buf);
/* Frees; the buffer is then as after ME_BUFFER_INIT. NULL-safe. */
void me_buffer_release(struct me_buffer *buf);

#endif
