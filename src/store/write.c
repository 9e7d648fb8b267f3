#include <stdlib.h>
#include <string.h>
#include "me/store.h"
#include "output.h"
#include "store_hdf5.h"

/* Writes the rows in slabs, each from a cleaned copy: the result is not ours to change, and a large
 * one is not copied whole. */
static int write_rows(hid_t dataset, hid_t memory, const struct me_table *table, const char *rows,
                      size_t count)
{
    enum { SLAB = 4096 };
    int rc = -1;
    hid_t file_space = -1, memory_space = -1;
    char *copy = malloc((count < SLAB ? count : SLAB) * table->row_size);
    if (!copy) goto out;
    file_space = H5Dget_space(dataset);
    for (size_t at = 0; at < count; at += SLAB) {
        hsize_t start[] = {at}, n[] = {count - at < SLAB ? count - at : SLAB};
        memcpy(copy, rows + at * table->row_size, n[0] * table->row_size);
        me_hdf5_clean_rows(table, copy, n[0]);
        me_hdf5_close(memory_space);
        memory_space = H5Screate_simple(1, n, NULL);
        if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, n, NULL) < 0 ||
            H5Dwrite(dataset, memory, memory_space, file_space, H5P_DEFAULT, copy) < 0)
            goto out;
    }
    rc = 0;
out:
    me_hdf5_close(memory_space);
    me_hdf5_close(file_space);
    free(copy);
    return rc;
}

static int put_units(hid_t dataset, const struct me_table *table)
{
    const char *units[64];
    for (size_t i = 0; i < table->column_count; i++) units[i] = table->columns[i].unit;
    return me_hdf5_put_texts(dataset, "units", units, table->column_count);
}

static int write_table(hid_t file, const struct me_table *table, const struct me_result *result,
                       struct me_error *err)
{
    size_t count;
    const void *rows = me_table_rows(table, result, &count);
    hsize_t dims[] = {count};
    int rc = -1;
    hid_t memory = me_hdf5_memory_type(table), type = me_hdf5_file_type(table);
    hid_t dataset = type < 0 ? -1 : me_hdf5_create_dataset(file, table->name, type, dims, 1);
    if (memory < 0 || dataset < 0 || (count && write_rows(dataset, memory, table, rows, count)) ||
        put_units(dataset, table) || me_hdf5_put_text(dataset, "description", table->description))
        me_hdf5_fail(err, ME_E_RUN, "/%s", table->name);
    else
        rc = 0;
    me_hdf5_close(dataset);
    me_hdf5_close(type);
    me_hdf5_close(memory);
    return rc;
}

static int write_attributes(hid_t file, const struct me_result *result, struct me_error *err)
{
    const char *const texts[][2] = {
        {"format", ME_STORE_FORMAT},          {"experiment", result->experiment},
        {"created_utc", result->created_utc}, {"tool_version", result->tool_version},
        {"workload", result->workload},       {"command", result->command},
        {"plan", result->plan_json},          {"status", result->status},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (me_hdf5_put_text(file, texts[i][0], texts[i][1]))
            return me_hdf5_fail(err, ME_E_RUN, "attribute %s", texts[i][0]);
    if (me_hdf5_put_int(file, "format_version", ME_FORMAT_VERSION))
        return me_hdf5_fail(err, ME_E_RUN, "attribute format_version");
    return 0;
}

/* `name` is for messages alone where the driver opens no file. */
static hid_t create_file(const char *name, hid_t access)
{
    hid_t file = -1, create = H5Pcreate(H5P_FILE_CREATE);
    /* Small index nodes: thousands of series have few chunks and three datasets each. */
    if (access >= 0 && create >= 0 && H5Pset_istore_k(create, 4) >= 0 && H5Pset_sym_k(create, 4, 4) >= 0 &&
        H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST) >= 0)
        file = H5Fcreate(name, H5F_ACC_TRUNC, create, access);
    me_hdf5_close(create);
    return file;
}

/* --- the series of one machine, in memory ------------------------------------------------------ */

