/* A batch system's job, as it tells of itself and of the nodes that it was given; for Slurm, src/slurm. The plan
 * holds it, and the result's tables /jobs and /job_nodes are made from there. Texts are "" where not known. */
#ifndef ME_BATCH_H
#define ME_BATCH_H

struct me_batch_job {
    char id[32]; /* "4711"; "": we run in no job */
    char cluster[64], partition[64];
    char nodes[1024]; /* "n[1-3,7]", as Slurm writes it */
    char array_job[32], array_task[32];
    int restarts;       /* how often it was requeued */
    double kill_wait_s; /* from SIGTERM to SIGKILL; NaN: not known */
    /* The meter of the batch system itself; NaN where it has none, or did not tell. */
    char energy_plugin[64];                 /* "acct_gather_energy/rapl" */
    double energy_every_s;                  /* how often it reads: the figure's resolution */
    double energy_before_j, energy_after_j; /* of all nodes of the step, at the two moments below */
    double before_unix_s, after_unix_s;     /* NaN: was not asked */
};

/* Whether other jobs can have used a node meanwhile. */
enum me_sharing {
    ME_SHARING_UNKNOWN = 0,
    ME_SHARING_NONE,     /* the job has all of its processors, or was given it alone */
    ME_SHARING_POSSIBLE, /* it has a part only, and no other job was seen */
    ME_SHARING_SEEN,     /* other jobs ran there, see shared_with */
};
const char *me_sharing_name(enum me_sharing sharing); /* "", "no", "possible", "yes" */

struct me_batch_node {
    char node[64];  /* the batch system's name of it; "": of no job */
    char cpus[256]; /* what the job has of it: "0-3,8", in the batch system's numbers */
    int cpu_count;  /* how many these are; 0: not known */
    int node_cpus;  /* how many the batch system knows there; 0: not known */
    enum me_sharing sharing;
    char shared_with[96]; /* jobs: "4712, 4715" */
    double power_w;       /* what its own meter showed at the end; NaN: not known */
};

/* Nothing is known: what is a number is NaN. */
#define ME_BATCH_JOB_UNKNOWN                                                                                 \
    {                                                                                                        \
        .kill_wait_s = __builtin_nan(""), .energy_every_s = __builtin_nan(""),                               \
        .energy_before_j = __builtin_nan(""), .energy_after_j = __builtin_nan(""),                           \
        .before_unix_s = __builtin_nan(""), .after_unix_s = __builtin_nan("")                                \
    }
#define ME_BATCH_NODE_UNKNOWN                                                                                \
    {                                                                                                        \
        .power_w = __builtin_nan("")                                                                         \
    }

#endif
