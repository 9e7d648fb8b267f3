#include <string.h>
#include "writer.h"

const struct me_row_machine *me_text_machine(const struct me_result *result, int machine_id)
{
    for (size_t i = 0; i < result->machine_count; i++)
        if (result->machines[i].machine_id == machine_id) return &result->machines[i];
    return NULL;
}

const char *me_text_name(const struct me_result *result, int machine_id)
{
    const struct me_row_machine *machine = me_text_machine(result, machine_id);
    return machine ? machine->name : "";
}

static int count_repeats(const struct me_result *result)
{
    int most = 0;
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (!strcmp(row->phase, "run") && row->repeat > most) most = row->repeat;
    }
    return most;
}

static size_t count_measured(const struct me_result *result)
{
    size_t measured = 0;
    for (size_t i = 0; i < result->summary_count; i++) measured += result->summaries[i].n > 0;
    return measured;
}

static void print_title(const struct me_result *result, FILE *out)
{
    size_t machines = result->machine_count, measured = count_measured(result);
    int repeats = count_repeats(result);
    me_wrap(out, 0, "%s: %s", result->experiment, result->status);
    char share[48] = "";
    if (measured < machines) snprintf(share, sizeof share, " (%zu measured)", measured);
    me_wrap(out, 0, "%s on %zu machine%s%s, %d repeat%s, %s", result->workload, machines,
            machines == 1 ? "" : "s", share, repeats, repeats == 1 ? "" : "s", result->created_utc);
    if (result->command && *result->command) me_wrap(out, 0, "command: %s", result->command);
    if (!strcmp(result->status, "interrupted"))
        me_wrap(out, 0,
                "INTERRUPTED: the run was ended early; the figures cover what was measured until then.");
    else if (strcmp(result->status, "complete"))
        me_wrap(out, 0, "%s: something in the run went wrong; below is told what.",
                strcmp(result->status, "failed") ? result->status : "FAILED");
}

/* For people, in ME_WRITER_WIDTH columns. One machine is told about, several are ranked. */
int me_text_write(const struct me_result *result, FILE *out, struct me_error *err)
{
    (void)err;
    print_title(result, out);
    if (result->machine_count == 1 && count_measured(result) == 1)
        me_text_single(result, out);
    else
        me_text_ranking(result, out);
    me_text_notes(result, out);
    me_text_unranked(result, out);
    me_text_trouble(result, out);
    me_text_regions(result, out);
    me_text_grid(result, out);
    me_text_activity(result, out);
    me_text_cost(result, out);
    me_text_uncounted(result, out);
    return 0;
}
