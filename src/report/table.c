#include <string.h>
#include "writer.h"

const struct me_report_format me_report_table[] = {
    {"text", me_text_write},
    {"json", me_json_write},
    {"csv", me_csv_write},
    {NULL, NULL},
};

const struct me_report_format *me_report_find(const char *name)
{
    for (const struct me_report_format *format = me_report_table; format->name; format++)
        if (!strcmp(format->name, name)) return format;
    return NULL;
}
