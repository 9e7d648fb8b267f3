#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "me/utf8.h"
#include "store_hdf5.h"

void me_hdf5_close(hid_t id)
{
    if (id >= 0) H5Idec_ref(id);
}

static herr_t take_first(unsigned n, const H5E_error2_t *error, void *context)
{
    (void)n;
    char *text = context;
    if (!text[0] && error->desc) snprintf(text, 256, "%s", error->desc);
    return 0;
}

int me_hdf5_fail(struct me_error *err, enum me_code code, const char *format, ...)
{
    char reason[256] = "", line[640];
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, reason);
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return reason[0] ? me_fail(err, code, "%s: %s", line, reason) : me_fail(err, code, "%s", line);
}

static hid_t variable_text(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type < 0) return -1;
    if (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0) {
        H5Tclose(type);
        return -1;
    }
    return type;
}

static int put(hid_t object, const char *name, hid_t type, hid_t space, const void *value)
{
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute < 0) return -1;
    int rc = !value || H5Awrite(attribute, type, value) >= 0 ? 0 : -1;
    if (H5Aclose(attribute) < 0) rc = -1;
    return rc;
}

static int put_list(hid_t object, const char *name, const char *const *texts, hid_t space)
{
    hid_t type = variable_text();
    int rc = type >= 0 && space >= 0 ? put(object, name, type, space, texts) : -1;
    me_hdf5_close(space);
    me_hdf5_close(type);
    return rc;
}

/* Variable length, for a plan of some thousand machines is larger than the 64 KiB of a fixed one. */
int me_hdf5_put_text(hid_t object, const char *name, const char *text)
{
    char *copy = strdup(text ? text : "");
    if (!copy) return -1;
    me_utf8_clean(copy, strlen(copy) + 1);
    const char *const list[] = {copy};
    int rc = put_list(object, name, list, H5Screate(H5S_SCALAR));
    free(copy);
    return rc;
}

int me_hdf5_put_texts(hid_t object, const char *name, const char *const *texts, size_t count)
{
    hsize_t dims[] = {count};
    return put_list(object, name, count ? texts : NULL, H5Screate_simple(1, dims, NULL));
}

int me_hdf5_put_int(hid_t object, const char *name, int value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute =
        space < 0 ? -1 : H5Acreate2(object, name, H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT);
    int rc = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT, &value) >= 0 ? 0 : -1;
    me_hdf5_close(attribute);
    me_hdf5_close(space);
    return rc;
}

/* Opens the attribute if it is of the class and holds `points` values; else -1. */
static hid_t open_attribute(hid_t object, const char *name, H5T_class_t class, size_t points)
{
    if (H5Aexists(object, name) <= 0) return -1;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) return -1;
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    bool fits = type >= 0 && space >= 0 && H5Tget_class(type) == class &&
                H5Sget_simple_extent_npoints(space) == (hssize_t)points;
    if (fits && class == H5T_STRING) fits = H5Tis_variable_str(type) > 0;
    me_hdf5_close(space);
    me_hdf5_close(type);
    if (fits) return attribute;
    H5Aclose(attribute);
    return -1;
}

/* Reads `count` texts; the caller frees each and the list's memory is his. */
static int get_list(hid_t object, const char *name, char **texts, size_t count)
{
    int rc = -1;
    hid_t attribute = open_attribute(object, name, H5T_STRING, count), type = -1;
    if (attribute < 0) goto out;
    type = variable_text();
    if (type < 0 || H5Aread(attribute, type, texts) < 0) goto out;
    rc = 0;
out:
    me_hdf5_close(type);
    me_hdf5_close(attribute);
    return rc;
}

int me_hdf5_get_text(hid_t object, const char *name, char **text)
{
    char *value = NULL;
    if (get_list(object, name, &value, 1)) return -1;
    char *copy = strdup(value ? value : "");
    if (value) H5free_memory(value);
    if (!copy) return -1;
    *text = copy;
    return 0;
}

int me_hdf5_get_int(hid_t object, const char *name, int *value)
{
    hid_t attribute = open_attribute(object, name, H5T_INTEGER, 1);
    if (attribute < 0) return -1;
    int rc = H5Aread(attribute, H5T_NATIVE_INT, value) >= 0 ? 0 : -1;
    H5Aclose(attribute);
    return rc;
}

int me_hdf5_get_names(hid_t object, const char *name, char (*names)[48], size_t count)
{
    char **texts = calloc(count + 1, sizeof *texts);
    if (!texts) return -1;
    int rc = count ? get_list(object, name, texts, count) : 0;
    for (size_t i = 0; i < count; i++) {
        if (!rc) snprintf(names[i], sizeof names[i], "%s", texts[i] ? texts[i] : "");
        if (!rc) me_utf8_clean(names[i], sizeof names[i]);
        if (texts[i]) H5free_memory(texts[i]);
    }
    free(texts);
    return rc;
}
