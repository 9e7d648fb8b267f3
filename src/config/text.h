/* What may stand in a text, and how it is shown in a message. All on top of me/utf8.h. */
#ifndef ME_CONFIG_TEXT_H
#define ME_CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes before the first NUL are valid UTF-8, from the first on. */
size_t me_text_valid(const char *text);
/* True if a control character (C0, DEL or C1) is in it. */
bool me_text_has_control(const char *text);
/* Copies for a message: control and invalid bytes become '?', a long text is cut and ends in "...". */
void me_text_clean(const char *text, char *clean, size_t size);

#endif
