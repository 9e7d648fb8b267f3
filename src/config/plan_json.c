/* The plan as JSON: what rank 0 broadcasts, what the result keeps, and gen.hosts.d/machines.json,
 * which people edit; so it is read as strictly as a config. */
#include "config.h"
#include "batch_json.h"
#include "me/plan.h"
#include "me/utf8.h"
#include "text.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 1, MACHINES_MAX = 100000, STRIP_MAX = 100000 };

#define FORMAT "machine-energy plan"

static const char *const plan_keys[] = {
    "format",    "format_version", "experiment", "run_id",       "workload",      "function",
    "args",      "python",         "with",       "region",       "samples",       "command",
    "repeats",   "warmup",         "idle_s",     "cooldown_s",   "sample_hz",     "timeout_s",
    "sources",   "external",       "events",     "run_local",    "from_hostfile", "machines",
    "strip_env", "run_docker",     "hosts_dir",  "first_repeat", "masked",        "job",
    NULL};
static const char *const machine_keys[] = {
    "machine_id",  "name",   "alias", "country",      "region", "grid_gco2_per_kwh",
    "grid_source", "basis",  "pue",   "external",     "python", "status",
    "reason",      "engine", "image", "image_digest", "done",   "node",
    NULL};
/* How many at the end of each list may be absent: what came later. */
enum { PLAN_LATER = 5, MACHINE_LATER = 5 };

/* ---- writing ---- */

/* Texts of other machines may have been cut within a character. */
static cJSON *clean_string(const char *text)
{
    if (!text[me_text_valid(text)]) return cJSON_CreateString(text);
    char *clean = strdup(text);
    if (!clean) return NULL;
    me_utf8_clean(clean, strlen(text) + 1);
    cJSON *node = cJSON_CreateString(clean);
    free(clean);
    return node;
}

/* Adds the member, or frees it; false if there was no memory for it. */
static bool add(cJSON *object, const char *key, cJSON *node)
{
    if (node && cJSON_AddItemToObject(object, key, node)) return true;
    cJSON_Delete(node);
    return false;
}

static bool add_text(cJSON *object, const char *key, const char *text)
{
    return add(object, key, clean_string(text));
}

static bool add_number(cJSON *object, const char *key, double value)
{
    return add(object, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

static bool add_bool(cJSON *object, const char *key, bool value)
{
    return add(object, key, cJSON_CreateBool(value));
}

static bool add_strings(cJSON *object, const char *key, char *const *strings, size_t count)
{
    cJSON *list = cJSON_CreateArray();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        cJSON *node = clean_string(strings[i]);
        ok = node && cJSON_AddItemToArray(list, node);
        if (!ok) cJSON_Delete(node);
    }
    if (ok) return add(object, key, list);
    cJSON_Delete(list);
    return false;
}

static bool add_container(cJSON *object, const struct me_plan_machine *machine)
{
    return !machine->engine[0] ||
           (add_text(object, "engine", machine->engine) && add_text(object, "image", machine->image) &&
            add_text(object, "image_digest", machine->image_digest));
}

static cJSON *machine_object(const struct me_plan_machine *machine)
{
    cJSON *object = cJSON_CreateObject();
    bool ok = object && add_number(object, "machine_id", machine->id) &&
              add_text(object, "name", machine->name) && add_text(object, "alias", machine->alias) &&
              add_text(object, "country", machine->country) && add_text(object, "region", machine->region) &&
              add_number(object, "grid_gco2_per_kwh", machine->grid_g_per_kwh) &&
              add_text(object, "grid_source", machine->grid_source) &&
              add_text(object, "basis", machine->basis) && add_number(object, "pue", machine->pue) &&
              add_text(object, "external", machine->external) &&
              add_text(object, "python", machine->python) && add_container(object, machine) &&
              add_text(object, "status", me_status_name(machine->status)) &&
              add_text(object, "reason", machine->reason) &&
              (!machine->done[0] || add_text(object, "done", machine->done)) &&
              (!machine->node.node[0] || add(object, "node", me_batch_node_to_json(&machine->node)));
    if (ok) return object;
    cJSON_Delete(object);
    return NULL;
}

static bool add_machines(cJSON *root, const struct me_plan *plan)
{
    cJSON *list = cJSON_CreateArray();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < plan->count; i++) {
        cJSON *node = machine_object(&plan->machines[i]);
        ok = node && cJSON_AddItemToArray(list, node);
        if (!ok) cJSON_Delete(node);
    }
    if (ok) return add(root, "machines", list);
    cJSON_Delete(list);
    return false;
}

