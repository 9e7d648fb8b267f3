#include "descend.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool me_pids_has(const struct me_pids *list, pid_t pid)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->pids[i] == pid) return true;
    return false;
}

void me_pids_add(struct me_pids *list, pid_t pid)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 32;
        pid_t *pids = realloc(list->pids, capacity * sizeof *pids);
        if (!pids) return;
        list->pids = pids;
        list->capacity = capacity;
    }
    list->pids[list->count++] = pid;
}

void me_pids_release(struct me_pids *list)
{
    if (!list) return;
    free(list->pids);
    *list = (struct me_pids){.pids = NULL};
}

/* "123 456 789 " */
static void read_children(int fd, struct me_pids *list)
{
    char chunk[4096];
    ssize_t n;
    pid_t pid = 0;
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (isdigit((unsigned char)chunk[i])) {
                pid = pid * 10 + (chunk[i] - '0');
                continue;
            }
            if (pid) me_pids_add(list, pid);
            pid = 0;
        }
    if (pid) me_pids_add(list, pid);
}

void me_descend_children(const struct me_root *root, pid_t pid, struct me_pids *list)
{
    char path[320];
    if (pid)
        snprintf(path, sizeof path, "proc/%d/task", (int)pid);
    else
        snprintf(path, sizeof path, "proc/self/task");
    size_t len = strlen(path);
    DIR *dir = me_root_opendir(root, path);
    if (!dir) return; /* gone already */
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(path + len, sizeof path - len, "/%s/children", entry->d_name);
        int fd = me_root_openat(root, path);
        if (fd < 0) continue;
        read_children(fd, list);
        close(fd);
    }
    closedir(dir);
}

static bool is_alive(const struct me_root *root, pid_t pid)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "proc/%d/stat", (int)pid);
    if (me_root_read(root, path, text, sizeof text) < 0) return false;
    const char *paren = strrchr(text, ')'); /* the name between the brackets may hold anything */
    return !paren || !strchr("ZXx", paren[1] ? paren[2] : 'X');
}

void me_descend_all(const struct me_root *root, const struct me_pids *except, struct me_pids *list)
{
    struct me_pids found = {.pids = NULL};
    me_descend_children(root, 0, &found);
    size_t first = found.count;
    for (size_t i = 0; i < found.count; i++) {
        if (i < first && me_pids_has(except, found.pids[i])) continue;
        me_descend_children(root, found.pids[i], &found);
        if (is_alive(root, found.pids[i]) && !me_pids_has(list, found.pids[i]))
            me_pids_add(list, found.pids[i]);
    }
    me_pids_release(&found);
}
