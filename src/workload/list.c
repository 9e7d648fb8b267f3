/* The plan's workloads from its text: "keras, gemm --precision single". */
#include "me/options.h"
#include "me/workload.h"
#include <stdio.h>
#include <string.h>

#define BLANKS " \t"

/* What there is, or the nearest to it: as many names as a line holds. */
static int fail_unknown(const char *name, struct me_error *err)
{
    const char *names[64] = {0};
    char all[512] = "";
    for (size_t i = 0; i < 63 && me_workload_table[i].name; i++) {
        size_t len = strlen(all);
        names[i] = me_workload_table[i].name;
        snprintf(all + len, sizeof all - len, "%s%s", len ? ", " : "", names[i]);
    }
    const char *near = me_nearest(name, names);
    if (near) return me_fail(err, ME_E_INPUT, "--framework: there is no %.64s; did you mean %s?", name, near);
    return me_fail(err, ME_E_INPUT,
                   "--framework: there is no %.64s; there are %s, and your own command behind --", name, all);
}

static void set_region(struct me_workload_entry *entry, const char *wanted, const char *usual)
{
    if (!wanted[0])
        snprintf(entry->region, sizeof entry->region, "%s", usual);
    else if (strcmp(wanted, "whole"))
        snprintf(entry->region, sizeof entry->region, "%.47s", wanted);
}

/* The label is the entry with single blanks, so that two ways to write one are the same. */
static int add_word(struct me_workload_entry *entry, const char *word, size_t len, struct me_error *err)
{
    size_t used = strlen(entry->label);
    if (used + len + 2 > sizeof entry->label)
        return me_fail(err, ME_E_INPUT, "--framework: %s...: longer than %zu characters", entry->label,
                       sizeof entry->label - 1);
    snprintf(entry->label + used, sizeof entry->label - used, "%s%.*s", used ? " " : "", (int)len, word);
    if (!used) return 0;
    if (len >= sizeof entry->words[0] || entry->word_count == ME_WORKLOAD_WORDS)
        return me_fail(err, ME_E_INPUT, "--framework: %s: too many or too long words behind the name",
                       entry->label);
    snprintf(entry->words[entry->word_count++], sizeof entry->words[0], "%.*s", (int)len, word);
    return 0;
}

static int read_entry(const char *text, size_t len, const char *region, struct me_workload_entry *entry,
                      struct me_error *err)
{
    char name[sizeof entry->label];
    *entry = (struct me_workload_entry){.row = NULL};
    for (const char *at = text, *end = text + len; at < end;) {
        at += strspn(at, BLANKS);
        if (at >= end) break;
        size_t word = strcspn(at, BLANKS ",");
        if (add_word(entry, at, word, err)) return -1;
        at += word;
    }
    if (!entry->label[0])
        return me_fail(err, ME_E_INPUT, "--framework: a name is missing in the list; write keras,pl,native");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(entry->label, BLANKS), entry->label);
    entry->row = me_workload_find(name);
    if (!entry->row) return fail_unknown(name, err);
    set_region(entry, region, entry->row->region);
    return 0;
}

static int check_new(const struct me_workloads *list, const struct me_workload_entry *entry,
                     struct me_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->entries[i].label, entry->label))
            return me_fail(err, ME_E_INPUT,
                           "--framework: %s stands in the list twice; --repeats runs it again", entry->label);
    return 0;
}

/* A command or a function is one entry without a row. */
static void set_own(const struct me_plan *plan, struct me_workloads *list)
{
    struct me_workload_entry *entry = &list->entries[list->count++];
    *entry = (struct me_workload_entry){.row = NULL};
    snprintf(entry->label, sizeof entry->label, "%.95s", plan->workload);
    set_region(entry, plan->region, strcmp(plan->workload, "function") ? "" : "train");
}

/* Without a command or function these are no names, as whoever writes --framework command learns. */
static bool is_own(const struct me_plan *plan)
{
    return (plan->command[0] && !strcmp(plan->workload, "command")) ||
           (plan->function[0] && !strcmp(plan->workload, "function"));
}

int me_workload_list(const struct me_plan *plan, struct me_workloads *out, struct me_error *err)
{
    struct me_workloads list = {.count = 0};
    if (is_own(plan)) {
        set_own(plan, &list);
        *out = list;
        return 0;
    }
    for (const char *at = plan->workload, *end;; at = end + 1) {
        end = at + strcspn(at, ",");
        if (list.count == ME_WORKLOADS_MAX)
            return me_fail(err, ME_E_INPUT, "--framework: more than %d workloads", ME_WORKLOADS_MAX);
        struct me_workload_entry *entry = &list.entries[list.count];
        if (read_entry(at, (size_t)(end - at), plan->region, entry, err) || check_new(&list, entry, err))
            return -1;
        list.count++;
        if (!*end) break;
    }
    *out = list;
    return 0;
}
