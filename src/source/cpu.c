#include "cpu.h"
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the lines of proc/cpuinfo add up to. */
struct tally {
    int processors;
    int physical_id, core_id; /* of the processor being read; -1: no such line */
    uint64_t *cores;          /* physical_id << 32 | core_id, one a processor */
    int core_count;
    char implementer[16], part[16];
    struct me_cpu *cpu;
};

/* ARM names its designs by number only (Arm Architecture Reference Manual, MIDR_EL1). */
static const struct {
    const char *implementer, *part, *name;
} arm_parts[] = {
    {"0x41", "0xd03", "Cortex-A53"},    {"0x41", "0xd05", "Cortex-A55"},  {"0x41", "0xd07", "Cortex-A57"},
    {"0x41", "0xd08", "Cortex-A72"},    {"0x41", "0xd0b", "Cortex-A76"},  {"0x41", "0xd0c", "Neoverse-N1"},
    {"0x41", "0xd40", "Neoverse-V1"},   {"0x41", "0xd49", "Neoverse-N2"}, {"0x41", "0xd4f", "Neoverse-V2"},
    {"0x41", "0xd8e", "Neoverse-N3"},   {"0x41", "0xd84", "Neoverse-V3"}, {"0x43", "0x0af", "ThunderX2 99xx"},
    {"0x46", "0x001", "Fujitsu A64FX"}, {"0x48", "0xd01", "Kunpeng-920"}, {"0xc0", "0xac3", "Ampere-1"},
};

static void collapse_spaces(char *text)
{
    char *out = text;
    for (const char *c = text; *c; c++) {
        bool space = isspace((unsigned char)*c);
        if (!space)
            *out++ = *c;
        else if (out > text && out[-1] != ' ')
            *out++ = ' ';
    }
    if (out > text && out[-1] == ' ') out--;
    *out = '\0';
}

static void take_processor(struct tally *tally)
{
    if (tally->core_id >= 0 && tally->cores && tally->core_count < tally->processors) {
        uint64_t package = (uint64_t)(tally->physical_id < 0 ? 0 : tally->physical_id);
        tally->cores[tally->core_count++] = package << 32 | (uint64_t)tally->core_id;
    }
    tally->physical_id = tally->core_id = -1;
}

static void take_model(struct tally *tally, const char *key, const char *value)
{
    static const char *const keys[] = {"model name", "Model Name", "cpu model", "cpu", "uarch"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i]) && !tally->cpu->model[0]) {
            snprintf(tally->cpu->model, sizeof tally->cpu->model, "%s", value);
            collapse_spaces(tally->cpu->model);
        }
}