static size_t command_words(const struct me_plan *plan)
{
    size_t n = 0;
    while (n < ME_PLAN_COMMAND_MAX && plan->command[n]) n++;
    return n;
}

static bool add_own(cJSON *root, const struct me_plan *plan)
{
    return (!plan->hosts_dir[0] || add_text(root, "hosts_dir", plan->hosts_dir)) &&
           (!plan->first_repeat || add_number(root, "first_repeat", plan->first_repeat)) &&
           (!plan->masked || add_bool(root, "masked", true));
}

static bool add_plan(cJSON *root, const struct me_plan *plan)
{
    return add_text(root, "format", FORMAT) && add_number(root, "format_version", FORMAT_VERSION) &&
           add_text(root, "experiment", plan->experiment) && add_text(root, "run_id", plan->run_id) &&
           add_text(root, "workload", plan->workload) && add_text(root, "function", plan->function) &&
           add_text(root, "args", plan->args) && add_text(root, "python", plan->python) &&
           add_text(root, "with", plan->with) && add_text(root, "region", plan->region) &&
           add_number(root, "samples", plan->samples) &&
           add_strings(root, "command", plan->command, command_words(plan)) &&
           add_number(root, "repeats", plan->repeats) && add_number(root, "warmup", plan->warmup) &&
           add_number(root, "idle_s", plan->idle_s) && add_number(root, "cooldown_s", plan->cooldown_s) &&
           add_number(root, "sample_hz", plan->sample_hz) && add_number(root, "timeout_s", plan->timeout_s) &&
           add_text(root, "sources", plan->sources) && add_text(root, "external", plan->external) &&
           add_text(root, "events", plan->events) && add_bool(root, "run_local", plan->run_local) &&
           add_bool(root, "run_docker", plan->run_docker) &&
           add_bool(root, "from_hostfile", plan->from_hostfile) && add_machines(root, plan) &&
           add_strings(root, "strip_env", plan->strip_env, plan->strip_count) && add_own(root, plan) &&
           (!plan->job.id[0] || add(root, "job", me_batch_job_to_json(&plan->job)));
}

/* The user's words are run as they stand, so they are never cleaned. */
static int check_command(const struct me_plan *plan, struct me_error *err)
{
    for (size_t i = 0; i < command_words(plan); i++)
        if (plan->command[i][me_text_valid(plan->command[i])])
            return me_fail(err, ME_E_INPUT,
                           "word %zu of the command is not UTF-8 text; put the command into a script", i + 1);
    const char *const texts[] = {plan->function, plan->args, plan->python};
    const char *const options[] = {"--train-func", "--args", "--python"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i][me_text_valid(texts[i])])
            return me_fail(err, ME_E_INPUT, "%s: not UTF-8 text", options[i]);
    return 0;
}

int me_plan_to_json(const struct me_plan *plan, struct me_buffer *out, struct me_error *err)
{
    if (check_command(plan, err)) return -1;
    cJSON *root = cJSON_CreateObject();
    char *text = root && add_plan(root, plan) ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (text) {
        me_buffer_puts(out, text);
        me_buffer_puts(out, "\n");
    }
    cJSON_free(text);
    return text && !out->failed ? 0 : me_fail(err, ME_E_RUN, "no memory for the plan");
}

