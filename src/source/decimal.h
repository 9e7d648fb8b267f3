/* Decimal numbers as people and programs print them ("215", "0.25", "1.5e+06"), taken exactly: a
 * microjoule counter that goes through a float loses joules. */
#ifndef ME_SOURCE_DECIMAL_H
#define ME_SOURCE_DECIMAL_H

#include <stdint.h>

struct me_decimal { /* digits x 10^exponent */
    unsigned __int128 digits;
    int exponent;
};

/* Reads the number at *at, digits with at most one point between or before digits and an exponent or
 * none, and moves *at behind it. No sign, no blank, no hexadecimal, no "nan". 0; EPROTO (no number), or
 * ERANGE (more than 37 digits, or an exponent beyond 99). *at and *number are untouched on failure. */
int me_decimal_parse(const char **at, struct me_decimal *number);
/* number x factor, rounded to the nearest. 0, or ERANGE (beyond 64 bits). */
int me_decimal_scale(const struct me_decimal *number, uint64_t factor, uint64_t *value);

#endif
