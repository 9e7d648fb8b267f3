#include "parcel.h"
#include <string.h>
#include "me/workload.h"

static void put_number(unsigned char *bytes, int count, uint64_t value)
{
    for (int i = 0; i < count; i++) bytes[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_number(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

void me_parcel_put(struct me_buffer *out, const struct me_parcel_entry *entry)
{
    unsigned char head[ME_PARCEL_HEAD_BYTES] = {(unsigned char)entry->type, entry->executable};
    put_number(head + 2, 2, entry->name_len);
    put_number(head + 4, 8, entry->size);
    me_buffer_append(out, head, sizeof head);
    me_buffer_append(out, entry->name, entry->name_len);
    if (entry->content) me_buffer_append(out, entry->content, (size_t)entry->size);
}

void me_parcel_set_size(struct me_buffer *out, size_t at, uint64_t size)
{
    if (!out->failed) put_number((unsigned char *)out->data + at + 4, 8, size);
}

int me_parcel_open(struct me_parcel_reader *reader, const void *bytes, size_t len)
{
    size_t magic = strlen(ME_PARCEL_MAGIC);
    if (len < magic || memcmp(bytes, ME_PARCEL_MAGIC, magic)) return -1;
    *reader = (struct me_parcel_reader){(const char *)bytes + magic, (const char *)bytes + len};
    return 0;
}

bool me_parcel_is_name(const char *name, size_t len)
{
    size_t own = strlen(ME_WORKLOAD_OWN_FILES), depth = 0;
    if (!len || len > ME_PARCEL_NAME_MAX || memchr(name, '\0', len)) return false;
    for (size_t at = 0; at <= len; depth++) {
        const char *slash = memchr(name + at, '/', len - at);
        size_t part = slash ? (size_t)(slash - name) - at : len - at;
        const char *text = name + at;
        if (!part || (part == 1 && text[0] == '.') || (part == 2 && !memcmp(text, "..", 2))) return false;
        if (depth >= ME_PARCEL_DEPTH_MAX) return false;
        if (!at && part == own && !memcmp(text, ME_WORKLOAD_OWN_FILES, own)) return false;
        at += part + 1;
    }
    return true;
}

int me_parcel_read_head(const char *bytes, struct me_parcel_entry *entry)
{
    const unsigned char *head = (const unsigned char *)bytes;
    if (head[1] > 1 || (head[0] != 'f' && head[0] != 'd' && head[0] != 'e')) return -1;
    *entry = (struct me_parcel_entry){.type = (char)head[0],
                                      .executable = head[1] == 1,
                                      .name_len = (size_t)get_number(head + 2, 2),
                                      .size = get_number(head + 4, 8)};
    return entry->name_len > ME_PARCEL_NAME_MAX || (entry->type != 'f' && entry->size) ? -1 : 0;
}

bool me_parcel_is_entry(const struct me_parcel_entry *entry)
{
    return entry->type == 'e' ? !entry->name_len : me_parcel_is_name(entry->name, entry->name_len);
}

int me_parcel_next(struct me_parcel_reader *reader, struct me_parcel_entry *entry)
{
    size_t left = (size_t)(reader->end - reader->at);
    struct me_parcel_entry e;
    if (left < ME_PARCEL_HEAD_BYTES || me_parcel_read_head(reader->at, &e)) return -1;
    left -= ME_PARCEL_HEAD_BYTES;
    e.name = reader->at + ME_PARCEL_HEAD_BYTES;
    if (e.name_len > left || e.size > left - e.name_len || !me_parcel_is_entry(&e)) return -1;
    if (e.type == 'e' && left) return -1; /* the end is the end */
    e.content = e.name + e.name_len;
    reader->at = e.content + e.size;
    *entry = e;
    return 0;
}
