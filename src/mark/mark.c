/* libme: the calls of me/mark.h as symbols, for languages that load a library rather than a C header
 * (Fortran, Python's ctypes, Rust). In C and C++ the header alone does. */

/* The header's functions are static; here they make way for the exported ones of the same names. */
#define me_mark_begin  inline_begin
#define me_mark_end    inline_end
#define me_mark_work   inline_work
#define me_mark_metric inline_metric
#include "me/mark.h"
#undef me_mark_begin
#undef me_mark_end
#undef me_mark_work
#undef me_mark_metric

void me_mark_begin(const char *region);
void me_mark_end(const char *region);
void me_mark_work(double amount, const char *unit);
void me_mark_metric(const char *name, double value);

void me_mark_begin(const char *region)
{
    inline_begin(region);
}

void me_mark_end(const char *region)
{
    inline_end(region);
}

void me_mark_work(double amount, const char *unit)
{
    inline_work(amount, unit);
}

void me_mark_metric(const char *name, double value)
{
    inline_metric(name, value);
}
