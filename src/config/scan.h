/* The strict reading of JSON text, before cJSON sees it: comments become blanks, the grammar is that
 * of RFC 8259 to the letter, and each value's line is noted (cJSON keeps no positions and is more
 * lenient than we want to be). */
#ifndef ME_CONFIG_SCAN_H
#define ME_CONFIG_SCAN_H

#include "me/error.h"
#include <stddef.h>

enum {
    ME_SCAN_DEPTH = 16, /* our own texts need 4 */
    ME_SCAN_VALUES = 1000000,
};

/* Turns a byte order mark, # and // comments up to the end of their line, and block comments into
 * blanks, in place: every position and line stays. `source` names the text in messages. */
int me_scan_strip(char *text, size_t len, const char *source, struct me_error *err);
/* Checks the text, which ends with a NUL at text[len]. *lines gets the line of each value in
 * document order (a member's is that of its key), to be freed by the caller. */
int me_scan_check(const char *text, size_t len, const char *source, int **lines, size_t *count,
                  struct me_error *err);

#endif
