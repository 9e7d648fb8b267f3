#include "me/slurm.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS = 18 };

void me_slurm_names_release(struct me_slurm_names *names)
{
    if (!names) return;
    free(names->names);
    *names = (struct me_slurm_names){0};
}

static int add_name(struct me_slurm_names *out, const char *name, struct me_error *err)
{
    if (out->count >= ME_SLURM_NODES_MAX) return me_fail(err, ME_E_RUN, "a list of too many nodes");
    if ((out->count & (out->count + 1)) == 0) { /* at 0, 1, 3, 7, ...: room for twice as many */
        void *more = realloc(out->names, 2 * (out->count + 1) * sizeof *out->names);
        if (!more) return me_fail(err, ME_E_RUN, "no memory for the nodes of the job");
        out->names = more;
    }
    snprintf(out->names[out->count++], ME_SLURM_NODE, "%s", name);
    return 0;
}

static int fail(const char *text, struct me_error *err)
{
    return me_fail(err, ME_E_RUN, "\"%.200s\" is no list of nodes", text);
}

/* Digits at *at to a number; how many they were, 0: none or too many. */
static int take_number(const char **at, long *value)
{
    int digits = (int)strspn(*at, "0123456789");
    if (digits == 0 || digits > DIGITS) return 0;
    *value = 0;
    for (int i = 0; i < digits; i++) *value = *value * 10 + (*(*at)++ - '0');
    return digits;
}

static int expand_entry(const char *entry, struct me_slurm_names *out, struct me_error *err);

/* head, a number of so many digits, and the rest, which may have brackets of its own. */
static int expand_one(const char *entry, int head, int digits, long number, const char *rest,
                      struct me_slurm_names *out, struct me_error *err)
{
    char whole[1024];
    int n = snprintf(whole, sizeof whole, "%.*s%0*ld%s", head, entry, digits, number, rest);
    if (n < 0 || (size_t)n >= sizeof whole) return fail(entry, err);
    return expand_entry(whole, out, err);
}

/* The first bracket, and by way of the entries that come of it the others. */
static int expand_entry(const char *entry, struct me_slurm_names *out, struct me_error *err)
{
    const char *open = strchr(entry, '['), *close = open ? strchr(open, ']') : NULL;
    if (!open) return strchr(entry, ']') || !*entry ? fail(entry, err) : add_name(out, entry, err);
    if (!close) return fail(entry, err);
    for (const char *at = open + 1;; at++) {
        long first, last;
        int digits = take_number(&at, &first);
        last = first;
        if (!digits || (*at == '-' && (at++, !take_number(&at, &last))) || (*at != ',' && at != close))
            return fail(entry, err);
        if (last < first || last - first >= ME_SLURM_NODES_MAX) return fail(entry, err);
        for (long number = first; number <= last; number++)
            if (expand_one(entry, (int)(open - entry), digits, number, close + 1, out, err)) return -1;
        if (at == close) return 0;
    }
}

/* Up to the comma that stands in no bracket. */
static size_t entry_length(const char *text)
{
    size_t len = 0;
    for (bool inside = false; text[len] && (inside || text[len] != ','); len++)
        inside = text[len] == '[' || (inside && text[len] != ']');
    return len;
}

int me_slurm_expand(const char *text, struct me_slurm_names *out, struct me_error *err)
{
    *out = (struct me_slurm_names){0};
    for (const char *at = text;; at++) {
        char entry[1024];
        size_t len = entry_length(at);
        if (!len || len >= sizeof entry) return fail(text, err);
        memcpy(entry, at, len);
        entry[len] = '\0';
        if (expand_entry(entry, out, err)) return -1;
        at += len;
        if (!*at) return 0;
    }
}

int me_slurm_count_cpus(const char *cpus)
{
    int count = 0;
    for (const char *at = cpus;; at++) {
        long first, last;
        if (!take_number(&at, &first)) return -1;
        last = first;
        if (*at == '-' && (at++, !take_number(&at, &last))) return -1;
        if (last < first || last > 1000000) return -1;
        count += (int)(last - first + 1);
        if (!*at) return count;
        if (*at != ',') return -1;
    }
}

int me_slurm_cpus_of(const char *per_node, size_t index)
{
    for (const char *at = per_node;; at++) {
        long cpus, times = 1;
        if (!take_number(&at, &cpus) || cpus > 1000000) return 0;
        if (!strncmp(at, "(x", 2)) {
            at += 2;
            if (!take_number(&at, &times) || *at++ != ')') return 0;
        }
        if (index < (size_t)times) return (int)cpus;
        index -= (size_t)times;
        if (*at != ',') return 0;
    }
}
