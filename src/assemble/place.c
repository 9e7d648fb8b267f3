#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "me/store.h"
#include "parts.h"

#define FOLDER    "series"
#define TOKEN     ".run-"
#define LINK      "ME-LINK 1\n" /* then a line with the file's name, and one with its repeats */
#define DAY_S     86400
#define LINK_SIZE (1u << 20)

/* --- who sees the head's folder ---------------------------------------------------------------- */

static int token_path(const struct me_series_place *place, char *path, size_t size)
{
    int len = snprintf(path, size, "%s/" TOKEN "%s", place->folder, place->run_id);
    return len > 0 && (size_t)len < size ? 0 : -1;
}

/* Those of runs that were killed. */
static void sweep(const char *folder)
{
    DIR *entries = opendir(folder);
    struct stat st;
    for (const struct dirent *entry; entries && (entry = readdir(entries));)
        if (!strncmp(entry->d_name, TOKEN, strlen(TOKEN)) &&
            !fstatat(dirfd(entries), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
            time(NULL) - st.st_mtime > DAY_S)
            unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries) closedir(entries);
}

int me_series_place_show(const struct me_series_place *place, struct me_error *err)
{
    char path[PATH_MAX];
    if (!place->local) return 0;
    sweep(place->folder);
    int fd =
        token_path(place, path, sizeof path) ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return me_fail_errno(err, ME_E_RUN, errno, "%s", place->folder);
    close(fd);
    return 0;
}

void me_series_place_hide(const struct me_series_place *place)
{
    char path[PATH_MAX];
    if (place->local && !token_path(place, path, sizeof path)) unlink(path);
}

static bool is_shared(const struct me_series_place *place)
{
    char path[PATH_MAX];
    return place->local && !token_path(place, path, sizeof path) && !access(path, F_OK);
}

/* --- keeping ----------------------------------------------------------------------------------- */

static int name_file(const struct me_series_place *place, int machine_id, char *name, size_t size)
{
    int len = snprintf(name, size, "machine%d-%s.h5", machine_id, place->run_id);
    return len > 0 && (size_t)len < size ? 0 : -1;
}

/* Leaves the path in parts->kept on success. */
static int save(const char *folder, const char *name, struct me_parts *parts)
{
    char path[sizeof parts->kept];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (len < 0 || (size_t)len >= sizeof path || me_store_save(path, &parts->part[ME_PART_SERIES], NULL))
        return -1;
    memcpy(parts->kept, path, sizeof path);
    return 0;
}

static int save_shared(const struct me_series_place *place, const char *name, struct me_parts *parts)
{
    char folder[PATH_MAX];
    int len = snprintf(folder, sizeof folder, "%s/" FOLDER, place->folder);
    if (len < 0 || (size_t)len >= sizeof folder || (mkdir(folder, 0777) && errno != EEXIST)) return -1;
    return save(folder, name, parts);
}

static int save_here(const char *name, struct me_parts *parts)
{
    char folder[PATH_MAX];
    if (me_journal_dir(folder, sizeof folder, NULL) || me_journal_make_dir(folder, NULL)) return -1;
    return save(folder, name, parts);
}

static void put_link(const char *name, const struct me_result *result, struct me_buffer *series)
{
    me_buffer_clear(series);
    me_buffer_printf(series, LINK FOLDER "/%s\n", name);
    for (size_t i = 0; i < result->series_count; i++)
        me_buffer_printf(series, "%d ", result->series[i].repeat);
}

void me_series_place_keep(const struct me_series_place *place, struct me_row_machine *row,
                          const struct me_result *result, struct me_parts *parts)
{
    char name[128];
    struct me_buffer *series = &parts->part[ME_PART_SERIES];
    if (!place || series->failed || (!place->local && series->len <= place->limit)) return;
    if (name_file(place, row->machine_id, name, sizeof name)) return;
    if (is_shared(place) && !save_shared(place, name, parts))
        snprintf(row->series_file, sizeof row->series_file, FOLDER "/%.200s", name);
    else if (!save_here(name, parts))
        snprintf(row->series_file, sizeof row->series_file, "%.63s:%.190s", row->host, parts->kept);
    else
        return;
    put_link(name, result, series);
}

/* --- linking ----------------------------------------------------------------------------------- */

static int take_repeats(const char *text, int **repeats, size_t *count)
{
    size_t n = 0;
    int *list = calloc(strlen(text) / 2 + 1, sizeof *list);
    if (!list) return -1;
    for (int len = 0; sscanf(text, "%d %n", &list[n], &len) == 1 && len; text += len) n++;
    *repeats = list;
    *count = n;
    return 0;
}

/* "series/machine1-....h5": nothing that leads out of the experiment's folder. */
static bool is_name(const char *name)
{
    size_t len = strlen(FOLDER "/");
    return !strncmp(name, FOLDER "/", len) && name[len] && name[len] != '.' && !strchr(name + len, '/');
}

int me_series_place_link(struct me_stream *series, char *link, size_t size, int **repeats, size_t *count)
{
    char head[sizeof LINK] = "";
    link[0] = '\0';
    if (series->size < strlen(LINK) || me_stream_read(series, 0, head, strlen(LINK))) return 0;
    if (strcmp(head, LINK) != 0) return 0;
    if (series->size > LINK_SIZE) return -1;
    char *text = calloc((size_t)series->size + 1, 1);
    int rc = text ? me_stream_read(series, 0, text, (size_t)series->size) : -1;
    char *name = text ? text + strlen(LINK) : NULL, *end = rc ? NULL : strchr(name, '\n');
    if (end) *end = '\0';
    rc = end && is_name(name) && strlen(name) < size ? take_repeats(end + 1, repeats, count) : -1;
    if (!rc) snprintf(link, size, "%s", name);
    free(text);
    return rc;
}
