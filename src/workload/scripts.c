#include "scripts.h"
#include <stdint.h>
#include <string.h>

/* Made by scripts.S: of each file its length (8 bytes), its name with a NUL, its text; of the last, 0 and "". */
extern const char me_scripts_bytes[] __attribute__((visibility("hidden")));

bool me_scripts_next(struct me_script *script)
{
    const char *at = script->next ? script->next : me_scripts_bytes;
    uint64_t len;
    memcpy(&len, at, sizeof len);
    at += sizeof len;
    if (!*at) return false;
    const char *text = at + strlen(at) + 1;
    *script = (struct me_script){.name = at, .text = text, .len = (size_t)len, .next = text + len};
    return true;
}
