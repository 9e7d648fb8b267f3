#include "table.h"
#include "me/workload.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct me_workload me_workload_table[] = {
    {"native", "train a 784-128-10 network on Fashion-MNIST, in C on OpenBLAS",
     "dataset-fashion-mnist, libopenblas0-pthread", "native"},
    {"spin", "keep all cores busy for 10 s", "nothing", "spin"},
    {"sleep", "sleep for 10 s", "nothing", "sleep"},
    {NULL, NULL, NULL, NULL},
};

const struct me_workload *me_workload_find(const char *name)
{
    for (const struct me_workload *w = me_workload_table; w->name; w++)
        if (!strcmp(w->name, name)) return w;
    return NULL;
}

int me_table_find_kernel(const char *directory, char *path, size_t size, struct me_error *err)
{
    static const char *const places[] = {"me_kernel", "../libexec/machine-energy/me_kernel"};
    char candidate[PATH_MAX];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int len = snprintf(candidate, sizeof candidate, "%s/%s", directory, places[i]);
        if (len < 0 || (size_t)len >= sizeof candidate || (size_t)len >= size) continue;
        if (access(candidate, X_OK)) continue;
        memcpy(path, candidate, (size_t)len + 1);
        return 0;
    }
    return me_fail(err, ME_E_RUN,
                   "me_kernel is neither in %s nor in its ../libexec/machine-energy; install it again",
                   directory);
}

static int find_kernel(char *path, size_t size, struct me_error *err)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) return me_fail_errno(err, ME_E_RUN, errno, "/proc/self/exe");
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) *slash = '\0';
    return me_table_find_kernel(self, path, size, err);
}

static int fail_unknown(const char *name, struct me_error *err)
{
    char names[256] = "";
    for (const struct me_workload *w = me_workload_table; w->name; w++) {
        size_t len = strlen(names);
        snprintf(names + len, sizeof names - len, "%s%s", len ? ", " : "", w->name);
    }
    return me_fail(err, ME_E_INPUT, "there is no workload %s; there are %s, and your own command behind --",
                   name, names);
}

static char **copy_argv(char *const *from, size_t count)
{
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = strdup(from[i]);
        if (copy[i]) continue;
        me_workload_argv_free(copy);
        return NULL;
    }
    return copy;
}

int me_workload_argv(const struct me_plan *plan, char ***argv, struct me_error *err)
{
    char path[PATH_MAX], kernel[64];
    char *row[] = {path, kernel};
    char *const *from = row;
    size_t count = 2;
    if (!strcmp(plan->workload, "command")) {
        from = plan->command;
        for (count = 0; count < ME_PLAN_COMMAND_MAX && plan->command[count];) count++;
        if (!count) return me_fail(err, ME_E_INPUT, "the plan's command is empty");
    } else {
        const struct me_workload *workload = me_workload_find(plan->workload);
        if (!workload) return fail_unknown(plan->workload, err);
        if (find_kernel(path, sizeof path, err)) return -1;
        snprintf(kernel, sizeof kernel, "%s", workload->kernel);
    }
    char **copy = copy_argv(from, count);
    if (!copy) return me_fail(err, ME_E_RUN, "no memory for the command line");
    *argv = copy;
    return 0;
}

void me_workload_argv_free(char **argv)
{
    for (size_t i = 0; argv && argv[i]; i++) free(argv[i]);
    free(argv);
}
