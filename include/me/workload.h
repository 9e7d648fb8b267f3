/* What is run on every machine, always as a child process: a row of the table, or the user's own
 * command. To add one: src/kernel/<name>.c with a function of type me_kernel_main, a row in
 * src/kernel/main.c, a row in src/workload/table.c, and a line in the README's table. */
#ifndef ME_WORKLOAD_H
#define ME_WORKLOAD_H

#include <stdint.h>
#include <sys/types.h>
#include "me/error.h"
#include "me/plan.h"

struct me_workload {
    const char *name; /* "native" */
    const char *summary;
    const char *needs;  /* for people: "dataset-fashion-mnist, OpenBLAS" */
    const char *kernel; /* me_kernel's operand that runs it; it takes "--check" too */
};
extern const struct me_workload me_workload_table[];          /* ends with name == NULL */
const struct me_workload *me_workload_find(const char *name); /* NULL if unknown */

/* The argument vector for the plan: the user's command, or {me_kernel, name}. me_kernel is looked
 * for beside the running program, then in ../libexec/machine-energy. The caller frees with
 * me_workload_argv_free. */
int me_workload_argv(const struct me_plan *plan, char ***argv, struct me_error *err);
void me_workload_argv_free(char **argv);

struct me_child_options {
    char *const *argv;
    const char *stdout_path, *stderr_path; /* created, truncated */
    char *const *strip_env;                /* names, NULL-terminated: no child sees them */
    int machine_id, machine_count, repeat; /* ME_MACHINE_ID, ME_MACHINES, ME_REPEAT */
};

enum me_child_event_type {
    ME_CHILD_NOTHING,  /* the time is up, or a signal came */
    ME_CHILD_BEGIN,    /* region begins: name */
    ME_CHILD_END,      /* region ends: name */
    ME_CHILD_WORK,     /* work done: amount, name = unit */
    ME_CHILD_BAD_MARK, /* a line that is not in the protocol: name = its first bytes, cleaned */
    ME_CHILD_EXITED,   /* status; no more events */
};
struct me_child_event {
    enum me_child_event_type type;
    char name[48];
    double amount;
    int exit_status; /* 0..255, or 256 + signal */
};

struct me_child;
/* Starts the workload in its own process group, with the cores of the machine's allocation (the
 * parent process's, whatever binding mpirun gave this rank), a mark pipe named in ME_MARK_FD, the
 * launcher's variables (OMPI_*, PMIX_*, PRTE_*, ORTE_*) and strip_env removed, and dying with us.
 * A command that is not there is an ME_E_RUN that says so. */
int me_child_start(struct me_child **out, const struct me_child_options *options, struct me_error *err);
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
/* Ends the whole process group and all descendants: SIGTERM, then SIGKILL after grace_ms. */
void me_child_stop(struct me_child *child, int grace_ms);
/* Ends what is left, reaps, frees; NULL-safe. Returns how many stray descendants had to be killed. */
int me_child_release(struct me_child *child);

/* A kernel: runs in the me_kernel program. Returns its exit status. */
typedef int me_kernel_main(int argc, char **argv);

#endif
