#include "me/utf8.h"
#include "store_hdf5.h"

static hid_t text_type(size_t size, H5T_str_t pad)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0) return -1;
    if (H5Tset_size(type, size) < 0 || H5Tset_strpad(type, pad) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

static hid_t memory_column(const struct me_column *column)
{
    switch (column->type) {
    case ME_COLUMN_I8:
        return H5Tcopy(H5T_NATIVE_INT8);
    case ME_COLUMN_I32:
        return H5Tcopy(H5T_NATIVE_INT32);
    case ME_COLUMN_U32:
        return H5Tcopy(H5T_NATIVE_UINT32);
    case ME_COLUMN_I64:
        return H5Tcopy(H5T_NATIVE_INT64);
    case ME_COLUMN_F64:
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    case ME_COLUMN_TEXT:
        return text_type(column->size, H5T_STR_NULLTERM);
    }
    return -1;
}

static hid_t file_column(const struct me_column *column)
{
    switch (column->type) {
    case ME_COLUMN_I8:
        return H5Tcopy(H5T_STD_I8LE);
    case ME_COLUMN_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case ME_COLUMN_U32:
        return H5Tcopy(H5T_STD_U32LE);
    case ME_COLUMN_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case ME_COLUMN_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case ME_COLUMN_TEXT:
        return text_type(column->size, H5T_STR_NULLPAD);
    }
    return -1;
}

H5T_class_t me_hdf5_class(const struct me_column *column)
{
    if (column->type == ME_COLUMN_TEXT) return H5T_STRING;
    return column->type == ME_COLUMN_F64 ? H5T_FLOAT : H5T_INTEGER;
}

static hid_t compound(const struct me_table *table, hid_t (*make)(const struct me_column *), bool packed)
{
    size_t size = table->row_size, at = 0;
    if (packed) {
        size = 0;
        for (size_t i = 0; i < table->column_count; i++) size += table->columns[i].size;
    }
    hid_t type = H5Tcreate(H5T_COMPOUND, size);
    if (type < 0) return -1;
    for (size_t i = 0; i < table->column_count; i++) {
        const struct me_column *column = &table->columns[i];
        hid_t member = make(column);
        herr_t done = member < 0 ? -1 : H5Tinsert(type, column->name, packed ? at : column->offset, member);
        me_hdf5_close(member);
        if (done < 0) {
            H5Tclose(type);
            return -1;
        }
        at += column->size;
    }
    return type;
}

hid_t me_hdf5_memory_type(const struct me_table *table)
{
    return compound(table, memory_column, false);
}
hid_t me_hdf5_file_type(const struct me_table *table)
{
    return compound(table, file_column, true);
}

void me_hdf5_clean_rows(const struct me_table *table, void *rows, size_t count)
{
    for (size_t row = 0; row < count; row++)
        for (size_t i = 0; i < table->column_count; i++) {
            const struct me_column *column = &table->columns[i];
            if (column->type == ME_COLUMN_TEXT)
                me_utf8_clean((char *)rows + row * table->row_size + column->offset, column->size);
        }
}
