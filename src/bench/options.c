#include <stddef.h>
#include <string.h>
#include "bench.h"

static const struct me_option own_options[] = {
    {.name = "append",
     .type = ME_OPTION_FLAG,
     .offset = offsetof(struct me_bench_options, append),
     .help = "add repeats to an existing experiment"},
    {.name = "force",
     .type = ME_OPTION_FLAG,
     .offset = offsetof(struct me_bench_options, force),
     .help = "move an existing experiment aside (EXPERIMENT.old-TIME) and begin a new one"},
    {.name = "progress",
     .type = ME_OPTION_STRING,
     .offset = offsetof(struct me_bench_options, progress),
     .argument = "MODE",
     .help = "auto (default: one line a machine on a terminal), lines, or none"},
    {.name = "lost-after",
     .type = ME_OPTION_DOUBLE,
     .offset = offsetof(struct me_bench_options, lost_after_s),
     .min = 1,
     .max = 86400,
     .argument = "S",
     .help = "seconds of silence after which a machine counts as lost, also when a stop was asked for "
             "(default 30)"},
    {.name = "root",
     .type = ME_OPTION_STRING,
     .offset = offsetof(struct me_bench_options, root),
     .argument = "DIR",
     .help = "where /sys and /proc are found (default /; a container's /host)"},
    {0}};

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
    "\n"
    "Exit status: 0 done; 1 something in it failed (the result says what); 2 bad input, nothing was\n"
    "touched; 3 a machine could not be reached.\n";

#define ROWS_MAX 40

/* The experiment's rows and ours as one table. */
static void join_rows(struct me_option *rows)
{
    size_t n = 0;
    for (const struct me_option *row = me_experiment_options; row->name && n < ROWS_MAX - 1; row++)
        rows[n++] = *row;
    for (const struct me_option *row = own_options; row->name && n < ROWS_MAX - 1; row++) rows[n++] = *row;
    rows[n] = (struct me_option){0};
}

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
    struct me_option rows[ROWS_MAX];
    join_rows(rows);
    struct me_command command = describe(rows);
    me_options_help(&command, out);
}

void me_bench_defaults(struct me_bench_options *options)
{
    *options = (struct me_bench_options){.progress = "auto", .root = "/", .lost_after_s = 30};
    me_experiment_defaults(&options->experiment);
}

static int check_progress(const char *mode, struct me_error *err)
{
    if (!strcmp(mode, "auto") || !strcmp(mode, "lines") || !strcmp(mode, "none")) return 0;
    return me_fail(err, ME_E_INPUT, "--progress: %s is not auto, lines or none", mode);
}

/* The folder's last part names the result file, so it must be a name. */
static int check_folder(const char *folder, struct me_error *err)
{
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/') len--;
    size_t start = len;
    while (start > 0 && folder[start - 1] != '/') start--;
    size_t name = len - start;
    if (name == 0 || !strncmp(folder + start, ".", name) || (name == 2 && !strncmp(folder + start, "..", 2)))
        return me_fail(err, ME_E_INPUT, "EXPERIMENT: \"%s\" does not end in a name; give one such as exp1",
                       folder);
    if (name > 100) return me_fail(err, ME_E_INPUT, "EXPERIMENT: the name is longer than 100 characters");
    for (size_t i = start; i < len; i++)
        if ((unsigned char)folder[i] < ' ')
            return me_fail(err, ME_E_INPUT, "EXPERIMENT: the name holds a control character");
    return 0;
}

int me_bench_parse(int argc, char **argv, struct me_bench_options *options, struct me_error *err)
{
    struct me_option rows[ROWS_MAX];
    join_rows(rows);
    struct me_command command = describe(rows);
    struct me_operands operands;
    if (me_options_parse(&command, argc, argv, options, &operands, err)) return -1;
    options->help = operands.help;
    options->version = operands.version;
    if (operands.help || operands.version) return 0;
    options->folder = operands.values[0];
    if (operands.command && !operands.command[0]) return me_fail(err, ME_E_INPUT, "--: no command behind it");
    if (operands.command) options->experiment.command = operands.command;
    if (options->append && options->force)
        return me_fail(err, ME_E_INPUT,
                       "--append: not together with --force: one adds, the other begins anew");
    if (check_progress(options->progress, err)) return -1;
    return check_folder(options->folder, err);
}
