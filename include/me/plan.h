/* The plan: what every rank must know to run. It holds no secret; rank 0 broadcasts it as JSON text
 * and stores the same text in the result. */
#ifndef ME_PLAN_H
#define ME_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include "me/buffer.h"
#include "me/error.h"
#include "me/batch.h"
#include "me/options.h"

/* The options of an experiment: command line over config over defaults. */
struct me_options_experiment {
    const char *framework;  /* workloads of the table with commas, each with options of its own behind
                            * its name: "keras,gemm --precision single"; left aside if `command` or
                            * `train_func` is given */
    int samples;            /* images that the image frameworks train on; 0: all */
    const char *train_func; /* "file.py:function", or NULL */
    const char *args;       /* JSON for train_func: an object (keywords) or an array; NULL: none */
    const char *python;     /* an interpreter or a virtual environment; NULL: see me/workload.h */
    char with[2048];        /* files and folders shipped to every machine, one a line; "": none */
    const char *region;     /* what is compared; NULL: as the workload says; "whole": the whole run */
    int repeats;            /* 1.. */
    int warmup;             /* unmeasured repeats first */
    double idle_s;          /* idle phase before, for the net energy; 0: none */
    double cooldown_s;      /* pause after each repeat */
    double sample_hz;       /* 1..1000 */
    double timeout_s;       /* a repeat that runs longer is ended and marked; 0: none */
    const char *sources;    /* comma-separated names, or NULL: the program chooses */
    const char *external;   /* the user's own meter, or NULL: see README, "Your own meter" */
    const char *events;     /* hardware events, comma-separated names, or NULL: a default set */
    char **command;         /* NULL-terminated user's command, or NULL; not freed by the codec */
};
/* name, default and help of each field; shared by me_bench, me run, me hosts and the config. */
extern const struct me_option me_experiment_options[];
void me_experiment_defaults(struct me_options_experiment *experiment);
/* What the rows alone cannot tell: the form of --train-func, the letters of --region, texts that no plan has
 * room for. What was not given is NULL. */
int me_experiment_check(const struct me_options_experiment *experiment, struct me_error *err);
/* Of one command line: --framework, --train-func and a command exclude each other. */
int me_experiment_check_choice(const struct me_options_experiment *line, struct me_error *err);

enum me_machine_status {
    ME_STATUS_OK = 0,
    ME_STATUS_FAILED, /* its workload or its meter failed; reason says what */
    ME_STATUS_INTERRUPTED,
    ME_STATUS_SKIPPED,   /* not part of the run: failed at `me hosts --skip-failed` */
    ME_STATUS_DUPLICATE, /* another entry is the same machine (boot id); counted there */
    ME_STATUS_LOST,      /* no record came back */
};
const char *me_status_name(enum me_machine_status status);

/* A machine as the plan knows it: no address, no user, no secret. */
struct me_plan_machine {
    int id;
    char name[64];
    char alias[16];  /* the hostfile's made-up name: "me-0001"; "localhost" for 0 */
    char country[4]; /* "" if unknown */
    char region[48];
    double grid_g_per_kwh; /* resolved; see grid_source */
    char grid_source[160]; /* table or config, year, basis: see me/carbon.h */
    char basis[16];        /* of grid_g_per_kwh: "life-cycle", "direct", "as given"; "" if unknown */
    double pue;
    char external[512];    /* the user's own meters there, one a line; "": those of the plan */
    char python[512];      /* an interpreter or a virtual environment there; "": the plan's */
    char engine[64];       /* "docker 20.10.24": what its rank's container runs in; "": no container */
    char image[256];       /* of the container, as the user or the default names it */
    char image_digest[72]; /* "sha256:...": the registry's digest of it, else its id */
    enum me_machine_status status;
    char reason[256];
    struct me_batch_node node; /* in a job */
    char done[256]; /* numbers of the repeats that the result has already, "1-3,5": of --resume; "": none */
};

#define ME_PLAN_COMMAND_MAX 256
struct me_plan {
    char experiment[128];
    char run_id[17];    /* random hex: names journals and temporary files of this run */
    char workload[512]; /* "native", "keras,gemm --size 2048", or "command", "function" */
    char function[512]; /* of workload "function": "file.py:function" */
    char args[4096];    /* JSON; "": none */
    char python[512];   /* "": see me/workload.h */
    char with[2048];    /* what the head ships, one a line, as the user named it; "": nothing */
    char region[48];    /* "": as the workload says */
    int samples;        /* 0: all */
    char *command[ME_PLAN_COMMAND_MAX + 1]; /* user's command, NULL-terminated; empty for a table workload */
    int repeats, warmup;
    double idle_s, cooldown_s, sample_hz, timeout_s;
    char sources[128];  /* "" : chosen by the program */
    char external[512]; /* "": none */
    char events[512];   /* "": the default set */
    bool run_local;     /* rank 0 measures */
    bool run_docker;    /* ranks that measure run in containers: rank 0, the head, is none of them */
    bool from_hostfile; /* machines are those of `me hosts`; else one machine a node, by rank */
    struct me_plan_machine *machines;
    size_t count;
    struct me_batch_job job; /* that we run in */
    /* Of the experiment's plan.json alone: */
    char hosts_dir[1024]; /* absolute path of the hostfile's companion folder; "": there is none */
    int first_repeat;     /* its repeats have numbers behind this one in the result; -1: not settled yet */
    bool masked;          /* a secret was taken out of the texts: they cannot be run as they stand */
    char **strip_env;     /* names of variables that hold passwords: no child sees them */
    size_t strip_count;
};
void me_plan_release(struct me_plan *plan);
/* The plan's machine of this id; NULL: it has none. */
struct me_plan_machine *me_plan_find(const struct me_plan *plan, int id);
/* What the options ask for, after me_experiment_check. Their texts and their command may point into the plan
 * itself; all are copied. */
int me_plan_set_experiment(struct me_plan *plan, const struct me_options_experiment *experiment,
                           struct me_error *err);

/* Sets of repeats as text, "1-3,5"; "" has none, "all" each. */
#define ME_REPEATS_ALL "all"
bool me_repeats_has(const char *set, int repeat);
/* Those of 1..count that are there; what has no room in `size` is left out. */
void me_repeats_put(const bool *there, int count, char *set, size_t size);

/* src/config/args.c: may the JSON text be the arguments of a function? An object or an array. */
int me_config_check_args(const char *text, struct me_error *err);
/* src/config/plan_json.c */
int me_plan_to_json(const struct me_plan *plan, struct me_buffer *out, struct me_error *err);
int me_plan_from_json(const char *text, size_t len, struct me_plan *out, struct me_error *err);

#endif
