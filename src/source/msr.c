#include "msr.h"
#include "counters.h"
#include "ops.h"
#include "rapl.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MSR_MAJOR 202 /* Documentation/admin-guide/devices.txt of the kernel */

struct meter_cpu { /* the one that is asked about its package or die */
    unsigned number;
    struct me_rapl_place place;
    bool with_die;
    char path[32];
    int fd, error; /* error: errno, where it cannot be asked */
    enum me_provenance provenance;
    uint64_t units; /* the register of the units; 0: it cannot be asked */
};
struct counter {
    int fd;    /* its meter_cpu's */
    int error; /* errno, where fd is -1 */
    struct me_rapl_register reg;
};
struct state {
    struct me_rapl_cpu cpu;
    struct meter_cpu *cpus;
    size_t cpu_count;
    struct counter *counters; /* one a channel */
};

/* The file's offset is the register's address. */
static int read_register(int fd, uint32_t address, uint64_t *value)
{
    ssize_t len;
    do len = pread(fd, value, sizeof *value, (off_t)address);
    while (len < 0 && errno == EINTR);
    if (len < 0) return errno;
    return len == (ssize_t)sizeof *value ? 0 : EIO;
}

static void read_counters(struct me_source *source, struct me_reading *readings)
{
    const struct state *state = source->state;
    for (size_t i = 0; i < source->channel_count; i++) {
        const struct counter *counter = &state->counters[i];
        uint64_t raw = 0;
        int error = counter->fd < 0 ? counter->error : read_register(counter->fd, counter->reg.address, &raw);
        readings[i] = me_ops_count(error, me_rapl_uj(counter->reg.unit, raw));
    }
}

static void close_registers(struct me_source *source)
{
    struct state *state = source->state;
    for (size_t i = 0; state && i < state->cpu_count; i++)
        if (state->cpus[i].fd >= 0) close(state->cpus[i].fd);
    if (state) {
        free(state->cpus);
        free(state->counters);
    }
    me_ops_release(source);
}

static int compare_cpus(const void *a, const void *b)
{
    const struct meter_cpu *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* All CPUs that have a register file, by number. */
static int list_cpus(const struct me_root *root, struct state *state)
{
    DIR *dir = me_root_opendir(root, "dev/cpu");
    if (!dir) return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[64];
        int end = 0;
        struct meter_cpu cpu = {.fd = -1};
        if (sscanf(entry->d_name, "%5u%n", &cpu.number, &end) != 1 || entry->d_name[end]) continue;
        snprintf(path, sizeof path, "dev/cpu/%u/msr", cpu.number);
        if (faccessat(root->fd, path, F_OK, 0)) continue;
        struct meter_cpu *cpus = realloc(state->cpus, (state->cpu_count + 1) * sizeof *cpus);
        if (!cpus) {
            closedir(dir);
            return -1;
        }
        state->cpus = cpus;
        cpus[state->cpu_count++] = cpu;
    }
    closedir(dir);
    if (state->cpu_count) qsort(state->cpus, state->cpu_count, sizeof *state->cpus, compare_cpus);
    return 0;
}

/* Keeps the first CPU of each package, or of each die where dies have counters of their own. Those of
 * which nothing tells where they lie count as one package: too little is seen then, and not too much. */
static void keep_first_cpus(const struct me_root *root, struct state *state)
{
    bool by_die = !me_rapl_is_package_wide(&state->cpu);
    size_t kept = 0;
    for (size_t i = 0; i < state->cpu_count; i++) {
        struct meter_cpu cpu = state->cpus[i];
        bool is_first = true;
        if (me_rapl_place_read(root, cpu.number, &cpu.place))
            cpu.place = (struct me_rapl_place){.package = 0, .die = -1};
        if (!by_die) cpu.place.die = -1;
        for (size_t k = 0; k < kept && is_first; k++)
            is_first = state->cpus[k].place.package != cpu.place.package ||
                       state->cpus[k].place.die != cpu.place.die;
        if (is_first) state->cpus[kept++] = cpu;
    }
    state->cpu_count = kept;
    for (size_t i = 0; i < kept; i++)
        for (size_t k = 0; k < kept; k++)
            if (k != i && state->cpus[k].place.package == state->cpus[i].place.package)
                state->cpus[i].with_die = true;
}

