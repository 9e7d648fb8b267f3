#include "decimal.h"
#include <errno.h>
#include <stdbool.h>

enum { DIGITS_MAX = 37, EXPONENT_MAX = 99 }; /* 2^128 is 3.4e38 */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes digits; returns how many, or -1 if they are too many. */
static int take_digits(const char **at, struct me_decimal *number)
{
    int count = 0;
    for (; is_digit(**at); (*at)++, count++) {
        unsigned __int128 limit = 1;
        for (int i = 1; i < DIGITS_MAX; i++) limit *= 10;
        if (number->digits >= limit) return -1;
        number->digits = number->digits * 10 + (unsigned)(**at - '0');
    }
    return count;
}

/* "e+06". An "e" without digits is not an exponent, and stays. 0 or ERANGE. */
static int take_exponent(const char **at, int *exponent)
{
    const char *p = *at;
    if (*p != 'e' && *p != 'E') return 0;
    bool negative = *++p == '-';
    if (*p == '-' || *p == '+') p++;
    if (!is_digit(*p)) return 0;
    int value = 0;
    for (; is_digit(*p); p++) {
        value = value * 10 + (*p - '0');
        if (value > EXPONENT_MAX) return ERANGE;
    }
    *exponent += negative ? -value : value;
    *at = p;
    return 0;
}

int me_decimal_parse(const char **at, struct me_decimal *number)
{
    struct me_decimal taken = {.digits = 0};
    const char *p = *at;
    int whole = take_digits(&p, &taken), part = 0;
    if (whole < 0) return ERANGE;
    if (*p == '.') {
        p++;
        part = take_digits(&p, &taken);
        if (part < 0) return ERANGE;
        if (!part) return EPROTO; /* "12." */
    }
    if (!whole && !part) return EPROTO;
    taken.exponent = -part;
    if (take_exponent(&p, &taken.exponent)) return ERANGE;
    *number = taken;
    *at = p;
    return 0;
}

int me_decimal_scale(const struct me_decimal *number, uint64_t factor, uint64_t *value)
{
    unsigned __int128 scaled;
    if (__builtin_mul_overflow(number->digits, (unsigned __int128)factor, &scaled)) return ERANGE;
    int exponent = number->exponent;
    for (; exponent > 0 && scaled; exponent--)
        if (__builtin_mul_overflow(scaled, (unsigned __int128)10, &scaled)) return ERANGE;
    bool up = false;
    for (; exponent < 0 && scaled; exponent++) {
        up = scaled % 10 >= 5; /* what the last of them says decides */
        scaled /= 10;
    }
    if (exponent < 0) up = false; /* nothing was left to round before the end */
    scaled += up;
    if (scaled > UINT64_MAX) return ERANGE;
    *value = (uint64_t)scaled;
    return 0;
}
