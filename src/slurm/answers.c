#include "me/slurm.h"
#include "me/options.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_none(const char *value)
{
    static const char *const none[] = {"", "(null)", "n/s", "n/a", "N/A", NULL};
    for (const char *const *text = none; *text; text++)
        if (!strcmp(value, *text)) return true;
    return false;
}

/* Where the key begins, as a word. */
static const char *find_key(const char *text, size_t len, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = text;
         n && at + n < text + len && (at = memmem(at, (size_t)(text + len - at), key, n)); at++) {
        bool begins = at == text || strchr(" \n\t", at[-1]);
        const char *behind = at + n;
        while (behind < text + len && *behind == ' ') behind++;
        if (begins && behind < text + len && *behind == '=') return behind + 1;
    }
    return NULL;
}

bool me_slurm_value(const char *text, size_t len, const char *key, char *value, size_t size)
{
    const char *at = find_key(text, len, key), *end = text + len;
    *value = '\0';
    if (!at) return false;
    while (at < end && *at == ' ' && at[-1] != '\n') at++;
    size_t n = 0;
    while (at + n < end && !strchr(" \n\t", at[n]) && n + 1 < size) n++;
    memcpy(value, at, n);
    value[n] = '\0';
    if (!is_none(value)) return true;
    *value = '\0';
    return false;
}

static double number_of(const char *text, size_t len, const char *key)
{
    char value[64];
    double number;
    return me_slurm_value(text, len, key, value, sizeof value) && !me_parse_double(value, 0, 1e15, &number)
               ? number
               : NAN;
}

void me_slurm_take_config(const char *text, struct me_batch_job *job)
{
    size_t len = strlen(text);
    char plugin[sizeof job->energy_plugin];
    if (!job->cluster[0]) me_slurm_value(text, len, "ClusterName", job->cluster, sizeof job->cluster);
    job->kill_wait_s = number_of(text, len, "KillWait");
    if (!me_slurm_value(text, len, "AcctGatherEnergyType", plugin, sizeof plugin)) return;
    if (!strcmp(plugin, "acct_gather_energy/none")) return;
    memcpy(job->energy_plugin, plugin, sizeof job->energy_plugin);
    job->energy_every_s = number_of(text, len, "AcctGatherNodeFreq");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct me_slurm_node *)a)->name, ((const struct me_slurm_node *)b)->name);
}

/* The nodes, which are sorted, that are in the list of names. */
static size_t find_nodes(const char *list, const struct me_slurm_node *nodes, size_t count,
                         struct me_batch_node **found)
{
    struct me_slurm_names names;
    size_t n = 0;
    if (!me_slurm_expand(list, &names, NULL))
        for (size_t i = 0; i < names.count; i++) {
            struct me_slurm_node key = {.name = names.names[i]};
            const struct me_slurm_node *node = bsearch(&key, nodes, count, sizeof *nodes, by_name);
            if (node && n < count) found[n++] = node->node;
        }
    me_slurm_names_release(&names);
    return n;
}

/* A copy that can be searched, and room for as many results. NULL: no memory. */
static struct me_slurm_node *sorted(const struct me_slurm_node *nodes, size_t count,
                                    struct me_batch_node ***found)
{
    struct me_slurm_node *copy = calloc(count + 1, sizeof *copy);
    *found = calloc(count + 1, sizeof **found);
    if (!copy || !*found) {
        free(copy);
        free(*found);
        return NULL;
    }
    if (count) memcpy(copy, nodes, count * sizeof *copy);
    qsort(copy, count, sizeof *copy, by_name);
    return copy;
}

/* "     Nodes=n[1-2] CPU_IDs=0-1 Mem=0 GRES=" */
static void take_cpus(const char *line, size_t len, const struct me_slurm_node *nodes, size_t count,
                      struct me_batch_node **found)
{
    char list[4096], cpus[sizeof found[0]->cpus];
    if (!me_slurm_value(line, len, "Nodes", list, sizeof list)) return;
    if (!me_slurm_value(line, len, "CPU_IDs", cpus, sizeof cpus)) return;
    int cpu_count = me_slurm_count_cpus(cpus);
    if (cpu_count < 1) return; /* cut, or another dialect */
    size_t n = find_nodes(list, nodes, count, found);
    for (size_t i = 0; i < n; i++) {
        memcpy(found[i]->cpus, cpus, sizeof found[i]->cpus);
        found[i]->cpu_count = cpu_count;
    }
}

bool me_slurm_take_job(const char *text, const struct me_slurm_node *nodes, size_t count)
{
    struct me_batch_node **found;
    struct me_slurm_node *list = sorted(nodes, count, &found);
    char share[32];
    if (!list) return false;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        take_cpus(line, len, list, count, found);
        line += len + (line[len] == '\n');
    }
    free(list);
    free(found);
    return me_slurm_value(text, strlen(text), "OverSubscribe", share, sizeof share) && !strcmp(share, "NO");
}

void me_slurm_take_nodes(const char *text, const struct me_slurm_node *nodes, size_t count)
{
    struct me_batch_node **found;
    struct me_slurm_node *list = sorted(nodes, count, &found);
    if (!list) return;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        char name[ME_SLURM_NODE];
        if (me_slurm_value(line, len, "NodeName", name, sizeof name) &&
            find_nodes(name, list, count, found) == 1) {
            double cpus = number_of(line, len, "CPUTot"), watts = number_of(line, len, "CurrentWatts");
            found[0]->node_cpus = cpus >= 1 && cpus < 1e6 ? (int)cpus : 0;
            found[0]->power_w =
                watts > 0 ? watts : NAN; /* 0: it has no meter there, or has not read it yet */
        }
        line += len + (line[len] == '\n');
    }
    free(list);
    free(found);
}

static void add_job(struct me_batch_node *node, const char *job)
{
    size_t len = strlen(node->shared_with), n = strlen(job);
    node->sharing = ME_SHARING_SEEN;
    for (const char *at = node->shared_with; (at = strstr(at, job)); at++)
        if ((at == node->shared_with || at[-1] == ' ') && (at[n] == ',' || !at[n])) return; /* seen before */
    if (len + n + 3 < sizeof node->shared_with)
        snprintf(node->shared_with + len, sizeof node->shared_with - len, "%s%s", len ? ", " : "", job);
}

void me_slurm_take_queue(const char *text, const char *own, const struct me_slurm_node *nodes, size_t count)
{
    struct me_batch_node **found;
    struct me_slurm_node *list = sorted(nodes, count, &found);
    if (!list) return;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        char job[32], names[4096];
        if (sscanf(line, "%31[^|\n]|%4095[^|\n]", job, names) == 2 && strcmp(job, own)) {
            size_t n = find_nodes(names, list, count, found);
            for (size_t i = 0; i < n; i++) add_job(found[i], job);
        }
        line += len + (line[len] == '\n');
    }
    free(list);
    free(found);
}

double me_slurm_joules(const char *text)
{
    char word[32];
    double joules;
    if (sscanf(text, " %31[^| \n]", word) != 1 || me_parse_double(word, 0, 1e15, &joules)) return NAN;
    return joules;
}
