#include "kernel.h"
#include "me/version.h"
#include <sched.h>
#include <stdio.h>

int me_kernel_options(const struct me_command *command, int argc, char **argv, void *target,
                      struct me_error *err)
{
    struct me_operands operands;
    if (me_options_parse(command, argc, argv, target, &operands, err)) return -1;
    if (operands.help)
        me_options_help(command, stdout);
    else if (operands.version)
        printf("me_kernel (Machine Energy) %s\n", ME_VERSION);
    return operands.help || operands.version;
}

int me_kernel_report(const char *kernel, const struct me_error *err)
{
    fprintf(stderr, "me_kernel %s: %s\n", kernel, err->text);
    return (int)err->code;
}

int me_kernel_cpus(void)
{
    enum { CPUS_MAX = 8192 }; /* the most that Linux can be built for; a cpu_set_t ends at 1024 */
    unsigned long mask[CPUS_MAX / (8 * sizeof(unsigned long))] = {0};
    cpu_set_t *set = (cpu_set_t *)mask;
    if (sched_getaffinity(0, sizeof mask, set)) return 1;
    int n = CPU_COUNT_S(sizeof mask, set);
    return n > 0 ? n : 1;
}
