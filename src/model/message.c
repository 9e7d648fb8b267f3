#include "me/message.h"
#include "me/table.h"
#include "wire.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC     "ME-ROWS"
#define MAGIC_LEN 7
#define CRC_LEN   4

enum { COLUMNS_MAX = 256, NAME_SIZE = 48 };

/* A table that only all machines together have. */
static bool is_sent(const struct me_table *table)
{
    return strcmp(table->name, "summary") != 0;
}

/* --- writing ----------------------------------------------------------------------------------- */

static void put_value(struct me_buffer *out, const struct me_column *column, const char *row)
{
    const char *field = row + column->offset;
    int32_t i32;
    uint32_t u32;
    int64_t i64;
    double f64;
    switch (column->type) {
    case ME_COLUMN_I8:
        me_wire_put_int(out, *(const int8_t *)field);
        break;
    case ME_COLUMN_I32:
        memcpy(&i32, field, sizeof i32);
        me_wire_put_int(out, i32);
        break;
    case ME_COLUMN_U32:
        memcpy(&u32, field, sizeof u32);
        me_wire_put_uint(out, u32);
        break;
    case ME_COLUMN_I64:
        memcpy(&i64, field, sizeof i64);
        me_wire_put_int(out, i64);
        break;
    case ME_COLUMN_F64:
        memcpy(&f64, field, sizeof f64);
        me_wire_put_double(out, f64);
        break;
    case ME_COLUMN_TEXT:
        me_wire_put_uint(out, strnlen(field, column->size));
        me_buffer_append(out, field, strnlen(field, column->size));
        break;
    }
}

static void put_table(struct me_buffer *out, const struct me_table *table, const struct me_result *result)
{
    size_t count;
    const char *rows = me_table_rows(table, result, &count);
    me_wire_put_text(out, table->name);
    me_wire_put_uint(out, table->column_count);
    for (size_t i = 0; i < table->column_count; i++) {
        me_wire_put_text(out, table->columns[i].name);
        me_wire_put_uint(out, table->columns[i].type);
    }
    me_wire_put_uint(out, count);
    for (size_t row = 0; row < count; row++)
        for (size_t i = 0; i < table->column_count; i++)
            put_value(out, &table->columns[i], rows + row * table->row_size);
}

void me_message_encode(const struct me_result *result, struct me_buffer *out)
{
    size_t begin = out->len, tables = 0;
    me_buffer_append(out, MAGIC, MAGIC_LEN);
    me_wire_put_fixed(out, ME_MESSAGE_VERSION, 2);
    for (const struct me_table *table = me_table_list; table->name; table++) tables += is_sent(table);
    me_wire_put_uint(out, tables);
    for (const struct me_table *table = me_table_list; table->name; table++)
        if (is_sent(table)) put_table(out, table, result);
    if (!out->failed) me_wire_put_fixed(out, me_wire_crc32(0, out->data + begin, out->len - begin), CRC_LEN);
}

/* --- reading ----------------------------------------------------------------------------------- */

/* What a column of the message is: its type there, and where it goes, if we have it. */
struct incoming {
    enum me_column_type type;
    const struct me_column *column;
};

static const struct me_column *find_column(const struct me_table *table, const char *name)
{
    for (size_t i = 0; table && i < table->column_count; i++)
        if (!strcmp(table->columns[i].name, name)) return &table->columns[i];
    return NULL;
}

