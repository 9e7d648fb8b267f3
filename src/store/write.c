#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me/store.h"
#include "store_hdf5.h"

#define CHUNK_BYTES ((size_t)256 << 10)
#define DEFLATE     4

/* Chunked, shuffled and compressed where there is something to compress; an empty or small dataset
 * stays contiguous, for a chunk may not be longer than a dataset of fixed size. */
static hid_t creation(const hsize_t *dims, int rank, size_t row_bytes)
{
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    if (plist < 0) return -1;
    herr_t done = H5Pset_obj_track_times(plist, 0); /* the same result gives the same bytes */
    bool empty = dims[0] == 0 || (rank == 2 && dims[1] == 0);
    if (!empty && dims[0] > 64) {
        hsize_t rows = CHUNK_BYTES / row_bytes, chunk[2] = {0, rank == 2 ? dims[1] : 0};
        chunk[0] = rows < 64 ? 64 : rows > dims[0] ? dims[0] : rows;
        if (H5Pset_chunk(plist, rank, chunk) < 0 || H5Pset_shuffle(plist) < 0 ||
            H5Pset_deflate(plist, DEFLATE) < 0)
            done = -1;
    }
    if (done >= 0) return plist;
    H5Pclose(plist);
    return -1;
}

static hid_t create_dataset(hid_t at, const char *name, hid_t type, const hsize_t *dims, int rank)
{
    hid_t dataset = -1, space = H5Screate_simple(rank, dims, NULL);
    hid_t plist = space < 0 ? -1 : creation(dims, rank, H5Tget_size(type) * (rank == 2 ? dims[1] : 1));
    if (plist >= 0) dataset = H5Dcreate2(at, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    me_hdf5_close(plist);
    me_hdf5_close(space);
    return dataset;
}

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
    hid_t dataset = type < 0 ? -1 : create_dataset(file, table->name, type, dims, 1);
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

/* One dataset of a series: its values, and what they mean. `units` has a text a column. */
static int write_array(hid_t group, const char *name, hid_t file_type, hid_t memory_type, const hsize_t *dims,
                       int rank, const void *values, const char *const *units, const char *description)
{
    hid_t dataset = create_dataset(group, name, file_type, dims, rank);
    if (dataset < 0) return -1;
    size_t columns = rank == 2 ? dims[1] : 1;
    int rc = -1;
    if (dims[0] && columns && H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        goto out;
    if (me_hdf5_put_texts(dataset, "units", units, columns)) goto out;
    rc = me_hdf5_put_text(dataset, "description", description);
out:
    me_hdf5_close(dataset);
    return rc;
}

static const char *channel_unit(const struct me_result *result, int machine_id, const char *name)
{
    for (size_t i = 0; i < result->channel_count; i++) {
        const struct me_row_channel *row = &result->channels[i];
        if (row->machine_id == machine_id && !strcmp(row->channel, name)) return row->unit;
    }
    return "";
}

static int write_arrays(hid_t group, const struct me_result *result, const struct me_result_series *series)
{
    size_t columns = series->channels;
    const char **texts = calloc(3 * columns + 1, sizeof *texts);
    if (!texts) return -1;
    const char **names = texts, **units = texts + columns, **none = units + columns;
    for (size_t c = 0; c < columns; c++) {
        names[c] = series->names[c];
        units[c] = channel_unit(result, series->machine_id, series->names[c]);
        none[c] = "";
    }
    const char *const ns[] = {"ns"};
    hsize_t dims[] = {series->samples, columns};
    int rc = -1;
    if (!me_hdf5_put_texts(group, "channels", names, columns) &&
        !me_hdf5_put_texts(group, "units", units, columns) &&
        !write_array(group, "time_ns", H5T_STD_I64LE, H5T_NATIVE_INT64, dims, 1, series->unix_ns, ns,
                     "Time of each sample, nanoseconds since 1970-01-01 UTC.") &&
        !write_array(group, "values", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, dims, 2, series->values, units,
                     "A row a sample, a column a channel; counters as read, NaN where a reading failed.") &&
        !write_array(group, "states", H5T_STD_U8LE, H5T_NATIVE_UINT8, dims, 2, series->states, none,
                     "State of each reading: 0 absent, 1 good, 2 failed."))
        rc = 0;
    free(texts);
    return rc;
}

static hid_t open_group(hid_t at, const char *name)
{
    htri_t there = H5Lexists(at, name, H5P_DEFAULT);
    if (there < 0) return -1;
    return there ? H5Gopen2(at, name, H5P_DEFAULT)
                 : H5Gcreate2(at, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
}

static int write_one_series(hid_t all, const struct me_result *result, const struct me_result_series *series,
                            struct me_error *err)
{
    char machine[16], repeat[16];
    snprintf(machine, sizeof machine, "%d", series->machine_id);
    snprintf(repeat, sizeof repeat, "%d", series->repeat);
    int rc = -1;
    hid_t above = open_group(all, machine);
    hid_t group = above < 0 ? -1 : H5Gcreate2(above, repeat, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0 || write_arrays(group, result, series))
        me_hdf5_fail(err, ME_E_RUN, "/series/%s/%s", machine, repeat);
    else
        rc = 0;
    me_hdf5_close(group);
    me_hdf5_close(above);
    return rc;
}

static int write_series(hid_t file, const struct me_result *result, struct me_error *err)
{
    hid_t all = H5Gcreate2(file, "series", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (all < 0) return me_hdf5_fail(err, ME_E_RUN, "/series");
    int rc = me_hdf5_put_text(all, "description",
                              "Every sample: series/<machine_id>/<repeat>; repeat 0 is the idle phase.")
                 ? me_hdf5_fail(err, ME_E_RUN, "/series")
                 : 0;
    for (size_t i = 0; !rc && i < result->series_count; i++)
        rc = write_one_series(all, result, &result->series[i], err);
    me_hdf5_close(all);
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

/* The file is made in memory: a libhdf5 whose flush met a full disk cannot be closed any more, and
 * complains on stderr when the program ends. Our own write() below fails cleanly. `name` names no
 * file: HDF5 would read an existing one first. */
static hid_t create_image(const char *name)
{
    hid_t file = -1, access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
    /* Small index nodes: thousands of series have few chunks and three datasets each. */
    if (access >= 0 && create >= 0 && H5Pset_istore_k(create, 4) >= 0 && H5Pset_sym_k(create, 4, 4) >= 0 &&
        H5Pset_fapl_core(access, (size_t)1 << 20, 0) >= 0 &&
        H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST) >= 0)
        file = H5Fcreate(name, H5F_ACC_TRUNC, create, access);
    me_hdf5_close(create);
    me_hdf5_close(access);
    return file;
}

static int take_image(hid_t file, void **bytes, size_t *size, struct me_error *err)
{
    if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0) return me_hdf5_fail(err, ME_E_RUN, "flushing");
    ssize_t len = H5Fget_file_image(file, NULL, 0);
    if (len < 0) return me_hdf5_fail(err, ME_E_RUN, "file image");
    void *image = malloc((size_t)len);
    if (!image) return me_fail(err, ME_E_RUN, "no memory for a file of %zd bytes", len);
    if (H5Fget_file_image(file, image, (size_t)len) != len) {
        free(image);
        return me_hdf5_fail(err, ME_E_RUN, "file image");
    }
    *bytes = image;
    *size = (size_t)len;
    return 0;
}

static int make_image(const char *path, const char *temporary, const struct me_result *result, void **bytes,
                      size_t *size, struct me_error *err)
{
    struct me_error why = {0};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t file = create_image(temporary);
    if (file < 0) return me_hdf5_fail(err, ME_E_RUN, "%s: cannot begin an HDF5 file", path);
    int rc = write_attributes(file, result, &why);
    for (const struct me_table *table = me_table_list; !rc && table->name; table++)
        rc = write_table(file, table, result, &why);
    if (!rc) rc = write_series(file, result, &why);
    if (!rc) rc = take_image(file, bytes, size, &why);
    H5Fclose(file);
    return rc ? me_fail(err, ME_E_RUN, "%s: cannot write: %s", path, why.text) : 0;
}

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size < (size_t)1 << 30 ? size : (size_t)1 << 30);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Makes the rename last through a power cut. Some network file systems cannot sync a directory
 * (EINVAL); the file itself is safe by then. */
static int sync_directory(const char *path)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash) slash[slash == dir] = '\0';
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    int failed = fsync(fd) && errno != EINVAL ? errno : 0;
    close(fd);
    errno = failed;
    return failed ? -1 : 0;
}

