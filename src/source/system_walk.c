/* A walk over a process and its descendants. A parent is read before its children: a child that ends
 * between the two readings is then missed once, and never counted twice. */
#include "system.h"
#include "system_workload.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 320, FIRST_CAPACITY = 32 };

/* Makes room for one more. */
static void *grow(void *list, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) return list;
    size_t wanted = *capacity ? *capacity * 2 : FIRST_CAPACITY;
    void *larger = realloc(list, wanted * size);
    if (larger) *capacity = wanted;
    return larger;
}

static bool is_listed(const struct me_system_processes *processes, pid_t pid)
{
    for (size_t i = 0; i < processes->count; i++)
        if (processes->list[i].pid == pid) return true;
    return false;
}

/* start: 0 where it is not known yet. */
static int add_process(struct me_system_processes *processes, pid_t pid, uint64_t start)
{
    if (is_listed(processes, pid)) return 0;
    void *list = grow(processes->list, processes->count, &processes->capacity, sizeof *processes->list);
    if (!list) return ENOMEM;
    processes->list = list;
    processes->list[processes->count++] = (struct me_system_process){.pid = pid, .start = start};
    return 0;
}

static int add_task(struct me_system_tasks *tasks, pid_t pid, pid_t tid, uint64_t switches)
{
    void *list = grow(tasks->list, tasks->count, &tasks->capacity, sizeof *tasks->list);
    if (!list) return ENOMEM;
    tasks->list = list;
    tasks->list[tasks->count++] = (struct me_system_task){.pid = pid, .tid = tid, .switches = switches};
    return 0;
}

/* --- what one process shows ---------------------------------------------------------------------- */

/* 0 or an errno. */
static int read_text(struct me_system_walk *walk, const char *path)
{
    int len = me_root_read(&walk->proc, path, walk->text, sizeof walk->text);
    return len < 0 ? -len : 0;
}

static bool has_gone(int error)
{
    return error == ENOENT || error == ESRCH;
}

static void read_io(struct me_system_walk *walk, pid_t pid, uint64_t *uses, int *errors)
{
    char path[PATH_SIZE];
    uint64_t in = 0, out = 0;
    snprintf(path, sizeof path, "%d/io", (int)pid);
    int error = read_text(walk, path);
    if (!error) error = me_system_parse_field(walk->text, "read_bytes:", &in);
    if (!error) error = me_system_parse_field(walk->text, "write_bytes:", &out);
    uses[ME_SYSTEM_USE_READ] += in;
    uses[ME_SYSTEM_USE_WRITTEN] += out;
    if (error && !has_gone(error)) errors[ME_SYSTEM_USE_READ] = errors[ME_SYSTEM_USE_WRITTEN] = error;
}

/* A thread that ends meanwhile is taken for gone by the next look. */
static int read_switches(struct me_system_walk *walk, const char *path, pid_t pid, pid_t tid, int *errors)
{
    uint64_t given_up = 0, taken_away = 0;
    int error = read_text(walk, path);
    if (has_gone(error)) return 0;
    if (!error) error = me_system_parse_field(walk->text, "voluntary_ctxt_switches:", &given_up);
    if (!error) error = me_system_parse_field(walk->text, "nonvoluntary_ctxt_switches:", &taken_away);
    if (error) errors[ME_SYSTEM_USE_SWITCHES] = error;
    return error ? 0 : add_task(&walk->tasks_now, pid, tid, given_up + taken_away);
}

/* "123 456 789 " */
static int read_children(struct me_system_walk *walk, const char *path)
{
    int fd = me_root_openat(&walk->proc, path), rc = 0;
    ssize_t n;
    pid_t pid = 0;
    if (fd < 0) return 0;
    while (!rc && (n = read(fd, walk->text, sizeof walk->text)) > 0)
        for (ssize_t i = 0; i < n && !rc; i++) {
            if (isdigit((unsigned char)walk->text[i])) {
                pid = pid * 10 + (walk->text[i] - '0');
                continue;
            }
            if (pid) rc = add_process(&walk->now, pid, 0);
            pid = 0;
        }
    close(fd);
    return rc;
}

static int read_tasks(struct me_system_walk *walk, pid_t pid, int *errors)
{
    char path[PATH_SIZE];
    int len = snprintf(path, sizeof path, "%d/task", (int)pid), rc = 0;
    DIR *dir = me_root_opendir(&walk->proc, path);
    if (!dir) return 0; /* gone already */
    for (struct dirent *entry; !rc && (entry = readdir(dir));) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(path + len, sizeof path - (size_t)len, "/%.200s/status", entry->d_name);
        rc = read_switches(walk, path, pid, (pid_t)atoi(entry->d_name), errors);
        snprintf(path + len, sizeof path - (size_t)len, "/%.200s/children", entry->d_name);
        if (!rc) rc = read_children(walk, path);
    }
    closedir(dir);
    return rc;
}

