#include "config.h"
#include <stdlib.h>
#include <string.h>

static const char *const known_keys[] = {"machines",       "run_local",  "run_docker", "docker_image",
                                         "docker_options", "experiment", NULL};

/* Rows of {machine_id, index} in order of id, so that a long list is checked in one pass. */
struct id_place {
    int id;
    const cJSON *node;
    size_t index;
};

static int by_id(const void *a, const void *b)
{
    const struct id_place *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int fail_twice(const struct me_doc *doc, const struct id_place *first, const struct id_place *second,
                      struct me_error *err)
{
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(second->node, "machine_id");
    return me_fail(err, ME_E_INPUT, "%s:%d: machines[%zu].machine_id: %d is taken by machines[%zu] (line %d)",
                   doc->source, me_doc_line(doc, key ? key : second->node), second->index, second->id,
                   first->index, me_doc_line(doc, first->node));
}

static int check_ids(const struct me_doc *doc, struct id_place *places, size_t count, struct me_error *err)
{
    qsort(places, count, sizeof *places, by_id);
    for (size_t i = 1; i < count; i++)
        if (places[i].id == places[i - 1].id) return fail_twice(doc, &places[i - 1], &places[i], err);
    return 0;
}

/* Appends the machine, or makes it machine 0. A second machine 0 replaces nothing: check_ids refuses it. */
static void place_machine(struct me_cluster *cluster, struct me_machine *machine)
{
    if (machine->id || cluster->local.name)
        cluster->machines[cluster->count++] = *machine;
    else
        cluster->local = *machine;
}

static int read_machines(struct me_config_reader *reader, const cJSON *list, struct me_cluster *cluster,
                         struct me_error *err)
{
    size_t count = (size_t)cJSON_GetArraySize(list), index = 0;
    int rc = -1;
    if (count == 0) return 0;
    struct id_place *places = calloc(count, sizeof *places);
    cluster->machines = calloc(count, sizeof *cluster->machines);
    if (!places || !cluster->machines) {
        me_fail(err, ME_E_RUN, "no memory");
        goto out;
    }
    for (const cJSON *node = list->child; node; node = node->next, index++) {
        struct me_machine machine;
        if (me_config_machine(reader, node, index, &machine, err)) goto out;
        places[index] = (struct id_place){machine.id, node, index};
        place_machine(cluster, &machine);
    }
    rc = check_ids(reader->doc, places, count, err);
out:
    free(places);
    return rc;
}

static int check_whole(const struct me_doc_object *top, const struct me_cluster *cluster,
                       struct me_error *err)
{
    if (cluster->count == 0 && !cluster->run_local)
        return me_doc_fail(top, "machines", err,
                           "no machine to measure; list one, or set run_local to true to measure this one");
    return 0;
}

static int fill(struct me_config_reader *reader, struct me_cluster *cluster, struct me_error *err)
{
    struct me_doc_object top;
    const cJSON *machines = NULL, *experiment;
    if (me_doc_object(reader->doc, reader->doc->root, "", known_keys, &top, err)) return -1;
    if (me_doc_bool(&top, "run_local", &cluster->run_local, err)) return -1;
    if (me_doc_bool(&top, "run_docker", &cluster->run_docker, err)) return -1;
    if (me_config_docker(&top, cluster, err)) return -1;
    if (me_doc_list(&top, "machines", &machines, err)) return -1;
    if (machines && read_machines(reader, machines, cluster, err)) return -1;
    experiment = me_doc_member(&top, "experiment");
    if (experiment && me_config_experiment(reader->doc, experiment, cluster, err)) return -1;
    if (check_whole(&top, cluster, err)) return -1;
    return cluster->local.name ? 0 : me_config_local(reader, &cluster->local, err);
}

int me_config_parse(const char *text, size_t len, const char *source, const struct me_config_options *options,
                    struct me_cluster *out, struct me_error *err)
{
    struct me_cluster cluster = {0};
    struct me_doc doc = {0};
    struct me_config_reader reader = {.doc = &doc, .no_secrets = options && options->no_secrets};
    int rc = -1;
    me_experiment_defaults(&cluster.experiment);
    if (me_doc_parse(&doc, text, len, source, err)) goto out;
    cluster.source = strdup(source);
    if (!cluster.source) {
        me_fail(err, ME_E_RUN, "no memory");
        goto out;
    }
    if (fill(&reader, &cluster, err)) goto out;
    *out = cluster;
    cluster = (struct me_cluster){0};
    rc = 0;
out:
    me_doc_release(&doc);
    me_cluster_release(&cluster);
    return rc;
}

bool me_config_holds_password(const struct me_cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++)
        if (cluster->machines[i].password && !cluster->machines[i].password_env) return true;
    return cluster->local.password && !cluster->local.password_env;
}
