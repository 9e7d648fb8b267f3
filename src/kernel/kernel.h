/* me_kernel: the workloads that ship with Machine Energy, in a program of their own, so that what is
 * measured holds no thread and no memory of the measuring. To add one: a file with a function of
 * type me_kernel_main, a row in main.c, and a row in src/workload/table.c.
 *
 * No kernel handles signals: SIGTERM ends each at once by its default action. */
#ifndef ME_KERNEL_H
#define ME_KERNEL_H

#include "me/error.h"
#include "me/options.h"
#include "me/workload.h" /* me_kernel_main */

struct me_kernel {
    const char *name;
    const char *summary;
    me_kernel_main *main;
};

/* native.c, gemm.c, stream.c, fft.c, cg.c, spin.c, sleep.c. argv[0] is the kernel's name. */
me_kernel_main me_native_main;
me_kernel_main me_gemm_main;
me_kernel_main me_stream_main;
me_kernel_main me_fft_main;
me_kernel_main me_cg_main;
me_kernel_main me_spin_main;
me_kernel_main me_sleep_main;

/* Parses a kernel's command line, which has no operands. 0: go on. 1: --help or --version was asked
 * for and printed. -1: err. */
int me_kernel_options(const struct me_command *command, int argc, char **argv, void *target,
                      struct me_error *err);
/* Prints "me_kernel NAME: what" to stderr and returns the exit status for it. */
int me_kernel_report(const char *kernel, const struct me_error *err);
/* The number of CPUs that this process may use, at least 1. */
int me_kernel_cpus(void);

#endif