/* ---- reading ---- */

static int need_all(const struct me_doc_object *object, const char *const *keys, size_t later,
                    struct me_error *err)
{
    for (; keys[later]; keys++)
        if (!cJSON_GetObjectItemCaseSensitive(object->node, *keys))
            return me_doc_fail(object, NULL, err, "no %s", *keys);
    return 0;
}

/* As the me_doc readers, for a member that must have a value; null is refused. */
static int need_value(const struct me_doc_object *object, const char *key, struct me_error *err)
{
    if (me_doc_member(object, key)) return 0;
    return me_doc_fail(object, key, err, "null where a value is needed");
}

static int get_text(const struct me_doc_object *object, const char *key, char *out, size_t size,
                    struct me_error *err)
{
    const char *text = NULL;
    if (need_value(object, key, err) || me_doc_string(object, key, &text, err)) return -1;
    if (strlen(text) >= size) return me_doc_fail(object, key, err, "longer than %zu bytes", size - 1);
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

/* What came later may be absent, and says nothing then. */
static int get_later_text(const struct me_doc_object *object, const char *key, char *out, size_t size,
                          struct me_error *err)
{
    return me_doc_member(object, key) ? get_text(object, key, out, size, err) : 0;
}

static int get_int(const struct me_doc_object *object, const char *key, int min, int max, int *out,
                   struct me_error *err)
{
    return need_value(object, key, err) || me_doc_int(object, key, min, max, out, err) ? -1 : 0;
}

static int get_double(const struct me_doc_object *object, const char *key, double max, double *out,
                      struct me_error *err)
{
    return need_value(object, key, err) || me_doc_number(object, key, 0, max, out, err) ? -1 : 0;
}

static int get_bool(const struct me_doc_object *object, const char *key, bool *out, struct me_error *err)
{
    return need_value(object, key, err) || me_doc_bool(object, key, out, err) ? -1 : 0;
}

static int get_list(const struct me_doc_object *object, const char *key, size_t max, const cJSON **list,
                    size_t *count, struct me_error *err)
{
    if (need_value(object, key, err) || me_doc_list(object, key, list, err)) return -1;
    *count = (size_t)cJSON_GetArraySize(*list);
    if (*count > max) return me_doc_fail(object, key, err, "%zu entries; at most %zu are taken", *count, max);
    return 0;
}

/* Copies the list's strings to out[0..]; on failure those copied so far stay for the caller to free. */
static int copy_strings(const struct me_doc_object *object, const char *key, const cJSON *list, char **out,
                        struct me_error *err)
{
    size_t n = 0;
    for (const cJSON *node = list->child; node; node = node->next, n++) {
        if (!cJSON_IsString(node))
            return me_doc_fail(object, key, err, "%s where text is needed", me_doc_type(node));
        out[n] = strdup(node->valuestring);
        if (!out[n]) return me_fail(err, ME_E_RUN, "no memory");
    }
    return 0;
}

static int get_command(const struct me_doc_object *object, struct me_plan *plan, struct me_error *err)
{
    const cJSON *list;
    size_t count;
    if (get_list(object, "command", ME_PLAN_COMMAND_MAX, &list, &count, err)) return -1;
    return copy_strings(object, "command", list, plan->command, err);
}

static int get_strip_env(const struct me_doc_object *object, struct me_plan *plan, struct me_error *err)
{
    const cJSON *list;
    const char *why;
    size_t count;
    if (get_list(object, "strip_env", STRIP_MAX, &list, &count, err)) return -1;
    if (count == 0) return 0;
    plan->strip_env = calloc(count + 1, sizeof *plan->strip_env);
    if (!plan->strip_env) return me_fail(err, ME_E_RUN, "no memory");
    plan->strip_count = count;
    if (copy_strings(object, "strip_env", list, plan->strip_env, err)) return -1;
    for (size_t i = 0; i < count; i++)
        if (me_config_check_variable(plan->strip_env[i], &why))
            return me_doc_fail(object, "strip_env", err, "entry %zu is not a variable's name", i + 1);
    return 0;
}

static bool has(const struct me_doc_object *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object->node, key) != NULL;
}

