/* What is run on every machine, always as a child process: a row of the table, the user's own command, or
 * a function of the user's Python file. To add one in C: src/kernel/<name>.c with a function of type
 * me_kernel_main and a row in src/kernel/main.c; in Python: src/workload/frameworks/<name>.py. Then a row
 * in src/workload/table.c, and a line in the README's table. All take --check, which only tells in one
 * line whether they can run here: exit status 0, or another one and what is missing with its cure. */
#ifndef ME_WORKLOAD_H
#define ME_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "me/buffer.h"
#include "me/error.h"
#include "me/plan.h"

struct me_workload {
    const char *name; /* "native" */
    const char *summary;
    const char *needs;  /* for people: "dataset-fashion-mnist, OpenBLAS" */
    const char *kernel; /* me_kernel's operand that runs it; NULL: a script does */
    const char *script; /* of frameworks/, run by Python: "train_keras.py"; NULL: a kernel does */
    const char *region; /* whose energy is compared: "train"; "": the whole run */
    bool takes_samples; /* --samples N */
};
extern const struct me_workload me_workload_table[];          /* ends with name == NULL */
const struct me_workload *me_workload_find(const char *name); /* NULL if unknown */

/* --- the plan's workloads, in the order they run ------------------------------------------------ */

#define ME_WORKLOADS_MAX  16
#define ME_WORKLOAD_WORDS 24
struct me_workload_entry {
    const struct me_workload *row; /* NULL: the user's command or function */
    char label[96];                /* "keras", "gemm --precision single", "command", "function" */
    char region[48];               /* of the plan, or of the row, or "train" for a function; "": whole */
    int word_count;
    char words[ME_WORKLOAD_WORDS][96]; /* the options behind the row's name */
};
struct me_workloads {
    struct me_workload_entry entries[ME_WORKLOADS_MAX];
    size_t count;
};
/* Reads plan->workload. An unknown name is an ME_E_INPUT that says which there are or which is near; so is
 * the same entry twice. */
int me_workload_list(const struct me_plan *plan, struct me_workloads *out, struct me_error *err);

/* Where a workload runs. */
struct me_workload_place {
    const struct me_plan *plan;
    const char *python; /* what the user wants: an interpreter or a virtual environment's folder; "": for a
                         * framework its own environment (scripts/install-framework) in $ME_FRAMEWORKS_DIR,
                         * $XDG_DATA_HOME, ~/.local/share or
                         * /usr/local/share (there machine-energy/frameworks), else python3 of PATH */
    const char *files;  /* the folder of me_workload_unpack: scripts, and what the head shipped */
    int machine_id, machine_count;
};
#define ME_WORKLOAD_OWN_FILES ".machine-energy" /* our scripts and the module of marks in that folder */
/* The argument vector: {me_kernel, NAME, options}, {python, script, options}, or the user's command with %i
 * and %n replaced by machine id and count (%% is %). me_kernel is looked for beside the running
 * program, then in ../libexec/machine-energy. The caller frees with me_workload_argv_free. */
int me_workload_argv(const struct me_workload_entry *entry, const struct me_workload_place *place,
                     char ***argv, struct me_error *err);
void me_workload_argv_free(char **argv);
/* Can it run here? Starts it with --check, at most 60 s; of a command: is it there? true, and `text` is
 * its own line ("keras 3.12 on TensorFlow 2.20, Python 3.11"); or false, and `text` is what is missing with the
 * cure, in one line. */
bool me_workload_check(const struct me_workload_entry *entry, const struct me_workload_place *place,
                       char *text, size_t size);
/* What checks leave behind between the two calls, also in a session of its own, is ended by the second one.
 * Every new child of the process is taken for theirs, so one thread only does this. */
struct me_strays;
int me_strays_watch(struct me_strays **out, struct me_error *err);
void me_strays_end(struct me_strays *strays); /* NULL-safe */

/* --- files for every machine --------------------------------------------------------------------- */

#define ME_PARCEL_BYTES_MAX (512u << 20)
/* A parcel is those files as bytes, as they go from the head to every machine; src/workload/parcel.h has its
 * form. This puts the files and folders of plan->with and the file of plan->function into one, with their
 * modes; of a path only its last part is kept. With none of them `out` stays as it is. Unreadable, too big, or
 * two of one name: ME_E_INPUT. */
int me_workload_pack(const struct me_plan *plan, struct me_buffer *out, struct me_error *err);
/* Makes the folder (0700) and fills it: the parcel's files (len 0: none), and in ME_WORKLOAD_OWN_FILES, a name
 * that no file of the user can have, our scripts and the module of marks. Those are always there, since a
 * plain command may be Python too. Bytes that are no parcel, or a name that leaves the folder, are an
 * ME_E_RUN. */
