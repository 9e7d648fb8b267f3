#include "bench.h"

static const char details[] =
    "Starts one MPI rank a machine; all run the workload at the same time, each repeat from one\n"
    "barrier, while each rank samples its machine's energy. Rank 0 writes EXPERIMENT/EXPERIMENT.h5.\n"
    "\n"
    "With a hostfile of `me hosts` rank 0 is the head and measures only if the config says run_local;\n"
    "otherwise (mpirun or srun in an allocation) every node is a machine.\n"
    "\n"
    "Examples:\n"
    "  mpirun -hostfile gen.hosts me_bench exp1\n"
    "  mpirun -hostfile gen.hosts me_bench exp2 --repeats 5 --idle 10 -- ./solver input.dat\n"
    "  mpirun -n 1 me_bench here --framework spin --sample-hz 100\n"
    "  mpirun -hostfile gen.hosts me_bench exp1 --append --repeats 3\n"
    "  srun -N3 --ntasks-per-node=1 --mpi=pmix me_bench exp1 --repeats 3\n"
    "\n"
    "me_bench --check LIST, without mpirun, only tells whether this machine can run these workloads.\n"
    "\n"
    "Exit status: 0 done; 1 something in it failed (the result says what); 2 bad input, nothing was\n"
    "touched; 3 a machine could not be reached.\n";

static struct me_command describe(const struct me_option *rows)
{
    return (struct me_command){
        .program = "me_bench",
        .usage = "EXPERIMENT [OPTION...] [-- COMMAND [ARG...]]",
        .summary = "Runs a workload on all machines at once and measures its energy and carbon.",
        .details = details,
        .options = rows,
        .min_operands = 1,
        .max_operands = 1,
        .takes_command = true};
}

void me_bench_help(FILE *out)
{
    struct me_option rows[ME_BENCH_OPTIONS_MAX];
    me_bench_options_rows(rows, 0);
    struct me_command command = describe(rows);
    me_options_help(&command, out);
}

int me_bench_parse(int argc, char **argv, struct me_bench_options *options, struct me_operands *operands,
                   struct me_error *err)
{
    struct me_option rows[ME_BENCH_OPTIONS_MAX];
    me_bench_options_rows(rows, 0);
    struct me_command command = describe(rows);
    if (me_options_parse(&command, argc, argv, options, operands, err)) return -1;
    if (operands->help || operands->version) return 0;
    options->folder = operands->values[0];
    if (operands->command && !operands->command[0])
        return me_fail(err, ME_E_INPUT, "--: no command behind it");
    if (operands->command) options->experiment.command = operands->command;
    return me_bench_options_check(options, err);
}