static const char *cure(int errnum)
{
    if (errnum == ENOSPC || errnum == EDQUOT) return "; make room and try again; nothing else was changed";
    if (errnum == EACCES || errnum == EPERM || errnum == EROFS)
        return "; choose a folder that you may write to";
    return "";
}

static int replace_file(const char *path, const char *temporary, const void *bytes, size_t size,
                        struct me_error *err)
{
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool created = fd >= 0;
    int failed = created ? 0 : errno;
    if (!failed && (write_all(fd, bytes, size) || fsync(fd))) failed = errno;
    if (created && close(fd) && !failed) failed = errno;
    if (!failed && rename(temporary, path)) failed = errno;
    if (failed && created) unlink(temporary);
    if (!failed && sync_directory(path)) failed = errno;
    if (!failed) return 0;
    char reason[128];
    return me_fail(err, ME_E_RUN, "%s: cannot write: %s%s", path, strerror_r(failed, reason, sizeof reason),
                   cure(failed));
}

int me_store_write(const char *path, const struct me_result *result, struct me_error *err)
{
    char temporary[PATH_MAX];
    int len = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof temporary)
        return me_fail(err, ME_E_RUN, "%.200s...: path too long", path);
    unlink(temporary); /* of an earlier process with our number */
    void *bytes = NULL;
    size_t size = 0;
    int rc = make_image(path, temporary, result, &bytes, &size, err);
    if (!rc) rc = replace_file(path, temporary, bytes, size, err);
    free(bytes);
    return rc;
}