/* The kernel's own device, a rig, or a recorded machine. */
static enum me_provenance find_provenance(int fd)
{
    struct stat st;
    if (!fstat(fd, &st) && S_ISCHR(st.st_mode))
        return major(st.st_rdev) == MSR_MAJOR ? ME_PROVENANCE_LIVE : ME_PROVENANCE_FAKE;
    return me_root_provenance(fd);
}

/* Opens a CPU and reads the unit that its registers count in. */
static enum me_msr_lack open_cpu(const struct me_source_setup *setup, const struct state *state,
                                 struct meter_cpu *cpu)
{
    snprintf(cpu->path, sizeof cpu->path, "dev/cpu/%u/msr", cpu->number);
    cpu->fd = me_root_openat(setup->root, cpu->path);
    cpu->error = cpu->fd < 0 ? -cpu->fd : 0;
    if (cpu->error) return ME_MSR_NOT_OPEN;
    cpu->provenance = find_provenance(cpu->fd);
    if (!setup->live && cpu->provenance == ME_PROVENANCE_LIVE) return ME_MSR_FOREIGN;
    cpu->error = read_register(cpu->fd, me_rapl_unit_address(&state->cpu), &cpu->units);
    if (cpu->error) cpu->units = 0;
    return cpu->units ? ME_MSR_NO_COUNTER : ME_MSR_NO_UNIT;
}

static void say_broken(struct me_channel *channel, const struct meter_cpu *cpu, int error)
{
    char text[64];
    snprintf(channel->why_not, sizeof channel->why_not, "%s: %s", cpu->path,
             strerror_r(error, text, sizeof text));
}

/* A register that is not there cannot be read; and where we do not know that a model has it, one that
 * holds 0 is taken for not there. A package has its register: one that cannot be read is broken, and stays
 * visible, since a total without it must not look whole. */
static void add_counter(struct me_source *source, const struct meter_cpu *cpu, enum me_rapl_domain domain)
{
    struct state *state = source->state;
    struct counter counter = {.fd = cpu->fd, .reg = me_rapl_register(&state->cpu, domain, cpu->units)};
    uint64_t raw = 0;
    if (!counter.reg.address) return;
    int error = read_register(cpu->fd, counter.reg.address, &raw);
    if (error && domain != ME_RAPL_PACKAGE) return;
    if (!error && !raw && !me_rapl_is_known(&state->cpu)) return;
    struct me_channel channel = me_rapl_channel(domain, &cpu->place, cpu->with_die);
    channel.range = me_rapl_range_uj(counter.reg.unit);
    channel.provenance = cpu->provenance;
    if (error)
        say_broken(&channel, cpu, error);
    else if (counter.reg.unknown)
        snprintf(channel.why_not, sizeof channel.why_not, "%s", counter.reg.unknown);
    source->channels[source->channel_count] = channel;
    state->counters[source->channel_count++] = counter;
}

/* The package of a CPU that cannot be asked at all. */
static void add_broken(struct me_source *source, const struct meter_cpu *cpu)
{
    struct state *state = source->state;
    int error = cpu->error ? cpu->error : ENODATA;
    struct me_channel channel = me_rapl_channel(ME_RAPL_PACKAGE, &cpu->place, cpu->with_die);
    channel.provenance = cpu->provenance;
    say_broken(&channel, cpu, error);
    source->channels[source->channel_count] = channel;
    state->counters[source->channel_count++] = (struct counter){.fd = -1, .error = error};
}

