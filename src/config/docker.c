/* What the config says of containers, beside each machine's own docker_image. */
#include "config.h"
#include "text.h"
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_LENGTH_MAX = 1023 };

static int read_image(const struct me_doc_object *top, struct me_cluster *cluster, struct me_error *err)
{
    const char *text = NULL, *why;
    char clean[64];
    if (me_doc_string(top, "docker_image", &text, err)) return -1;
    if (!text) return 0;
    me_text_clean(text, clean, sizeof clean);
    if (me_config_check_image(text, &why))
        return me_doc_fail(top, "docker_image", err, "%s%s%s", clean, *clean ? ": " : "", why);
    cluster->docker_image = strdup(text);
    return cluster->docker_image ? 0 : me_fail(err, ME_E_RUN, "no memory");
}

/* A list of words, as a shell would give them to `docker run`. */
static int read_options(const struct me_doc_object *top, struct me_cluster *cluster, struct me_error *err)
{
    static const char key[] = "docker_options";
    const cJSON *list = NULL;
    const char *why;
    struct me_buffer text = ME_BUFFER_INIT;
    int rc = me_doc_list(top, key, &list, err);
    for (const cJSON *one = list ? list->child : NULL; one && !rc; one = one->next) {
        if (!cJSON_IsString(one))
            rc = me_doc_fail(top, key, err, "%s where text in double quotes is needed", me_doc_type(one));
        else if (me_text_has_control(one->valuestring))
            rc = me_doc_fail(top, key, err, "holds a control character");
        else if (me_config_check_docker_option(one->valuestring, &why))
            rc = me_doc_fail(top, key, err, "%.64s: %s", one->valuestring, why);
        else
            me_buffer_printf(&text, "%s%s", text.len ? "\n" : "", one->valuestring);
    }
    if (!rc && text.failed) rc = me_fail(err, ME_E_RUN, "no memory");
    if (!rc && text.len > OPTIONS_LENGTH_MAX)
        rc = me_doc_fail(top, key, err, "longer than %d characters", OPTIONS_LENGTH_MAX);
    if (!rc && text.len && !(cluster->docker_options = strdup(text.data)))
        rc = me_fail(err, ME_E_RUN, "no memory");
    me_buffer_release(&text);
    return rc;
}

/* Without run_docker they say nothing: a file may keep them while it is switched off. */
int me_config_docker(const struct me_doc_object *top, struct me_cluster *cluster, struct me_error *err)
{
    return read_image(top, cluster, err) || read_options(top, cluster, err) ? -1 : 0;
}
