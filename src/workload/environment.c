#include "environment.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An MPI program that the workload starts must not take itself for one of our ranks. */
static const char *const launcher_prefixes[] = {"OMPI_", "PMIX_", "PRTE_", "ORTE_", "PMI_", "HYDRA_", NULL};
static const char *const own_names[] = {"ME_MARK_FD", "ME_MACHINE_ID", "ME_MACHINES",
                                        "ME_REPEAT",  "ME_FILES",      NULL};

enum { NUMBER_COUNT = 4, OWN_COUNT = 6, OWN_SIZE = 32 };

static bool is_name(const char *entry, const char *name)
{
    size_t len = strlen(name);
    return !strncmp(entry, name, len) && (entry[len] == '=' || !entry[len]);
}

static bool has_name(const char *entry, const char *const *names)
{
    for (; names && *names; names++)
        if (is_name(entry, *names)) return true;
    return false;
}

static bool is_dropped(const char *entry, const struct me_child_options *options)
{
    for (const char *const *prefix = launcher_prefixes; *prefix; prefix++)
        if (!strncmp(entry, *prefix, strlen(*prefix))) return true;
    if (options->files && is_name(entry, "PYTHONPATH")) return true; /* it is in ours */
    return has_name(entry, own_names) || has_name(entry, (const char *const *)options->strip_env);
}

static const char *find_value(char *const *from, const char *name)
{
    for (; *from; from++)
        if (is_name(*from, name) && (*from)[strlen(name)]) return *from + strlen(name) + 1;
    return "";
}

/* The module of marks, what was shipped, and what was there already. An empty part would mean the working
 * directory to Python. */
static size_t put_python_path(char *text, size_t size, const struct me_child_options *options,
                              const char *before)
{
    const char *files = options->files;
    bool is_there = options->folder && !strcmp(options->folder, files);
    return (size_t)snprintf(text, size, "PYTHONPATH=%s/" ME_WORKLOAD_OWN_FILES "%s%s%s%s", files,
                            is_there ? ":" : "", is_there ? files : "", *before ? ":" : "", before) +
           1;
}

int me_workload_environment_make(char *const *from, const struct me_child_options *options, char ***out,
                                 struct me_error *err)
{
    const char *before = find_value(from, "PYTHONPATH"), *files = options->files;
    size_t count = 0, n = 0, texts = NUMBER_COUNT * OWN_SIZE;
    while (from[count]) count++;
    size_t path_size = files ? put_python_path(NULL, 0, options, before) : 0;
    size_t files_size = files ? sizeof "ME_FILES=" + strlen(files) : 0;
    size_t pointers = (count + OWN_COUNT + 1) * sizeof(char *);
    char **made = malloc(pointers + texts + path_size + files_size); /* the texts stand behind the pointers */
    if (!made) return me_fail(err, ME_E_RUN, "no memory for the workload's environment");
    for (size_t i = 0; i < count; i++)
        if (!is_dropped(from[i], options)) made[n++] = from[i];
    const int values[NUMBER_COUNT] = {ME_ENVIRONMENT_MARK_FD, options->machine_id, options->machine_count,
                                      options->repeat};
    char *text = (char *)made + pointers;
    for (size_t i = 0; i < NUMBER_COUNT; i++, text += OWN_SIZE) {
        snprintf(text, OWN_SIZE, "%s=%d", own_names[i], values[i]);
        made[n++] = text;
    }
    if (files) {
        put_python_path(text, path_size, options, before);
        snprintf(text + path_size, files_size, "ME_FILES=%s", files);
        made[n++] = text;
        made[n++] = text + path_size;
    }
    made[n] = NULL;
    *out = made;
    return 0;
}

void me_workload_environment_free(char **environment)
{
    free(environment);
}