static void add_channels(struct me_source *source)
{
    const struct state *state = source->state;
    for (size_t i = 0; i < state->cpu_count; i++)
        for (int d = 0; d < ME_RAPL_PSYS && state->cpus[i].units; d++)
            add_counter(source, &state->cpus[i], (enum me_rapl_domain)d);
    for (size_t i = 0; i < state->cpu_count; i++) /* behind all packages */
        if (state->cpus[i].units) add_counter(source, &state->cpus[i], ME_RAPL_PSYS);
    for (size_t i = 0; source->channel_count && i < state->cpu_count; i++)
        if (!state->cpus[i].units) add_broken(source, &state->cpus[i]);
}

/* A hypervisor that knows the registers and has nothing for them answers 0 to all. */
static bool is_all_dead(struct me_source *source)
{
    const struct state *state = source->state;
    for (size_t i = 0; i < source->channel_count; i++) {
        const struct counter *counter = &state->counters[i];
        uint64_t raw = 0;
        if (counter->fd >= 0 && !read_register(counter->fd, counter->reg.address, &raw) && raw) return false;
    }
    return true;
}

/* What people should know although it works. */
static void remark(struct me_source *source)
{
    const struct state *state = source->state;
    if (!me_rapl_is_known(&state->cpu))
        snprintf(
            source->reason, sizeof source->reason,
            "family %d model %d of %s is not in our table: its package is read as that of its forerunners",
            state->cpu.family, state->cpu.model, state->cpu.vendor);
}

static int make_room(struct me_source *source, struct me_error *err)
{
    struct state *state = source->state;
    size_t room = state->cpu_count * (ME_RAPL_DOMAINS + 1) + 1;
    source->channels = calloc(room, sizeof *source->channels);
    state->counters = calloc(room, sizeof *state->counters);
    return source->channels && state->counters ? 0 : me_fail(err, ME_E_RUN, "msr: no memory");
}

/* Opens what there is. `lack` and `failed`: why there is nothing, and at which CPU, if there is nothing. */
static int find_counters(struct me_source *source, const struct me_source_setup *setup, struct me_error *err,
                         enum me_msr_lack *lack, struct meter_cpu *failed)
{
    struct state *state = source->state;
    me_rapl_cpu_read(setup->root, &state->cpu);
    *lack = ME_MSR_NO_PROCESSOR;
    if (!me_rapl_unit_address(&state->cpu)) return 0;
    *lack = ME_MSR_NO_FILE;
    if (list_cpus(setup->root, state)) return me_fail(err, ME_E_RUN, "msr: no memory");
    keep_first_cpus(setup->root, state);
    if (make_room(source, err)) return -1;
    for (size_t i = 0; i < state->cpu_count; i++) {
        *lack = open_cpu(setup, state, &state->cpus[i]);
        *failed = state->cpus[i];
        if (*lack == ME_MSR_FOREIGN) return 0;
    }
    add_channels(source);
    if (!source->channel_count) return 0;
    if (me_counters_mark_repeats(source, me_rapl_is_package_wide(&state->cpu), err)) return -1;
    if (me_counters_mark_dead(source, err)) return -1;
    *lack = ME_MSR_NO_COUNTER;
    return 0;
}

static int open_msr(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    enum me_msr_lack lack = ME_MSR_NO_PROCESSOR;
    struct meter_cpu failed = {.fd = -1};
    source->state = calloc(1, sizeof(struct state));
    if (!source->state) return me_fail(err, ME_E_RUN, "msr: no memory");
    int rc = find_counters(source, setup, err, &lack, &failed);
    source->found = !rc && source->channel_count && !is_all_dead(source);
    if (source->found)
        remark(source);
    else if (!rc)
        me_msr_explain(source, setup->root, lack, failed.path, failed.error);
    if (!source->found) close_registers(source);
    return rc;
}

const struct me_source_ops me_msr_ops = {
    .name = "msr",
    .summary = "energy registers of processor and memory (RAPL), from dev/cpu/N/msr",
    .open = open_msr,
    .read = read_counters,
    .close = close_registers,
};
