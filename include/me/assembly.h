/* An assembly: from what the machines tell to the experiment's file and its logs. me_bench feeds it with what its
 * ranks send, `me recover` with journals; both give the same file.
 *
 * A machine's record is evaluated by me_parts_make, on the machine itself where one is gathered: the head then takes
 * its parts piece by piece to a file without a name in the experiment's folder (nothing of it is left by any kill), and
 * holds rows only. The series are copied into the result as they came, at the finish. */
#ifndef ME_ASSEMBLY_H
#define ME_ASSEMBLY_H

#include <stdio.h>
#include "me/buffer.h"
#include "me/plan.h"
#include "me/result.h"

/* plan_file.c: EXPERIMENT/plan.json, what the last run in this folder was to do. It is there before anything is
 * measured, and stays: `me recover` and --resume go by it. Secrets in a command's URLs are masked in it. Beside it
 * plan-RUN.json, of each other run whose repeats are not in the result yet: cut off before, or of a job that shares
 * the experiment. `run_id`: of such a one; NULL: plan.json. */
void me_plan_file_path(const char *folder, const char *run_id, char *path, size_t size);
int me_plan_file_write(const char *folder, const char *run_id, const struct me_plan *plan,
                       struct me_error *err);
int me_plan_file_read(const char *folder, const char *run_id, struct me_plan *plan, struct me_error *err);
/* Locks it as long as this process lives (fcntl), so that others see that the run goes on; a descriptor that stays
 * open, or -1. Nobody here may open and close the file after that. */
int me_plan_file_hold(const char *folder, const char *run_id);
int me_plan_file_holder(const char *folder, const char *run_id); /* the process that holds it; 0: none */
/* The run ids of the plan-RUN.json in the folder, at most `max`; how many. */
size_t me_plan_file_list(const char *folder, char (*run_ids)[17], size_t max);
/* The plan as it may be kept: a copy, with the secrets of URLs masked. */
int me_plan_to_keep(const struct me_plan *plan, struct me_plan *kept, struct me_error *err);

/* What a machine sends, in this order. */
enum me_part {
    ME_PART_ROWS,   /* me/message.h */
    ME_PART_SERIES, /* me_store_image */
    ME_PART_LOGS,   /* what its workload printed */
    ME_PART_COUNT,
};
struct me_parts {
    struct me_buffer part[ME_PART_COUNT];
    char kept
        [4096]; /* the file of series that stay here; "": none. It goes (remove) if no result comes to link to it */
};
/* Where a machine's series stay, if not in the result: a file of their own, in EXPERIMENT/series/ where the machine sees
 * the head's folder, else in its own folder for journals (me_journal_dir); under one name in both, and by that name
 * the result links to EXPERIMENT/series/. Where it cannot be written the series are sent after all. */
struct me_series_place {
    bool local;         /* in any case; else only what is larger than `limit` */
    uint64_t limit;     /* bytes, compressed */
    const char *folder; /* the experiment's */
    const char *run_id;
};
/* On the head before the ranks need it, and at the end: a file that shows who sees this folder. */
int me_series_place_show(const struct me_series_place *place, struct me_error *err);
void me_series_place_hide(const struct me_series_place *place);

/* Of a record or a journal as bytes. A machine that told nothing, or what cannot be read, is lost and its row says
 * why. A `place` of NULL: all series are sent. -1: no memory; the parts are empty then. */
int me_parts_make(const struct me_plan_machine *machine, const void *bytes, size_t len,
                  const struct me_series_place *place, struct me_parts *out, struct me_error *err);
void me_parts_release(struct me_parts *parts); /* NULL-safe */

struct me_assembly_options {
    const char *folder;    /* of the experiment; it is there, with logs/ in it */
    bool append;           /* adds to the result that is there */
    bool append_or_create; /* adds to the result if one is there at the finish */
    bool merge; /* completes the result, if one is there: numbers are the plan's, behind first_repeat; what is
                            * there already stays, and what was cut off gives way */
    bool
        recovered; /* what comes are journals: one that ends early is no lost machine, but an interrupted one */
    const char *program; /* "me_bench": begins the lines to `out` */
    FILE *out;           /* hears of logs that have no room, and of another writer that is waited for */
    bool (*look)(
        void *context); /* called while the finish waits or writes; false: no longer wait. May be NULL */
    void *context;
};

struct me_assembly;
/* The plan and the options' texts are the caller's and stay until the release; statuses and reasons of the plan's
 * machines are filled in. */
int me_assembly_begin(struct me_assembly **out, struct me_plan *plan,
                      const struct me_assembly_options *options, struct me_error *err);
/* The next piece of a part of machine `id`; `last` ends the part. Pieces of several machines may come in turn. A
 * machine of which not all parts have come at the finish is lost, but its rows are kept if they had come whole. */
int me_assembly_take(struct me_assembly *assembly, int id, enum me_part part, const void *bytes, size_t len,
                     bool last, struct me_error *err);
/* What machine `id` of the plan told, a record or a journal as bytes; NULL or nothing: none came. Once a machine, in
 * any order; machines that are not part of the result (a head that only leads) are passed over. */
int me_assembly_add(struct me_assembly *assembly, int id, const void *bytes, size_t len,
                    struct me_error *err);
/* plan->first_repeat tells the numbers that the repeats got.
 * Ranks and writes the file, then the logs, under the lock of the result's one writer; repeats get their numbers here,
 * behind those that the result has by now. Plan machines that nothing was added for are lost, or what the plan says.
 * A result that another run made since the begin is added to, or without the options that say so not touched.
 * `stopped`: the experiment is "interrupted". *result (without series) is the caller's. Nothing is changed on failure. */
int me_assembly_finish(struct me_assembly *assembly, bool stopped, struct me_result *result,
                       struct me_error *err);
void me_assembly_release(struct me_assembly *assembly); /* NULL-safe */

/* Was this run cut off (note "interrupted"), so that --resume measures its repeat again? */
bool me_assembly_is_cut_off(const struct me_row_repeat *row);

/* Which of a run's repeats 1..total, whose numbers stand behind `first`, the result has of a machine: me_repeats_has. */
int me_assembly_done(const struct me_result *result, int machine_id, int first, int total, char *set,
                     size_t size, struct me_error *err);

/* For --append, before anything is run: may what comes be added to what is there? What only the machines
 * can tell (boot ids, channels) is looked at afterwards. */
int me_assembly_check(const struct me_plan *plan, const char *folder, struct me_error *err);

#endif