static int take_image(hid_t file, struct me_buffer *out, struct me_error *err)
{
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) return me_hdf5_fail(err, ME_E_RUN, "flushing");
    ssize_t len = H5Fget_file_image(file, NULL, 0);
    if (len < 0) return me_hdf5_fail(err, ME_E_RUN, "file image");
    void *image = malloc((size_t)len);
    int rc = !image ? me_fail(err, ME_E_RUN, "no memory for series of %zd bytes", len)
             : H5Fget_file_image(file, image, (size_t)len) != len ? me_hdf5_fail(err, ME_E_RUN, "file image")
                                                                  : 0;
    if (!rc) me_buffer_append(out, image, (size_t)len);
    if (!rc && out->failed) rc = me_fail(err, ME_E_RUN, "no memory for series of %zd bytes", len);
    free(image);
    return rc;
}

int me_store_image(const struct me_result *result, struct me_buffer *out, struct me_error *err)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t file = -1, access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fapl_core(access, (size_t)1 << 20, 0) >= 0)
        file = create_file("series", access);
    int rc = file < 0 ? me_hdf5_fail(err, ME_E_RUN, "cannot begin an HDF5 file")
                      : me_hdf5_write_series(file, result, false, err);
    if (!rc) rc = take_image(file, out, err);
    me_hdf5_close(file);
    me_hdf5_close(access);
    return rc;
}

/* --- the result -------------------------------------------------------------------------------- */

/* The base's series, those of the images, and the result's own. What the disk has refused ends it early. */
static int write_all_series(hid_t file, const struct me_output *output, const struct me_result *result,
                            const struct me_store_extras *extras, struct me_error *err)
{
    if (extras->base && me_hdf5_copy_series(file, extras, err)) return -1;
    hid_t all = me_hdf5_open_series(file);
    if (all < 0) return me_hdf5_fail(err, ME_E_RUN, "/series");
    int rc = 0;
    for (size_t i = 0; !rc && !output->vfd.failed && i < extras->count; i++)
        rc = me_hdf5_copy_image(all, &extras->images[i], err);
    if (!rc) rc = me_hdf5_write_series(all, result, true, err);
    me_hdf5_close(all);
    return rc;
}

static int fill_file(hid_t file, const struct me_output *output, const struct me_result *result,
                     const struct me_store_extras *extras, struct me_error *err)
{
    int rc = write_attributes(file, result, err);
    for (const struct me_table *table = me_table_list; !rc && table->name; table++)
        rc = write_table(file, table, result, err);
    return rc ? -1 : write_all_series(file, output, result, extras, err);
}

/* A failure of the disk is told as such, whatever HDF5 makes of it. */
static int make_file(struct me_output *output, const struct me_result *result,
                     const struct me_store_extras *extras, struct me_error *err)
{
    struct me_error why = {0};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t access = me_vfd_access(&output->vfd), file = create_file(output->temporary, access);
    int rc = file < 0 ? me_hdf5_fail(&why, ME_E_RUN, "cannot begin an HDF5 file")
                      : fill_file(file, output, result, extras, &why);
    if (file >= 0 && H5Fclose(file) < 0 && !rc) rc = me_hdf5_fail(&why, ME_E_RUN, "closing");
    me_hdf5_close(access);
    if (!rc || output->vfd.failed) return me_output_flush(output, err);
    return me_fail(err, ME_E_RUN, "%s: cannot write: %s", output->path, why.text);
}

int me_store_write_with(const char *path, const struct me_result *result,
                        const struct me_store_extras *extras, struct me_error *err)
{
    struct me_output output;
    int rc = me_output_open(&output, path, err);
    if (extras->disk) *extras->disk = 0;
    output.look = extras->look;
    output.context = extras->context;
    if (!rc) rc = make_file(&output, result, extras, err);
    if (!rc && extras->confirm) rc = extras->confirm(extras->context, err);
    if (!rc) rc = me_output_rename(&output, err);
    if (rc && extras->disk) *extras->disk = output.failed;
    me_output_close(&output);
    return rc;
}

int me_store_save(const char *path, const struct me_buffer *bytes, struct me_error *err)
{
    struct me_output output;
    int rc = me_output_open(&output, path, err);
    if (!rc) {
        output.vfd.failed = output.vfd.write(output.vfd.context, 0, bytes->data, bytes->len);
        output.vfd.end = bytes->len;
        rc = me_output_flush(&output, err);
    }
    if (!rc) rc = me_output_rename(&output, err);
    me_output_close(&output);
    return rc;
}

int me_store_write(const char *path, const struct me_result *result, struct me_error *err)
{
    return me_store_write_with(path, result, &(struct me_store_extras){0}, err);
}
