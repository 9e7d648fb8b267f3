#include "config.h"
#include "me/options.h"
#include "text.h"
#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const known_keys[] = {"machine_id",
                                         "MACHINE_IP_ADDRESS",
                                         "MACHINE_PORT",
                                         "MACHINE_USER",
                                         "MACHINE_PASSWORD",
                                         "MACHINE_KEY_FILENAME",
                                         "MACHINE_PASSWORD_ENV",
                                         "name",
                                         "country",
                                         "region",
                                         "grid_gco2_per_kwh",
                                         "pue",
                                         "host_key",
                                         "external",
                                         "python",
                                         "docker_image",
                                         NULL};

enum { DEFAULT_PORT = 22 };

static int copy_text(const char *text, char **out, struct me_error *err)
{
    *out = strdup(text);
    return *out ? 0 : me_fail(err, ME_E_RUN, "no memory");
}

/* Fails with the value before the reason: "MACHINE_USER: a;b: holds ...". Never for a secret. */
static int fail_value(const struct me_doc_object *object, const char *key, const char *value, const char *why,
                      struct me_error *err)
{
    char clean[64];
    me_text_clean(value, clean, sizeof clean);
    return me_doc_fail(object, key, err, "%s%s%s", clean, *clean ? ": " : "", why);
}

typedef int check_text(const char *text, const char **why);

static int read_text(const struct me_doc_object *object, const char *key, check_text *check, char **out,
                     struct me_error *err)
{
    const char *text = NULL, *why;
    if (me_doc_string(object, key, &text, err)) return -1;
    if (!text) return 0;
    if (check(text, &why)) return fail_value(object, key, text, why, err);
    return copy_text(text, out, err);
}

static int check_name(const char *text, const char **why)
{
    return me_config_check_label(text, 63, why);
}
static int check_region(const char *text, const char **why)
{
    return me_config_check_label(text, 47, why);
}

static int read_id(const struct me_doc_object *object, struct me_machine *machine, struct me_error *err)
{
    if (!me_doc_member(object, "machine_id"))
        return me_doc_fail(object, NULL, err, "no machine_id (1 to 9999; 0 is this machine)");
    return me_doc_int(object, "machine_id", 0, 9999, &machine->id, err);
}

static int read_address(const struct me_doc_object *object, struct me_machine *machine, struct me_error *err)
{
    if (read_text(object, "MACHINE_IP_ADDRESS", me_config_check_address, &machine->address, err)) return -1;
    if (machine->address) return 0;
    if (machine->id == 0) return copy_text("localhost", &machine->address, err);
    return me_doc_fail(object, NULL, err, "no MACHINE_IP_ADDRESS (an IP address or a host name)");
}

static int fail_port(const struct me_doc_object *object, const cJSON *node, struct me_error *err)
{
    char text[36];
    if (cJSON_IsNumber(node))
        me_doc_number_text(node->valuedouble, text, sizeof text);
    else if (cJSON_IsString(node))
        me_text_clean(node->valuestring, text, sizeof text);
    else
        snprintf(text, sizeof text, "%s", me_doc_type(node));
    const char *quote = cJSON_IsString(node) ? "\"" : "";
    return me_doc_fail(object, "MACHINE_PORT", err, "%s%s%s is not a port (1-65535)", quote, text, quote);
}

/* A number, or the same number as text: both are found in existing files. */
static int read_port(const struct me_doc_object *object, struct me_machine *machine, struct me_error *err)
{
    const cJSON *node = me_doc_member(object, "MACHINE_PORT");
    machine->port = DEFAULT_PORT;
    if (!node) return 0;
    char number[32] = "";
    const char *text = number;
    long port;
    if (cJSON_IsNumber(node)) me_doc_number_text(node->valuedouble, number, sizeof number);
    if (cJSON_IsString(node)) text = node->valuestring;
    if (me_parse_int(text, 1, 65535, &port)) return fail_port(object, node, err);
    machine->port = (int)port;
    return 0;
}

