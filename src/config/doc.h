/* A JSON text as a tree whose values know their line, and the strict readers of its members. Only
 * this folder sees it. Every message reads "source:line: path: what". */
#ifndef ME_CONFIG_DOC_H
#define ME_CONFIG_DOC_H

#include "me/error.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

struct me_doc {
    const char *source; /* for messages; the caller's */
    cJSON *root;
    int *lines; /* of each value in document order */
    size_t count;
};

/* An object of the document, and how to name its members in messages. */
struct me_doc_object {
    const struct me_doc *doc;
    const cJSON *node;
    char path[64]; /* "machines[1]", "experiment"; "" for the document itself */
};

/* `text` is not kept. All copies that were made of it are overwritten before they are freed, here and
 * in release: it may hold passwords. */
int me_doc_parse(struct me_doc *doc, const char *text, size_t len, const char *source, struct me_error *err);
void me_doc_release(struct me_doc *doc); /* NULL-safe */

int me_doc_line(const struct me_doc *doc, const cJSON *node);
/* Fails for the member `key` (NULL: the object itself): at its line, or the object's if it is absent. */
int me_doc_fail(const struct me_doc_object *object, const char *key, struct me_error *err, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* The node as an object whose every member is in `known` (NULL-terminated), none of them twice. */
int me_doc_object(const struct me_doc *doc, const cJSON *node, const char *path, const char *const *known,
                  struct me_doc_object *out, struct me_error *err);
/* The readers: a member that is absent or null leaves *out as it is and is no error. */
const cJSON *me_doc_member(const struct me_doc_object *object, const char *key); /* NULL: absent or null */
int me_doc_string(const struct me_doc_object *object, const char *key, const char **out,
                  struct me_error *err);
int me_doc_bool(const struct me_doc_object *object, const char *key, bool *out, struct me_error *err);
int me_doc_number(const struct me_doc_object *object, const char *key, double min, double max, double *out,
                  struct me_error *err);
int me_doc_int(const struct me_doc_object *object, const char *key, int min, int max, int *out,
               struct me_error *err);
int me_doc_list(const struct me_doc_object *object, const char *key, const cJSON **out, struct me_error *err);

/* "a list", "a number", ... for messages. */
const char *me_doc_type(const cJSON *node);
/* The shortest text that is the number again. */
void me_doc_number_text(double value, char *text, size_t size);

#endif
