#include "me/options.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* strtol and strtod take white space, signs, hexadecimal, "inf" and half a text; what we accept is
 * spelled out here and they only convert. */
static const char *skip_digits(const char *c)
{
    while (isdigit((unsigned char)*c)) c++;
    return c;
}

int me_parse_int(const char *text, long min, long max, long *value)
{
    const char *digits = *text == '-' ? text + 1 : text;
    const char *end = skip_digits(digits);
    if (end == digits || *end) return -1;
    errno = 0;
    long number = strtol(text, NULL, 10);
    if (errno || number < min || number > max) return -1;
    *value = number;
    return 0;
}

static bool is_decimal(const char *text)
{
    const char *c = *text == '-' ? text + 1 : text;
    const char *end = skip_digits(c);
    bool digits = end > c;
    if (*end == '.') {
        c = end + 1;
        end = skip_digits(c);
        digits = digits || end > c;
    }
    if (!digits) return false;
    if (*end == 'e' || *end == 'E') {
        c = end + 1;
        if (*c == '+' || *c == '-') c++;
        end = skip_digits(c);
        if (end == c) return false;
    }
    return *end == '\0';
}

int me_parse_double(const char *text, double min, double max, double *value)
{
    if (!is_decimal(text)) return -1;
    double number = strtod(text, NULL); /* too large becomes infinite, too small becomes 0 */
    if (!isfinite(number) || number < min || number > max) return -1;
    *value = number;
    return 0;
}