static int find_own_user(struct me_config_reader *reader, struct me_error *err)
{
    char bytes[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(geteuid(), &entry, bytes, sizeof bytes, &found) || !found)
        return me_fail(err, ME_E_INPUT,
                       "%s: the user who runs this has no name; give every machine a MACHINE_USER",
                       reader->doc->source);
    snprintf(reader->user, sizeof reader->user, "%s", entry.pw_name);
    return 0;
}

static int default_user(struct me_config_reader *reader, struct me_machine *machine, struct me_error *err)
{
    if (machine->user) return 0;
    if (!*reader->user && find_own_user(reader, err)) return -1;
    return copy_text(reader->user, &machine->user, err);
}

static int read_password_env(const struct me_config_reader *reader, const struct me_doc_object *object,
                             struct me_machine *machine, struct me_error *err)
{
    static const char key[] = "MACHINE_PASSWORD_ENV";
    const char *name = NULL, *why;
    if (me_doc_string(object, key, &name, err)) return -1;
    if (!name) return 0;
    if (machine->password)
        return me_doc_fail(object, key, err, "MACHINE_PASSWORD is given too; keep one of them");
    if (me_config_check_variable(name, &why)) /* the name is not shown: it may be a password */
        return me_doc_fail(object, key, err, "%s", why);
    if (copy_text(name, &machine->password_env, err)) return -1;
    if (reader->no_secrets) return 0;
    const char *password = getenv(name);
    if (!password || !*password)
        return me_doc_fail(object, key, err, "the variable %.64s is %s", name,
                           password ? "empty" : "not set");
    return copy_text(password, &machine->password, err);
}

/* Existing files hold both MACHINE_PASSWORD and MACHINE_KEY_FILENAME, with "" for the one that is
 * not used. */
static int read_password(const struct me_config_reader *reader, const struct me_doc_object *object,
                         struct me_machine *machine, struct me_error *err)
{
    const char *password = NULL;
    if (me_doc_string(object, "MACHINE_PASSWORD", &password, err)) return -1;
    if (password && *password && copy_text(password, &machine->password, err)) return -1;
    return read_password_env(reader, object, machine, err);
}

static int read_key_filename(const struct me_doc_object *object, struct me_machine *machine,
                             struct me_error *err)
{
    static const char key[] = "MACHINE_KEY_FILENAME";
    const char *file = NULL;
    if (me_doc_string(object, key, &file, err)) return -1;
    if (!file || !*file) return 0;
    if (me_text_has_control(file)) return fail_value(object, key, file, "holds a control character", err);
    if (*file != '~') return copy_text(file, &machine->key_filename, err);
    const char *home = getenv("HOME");
    if (file[1] != '/') return fail_value(object, key, file, "only ~/ is expanded; write the path out", err);
    if (!home || !*home) return fail_value(object, key, file, "HOME is not set; write the path out", err);
    if (asprintf(&machine->key_filename, "%s%s", home, file + 1) >= 0) return 0;
    machine->key_filename = NULL;
    return me_fail(err, ME_E_RUN, "no memory");
}

static int read_place(const struct me_doc_object *object, struct me_machine *machine, struct me_error *err)
{
    if (read_text(object, "country", me_config_check_country, &machine->country, err)) return -1;
    for (char *c = machine->country; c && *c; c++)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    if (read_text(object, "region", check_region, &machine->region, err)) return -1;
    if (me_doc_number(object, "grid_gco2_per_kwh", 0, 10000, &machine->grid_g_per_kwh, err)) return -1;
    return me_doc_number(object, "pue", 1, 10, &machine->pue, err);
}

/* One meter as text, or several as a list; here they stand one a line. What they say is checked where
 * sources are known. */
