#include "me/error.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void write_line(struct me_error *err, enum me_code code,
                                                             const char *format, va_list args)
{
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
    for (char *c = err->text; *c; c++) /* one line, whatever a file or a peer put into it */
        if (*c == '\n' || *c == '\r') *c = ' ';
}

void me_error_set(struct me_error *err, enum me_code code, const char *format, ...)
{
    if (!err) return;
    va_list args;
    va_start(args, format);
    write_line(err, code, format, args);
    va_end(args);
}

void me_error_set_errno(struct me_error *err, enum me_code code, int errnum, const char *format, ...)
{
    if (!err) return;
    va_list args;
    va_start(args, format);
    write_line(err, code, format, args);
    va_end(args);
    size_t len = strlen(err->text);
    char reason[128];
    snprintf(err->text + len, sizeof err->text - len, ": %s", strerror_r(errnum, reason, sizeof reason));
}
