#include "config.h"
#include "me/options.h"
#include "text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 32, KEY_SIZE = 32 };

/* The names of the options' table with _ for -, and "command". */
struct keys {
    char text[KEYS_MAX][KEY_SIZE];
    const char *names[KEYS_MAX + 1];
};

static void list_keys(struct keys *keys)
{
    size_t n = 0;
    for (const struct me_option *o = me_experiment_options; o->name && n < KEYS_MAX - 1; o++, n++) {
        snprintf(keys->text[n], KEY_SIZE, "%s", o->name);
        for (char *c = keys->text[n]; *c; c++)
            if (*c == '-') *c = '_';
        keys->names[n] = keys->text[n];
    }
    keys->names[n++] = "command";
    keys->names[n] = NULL;
}

/* Gives the block to the cluster; frees it if that fails. */
static int keep(struct me_cluster *cluster, void *block, struct me_error *err)
{
    void **memory = block ? realloc(cluster->memory, (cluster->memory_count + 1) * sizeof *memory) : NULL;
    if (!memory) {
        free(block);
        me_fail(err, ME_E_RUN, "no memory");
        return -1;
    }
    memory[cluster->memory_count++] = block;
    cluster->memory = memory;
    return 0;
}

/* One text, or several as an array. */
static int set_list(const struct me_doc_object *object, const struct me_option *option, const char *key,
                    struct me_cluster *cluster, struct me_error *err)
{
    const cJSON *node = me_doc_member(object, key), *one = cJSON_IsArray(node) ? node->child : node;
    char where[640];
    snprintf(where, sizeof where, "%.512s:%d: experiment.%s", object->doc->source,
             me_doc_line(object->doc, node), key);
    for (; one; one = cJSON_IsArray(node) ? one->next : NULL) {
        if (!cJSON_IsString(one))
            return me_doc_fail(object, key, err, "%s where text in double quotes is needed",
                               me_doc_type(one));
        if (me_text_has_control(one->valuestring))
            return me_doc_fail(object, key, err, "holds a control character");
        if (me_options_set(me_experiment_options, option->name, one->valuestring, &cluster->experiment, where,
                           err))
            return -1;
    }
    return 0;
}

/* The value as the command line would have it; NULL if its type does not fit. */
static char *value_text(const struct me_option *option, const cJSON *node)
{
    char number[32];
    bool numeric = option->type == ME_OPTION_INT || option->type == ME_OPTION_DOUBLE;
    if (cJSON_IsString(node) && option->type != ME_OPTION_FLAG) return strdup(node->valuestring);
    if (cJSON_IsBool(node) && option->type == ME_OPTION_FLAG)
        return strdup(cJSON_IsTrue(node) ? "true" : "false");
    if ((cJSON_IsObject(node) || cJSON_IsArray(node)) && !strcmp(option->name, "args"))
        return cJSON_PrintUnformatted(node); /* JSON is what it wants */
    if (!cJSON_IsNumber(node) || !numeric) return NULL;
    me_doc_number_text(node->valuedouble, number, sizeof number);
    return strdup(number);
}

static int set_option(const struct me_doc_object *object, const struct me_option *option, const char *key,
                      struct me_cluster *cluster, struct me_error *err)
{
    const cJSON *node = me_doc_member(object, key);
    if (!node) return 0;
    if (option->type == ME_OPTION_LIST) return set_list(object, option, key, cluster, err);
    char *text = value_text(option, node), where[640];
    if (!text)
        return me_doc_fail(object, key, err, "%s where %s is needed", me_doc_type(node),
                           option->type == ME_OPTION_STRING ? "text in double quotes"
                           : option->type == ME_OPTION_FLAG ? "true or false"
                                                            : "a number");
    if (keep(cluster, text, err)) return -1;
    if (me_text_has_control(text)) return me_doc_fail(object, key, err, "holds a control character");
    snprintf(where, sizeof where, "%.512s:%d: experiment.%s", object->doc->source,
             me_doc_line(object->doc, node), key);
    return me_options_set(me_experiment_options, option->name, text, &cluster->experiment, where, err);
}

static int set_command(const struct me_doc_object *object, struct me_cluster *cluster, struct me_error *err)
{
    const cJSON *list = NULL;
    size_t n = 0;
    if (me_doc_list(object, "command", &list, err)) return -1;
    if (!list) return 0;
    int count = cJSON_GetArraySize(list);
    if (count < 1 || count > ME_PLAN_COMMAND_MAX)
        return me_doc_fail(object, "command", err, "%d words; a command has 1 to %d", count,
                           ME_PLAN_COMMAND_MAX);
    char **command = calloc((size_t)count + 1, sizeof *command);
    if (keep(cluster, command, err)) return -1;
    for (const cJSON *word = list->child; word; word = word->next, n++) {
        if (!cJSON_IsString(word))
            return me_doc_fail(object, "command", err, "word %zu is %s where text in double quotes is needed",
                               n + 1, me_doc_type(word));
        char *copy = strdup(word->valuestring);
        if (keep(cluster, copy, err)) return -1;
        command[n] = copy;
    }
    if (!command[0] || !*command[0])
        return me_doc_fail(object, "command", err, "its first word, the program, is empty");
    cluster->experiment.command = command;
    return 0;
}

static int check_choice(const struct me_doc_object *object, const struct me_options_experiment *experiment,
                        struct me_error *err)
{
    struct me_error why = {0};
    if (experiment->command && experiment->train_func)
        return me_doc_fail(object, "train_func", err, "command is given too; keep one of them");
    if (experiment->args && !experiment->train_func)
        return me_doc_fail(object, "args", err, "only with train_func, whose arguments they are");
    if (!me_experiment_check(experiment, &why) &&
        !(experiment->args && me_config_check_args(experiment->args, &why)))
        return 0;
    return me_fail(err, ME_E_INPUT, "%.512s: experiment: %.400s", object->doc->source, why.text);
}

int me_config_experiment(const struct me_doc *doc, const cJSON *node, struct me_cluster *cluster,
                         struct me_error *err)
{
    struct keys keys;
    struct me_doc_object object;
    list_keys(&keys);
    if (me_doc_object(doc, node, "experiment", keys.names, &object, err)) return -1;
    for (size_t i = 0; me_experiment_options[i].name; i++)
        if (set_option(&object, &me_experiment_options[i], keys.names[i], cluster, err)) return -1;
    if (set_command(&object, cluster, err)) return -1;
    return check_choice(&object, &cluster->experiment, err);
}
