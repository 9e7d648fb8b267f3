#include "affinity.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "me/workload.h"

enum { MASK_BITS = 8 * sizeof(unsigned long) };

struct thread { /* a processor as Linux numbers them */
    int cpu, package, core;
    int package_first, core_first; /* the lowest processor of the same */
};

static bool has(const struct me_affinity *mask, int cpu)
{
    return mask->bits[cpu / (int)MASK_BITS] >> (cpu % (int)MASK_BITS) & 1;
}

static void add(struct me_affinity *mask, int cpu)
{
    mask->bits[cpu / (int)MASK_BITS] |= 1ul << (cpu % (int)MASK_BITS);
}

static int count_bits(const struct me_affinity *mask)
{
    int count = 0;
    for (int cpu = 0; cpu < ME_AFFINITY_CPUS; cpu++) count += has(mask, cpu);
    return count;
}

/* "0-3,8" as numbers below ME_AFFINITY_CPUS. */
static bool read_list(const char *text, struct me_affinity *out)
{
    struct me_affinity mask = {{0}};
    for (const char *at = text;; at++) {
        char *end;
        long first = strtol(at, &end, 10), last = first;
        if (end == at) return false;
        if (*end == '-') {
            at = end + 1;
            last = strtol(at, &end, 10);
            if (end == at) return false;
        }
        if (first < 0 || last < first || last >= ME_AFFINITY_CPUS) return false;
        for (long cpu = first; cpu <= last; cpu++) add(&mask, (int)cpu);
        if (*end != ',') {
            *out = mask;
            return *end == '\0' || *end == '\n';
        }
        at = end;
    }
}

static int read_number(const struct me_root *root, int cpu, const char *name)
{
    unsigned long long value;
    char path[96];
    snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/%s", cpu, name);
    return me_root_read_u64(root, path, &value) ? -1 : (int)value;
}

static int by_place(const void *a, const void *b)
{
    const struct thread *x = a, *y = b;
    if (x->package_first != y->package_first) return x->package_first < y->package_first ? -1 : 1;
    if (x->core_first != y->core_first) return x->core_first < y->core_first ? -1 : 1;
    return (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

/* In Slurm's order. 0: not known. */
static int list_threads(const struct me_root *root, struct thread *threads)
{
    struct me_affinity online;
    char text[4096];
    int n = 0;
    if (me_root_read(root, "sys/devices/system/cpu/online", text, sizeof text) <= 0 ||
        !read_list(text, &online))
        return 0;
    for (int cpu = 0; cpu < ME_AFFINITY_CPUS; cpu++) {
        if (!has(&online, cpu)) continue;
        struct thread *thread = &threads[n++];
        *thread = (struct thread){.cpu = cpu,
                                  .package = read_number(root, cpu, "physical_package_id"),
                                  .core = read_number(root, cpu, "core_id")};
        thread->package_first = thread->core_first = cpu;
        for (int i = n - 2; i >= 0; i--) { /* the nearest one has the lowest already */
            if (threads[i].package != thread->package) continue;
            thread->package_first = threads[i].package_first;
            if (threads[i].core != thread->core) continue;
            thread->core_first = threads[i].core_first;
            break;
        }
    }
    qsort(threads, (size_t)n, sizeof *threads, by_place);
    return n;
}

static int count_cores(const struct thread *threads, int n)
{
    int cores = 0;
    for (int i = 0; i < n; i++) cores += threads[i].core_first == threads[i].cpu;
    return cores;
}

/* Slurm's numbers are those of threads, or of cores where it was told of no threads. */
static bool translate(const struct thread *threads, int n, const struct me_affinity *ids, int count,
                      struct me_affinity *out)
{
    int core = -1;
    bool by_core = count != n;
    if (!n || (by_core && count != count_cores(threads, n))) return false;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < n; i++) {
        if (threads[i].core_first == threads[i].cpu) core++;
        if (has(ids, by_core ? core : i)) add(out, threads[i].cpu);
    }
    return true;
}

/* All that the kernel would let us use. */
static bool read_group(struct me_affinity *out)
{
    struct me_affinity old = {{0}}, all;
    memset(&all, 0xff, sizeof all);
    memset(out, 0, sizeof *out);
    if (sched_getaffinity(0, sizeof old, (cpu_set_t *)old.bits) < 0) return false;
    if (sched_setaffinity(0, sizeof all, (const cpu_set_t *)all.bits)) return false;
    bool known = sched_getaffinity(0, sizeof *out, (cpu_set_t *)out->bits) >= 0;
    sched_setaffinity(0, sizeof old, (const cpu_set_t *)old.bits);
    return known;
}

bool me_affinity_of_job(const struct me_root *root, const char *ids, int count, struct me_affinity *out)
{
    struct me_affinity wanted, group, translated;
    if (!read_list(ids, &wanted)) return false;
    struct thread *threads = calloc(ME_AFFINITY_CPUS, sizeof *threads);
    int n = threads ? list_threads(root, threads) : 0;
    bool fits = translate(threads, n, &wanted, count, &translated);
    free(threads);
    if (!fits) return false;
    *out = read_group(&group) && count_bits(&group) <= count_bits(&translated) ? group : translated;
    return true;
}

struct me_cpus *me_workload_cpus(const struct me_batch_node *node)
{
    struct me_root root;
    struct me_cpus *cpus = NULL;
    if (!node->cpus[0] || !node->node_cpus || me_root_open(&root, "/", NULL)) return NULL;
    cpus = calloc(1, sizeof *cpus);
    if (cpus && !me_affinity_of_job(&root, node->cpus, node->node_cpus, &cpus->affinity)) {
        free(cpus);
        cpus = NULL;
    }
    me_root_close(&root);
    return cpus;
}
