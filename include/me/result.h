/* The result: the tables of one experiment, row for row as they stand in the HDF5 file (format 1)
 * and in the reports. Built from records by pure functions; NaN is "not known". */
#ifndef ME_RESULT_H
#define ME_RESULT_H

#include "me/record.h"

#define ME_FORMAT_VERSION 1

struct me_row_machine {
    int32_t machine_id;
    char name[64], host[64], boot_id[40];
    char status[16], reason[256];
    char provenance[16]; /* the weakest of its counted channels: live, fake, replay */
    char cpu_model[96];
    int32_t sockets, cores, threads;
    double memory_gib;
    char kernel[96], country[4], region[48];
    double grid_gco2_per_kwh;
    char grid_source[160];
    char basis[16]; /* of the grid intensity: life-cycle, direct, as given */
    double pue;
    char sampler[96]; /* its rate, and below 5 ms whether it ran ahead of the workload */
    char engine[64], image[256], image_digest[72]; /* of the container that its rank ran in; "": in none */
    /* How far its clock was ahead of the head's, and by how much that may be wrong; NaN: not known. */
    double clock_offset_start_s, clock_bound_start_s, clock_offset_end_s, clock_bound_end_s;
    char series_file[256]; /* where its samples lie, if not in this file: "n1:/root/..."; "" */
};
struct me_row_channel {
    int32_t machine_id;
    char channel[48], source[16], scope[16], kind[16], cls[16], provenance[16], unit[8];
    double range;      /* microjoules, exact below 2^53; 0: none */
    double interval_s; /* 0: in every sample and at every edge; else read at its own pace */
    char device[24];
    int8_t counted;
    char why_not[96];
    char basis[384]; /* what a modelled or converted value rests on */
};
struct me_row_repeat { /* one row a phase; those of phase "run" are what is ranked */
    int32_t machine_id, repeat;
    char phase[16];
    int64_t start_unix_ns;
    double duration_s, energy_j, net_energy_j, mean_power_w, carbon_g;
    double work;
    char work_unit[24];
    int32_t exit_status;
    uint32_t late_samples;
    double sampler_cpu_s, longest_gap_s;
    char note[160]; /* why an energy is not known, or what went wrong */
    /* What the workload and its ended descendants used; NaN where nothing ran. */
    double cpu_s, context_switches, page_faults, read_bytes, written_bytes, max_rss_bytes;
    char workload[96]; /* what ran: "keras", "gemm --precision single", "command" */
    char region[48];   /* the region of it that is compared, see /regions; "": the whole run */
    double cpu_share;  /* the workload's CPU time over that of the whole machine; NaN where not known */
    double clock_offset_s,
        clock_bound_s; /* of the machine's clock at its begin, from the head's; NaN: not known */
};
struct me_row_energy { /* every channel of every phase, counted or not */
    int32_t machine_id, repeat;
    char phase[16], channel[48];
    double energy_j;
    char fault[64];
};
struct me_row_activity { /* what the machine did in every phase, beside using energy */
    int32_t machine_id, repeat;
    char phase[16], channel[48], unit[8];
    double value;     /* counters: how much it grew; gauges: the time-weighted mean */
    double low, high; /* gauges: the extremes; NaN for counters */
    char fault[64];
};
struct me_row_region {
    int32_t machine_id, repeat;
    char region[48];
    int64_t start_unix_ns; /* of its first call */
    uint32_t calls;
    double duration_s, energy_j, carbon_g;
    char note[96]; /* why its energy is not known, or that it is coarse */
};
struct me_row_metric { /* what the workload told of its outcome */
    int32_t machine_id, repeat;
    char workload[96], metric[48];
    double value;
};
struct me_row_job { /* a batch system's job that measured into this experiment: see me/batch.h */
    char job_id[32], array_job[32], array_task[32];
    int32_t restarts;
    int32_t first_repeat, last_repeat; /* what it ran; 0: nothing */
    char cluster[64], partition[64], nodes[1024];
    /* The batch system's own meter, over all nodes of its step; NaN where it has none. */
    char energy_plugin[64];
    double energy_every_s, energy_j, energy_begin_unix_s, energy_s;
};
struct me_row_job_node { /* a machine of such a job */
    char job_id[32];
    int32_t machine_id, first_repeat, last_repeat;
    char node[64], cpus[256];
    int32_t cpu_count, node_cpus;      /* what the job had of what there is; 0: not known */
    char sharing[16], shared_with[96]; /* no, possible, yes, "": me_sharing_name */
    double power_w;                    /* as the batch system's own meter showed it at the end */
};
struct me_row_summary {    /* one row a workload of a machine */
    int32_t machine_id, n; /* n: repeats that entered */
    char workload[96];
    char region[48];                     /* whose energy, carbon and time these are; "": the whole run's */
    double energy_mean_j, energy_ci95_j; /* half width of the 95 % t interval; NaN for n < 2 */
    double carbon_mean_g, carbon_ci95_g;
    double duration_mean_s, power_mean_w;
    double j_per_work, g_per_work, work_per_s;
    char work_unit[24];
    double accuracy, loss; /* mean of the metrics of these names; NaN if not told */
    char scopes[64], cls[16], provenance[16];
    int32_t group;               /* of one workload, machines that may be compared; 1.. */
    int32_t place, carbon_place; /* within the group, 1..; 0: not ranked, see reason */
    char reason[256];
};
struct me_result_series {
    int32_t machine_id, repeat; /* samples of that repeat's run phase (all phases: repeat 0 = idle) */
    size_t samples, channels;
    char (*names)[48]; /* [C] */
    int64_t *unix_ns;  /* [S] */
    double *values;    /* [S x C] in the channel's unit; NaN where not OK */
    uint8_t *states;   /* [S x C] enum me_reading_state */
};

