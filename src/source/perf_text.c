/* The texts of sysfs that describe an event; pure. */
#include "perf.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Digits at *text, at most `max`. */
static int take_number(const char **text, int base, uint64_t max, uint64_t *number)
{
    char *end;
    if (!isxdigit((unsigned char)**text)) return -1;
    errno = 0;
    unsigned long long value = strtoull(*text, &end, base);
    if (errno || end == *text || value > max) return -1;
    *text = end;
    *number = value;
    return 0;
}

/* "7" or "0-7" at *text. */
static int take_range(const char **text, uint64_t max, uint64_t *low, uint64_t *high)
{
    if (take_number(text, 10, max, low)) return -1;
    *high = *low;
    if (**text != '-') return 0;
    ++*text;
    return take_number(text, 10, max, high) || *high < *low ? -1 : 0;
}

int me_perf_parse_cpus(const char *text, unsigned *cpus, size_t max)
{
    size_t count = 0;
    while (true) {
        uint64_t low, high;
        if (take_range(&text, 65535, &low, &high)) return -1;
        for (; low <= high; low++, count++)
            if (count < max) cpus[count] = (unsigned)low;
        if (!*text || (*text == '\n' && !text[1])) return (int)count;
        if (*text++ != ',' || count > 65536) return -1;
    }
}

/* Splits "2.5e-10" into its digits and its power of ten. */
static int split_decimal(const char *text, char *digits, size_t size, long *exponent)
{
    size_t len = strspn(text, "0123456789.");
    const char *point = memchr(text, '.', len);
    *exponent = 0;
    if (!len || len >= size ||
        (point && (len == 1 || memchr(point + 1, '.', len - (size_t)(point + 1 - text)))))
        return -1;
    memcpy(digits, text, len);
    digits[len] = '\0';
    text += len;
    if (*text == 'e' || *text == 'E') {
        char *end;
        const char *sign = text[1] == '-' || text[1] == '+' ? text + 2 : text + 1;
        if (!isdigit((unsigned char)*sign)) return -1;
        *exponent = strtol(text + 1, &end, 10);
        text = end;
    }
    return (*text && strcmp(text, "\n") != 0) || *exponent < -60 || *exponent > 60 ? -1 : 0;
}

int me_perf_parse_scale(const char *text, struct me_perf_scale *scale)
{
    char digits[128], uj_text[160];
    long exponent;
    int binary;
    if (split_decimal(text, digits, sizeof digits, &exponent)) return -1;
    /* Joules to microjoules in the text: one rounding in all, and none where a long double is enough. */
    snprintf(uj_text, sizeof uj_text, "%se%ld", digits, exponent + 6);
    long double uj = strtold(uj_text, NULL);
    if (!(uj > 0) || !isfinite(uj)) return -1;
    long double mantissa = frexpl(uj, &binary); /* uj = mantissa x 2^binary, mantissa in [1/2, 1) */
    if (binary > 40 || binary < -60) return -1;
    scale->mantissa = (uint64_t)ldexpl(mantissa, 64);
    scale->shift = (unsigned)(64 - binary);
    return 0;
}

int me_perf_uj(struct me_perf_scale scale, uint64_t count, uint64_t *uj)
{
    __extension__ unsigned __int128 product = (unsigned __int128)count * scale.mantissa;
    product >>= scale.shift;
    if (product > UINT64_MAX) return ERANGE;
    *uj = (uint64_t)product;
    return 0;
}

int me_perf_next_term(const char **text, char *name, size_t size, uint64_t *value)
{
    const char *at = *text;
    if (!*at || (*at == '\n' && !at[1])) return 0;
    size_t len = strcspn(at, "=,\n");
    if (!len || len >= size) return -1;
    const char *end = at + len;
    uint64_t number = 1;
    if (*end == '=') {
        bool is_hex = end[1] == '0' && (end[2] == 'x' || end[2] == 'X');
        end += is_hex ? 3 : 1;
        if (take_number(&end, is_hex ? 16 : 10, UINT64_MAX, &number)) return -1;
    }
    if (*end && *end != ',' && *end != '\n') return -1;
    memcpy(name, at, len);
    name[len] = '\0';
    *value = number;
    *text = *end == ',' ? end + 1 : end;
    return 1;
}

int me_perf_place_term(const char *format, uint64_t value, struct me_perf_config *config)
{
    struct me_perf_config placed = *config;
    unsigned word = 0;
    if (strncmp(format, "config", 6) != 0) return -1;
    format += 6;
    if (*format == '1' || *format == '2') word = (unsigned)(*format++ - '0');
    if (*format++ != ':') return -1;
    while (true) { /* the lowest bits of the value go to the first range */
        uint64_t low, high;
        if (take_range(&format, 63, &low, &high)) return -1;
        uint64_t width = high - low + 1, mask = width < 64 ? (UINT64_C(1) << width) - 1 : UINT64_MAX;
        placed.words[word] |= (value & mask) << low;
        value = width < 64 ? value >> width : 0;
        if (!*format || (*format == '\n' && !format[1])) break;
        if (*format++ != ',') return -1;
    }
    if (value) return -1;
    *config = placed;
    return 0;
}
