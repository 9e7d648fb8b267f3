#include <string.h>
#include "me/utf8.h"
#include "writer.h"

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text) {
        unsigned char c = (unsigned char)*text;
        size_t len = me_utf8_sequence(text);
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c == '\t')
            fputs("\\t", out);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\u%04x", c);
        else if (!len)
            fputs("\\ufffd", out); /* RFC 8259 wants valid UTF-8 */
        else
            fwrite(text, 1, len, out);
        text += len ? len : 1;
    }
    fputc('"', out);
}

static void put_pair(FILE *out, const char *name, const char *text)
{
    fputs("  ", out);
    put_string(out, name);
    fputs(": ", out);
    put_string(out, text ? text : "");
    fputs(",\n", out);
}

static void put_cell(FILE *out, const struct me_column *column, const char *row)
{
    char number[ME_WRITER_NUMBER];
    put_string(out, column->name);
    fputs(": ", out);
    if (column->type == ME_COLUMN_TEXT) {
        put_string(out, row + column->offset);
        return;
    }
    me_number_cell(number, column, row);
    fputs(*number ? number : "null", out);
}

static void put_table(FILE *out, const struct me_table *table, const struct me_result *result)
{
    size_t count;
    const char *rows = me_table_rows(table, result, &count);
    fprintf(out, "  \"%s\": [", table->name);
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ",\n    {" : "\n    {", out);
        for (size_t c = 0; c < table->column_count; c++) {
            if (c) fputs(", ", out);
            put_cell(out, &table->columns[c], rows + i * table->row_size);
        }
        fputc('}', out);
    }
    fputs(count ? "\n  ]" : "]", out);
}

/* The units of every column that has one. */
static void put_units(FILE *out)
{
    fputs("  \"units\": {", out);
    for (const struct me_table *table = me_table_list; table->name; table++) {
        fprintf(out, "%s\n    \"%s\": {", table == me_table_list ? "" : ",", table->name);
        const char *comma = "";
        for (size_t c = 0; c < table->column_count; c++) {
            if (!table->columns[c].unit[0]) continue;
            fprintf(out, "%s\"%s\": \"%s\"", comma, table->columns[c].name, table->columns[c].unit);
            comma = ", ";
        }
        fputc('}', out);
    }
    fputs("\n  },\n", out);
}

/* The tables of the result, row for row, under the names that the HDF5 file has; not known is null. */
int me_json_write(const struct me_result *result, FILE *out, struct me_error *err)
{
    (void)err;
    fputs("{\n", out);
    put_pair(out, "format", "machine-energy");
    fprintf(out, "  \"format_version\": %d,\n", ME_FORMAT_VERSION);
    put_pair(out, "experiment", result->experiment);
    put_pair(out, "status", result->status);
    put_pair(out, "created_utc", result->created_utc);
    put_pair(out, "tool_version", result->tool_version);
    put_pair(out, "workload", result->workload);
    put_pair(out, "command", result->command);
    put_pair(out, "plan", result->plan_json);
    put_units(out);
    for (const struct me_table *table = me_table_list; table->name; table++) {
        put_table(out, table, result);
        fputs(table[1].name ? ",\n" : "\n", out);
    }
    fputs("}\n", out);
    return 0;
}
