/* Slurm: what it tells a job in the environment, and what its own commands (scontrol, squeue, sstat) answer. Parsing is
 * pure; only me_slurm_job_here, me_slurm_is_step and me_slurm_ask look at this machine. */
#ifndef ME_SLURM_H
#define ME_SLURM_H

#include <stdbool.h>
#include <stddef.h>
#include "me/batch.h"
#include "me/buffer.h"
#include "me/error.h"

/* --- here ----------------------------------------------------------------------------------------- */

/* From the environment. false, and *job is unknown: this process is in no job of Slurm's. */
bool me_slurm_job_here(struct me_batch_job *job);
/* Did srun start this process, and no mpirun between them? */
bool me_slurm_is_step(void);
/* Runs a command of Slurm's for at most `timeout_s` and appends what it says. -1: it is not there, failed, or took
 * longer; then *err (NULL: not asked) says so. */
int me_slurm_ask(const char *const *argv, double timeout_s, struct me_buffer *out, struct me_error *err);

/* --- texts ---------------------------------------------------------------------------------------- */

enum { ME_SLURM_NODE = 64, ME_SLURM_NODES_MAX = 100000 };
struct me_slurm_names {
    char (*names)[ME_SLURM_NODE];
    size_t count;
};
/* "n[1-3,07],login,r[1-2]c[0-3]" in its order; what is no such list is an ME_E_RUN. Release also after a failure. */
int me_slurm_expand(const char *text, struct me_slurm_names *out, struct me_error *err);
void me_slurm_names_release(struct me_slurm_names *names); /* NULL-safe */

/* The number of processors in "0-3,8"; -1: it is no such list. */
int me_slurm_count_cpus(const char *cpus);
/* Of SLURM_JOB_CPUS_PER_NODE, "4(x2),2": of the node with that index in the job's list; 0: not told. */
int me_slurm_cpus_of(const char *per_node, size_t index);

/* The value of KEY=value or "Key = value", up to the next blank, in the `len` bytes of text; "(null)", "n/s", "n/a" and
 * "N/A" are none. false: it is not there, or there is no value; then *value is "". */
bool me_slurm_value(const char *text, size_t len, const char *key, char *value, size_t size);

/* A node of the job as the answers are put together; `name` is the caller's. */
struct me_slurm_node {
    const char *name;
    struct me_batch_node *node;
};
/* `scontrol show config`: cluster (if it was not known), kill_wait_s, energy_plugin, energy_every_s. */
void me_slurm_take_config(const char *text, struct me_batch_job *job);
/* `scontrol -d show job`: cpus and cpu_count of the nodes. Returns whether the job has its nodes alone. */
bool me_slurm_take_job(const char *text, const struct me_slurm_node *nodes, size_t count);
/* `scontrol -o show node`: node_cpus and power_w. */
void me_slurm_take_nodes(const char *text, const struct me_slurm_node *nodes, size_t count);
/* `squeue -h -o '%A|%N'`: other jobs than `own` on the nodes go to shared_with, and sharing says so. */
void me_slurm_take_queue(const char *text, const char *own, const struct me_slurm_node *nodes, size_t count);
/* `sstat -n -P -o ConsumedEnergyRaw`: joules, NaN where it tells none. */
double me_slurm_joules(const char *text);

#endif