static int read_external(const struct me_doc_object *object, struct me_machine *machine, struct me_error *err)
{
    static const char key[] = "external";
    enum { LENGTH_MAX = 511 };
    const cJSON *node = me_doc_member(object, key), *one = node;
    struct me_buffer text = ME_BUFFER_INIT;
    int rc = 0;
    if (!node) return 0;
    if (cJSON_IsArray(node)) one = node->child;
    for (; one && !rc; one = cJSON_IsArray(node) ? one->next : NULL) {
        if (!cJSON_IsString(one) || !*one->valuestring || me_text_has_control(one->valuestring))
            rc = me_doc_fail(object, key, err, "a meter is text in double quotes, such as \"W pdu-watts 7\"");
        else
            me_buffer_printf(&text, "%s%s", text.len ? "\n" : "", one->valuestring);
    }
    if (!rc && text.len > LENGTH_MAX)
        rc = me_doc_fail(object, key, err, "longer than %d characters; put the command into a script",
                         LENGTH_MAX);
    if (!rc && text.len) rc = copy_text(text.data, &machine->external, err);
    me_buffer_release(&text);
    return rc;
}

static int check_python(const char *text, const char **why)
{
    size_t len = strlen(text);
    *why = !len ? "empty; give an interpreter or a virtual environment, or leave it out"
           : me_text_has_control(text) ? "holds a control character"
           : len > 511                 ? "longer than 511 bytes"
                                       : NULL;
    return *why ? -1 : 0;
}

static int read_name(const struct me_doc_object *object, struct me_machine *machine, struct me_error *err)
{
    if (read_text(object, "name", check_name, &machine->name, err)) return -1;
    return machine->name ? 0 : copy_text(machine->address, &machine->name, err);
}

static int fill(struct me_config_reader *reader, const struct me_doc_object *object,
                struct me_machine *machine, struct me_error *err)
{
    if (read_id(object, machine, err) || read_address(object, machine, err) ||
        read_port(object, machine, err))
        return -1;
    if (read_text(object, "MACHINE_USER", me_config_check_user, &machine->user, err)) return -1;
    if (default_user(reader, machine, err) || read_password(reader, object, machine, err)) return -1;
    if (read_key_filename(object, machine, err)) return -1;
    if (read_text(object, "host_key", me_config_check_host_key, &machine->host_key, err)) return -1;
    if (read_external(object, machine, err)) return -1;
    if (read_text(object, "python", check_python, &machine->python, err)) return -1;
    if (read_text(object, "docker_image", me_config_check_image, &machine->docker_image, err)) return -1;
    return read_place(object, machine, err) || read_name(object, machine, err) ? -1 : 0;
}

/* Hands `machine` over on success; else releases it, the password wiped, by way of a cluster. */
static int finish(int rc, struct me_machine *machine, struct me_machine *out)
{
    if (rc)
        me_cluster_release(&(struct me_cluster){.local = *machine});
    else
        *out = *machine;
    return rc;
}

int me_config_machine(struct me_config_reader *reader, const cJSON *node, size_t index,
                      struct me_machine *out, struct me_error *err)
{
    struct me_machine machine = {.line = me_doc_line(reader->doc, node), .grid_g_per_kwh = NAN, .pue = NAN};
    struct me_doc_object object;
    char path[48];
    snprintf(path, sizeof path, "machines[%zu]", index);
    if (me_doc_object(reader->doc, node, path, known_keys, &object, err)) return -1;
    return finish(fill(reader, &object, &machine, err), &machine, out);
}

int me_config_local(struct me_config_reader *reader, struct me_machine *out, struct me_error *err)
{
    struct me_machine machine = {.port = DEFAULT_PORT, .grid_g_per_kwh = NAN, .pue = NAN};
    int rc = -1;
    if (!copy_text("localhost", &machine.address, err) && !copy_text("localhost", &machine.name, err))
        rc = default_user(reader, &machine, err);
    return finish(rc, &machine, out);
}
