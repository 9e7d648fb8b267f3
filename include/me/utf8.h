/* Text that came from elsewhere (names, models, error messages): making it valid, and how wide it is. */
#ifndef ME_UTF8_H
#define ME_UTF8_H

#include <stddef.h>

/* Bytes of the UTF-8 sequence at `text` (1 for ASCII and for the final NUL), or 0 if there is none:
 * overlong forms, surrogates and what lies above U+10FFFF are none (RFC 3629). */
size_t me_utf8_sequence(const char *text);
/* Makes the field valid UTF-8 with NULs behind the text up to its end: a sequence cut off at the end
 * of the text goes, other bad bytes become '?'. */
void me_utf8_clean(char *text, size_t size);
/* Columns that the text takes in a terminal: combining marks none, East Asian wide characters two. */
size_t me_utf8_width(const char *text);

#endif
