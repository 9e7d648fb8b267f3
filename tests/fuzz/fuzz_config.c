/* Any bytes as a config and as a plan: refused with one line that names the place, or accepted, and
 * then what was read keeps its promises. */
#include "me/cluster.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_failure(const struct me_error *err, const char *source)
{
    size_t len = strlen(source);
    bool memory = strstr(err->text, "no memory");
    if (memory) return;
    if (err->code != ME_E_INPUT || strncmp(err->text, source, len) || err->text[len] != ':') abort();
    if (strpbrk(err->text, "\n\r\x1b")) abort();
}

static void check_machine(const struct me_machine *machine)
{
    if (!machine->name || !*machine->name || !machine->address || !machine->user) abort();
    if (machine->id < 0 || machine->id > 9999 || machine->port < 1 || machine->port > 65535) abort();
    if (*machine->address == '-' || strpbrk(machine->address, " \t\n;|&$`'\"")) abort();
    for (const char *c = machine->user; *c; c++)
        if ((unsigned char)*c < 0x20) abort();
}

static void try_config(const uint8_t *bytes, size_t len)
{
    struct me_config_options options = {.no_secrets = true};
    struct me_cluster cluster;
    struct me_error err = {0};
    if (me_config_parse((const char *)bytes, len, "c", &options, &cluster, &err)) {
        check_failure(&err, "c");
        return;
    }
    for (size_t i = 0; i < cluster.count; i++) check_machine(&cluster.machines[i]);
    check_machine(&cluster.local);
    if (cluster.count == 0 && !cluster.run_local) abort();
    me_cluster_release(&cluster);
}

/* A plan that was read is written and read back as the same text. */
static void try_plan(const uint8_t *bytes, size_t len)
{
    struct me_plan plan, back;
    struct me_buffer first = ME_BUFFER_INIT, second = ME_BUFFER_INIT;
    struct me_error err = {0};
    if (me_plan_from_json((const char *)bytes, len, &plan, &err)) {
        check_failure(&err, "plan");
        return;
    }
    if (me_plan_to_json(&plan, &first, &err)) abort();
    if (me_plan_from_json(first.data, first.len, &back, &err)) abort();
    if (me_plan_to_json(&back, &second, &err)) abort();
    if (strcmp(first.data, second.data)) abort();
    me_plan_release(&plan);
    me_plan_release(&back);
    me_buffer_release(&first);
    me_buffer_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    try_config(bytes, len);
    try_plan(bytes, len);
    return 0;
}