static void set_integer(const struct me_column *column, char *row, int64_t value, struct me_wire *in)
{
    char *field = row + column->offset;
    if (column->type == ME_COLUMN_I8 && value >= INT8_MIN && value <= INT8_MAX)
        *(int8_t *)field = (int8_t)value;
    else if (column->type == ME_COLUMN_I32 && value >= INT32_MIN && value <= INT32_MAX)
        memcpy(field, &(int32_t){(int32_t)value}, sizeof(int32_t));
    else if (column->type == ME_COLUMN_U32 && value >= 0 && value <= UINT32_MAX)
        memcpy(field, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
    else if (column->type == ME_COLUMN_I64)
        memcpy(field, &value, sizeof value);
    else
        in->bad = true;
}

/* Takes a value off the wire, and into the row where we have such a column. */
static void take_value(struct me_wire *in, const struct incoming *incoming, char *row)
{
    const struct me_column *column = incoming->column;
    char passed_over[NAME_SIZE];
    int64_t integer = 0;
    double number;
    switch (incoming->type) {
    case ME_COLUMN_I8:
    case ME_COLUMN_I32:
    case ME_COLUMN_I64:
        integer = me_wire_int(in, INT64_MIN, INT64_MAX);
        if (column) set_integer(column, row, integer, in);
        break;
    case ME_COLUMN_U32:
        integer = (int64_t)(me_wire_uint(in) & INT64_MAX);
        if (column) set_integer(column, row, integer, in);
        break;
    case ME_COLUMN_F64:
        number = me_wire_double(in);
        if (column) memcpy(row + column->offset, &number, sizeof number);
        break;
    case ME_COLUMN_TEXT:
        if (column)
            me_wire_text(in, row + column->offset, column->size);
        else
            me_wire_text(in, passed_over, sizeof passed_over);
        break;
    }
}

/* A text or a number may not become the other; among integers the value decides. */
static bool fits(enum me_column_type type, const struct me_column *column)
{
    bool is_integer = type != ME_COLUMN_F64 && type != ME_COLUMN_TEXT;
    return column->type == type ||
           (is_integer && column->type != ME_COLUMN_F64 && column->type != ME_COLUMN_TEXT);
}

static size_t take_columns(struct me_wire *in, const struct me_table *table, struct incoming *columns)
{
    char name[NAME_SIZE];
    uint64_t count = me_wire_uint(in);
    if (count == 0 || count > COLUMNS_MAX) in->bad = true;
    for (size_t i = 0; !in->bad && i < count; i++) {
        me_wire_text(in, name, sizeof name);
        uint64_t type = me_wire_uint(in);
        if (type > ME_COLUMN_TEXT) in->bad = true;
        columns[i] = (struct incoming){(enum me_column_type)type, find_column(table, name)};
        if (columns[i].column && !fits(columns[i].type, columns[i].column)) in->bad = true;
    }
    return in->bad ? 0 : (size_t)count;
}

/* Numbers that the message has no column for are not known. */
static void clear_row(const struct me_table *table, char *row)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (table->columns[i].type == ME_COLUMN_F64)
            memcpy(row + table->columns[i].offset, &(double){NAN}, sizeof(double));
}

static int take_rows(struct me_wire *in, const struct me_table *table, const struct incoming *columns,
                     size_t column_count, struct me_result *out)
{
    uint64_t count = me_wire_uint(in);
    if (in->bad || count > me_wire_left(in) / column_count) { /* each value has a byte at least */
        in->bad = true;
        return 0;
    }
    size_t size = table ? table->row_size : 1;
    char *rows = calloc(count ? (size_t)count : 1, size);
    if (!rows) return -1;
    for (size_t i = 0; !in->bad && i < count; i++) {
        if (table) clear_row(table, rows + i * size);
        for (size_t c = 0; c < column_count; c++) take_value(in, &columns[c], rows + i * size);
    }
    size_t before;
    if (table && !in->bad && !me_table_rows(table, out, &before))
        me_table_set_rows(table, out, rows, (size_t)count);
    else
        free(rows);
    return 0;
}

/* -1 only where memory ran out; what is damaged sets in->bad. */
static int take_table(struct me_wire *in, struct me_result *out)
{
    struct incoming columns[COLUMNS_MAX];
    char name[NAME_SIZE];
    me_wire_text(in, name, sizeof name);
    const struct me_table *table = me_table_find(name);
    if (table && !is_sent(table)) table = NULL;
    size_t count = take_columns(in, table, columns);
    return in->bad ? 0 : take_rows(in, table, columns, count, out);
}

/* The bytes between the head and the checksum; in->bad if it is not one of ours. */
static int open_message(const void *bytes, size_t len, struct me_wire *in, struct me_error *err)
{
    const uint8_t *begin = bytes;
    if (len < MAGIC_LEN + 2 + CRC_LEN || memcmp(begin, MAGIC, MAGIC_LEN))
        return me_fail(err, ME_E_INPUT, "not rows of Machine Energy");
    *in = (struct me_wire){begin + MAGIC_LEN, begin + len - CRC_LEN, false};
    unsigned version = (unsigned)me_wire_fixed(in, 2);
    if (version != ME_MESSAGE_VERSION)
        return me_fail(err, ME_E_INPUT,
                       "rows of version %u; this program reads version %d: use the same version of me_bench "
                       "everywhere",
                       version, ME_MESSAGE_VERSION);
    struct me_wire tail = {begin + len - CRC_LEN, begin + len, false};
    if ((uint32_t)me_wire_fixed(&tail, CRC_LEN) != me_wire_crc32(0, begin, len - CRC_LEN))
        return me_fail(err, ME_E_INPUT, "the rows were damaged on their way");
    return 0;
}

int me_message_decode(const void *bytes, size_t len, struct me_result *out, struct me_error *err)
{
    struct me_wire in;
    struct me_result result = {0};
    if (open_message(bytes, len, &in, err)) return -1;
    int rc = 0;
    uint64_t tables = me_wire_uint(&in);
    for (uint64_t i = 0; !rc && !in.bad && i < tables; i++) rc = take_table(&in, &result);
    if (!rc && !in.bad && !me_wire_left(&in)) {
        *out = result;
        return 0;
    }
    me_result_release(&result);
    return rc ? me_fail(err, ME_E_RUN, "no memory for rows of %zu bytes", len)
              : me_fail(err, ME_E_INPUT, "the rows are damaged");
}
