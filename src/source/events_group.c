#include "events.h"
#include "perf.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CPUS_MAX = 8192, /* what Linux can be built for */
    PMU_SHIFT = 32,  /* PERF_PMU_TYPE_SHIFT of linux/perf_event.h, since Linux 5.13 */
    SPARE_FILES = 256,
};

/* A processor with several kinds of cores has a PMU for each kind. */
struct core_pmus {
    size_t count;
    struct core_pmu {
        uint32_t type;
        int cpu_count;
        unsigned cpus[1024];
    } list[8];
};

static void read_pmu(const struct me_root *root, const char *name, struct core_pmus *pmus)
{
    char path[320], text[4096];
    unsigned long long type;
    struct core_pmu *pmu = &pmus->list[pmus->count];
    snprintf(path, sizeof path, "sys/bus/event_source/devices/%s/cpus", name); /* only core PMUs have it */
    if (me_root_read(root, path, text, sizeof text) <= 0) return;
    snprintf(path, sizeof path, "sys/bus/event_source/devices/%s/type", name);
    if (me_root_read_u64(root, path, &type)) return;
    pmu->cpu_count = me_perf_parse_cpus(text, pmu->cpus, sizeof pmu->cpus / sizeof *pmu->cpus);
    pmu->type = (uint32_t)type;
    if (pmu->cpu_count > 0 && pmu->cpu_count <= 1024) pmus->count++;
}

static void find_core_pmus(const struct me_root *root, struct core_pmus *pmus)
{
    DIR *dir = me_root_opendir(root, "sys/bus/event_source/devices");
    if (!dir) return;
    for (struct dirent *entry;
         pmus->count < sizeof pmus->list / sizeof *pmus->list && (entry = readdir(dir));)
        if (entry->d_name[0] != '.') read_pmu(root, entry->d_name, pmus);
    closedir(dir);
}

/* The PMU type to which a generic event of this processor is to go; 0: the kernel knows by itself. */
static uint64_t pmu_of_cpu(const struct core_pmus *pmus, unsigned cpu)
{
    for (size_t p = 0; pmus->count > 1 && p < pmus->count; p++)
        for (int i = 0; i < pmus->list[p].cpu_count; i++)
            if (pmus->list[p].cpus[i] == cpu) return pmus->list[p].type;
    return 0;
}

/* Descriptors go above what was the limit, so that all below it stays free for the rest of the program. */
struct room {
    struct rlimit limit;
    int first; /* 0: there is room below */
};

static void make_room(struct room *room, size_t files)
{
    *room = (struct room){.first = 0};
    if (getrlimit(RLIMIT_NOFILE, &room->limit) || room->limit.rlim_cur >= files + SPARE_FILES) return;
    struct rlimit raised = room->limit;
    raised.rlim_cur += files + 1;
    if (raised.rlim_cur > raised.rlim_max) raised.rlim_cur = raised.rlim_max;
    if (!setrlimit(RLIMIT_NOFILE, &raised)) room->first = (int)room->limit.rlim_cur;
}

/* Workloads inherit the limit: it is as it was. Descriptors above it stay open. */
static void restore_limit(const struct room *room)
{
    if (room->first) setrlimit(RLIMIT_NOFILE, &room->limit);
}

/* A descriptor, or -errno. */
static int open_event(const struct me_event *event, uint64_t config, int cpu, int leader,
                      const struct room *room)
{
    struct perf_event_attr attr = {.size = sizeof attr,
                                   .type = event->type,
                                   .config = config,
                                   .config1 = event->config1,
                                   .config2 = event->config2,
                                   .disabled = leader < 0,
                                   .exclude_user = event->exclude_user,
                                   .exclude_kernel = event->exclude_kernel,
                                   .exclude_hv = event->exclude_hv,
                                   .exclude_guest = event->exclude_guest,
                                   .exclude_host = event->exclude_host,
                                   .read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED |
                                                  PERF_FORMAT_TOTAL_TIME_RUNNING};
    int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, leader, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0) return -errno;
    if (!room->first) return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, room->first);
    int error = errno;
    close(fd);
    return high < 0 ? -error : high;
}

/* Generic events of a processor with several PMUs go to the one of this core; kernels before 5.13 do not
 * take its number. */
static int open_on_cpu(const struct me_event *event, uint64_t pmu, int cpu, int leader,
                       const struct room *room)
{
    bool is_generic = event->type == PERF_TYPE_HARDWARE || event->type == PERF_TYPE_HW_CACHE;
    if (is_generic && pmu) {
        int fd = open_event(event, event->config | pmu << PMU_SHIFT, cpu, leader, room);
        if (fd != -EINVAL && fd != -ENOENT) return fd;
    }
    return open_event(event, event->config, cpu, leader, room);
}

