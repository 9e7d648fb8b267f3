#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "me/store.h"
#include "me/utf8.h"
#include "store_hdf5.h"

static int damaged(struct me_error *err, const char *path, const char *what)
{
    return me_hdf5_fail(err, ME_E_INPUT, "%s: damaged (%s); take a copy, or run the experiment again", path,
                        what);
}

static int foreign(struct me_error *err, const char *path)
{
    return me_fail(err, ME_E_INPUT,
                   "%s: not a result of Machine Energy; give the experiment's folder or its .h5 file", path);
}

/* Strict about what this version needs; columns that a later minor version added are passed over. */
static int check_columns(hid_t dataset, const char *path, const struct me_table *table, struct me_error *err)
{
    char what[128];
    int rc = -1;
    hid_t type = H5Dget_type(dataset);
    if (type < 0 || H5Tget_class(type) != H5T_COMPOUND) {
        snprintf(what, sizeof what, "/%s is not a table", table->name);
        damaged(err, path, what);
        goto out;
    }
    for (size_t i = 0; i < table->column_count; i++) {
        int member = H5Tget_member_index(type, table->columns[i].name);
        if (member >= 0 && H5Tget_member_class(type, (unsigned)member) == me_hdf5_class(&table->columns[i]))
            continue;
        snprintf(what, sizeof what, "/%s: column %s is %s", table->name, table->columns[i].name,
                 member < 0 ? "missing" : "of another type");
        damaged(err, path, what);
        goto out;
    }
    rc = 0;
out:
    me_hdf5_close(type);
    return rc;
}

/* The dataset's extent if it has `rank` dimensions, else -1. */
static int extent(hid_t dataset, int rank, hsize_t *dims)
{
    hid_t space = H5Dget_space(dataset);
    int rc = space >= 0 && H5Sget_simple_extent_ndims(space) == rank &&
                     H5Sget_simple_extent_dims(space, dims, NULL) == rank
                 ? 0
                 : -1;
    me_hdf5_close(space);
    return rc;
}

static hid_t open_dataset(hid_t at, const char *name)
{
    return H5Lexists(at, name, H5P_DEFAULT) > 0 ? H5Dopen2(at, name, H5P_DEFAULT) : -1;
}

static int read_table(hid_t file, const char *path, const struct me_table *table, struct me_result *out,
                      struct me_error *err)
{
    int rc = -1;
    char *rows = NULL;
    hsize_t count = 0;
    hid_t memory = -1, dataset = open_dataset(file, table->name);
    if (dataset < 0 || extent(dataset, 1, &count)) {
        damaged(err, path, table->name);
        goto out;
    }
    if (check_columns(dataset, path, table, err)) goto out;
    rows = calloc(count ? count : 1, table->row_size);
    if (!rows) {
        me_fail(err, ME_E_RUN, "%s: /%s: no memory for %llu rows", path, table->name,
                (unsigned long long)count);
        goto out;
    }
    memory = me_hdf5_memory_type(table);
    if (memory < 0 || (count && H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) < 0)) {
        damaged(err, path, table->name);
        goto out;
    }
    me_hdf5_clean_rows(table, rows, count);
    me_table_set_rows(table, out, rows, count);
    rows = NULL;
    rc = 0;
out:
    free(rows);
    me_hdf5_close(memory);
    me_hdf5_close(dataset);
    return rc;
}

/* Reads a whole numeric dataset of the given extent into *values (malloc). */
static int read_array(hid_t group, const char *name, H5T_class_t class, hid_t memory, int rank,
                      const hsize_t *dims, void **values)
{
    int rc = -1;
    hsize_t found[2] = {0, 0};
    hid_t type = -1, dataset = open_dataset(group, name);
    if (dataset < 0 || extent(dataset, rank, found) || memcmp(found, dims, (size_t)rank * sizeof *dims))
        goto out;
    type = H5Dget_type(dataset);
    if (type < 0 || H5Tget_class(type) != class) goto out;
    size_t cells = dims[0] * (rank == 2 ? dims[1] : 1), size;
    if (__builtin_mul_overflow(cells, H5Tget_size(memory), &size)) goto out;
    *values = calloc(size ? size : 1, 1);
    if (!*values || (size && H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, *values) < 0)) goto out;
    rc = 0;
