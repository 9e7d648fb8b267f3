/* What the machines did while they used the energy: the part of the text report that tells why one of
 * them used more. The file has every channel of every phase. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "figures.h"

struct totals { /* over the run phases */
    double value, duration_s, high, low;
};

/* The rows that are looked at, sorted by machine: with thousands of machines there are many. */
struct sorted {
    struct me_runs runs;
    const struct me_row_activity **rows; /* of phase "run" */
    size_t count;
};

/* Whose activities are asked for. */
struct part {
    const struct me_runs *runs;
    const struct me_row_machine *machine;
    const char *workload;                      /* NULL: of all */
    const struct me_row_activity *const *rows; /* the machine's */
    size_t count;
};

static int by_machine(const void *a, const void *b)
{
    const struct me_row_activity *x = *(const struct me_row_activity *const *)a;
    const struct me_row_activity *y = *(const struct me_row_activity *const *)b;
    if (x->machine_id != y->machine_id) return x->machine_id < y->machine_id ? -1 : 1;
    return (x > y) - (x < y);
}

static int sort_rows(struct sorted *sorted, const struct me_result *result)
{
    *sorted = (struct sorted){0};
    if (me_runs_init(&sorted->runs, result)) return -1;
    sorted->rows = calloc(result->activity_count + 1, sizeof *sorted->rows);
    if (!sorted->rows) {
        me_runs_release(&sorted->runs);
        return -1;
    }
    for (size_t i = 0; i < result->activity_count; i++)
        if (!strcmp(result->activities[i].phase, "run"))
            sorted->rows[sorted->count++] = &result->activities[i];
    qsort(sorted->rows, sorted->count, sizeof *sorted->rows, by_machine);
    return 0;
}

static void release_rows(struct sorted *sorted)
{
    me_runs_release(&sorted->runs);
    free(sorted->rows);
}

static struct part find_part(const struct sorted *sorted, const struct me_row_machine *machine)
{
    size_t low = 0, high = sorted->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted->rows[middle]->machine_id < machine->machine_id)
            low = middle + 1;
        else
            high = middle;
    }
    while (high < sorted->count && sorted->rows[high]->machine_id == machine->machine_id) high++;
    return (struct part){
        .runs = &sorted->runs, .machine = machine, .rows = sorted->rows + low, .count = high - low};
}

/* The run of that number if the part has it. */
static const struct me_row_repeat *find_run(const struct part *part, int repeat)
{
    const struct me_row_repeat *run = me_runs_find(part->runs, part->machine->machine_id, repeat);
    return run && (!part->workload || !strcmp(run->workload, part->workload)) ? run : NULL;
}

/* False if there is no such channel, or it is not known in a repeat. */
static bool add_up(const struct part *part, const char *channel, struct totals *totals)
{
    bool any = false;
    *totals = (struct totals){.high = -INFINITY, .low = INFINITY};
    for (size_t i = 0; i < part->count; i++) {
        const struct me_row_activity *row = part->rows[i];
        if (strcmp(row->channel, channel)) continue;
        const struct me_row_repeat *run = find_run(part, row->repeat);
        if (!run) continue;
        if (!isfinite(row->value)) return false;
        totals->value += isnan(row->high) ? row->value : row->value * run->duration_s; /* a gauge's mean */
        totals->duration_s += run->duration_s;
        totals->high = fmax(totals->high, row->high);
        totals->low = fmin(totals->low, row->low);
        any = true;
    }
    return any && totals->duration_s > 0;
}

static double rate(const struct part *part, const char *channel)
{
    struct totals totals;
    return add_up(part, channel, &totals) ? totals.value / totals.duration_s : NAN;
}

static double highest(const struct part *part, const char *channel)
{
    struct totals totals;
    return add_up(part, channel, &totals) ? totals.high : NAN;
}

