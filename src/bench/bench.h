/* me_bench: one rank a machine. The way of an experiment:
 *
 *   options.c   command line over config over defaults
 *   setup.c     rank 0: experiment folder, plan, which rank is which machine (roles.c, pure)
 *   allocation.c  rank 0: the batch system's job that we run in
 *   ready.c     every rank: files to the machines, and can they run it? folder.c keeps the files
 *   station.c   a measuring rank: phases, repeats, edges, marks -> record (and journal); station_open.c makes
 *               it ready, opener.c opens its meters, marks.c takes what the workload tells
 *   maker.c     a measuring rank: its record becomes rows, series and logs, the parts that it sends
 *   head.c      rank 0: lets all start together, shows progress, stops, takes the parts; knows who is
 *               lost by their silence
 *   tether.c    me_bench --tether: what ends a container when mpirun has ended
 *   check.c     me_bench --check: can this machine run a workload?
 *   leftover.c  me_bench --journal: what a run that was cut off left here
 *   resume.c    --resume: what is missing, and is it the same work?
 *   guard.c     between Open MPI and a rank, so that the death of one does not end all
 *   leave.c     the end where ranks are lost
 *   run.c       the order of all that, with the parts into me/assembly.h; main.c is four lines */
#ifndef ME_BENCH_H
#define ME_BENCH_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>
#include "../gather/gather.h"
#include "me/experiment.h"
#include "me/plan.h"
#include "me/result.h"

/* Parses over the values that `options` holds (me_bench_options_defaults first). argv is reordered.
 * *operands says whether help or the version was asked for; nothing is checked then. */
int me_bench_parse(int argc, char **argv, struct me_bench_options *options, struct me_operands *operands,
                   struct me_error *err);
void me_bench_help(FILE *out);

/* setup.c. Reads $ME_HOSTS_DIR/machines.json if there is one, else an empty plan; then the command
 * line again over it, since only now the config's values are known. */
int me_setup_plan(int argc, char **argv, struct me_bench_options *options, struct me_plan *plan,
                  struct me_error *err);
/* May the experiment's folder be made? It exists without --append or --force: no. Touches nothing. */
int me_setup_look(const struct me_bench_options *options, struct me_error *err);
/* Is there a result to append to, by now? Where jobs share an experiment, the next moment there may be. */
bool me_setup_appends(const struct me_bench_options *options);
/* Makes it ready, after the same look. */
int me_setup_folder(const struct me_bench_options *options, struct me_error *err);

/* roles.c: who measures what; pure. One rank a boot id measures: the first that may. Machines of the
 * plan that no rank came for are LOST, those that are another one again are DUPLICATE. Without a
 * hostfile the plan's machines are made here: one a node, numbered by rank. */
int me_roles_assign(struct me_plan *plan, const struct me_hello *hellos, int ranks, struct me_role *roles,
                    struct me_error *err);

/* folder.c: a private folder for a run's files on this machine. */
struct me_folder {
    char path[4096]; /* "": there is none */
    char parent[4096];
    bool parent_is_ours;
    int lock; /* held as long as the run lives, so that no other takes the folder for a dead one's */
};
/* Makes it where programs may be run and `room` bytes more have room, with our own files in it. Removes those of
 * runs that died more than a day ago. */
int me_folder_make(struct me_folder *out, const struct me_plan *plan, int machine_id, uint64_t room,
                   struct me_error *err);
/* Removes it with all that is in it, or says on stderr that something stays; once is enough, and NULL-safe. */
void me_folder_remove(struct me_folder *folder);

/* ready.c: before anything is touched on the head, all machines get their files and tell whether they can run
 * the plan's workloads and have the root. `planned` false: this rank could not read the plan, and err says why. On the head
 * `parcel` is what me_workload_pack made, and the experiment's folder is made if all are ready; if not, a line a
 * machine goes to `out`. -1 on all ranks then; on others than the head without an error of their own. */
int me_ready_agree(MPI_Comm comm, const struct me_plan *plan, bool planned, const struct me_role *roles,
                   const struct me_role *mine, struct me_buffer *parcel,
                   const struct me_bench_options *options, struct me_folder *folder, FILE *out,
                   struct me_error *err);
/* Where the plan's workloads run on a machine. */
struct me_workload_place;
void me_ready_place(const struct me_plan *plan, const struct me_role *role, const char *files,
                    struct me_workload_place *place);

/* check.c: me_bench --check LIST, without MPI: a line a workload. Returns the exit code, or -1 with err. */
bool me_check_is_wanted(int argc, char **argv);
int me_check_run(int argc, char **argv, FILE *out, struct me_error *err);

/* leftover.c: me_bench --journal send|remove RUN-MACHINE, without MPI. Sends the journal of that run, ending first what is
 * left of it on this machine; removes it with all temporary files of the run. 0, or -1 with err. */
bool me_leftover_is_wanted(int argc, char **argv);
int me_leftover_run(int argc, char **argv, struct me_error *err);

