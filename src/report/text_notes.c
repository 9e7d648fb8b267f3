#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "writer.h"

#define MOST 12 /* lines of one kind; the rest is counted */

/* Notes begin with a blank line before the first of them. */
struct notes {
    FILE *out;
    bool begun;
};

static FILE *begin(struct notes *notes)
{
    if (!notes->begun) fputc('\n', notes->out);
    notes->begun = true;
    return notes->out;
}

static int by_carbon(const void *a, const void *b)
{
    const struct me_row_summary *x = *(const struct me_row_summary *const *)a;
    const struct me_row_summary *y = *(const struct me_row_summary *const *)b;
    return x->carbon_place - y->carbon_place;
}

/* Neighbours whose intervals overlap. `rows` stand in the order that is asked about. */
static void tell_overlaps(struct notes *notes, const struct me_result *result,
                          const struct me_row_summary *const *rows, size_t count, bool carbon)
{
    size_t pairs = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        double a = carbon ? rows[i]->carbon_mean_g : rows[i]->energy_mean_j;
        double b = carbon ? rows[i + 1]->carbon_mean_g : rows[i + 1]->energy_mean_j;
        double reach = carbon ? rows[i]->carbon_ci95_g + rows[i + 1]->carbon_ci95_g
                              : rows[i]->energy_ci95_j + rows[i + 1]->energy_ci95_j;
        if (!(fabs(a - b) <= reach) || ++pairs > MOST) continue; /* NaN: no interval, no statement */
        me_wrap(begin(notes), 2, "%s and %s are not distinguishable by %s: their 95 %% intervals overlap.",
                me_text_name(result, rows[i]->machine_id), me_text_name(result, rows[i + 1]->machine_id),
                carbon ? "carbon" : "energy");
    }
    if (pairs > MOST) me_wrap(notes->out, 2, "... and %zu more pairs of neighbours.", pairs - MOST);
}

static bool same_order(const struct me_row_summary *const *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i]->carbon_place > 0 && rows[i]->carbon_place != rows[i]->place) return false;
    return true;
}

static void tell_carbon_order(struct notes *notes, const struct me_result *result,
                              const struct me_row_summary *const *rows, size_t count)
{
    struct me_buffer order = ME_BUFFER_INIT;
    for (size_t i = 0, told = 0; i < count && told < MOST; i++) {
        if (rows[i]->carbon_place < 1) continue;
        me_buffer_printf(&order, "%s%d %s", told++ ? ", " : "", rows[i]->carbon_place,
                         me_text_name(result, rows[i]->machine_id));
    }
    me_wrap(begin(notes), 2, "By carbon the order is another: %s%s.",
            order.data && !order.failed ? order.data : "", count > MOST ? ", ..." : "");
    me_buffer_release(&order);
}

static void tell_group(struct notes *notes, const struct me_result *result, int group,
                       const struct me_row_summary **rows)
{
    size_t count = me_text_group(result, group, rows);
    tell_overlaps(notes, result, rows, count, false);
    if (same_order(rows, count)) return;
    qsort(rows, count, sizeof *rows, by_carbon);
    tell_carbon_order(notes, result, rows, count);
    tell_overlaps(notes, result, rows, count, true);
}

/* The first ranked machine of a group stands for it: a group is what is alike. */
static const struct me_row_summary *first_of(const struct me_result *result, int group)
{
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].group == group && result->summaries[i].place > 0)
            return &result->summaries[i];
    return NULL;
}

static void tell_groups(struct notes *notes, const struct me_result *result, int groups)
{
    bool scopes = false, provenance = false, modelled = false;
    const struct me_row_summary *first = NULL;
    for (int group = 1; group <= groups; group++) {
        const struct me_row_summary *row = first_of(result, group);
        if (!row) continue;
        if (!first) first = row;
        scopes |= strcmp(row->scopes, first->scopes) != 0;
        provenance |= strcmp(row->provenance, first->provenance) != 0;
        modelled |= !strcmp(row->cls, "modelled") != !strcmp(first->cls, "modelled");
    }
    if (scopes)
        me_wrap(begin(notes), 2,
                "The groups are apart because their totals cover different parts of a machine: "
                "a smaller figure may only mean that less was metered.");
    if (provenance)
        me_wrap(begin(notes), 2,
                "The groups are apart because a fake or replayed meter is never ranked beside a real one.");
    if (modelled)
        me_wrap(begin(notes), 2,
                "The groups are apart because a modelled total is never ranked beside a measured one.");
}

static size_t count_rows(const struct me_result *result, const char *class, const char *provenance)
{
    size_t count = 0;
    for (size_t i = 0; i < result->summary_count; i++) {
        const struct me_row_summary *row = &result->summaries[i];
        if (row->n > 0 && (!class || !strcmp(row->cls, class)) &&
            (!provenance || !strcmp(row->provenance, provenance)))
            count++;
    }
    return count;
}

/* A guess says what it rests on. */
static void tell_model(struct notes *notes, const struct me_result *result)
{
    size_t told = 0;
    me_wrap(begin(notes), 2,
            "MODELLED: at least a part of these joules was not measured but calculated from the "
            "processor's load; they may be far from the truth.");
    for (size_t i = 0; i < result->channel_count; i++) {
        const struct me_row_channel *row = &result->channels[i];
        if (!row->counted || strcmp(row->cls, "modelled") || !row->basis[0] || ++told > MOST) continue;
        me_wrap(notes->out, 4, "%s: %s", me_text_name(result, row->machine_id), row->basis);
    }
    if (told > MOST) me_wrap(notes->out, 4, "... and %zu more.", told - MOST);
}

