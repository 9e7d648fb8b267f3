/* A result as text. One row a format; a writer takes the ranked result and a FILE. */
#ifndef ME_REPORT_H
#define ME_REPORT_H

#include <stdio.h>
#include "me/result.h"

struct me_report_format {
    const char *name; /* "text", "json", "csv" */
    int (*write)(const struct me_result *result, FILE *out, struct me_error *err);
};
extern const struct me_report_format me_report_table[]; /* ends with name == NULL */
const struct me_report_format *me_report_find(const char *name);

#endif
