#include "environment.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An MPI program that the workload starts must not take itself for one of our ranks. */
static const char *const launcher_prefixes[] = {"OMPI_", "PMIX_", "PRTE_", "ORTE_", "PMI_", "HYDRA_", NULL};
static const char *const own_names[] = {"ME_MARK_FD", "ME_MACHINE_ID", "ME_MACHINES", "ME_REPEAT", NULL};

enum { OWN_COUNT = 4, OWN_SIZE = 32 };

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
    return has_name(entry, own_names) || has_name(entry, (const char *const *)options->strip_env);
}

int me_environment_make(char *const *from, const struct me_child_options *options, char ***out,
                        struct me_error *err)
{
    size_t count = 0, n = 0;
    while (from[count]) count++;
    size_t pointers = (count + OWN_COUNT + 1) * sizeof(char *);
    char **made = malloc(pointers + OWN_COUNT * OWN_SIZE); /* our own strings stand behind the pointers */
    if (!made) return me_fail(err, ME_E_RUN, "no memory for the workload's environment");
    for (size_t i = 0; i < count; i++)
        if (!is_dropped(from[i], options)) made[n++] = from[i];
    const int values[OWN_COUNT] = {ME_ENVIRONMENT_MARK_FD, options->machine_id, options->machine_count,
                                   options->repeat};
    char *text = (char *)made + pointers;
    for (size_t i = 0; i < OWN_COUNT; i++, text += OWN_SIZE) {
        snprintf(text, OWN_SIZE, "%s=%d", own_names[i], values[i]);
        made[n++] = text;
    }
    made[n] = NULL;
    *out = made;
    return 0;
}

void me_environment_free(char **environment)
{
    free(environment);
}