out:
    me_hdf5_close(type);
    me_hdf5_close(dataset);
    return rc;
}

static int read_arrays(hid_t group, struct me_result_series *series)
{
    hsize_t dims[2];
    hid_t values = open_dataset(group, "values");
    int found = values < 0 ? -1 : extent(values, 2, dims);
    me_hdf5_close(values);
    if (found || dims[1] > UINT16_MAX || (dims[1] && dims[0] > SIZE_MAX / 8 / dims[1])) return -1;
    series->samples = dims[0];
    series->channels = dims[1];
    series->names = calloc(dims[1] ? dims[1] : 1, sizeof *series->names);
    if (!series->names || me_hdf5_get_names(group, "channels", series->names, dims[1])) return -1;
    void *times = NULL, *levels = NULL, *states = NULL;
    int rc = read_array(group, "time_ns", H5T_INTEGER, H5T_NATIVE_INT64, 1, dims, &times) ||
             read_array(group, "values", H5T_FLOAT, H5T_NATIVE_DOUBLE, 2, dims, &levels) ||
             read_array(group, "states", H5T_INTEGER, H5T_NATIVE_UINT8, 2, dims, &states);
    series->unix_ns = times;
    series->values = levels;
    series->states = states;
    return rc ? -1 : 0;
}

/* 0, and the error says so, if it is a link to a file that is not there. */
static int missing(hid_t above, const char *name, const char *what, const char *path, struct me_error *err)
{
    H5L_info_t info;
    char value[4096] = "";
    const char *file = NULL;
    if (H5Lget_info(above, name, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_EXTERNAL) return -1;
    if (info.u.val_size > sizeof value || H5Lget_val(above, name, value, sizeof value, H5P_DEFAULT) < 0 ||
        H5Lunpack_elink_val(value, info.u.val_size, NULL, &file, NULL) < 0)
        return -1;
    me_fail(err, ME_E_INPUT,
            "%s: the samples of %s are in %.400s, which is not there: copy it there from its machine (column "
            "series_file "
            "of /machines)",
            path, what, file);
    return 0;
}

static int read_one_series(hid_t above, int machine, int repeat, const char *path, struct me_result *out,
                           struct me_error *err)
{
    struct me_result_series *list = realloc(out->series, (out->series_count + 1) * sizeof *list);
    if (!list) return me_fail(err, ME_E_RUN, "%s: no memory", path);
    out->series = list;
    struct me_result_series *series = &list[out->series_count++]; /* released with the result from here on */
    *series = (struct me_result_series){.machine_id = machine, .repeat = repeat};
    char name[16], what[64];
    snprintf(name, sizeof name, "%d", repeat);
    snprintf(what, sizeof what, "/series/%d/%d", machine, repeat);
    hid_t group = H5Gopen2(above, name, H5P_DEFAULT);
    int rc = group < 0 && !missing(above, name, what, path, err) ? -1
             : group < 0 || read_arrays(group, series)           ? damaged(err, path, what)
                                                                 : 0;
    me_hdf5_close(group);
    return rc;
}

static int read_machine_series(hid_t all, int machine, const char *path, struct me_result *out,
                               struct me_error *err)
{
    int *repeats = NULL;
    size_t count = 0;
    char name[16];
    snprintf(name, sizeof name, "%d", machine);
    hid_t group = H5Gopen2(all, name, H5P_DEFAULT);
    int rc = group < 0 || me_hdf5_list_numbers(group, &repeats, &count) ? damaged(err, path, "/series") : 0;
    for (size_t i = 0; !rc && i < count; i++)
        rc = read_one_series(group, machine, repeats[i], path, out, err);
    free(repeats);
    me_hdf5_close(group);
    return rc;
}

static int read_series(hid_t file, const char *path, struct me_result *out, struct me_error *err)
{
    int *machines = NULL;
    size_t count = 0;
    hid_t all = H5Lexists(file, "series", H5P_DEFAULT) > 0 ? H5Gopen2(file, "series", H5P_DEFAULT) : -1;
    int rc = all < 0 || me_hdf5_list_numbers(all, &machines, &count) ? damaged(err, path, "/series") : 0;
    for (size_t i = 0; !rc && i < count; i++) rc = read_machine_series(all, machines[i], path, out, err);
    free(machines);
    me_hdf5_close(all);
    return rc;
}

static int read_short(hid_t file, const char *name, char *text, size_t size)
{
    char *value = NULL;
    if (me_hdf5_get_text(file, name, &value)) return -1;
    snprintf(text, size, "%s", value);
    me_utf8_clean(text, size);
    free(value);
    return 0;
}

static int read_attributes(hid_t file, const char *path, struct me_result *out, struct me_error *err)
{
    if (read_short(file, "experiment", out->experiment, sizeof out->experiment) ||
        read_short(file, "created_utc", out->created_utc, sizeof out->created_utc) ||
        read_short(file, "tool_version", out->tool_version, sizeof out->tool_version) ||
        read_short(file, "workload", out->workload, sizeof out->workload) ||
        read_short(file, "status", out->status, sizeof out->status) ||
        me_hdf5_get_text(file, "command", &out->command) || me_hdf5_get_text(file, "plan", &out->plan_json))
        return damaged(err, path, "its attributes");
    return 0;
}

/* HDF5 would wait for a FIFO's other end, and says little about what is no file. */
static int check_file(const char *path, struct me_error *err)
{
    struct stat st;
    if (stat(path, &st)) return me_fail_errno(err, ME_E_INPUT, errno, "%s", path);
    if (!S_ISREG(st.st_mode)) return me_fail(err, ME_E_INPUT, "%s: not a file", path);
    FILE *f = fopen(path, "rbe");
    if (!f) return me_fail_errno(err, ME_E_INPUT, errno, "%s", path);
    fclose(f);
    return H5Fis_hdf5(path) > 0 ? 0 : foreign(err, path);
}

static int check_format(hid_t file, const char *path, struct me_error *err)
{
    char format[32];
    int version;
    if (read_short(file, "format", format, sizeof format) || strcmp(format, ME_STORE_FORMAT))
        return foreign(err, path);
    if (me_hdf5_get_int(file, "format_version", &version) || version < 1)
        return damaged(err, path, "format_version");
    if (version > ME_FORMAT_VERSION)
        return me_fail(err, ME_E_INPUT,
                       "%s: of format %d, this program reads up to %d; use a newer machine-energy", path,
                       version, ME_FORMAT_VERSION);
    return 0;
}

hid_t me_hdf5_open(const char *path)
{
    hid_t file = -1, access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return -1;
    if (H5Pset_file_locking(access, 0, 1) >= 0) file = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return file;
}

int me_store_read(const char *path, bool with_series, struct me_result *out, struct me_error *err)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (check_file(path, err)) return -1;
    struct me_result result = {0};
    int rc = -1;
    hid_t file = me_hdf5_open(path);
    if (file < 0) {
        damaged(err, path, "it cannot be opened");
        goto out;
    }
    if (check_format(file, path, err) || read_attributes(file, path, &result, err)) goto out;
    for (const struct me_table *table = me_table_list; table->name; table++)
        if (read_table(file, path, table, &result, err)) goto out;
    if (with_series && read_series(file, path, &result, err)) goto out;
    *out = result;
    memset(&result, 0, sizeof result);
    rc = 0;
out:
    me_result_release(&result);
    me_hdf5_close(file);
    return rc;
}