/* The process of walk->now at `index`; what is not there any more is passed by. */
static int visit(struct me_system_walk *walk, size_t index, uint64_t *uses, int *errors)
{
    char path[PATH_SIZE];
    struct me_system_process *process = &walk->now.list[index];
    struct me_system_process_stat stat;
    snprintf(path, sizeof path, "%d/stat", (int)process->pid);
    int error = read_text(walk, path);
    if (!error) error = me_system_parse_process(walk->text, &stat);
    if (error && !has_gone(error)) errors[ME_SYSTEM_USE_CPU] = errors[ME_SYSTEM_USE_FAULTS] = error;
    if (error && !index) return has_gone(error) ? ESRCH : error;
    if (error) return 0;
    if (process->start && process->start != stat.start) return 0; /* another one by now */
    process->start = stat.start;
    uses[ME_SYSTEM_USE_CPU] += stat.ticks * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
    uses[ME_SYSTEM_USE_FAULTS] += stat.faults;
    pid_t pid = process->pid; /* the list may move */
    read_io(walk, pid, uses, errors);
    return read_tasks(walk, pid, errors);
}

/* --- switches ------------------------------------------------------------------------------------ */

static int compare_tasks(const void *a, const void *b)
{
    const struct me_system_task *left = a, *right = b;
    return (left->tid > right->tid) - (left->tid < right->tid);
}

static void sort_tasks(struct me_system_tasks *tasks)
{
    if (tasks->count) qsort(tasks->list, tasks->count, sizeof *tasks->list, compare_tasks);
}

/* A directory of threads may skip one while others end. */
static bool is_still_there(const struct me_system_walk *walk, const struct me_system_task *task)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%d/task/%d", (int)task->pid, (int)task->tid);
    return me_root_exists(&walk->proc, path);
}

/* What was there at the last look and was not met now is kept if it is there, and has gone if not. So has
 * one whose number another has by now, which begins at 0. */
static int keep_gone(struct me_system_walk *walk)
{
    const struct me_system_tasks *before = &walk->tasks_before;
    size_t count = walk->tasks_now.count, n = 0;
    sort_tasks(&walk->tasks_now);
    for (size_t i = 0; i < before->count; i++) {
        const struct me_system_task *was = &before->list[i], *is;
        while (n < count && walk->tasks_now.list[n].tid < was->tid) n++;
        is = n < count && walk->tasks_now.list[n].tid == was->tid ? &walk->tasks_now.list[n] : NULL;
        if (is && is->pid == was->pid && is->switches >= was->switches) continue;
        if (is || !is_still_there(walk, was))
            walk->gone_switches += was->switches;
        else if (add_task(&walk->tasks_now, was->pid, was->tid, was->switches))
            return ENOMEM;
    }
    if (walk->tasks_now.count > count) sort_tasks(&walk->tasks_now);
    return 0;
}

static uint64_t sum_switches(const struct me_system_walk *walk)
{
    uint64_t sum = walk->gone_switches;
    for (size_t i = 0; i < walk->tasks_now.count; i++) sum += walk->tasks_now.list[i].switches;
    return sum;
}

/* --- all ----------------------------------------------------------------------------------------- */

static void turn_over(struct me_system_walk *walk)
{
    struct me_system_processes processes = walk->before;
    struct me_system_tasks tasks = walk->tasks_before;
    walk->before = walk->now;
    walk->tasks_before = walk->tasks_now;
    walk->now = processes;
    walk->tasks_now = tasks;
}

int me_system_walk(struct me_system_walk *walk, pid_t pid, uint64_t *uses, int *errors)
{
    uint64_t sums[ME_SYSTEM_USES] = {0};
    walk->now.count = walk->tasks_now.count = 0;
    memset(errors, 0, ME_SYSTEM_USES * sizeof *errors);
    int rc = add_process(&walk->now, pid, 0);
    for (size_t i = 0; !rc && i < walk->now.count; i++) rc = visit(walk, i, sums, errors);
    /* Whose parent has ended is not found from above. */
    for (size_t b = 0; !rc && b < walk->before.count; b++) {
        const struct me_system_process *was = &walk->before.list[b];
        size_t first = walk->now.count;
        if (!was->start) continue; /* it had gone when it was looked at */
        rc = add_process(&walk->now, was->pid, was->start);
        for (size_t i = first; !rc && i < walk->now.count; i++) rc = visit(walk, i, sums, errors);
    }
    if (!rc) rc = keep_gone(walk);
    if (rc) return rc;
    sums[ME_SYSTEM_USE_SWITCHES] = sum_switches(walk);
    turn_over(walk);
    memcpy(uses, sums, sizeof sums);
    return 0;
}

int me_system_walk_one(struct me_system_walk *walk, pid_t pid, uint64_t *uses, int *errors)
{
    walk->now.count = walk->tasks_now.count = 0;
    memset(uses, 0, ME_SYSTEM_USES * sizeof *uses);
    memset(errors, 0, ME_SYSTEM_USES * sizeof *errors);
    int rc = add_process(&walk->now, pid, 0);
    if (!rc) rc = visit(walk, 0, uses, errors);
    uses[ME_SYSTEM_USE_SWITCHES] = sum_switches(walk);
    return rc;
}

void me_system_walk_reset(struct me_system_walk *walk)
{
    walk->before.count = walk->tasks_before.count = 0;
    walk->gone_switches = 0;
}

void me_system_walk_release(struct me_system_walk *walk)
{
    me_root_close(&walk->proc);
    free(walk->before.list);
    free(walk->now.list);
    free(walk->tasks_before.list);
    free(walk->tasks_now.list);
}
