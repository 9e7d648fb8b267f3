/* Tables that travel inside the programs (src/data/ *.csv, embedded at build time), so that a staged
 * me_bench needs no file beside it; and the reader for them. Their sources, licences and
 * attributions stand in src/data/README.md and are installed with the tables. */
#ifndef ME_DATA_H
#define ME_DATA_H

#include <stdbool.h>
#include <stddef.h>

/* The text of an embedded table by file name ("countries.csv"); NULL if there is none. *len gets
 * its length. The memory is static. */
const char *me_data_find(const char *name, size_t *len);

/* A cursor over CSV (RFC 4180: quotes, doubled quotes) with a header line.
 *
 *     struct me_csv csv;
 *     me_csv_begin(&csv, text, len);
 *     while (me_csv_next(&csv)) use(me_csv_cell(&csv, "name"));
 */
#define ME_CSV_COLUMNS 24
struct me_csv {
    const char *at, *end;
    size_t columns, cells;
    char header[1024], row[4096]; /* unquoted cells, NUL-separated */
    const char *names[ME_CSV_COLUMNS], *values[ME_CSV_COLUMNS];
    /* For those who must tell people what is wrong with their text: */
    const char *counted;  /* lines are counted up to here */
    size_t line;          /* where the current row (after me_csv_begin: the header) begins, from 1 */
    size_t all_cells;     /* of it, also those beyond ME_CSV_COLUMNS */
    size_t too_long_line; /* of the first row (or the header) that was passed over; 0: none was */
    bool open_quote;      /* the current row ended with the text, within quotes */
};
void me_csv_begin(struct me_csv *csv, const char *text, size_t len);
/* The next row; false at the end. Rows too long for `row` are passed over. */
bool me_csv_next(struct me_csv *csv);
/* The cell of the current row; "" if it is empty, missing, or there is no such column. Valid until
 * the next me_csv_next. */
const char *me_csv_cell(const struct me_csv *csv, const char *column);

#endif
