/* Which files of proc and sys tell what the machine does; looked for once. */
#include "cpu.h"
#include "system.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MAX_HERE = 512, TEXT_MIN = 64 * 1024, CPUINFO_MAX = 256 * 1024 };

static int add_file(struct me_system_files *files, int fd, unsigned weight)
{
    if (files->count == files->capacity) {
        size_t capacity = files->capacity ? files->capacity * 2 : 8;
        struct me_system_file *list = realloc(files->list, capacity * sizeof *list);
        if (!list) {
            close(fd);
            return -1;
        }
        files->list = list;
        files->capacity = capacity;
    }
    files->list[files->count++] = (struct me_system_file){.fd = fd, .weight = weight};
    return 0;
}

/* Opens a file and adds it; what is not there is no error. */
static int add_path(struct me_system_files *files, const struct me_root *root, const char *path,
                    unsigned weight)
{
    int fd = me_root_openat(root, path);
    return fd < 0 ? 0 : add_file(files, fd, weight);
}

static void close_files(struct me_system_files *files)
{
    for (size_t i = 0; i < files->count; i++) close(files->list[i].fd);
    free(files->list);
    *files = (struct me_system_files){.list = NULL};
}

/* Calls `visit` for the entries of a directory that begin with `prefix`. -1 if one says so. */
static int visit_entries(struct me_system_state *state, const struct me_root *root, const char *dir_path,
                         const char *prefix,
                         int (*visit)(struct me_system_state *, const struct me_root *, const char *path,
                                      const char *name))
{
    char path[PATH_MAX_HERE];
    int rc = 0;
    DIR *dir = me_root_opendir(root, dir_path);
    if (!dir) return 0;
    for (struct dirent *entry; !rc && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix))) continue;
        snprintf(path, sizeof path, "%s/%s", dir_path, entry->d_name);
        rc = visit(state, root, path, entry->d_name);
    }
    closedir(dir);
    return rc;
}

/* --- frequency ----------------------------------------------------------------------------------- */

static unsigned count_words(const char *text)
{
    unsigned n = 0;
    for (const char *at = text + strspn(text, " \n"); *at; n++) {
        at += strcspn(at, " \n");
        at += strspn(at, " \n");
    }
    return n;
}

static int add_policy(struct me_system_state *state, const struct me_root *root, const char *path,
                      const char *name)
{
    char file[PATH_MAX_HERE + 24], cpus[4096];
    (void)name;
    snprintf(file, sizeof file, "%s/affected_cpus", path); /* those that are online */
    unsigned weight = me_root_read(root, file, cpus, sizeof cpus) > 0 ? count_words(cpus) : 1;
    snprintf(file, sizeof file, "%s/scaling_cur_freq", path);
    return weight ? add_path(&state->frequencies, root, file, weight) : 0;
}

/* Without cpufreq proc/cpuinfo tells a frequency: the one that was measured if the processor has APERF and
 * MPERF, else a constant, which is none. Not on large machines, where the file is long. */
static void open_cpuinfo(struct me_system_state *state, const struct me_root *root)
{
    char *text = malloc(CPUINFO_MAX);
    if (text && me_root_read(root, "proc/cpuinfo", text, CPUINFO_MAX) > 0 && strstr(text, " aperfmperf"))
        state->cpuinfo = me_root_openat(root, "proc/cpuinfo");
    free(text);
}

/* --- temperature --------------------------------------------------------------------------------- */

/* Labels of the sensor that stands for a whole processor, by driver, the best first. */
static const struct {
    const char *driver, *labels[3];
} sensors[] = {
    {"coretemp", {"Package id", "Physical id", NULL}}, /* one a processor, beside one a core */
    {"k10temp", {"Tdie", "Tctl", NULL}},               /* Tctl may be offset, on some models by 27 degrees */
    {"zenpower", {"Tdie", "Tctl", NULL}},
    {"cpu_thermal", {NULL}},
};

