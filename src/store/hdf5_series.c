#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store_hdf5.h"
#include "vfd.h"

/* One dataset of a series: its values, and what they mean. `units` has a text a column. */
static int write_array(hid_t group, const char *name, hid_t file_type, hid_t memory_type, const hsize_t *dims,
                       int rank, const void *values, const char *const *units, const char *description)
{
    hid_t dataset = me_hdf5_create_dataset(group, name, file_type, dims, rank);
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

struct numbers {
    int *list;
    size_t count, capacity;
};

static herr_t take_number(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)group;
    (void)info;
    struct numbers *numbers = context;
    size_t digits = strspn(name, "0123456789");
    if (!digits || digits > 9 || name[digits]) return 0;
    if (numbers->count == numbers->capacity) {
        size_t capacity = numbers->capacity ? 2 * numbers->capacity : 16;
        int *list = realloc(numbers->list, capacity * sizeof *list);
        if (!list) return -1;
        numbers->list = list;
        numbers->capacity = capacity;
    }
    numbers->list[numbers->count++] = atoi(name);
    return 0;
}

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

int me_hdf5_list_numbers(hid_t group, int **list, size_t *count)
{
    struct numbers numbers = {0};
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, take_number, &numbers) < 0) {
        free(numbers.list);
        return -1;
    }
    if (numbers.count) qsort(numbers.list, numbers.count, sizeof *numbers.list, by_value);
    *list = numbers.list;
    *count = numbers.count;
    return 0;
}

static bool is_there(hid_t group, const char *name)
{
    return H5Lexists(group, name, H5P_DEFAULT) > 0;
}

static int write_one_series(hid_t at, const struct me_result *result, const struct me_result_series *series,
                            bool by_machine, struct me_error *err)
{
    char machine[16], repeat[16];
    snprintf(machine, sizeof machine, "%d", series->machine_id);
    snprintf(repeat, sizeof repeat, "%d", series->repeat);
    int rc = -1;
    hid_t group = -1, above = by_machine ? open_group(at, machine) : at;
    if (above >= 0 && is_there(above, repeat)) {
        rc = 0;
    } else {
        group = above < 0 ? -1 : H5Gcreate2(above, repeat, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        if (group < 0 || write_arrays(group, result, series))
            me_hdf5_fail(err, ME_E_RUN, "/series/%s/%s", machine, repeat);
        else
            rc = 0;
    }
    me_hdf5_close(group);
    if (by_machine) me_hdf5_close(above);
    return rc;
}

int me_hdf5_write_series(hid_t at, const struct me_result *result, bool by_machine, struct me_error *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < result->series_count; i++)
        rc = write_one_series(at, result, &result->series[i], by_machine, err);
    return rc;
}

hid_t me_hdf5_open_series(hid_t file)
{
    bool there = is_there(file, "series");
    hid_t all = open_group(file, "series");
    if (all < 0 || there) return all;
    if (!me_hdf5_put_text(all, "description",
                          "Every sample: series/<machine_id>/<repeat>; repeat 0 is the idle phase."))
        return all;
    me_hdf5_close(all);
    return -1;
}

static bool is_dropped(const struct me_store_extras *extras, int machine_id, int repeat)
{
    for (size_t i = 0; i < extras->drop_count; i++)
        if (extras->drops[i].machine_id == machine_id && extras->drops[i].repeat == repeat) return true;
    return false;
}

/* A link to a file that is elsewhere stays a link. */
static int copy_link(hid_t from, hid_t to, const char *name)
{
    H5L_info_t info;
    char value[4096];
    const char *file, *object;
    unsigned flags;
    if (H5Lget_info(from, name, &info, H5P_DEFAULT) < 0) return -1;
    if (info.type != H5L_TYPE_EXTERNAL)
        return H5Ocopy(from, name, to, name, H5P_DEFAULT, H5P_DEFAULT) < 0 ? -1 : 0;
    if (info.u.val_size > sizeof value || H5Lget_val(from, name, value, sizeof value, H5P_DEFAULT) < 0 ||
        H5Lunpack_elink_val(value, info.u.val_size, &flags, &file, &object) < 0)
        return -1;
    return H5Lcreate_external(file, object, to, name, H5P_DEFAULT, H5P_DEFAULT) < 0 ? -1 : 0;
}

