/* The one error type. The caller owns it; helpers fill it and return -1.
 *
 *     if (!port) return me_fail(err, ME_E_INPUT, "%s:%d: no port", path, line);
 *
 * A function that takes a `struct me_error *` returns 0 on success and -1 on failure, unless its
 * header says otherwise; on failure the error holds one line without a newline, and outputs are
 * untouched. err may be NULL: the text is then lost, the return value is not.
 * Only the main functions print errors and exit. */
#ifndef ME_ERROR_H
#define ME_ERROR_H

enum me_code { /* the value is the exit code of the programs (DESIGN: exit codes) */
               ME_OK = 0,
               ME_E_RUN = 1,     /* something ran, and failed: system calls, memory, a workload */
               ME_E_INPUT = 2,   /* misuse or bad input; nothing was touched */
               ME_E_MACHINE = 3, /* a machine could not be reached or prepared */
};

struct me_error {
    enum me_code code;
    char text[1024];
};

/* me_fail(err, code, format, ...) fills *err with the formatted line and is -1.
 * me_fail_errno(err, code, errnum, format, ...) puts ": " and the text of errnum behind it.
 * Macros, so that compilers and analysers see the -1. */
#define me_fail(...)       (me_error_set(__VA_ARGS__), me_failed())
#define me_fail_errno(...) (me_error_set_errno(__VA_ARGS__), me_failed())
static inline int me_failed(void)
{
    return -1;
}

void me_error_set(struct me_error *err, enum me_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void me_error_set_errno(struct me_error *err, enum me_code code, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