static double sum_cpu_s(const struct part *part)
{
    const struct me_row_repeat *const *runs;
    size_t n = me_runs_of(part->runs, part->machine->machine_id, &runs);
    double sum = NAN;
    for (size_t i = 0; i < n; i++) {
        if (part->workload && strcmp(runs[i]->workload, part->workload)) continue;
        sum = isnan(sum) ? runs[i]->cpu_s : sum + runs[i]->cpu_s;
    }
    return sum;
}

static void add_number(struct me_sheet *sheet, double value, int decimals, const char *unit)
{
    if (isfinite(value))
        me_sheet_add(sheet, "%.*f%s", decimals, value, unit);
    else
        me_sheet_add(sheet, "%s", "");
}

static void add_part(struct me_sheet *sheet, const struct part *part)
{
    double instructions = rate(part, "instructions"), cycles = rate(part, "cycles");
    const struct {
        double value;
        int decimals;
        const char *unit;
    } cells[] = {
        {rate(part, "cpu-busy") * 1e-9, 2, ""},
        {sum_cpu_s(part), 2, " s"},
        {instructions * 1e-9, 3, " G/s"},
        {instructions / cycles, 2, ""},
        {rate(part, "cache-misses") * 1e-6, 2, " M/s"},
        {rate(part, "cpu-frequency") * 1e-9, 2, " GHz"},
        {highest(part, "cpu-temperature"), 0, " C"},
        {highest(part, "memory-used") / 0x1p30, 1, " GiB"},
    };
    bool any = false;
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) any |= isfinite(cells[i].value);
    if (!any) return;
    me_figures_add_name(sheet, part->workload ? part->workload : "", 16, 8);
    me_figures_add_name(sheet, part->machine->name, 28, 0);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        add_number(sheet, cells[i].value, cells[i].decimals, cells[i].unit);
}

/* Where several workloads ran, each of them. */
static void add_machine(struct me_sheet *sheet, const struct part *whole, bool plural)
{
    const struct me_row_repeat *const *runs;
    struct part part = *whole;
    if (!plural) {
        add_part(sheet, whole);
        return;
    }
    size_t n = me_runs_of(whole->runs, whole->machine->machine_id, &runs);
    for (size_t i = 0; i < n; i++) { /* as they ran first */
        bool told = false;
        for (size_t before = 0; before < i && !told; before++)
            told = !strcmp(runs[before]->workload, runs[i]->workload);
        if (told) continue;
        part.workload = runs[i]->workload;
        add_part(sheet, &part);
    }
}

/* Events that the processor had no counter free for are scaled, and that has to be said. */
static void tell_multiplexing(const struct part *part, FILE *out)
{
    struct totals totals;
    if (!add_up(part, "events/running", &totals) || totals.low > 0.995) return;
    me_wrap(out, 2,
            "%s: its events took turns on the processor's counters (%.0f %% of the time at least) and are "
            "scaled up",
            part->machine->name, 100 * totals.low);
}

void me_text_activity(const struct me_result *result, FILE *out)
{
    const char *const heads[] = {"<workload",     "<machine",    ">cores busy",   ">workload's CPU",
                                 ">instructions", ">a cycle",    ">cache misses", ">clock",
                                 ">hottest",      ">memory used"};
    struct sorted sorted;
    struct me_sheet sheet;
    bool plural = me_text_is_plural(result);
    if (sort_rows(&sorted, result)) return;
    me_sheet_init(&sheet, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < result->machine_count; i++) {
        struct part part = find_part(&sorted, &result->machines[i]);
        add_machine(&sheet, &part, plural);
    }
    if (sheet.cells) fputs("\nWhat the machines did meanwhile\n", out);
    me_sheet_print(&sheet, out, 2);
    me_sheet_release(&sheet);
    for (size_t i = 0; i < result->machine_count; i++) {
        struct part part = find_part(&sorted, &result->machines[i]);
        tell_multiplexing(&part, out);
    }
    release_rows(&sorted);
}
