#include "environment.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "me/buffer.h"

static const char *look_up(char *const *environment, const char *name, size_t len)
{
    for (size_t i = 0; environment && environment[i]; i++)
        if (!strncmp(environment[i], name, len) && environment[i][len] == '=')
            return environment[i] + len + 1;
    return NULL;
}

static size_t name_length(const char *text)
{
    size_t n = 0;
    if (isdigit((unsigned char)text[0])) return 0;
    while (isalnum((unsigned char)text[n]) || text[n] == '_') n++;
    return n;
}

/* Reads single-quoted pieces and \' between them; returns what stands behind, or NULL. */
static const char *read_quoted(const char *at, struct me_buffer *value)
{
    if (*at != '\'') return NULL;
    while (*at == '\'' || (at[0] == '\\' && at[1] == '\'')) {
        if (*at == '\\') {
            me_buffer_puts(value, "'");
            at += 2;
            continue;
        }
        const char *end = strchr(++at, '\'');
        if (!end) return NULL;
        me_buffer_append(value, at, (size_t)(end - at));
        at = end + 1;
    }
    return at;
}

/* The tail :"$NAME"; nothing is appended where the variable is not set. */
static const char *read_tail(const char *at, char *const *environment, struct me_buffer *value)
{
    if (strncmp(at, ":\"$", 3)) return at;
    size_t n = name_length(at + 3);
    if (!n || at[3 + n] != '"') return NULL;
    const char *old = look_up(environment, at + 3, n);
    if (old && *old) me_buffer_printf(value, ":%s", old);
    return at + 3 + n + 1;
}

int me_environment_line(const char *line, char *const *environment, char **name, char **value,
                        struct me_error *err)
{
    struct me_buffer text = ME_BUFFER_INIT;
    *name = *value = NULL;
    line += strspn(line, " \t");
    if (!*line || *line == '#') return 0;
    size_t n = strncmp(line, "export ", 7) ? 0 : name_length(line + 7);
    const char *at = n && line[7 + n] == '=' ? line + 8 + n : NULL;
    me_buffer_puts(&text, "");
    if (at) at = read_quoted(at, &text);
    if (at) at = read_tail(at, environment, &text);
    if (!at || at[strspn(at, " \t\r")] || text.failed) {
        me_buffer_release(&text);
        return me_fail(err, ME_E_INPUT, "not of the form export NAME='VALUE'; run me hosts again");
    }
    *name = strndup(line + 7, n);
    *value = text.data;
    if (*name) return 0;
    me_buffer_release(&text);
    *value = NULL;
    return me_fail(err, ME_E_RUN, "no memory");
}

struct list {
    char **items;
    size_t count;
};

/* Takes `item` over; replaces the variable of the same name. */
static int put(struct list *list, char *item)
{
    if (!item) return -1;
    size_t len = strcspn(item, "=");
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i], item, len + 1)) continue;
        free(list->items[i]);
        list->items[i] = item;
        return 0;
    }
    char **items = realloc(list->items, (list->count + 2) * sizeof *items);
    if (!items) {
        free(item);
        return -1;
    }
    list->items = items;
    items[list->count++] = item;
    items[list->count] = NULL;
    return 0;
}

static int is_stripped(const char *item, char *const *strip)
{
    size_t len = strcspn(item, "=");
    for (size_t i = 0; strip && strip[i]; i++)
        if (strlen(strip[i]) == len && !strncmp(strip[i], item, len)) return 1;
    return 0;
}

static int put_line(struct list *list, const char *line, const char *source, int number, struct me_error *err)
{
    char *name = NULL, *value = NULL, *item = NULL;
    struct me_error inner;
    int rc = 0;
    if (me_environment_line(line, list->items, &name, &value, &inner))
        return me_fail(err, inner.code, "%s:%d: %s", source, number, inner.text);
    if (name && (asprintf(&item, "%s=%s", name, value) < 0 || put(list, item)))
        rc = me_fail(err, ME_E_RUN, "no memory for the environment");
    free(name);
    free(value);
    return rc;
}

int me_environment_build(const char *text, const char *source, char *const *environment, char *const *strip,
                         char ***out, struct me_error *err)
{
    struct list list = {calloc(1, sizeof *list.items), 0};
    int rc = list.items ? 0 : me_fail(err, ME_E_RUN, "no memory for the environment"), number = 0;
    for (size_t i = 0; !rc && environment[i]; i++)
        if (!is_stripped(environment[i], strip) && put(&list, strdup(environment[i])))
            rc = me_fail(err, ME_E_RUN, "no memory for the environment");
    while (!rc && *text) {
        size_t len = strcspn(text, "\n");
        char *line = strndup(text, len);
        rc = line ? put_line(&list, line, source, ++number, err) : me_fail(err, ME_E_RUN, "no memory");
        free(line);
        text += len + (text[len] == '\n');
    }
    if (rc)
        me_environment_free(list.items);
    else
        *out = list.items;
    return rc;
}

void me_environment_free(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++) free(environment[i]);
    free(environment);
}
