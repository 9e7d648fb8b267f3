#include "batch_json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "me/utf8.h"

enum type { TEXT, COUNT, NUMBER };
struct row {
    const char *key;
    enum type type;
    size_t offset, size;
};
#define ROW(type, of, field)                                                                                 \
    {                                                                                                        \
#field, type, offsetof(struct of, field), sizeof((struct of *)0)->field                              \
    }
static const struct row job_rows[] = {
    ROW(TEXT, me_batch_job, id),
    ROW(TEXT, me_batch_job, cluster),
    ROW(TEXT, me_batch_job, partition),
    ROW(TEXT, me_batch_job, nodes),
    ROW(TEXT, me_batch_job, array_job),
    ROW(TEXT, me_batch_job, array_task),
    ROW(COUNT, me_batch_job, restarts),
    ROW(NUMBER, me_batch_job, kill_wait_s),
    ROW(TEXT, me_batch_job, energy_plugin),
    ROW(NUMBER, me_batch_job, energy_every_s),
    ROW(NUMBER, me_batch_job, energy_before_j),
    ROW(NUMBER, me_batch_job, energy_after_j),
    ROW(NUMBER, me_batch_job, before_unix_s),
    ROW(NUMBER, me_batch_job, after_unix_s),
    {0},
};
static const struct row node_rows[] = {
    ROW(TEXT, me_batch_node, node),       ROW(TEXT, me_batch_node, cpus),
    ROW(COUNT, me_batch_node, cpu_count), ROW(COUNT, me_batch_node, node_cpus),
    ROW(COUNT, me_batch_node, sharing),   ROW(TEXT, me_batch_node, shared_with),
    ROW(NUMBER, me_batch_node, power_w),  {0},
};
enum { KEYS_MAX = 16 };

static cJSON *make_value(const struct row *row, const void *from)
{
    const char *at = (const char *)from + row->offset;
    char clean[1100];
    int count;
    double number;
    switch (row->type) {
    case TEXT:
        snprintf(clean, sizeof clean, "%s", at);
        me_utf8_clean(clean, strlen(clean) + 1);
        return cJSON_CreateString(clean);
    case COUNT:
        memcpy(&count, at, sizeof count);
        return cJSON_CreateNumber(count);
    case NUMBER:
        memcpy(&number, at, sizeof number);
        return isfinite(number) ? cJSON_CreateNumber(number) : cJSON_CreateNull();
    }
    return NULL;
}

static cJSON *to_json(const struct row *rows, const void *from)
{
    cJSON *object = cJSON_CreateObject();
    for (const struct row *row = rows; object && row->key; row++) {
        cJSON *value = make_value(row, from);
        if (value && cJSON_AddItemToObject(object, row->key, value)) continue;
        cJSON_Delete(value);
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static int take_value(const struct me_doc_object *object, const struct row *row, void *to,
                      struct me_error *err)
{
    char *at = (char *)to + row->offset;
    const char *text = "";
    int count;
    double number;
    switch (row->type) {
    case TEXT:
        if (me_doc_string(object, row->key, &text, err)) return -1;
        if (strlen(text) >= row->size)
            return me_doc_fail(object, row->key, err, "longer than %zu bytes", row->size - 1);
        memcpy(at, text, strlen(text) + 1);
        return 0;
    case COUNT:
        memcpy(&count, at, sizeof count);
        if (me_doc_int(object, row->key, 0, 1000000000, &count, err)) return -1;
        memcpy(at, &count, sizeof count);
        return 0;
    case NUMBER:
        memcpy(&number, at, sizeof number);
        if (me_doc_number(object, row->key, 0, 1e18, &number, err)) return -1;
        memcpy(at, &number, sizeof number);
        return 0;
    }
    return 0;
}

static int from_json(const struct me_doc_object *above, const char *key, const struct row *rows, void *to,
                     struct me_error *err)
{
    const cJSON *node = me_doc_member(above, key);
    const char *keys[KEYS_MAX] = {0};
    struct me_doc_object object;
    char path[64];
    if (!node) return 0;
    for (size_t i = 0; rows[i].key && i < KEYS_MAX - 1; i++) keys[i] = rows[i].key;
    snprintf(path, sizeof path, "%.50s%s%s", above->path, above->path[0] ? "." : "", key);
    if (me_doc_object(above->doc, node, path, keys, &object, err)) return -1;
    for (const struct row *row = rows; row->key; row++)
        if (take_value(&object, row, to, err)) return -1;
    return 0;
}

cJSON *me_batch_job_to_json(const struct me_batch_job *job)
{
    return to_json(job_rows, job);
}

cJSON *me_batch_node_to_json(const struct me_batch_node *node)
{
    return to_json(node_rows, node);
}

int me_batch_job_from_json(const struct me_doc_object *plan, struct me_batch_job *out, struct me_error *err)
{
    *out = (struct me_batch_job)ME_BATCH_JOB_UNKNOWN;
    return from_json(plan, "job", job_rows, out, err);
}

int me_batch_node_from_json(const struct me_doc_object *machine, struct me_batch_node *out,
                            struct me_error *err)
{
    *out = (struct me_batch_node)ME_BATCH_NODE_UNKNOWN;
    if (from_json(machine, "node", node_rows, out, err)) return -1;
    if (out->sharing > ME_SHARING_SEEN) out->sharing = ME_SHARING_UNKNOWN;
    return 0;
}
