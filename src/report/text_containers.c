#include <string.h>
#include "writer.h"

static bool is_alike(const struct me_row_machine *a, const struct me_row_machine *b)
{
    return !strcmp(a->engine, b->engine) && !strcmp(a->image, b->image) &&
           !strcmp(a->image_digest, b->image_digest);
}

/* The first of those that are alike tells of all of them. */
static bool is_told(const struct me_result *result, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (is_alike(&result->machines[j], &result->machines[i])) return true;
    return false;
}

/* What ran in containers, and in which: the figures are those of the whole machines all the same. */
void me_text_containers(const struct me_result *result, FILE *out)
{
    bool begun = false;
    for (size_t i = 0; i < result->machine_count; i++) {
        const struct me_row_machine *machine = &result->machines[i];
        struct me_buffer names = ME_BUFFER_INIT;
        if (!machine->engine[0] || is_told(result, i)) continue;
        for (size_t j = i; j < result->machine_count; j++)
            if (is_alike(machine, &result->machines[j]))
                me_buffer_printf(&names, "%s%s", names.len ? ", " : "", result->machines[j].name);
        if (!begun) fputs("\nRun in containers; the energy is that of the machines\n", out);
        begun = true;
        me_wrap(out, 2, "%s: %s, image %s, %s", names.failed ? machine->name : names.data, machine->engine,
                machine->image, machine->image_digest);
        me_buffer_release(&names);
    }
}