int me_workload_unpack(const void *parcel, size_t len, const char *folder, struct me_error *err);
/* The same for a parcel that comes in pieces, into a folder that is there and has our files already. */
struct me_unpacking;
int me_unpacking_begin(struct me_unpacking **out, const char *folder, struct me_error *err);
int me_unpacking_take(struct me_unpacking *unpacking, const void *bytes, size_t len, struct me_error *err);
int me_unpacking_end(struct me_unpacking *unpacking, struct me_error *err); /* -1: something is missing */
void me_unpacking_release(struct me_unpacking *unpacking);                  /* NULL-safe */
/* Removes the folder with all that is in it; follows no link. */
void me_workload_remove(const char *folder);

/* Of what a workload prints, the first and last halves of so many bytes are kept. */
#define ME_CHILD_OUTPUT_MAX (8 << 20)
struct me_cpus;
struct me_child_options {
    char *const *argv;
    const char *stdout_path, *stderr_path; /* created, truncated; the middle of a longer one than
                                            * ME_CHILD_OUTPUT_MAX is freed while it runs, its size stays */
    const char *folder;                    /* to run in; NULL: ours */
    const char *files;                     /* ME_FILES and the begin of PYTHONPATH; NULL: none */
    char *const *strip_env;                /* names, NULL-terminated: no child sees them */
    int machine_id, machine_count, repeat; /* ME_MACHINE_ID, ME_MACHINES, ME_REPEAT */
    const struct me_cpus *cpus; /* those of a batch system's job; NULL: what the parent process has */
};
/* From the job's share of this machine, as me/batch.h has it. NULL: it is in no job, the ids do not fit, or there is no
 * memory: then the workload gets what the parent process has. The caller frees it with free(). */
struct me_cpus *me_workload_cpus(const struct me_batch_node *node);

enum me_child_event_type {
    ME_CHILD_NOTHING,  /* the time is up, or a signal came */
    ME_CHILD_BEGIN,    /* region begins: name */
    ME_CHILD_END,      /* region ends: name */
    ME_CHILD_WORK,     /* work done: amount, name = unit */
    ME_CHILD_METRIC,   /* an outcome: amount, name */
    ME_CHILD_BAD_MARK, /* a line that is not in the protocol: name = its first bytes, cleaned */
    ME_CHILD_EXITED,   /* status; no more events */
};
struct me_child_event {
    enum me_child_event_type type;
    char name[48];
    double amount;
    int exit_status;  /* 0..255, or 256 + signal */
    uint64_t read;    /* marks of one number were read from the pipe together; from 1 */
    int64_t since_ns; /* a mark was written at this moment, or later: the pipe was empty then */
};

struct me_child;
/* Starts the workload in its own process group, with the cores of the machine's allocation (the
 * parent process's, whatever binding mpirun gave this rank), a mark pipe named in ME_MARK_FD, the
 * launcher's variables (OMPI_*, PMIX_*, PRTE_*, ORTE_*) and strip_env removed, and dying with us.
 * A command that is not there is an ME_E_RUN that says so. */
int me_child_start(struct me_child **out, const struct me_child_options *options, struct me_error *err);
/* The number of its process, which stays the workload's until release. */
pid_t me_child_pid(const struct me_child *child);
/* Waits up to timeout_ms for the next event. Marks come before EXITED. */
void me_child_wait(struct me_child *child, int timeout_ms, struct me_child_event *event);
/* What the workload used, as the kernel's accounts have it (getrusage(2)): the process and all descendants
 * that somebody waited for, and what they left to us and has ended. Not in it: descendants that still
 * run, and those whose parent ignores SIGCHLD. */
struct me_child_usage {
    double cpu_s;              /* user and system, all cores together */
    uint64_t context_switches; /* given up and taken away */
    uint64_t page_faults;      /* with and without reading from disk */
    uint64_t read_bytes;       /* from disks; what the page cache had costs no disk */
    uint64_t written_bytes;    /* made to be written to disks; memory file systems have none */
    uint64_t max_rss_bytes;    /* of the largest process. 0: not known, since it was smaller than this
                                * program, from which the kernel's mark starts when it forks */
};
/* Valid from ME_CHILD_EXITED on, until release. -1: it has not ended; *usage is untouched. */
int me_child_usage(struct me_child *child, struct me_child_usage *usage);
/* The disk of its output was full at some moment, though it may no longer be: we free what is too much. */
bool me_child_disk_was_full(const struct me_child *child);
/* Ends the whole process group and all descendants: SIGTERM, then SIGKILL after grace_ms. */
void me_child_stop(struct me_child *child, int grace_ms);
/* Ends what is left, reaps, frees; NULL-safe. Returns how many stray descendants had to be killed. */
int me_child_release(struct me_child *child);

/* A kernel: runs in the me_kernel program. Returns its exit status. */
typedef int me_kernel_main(int argc, char **argv);

#endif