static int add_labelled(struct me_system_state *state, const struct me_root *root, const char *chip,
                        const char *wanted)
{
    char path[PATH_MAX_HERE + 32], label[64];
    for (int i = 1; i <= 64; i++) {
        snprintf(path, sizeof path, "%s/temp%d_label", chip, i);
        if (me_root_read(root, path, label, sizeof label) < 0 || strncmp(label, wanted, strlen(wanted)))
            continue;
        snprintf(path, sizeof path, "%s/temp%d_input", chip, i);
        if (add_path(&state->temperatures, root, path, 1)) return -1;
    }
    return 0;
}

static int add_chip(struct me_system_state *state, const struct me_root *root, const char *chip,
                    const char *entry)
{
    char path[PATH_MAX_HERE + 32], driver[64];
    (void)entry;
    snprintf(path, sizeof path, "%s/name", chip);
    if (me_root_read(root, path, driver, sizeof driver) < 0) return 0;
    for (size_t i = 0; i < sizeof sensors / sizeof *sensors; i++) {
        if (strcmp(driver, sensors[i].driver)) continue;
        size_t before = state->temperatures.count;
        for (int l = 0; sensors[i].labels[l] && state->temperatures.count == before; l++)
            if (add_labelled(state, root, chip, sensors[i].labels[l])) return -1;
        if (state->temperatures.count > before) return 0;
        snprintf(path, sizeof path, "%s/temp1_input", chip);
        return add_path(&state->temperatures, root, path, 1);
    }
    return 0;
}

static int add_zone(struct me_system_state *state, const struct me_root *root, const char *zone,
                    const char *entry)
{
    char path[PATH_MAX_HERE + 8], type[64];
    (void)entry;
    snprintf(path, sizeof path, "%s/type", zone);
    if (me_root_read(root, path, type, sizeof type) < 0) return 0;
    if (strcmp(type, "x86_pkg_temp") && strcmp(type, "cpu-thermal") && strcmp(type, "cpu_thermal")) return 0;
    snprintf(path, sizeof path, "%s/temp", zone);
    return add_path(&state->temperatures, root, path, 1);
}

/* --- disks and network --------------------------------------------------------------------------- */

/* "nvme0c1n1": one path to a disk that is listed beside it as nvme0n1. */
static bool is_path(const char *name)
{
    unsigned numbers[3];
    char rest;
    return sscanf(name, "nvme%uc%un%u%c", &numbers[0], &numbers[1], &numbers[2], &rest) == 3;
}

/* Disks with a device behind them: loops, RAIDs and volumes move the bytes of those a second time. */
static int add_disk(struct me_system_state *state, const struct me_root *root, const char *path,
                    const char *name)
{
    char device[PATH_MAX_HERE + 8];
    snprintf(device, sizeof device, "%s/device", path);
    if (strlen(name) >= sizeof *state->disks || is_path(name) || !me_root_exists(root, device)) return 0;
    char(*disks)[32] = realloc(state->disks, (state->disk_count + 1) * sizeof *disks);
    if (!disks) return -1;
    state->disks = disks;
    snprintf(disks[state->disk_count++], sizeof *disks, "%s", name);
    return 0;
}

/* Interfaces with a device behind them: what bridges, bonds and tunnels carry goes through those. And
 * not the virtual functions of a card, whose traffic it may count as its own. */
static int add_interface(struct me_system_state *state, const struct me_root *root, const char *path,
                         const char *name)
{
    char file[PATH_MAX_HERE + 32];
    (void)name;
    snprintf(file, sizeof file, "%s/device", path);
    if (!me_root_exists(root, file)) return 0;
    snprintf(file, sizeof file, "%s/device/physfn", path);
    if (me_root_exists(root, file)) return 0;
    snprintf(file, sizeof file, "%s/statistics/rx_bytes", path);
    if (add_path(&state->received, root, file, 1)) return -1;
    snprintf(file, sizeof file, "%s/statistics/tx_bytes", path);
    return add_path(&state->sent, root, file, 1);
}

