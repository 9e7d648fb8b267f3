#include "me/data.h"
#include <string.h>

/* Where the cells of one record go: a store of `size` bytes and up to ME_CSV_COLUMNS pointers into it. */
struct cells {
    char *store;
    size_t size, used, count, all;
    const char **values;
    bool too_long, open_quote;
};

static void put(struct cells *cells, char c)
{
    if (cells->used < cells->size)
        cells->store[cells->used++] = c;
    else
        cells->too_long = true;
}

/* One cell, unquoted, from `at`; returns the place of the delimiter behind it, or `end`. */
static const char *read_cell(const char *at, const char *end, struct cells *cells)
{
    cells->all++;
    if (cells->count < ME_CSV_COLUMNS) cells->values[cells->count++] = cells->store + cells->used;
    bool quoted = at < end && *at == '"';
    if (quoted) at++;
    for (; at < end; at++) {
        if (quoted && *at == '"') {
            if (at + 1 < end && at[1] == '"')
                at++;
            else {
                quoted = false;
                continue;
            }
        } else if (!quoted && (*at == ',' || *at == '\n')) {
            break;
        } else if (!quoted && *at == '\r' && at + 1 < end && at[1] == '\n') {
            at++;
            break;
        }
        put(cells, *at);
    }
    put(cells, '\0');
    cells->open_quote = quoted;
    return at;
}

/* One record; returns where the next one begins. */
static const char *read_record(const char *at, const char *end, struct cells *cells)
{
    for (;;) {
        at = read_cell(at, end, cells);
        if (at >= end) return end;
        if (*at++ == '\n') return at;
    }
}

static const char *skip_empty_lines(const char *at, const char *end)
{
    while (at < end && (*at == '\n' || (*at == '\r' && at + 1 < end && at[1] == '\n'))) at++;
    return at;
}

static void count_lines(struct me_csv *csv)
{
    for (; csv->counted < csv->at; csv->counted++) csv->line += *csv->counted == '\n';
}

void me_csv_begin(struct me_csv *csv, const char *text, size_t len)
{
    memset(csv, 0, sizeof *csv);
    csv->end = text + len;
    csv->at = skip_empty_lines(text, csv->end);
    csv->counted = text;
    csv->line = 1;
    count_lines(csv);
    struct cells cells = {.store = csv->header, .size = sizeof csv->header, .values = csv->names};
    if (csv->at < csv->end) csv->at = read_record(csv->at, csv->end, &cells);
    csv->all_cells = cells.all;
    csv->open_quote = cells.open_quote;
    if (cells.too_long) csv->too_long_line = csv->line;
    if (cells.too_long)
        csv->at = csv->end; /* without its header a table means nothing */
    else
        csv->columns = cells.count;
}

bool me_csv_next(struct me_csv *csv)
{
    for (;;) {
        csv->cells = 0;
        csv->at = skip_empty_lines(csv->at, csv->end);
        if (csv->at >= csv->end) return false;
        count_lines(csv);
        struct cells cells = {.store = csv->row, .size = sizeof csv->row, .values = csv->values};
        csv->at = read_record(csv->at, csv->end, &cells);
        csv->all_cells = cells.all;
        csv->open_quote = cells.open_quote;
        if (cells.too_long && !csv->too_long_line) csv->too_long_line = csv->line;
        if (cells.too_long) continue;
        csv->cells = cells.count;
        return true;
    }
}

const char *me_csv_cell(const struct me_csv *csv, const char *column)
{
    for (size_t i = 0; i < csv->columns && i < csv->cells; i++)
        if (!strcmp(csv->names[i], column)) return csv->values[i];
    return "";
}