/* What is copied and taken out again cannot be put in anew: HDF5 1.10 finds a duplicate. */
static int copy_machine(hid_t base, hid_t all, int machine_id, const struct me_store_extras *extras)
{
    char name[16];
    int *repeats = NULL, rc = -1;
    size_t count = 0;
    snprintf(name, sizeof name, "%d", machine_id);
    hid_t from = H5Gopen2(base, name, H5P_DEFAULT), to = open_group(all, name);
    if (from >= 0 && to >= 0) rc = me_hdf5_list_numbers(from, &repeats, &count);
    for (size_t i = 0; !rc && i < count; i++) {
        if (is_dropped(extras, machine_id, repeats[i])) continue;
        snprintf(name, sizeof name, "%d", repeats[i]);
        rc = copy_link(from, to, name);
    }
    free(repeats);
    me_hdf5_close(to);
    me_hdf5_close(from);
    return rc;
}

static int copy_some(hid_t file, hid_t base, const struct me_store_extras *extras)
{
    int *machines = NULL;
    size_t count = 0;
    hid_t from = H5Gopen2(base, "series", H5P_DEFAULT), all = me_hdf5_open_series(file);
    int rc = from < 0 || all < 0 ? -1 : me_hdf5_list_numbers(from, &machines, &count);
    for (size_t i = 0; !rc && i < count; i++) rc = copy_machine(from, all, machines[i], extras);
    free(machines);
    me_hdf5_close(all);
    me_hdf5_close(from);
    return rc;
}

int me_hdf5_copy_series(hid_t file, const struct me_store_extras *extras, struct me_error *err)
{
    hid_t base = me_hdf5_open(extras->base);
    int rc = base < 0 ? -1 : 0;
    if (!rc && is_there(base, "series"))
        rc = extras->drop_count ? copy_some(file, base, extras)
                                : -(H5Ocopy(base, "series", file, "series", H5P_DEFAULT, H5P_DEFAULT) < 0);
    if (rc)
        me_hdf5_fail(err, ME_E_RUN, base < 0 ? "%s: cannot be opened" : "%s: copying its /series",
                     extras->base);
    me_hdf5_close(base);
    return rc;
}

/* Copies the series of a repeat, or links to it where there is no file to copy from. */
static int copy_repeat(hid_t from, hid_t to, const struct me_store_image *image, int repeat,
                       struct me_error *err)
{
    char here[16], there[16];
    snprintf(here, sizeof here, "%d", repeat);
    snprintf(there, sizeof there, "%lld", repeat ? (long long)repeat + image->add : 0);
    if (is_there(to, there)) return 0; /* a second idle phase: its energies are in the tables */
    if (image->link ? H5Lcreate_external(image->link, here, to, there, H5P_DEFAULT, H5P_DEFAULT) >= 0
                    : H5Ocopy(from, here, to, there, H5P_DEFAULT, H5P_DEFAULT) >= 0)
        return 0;
    return me_hdf5_fail(err, ME_E_RUN, "/series/%d/%s: copying", image->machine_id, there);
}

static hid_t open_image(struct me_vfd *vfd)
{
    hid_t access = me_vfd_access(vfd);
    hid_t file = access < 0 ? -1 : H5Fopen("series", H5F_ACC_RDONLY, access);
    me_hdf5_close(access);
    return file;
}

static int link_image(hid_t all, const struct me_store_image *image, struct me_error *err)
{
    char machine[16];
    snprintf(machine, sizeof machine, "%d", image->machine_id);
    hid_t to = open_group(all, machine);
    int rc = to < 0 ? me_hdf5_fail(err, ME_E_RUN, "/series/%s", machine) : 0;
    for (size_t i = 0; !rc && i < image->repeat_count; i++)
        rc = copy_repeat(-1, to, image, image->repeats[i], err);
    me_hdf5_close(to);
    return rc;
}

int me_hdf5_copy_image(hid_t all, const struct me_store_image *image, struct me_error *err)
{
    if (image->link) return link_image(all, image, err);
    struct me_vfd vfd = {.read = image->read, .context = image->context, .size = image->size};
    char machine[16];
    int *repeats = NULL, rc = 0;
    size_t count = 0;
    snprintf(machine, sizeof machine, "%d", image->machine_id);
    hid_t to = -1, from = open_image(&vfd);
    if (from < 0 || me_hdf5_list_numbers(from, &repeats, &count))
        rc = me_hdf5_fail(err, ME_E_RUN, "the samples of machine %s are damaged", machine);
    if (!rc && count && (to = open_group(all, machine)) < 0)
        rc = me_hdf5_fail(err, ME_E_RUN, "/series/%s", machine);
    for (size_t i = 0; !rc && i < count; i++) rc = copy_repeat(from, to, image, repeats[i], err);
    free(repeats);
    me_hdf5_close(to);
    me_hdf5_close(from);
    me_vfd_release(&vfd);
    return rc;
}
