/* Words of a SPEC or a command as numbers and text. Pure. Each is false, and writes nothing, for a text
 * that is not wholly what it should be. */
#ifndef RIG_PARSE_H
#define RIG_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A whole number; base 0 takes 0x, as a register has it. */
bool rig_parse_u64(const char *text, int base, uint64_t *value);
/* A decimal number of some unit as an integer of a smaller one: "50.5" W is 50,500,000 uW. */
bool rig_parse_scaled(const char *text, double scale, double max, uint64_t *value);
bool rig_parse_mode(const char *text, mode_t *mode);
bool rig_parse_bool(const char *text, bool *value);
/* The next part of a list, cut at `separator` unless a backslash stands before it; NULL at the end. */
char *rig_parse_part(char **rest, char separator);
/* \n, \t, \\ and \, become what they mean, in place; false for another escape. */
bool rig_parse_escapes(char *text);

/* What a count is worth: count = floor(amount * num / den), the amount in femtojoules for an energy and
 * in microwatts for a power. */
struct rig_unit {
    uint64_t num, den;
    bool power;
};
/* uJ, mJ, J, uWh, uW, mW, W, "2^-14" (joules) or joules a count as a decimal number ("15.3e-6"). */
bool rig_parse_unit(const char *text, struct rig_unit *unit);

#endif