/* resume.c. Before MPI starts, on the first rank: `me recover`, which takes in what journals hold; tells its own lines. */
void me_resume_recover(const char *folder);
/* Is it the work of `before`, the plan that was kept? Then it gets that one's numbers. */
int me_resume_check(const struct me_plan *before, struct me_plan *plan, struct me_error *err);
/* Fills in what the result has of each machine. */
int me_resume_fill(struct me_plan *plan, const char *folder, bool *nothing_left, struct me_error *err);
/* Of the machines that have measured all. */
void me_resume_stand_aside(const struct me_plan *plan, struct me_role *roles, int ranks);

/* tether.c, without MPI too. Returns the exit code, or -1 with err. */
bool me_tether_is_wanted(int argc, char **argv);
int me_tether_run(char **argv, struct me_error *err);

/* The other side of a station: what lets it start and what can stop it. */
struct me_link {
    void *context;
    /* Stands before phase n until all machines do; false: stop. */
    bool (*ready)(struct me_link *link, int n);
    /* Called several times a second with what to show; false: stop. */
    bool (*tick)(struct me_link *link, const struct me_progress *now);
    /* Called several times a second while meters are waited for; false: stop. */
    bool (*wait)(struct me_link *link);
    /* How do this machine's clock and the head's stand to each other? Takes 0.3 s at most; false: not known. */
    bool (*clock)(struct me_link *link, struct me_clock_offset *offset);
};

/* station.c. Measures and fills `record` (also when it fails or is stopped: then the record says
 * so). *journal is the caller's to close, NULL if there is none. Returns -1 only if there is no record. */
struct me_station_options {
    const struct me_plan *plan;
    struct me_role role;
    const char *root;
    const char *files; /* the folder of me_workload_unpack */
};
struct me_journal;
int me_station_run(const struct me_station_options *options, struct me_link *link, struct me_buffer *record,
                   struct me_journal **journal, struct me_error *err);

/* head.c */
struct me_head;
/* `data`: me_gather_split. */
int me_head_create(struct me_head **out, MPI_Comm comm, MPI_Comm data, const struct me_plan *plan,
                   const struct me_role *roles, const struct me_bench_options *options, FILE *terminal,
                   struct me_error *err);
void me_head_destroy(struct me_head *head);
struct me_link me_head_link(struct me_head *head); /* for the station of rank 0 itself */
/* Waits until the parts of every machine are in the assembly, or those that are missing are given up. */
struct me_assembly;
void me_head_wait(struct me_head *head, struct me_assembly *assembly);
/* While the result is written: hears what the ranks say; false: we are asked to end. `context` is the head. */
bool me_head_look(void *context);
bool me_head_stopped(const struct me_head *head);
/* Tells all ranks that can still be told whether their journals may go. */
void me_head_release(struct me_head *head, bool stored);
/* After that: is there a rank that did not come to its end with us? */
bool me_head_lost_any(const struct me_head *head);

/* follow.c: the ranks that are not the head. */
struct me_follow {
    MPI_Comm comm, data;
    bool stopped;
    bool head_gone;
    bool lost_any; /* the head said so, or it is gone: MPI_Finalize would wait for ever */
    double lost_after_s;
    int64_t heard_ns;    /* of the head */
    int64_t told_ns;     /* when progress was last sent */
    struct me_ping pong; /* the head's last answer */
    const char *kept;    /* a file of series that nothing links to yet; NULL or "": none */
};
struct me_link me_follow_link(struct me_follow *follow);
/* Evaluates the record, sends its parts (NULL: this rank stood aside), and waits for the head's word: may the journal
 * go? */
struct me_maker_input;
int me_follow_finish(struct me_follow *follow, const struct me_maker_input *input, bool *stored,
                     struct me_error *err);

/* maker.c: me_parts_make in a thread of its own, since it may take long; `waiting` is called meanwhile. */
struct me_parts;
struct me_series_place;
struct me_maker_input {
    const struct me_plan_machine *machine;
    struct me_buffer *record; /* released when it is evaluated */
    const struct me_series_place *place;
};
int me_maker_run(const struct me_maker_input *input, struct me_parts *parts, void (*waiting)(void *),
                 void *context, struct me_error *err);

/* progress.c: one line a machine on a terminal, plain lines elsewhere. */
struct me_progress_view;
int me_progress_open(struct me_progress_view **out, const char *mode, const struct me_plan *plan, FILE *file);
void me_progress_show(struct me_progress_view *view, const struct me_progress *progress);
void me_progress_close(struct me_progress_view *view); /* NULL-safe */

/* signals.c: SIGINT, SIGTERM and SIGUSR1 (mpirun forwards it) ask for an orderly end. */
void me_signals_watch(void);
int me_signals_caught(void);    /* the signal's number, or 0; SIGTERM too where our parent has died */
bool me_signals_orphaned(void); /* who started us has died, and with it the way to the head */

/* guard.c: goes on in a child, under Open MPI; does not return in the parent. Before anything is started. */
void me_guard(char **argv);
void me_guard_hold(void); /* by the child: from now on its death shall not end the others */

/* leave.c: ends the process at once, without MPI, where ranks are lost; the head, or who has lost it, also sees to it
 * that mpirun or its daemon ends. */
void me_leave(bool ends_launcher, int code);

/* run.c: the world is a parameter. Returns the exit code, or -1 with err. */
int me_bench_run(MPI_Comm comm, int argc, char **argv, FILE *out, struct me_error *err);

#endif
