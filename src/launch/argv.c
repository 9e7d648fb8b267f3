#include <stdlib.h>
#include <string.h>
#include "me/launch.h"

int me_launch_argv(const char *hostfile, char *const *bench_args, char ***argv, struct me_error *err)
{
    const char *const head[] = {"mpirun", "-hostfile", hostfile, "me_bench"};
    size_t heads = sizeof head / sizeof *head, count = 0;
    while (bench_args[count]) count++;
    char **words = calloc(heads + count + 1, sizeof *words);
    for (size_t i = 0; words && i < heads + count; i++) {
        words[i] = strdup(i < heads ? head[i] : bench_args[i - heads]);
        if (words[i]) continue;
        me_launch_argv_free(words);
        words = NULL;
    }
    if (!words) return me_fail(err, ME_E_RUN, "no memory for mpirun's arguments");
    *argv = words;
    return 0;
}

void me_launch_argv_free(char **argv)
{
    for (size_t i = 0; argv && argv[i]; i++) free(argv[i]);
    free(argv);
}
