#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "me/workload.h"

struct settings {
    const char *check, *python;
    int samples;
};

static const struct me_option rows[] = {
    {"check", 0, ME_OPTION_STRING, offsetof(struct settings, check), 0, 0, "LIST",
     "workloads to look for, with commas"},
    {"python", 0, ME_OPTION_STRING, offsetof(struct settings, python), 0, 0, "PATH",
     "interpreter or virtual environment (default: that of the framework, else python3)"},
    {"samples", 0, ME_OPTION_INT, offsetof(struct settings, samples), 0, 100000000, "N",
     "images to train on (default 0: all)"},
    {.name = NULL},
};

bool me_check_is_wanted(int argc, char **argv)
{
    return argc > 1 && (!strcmp(argv[1], "--check") || !strncmp(argv[1], "--check=", 8));
}

static int fill(const struct settings *settings, struct me_plan *plan, struct me_error *err)
{
    if (settings->check && strlen(settings->check) >= sizeof plan->workload)
        return me_fail(err, ME_E_INPUT, "--check: longer than %zu characters", sizeof plan->workload - 1);
    if (settings->python && strlen(settings->python) >= sizeof plan->python)
        return me_fail(err, ME_E_INPUT, "--python: longer than %zu characters", sizeof plan->python - 1);
    snprintf(plan->workload, sizeof plan->workload, "%s", settings->check);
    snprintf(plan->python, sizeof plan->python, "%s", settings->python ? settings->python : "");
    snprintf(plan->run_id, sizeof plan->run_id, "%016x", (unsigned)getpid());
    plan->samples = settings->samples;
    return 0;
}

/* What it says, behind its name; most say that themselves. */
static void print_one(const struct me_workload_entry *entry, const char *text, FILE *out)
{
    size_t len = strlen(entry->row->name);
    bool is_named = !strncmp(text, entry->row->name, len) && (text[len] == ':' || text[len] == ' ');
    fprintf(out, "%s%s%s\n", is_named ? "" : entry->label, is_named ? "" : ": ", text);
    fflush(out);
}

static int print_all(const struct me_plan *plan, const struct me_workloads *list, const char *files,
                     FILE *out)
{
    const struct me_role role = {.machine_id = 0, .machine_count = 1};
    struct me_workload_place place;
    int missing = 0;
    struct me_strays *strays = NULL;
    me_ready_place(plan, &role, files, &place);
    me_strays_watch(&strays, NULL);
    for (size_t i = 0; i < list->count && !me_signals_caught(); i++) {
        char text[400] = "";
        bool is_ready = me_workload_check(&list->entries[i], &place, text, sizeof text);
        missing += !is_ready;
        print_one(&list->entries[i], text, out);
    }
    me_strays_end(strays);
    return missing || me_signals_caught() ? ME_E_RUN : ME_OK;
}

int me_check_run(int argc, char **argv, FILE *out, struct me_error *err)
{
    const struct me_command command = {.program = "me_bench --check",
                                       .usage = "LIST [--python PATH] [--samples N]",
                                       .summary = "Tells whether this machine can run a workload.",
                                       .options = rows};
    struct settings settings = {.check = NULL};
    struct me_operands operands;
    struct me_workloads list;
    struct me_folder folder = {.lock = -1};
    struct me_plan plan = {.samples = 0};
    if (me_options_parse(&command, argc, argv, &settings, &operands, err)) return -1;
    if (operands.help || operands.version) {
        me_options_help(&command, out);
        return 0;
    }
    if (fill(&settings, &plan, err) || me_workload_list(&plan, &list, err)) return -1;
    if (!list.entries[0].row)
        return me_fail(err, ME_E_INPUT, "--check: %.64s is no workload's name; see me frameworks",
                       plan.workload);
    me_signals_watch();
    if (me_folder_make(&folder, &plan, 0, 0, err)) return -1;
    int code = print_all(&plan, &list, folder.path, out);
    me_folder_remove(&folder);
    return code;
}
