#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "me/version.h"

#define FINALIZE_S  20
#define RANKS_PER_S 4 /* and so much more: hundreds of ranks on one machine take turns */

/* Every rank checks the command line, before MPI starts; only the first one speaks. */
static bool is_first_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *rank = getenv(names[i]);
        if (rank) return strcmp(rank, "0") == 0;
    }
    return true;
}

static int say(const struct me_error *err)
{
    if (err->code != ME_OK && is_first_rank()) fprintf(stderr, "me_bench: %s\n", err->text);
    return (int)err->code;
}

/* A copy of the vector: parsing reorders it, and the head parses once more over the config. */
static char **copy_vector(int argc, char **argv)
{
    char **copy = calloc((size_t)argc + 1, sizeof *copy);
    if (copy) memcpy(copy, argv, (size_t)argc * sizeof *copy);
    return copy;
}

static int check_line(int argc, char **argv, struct me_bench_options *given, struct me_operands *operands,
                      struct me_error *err)
{
    struct me_bench_options options;
    char **line = copy_vector(argc, argv);
    if (!line) return me_fail(err, ME_E_RUN, "no memory");
    me_bench_options_defaults(&options);
    options.experiment.framework = NULL; /* not given */
    int rc = me_bench_parse(argc, line, &options, operands, err);
    if (!rc) rc = me_experiment_check_choice(&options.experiment, err);
    if (!rc) rc = me_experiment_check(&options.experiment, err);
    free(line);
    *given = options;
    return rc;
}

struct patience {
    bool is_head;
    int code, seconds;
};

/* The process ends before it wakes up, or by it. */
static void *lose_patience(void *arg)
{
    struct patience patience = *(struct patience *)arg;
    sleep((unsigned)patience.seconds);
    me_leave(patience.is_head, patience.code ? patience.code : ME_E_RUN);
    return NULL;
}

/* Where a rank or a daemon hangs or died after its last word, MPI would wait for it without end. All is done by now. */
static void finalize(int code)
{
    pthread_t thread;
    struct patience patience = {.code = code};
    int rank = 0, ranks = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    patience.is_head = rank == 0;
    patience.seconds = FINALIZE_S + ranks / RANKS_PER_S;
    if (!pthread_create(&thread, NULL, lose_patience, &patience)) pthread_detach(thread);
    MPI_Finalize();
}

int main(int argc, char **argv)
{
    struct me_error err = {0};
    struct me_operands operands;
    struct me_bench_options options;
    if (me_tether_is_wanted(argc, argv)) {
        int code = me_tether_run(argv, &err);
        return code < 0 ? say(&err) : code;
    }
    if (me_check_is_wanted(argc, argv)) {
        int code = me_check_run(argc, argv, stdout, &err);
        return code < 0 ? say(&err) : code;
    }
    if (me_leftover_is_wanted(argc, argv)) return me_leftover_run(argc, argv, &err) ? say(&err) : 0;
    if (check_line(argc, argv, &options, &operands, &err)) return say(&err);
    if (operands.help || operands.version) {
        if (operands.help)
            me_bench_help(stdout);
        else
            printf("me_bench (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    int granted;
    me_guard(argv);
    me_signals_watch(); /* before MPI: a stop may come while the other ranks still start */
    if (options.resume && is_first_rank()) me_resume_recover(options.folder);
    if (MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &granted)) {
        fprintf(stderr, "me_bench: MPI did not start; start it with mpirun or srun --mpi=pmix\n");
        return ME_E_RUN;
    }
    int code = me_bench_run(MPI_COMM_WORLD, argc, argv, stderr, &err);
    if (code < 0) code = say(&err);
    finalize(code);
    return code;
}
