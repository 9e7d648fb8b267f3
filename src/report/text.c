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

bool me_text_is_plural(const struct me_result *result)
{
    for (size_t i = 1; i < result->summary_count; i++)
        if (strcmp(result->summaries[i].workload, result->summaries[0].workload)) return true;
    return false;
}

static size_t count_workloads(const struct me_result *result)
{
    size_t count = 0;
    for (size_t i = 0; i < result->summary_count; i++) {
        const struct me_row_summary *row = &result->summaries[i]; /* those of a workload stand together */
        count += !i || strcmp(row->workload, row[-1].workload) != 0;
    }
    return count ? count : 1;
}

/* Of each workload: they take turns, and the numbers go through all of them. */
static int count_repeats(const struct me_result *result, size_t workloads)
{
    int most = 0;
    for (size_t i = 0; i < result->repeat_count; i++) {
        const struct me_row_repeat *row = &result->repeats[i];
        if (!strcmp(row->phase, "run") && row->repeat > most) most = row->repeat;
    }
    return (int)(((size_t)most + workloads - 1) / workloads);
}

static size_t count_measured(const struct me_result *result)
{
    size_t measured = 0;
    for (size_t m = 0; m < result->machine_count; m++) {
        bool is_measured = false;
        for (size_t i = 0; i < result->summary_count && !is_measured; i++)
            is_measured = result->summaries[i].n > 0 &&
                          result->summaries[i].machine_id == result->machines[m].machine_id;
        measured += is_measured;
    }
    return measured;
}

static void print_title(const struct me_result *result, FILE *out)
{
    size_t machines = result->machine_count, measured = count_measured(result);
    size_t workloads = count_workloads(result);
    int repeats = count_repeats(result, workloads);
    me_wrap(out, 0, "%s: %s", result->experiment, result->status);
    char share[48] = "";
    if (measured < machines) snprintf(share, sizeof share, " (%zu measured)", measured);
    me_wrap(out, 0, "%s on %zu machine%s%s, %d repeat%s%s, %s", result->workload, machines,
            machines == 1 ? "" : "s", share, repeats, repeats == 1 ? "" : "s", workloads > 1 ? " each" : "",
            result->created_utc);
    bool is_function = !strcmp(result->workload, "function");
    if (result->command && *result->command)
        me_wrap(out, 0, "%s: %s", is_function ? "function" : "command", result->command);
    if (!strcmp(result->status, "interrupted"))
        me_wrap(out, 0,
                "INTERRUPTED: the run was ended early; the figures cover what was measured until then.");
    else if (strcmp(result->status, "complete"))
        me_wrap(out, 0, "%s: something in the run went wrong; below is told what.",
                strcmp(result->status, "failed") ? result->status : "FAILED");
}

/* For people, in ME_WRITER_WIDTH columns. One machine is told about, several are ranked; where several
 * workloads ran, they are compared on each machine too. */
int me_text_write(const struct me_result *result, FILE *out, struct me_error *err)
{
    (void)err;
    print_title(result, out);
    me_text_best(result, out);
    if (result->machine_count > 1 || !count_measured(result))
        me_text_ranking(result, out);
    else if (!me_text_is_plural(result))
        me_text_single(result, out);
    me_text_workloads(result, out);
    me_text_notes(result, out);
    me_text_shared(result, out);
    me_text_unranked(result, out);
    me_text_trouble(result, out);
    me_text_regions(result, out);
    me_text_grid(result, out);
    me_text_jobs(result, out);
    me_text_containers(result, out);
    me_text_activity(result, out);
    me_text_cost(result, out);
    me_text_uncounted(result, out);
    return 0;
}