/* Errors that say "this processor does not have it"; others end the attempt. */
static bool is_not_there(int error)
{
    return error == ENOENT || error == ENODEV || error == EOPNOTSUPP || error == ENXIO || error == EINVAL;
}

static struct me_event_group *add_group(struct me_event_groups *groups, int cpu)
{
    if (groups->count == groups->capacity) {
        size_t capacity = groups->capacity ? groups->capacity * 2 : 16;
        struct me_event_group *list = realloc(groups->groups, capacity * sizeof *list);
        if (!list) return NULL;
        groups->groups = list;
        groups->capacity = capacity;
    }
    struct me_event_group *group = &groups->groups[groups->count++];
    *group = (struct me_event_group){.cpu = cpu};
    return group;
}

/* Opens the events on one processor: in one group, so that they are counted over the same time; what
 * does not fit into its counters begins another. */
static int open_cpu(struct me_event_groups *groups, int cpu, uint64_t pmu, const struct me_event *events,
                    size_t count, const struct room *room)
{
    struct me_event_group *group = NULL;
    for (size_t e = 0; e < count; e++) {
        int fd = group ? open_on_cpu(&events[e], pmu, cpu, group->fds[0], room) : -EINVAL;
        if (fd < 0 && is_not_there(-fd)) {
            fd = open_on_cpu(&events[e], pmu, cpu, -1, room);
            if (fd < 0 && is_not_there(-fd)) continue;
            if (fd >= 0 && !(group = add_group(groups, cpu))) {
                close(fd);
                return ENOMEM;
            }
        }
        if (fd < 0) return -fd;
        group->at[group->count] = (unsigned char)e;
        group->fds[group->count++] = fd;
        groups->counted_on[e]++;
    }
    return 0;
}

static void enable(struct me_event_groups *groups)
{
    for (size_t g = 0; g < groups->count; g++) ioctl(groups->groups[g].fds[0], PERF_EVENT_IOC_ENABLE, 0);
}

int me_events_open_groups(struct me_event_groups *groups, const struct me_root *root,
                          const struct me_event *events, size_t count)
{
    struct core_pmus *pmus = calloc(1, sizeof *pmus);
    unsigned *cpus = calloc(CPUS_MAX, sizeof *cpus);
    int rc = ENOMEM;
    struct room room;
    char text[4096];
    *groups = (struct me_event_groups){.groups = NULL};
    if (!pmus || !cpus) goto out;
    int n = me_root_read(root, "sys/devices/system/cpu/online", text, sizeof text);
    rc = n < 0 ? -n : EINVAL;
    if (n < 0 || (n = me_perf_parse_cpus(text, cpus, CPUS_MAX)) < 1 || n > CPUS_MAX) goto out;
    groups->cpus = (size_t)n;
    find_core_pmus(root, pmus);
    make_room(&room, groups->cpus * count);
    rc = 0;
    for (int i = 0; i < n && !rc; i++)
        rc = open_cpu(groups, (int)cpus[i], pmu_of_cpu(pmus, cpus[i]), events, count, &room);
    restore_limit(&room);
    if (!rc) enable(groups);
out:
    if (rc) me_events_close_groups(groups);
    free(cpus);
    free(pmus);
    return rc;
}

/* What read(2) gives with our read_format: the number of events, the two times, the counts. */
static int read_tally(const struct me_event_group *group, struct me_event_tally *now)
{
    uint64_t words[3 + ME_EVENTS_MAX];
    ssize_t size = (ssize_t)((3 + group->count) * sizeof *words), len;
    do len = read(group->fds[0], words, sizeof words);
    while (len < 0 && errno == EINTR);
    if (len < 0) return errno;
    if (len != size || words[0] != group->count) return ENODATA;
    now->enabled_ns = words[1];
    now->running_ns = words[2];
    memcpy(now->counts, words + 3, group->count * sizeof *words);
    return 0;
}

void me_events_read_group(struct me_event_group *group, uint64_t *totals, double *share)
{
    struct me_event_tally now;
    uint64_t added[ME_EVENTS_MAX] = {0};
    *share = 1;
    group->waiting = false;
    if (group->error || (group->error = read_tally(group, &now))) return;
    enum me_tally_state state = me_events_tally(&group->last, &now, group->count, added, share);
    group->waiting = state == ME_TALLY_WAITING;
    if (state == ME_TALLY_RESET) group->error = ESTALE;
    for (size_t i = 0; i < group->count; i++) totals[group->at[i]] += added[i];
}

void me_events_close_groups(struct me_event_groups *groups)
{
    if (!groups) return;
    for (size_t g = 0; g < groups->count; g++)
        for (size_t i = 0; i < groups->groups[g].count; i++) close(groups->groups[g].fds[i]);
    free(groups->groups);
    groups->groups = NULL;
    groups->count = groups->capacity = 0;
}
