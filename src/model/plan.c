#include "me/plan.h"
#include <stdlib.h>
#include <string.h>

#define FIELD(name) offsetof(struct me_options_experiment, name)

const struct me_option me_experiment_options[] = {
    {"framework", 0, ME_OPTION_STRING, FIELD(framework), 0, 0, "NAME",
     "workload to run: native, spin or sleep (default native); left aside when a command is given"},
    {"repeats", 0, ME_OPTION_INT, FIELD(repeats), 1, 1000000, "N",
     "measured runs of the workload (default 1)"},
    {"warmup", 0, ME_OPTION_INT, FIELD(warmup), 0, 1000000, "N",
     "runs before the first measured one, left out of the result (default 0)"},
    {"idle", 0, ME_OPTION_DOUBLE, FIELD(idle_s), 0, 86400, "SECONDS",
     "idle phase before all runs, measured for the net energy (default 0: none)"},
    {"cooldown", 0, ME_OPTION_DOUBLE, FIELD(cooldown_s), 0, 86400, "SECONDS",
     "pause after each run (default 0)"},
    {"sample-hz", 0, ME_OPTION_DOUBLE, FIELD(sample_hz), 1, 1000, "HZ",
     "samples a second, 1 to 1000 (default 10); begin and end are read exactly at any rate"},
    {"timeout", 0, ME_OPTION_DOUBLE, FIELD(timeout_s), 0, 31536000, "SECONDS",
     "end a run that takes longer, and mark it (default 0: never)"},
    {"sources", 0, ME_OPTION_STRING, FIELD(sources), 0, 0, "LIST",
     "energy sources to read, by name with commas (default: all that the machine has); see me probe"},
    {"external", 0, ME_OPTION_STRING, FIELD(external), 0, 0, "METER",
     "your own meter of each machine: 'W COMMAND' or 'J < FILE', see README (default: none)"},
    {"events", 0, ME_OPTION_STRING, FIELD(events), 0, 0, "LIST",
     "hardware events to count, by name with commas, or none (default: instructions, cycles, cache and "
     "branch misses)"},
    {.name = NULL},
};

void me_experiment_defaults(struct me_options_experiment *experiment)
{
    *experiment = (struct me_options_experiment){.framework = "native", .repeats = 1, .sample_hz = 10};
}

const char *me_status_name(enum me_machine_status status)
{
    static const char *const names[] = {"ok", "failed", "interrupted", "skipped", "duplicate", "lost"};
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

void me_plan_release(struct me_plan *plan)
{
    if (!plan) return;
    for (size_t i = 0; i < ME_PLAN_COMMAND_MAX && plan->command[i]; i++) free(plan->command[i]);
    for (size_t i = 0; i < plan->strip_count; i++) free(plan->strip_env[i]);
    free(plan->strip_env);
    free(plan->machines);
    memset(plan, 0, sizeof *plan);
}
