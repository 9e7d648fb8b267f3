#include "memory.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE_PAGE    ((size_t)2 << 20)
#define CACHE_UNKNOWN (32ull << 20)

/* The number behind `key` in a text of lines "KEY: NUMBER" or "KEY NUMBER". */
static bool find_number(const char *text, const char *key, unsigned long long *value)
{
    size_t len = strlen(key);
    for (const char *line = text, *end; *line; line = end + (*end == '\n')) {
        end = line + strcspn(line, "\n");
        if (strncmp(line, key, len) || (line[len] != ':' && line[len] != ' ')) continue;
        return sscanf(line + len + 1, "%llu", value) == 1;
    }
    return false;
}

struct group_files {
    const char *base, *limit, *used, *reclaimable;
};
static const struct group_files version1 = {"sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                            "memory.usage_in_bytes", "total_inactive_file"};
static const struct group_files version2 = {"sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"};

/* What one group leaves. Without a limit ("max", no such file) it leaves everything. */
static unsigned long long group_leaves(const struct me_root *root, const struct group_files *files,
                                       const char *path)
{
    char name[1400], stat[8192];
    unsigned long long limit, used = 0, reclaimable = 0;
    snprintf(name, sizeof name, "%s%s/%s", files->base, path, files->limit);
    if (me_root_read_u64(root, name, &limit)) return ~0ull;
    snprintf(name, sizeof name, "%s%s/%s", files->base, path, files->used);
    if (me_root_read_u64(root, name, &used)) used = 0;
    snprintf(name, sizeof name, "%s%s/memory.stat", files->base, path);
    if (me_root_read(root, name, stat, sizeof stat) >= 0) find_number(stat, files->reclaimable, &reclaimable);
    used -= reclaimable < used ? reclaimable : used;
    return used < limit ? limit - used : 0;
}

/* The group and all above it. In a container the path may be the host's, of which nothing is seen here; the
 * root that is seen is then the container's own group. */
static unsigned long long groups_leave(const struct me_root *root, const struct group_files *files,
                                       const char *group)
{
    char path[1024];
    unsigned long long least = ~0ull;
    snprintf(path, sizeof path, "%s", strstr(group, "..") ? "" : group);
    for (;;) {
        size_t len = strlen(path);
        if (len && path[len - 1] == '/') path[len - 1] = '\0';
        unsigned long long leaves = group_leaves(root, files, path);
        if (leaves < least) least = leaves;
        char *slash = strrchr(path, '/');
        if (!slash) return least;
        *slash = '\0';
    }
}

/* Is "memory" one of the names in "cpu,memory"? */
static bool has_memory(const char *controllers)
{
    char list[256];
    snprintf(list, sizeof list, ",%s,", controllers);
    return strstr(list, ",memory,") != NULL;
}

/* A line of proc/self/cgroup: "0::/path" of version 2, "9:memory:/path" of version 1. */
static unsigned long long line_leaves(const struct me_root *root, char *line)
{
    char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) return ~0ull;
    *controllers++ = '\0';
    *path++ = '\0';
    if (!*controllers) return groups_leave(root, &version2, path);
    return has_memory(controllers) ? groups_leave(root, &version1, path) : ~0ull;
}

int me_memory_available(const struct me_root *root, unsigned long long *bytes, struct me_error *err)
{
    char text[8192], *rest = NULL;
    unsigned long long kib, least;
    if (me_root_read(root, "proc/meminfo", text, sizeof text) < 0 || !find_number(text, "MemAvailable", &kib))
        return me_fail(err, ME_E_RUN,
                       "/proc/meminfo does not tell how much memory is available; give --size");
    least = kib * 1024;
    if (me_root_read(root, "proc/self/cgroup", text, sizeof text) < 0) text[0] = '\0';
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        unsigned long long leaves = line_leaves(root, line);
        if (leaves < least) least = leaves;
    }
    *bytes = least;
    return 0;
}

/* The bytes of the cache in the folder, if this CPU is the first of those that share it. */
static unsigned long long cache_bytes(const struct me_root *root, int cpu, int index,
                                      unsigned long long *level)
{
    char path[128], text[4096];
    unsigned long long kib;
    char unit;
    int used, first;
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/cache/index%d/level", cpu, index);
    if (me_root_read_u64(root, path, level)) return 0;
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/cache/index%d/shared_cpu_list", cpu, index);
    if (me_root_read(root, path, text, sizeof text) < 0 || sscanf(text, "%d", &first) != 1 || first != cpu)
        return 0;
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/cache/index%d/size", cpu, index);
    if (me_root_read(root, path, text, sizeof text) < 0) return 0;
    used = sscanf(text, "%llu%c", &kib, &unit);
    if (used < 1) return 0;
    if (used == 1) return kib;
    return kib << (unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0);
}

unsigned long long me_memory_caches(const struct me_root *root)
{
    unsigned long long sum = 0, highest = 0;
    DIR *cpus = me_root_opendir(root, "sys/devices/system/cpu");
    struct dirent *entry;
    while (cpus && (entry = readdir(cpus))) {
        int cpu, len = 0;
        if (sscanf(entry->d_name, "cpu%d%n", &cpu, &len) != 1 || entry->d_name[len]) continue;
        for (int index = 0; index < 8; index++) {
            unsigned long long level, bytes = cache_bytes(root, cpu, index, &level);
            if (!bytes || level < highest) continue;
            if (level > highest) sum = 0;
            highest = level;
            sum += bytes;
        }
    }
    if (cpus) closedir(cpus);
    return sum ? sum : CACHE_UNKNOWN;
}

void *me_memory_take(size_t bytes)
{
    size_t whole = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    void *memory = aligned_alloc(LARGE_PAGE, whole ? whole : LARGE_PAGE);
    if (memory) madvise(memory, whole, MADV_HUGEPAGE); /* a wish: not all kernels have them */
    return memory;
}
