#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "me/utf8.h"
#include "writer.h"

void me_sheet_init(struct me_sheet *sheet, const char *const *heads, size_t columns)
{
    *sheet = (struct me_sheet){.columns = columns};
    for (size_t i = 0; i < columns; i++) sheet->heads[i] = heads[i];
}

/* A terminal obeys control characters; a machine's name must not speak to it. */
static void disarm(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f)
            *c = '?';
        else if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
            c[0] = c[1] = '?';
    }
    me_utf8_clean(text, strlen(text) + 1);
}

void me_sheet_add(struct me_sheet *sheet, const char *format, ...)
{
    char cell[512];
    va_list args;
    va_start(args, format);
    vsnprintf(cell, sizeof cell, format, args);
    va_end(args);
    disarm(cell);
    me_buffer_append(&sheet->text, cell, strlen(cell) + 1);
    sheet->cells++;
}

static bool measure(const struct me_sheet *sheet, size_t *widths)
{
    bool headed = false;
    const char *cell = sheet->text.data;
    for (size_t i = 0; i < sheet->cells; i++, cell += strlen(cell) + 1) {
        size_t width = me_utf8_width(cell);
        if (width > widths[i % sheet->columns]) widths[i % sheet->columns] = width;
    }
    for (size_t c = 0; c < sheet->columns; c++) {
        size_t width = me_utf8_width(sheet->heads[c] + 1);
        if (width) headed = true;
        if (widths[c] && width > widths[c]) widths[c] = width; /* a column without a cell stays out */
    }
    return headed;
}

static void blanks(FILE *out, size_t n)
{
    fprintf(out, "%*s", (int)n, "");
}

/* Two blanks between columns, or one where two would make the lines too long. */
static size_t choose_gap(const size_t *widths, size_t columns, int indent)
{
    size_t total = (size_t)indent;
    for (size_t c = 0; c < columns; c++)
        if (widths[c]) total += widths[c] + 2;
    return total > ME_WRITER_WIDTH + 2 ? 1 : 2;
}

size_t me_sheet_width(const struct me_sheet *sheet, int indent)
{
    size_t widths[ME_SHEET_COLUMNS] = {0}, total = (size_t)indent;
    measure(sheet, widths);
    for (size_t c = 0; c < sheet->columns; c++)
        if (widths[c]) total += widths[c] + 1;
    return total ? total - 1 : 0;
}

/* Blanks are owed, and paid before the next text only: no line ends in one. */
static void print_cell(FILE *out, const char *head, const char *cell, size_t width, size_t gap, size_t *owed)
{
    size_t spare = width - me_utf8_width(cell);
    bool right = head[0] == '>';
    if (*cell) {
        blanks(out, *owed + (right ? spare : 0));
        fputs(cell, out);
        *owed = right ? 0 : spare;
    } else
        *owed += width;
    *owed += gap;
}

void me_sheet_print(struct me_sheet *sheet, FILE *out, int indent)
{
    size_t widths[ME_SHEET_COLUMNS] = {0};
    if (!sheet->cells || !sheet->columns || sheet->text.failed) return;
    size_t owed = (size_t)indent;
    bool headed = measure(sheet, widths);
    size_t gap = choose_gap(widths, sheet->columns, indent);
    if (headed) {
        for (size_t c = 0; c < sheet->columns; c++)
            if (widths[c]) print_cell(out, sheet->heads[c], sheet->heads[c] + 1, widths[c], gap, &owed);
        fputc('\n', out);
    }
    const char *cell = sheet->text.data;
    for (size_t i = 0; i < sheet->cells; i++, cell += strlen(cell) + 1) {
        size_t c = i % sheet->columns;
        if (c == 0) owed = (size_t)indent;
        if (widths[c]) print_cell(out, sheet->heads[c], cell, widths[c], gap, &owed);
        if (c + 1 == sheet->columns) fputc('\n', out);
    }
}

void me_sheet_release(struct me_sheet *sheet)
{
    if (!sheet) return;
    me_buffer_release(&sheet->text);
    sheet->cells = 0;
}

void me_wrap(FILE *out, int indent, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    disarm(text);
    size_t at = 0;
    for (char *save, *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        size_t width = me_utf8_width(word);
        if (at && at + 1 + width > ME_WRITER_WIDTH) {
            fputc('\n', out);
            blanks(out, (size_t)indent + 2);
            at = (size_t)indent + 2;
        } else if (at) {
            fputc(' ', out);
            at++;
        } else {
            blanks(out, (size_t)indent);
            at = (size_t)indent;
        }
        fputs(word, out);
        at += width;
    }
    fputc('\n', out);
}
