/* What write.c and read.c share: HDF5 types made from the tables, attributes, and HDF5's errors as
 * lines of ours. */
#ifndef ME_STORE_HDF5_H
#define ME_STORE_HDF5_H

#include <hdf5.h>
#include "me/error.h"
#include "me/store.h"
#include "me/table.h"

#define ME_STORE_FORMAT "machine-energy"

/* The compound type of a table's rows: as they lie in memory, and as they lie in the file (packed,
 * little-endian, text NUL-padded). -1 on failure. The caller closes it with H5Tclose. */
hid_t me_hdf5_memory_type(const struct me_table *table);
hid_t me_hdf5_file_type(const struct me_table *table);
/* HDF5's class of a column, for comparing with a file's. */
H5T_class_t me_hdf5_class(const struct me_column *column);

/* Cleans every text column of the rows: valid UTF-8, NUL behind the text up to the field's end. */
void me_hdf5_clean_rows(const struct me_table *table, void *rows, size_t count);

/* As me_fail, with the innermost description of HDF5's error stack behind it. Call it before any
 * other HDF5 function, for each of those clears the stack. */
int me_hdf5_fail(struct me_error *err, enum me_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Attributes: text and lists of text are UTF-8 of variable length. 0, or -1 with HDF5's stack set. */
int me_hdf5_put_text(hid_t object, const char *name, const char *text);
int me_hdf5_put_texts(hid_t object, const char *name, const char *const *texts, size_t count);
int me_hdf5_put_int(hid_t object, const char *name, int value);
/* *text is malloc'd. */
int me_hdf5_get_text(hid_t object, const char *name, char **text);
int me_hdf5_get_int(hid_t object, const char *name, int *value);
/* Reads a list of exactly `count` texts into fields of 48 bytes, cleaned. */
int me_hdf5_get_names(hid_t object, const char *name, char (*names)[48], size_t count);

/* A dataset of this extent: chunked, shuffled and compressed where there is something to compress. */
hid_t me_hdf5_create_dataset(hid_t at, const char *name, hid_t type, const hsize_t *dims, int rank);
/* A result's file, for reading. Without HDF5's own locks: a finished file never changes in place, and some cluster file
 * systems refuse to lock. */
hid_t me_hdf5_open(const char *path);

/* /series of a file, made if it is not there. */
hid_t me_hdf5_open_series(hid_t file);
/* The result's series as groups REPEAT of `at`, or MACHINE/REPEAT if `by_machine`; what is there stays. */
int me_hdf5_write_series(hid_t at, const struct me_result *result, bool by_machine, struct me_error *err);
/* All series of the result at `path`, into a file that has none yet. */
int me_hdf5_copy_series(hid_t file, const struct me_store_extras *extras, struct me_error *err);
/* The series of an image, below the group of its machine in `all`. */
int me_hdf5_copy_image(hid_t all, const struct me_store_image *image, struct me_error *err);
/* The names of the group's members that are numbers, ascending; *numbers is the caller's (free). Other names
 * belong to a later version. */
int me_hdf5_list_numbers(hid_t group, int **numbers, size_t *count);

/* Closes whatever kind of id it is; negative ids are passed over. */
void me_hdf5_close(hid_t id);

#endif
