#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cli.h"
#include "me/report.h"
#include "me/store.h"
#include "me/version.h"

struct settings {
    const char *format, *output;
};

static const struct me_option options[] = {
    {"format", 'f', ME_OPTION_STRING, offsetof(struct settings, format), 0, 0, "FORMAT",
     "text, json or csv [text]"},
    {"output", 'o', ME_OPTION_STRING, offsetof(struct settings, output), 0, 0, "FILE",
     "write to FILE instead of standard output"},
    {0},
};

const struct me_command me_cli_report_command = {
    .program = "me report",
    .usage = "EXPERIMENT [--format FORMAT] [-o FILE]",
    .summary = "Show which machine did the work with the least energy and carbon, and why.",
    .details =
        "EXPERIMENT is an experiment's folder or its .h5 file. text is for people; json has every table\n"
        "of the result but the samples; csv is the summary, one line a machine.\n"
        "\n"
        "  me report exp1\n"
        "  me report exp1 --format csv -o exp1.csv\n"
        "  me report other/exp2.h5\n",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
};

static const struct me_report_format *find_format(const char *name, struct me_error *err)
{
    const struct me_report_format *format = me_report_find(name);
    if (format) return format;
    const char *names[16];
    char known[128] = "";
    size_t n = 0;
    for (const struct me_report_format *row = me_report_table; row->name && n < 15; row++) {
        size_t len = strlen(known);
        snprintf(known + len, sizeof known - len, "%s%s", n ? ", " : "", row->name);
        names[n++] = row->name;
    }
    names[n] = NULL;
    const char *near = me_nearest(name, names);
    if (near)
        me_fail(err, ME_E_INPUT, "--format %.64s: unknown; did you mean %s?", name, near);
    else
        me_fail(err, ME_E_INPUT, "--format %.64s: unknown; there are %s", name, known);
    return NULL;
}

/* exp1, exp1/ and . are folders whose result carries the folder's own name. */
static int find_file(const char *experiment, char *path, size_t size, struct me_error *err)
{
    struct stat st;
    if (stat(experiment, &st) && errno == ENOENT)
        return me_fail(err, ME_E_INPUT, "%s: no such experiment; give its folder or its .h5 file",
                       experiment);
    if (stat(experiment, &st)) return me_fail_errno(err, ME_E_INPUT, errno, "%s", experiment);
    if (!S_ISDIR(st.st_mode)) {
        int len = snprintf(path, size, "%s", experiment);
        return len > 0 && (size_t)len < size
                   ? 0
                   : me_fail(err, ME_E_INPUT, "%.200s...: path too long", experiment);
    }
    char *real = realpath(experiment, NULL);
    if (!real) return me_fail_errno(err, ME_E_INPUT, errno, "%s", experiment);
    size_t end = strlen(experiment);
    while (end > 1 && experiment[end - 1] == '/') end--;
    int len = snprintf(path, size, "%.*s/%s.h5", (int)end, experiment, strrchr(real, '/') + 1);
    free(real);
    if (len < 0 || (size_t)len >= size)
        return me_fail(err, ME_E_INPUT, "%.200s...: path too long", experiment);
    if (stat(path, &st))
        return me_fail(err, ME_E_INPUT, "%s: holds no result (%s); a run writes it when it ends", experiment,
                       path);
    return 0;
}

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int write_report(const struct me_report_format *format, const struct me_result *result,
                        const char *file, struct me_error *err)
{
    FILE *out = file ? fopen(file, "we") : stdout;
    if (!out) return me_fail_errno(err, ME_E_INPUT, errno, "%s", file);
    int rc = format->write(result, out, err), failed = 0;
    errno = 0;
    if (fflush(out) || ferror(out)) failed = errno ? errno : EIO;
    if (file && fclose(out) && !failed) failed = errno;
    if (!rc && failed) rc = me_fail_errno(err, ME_E_RUN, failed, "%s", file ? file : "standard output");
    return rc;
}

int me_cli_report(int argc, char **argv, struct me_error *err)
{
    struct settings settings = {.format = "text"};
    struct me_operands operands;
    if (me_options_parse(&me_cli_report_command, argc, argv, &settings, &operands, err)) return -1;
    if (operands.help) {
        me_options_help(&me_cli_report_command, stdout);
        return 0;
    }
    if (operands.version) {
        printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    char path[PATH_MAX];
    struct me_result result = {0};
    const struct me_report_format *format = find_format(settings.format, err);
    if (!format || find_file(operands.values[0], path, sizeof path, err) ||
        me_store_read(path, false, &result, err))
        return -1;
    int rc =
        settings.output && same_file(path, settings.output)
            ? me_fail(err, ME_E_INPUT, "-o %s: that is the result itself; give another file", settings.output)
            : write_report(format, &result, settings.output, err);
    me_result_release(&result);
    return rc;
}
