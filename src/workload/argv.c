#include "argv.h"
#include "me/workload.h"
#include "python.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A vector while it grows. */
struct words {
    char **list;
    size_t count;
    bool failed;
};

/* Takes the word, which is malloc'ed; NULL is remembered as lack of memory. */
static void take(struct words *words, char *word)
{
    char **grown = word ? realloc(words->list, (words->count + 2) * sizeof *grown) : NULL;
    if (!grown) {
        free(word);
        words->failed = true;
        return;
    }
    words->list = grown;
    grown[words->count++] = word;
    grown[words->count] = NULL;
}

static void add(struct words *words, const char *word)
{
    take(words, strdup(word));
}

int me_argv_find_kernel(const char *directory, char *path, size_t size, struct me_error *err)
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

static int add_kernel(struct words *words, const struct me_workload *row, struct me_error *err)
{
    char self[PATH_MAX], path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) return me_fail_errno(err, ME_E_RUN, errno, "/proc/self/exe");
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) *slash = '\0';
    if (me_argv_find_kernel(self, path, sizeof path, err)) return -1;
    add(words, path);
    add(words, row->kernel);
    return 0;
}

static int add_python(struct words *words, const struct me_workload *row,
                      const struct me_workload_place *place, struct me_error *err)
{
    char python[PATH_MAX], script[PATH_MAX];
    if (me_python_find(row, place->python, python, sizeof python, err)) return -1;
    snprintf(script, sizeof script, "%s/" ME_WORKLOAD_OWN_FILES "/%s", place->files ? place->files : "",
             row ? row->script : "me_function.py");
    add(words, python);
    add(words, script);
    return 0;
}

/* The file lies among the shipped ones, by the last part of its path. */
static int add_function(struct words *words, const struct me_workload_place *place, struct me_error *err)
{
    const struct me_plan *plan = place->plan;
    char where[PATH_MAX];
    const char *slash = strrchr(plan->function, '/');
    if (add_python(words, NULL, place, err)) return -1;
    snprintf(where, sizeof where, "%s/%s", place->files ? place->files : "",
             slash ? slash + 1 : plan->function);
    add(words, where);
    if (plan->args[0]) {
        add(words, "--args");
        add(words, plan->args);
    }
    return 0;
}

static int add_row(struct words *words, const struct me_workload_entry *entry,
                   const struct me_workload_place *place, struct me_error *err)
{
    const struct me_workload *row = entry->row;
    char samples[32];
    if (row->kernel ? add_kernel(words, row, err) : add_python(words, row, place, err)) return -1;
    for (int i = 0; i < entry->word_count; i++) add(words, entry->words[i]);
    if (!place->plan->samples || !row->takes_samples) return 0;
    snprintf(samples, sizeof samples, "--samples=%d", place->plan->samples);
    add(words, samples);
    return 0;
}

char *me_argv_expand(const char *word, int machine_id, int machine_count)
{
    struct me_buffer out = ME_BUFFER_INIT;
    for (const char *at = word; *at; at++) {
        if (at[0] == '%' && at[1] && strchr("in%", at[1])) {
            at++;
            if (*at == '%')
                me_buffer_puts(&out, "%");
            else
                me_buffer_printf(&out, "%d", *at == 'i' ? machine_id : machine_count);
        } else
            me_buffer_append(&out, at, 1);
    }
    me_buffer_puts(&out, ""); /* of an empty word too there is a text */
    if (!out.failed) return out.data;
    me_buffer_release(&out);
    return NULL;
}

static int add_command(struct words *words, const struct me_workload_place *place, struct me_error *err)
{
    char *const *command = place->plan->command;
    for (size_t i = 0; i < ME_PLAN_COMMAND_MAX && command[i]; i++)
        take(words, me_argv_expand(command[i], place->machine_id, place->machine_count));
    return words->count || words->failed ? 0 : me_fail(err, ME_E_INPUT, "the plan's command is empty");
}

int me_workload_argv(const struct me_workload_entry *entry, const struct me_workload_place *place,
                     char ***argv, struct me_error *err)
{
    struct words words = {.list = NULL};
    int rc;
    if (entry->row)
        rc = add_row(&words, entry, place, err);
    else if (!strcmp(place->plan->workload, "function"))
        rc = add_function(&words, place, err);
    else
        rc = add_command(&words, place, err);
    if (!rc && words.failed) rc = me_fail(err, ME_E_RUN, "no memory for the command line");
    if (rc) {
        me_workload_argv_free(words.list);
        return -1;
    }
    *argv = words.list;
    return 0;
}

void me_workload_argv_free(char **argv)
{
    for (size_t i = 0; argv && argv[i]; i++) free(argv[i]);
    free(argv);
}
