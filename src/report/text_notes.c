#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "writer.h"

#define MOST 12 /* lines of one kind; the rest is counted */

/* Notes begin with a blank line before the first of them. */
struct notes {
    FILE *out;
    bool begun;
    struct said *said;
};
/* What is to be said of one or several workloads in the same words. */
struct said {
    struct said *next;
    struct me_buffer workloads; /* "keras, pl"; "" where only one ran */
    char text[];
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

/* "keras: " where several workloads ran: whose figures the note is about. */
static const char *workload_of(const struct me_result *result, const struct me_row_summary *row)
{
    return me_text_is_plural(result) ? row->workload : "";
}

/* Keeps a sentence for tell_said. */
static void say(struct notes *notes, const char *workload, const struct me_buffer *text)
{
    struct said **end = &notes->said;
    if (!text->data || text->failed) return;
    while (*end && strcmp((*end)->text, text->data)) end = &(*end)->next;
    if (!*end) {
        if (!(*end = calloc(1, sizeof **end + text->len + 1))) return;
        memcpy((*end)->text, text->data, text->len + 1);
    }
    me_buffer_printf(&(*end)->workloads, "%s%s", (*end)->workloads.len ? ", " : "", workload);
}

/* Each sentence once, behind the names of all workloads that it is about. */
static void tell_said(struct notes *notes)
{
    while (notes->said) {
        struct said *said = notes->said;
        bool named = said->workloads.len && !said->workloads.failed;
        me_wrap(begin(notes), 2, "%s%s%s", named ? said->workloads.data : "", named ? ": " : "", said->text);
        notes->said = said->next;
        me_buffer_release(&said->workloads);
        free(said);
    }
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
        struct me_buffer text = ME_BUFFER_INIT;
        me_buffer_printf(&text, "%s and %s are not distinguishable by %s: their 95 %% intervals overlap.",
                         me_text_name(result, rows[i]->machine_id),
                         me_text_name(result, rows[i + 1]->machine_id), carbon ? "carbon" : "energy");
        say(notes, workload_of(result, rows[i]), &text);
        me_buffer_release(&text);
    }
    if (pairs <= MOST) return;
    struct me_buffer text = ME_BUFFER_INIT;
    me_buffer_printf(&text, "... and %zu more pairs of neighbours.", pairs - MOST);
    say(notes, workload_of(result, rows[0]), &text);
    me_buffer_release(&text);
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
    const char *workload = workload_of(result, rows[0]);
    me_buffer_printf(&order, "%sy carbon the order is another: ", *workload ? "b" : "B");
    for (size_t i = 0, told = 0; i < count && told < MOST; i++) {
        if (rows[i]->carbon_place < 1) continue;
        me_buffer_printf(&order, "%s%d %s", told++ ? ", " : "", rows[i]->carbon_place,
                         me_text_name(result, rows[i]->machine_id));
    }
    me_buffer_puts(&order, count > MOST ? ", ...." : ".");
    say(notes, workload, &order);
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

/* Groups of two workloads are apart anyway: in a row, each is held against the first one of its workload. */
static bool is_same_workload(const struct me_row_summary *a, const struct me_row_summary *b)
{
    return a && b && !strcmp(a->workload, b->workload);
}

static void tell_groups(struct notes *notes, const struct me_result *result, int groups)
{
    bool scopes = false, provenance = false, modelled = false;
    const struct me_row_summary *first = NULL;
    for (int group = 1; group <= groups; group++) {
        const struct me_row_summary *row = first_of(result, group);
        if (!row) continue;
        if (!is_same_workload(first, row)) first = row;
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
    tell_said(&notes);
    tell_groups(&notes, result, groups);
    tell_marks(&notes, result);
    free(rows);
}

/* What there is to say about a machine, or about a workload of it: that it is not ranked and why, or a
 * remark on its place. */
struct remark {
    const struct me_row_machine *machine;
    const struct me_row_summary *summary; /* NULL: the machine has none */
    bool told;
};

/* The ranking's reason has the machine's own in it. "" if there is nothing to say. */
static void word(const struct remark *remark, bool ranked, char *text, size_t size)
{
    const struct me_row_summary *row = remark->summary;
    const struct me_row_machine *machine = remark->machine;
    text[0] = '\0';
    if ((row && row->place > 0) != ranked) return;
    if (row && *row->reason) /* the head says already that they are not ranked */
        snprintf(text, size, "%s", row->reason + (strncmp(row->reason, "not ranked: ", 12) ? 0 : 12));
    else if (strcmp(machine->status, "ok"))
        snprintf(text, size, "%s%s%s", machine->status, *machine->reason ? ": " : "", machine->reason);
    else if (!ranked)
        snprintf(text, size, "%s", *machine->reason ? machine->reason : "no known energy");
}

static bool is_alike(const struct remark *remark, bool ranked, const char *text)
{
    char other[640];
    word(remark, ranked, other, sizeof other);
    return !strcmp(other, text);
}

/* Whose remarks stand side by side, one machine after the other. */
static struct remark *list_remarks(const struct me_result *result, size_t *count)
{
    struct remark *list = calloc(result->machine_count + result->summary_count + 1, sizeof *list);
    *count = 0;
    if (!list) return NULL;
    for (size_t m = 0; m < result->machine_count; m++) {
        const struct me_row_machine *machine = &result->machines[m];
        size_t before = *count;
        for (size_t i = 0; i < result->summary_count; i++)
            if (result->summaries[i].machine_id == machine->machine_id)
                list[(*count)++] = (struct remark){.machine = machine, .summary = &result->summaries[i]};
        if (*count == before) list[(*count)++] = (struct remark){.machine = machine};
    }
    return list;
}

/* "blue", or "blue (keras, pl)" if the same is not to be said of all its workloads. `n` remarks of one
 * machine. */
static void name_one(const struct remark *remarks, size_t n, bool ranked, const char *text,
                     struct me_buffer *names)
{
    size_t alike = 0, named = 0;
    for (size_t i = 0; i < n; i++) alike += is_alike(&remarks[i], ranked, text);
    me_buffer_printf(names, "%s", remarks[0].machine->name);
    for (size_t i = 0; i < n && alike < n; i++)
        if (is_alike(&remarks[i], ranked, text))
            me_buffer_printf(names, "%s%s", named++ ? ", " : " (", remarks[i].summary->workload);
    if (named) me_buffer_printf(names, ")");
}

/* One line for all machines of which the same is to be said: "green, blue and 3 more: lost: ...". */
static void print_alike(struct remark *remarks, size_t count, size_t first, FILE *out, bool ranked,
                        const char *text)
{
    struct me_buffer names = ME_BUFFER_INIT;
    size_t machines = 0;
    for (size_t i = first, next; i < count; i = next) {
        bool alike = false;
        for (next = i; next < count && remarks[next].machine == remarks[i].machine; next++) {
            if (remarks[next].told || !is_alike(&remarks[next], ranked, text)) continue;
            alike = remarks[next].told = true;
        }
        if (!alike) continue;
        size_t begin = i; /* `first` may lie within its machine's remarks */
        while (begin > 0 && remarks[begin - 1].machine == remarks[i].machine) begin--;
        if (machines++ >= 6) continue;
        me_buffer_printf(&names, "%s", machines > 1 ? ", " : "");
        name_one(remarks + begin, next - begin, ranked, text, &names);
    }
    if (machines > 6) me_buffer_printf(&names, " and %zu more", machines - 6);
    me_wrap(out, 2, "%s: %s", names.data && !names.failed ? names.data : "?", text);
    me_buffer_release(&names);
}

static size_t print_remarks(const struct me_result *result, FILE *out, bool ranked, const char *head)
{
    size_t lines = 0, count;
    char text[640];
    struct remark *remarks = list_remarks(result, &count);
    for (size_t i = 0; remarks && i < count; i++) {
        if (remarks[i].told) continue;
        word(&remarks[i], ranked, text, sizeof text);
        if (!*text) continue;
        if (!lines) fprintf(out, "\n%s\n", head);
        if (++lines > MOST) {
            me_wrap(out, 2, "... and others; the table summary of the file has them all.");
            break;
        }
        print_alike(remarks, count, i, out, ranked, text);
    }
    free(remarks);
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
    bool plural = me_text_is_plural(result) && *row->workload;
    me_wrap(out, 2, "%s%s%s, %s %d: %s%s%s", me_text_name(result, row->machine_id), plural ? ", " : "",
            plural ? row->workload : "", strcmp(row->phase, "run") ? row->phase : "repeat", row->repeat,
            row->note, *row->note && *how ? ", " : "", how);
}

/* What is to be said of the energy that is compared: that it is coarse. Where it is not known, the ranking's
 * reason says why. */
static void print_regions(const struct me_result *result, FILE *out, size_t lines)
{
    struct me_runs runs;
    size_t regions = 0;
    if (me_runs_init(&runs, result)) return;
    for (size_t i = 0; i < result->region_count; i++) {
        const struct me_row_region *row = &result->regions[i];
        if (!*row->note || !isfinite(row->energy_j)) continue;
        const struct me_row_repeat *run = me_runs_find(&runs, row->machine_id, row->repeat);
        if (!run || strcmp(run->region, row->region)) continue;
        if (!lines++) fputs("\nRemarks\n", out);
        if (++regions <= MOST)
            me_wrap(out, 2, "%s, repeat %d, %s: %s", me_text_name(result, row->machine_id), row->repeat,
                    row->region, row->note);
    }
    if (regions > MOST) me_wrap(out, 2, "... and more; the table regions of the file has them all.");
    me_runs_release(&runs);
}

/* Remarks on machines that are ranked, and repeats that went wrong. */
void me_text_trouble(const struct me_result *result, FILE *out)
{
    size_t lines = print_remarks(result, out, true, "Remarks"), exits = 0;
    for (size_t i = 0, repeats = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        bool child =
            !strcmp(row->phase, "run") || !strcmp(row->phase, "warmup"); /* else there is no exit status */
        if (!*row->note && !(child && row->exit_status)) continue;
        exits += child && row->exit_status > 0;
        if (!lines++) fputs("\nRemarks\n", out);
        if (++repeats <= MOST) print_repeat(result, out, row);
        if (repeats == MOST + 1) me_wrap(out, 2, "... and more; the table repeats of the file has them all.");
    }
    print_regions(result, out, lines);
    if (exits)
        me_wrap(out, 2,
                "What they printed lies in the experiment's folder, logs/machineN-repeatN.err and .out.");
}