uint64_t me_system_memory_bytes(const struct me_root *root)
{
    char text[8192];
    uint64_t kib;
    if (me_root_read(root, "proc/meminfo", text, sizeof text) <= 0) return 0;
    return me_system_parse_field(text, "MemTotal:", &kib) ? 0 : kib * 1024;
}

/* --- all ----------------------------------------------------------------------------------------- */

/* Room for the largest file: proc/stat and proc/cpuinfo grow with the machine, and a little with time. */
static int make_text(struct me_system_state *state)
{
    const int fds[] = {state->stat, state->diskstats, state->cpuinfo};
    char chunk[4096];
    size_t largest = 0;
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        size_t size = 0;
        for (ssize_t n; fds[i] >= 0 && (n = pread(fds[i], chunk, sizeof chunk, (off_t)size)) > 0;)
            size += (size_t)n;
        if (size > largest) largest = size;
    }
    state->size = largest * 2 + TEXT_MIN;
    state->text = malloc(state->size);
    return state->text ? 0 : -1;
}

static void count_cpus(struct me_system_state *state, const struct me_root *root)
{
    struct me_cpu cpu;
    me_cpu_read(root, &cpu);
    state->cpus = cpu.threads > 0 ? (size_t)cpu.threads : 1;
    state->is_virtual = cpu.is_virtual;
}

int me_system_open(struct me_system_state *state, const struct me_root *root)
{
    *state = (struct me_system_state){.cpuinfo = -1};
    state->stat = me_root_openat(root, "proc/stat");
    state->meminfo = me_root_openat(root, "proc/meminfo");
    state->vmstat = me_root_openat(root, "proc/vmstat");
    state->diskstats = me_root_openat(root, "proc/diskstats");
    count_cpus(state, root);
    if (visit_entries(state, root, "sys/devices/system/cpu/cpufreq", "policy", add_policy) ||
        visit_entries(state, root, "sys/class/hwmon", "hwmon", add_chip) ||
        visit_entries(state, root, "sys/block", "", add_disk) ||
        visit_entries(state, root, "sys/class/net", "", add_interface))
        return -1;
    if (!state->temperatures.count &&
        visit_entries(state, root, "sys/class/thermal", "thermal_zone", add_zone))
        return -1;
    if (!state->frequencies.count) open_cpuinfo(state, root);
    return make_text(state);
}

void me_system_close(struct me_system_state *state)
{
    const int fds[] = {state->stat, state->meminfo, state->vmstat, state->diskstats, state->cpuinfo};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0) close(fds[i]);
    close_files(&state->frequencies);
    close_files(&state->temperatures);
    close_files(&state->received);
    close_files(&state->sent);
    me_system_workload_close(state->workload);
    free(state->disks);
    free(state->text);
}

static int first_of(const struct me_system_files *files)
{
    return files->count ? files->list[0].fd : -1;
}

int me_system_fd(const struct me_system_state *state, enum me_system_value value)
{
    switch (value) {
    case ME_SYSTEM_BUSY:
    case ME_SYSTEM_STEAL:
    case ME_SYSTEM_SWITCHES:
        return state->stat;
    case ME_SYSTEM_FREQUENCY:
        return state->frequencies.count ? first_of(&state->frequencies) : state->cpuinfo;
    case ME_SYSTEM_TEMPERATURE:
        return first_of(&state->temperatures);
    case ME_SYSTEM_MEMORY:
        return state->meminfo;
    case ME_SYSTEM_FAULTS:
        return state->vmstat;
    case ME_SYSTEM_DISK_READ:
    case ME_SYSTEM_DISK_WRITTEN:
        return state->diskstats;
    case ME_SYSTEM_NET_RECEIVED:
        return first_of(&state->received);
    case ME_SYSTEM_NET_SENT:
        return first_of(&state->sent);
    default:
        return me_system_workload_fd(state->workload);
    }
}
