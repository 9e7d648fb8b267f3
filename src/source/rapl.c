#include "rapl.h"
#include "file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A value behind "key<tab>: " at the begin of a line. */
static const char *find_value(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, key, len)) continue;
        const char *c = line + len + strspn(line + len, " \t");
        if (*c == ':') return c + 1 + strspn(c + 1, " \t");
    }
    return NULL;
}

void me_rapl_cpu_parse(const char *cpuinfo, struct me_rapl_cpu *cpu)
{
    const char *vendor = find_value(cpuinfo, "vendor_id"), *family = find_value(cpuinfo, "cpu family"),
               *model = find_value(cpuinfo, "model"); /* and not "model name" */
    *cpu = (struct me_rapl_cpu){0};
    if (vendor) snprintf(cpu->vendor, sizeof cpu->vendor, "%.*s", (int)strcspn(vendor, " \n"), vendor);
    if (family) cpu->family = atoi(family);
    if (model) cpu->model = atoi(model);
}

void me_rapl_cpu_read(const struct me_root *root, struct me_rapl_cpu *cpu)
{
    char text[4096]; /* the first processor's lines come to a third of that, before its flags */
    int fd = me_root_openat(root, "proc/cpuinfo");
    me_rapl_cpu_parse(me_file_text(fd, text, sizeof text) ? "" : text, cpu);
    if (fd >= 0) close(fd);
}

bool me_rapl_is_intel(const struct me_rapl_cpu *cpu)
{
    return !strcmp(cpu->vendor, "GenuineIntel");
}

bool me_rapl_is_amd(const struct me_rapl_cpu *cpu)
{
    return !strcmp(cpu->vendor, "AuthenticAMD") || !strcmp(cpu->vendor, "HygonGenuine");
}

bool me_rapl_is_package_wide(const struct me_rapl_cpu *cpu)
{
    bool is_zen1 = cpu->family == 0x18 || (cpu->family == 0x17 && cpu->model < 0x30);
    return me_rapl_is_amd(cpu) && !is_zen1;
}

static int read_number(const struct me_root *root, unsigned cpu, const char *file, int *value)
{
    char path[96];
    unsigned long long number; /* "-1" is no number here: the machine does not tell */
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%u/topology/%s", cpu, file);
    if (me_root_read_u64(root, path, &number) || number > 65535) return -1;
    *value = (int)number;
    return 0;
}

static int find_in_cpuinfo(const struct me_root *root, unsigned cpu, int *package)
{
    int fd = me_root_openat(root, "proc/cpuinfo"), rc = -1;
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file) return -1;
    char *line = NULL;
    size_t size = 0;
    unsigned at = 0, number;
    bool is_it = false;
    while (rc && getline(&line, &size, file) >= 0) {
        if (sscanf(line, "processor : %u", &at) == 1) is_it = at == cpu;
        if (!is_it || sscanf(line, "physical id : %u", &number) != 1 || number > 65535) continue;
        *package = (int)number;
        rc = 0;
    }
    free(line);
    fclose(file);
    return rc;
}

int me_rapl_place_read(const struct me_root *root, unsigned cpu, struct me_rapl_place *place)
{
    struct me_rapl_place found = {.die = -1};
    if (read_number(root, cpu, "physical_package_id", &found.package) &&
        find_in_cpuinfo(root, cpu, &found.package))
        return -1;
    if (read_number(root, cpu, "die_id", &found.die)) found.die = -1; /* kernels before 5.2 */
    *place = found;
    return 0;
}

void me_rapl_name(enum me_rapl_domain domain, const struct me_rapl_place *place, bool with_die, char *name,
                  size_t size)
{
    static const char *const parts[ME_RAPL_DOMAINS] = {"", "/dram", "/core", "/uncore", ""};
    char die[24] = "";
    if (with_die && place->die >= 0) snprintf(die, sizeof die, "-die-%d", place->die);
    if (domain != ME_RAPL_PSYS)
        snprintf(name, size, "package-%d%s%s", place->package, die, parts[domain]);
    else if (place->package > 0 || die[0])
        snprintf(name, size, "psys-%d%s", place->package, die);
    else
        snprintf(name, size, "psys");
}

double me_rapl_bound_w(enum me_scope scope)
{
    static const double bounds_w[ME_SCOPE_COUNT] = {1000, 1000, 400, 1000, 4000, 10000};
    return bounds_w[scope];
}

struct me_channel me_rapl_channel(enum me_rapl_domain domain, const struct me_rapl_place *place,
                                  bool with_die)
{
    static const enum me_scope scopes[ME_RAPL_DOMAINS] = {ME_SCOPE_PACKAGE, ME_SCOPE_DRAM, ME_SCOPE_CORE,
                                                          ME_SCOPE_CORE, ME_SCOPE_PLATFORM};
    struct me_channel channel = {.scope = scopes[domain],
                                 .kind = ME_KIND_COUNTER,
                                 .cls = ME_CLASS_COUNTER,
                                 .unit = "uJ",
                                 .package = domain == ME_RAPL_PSYS ? -1 : place->package,
                                 .max_power_w = me_rapl_bound_w(scopes[domain])};
    me_rapl_name(domain, place, with_die, channel.name, sizeof channel.name);
    return channel;
}
