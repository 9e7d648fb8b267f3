/* What the machines did while they used the energy: the part of the text report that tells why one of
 * them used more. The file has every channel of every phase. */
#include <math.h>
#include <string.h>
#include "writer.h"

struct totals { /* over the run phases of a machine */
    double value, duration_s, high, low;
};

static double run_duration_s(const struct me_result *result, int machine_id, int repeat)
{
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (row->machine_id == machine_id && row->repeat == repeat && !strcmp(row->phase, "run"))
            return row->duration_s;
    }
    return 0;
}

/* False if the machine has no such channel, or it is not known in a repeat. */
static bool add_up(const struct me_result *result, int machine_id, const char *channel, struct totals *totals)
{
    bool any = false;
    *totals = (struct totals){.high = -INFINITY, .low = INFINITY};
    for (size_t i = 0; i < result->activity_count; i++) {
        const struct me_row_activity *row = &result->activities[i];
        if (row->machine_id != machine_id || strcmp(row->phase, "run") || strcmp(row->channel, channel))
            continue;
        if (!isfinite(row->value)) return false;
        double duration_s = run_duration_s(result, machine_id, row->repeat);
        totals->value += isnan(row->high) ? row->value : row->value * duration_s; /* a gauge's mean */
        totals->duration_s += duration_s;
        totals->high = fmax(totals->high, row->high);
        totals->low = fmin(totals->low, row->low);
        any = true;
    }
    return any && totals->duration_s > 0;
}

static double rate(const struct me_result *result, int machine_id, const char *channel)
{
    struct totals totals;
    return add_up(result, machine_id, channel, &totals) ? totals.value / totals.duration_s : NAN;
}

static double highest(const struct me_result *result, int machine_id, const char *channel)
{
    struct totals totals;
    return add_up(result, machine_id, channel, &totals) ? totals.high : NAN;
}

static void add_number(struct me_sheet *sheet, double value, int decimals, const char *unit)
{
    if (isfinite(value))
        me_sheet_add(sheet, "%.*f%s", decimals, value, unit);
    else
        me_sheet_add(sheet, "%s", "");
}

static double sum_usage(const struct me_result *result, int machine_id, size_t offset)
{
    double sum = NAN;
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        double value;
        if (row->machine_id != machine_id || strcmp(row->phase, "run")) continue;
        memcpy(&value, (const char *)row + offset, sizeof value);
        sum = isnan(sum) ? value : sum + value;
    }
    return sum;
}

static void add_machine(struct me_sheet *sheet, const struct me_result *result,
                        const struct me_row_machine *machine)
{
    int id = machine->machine_id;
    double instructions = rate(result, id, "instructions"), cycles = rate(result, id, "cycles");
    const struct {
        double value;
        int decimals;
        const char *unit;
    } cells[] = {
        {rate(result, id, "cpu-busy") * 1e-9, 2, ""},
        {sum_usage(result, id, offsetof(struct me_row_repeat, cpu_s)), 2, " s"},
        {instructions * 1e-9, 3, " G/s"},
        {instructions / cycles, 2, ""},
        {rate(result, id, "cache-misses") * 1e-6, 2, " M/s"},
        {rate(result, id, "cpu-frequency") * 1e-9, 2, " GHz"},
        {highest(result, id, "cpu-temperature"), 0, " C"},
        {highest(result, id, "memory-used") / 0x1p30, 1, " GiB"},
    };
    bool any = false;
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) any |= isfinite(cells[i].value);
    if (!any) return;
    me_sheet_add(sheet, "%s", machine->name);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        add_number(sheet, cells[i].value, cells[i].decimals, cells[i].unit);
}

/* Events that the processor had no counter free for are scaled, and that has to be said. */
static void tell_multiplexing(const struct me_result *result, FILE *out)
{
    for (size_t i = 0; i < result->machine_count; i++) {
        const struct me_row_machine *machine = &result->machines[i];
        struct totals totals;
        if (!add_up(result, machine->machine_id, "events/running", &totals) || totals.low > 0.995) continue;
        me_wrap(out, 2,
                "%s: its events took turns on the processor's counters (%.0f %% of the time at least) "
                "and are scaled up",
                machine->name, 100 * totals.low);
    }
}

void me_text_activity(const struct me_result *result, FILE *out)
{
    const char *const heads[] = {"<machine",      ">cores busy", ">workload's CPU",
                                 ">instructions", ">a cycle",    ">cache misses",
                                 ">clock",        ">hottest",    ">memory used"};
    struct me_sheet sheet;
    me_sheet_init(&sheet, heads, sizeof heads / sizeof heads[0]);
    for (size_t i = 0; i < result->machine_count; i++) add_machine(&sheet, result, &result->machines[i]);
    if (sheet.cells) fputs("\nWhat the machines did meanwhile\n", out);
    me_sheet_print(&sheet, out, 2);
    me_sheet_release(&sheet);
    tell_multiplexing(result, out);
}
