#include <string.h>
#include "writer.h"

/* RFC 4180: quotes around a cell that needs them, doubled within; lines end in CR LF. */
static void put_text(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void put_row(FILE *out, const struct me_result *result, const struct me_table *table, const char *row)
{
    for (size_t c = 0; c < table->column_count; c++) {
        const struct me_column *column = &table->columns[c];
        if (c) fputc(',', out);
        if (column->type == ME_COLUMN_TEXT)
            put_text(out, row + column->offset);
        else {
            char number[ME_WRITER_NUMBER];
            me_number_cell(number, column, row);
            fputs(number, out); /* an empty cell is a missing value to pandas and R */
        }
        if (!c) {
            fputc(',', out);
            put_text(out, me_text_name(result, ((const struct me_row_summary *)row)->machine_id));
        }
    }
    fputs("\r\n", out);
}

/* The summary table, with the machine's name behind its number. */
int me_csv_write(const struct me_result *result, FILE *out, struct me_error *err)
{
    const struct me_table *table = me_table_find("summary");
    if (!table) return me_fail(err, ME_E_RUN, "no table named summary");
    size_t count;
    const char *rows = me_table_rows(table, result, &count);
    for (size_t c = 0; c < table->column_count; c++) {
        if (c) fputc(',', out);
        fputs(table->columns[c].name, out);
        if (!c) fputs(",name", out);
    }
    fputs("\r\n", out);
    for (size_t i = 0; i < count; i++) put_row(out, result, table, rows + i * table->row_size);
    return 0;
}