struct me_result {
    char experiment[128], created_utc[32], tool_version[32], workload[512];
    char status[16]; /* complete, failed, interrupted */
    char *command;   /* the user's command for people, "" for a table workload */
    char *plan_json;
    struct me_row_machine *machines;
    size_t machine_count;
    struct me_row_channel *channels;
    size_t channel_count;
    struct me_row_repeat *repeats;
    size_t repeat_count;
    struct me_row_energy *energies;
    size_t energy_count;
    struct me_row_activity *activities;
    size_t activity_count;
    struct me_row_region *regions;
    size_t region_count;
    struct me_row_metric *metrics;
    size_t metric_count;
    struct me_row_job *jobs;
    size_t job_count;
    struct me_row_job_node *job_nodes;
    size_t job_node_count;
    struct me_row_summary *summaries;
    size_t summary_count;
    struct me_result_series *series;
    size_t series_count;
};
void me_result_release(struct me_result *result); /* NULL-safe */

/* Adds a machine: its row from the plan, and with a record (NULL: none came back or none was
 * expected) channels, repeats, energies, regions and series. Energies are evaluated here, from the
 * samples alone. `first_repeat` is added to the repeat numbers (for --append). Counted counters
 * that stalled are taken out of the count first, with why_not. */
int me_result_add(struct me_result *result, const struct me_plan_machine *machine, struct me_record *record,
                  int first_repeat, struct me_error *err);
/* The job of the plan and its nodes, behind the machines: a row each. Nothing where there is none. */
int me_result_add_job(struct me_result *result, const struct me_plan *plan, struct me_error *err);
/* How many rounds of its workloads the job has measured on all of its machines so far, under its number: before it was
 * requeued. A round is a good run of each of `workloads`. */
int me_result_rounds_done(const struct me_result *result, const char *job_id, int workloads);
/* A requeued job has brought to its end what was interrupted: of the machines that are well in `more`, base's
 * interrupt is forgotten; its rows stay. */
void me_result_forget_interrupts(struct me_result *base, const struct me_result *more);
/* Of a run that both tell a part of: what `fresh` says of jobs that `base` has a row of already goes into that row. */
void me_result_merge_jobs(struct me_result *base, struct me_result *fresh);
/* Of jobs that share an experiment, each numbers its machines from 0. Gives those of `more` the ids that they have in
 * `base`, and those that are new there the next free ones: known by boot id and channels, or by name where one
 * of both told nothing. A node that was restarted or lost a meter is another machine, and its name gets a "#2". ids (NULL, or
 * room for all machines of `more`) receives the new ones. */
int me_result_renumber(const struct me_result *base, struct me_result *more, int32_t *ids,
                       struct me_error *err);
/* Moves all rows and series of `more`, but its summaries, behind those of `result`, and releases `more`, also on failure;
 * without memory nothing is moved. */
int me_result_join(struct me_result *result, struct me_result *more, struct me_error *err);
/* Adds `by` to the numbers of all repeats, also where a machine's reason names one ("repeat 2: ..."); the idle phase
 * stays 0. A machine counts its repeats from 1, whatever was measured before. */
void me_result_shift(struct me_result *result, int by);
/* Appends the repeats of `more` to `base` (--append): machines are matched by id; a machine whose
 * boot id or channels changed is refused. Summaries are dropped. */
int me_result_append(struct me_result *base, const struct me_result *more, struct me_error *err);
/* Trainings whose test accuracies differ by more came out clearly unlike: of 10,000 images the standard
 * error is 0.0033, seeds spread by as much again, and this is four times both together. */
#define ME_ACCURACY_CLEARLY 0.02
/* An accuracy as a share of 1: some tell it so, others in percent, which is taken for what is above 1. NaN: it is
 * neither. */
double me_accuracy_share(double accuracy);
/* (Re)builds the summaries, one a machine and workload: statistics, groups, places. Compared is the energy
 * of the rows' region. A machine whose accuracy is clearly below the best of its group, is not known
 * where others told one, or whose loss is no number, gets no place and a reason. */
int me_result_rank(struct me_result *result, struct me_error *err);

/* Half width of the 95 % Student t interval of n values; NaN for n < 2. */
double me_ci95(const double *values, size_t n);

#endif
