#include "me/experiment.h"
#include <stdio.h>
#include <string.h>

#define FIELD(name) offsetof(struct me_bench_options, name)

const struct me_option me_bench_options_own[] = {
    {"append", 0, ME_OPTION_FLAG, FIELD(append), 0, 0, NULL, "add repeats to an existing experiment"},
    {"force", 0, ME_OPTION_FLAG, FIELD(force), 0, 0, NULL,
     "move an existing experiment aside (EXPERIMENT.old-TIME) and begin a new one"},
    {"resume", 0, ME_OPTION_FLAG, FIELD(resume), 0, 0, NULL,
     "run only what the experiment's last run lacks; options and command are those of that run"},
    {"progress", 0, ME_OPTION_STRING, FIELD(progress), 0, 0, "MODE",
     "auto (default: one line a machine on a terminal), lines, or none"},
    {"lost-after", 0, ME_OPTION_DOUBLE, FIELD(lost_after_s), 1, 86400, "SECONDS",
     "silence after which a machine counts as lost, also when a stop was asked for (default 30)"},
    {"series", 0, ME_OPTION_STRING, FIELD(series), 0, 0, "WHERE",
     "the samples: gather (default: into the result), or local: each machine keeps a file, which the result "
     "links to"},
    {"series-limit", 0, ME_OPTION_DOUBLE, FIELD(series_limit_mib), 0, 1e9, "MIB",
     "samples of a machine that are larger, compressed, stay there as with --series local (default 1024)"},
    {"root", 0, ME_OPTION_STRING, FIELD(root), 0, 0, "DIR",
     "where /sys and /proc are found: a container's /host (default $ME_ROOT, else /)"},
    {.name = NULL},
};

void me_bench_options_defaults(struct me_bench_options *options)
{
    *options = (struct me_bench_options){
        .progress = "auto", .root = "/", .lost_after_s = 30, .series = "gather", .series_limit_mib = 1024};
    me_experiment_defaults(&options->experiment);
}

static size_t add_rows(struct me_option *rows, size_t n, const struct me_option *more, size_t base)
{
    for (; more->name && n < ME_BENCH_OPTIONS_MAX - 1; more++, n++) {
        rows[n] = *more;
        rows[n].offset += base;
    }
    rows[n] = (struct me_option){0};
    return n;
}

size_t me_bench_options_rows(struct me_option *rows, size_t base)
{
    size_t n = add_rows(rows, 0, me_experiment_options, base + FIELD(experiment));
    return add_rows(rows, n, me_bench_options_own, base);
}

const char *me_experiment_name(const char *folder, size_t *len)
{
    size_t end = strlen(folder);
    while (end > 1 && folder[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && folder[start - 1] != '/') start--;
    *len = end - start;
    return folder + start;
}

void me_experiment_result_path(const char *folder, char *path, size_t size)
{
    size_t len;
    const char *name = me_experiment_name(folder, &len);
    snprintf(path, size, "%.*s/%.*s.h5", (int)(name - folder + (ptrdiff_t)len), folder, (int)len, name);
}

static int check_folder(const char *folder, struct me_error *err)
{
    size_t len;
    const char *name = me_experiment_name(folder, &len);
    if (len == 0 || !strncmp(name, "..", len) || folder[0] == '-')
        return me_fail(err, ME_E_INPUT,
                       "EXPERIMENT: \"%.200s\" does not end in a name; give one such as exp1", folder);
    if (len > 100) return me_fail(err, ME_E_INPUT, "EXPERIMENT: the name is longer than 100 characters");
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ')
            return me_fail(err, ME_E_INPUT, "EXPERIMENT: the name holds a control character");
    return 0;
}

int me_bench_options_check(const struct me_bench_options *options, struct me_error *err)
{
    const char *progress = options->progress;
    if (options->resume && (options->append || options->force))
        return me_fail(err, ME_E_INPUT, "--resume: not together with --%s",
                       options->append ? "append" : "force");
    if (options->append && options->force)
        return me_fail(err, ME_E_INPUT,
                       "--append: not together with --force: one adds, the other begins anew");
    if (progress && strcmp(progress, "auto") && strcmp(progress, "lines") && strcmp(progress, "none"))
        return me_fail(err, ME_E_INPUT, "--progress: %.64s is not auto, lines or none", progress);
    if (options->series && strcmp(options->series, "gather") && strcmp(options->series, "local"))
        return me_fail(err, ME_E_INPUT, "--series: %.64s is not gather or local", options->series);
    return check_folder(options->folder, err);
}
