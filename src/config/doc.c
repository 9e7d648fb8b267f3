#include "doc.h"
#include "me/options.h"
#include "scan.h"
#include "text.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cJSON has no use for valueint (it is deprecated): it holds the value's place in the document. */
static void number_nodes(cJSON *node, int *next)
{
    for (; node; node = node->next) {
        node->valueint = (*next)++;
        number_nodes(node->child, next); /* the scanner has bounded the depth */
    }
}

static void wipe_nodes(cJSON *node)
{
    for (; node; node = node->next) {
        if (node->valuestring) explicit_bzero(node->valuestring, strlen(node->valuestring));
        wipe_nodes(node->child);
    }
}

int me_doc_parse(struct me_doc *doc, const char *text, size_t len, const char *source, struct me_error *err)
{
    struct me_doc made = {.source = source};
    char *copy = malloc(len + 1);
    int rc = -1, next = 0;
    if (!copy) return me_fail(err, ME_E_RUN, "%s: no memory", source);
    if (len) memcpy(copy, text, len);
    copy[len] = '\0';
    if (me_scan_strip(copy, len, source, err)) goto out;
    if (me_scan_check(copy, len, source, &made.lines, &made.count, err)) goto out;
    made.root = cJSON_ParseWithLengthOpts(copy, len + 1, NULL, 1);
    if (!made.root) {
        me_fail(err, ME_E_RUN, "%s: no memory", source); /* the grammar was checked */
        goto out;
    }
    number_nodes(made.root, &next);
    *doc = made;
    made = (struct me_doc){0};
    rc = 0;
out:
    explicit_bzero(copy, len);
    free(copy);
    me_doc_release(&made);
    return rc;
}

void me_doc_release(struct me_doc *doc)
{
    if (!doc) return;
    wipe_nodes(doc->root);
    cJSON_Delete(doc->root);
    free(doc->lines);
    *doc = (struct me_doc){0};
}

int me_doc_line(const struct me_doc *doc, const cJSON *node)
{
    return (size_t)node->valueint < doc->count ? doc->lines[node->valueint] : 1;
}

static const cJSON *find_member(const cJSON *object, const char *key)
{
    return key ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

int me_doc_fail(const struct me_doc_object *object, const char *key, struct me_error *err, const char *format,
                ...)
{
    char what[512], name[80] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    const cJSON *node = find_member(object->node, key);
    int line = me_doc_line(object->doc, node ? node : object->node);
    if (key) me_text_clean(key, name, sizeof name);
    const char *dot = *object->path && key ? "." : "", *colon = *object->path || key ? ": " : "";
    return me_fail(err, ME_E_INPUT, "%s:%d: %s%s%s%s%s", object->doc->source, line, object->path, dot, name,
                   colon, what);
}

static int check_key(const struct me_doc_object *object, const cJSON *member, const char *const *known,
                     struct me_error *err)
{
    size_t i = 0;
    while (known[i] && strcmp(known[i], member->string)) i++;
    if (!known[i]) {
        const char *near = me_nearest(member->string, known);
        if (near) return me_doc_fail(object, member->string, err, "unknown key; did you mean %s?", near);
        return me_doc_fail(object, member->string, err, "unknown key");
    }
    for (const cJSON *m = object->node->child; m != member; m = m->next) {
        if (strcmp(m->string, member->string)) continue;
        return me_fail(err, ME_E_INPUT, "%s:%d: %s%s%s: given twice, first in line %d", object->doc->source,
                       me_doc_line(object->doc, member), object->path, *object->path ? "." : "",
                       member->string, me_doc_line(object->doc, m));
    }
    return 0;
}

int me_doc_object(const struct me_doc *doc, const cJSON *node, const char *path, const char *const *known,
                  struct me_doc_object *out, struct me_error *err)
{
    struct me_doc_object object = {.doc = doc, .node = node};
    snprintf(object.path, sizeof object.path, "%s", path);
    if (!cJSON_IsObject(node))
        return me_doc_fail(&object, NULL, err, "%s where an object is needed: { \"key\": value, ... }",
                           me_doc_type(node));
    for (const cJSON *m = node->child; m; m = m->next)
        if (check_key(&object, m, known, err)) return -1;
    *out = object;
    return 0;
}

const cJSON *me_doc_member(const struct me_doc_object *object, const char *key)
{
    const cJSON *node = find_member(object->node, key);
    return node && !cJSON_IsNull(node) ? node : NULL;
}

static int fail_type(const struct me_doc_object *object, const char *key, const char *needed,
                     struct me_error *err)
{
    return me_doc_fail(object, key, err, "%s where %s is needed", me_doc_type(me_doc_member(object, key)),
                       needed);
}

int me_doc_string(const struct me_doc_object *object, const char *key, const char **out, struct me_error *err)
{
    const cJSON *node = me_doc_member(object, key);
    if (!node) return 0;
    if (!cJSON_IsString(node)) return fail_type(object, key, "text in double quotes", err);
    *out = node->valuestring;
    return 0;
}

int me_doc_bool(const struct me_doc_object *object, const char *key, bool *out, struct me_error *err)
{
    const cJSON *node = me_doc_member(object, key);
    if (!node) return 0;
    if (!cJSON_IsBool(node)) return fail_type(object, key, "true or false", err);
    *out = cJSON_IsTrue(node);
    return 0;
}

int me_doc_number(const struct me_doc_object *object, const char *key, double min, double max, double *out,
                  struct me_error *err)
{
    const cJSON *node = me_doc_member(object, key);
    if (!node) return 0;
    if (!cJSON_IsNumber(node)) return fail_type(object, key, "a number", err);
    double value = node->valuedouble;
    if (value >= min && value <= max) {
        *out = value;
        return 0;
    }
    char text[32];
    me_doc_number_text(value, text, sizeof text);
    return me_doc_fail(object, key, err, "%s is not a number from %.15g to %.15g", text, min, max);
}

int me_doc_int(const struct me_doc_object *object, const char *key, int min, int max, int *out,
               struct me_error *err)
{
    const cJSON *node = me_doc_member(object, key);
    if (!node) return 0;
    if (!cJSON_IsNumber(node)) return fail_type(object, key, "a whole number", err);
    double value = node->valuedouble;
    if (value >= min && value <= max && value == floor(value)) {
        *out = (int)value;
        return 0;
    }
    char text[32];
    me_doc_number_text(value, text, sizeof text);
    return me_doc_fail(object, key, err, "%s is not a whole number from %d to %d", text, min, max);
}

int me_doc_list(const struct me_doc_object *object, const char *key, const cJSON **out, struct me_error *err)
{
    const cJSON *node = me_doc_member(object, key);
    if (!node) return 0;
    if (!cJSON_IsArray(node)) return fail_type(object, key, "a list in [ ]", err);
    *out = node;
    return 0;
}

const char *me_doc_type(const cJSON *node)
{
    if (cJSON_IsBool(node)) return cJSON_IsTrue(node) ? "true" : "false";
    if (cJSON_IsNumber(node)) return "a number";
    if (cJSON_IsString(node)) return "text";
    if (cJSON_IsArray(node)) return "a list";
    return cJSON_IsObject(node) ? "an object" : "null";
}

void me_doc_number_text(double value, char *text, size_t size)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}
