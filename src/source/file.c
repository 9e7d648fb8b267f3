#include "file.h"
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int me_file_text(int fd, char *text, size_t size)
{
    ssize_t len;
    if (fd < 0) return ENOENT;
    do len = pread(fd, text, size - 1, 0);
    while (len < 0 && errno == EINTR);
    if (len < 0) return errno;
    if (len > 0 && text[len - 1] == '\n') len--;
    text[len] = '\0';
    return len ? 0 : ENODATA;
}

static int read_decimal(int fd, bool *negative, uint64_t *magnitude)
{
    char text[32];
    uint64_t value = 0;
    int error = me_file_text(fd, text, sizeof text);
    if (error) return error;
    const char *at = text + (text[0] == '-');
    if (!*at) return EINVAL;
    for (; *at; at++) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';
        if (digit > 9) return EINVAL;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return ERANGE;
    }
    *negative = text[0] == '-';
    *magnitude = value;
    return 0;
}

int me_file_count(int fd, uint64_t *count)
{
    bool negative;
    uint64_t magnitude;
    int error = read_decimal(fd, &negative, &magnitude);
    if (!error && negative) error = EINVAL;
    if (!error) *count = magnitude;
    return error;
}

int me_file_number(int fd, long long *number)
{
    bool negative;
    uint64_t magnitude;
    int error = read_decimal(fd, &negative, &magnitude);
    if (!error && magnitude > INT64_MAX) error = ERANGE;
    if (!error) *number = negative ? -(long long)magnitude : (long long)magnitude;
    return error;
}

const char *me_file_line(const char *text, const char *key)
{
    const char *at = text;
    while ((at = strstr(at, key)) && at != text && at[-1] != '\n') at++;
    return at ? at + strlen(key) : NULL;
}