static int get_status(const struct me_doc_object *object, enum me_machine_status *out, struct me_error *err)
{
    char name[16];
    if (get_text(object, "status", name, sizeof name, err)) return -1;
    for (int s = ME_STATUS_OK; s <= ME_STATUS_LOST; s++) {
        if (strcmp(name, me_status_name((enum me_machine_status)s))) continue;
        *out = (enum me_machine_status)s;
        return 0;
    }
    return me_doc_fail(object, "status", err,
                       "not a status (ok, failed, interrupted, skipped, duplicate, lost)");
}

static int get_machine(const struct me_doc *doc, const cJSON *node, size_t index, struct me_plan_machine *out,
                       struct me_error *err)
{
    struct me_plan_machine m = {.grid_g_per_kwh = NAN, .pue = NAN};
    struct me_doc_object object;
    char path[48];
    snprintf(path, sizeof path, "machines[%zu]", index);
    if (me_doc_object(doc, node, path, machine_keys, &object, err) ||
        need_all(&object, machine_keys, MACHINE_LATER, err))
        return -1;
    if (get_int(&object, "machine_id", 0, INT32_MAX, &m.id, err) ||
        get_text(&object, "name", m.name, sizeof m.name, err) ||
        get_text(&object, "alias", m.alias, sizeof m.alias, err) ||
        get_text(&object, "country", m.country, sizeof m.country, err) ||
        get_text(&object, "region", m.region, sizeof m.region, err) ||
        me_doc_number(&object, "grid_gco2_per_kwh", 0, 10000, &m.grid_g_per_kwh, err) ||
        get_text(&object, "grid_source", m.grid_source, sizeof m.grid_source, err) ||
        get_text(&object, "basis", m.basis, sizeof m.basis, err) ||
        get_text(&object, "external", m.external, sizeof m.external, err) ||
        get_text(&object, "python", m.python, sizeof m.python, err) ||
        me_doc_number(&object, "pue", 1, 10, &m.pue, err) || get_status(&object, &m.status, err) ||
        get_text(&object, "reason", m.reason, sizeof m.reason, err) ||
        get_later_text(&object, "engine", m.engine, sizeof m.engine, err) ||
        get_later_text(&object, "image", m.image, sizeof m.image, err) ||
        get_later_text(&object, "image_digest", m.image_digest, sizeof m.image_digest, err) ||
        get_later_text(&object, "done", m.done, sizeof m.done, err) ||
        me_batch_node_from_json(&object, &m.node, err))
        return -1;
    *out = m;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int check_ids(const struct me_doc_object *object, const struct me_plan *plan, struct me_error *err)
{
    int *ids = calloc(plan->count, sizeof *ids), rc = 0;
    if (!ids) return me_fail(err, ME_E_RUN, "no memory");
    for (size_t i = 0; i < plan->count; i++) ids[i] = plan->machines[i].id;
    qsort(ids, plan->count, sizeof *ids, by_id);
    for (size_t i = 1; i < plan->count && !rc; i++)
        if (ids[i] == ids[i - 1])
            rc = me_doc_fail(object, "machines", err, "machine_id %d is given twice", ids[i]);
    free(ids);
    return rc;
}

static int get_machines(const struct me_doc_object *object, struct me_plan *plan, struct me_error *err)
{
    const cJSON *list, *node;
    size_t count, i = 0;
    if (get_list(object, "machines", MACHINES_MAX, &list, &count, err)) return -1;
    if (count == 0) return 0;
    plan->machines = calloc(count, sizeof *plan->machines);
    if (!plan->machines) return me_fail(err, ME_E_RUN, "no memory");
    plan->count = count;
    for (node = list->child; node; node = node->next, i++)
        if (get_machine(object->doc, node, i, &plan->machines[i], err)) return -1;
    return check_ids(object, plan, err);
}

static int get_own(const struct me_doc_object *object, struct me_plan *plan, struct me_error *err)
{
    if (has(object, "hosts_dir") &&
        get_text(object, "hosts_dir", plan->hosts_dir, sizeof plan->hosts_dir, err))
        return -1;
    if (has(object, "first_repeat") &&
        get_int(object, "first_repeat", -1, INT32_MAX, &plan->first_repeat, err))
        return -1;
    return has(object, "masked") ? get_bool(object, "masked", &plan->masked, err) : 0;
}

static int check_format(const struct me_doc_object *object, struct me_error *err)
{
    char format[32];
    int version;
    if (get_text(object, "format", format, sizeof format, err)) return -1;
    if (strcmp(format, FORMAT)) return me_doc_fail(object, "format", err, "not a plan (" FORMAT ")");
    return get_int(object, "format_version", FORMAT_VERSION, FORMAT_VERSION, &version, err);
}

/* The bounds are those of the options but for 0: machines.json holds a plan that is not filled in yet. */
static int get_plan(const struct me_doc_object *object, struct me_plan *plan, struct me_error *err)
{
    if (check_format(object, err) ||
        get_text(object, "experiment", plan->experiment, sizeof plan->experiment, err) ||
        get_text(object, "run_id", plan->run_id, sizeof plan->run_id, err) ||
        get_text(object, "workload", plan->workload, sizeof plan->workload, err) ||
        get_text(object, "function", plan->function, sizeof plan->function, err) ||
        get_text(object, "args", plan->args, sizeof plan->args, err) ||
        get_text(object, "python", plan->python, sizeof plan->python, err) ||
        get_text(object, "with", plan->with, sizeof plan->with, err) ||
        get_text(object, "region", plan->region, sizeof plan->region, err) ||
        get_int(object, "samples", 0, 100000000, &plan->samples, err) || get_command(object, plan, err) ||
        get_int(object, "repeats", 0, 1000000, &plan->repeats, err) ||
        get_int(object, "warmup", 0, 1000000, &plan->warmup, err) ||
        get_double(object, "idle_s", 86400, &plan->idle_s, err) ||
        get_double(object, "cooldown_s", 86400, &plan->cooldown_s, err) ||
        get_double(object, "sample_hz", 1000, &plan->sample_hz, err) ||
        get_double(object, "timeout_s", 31536000, &plan->timeout_s, err) ||
        get_text(object, "sources", plan->sources, sizeof plan->sources, err) ||
        get_text(object, "external", plan->external, sizeof plan->external, err) ||
        get_text(object, "events", plan->events, sizeof plan->events, err) ||
        get_bool(object, "run_local", &plan->run_local, err) ||
        get_bool(object, "from_hostfile", &plan->from_hostfile, err) ||
        me_doc_bool(object, "run_docker", &plan->run_docker, err) || get_machines(object, plan, err) ||
        me_batch_job_from_json(object, &plan->job, err))
        return -1;
    return get_strip_env(object, plan, err) || get_own(object, plan, err) ? -1 : 0;
}

int me_plan_from_json(const char *text, size_t len, struct me_plan *out, struct me_error *err)
{
    struct me_doc doc = {0};
    struct me_doc_object object;
    struct me_plan plan = {0};
    int rc = -1;
    if (me_doc_parse(&doc, text, len, "plan", err)) goto out;
    if (me_doc_object(&doc, doc.root, "", plan_keys, &object, err)) goto out;
    if (need_all(&object, plan_keys, PLAN_LATER, err) || get_plan(&object, &plan, err)) goto out;
    *out = plan;
    plan = (struct me_plan){0};
    rc = 0;
out:
    me_doc_release(&doc);
    me_plan_release(&plan);
    return rc;
}
