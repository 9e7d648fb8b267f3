#include "python.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "spawn.h"

/* The path if an executable file is there; with the links in it, since a virtual environment is known by the
 * link that its interpreter was started through. */
static bool try_file(char *path, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool try_file(char *path, size_t size, const char *format, ...)
{
    char candidate[PATH_MAX];
    struct stat file;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(candidate, sizeof candidate, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof candidate || (size_t)len >= size) return false;
    if (stat(candidate, &file) || !S_ISREG(file.st_mode) || access(candidate, X_OK)) return false;
    memcpy(path, candidate, (size_t)len + 1);
    return true;
}

static bool try_environment(char *path, size_t size, const char *folder)
{
    return try_file(path, size, "%s/bin/python3", folder) || try_file(path, size, "%s/bin/python", folder);
}

/* From the working directory: the workload may run in another one. "~/": a config names it for a machine
 * whose home it does not know. */
static int make_absolute(const char *wanted, char *path, size_t size)
{
    char here[PATH_MAX] = "";
    const char *home = getenv("HOME");
    if (!strncmp(wanted, "~/", 2) && home && *home == '/')
        return snprintf(path, size, "%s%s", home, wanted + 1) < (int)size ? 0 : -1;
    if (*wanted == '/') return snprintf(path, size, "%s", wanted) < (int)size ? 0 : -1;
    if (!getcwd(here, sizeof here)) return -1;
    return snprintf(path, size, "%s/%s", here, wanted) < (int)size ? 0 : -1;
}

static int find_wanted(const char *wanted, char *path, size_t size, struct me_error *err)
{
    char place[PATH_MAX];
    if (!strchr(wanted, '/') && !me_spawn_find(wanted, place, sizeof place, NULL)) {
        if (place[0] == '/' && try_file(path, size, "%s", place)) return 0;
    }
    if (!make_absolute(wanted, place, sizeof place) &&
        (try_file(path, size, "%s", place) || try_environment(path, size, place)))
        return 0;
    return me_fail(err, ME_E_INPUT,
                   "--python: %.400s is neither an interpreter nor a virtual environment on this machine",
                   wanted);
}

/* What scripts/install-framework makes. Its last act is the file `complete`; without it, it was cut off. */
static bool try_own(char *path, size_t size, const char *folder, const char *below, const char *name)
{
    char own[PATH_MAX], mark[PATH_MAX];
    if (snprintf(own, sizeof own, "%s%s/%s", folder, below, name) >= (int)sizeof own) return false;
    if (snprintf(mark, sizeof mark, "%s/complete", own) >= (int)sizeof mark || access(mark, F_OK))
        return false;
    return try_environment(path, size, own);
}

static bool find_own(const struct me_workload *row, char *path, size_t size)
{
    static const char below[] = "/machine-energy/frameworks";
    const char *given = getenv("ME_FRAMEWORKS_DIR"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (given && *given && try_own(path, size, given, "", row->name)) return true;
    if (data && *data == '/' && try_own(path, size, data, below, row->name)) return true;
    if (home && *home == '/') {
        char folder[PATH_MAX];
        if (snprintf(folder, sizeof folder, "%s/.local/share", home) < (int)sizeof folder &&
            try_own(path, size, folder, below, row->name))
            return true;
    }
    return try_own(path, size, "/usr/local/share", below, row->name);
}

int me_python_find(const struct me_workload *row, const char *wanted, char *path, size_t size,
                   struct me_error *err)
{
    if (wanted && *wanted) return find_wanted(wanted, path, size, err);
    if (row && find_own(row, path, size)) return 0;
    if (!me_spawn_find("python3", path, size, NULL)) return 0;
    return me_fail(err, ME_E_RUN,
                   "python3 is not in PATH; install it (Debian: python3), or name one with --python");
}
