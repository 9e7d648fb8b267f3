#include "me/plan.h"
#include <stdlib.h>
#include <string.h>

#define FIELD(name) offsetof(struct me_options_experiment, name)

const struct me_option me_experiment_options[] = {
    {"framework", 0, ME_OPTION_STRING, FIELD(framework), 0, 0, "NAME",
     "workloads to run, with commas, each with options of its own: keras,pl,native (default native); see me "
     "frameworks"},
    {"samples", 0, ME_OPTION_INT, FIELD(samples), 0, 100000000, "N",
     "images that the image frameworks train on (default 0: all 60,000)"},
    {"train-func", 0, ME_OPTION_STRING, FIELD(train_func), 0, 0, "FILE.py:FUNCTION",
     "a function of your own Python file, run in place of a framework (default: none)"},
    {"args", 0, ME_OPTION_STRING, FIELD(args), 0, 0, "JSON",
     "arguments of that function: an object of keywords, or an array (default: none)"},
    {"python", 0, ME_OPTION_STRING, FIELD(python), 0, 0, "PATH",
     "interpreter or virtual environment on the machines (default: that of the framework, else python3)"},
    {"with", 0, ME_OPTION_LIST, FIELD(with), 0, sizeof(((struct me_options_experiment *)0)->with), "FILE",
     "file or folder to put onto every machine, beside which the workload then runs; may be given several "
     "times (default: none)"},
    {"region", 0, ME_OPTION_STRING, FIELD(region), 0, 0, "NAME",
     "region whose energy is compared, or whole (default: train, where there is one)"},
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

static bool is_identifier(const char *text)
{
    if (*text >= '0' && *text <= '9') return false;
    for (const char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_'))
            return false;
    return *text != '\0';
}

static int check_function(const char *text, struct me_error *err)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len > 3 && !strncmp(colon - 3, ".py", 3) && colon[-4] != '/' && is_identifier(colon + 1)) return 0;
    return me_fail(err, ME_E_INPUT, "--train-func: %.200s is not FILE.py:FUNCTION, such as train.py:main",
                   text);
}

/* As a mark can have it, since nothing else would ever be found. */
static int check_region(const char *text, struct me_error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./";
    if (*text && !text[strspn(text, letters)]) return 0;
    return me_fail(err, ME_E_INPUT, "--region: %.64s is no region's name (letters, digits and _ - . /)",
                   text);
}

int me_experiment_check(const struct me_options_experiment *experiment, struct me_error *err)
{
    const struct {
        const char *option, *text;
        size_t size;
    } texts[] = {
        {"--framework", experiment->framework, sizeof((struct me_plan *)0)->workload},
        {"--train-func", experiment->train_func, sizeof((struct me_plan *)0)->function},
        {"--args", experiment->args, sizeof((struct me_plan *)0)->args},
        {"--python", experiment->python, sizeof((struct me_plan *)0)->python},
        {"--region", experiment->region, sizeof((struct me_plan *)0)->region},
        {"--sources", experiment->sources, sizeof((struct me_plan *)0)->sources},
        {"--external", experiment->external, sizeof((struct me_plan *)0)->external},
        {"--events", experiment->events, sizeof((struct me_plan *)0)->events},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].text && strlen(texts[i].text) >= texts[i].size)
            return me_fail(err, ME_E_INPUT, "%s: longer than %zu characters", texts[i].option,
                           texts[i].size - 1);
    if (experiment->train_func && check_function(experiment->train_func, err)) return -1;
    return experiment->region ? check_region(experiment->region, err) : 0;
}

int me_experiment_check_choice(const struct me_options_experiment *line, struct me_error *err)
{
    if (line->command && (line->framework || line->train_func))
        return me_fail(err, ME_E_INPUT, "%s: not together with a command behind --; keep one of them",
                       line->framework ? "--framework" : "--train-func");
    if (line->command && line->python)
        return me_fail(err, ME_E_INPUT,
                       "--python: not for a command behind --; begin the command with the interpreter");
    if (line->framework && line->train_func)
        return me_fail(err, ME_E_INPUT, "--train-func: not together with --framework; keep one of them");
    return 0;
}

const char *me_status_name(enum me_machine_status status)
{
    static const char *const names[] = {"ok", "failed", "interrupted", "skipped", "duplicate", "lost"};
    return (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

struct me_plan_machine *me_plan_find(const struct me_plan *plan, int id)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->machines[i].id == id) return &plan->machines[i];
    return NULL;
}

static int set_command(struct me_plan *plan, char *const *command, struct me_error *err)
{
    char *copy[ME_PLAN_COMMAND_MAX + 1] = {0};
    int rc = 0;
    for (size_t n = 0; command && command[n] && !rc; n++) {
        if (n == ME_PLAN_COMMAND_MAX)
            rc = me_fail(err, ME_E_INPUT, "the command has more than %d words; put it into a script",
                         ME_PLAN_COMMAND_MAX);
        else if (!(copy[n] = strdup(command[n])))
            rc = me_fail(err, ME_E_RUN, "no memory for the command");
    }
    char **old = rc ? copy : plan->command;
    for (size_t i = 0; old[i]; i++) free(old[i]);
    if (!rc) memcpy(plan->command, copy, sizeof copy);
    return rc;
}

/* me_experiment_check has seen that it fits. */
static void set_text(char *to, const char *text)
{
    if (text)
        memmove(to, text, strlen(text) + 1);
    else
        *to = '\0';
}

int me_plan_set_experiment(struct me_plan *plan, const struct me_options_experiment *experiment,
                           struct me_error *err)
{
    if (me_experiment_check(experiment, err)) return -1;
    set_text(plan->workload, experiment->command      ? "command"
                             : experiment->train_func ? "function"
                                                      : experiment->framework);
    set_text(plan->function, experiment->train_func);
    set_text(plan->args, experiment->args);
    set_text(plan->python, experiment->python);
    set_text(plan->with, experiment->with);
    set_text(plan->region, experiment->region);
    set_text(plan->sources, experiment->sources);
    set_text(plan->external, experiment->external);
    set_text(plan->events, experiment->events);
    plan->samples = experiment->samples;
    plan->repeats = experiment->repeats;
    plan->warmup = experiment->warmup;
    plan->idle_s = experiment->idle_s;
    plan->cooldown_s = experiment->cooldown_s;
    plan->sample_hz = experiment->sample_hz;
    plan->timeout_s = experiment->timeout_s;
    return set_command(plan, experiment->command, err);
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
