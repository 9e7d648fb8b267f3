#include "rig.h"
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

bool rig_path_good(const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || len >= RIG_PATH || strpbrk(path, " \t\n*?[]\\")) return false;
    for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
        if (*part == '.' || *part == '/' || !*part) return false;
    return true;
}

int rig_dir_find(const struct rig *rig, const char *path)
{
    for (int i = 0; i < rig->dir_count; i++)
        if (!strcmp(rig->dirs[i].path, path)) return i;
    return -1;
}

int rig_dir_make(struct rig *rig, const char *path)
{
    int there = rig_dir_find(rig, path), parent = -1;
    if (there >= 0) return there;
    if (*path) { /* first what it lies in, at most RIG_PATH / 2 deep */
        char up[RIG_PATH];
        snprintf(up, sizeof up, "%s", path);
        char *slash = strrchr(up, '/');
        *(slash ? slash : up) = '\0';
        if ((parent = rig_dir_make(rig, up)) < 0) return -1;
    }
    if (rig->dir_count == RIG_DIRS) return -1;
    struct rig_dir *dir = &rig->dirs[rig->dir_count];
    snprintf(dir->path, RIG_PATH, "%s", path);
    dir->parent = parent;
    return rig->dir_count++;
}

bool rig_dir_gone(const struct rig *rig, int dir)
{
    while (dir >= 0 && !rig->dirs[dir].gone) dir = rig->dirs[dir].parent;
    return dir >= 0;
}

const char *rig_link(struct rig *rig, uint64_t now_ns, int64_t wall_ns)
{
    rig->epoch_ns = now_ns;
    rig->wall_ns = wall_ns;
    rig_dir_make(rig, "");
    rig->zones_dir = rig_dir_make(rig, rig->zones_path);
    const char *why = rig_zone_link(rig, now_ns);
    return why ? why : rig_file_link(rig, now_ns);
}

static int dir_command(struct rig_dir *dir, char *const words[3])
{
    if (words[1]) return -EINVAL;
    if (strcmp(words[0], "vanish") && strcmp(words[0], "appear") && strcmp(words[0], "ok")) return -EINVAL;
    dir->gone = !strcmp(words[0], "vanish");
    return 0;
}

/* How a command went over what a name names: 0 once one of them obeyed. */
struct outcome {
    bool obeyed, found;
};

static void note(struct outcome *outcome, int rc)
{
    outcome->found = true;
    outcome->obeyed |= rc == 0;
}

static bool matches(const char *pattern, const char *name)
{
    return strpbrk(pattern, "*?") ? !fnmatch(pattern, name, 0) : !strcmp(pattern, name);
}

static int run(struct rig *rig, const char *name, char *const words[3], uint64_t now_ns)
{
    struct outcome outcome = {false, false};
    char of_register[RIG_PATH + 16];
    for (int i = 0; i < rig->zone_count; i++)
        if (matches(name, rig->zones[i].dir))
            note(&outcome, rig_zone_command(rig, &rig->zones[i], words, now_ns));
    for (int i = 0; i < rig->file_count; i++) {
        struct rig_file *file = &rig->files[i];
        rig_file_name(file, of_register, sizeof of_register);
        if (matches(name, file->path) || matches(name, of_register))
            note(&outcome, rig_file_command(rig, file, words, now_ns));
    }
    for (int i = 1; i < rig->dir_count && !strpbrk(name, "*?"); i++)
        if (!strcmp(name, rig->dirs[i].path)) note(&outcome, dir_command(&rig->dirs[i], words));
    return outcome.obeyed ? 0 : outcome.found ? -EINVAL : -ENOENT;
}

int rig_command(struct rig *rig, const char *line, uint64_t now_ns)
{
    char copy[RIG_LINE], *rest, *words[5] = {NULL};
    if (snprintf(copy, sizeof copy, "%s", line) >= (int)sizeof copy) return -EINVAL;
    int count = 0;
    for (char *word = strtok_r(copy, " \t\r\n", &rest); word && count < 5;
         word = strtok_r(NULL, " \t\r\n", &rest)) {
        words[count++] = word;
        if (count != 2 || strcmp(word, "text")) continue;
        words[count++] = rest ? rest : word + strlen(word); /* all that follows is the text */
        break;
    }
    if (count == 0 || words[0][0] == '#') return 0;
    if (count == 1 || count == 5) return -EINVAL;
    return run(rig, words[0], words + 1, now_ns);
}

void rig_state(const struct rig *rig, FILE *out)
{
    for (int i = 0; i < rig->zone_count; i++) rig_zone_state(&rig->zones[i], out);
    for (int i = 0; i < rig->file_count; i++) rig_file_state(rig, &rig->files[i], out);
}

void rig_release(struct rig *rig)
{
    for (int i = 0; i < rig->file_count; i++) free(rig->files[i].text);
    rig->file_count = 0;
}
