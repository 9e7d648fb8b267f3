/* The tables of a result described as data: name, unit and place of each column. The HDF5 file (both
 * ways), JSON and CSV all go by these descriptions, so that they cannot disagree. To add a column:
 * a field in its struct of me/result.h and a row in src/model/table.c. */
#ifndef ME_TABLE_H
#define ME_TABLE_H

#include "me/result.h"

enum me_column_type {
    ME_COLUMN_I8,
    ME_COLUMN_I32,
    ME_COLUMN_U32,
    ME_COLUMN_I64,
    ME_COLUMN_F64,
    ME_COLUMN_TEXT, /* char[size], NUL-terminated UTF-8 */
};

struct me_column {
    const char *name; /* as in the file: "class" for the field cls */
    enum me_column_type type;
    size_t offset, size; /* of the field in its row */
    const char *unit;    /* "J", "s"; "" for what has none */
};

struct me_table {
    const char *name;        /* "machines" */
    const char *description; /* one sentence for people */
    const struct me_column *columns;
    size_t column_count, row_size;
    size_t rows_offset, count_offset; /* of the pointer and the count in struct me_result */
};
extern const struct me_table me_table_list[];           /* ends with name == NULL */
const struct me_table *me_table_find(const char *name); /* NULL if unknown */

/* The table's rows in the result, and how many. */
const void *me_table_rows(const struct me_table *table, const struct me_result *result, size_t *count);
/* Hands `rows` (malloc) to the result; what was there is not freed. */
void me_table_set_rows(const struct me_table *table, struct me_result *result, void *rows, size_t count);

#endif