static void take_line(struct tally *tally, const char *key, const char *value)
{
    unsigned number;
    if (!strcmp(key, "processor") || sscanf(key, "processor %u", &number) == 1) { /* s390x: "processor 0:" */
        take_processor(tally);
        tally->processors++;
        uint64_t *cores = realloc(tally->cores, (size_t)tally->processors * sizeof *cores);
        if (cores)
            tally->cores = cores;
        else
            tally->core_count = INT32_MAX; /* no memory: the cores stay unknown */
    } else if (!strcmp(key, "physical id")) {
        tally->physical_id = atoi(value);
    } else if (!strcmp(key, "core id")) {
        tally->core_id = atoi(value);
    } else if (!strcmp(key, "flags")) {
        if (strstr(value, " hypervisor")) tally->cpu->is_virtual = true;
    } else if (!strcmp(key, "CPU implementer")) {
        snprintf(tally->implementer, sizeof tally->implementer, "%s", value);
    } else if (!strcmp(key, "CPU part")) {
        snprintf(tally->part, sizeof tally->part, "%s", value);
    } else {
        take_model(tally, key, value);
    }
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Distinct cores, and distinct packages, of the pairs. */
static void count_pairs(uint64_t *pairs, int n, struct me_cpu *cpu)
{
    qsort(pairs, (size_t)n, sizeof *pairs, compare_u64);
    for (int i = 0; i < n; i++) {
        if (!i || pairs[i] != pairs[i - 1]) cpu->cores++;
        if (!i || pairs[i] >> 32 != pairs[i - 1] >> 32) cpu->sockets++;
    }
}

static void name_arm(struct tally *tally)
{
    if (tally->cpu->model[0] || !tally->implementer[0]) return;
    snprintf(tally->cpu->model, sizeof tally->cpu->model, "ARM implementer %s part %s", tally->implementer,
             tally->part);
    for (size_t i = 0; i < sizeof arm_parts / sizeof *arm_parts; i++)
        if (!strcmp(tally->implementer, arm_parts[i].implementer) && !strcmp(tally->part, arm_parts[i].part))
            snprintf(tally->cpu->model, sizeof tally->cpu->model, "%s", arm_parts[i].name);
}

static void read_cpuinfo(const struct me_root *root, struct me_cpu *cpu)
{
    int fd = me_root_openat(root, "proc/cpuinfo");
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file) return;
    struct tally tally = {.physical_id = -1, .core_id = -1, .cpu = cpu};
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) >= 0) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        *colon = '\0';
        line[strcspn(line, "\t")] = '\0';
        char *end = line + strlen(line);
        while (end > line && end[-1] == ' ') *--end = '\0';
        char *value = colon + 1;
        value[strcspn(value, "\n")] = '\0';
        take_line(&tally, line, strcmp(line, "flags") ? value + strspn(value, " ") : value);
    }
    take_processor(&tally);
    cpu->threads = tally.processors;
    if (tally.core_count && tally.core_count == tally.processors)
        count_pairs(tally.cores, tally.core_count, cpu);
    name_arm(&tally);
    free(tally.cores);
    free(line);
    fclose(file);
}

/* sys/devices/system/cpu/cpuN/topology: what most processors other than x86 have instead of the
 * lines in cpuinfo. */
static void read_topology(const struct me_root *root, struct me_cpu *cpu)
{
    uint64_t *pairs = calloc((size_t)cpu->threads + 1, sizeof *pairs);
    int found = 0;
    for (int i = 0, misses = 0; pairs && found < cpu->threads && misses < 4096; i++) {
        char path[96], package[32], core[32];
        snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/core_id", i);
        if (me_root_read(root, path, core, sizeof core) < 0) { /* offline, or not told */
            if (!found && i > 16) break;
            misses++;
            continue;
        }
        snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/physical_package_id", i);
        int id = me_root_read(root, path, package, sizeof package) < 0 ? 0 : atoi(package);
        pairs[found++] =
            (uint64_t)(id < 0 ? 0 : id) << 32 | (uint32_t)atoi(core); /* -1: the board has no word for it */
    }
    if (found && found == cpu->threads) {
        cpu->sockets = cpu->cores = 0;
        count_pairs(pairs, found, cpu);
    }
    free(pairs);
}

/* Machines that have no flag for it say it by the name of their maker. */
static bool has_virtual_maker(const struct me_root *root)
{
    static const char *const makers[] = {"QEMU", "VMware", "Amazon EC2", "Google Compute Engine", "innotek"};
    char text[64];
    if (me_root_read(root, "sys/hypervisor/type", text, sizeof text) > 0) return true;
    if (me_root_read(root, "sys/class/dmi/id/product_name", text, sizeof text) > 0 && strstr(text, ".metal"))
        return false;
    if (me_root_read(root, "sys/class/dmi/id/sys_vendor", text, sizeof text) <= 0) return false;
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (!strncmp(text, makers[i], strlen(makers[i]))) return true;
    return false;
}

void me_cpu_read(const struct me_root *root, struct me_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    read_cpuinfo(root, cpu);
    if (cpu->threads && !cpu->cores) read_topology(root, cpu);
    if (cpu->threads && !cpu->sockets) cpu->sockets = 1;
    if (!cpu->is_virtual) cpu->is_virtual = has_virtual_maker(root);
}
