#include "parse.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool rig_parse_u64(const char *text, int base, uint64_t *value)
{
    if (!text || text[0] < '0' || text[0] > '9') return false;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, base);
    if (errno || *end) return false;
    *value = number;
    return true;
}

bool rig_parse_scaled(const char *text, double scale, double max, uint64_t *value)
{
    if (!text || !*text) return false;
    char *end;
    double number = strtod(text, &end);
    if (*end || !isfinite(number) || number < 0 || number > max) return false;
    *value = (uint64_t)llround(number * scale);
    return true;
}

bool rig_parse_mode(const char *text, mode_t *mode)
{
    uint64_t number;
    if (!rig_parse_u64(text, 8, &number) || number > 0777) return false;
    *mode = (mode_t)number;
    return true;
}

bool rig_parse_bool(const char *text, bool *value)
{
    if (!text || (strcmp(text, "0") && strcmp(text, "1"))) return false;
    *value = *text == '1';
    return true;
}

char *rig_parse_part(char **rest, char separator)
{
    char *part = *rest;
    if (!part) return NULL;
    char *end = part;
    while (*end && *end != separator) end += *end == '\\' && end[1] ? 2 : 1;
    *rest = *end ? end + 1 : NULL;
    *end = '\0';
    return part;
}

bool rig_parse_escapes(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        const char *known = strchr("n\nt\t\\\\,,", *++from);
        if (!*from || !known) return false;
        *to++ = known[1];
    }
    *to = '\0';
    return true;
}

bool rig_parse_unit(const char *text, struct rig_unit *unit)
{
    static const struct {
        const char *name;
        struct rig_unit unit;
    } known[] = {
        {"uJ", {1, 1000000000u, false}},
        {"mJ", {1, 1000000000000u, false}},
        {"J", {1, 1000000000000000u, false}},
        {"uWh", {1, 3600000000000u, false}},
        {"uW", {1, 1, true}},
        {"mW", {1, 1000, true}},
        {"W", {1, 1000000, true}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(text, known[i].name)) return *unit = known[i].unit, true;
    uint64_t number;
    if (!strncmp(text, "2^-", 3)) { /* exact, where 2^-19 and below have no exact attojoules */
        if (!rig_parse_u64(text + 3, 10, &number) || number > 30) return false;
        *unit = (struct rig_unit){UINT64_C(1) << number, 1000000000000000u, false};
        return true;
    }
    if (!rig_parse_scaled(text, 1e18, 18, &number) || number == 0) return false;
    *unit = (struct rig_unit){1000, number, false};
    return true;
}