static void tell_marks(struct notes *notes, const struct me_result *result)
{
    if (count_rows(result, "modelled", NULL)) tell_model(notes, result);
    if (count_rows(result, NULL, "fake"))
        me_wrap(
            begin(notes), 2,
            "FAKE: a program answered in place of the machine's meter; this is no measurement of hardware.");
    if (count_rows(result, NULL, "replay"))
        me_wrap(begin(notes), 2,
                "REPLAY: the readings are those of a recorded machine; nothing was measured here.");
    size_t single = 0;
    for (size_t i = 0; i < result->summary_count; i++) single += result->summaries[i].n == 1;
    if (single)
        me_wrap(begin(notes), 2,
                "n = 1 gives no interval: how firm the %s cannot be told; --repeats 3 or more tells it.",
                result->machine_count > 1 ? "place is" : "figures are");
}

void me_text_notes(const struct me_result *result, FILE *out)
{
    struct notes notes = {.out = out};
    int groups = me_text_groups(result);
    const struct me_row_summary **rows = calloc(result->summary_count + 1, sizeof *rows);
    if (!rows) return;
    for (int group = 1; group <= groups; group++) tell_group(&notes, result, group, rows);
    tell_groups(&notes, result, groups);
    tell_marks(&notes, result);
    free(rows);
}

static const struct me_row_summary *find_summary(const struct me_result *result, int machine_id)
{
    for (size_t i = 0; i < result->summary_count; i++)
        if (result->summaries[i].machine_id == machine_id) return &result->summaries[i];
    return NULL;
}

/* What there is to say about a machine: that it is not ranked and why, or a remark on its place. The
 * ranking's reason has the machine's own in it. "" if nothing. */
static const char *remark_on(const struct me_result *result, const struct me_row_machine *machine,
                             bool ranked, char *text, size_t size)
{
    const struct me_row_summary *row = find_summary(result, machine->machine_id);
    text[0] = '\0';
    if ((row && row->place > 0) != ranked) return text;
    if (row && *row->reason)
        snprintf(text, size, "%s", row->reason);
    else if (strcmp(machine->status, "ok"))
        snprintf(text, size, "%s%s%s", machine->status, *machine->reason ? ": " : "", machine->reason);
    else if (!ranked)
        snprintf(text, size, "%s", *machine->reason ? machine->reason : "no known energy");
    return text;
}

/* One line for all machines of which the same is to be said: "green, blue and 3 more: lost: ...". */
static void print_alike(const struct me_result *result, FILE *out, size_t first, bool ranked,
                        const char *remark)
{
    struct me_buffer names = ME_BUFFER_INIT;
    char other[640];
    size_t count = 0;
    for (size_t i = first; i < result->machine_count; i++) {
        if (strcmp(remark_on(result, &result->machines[i], ranked, other, sizeof other), remark)) continue;
        if (count++ < 6) me_buffer_printf(&names, "%s%s", count > 1 ? ", " : "", result->machines[i].name);
    }
    if (count > 6) me_buffer_printf(&names, " and %zu more", count - 6);
    me_wrap(out, 2, "%s: %s", names.data && !names.failed ? names.data : "?", remark);
    me_buffer_release(&names);
}

static size_t print_remarks(const struct me_result *result, FILE *out, bool ranked, const char *head)
{
    size_t lines = 0;
    char remark[640], other[640];
    for (size_t i = 0; i < result->machine_count; i++) {
        bool told = !*remark_on(result, &result->machines[i], ranked, remark, sizeof remark);
        for (size_t before = 0; before < i && !told; before++)
            told = !strcmp(remark_on(result, &result->machines[before], ranked, other, sizeof other), remark);
        if (told) continue;
        if (!lines) fprintf(out, "\n%s\n", head);
        if (++lines > MOST) {
            me_wrap(out, 2, "... and others; the table summary of the file has them all.");
            break;
        }
        print_alike(result, out, i, ranked, remark);
    }
    return lines;
}

void me_text_unranked(const struct me_result *result, FILE *out)
{
    print_remarks(result, out, false, "Not ranked");
}

static void print_repeat(const struct me_result *result, FILE *out, const struct me_row_repeat *row)
{
    char how[48] = "";
    if (row->exit_status > 256)
        snprintf(how, sizeof how, "ended by signal %d", row->exit_status - 256);
    else if (row->exit_status > 0)
        snprintf(how, sizeof how, "exit status %d", row->exit_status);
    else if (row->exit_status < 0 && !*row->note)
        snprintf(how, sizeof how, "not run to its end");
    me_wrap(out, 2, "%s, %s %d: %s%s%s", me_text_name(result, row->machine_id),
            strcmp(row->phase, "run") ? row->phase : "repeat", row->repeat, row->note,
            *row->note && *how ? ", " : "", how);
}

/* Remarks on machines that are ranked, and repeats that went wrong. */
void me_text_trouble(const struct me_result *result, FILE *out)
{
    size_t lines = print_remarks(result, out, true, "Remarks");
    for (size_t i = 0, repeats = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        bool child =
            !strcmp(row->phase, "run") || !strcmp(row->phase, "warmup"); /* else there is no exit status */
        if (!*row->note && !(child && row->exit_status)) continue;
        if (!lines++) fputs("\nRemarks\n", out);
        if (++repeats <= MOST) print_repeat(result, out, row);
        if (repeats == MOST + 1) me_wrap(out, 2, "... and more; the table repeats of the file has them all.");
    }
}
