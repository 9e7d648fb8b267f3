/* The plan's command line, and the process that runs it. */
#ifndef ME_LAUNCH_H
#define ME_LAUNCH_H

#include <stdbool.h>
#include "me/error.h"

/* mpirun -hostfile HOSTFILE me_bench EXPERIMENT OPTIONS... [-- COMMAND]; NULL-terminated, freed
 * with me_launch_argv_free. me_bench is given by its bare name: the machines find it by PATH. */
int me_launch_argv(const char *hostfile, char *const *bench_args, char ***argv, struct me_error *err);
void me_launch_argv_free(char **argv);

/* Asked once a second: is there nothing left that mpirun has to wait for? */
struct me_launch_watch {
    bool (*is_over)(void *context);
    void *context;
};

/* Starts argv with the variables of `env_file` (gen.hosts.d/env: lines export NAME='VALUE') over
 * ours, less `strip_env` (NULL-terminated names), waits, and returns its exit status in *status.
 * SIGINT and SIGTERM to us become SIGUSR1 to mpirun (which forwards it to every rank: an orderly
 * end), the second one SIGTERM, the third SIGKILL to its group. If mpirun has not ended `patience_s`
 * after one of them, or after `watch` (NULL: nobody) has said that all is over, the next follows by itself. */
int me_launch_run(char *const *argv, const char *env_file, char *const *strip_env, double patience_s,
                  const struct me_launch_watch *watch, int *status, struct me_error *err);

#endif
