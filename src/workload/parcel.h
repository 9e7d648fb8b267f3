/* The files that the head ships, as bytes:
 *
 *     "me-parcel 1\n"
 *     entry: type 'd' or 'f', executable 0 or 1, 2 bytes of the name's length, 8 of the content's,
 *            the name, the content           (numbers little-endian; a folder has no content)
 *     ...
 *     entry of type 'e': the end, with nothing in it
 *
 * Names are relative, with single slashes; a folder comes before what is in it. */
#ifndef ME_WORKLOAD_PARCEL_H
#define ME_WORKLOAD_PARCEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "me/buffer.h"

#define ME_PARCEL_MAGIC "me-parcel 1\n"
enum {
    ME_PARCEL_HEAD_BYTES = 12,
    ME_PARCEL_NAME_MAX = 4000,
    ME_PARCEL_DEPTH_MAX = 64,
    ME_PARCEL_ENTRIES_MAX = 200000,
};

struct me_parcel_entry {
    char type; /* 'd', 'f', 'e' */
    bool executable;
    const char *name; /* not terminated */
    size_t name_len;
    const char *content;
    uint64_t size;
};

/* Appends an entry; its content, of entry->size bytes, only if entry->content is not NULL. */
void me_parcel_put(struct me_buffer *out, const struct me_parcel_entry *entry);
/* Writes the content's length into the entry that begins at `at`. */
void me_parcel_set_size(struct me_buffer *out, size_t at, uint64_t size);

/* The first ME_PARCEL_HEAD_BYTES of an entry: all but its name and content. -1: they are none. */
int me_parcel_read_head(const char *bytes, struct me_parcel_entry *entry);
/* May it stand in a parcel? Its name is looked at too. */
bool me_parcel_is_entry(const struct me_parcel_entry *entry);

struct me_parcel_reader {
    const char *at, *end;
};
/* -1: these bytes are no parcel. */
int me_parcel_open(struct me_parcel_reader *reader, const void *bytes, size_t len);
/* The next entry, its name looked at too; an 'e' comes last. -1: cut off, or not such an entry. */
int me_parcel_next(struct me_parcel_reader *reader, struct me_parcel_entry *entry);
/* Does a name stay in the folder, and leave ours alone? */
bool me_parcel_is_name(const char *name, size_t len);

#endif
