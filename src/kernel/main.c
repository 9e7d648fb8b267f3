/* me_kernel NAME [options]: runs one of the kernels of the table. */
#include "kernel.h"
#include "me/version.h"
#include <stdio.h>
#include <string.h>

static const struct me_kernel kernels[] = {
    {"native", "train a 784-128-10 network on Fashion-MNIST, in C on OpenBLAS", me_native_main},
    {"gemm", "multiply dense matrices with OpenBLAS; GFLOP/s", me_gemm_main},
    {"stream", "copy, scale, add and triad of arrays in memory; GB/s", me_stream_main},
    {"fft", "Fourier transforms with FFTW; GFLOP/s", me_fft_main},
    {"cg", "conjugate gradients on a sparse matrix; GFLOP/s", me_cg_main},
    {"spin", "keep all cores busy", me_spin_main},
    {"sleep", "do nothing for a while", me_sleep_main},
    {NULL, NULL, NULL},
};

static void print_usage(FILE *out)
{
    fprintf(out, "Usage: me_kernel NAME [--check] [options]\n"
                 "Run one of the workloads that ship with Machine Energy.\n\n"
                 "Kernels (me_kernel NAME --help tells their options):\n");
    for (const struct me_kernel *k = kernels; k->name; k++) fprintf(out, "  %-8s %s\n", k->name, k->summary);
    fprintf(out, "\n--check only tells whether the kernel can run here.\n");
}

static int fail_unknown(const char *name)
{
    const char *names[sizeof kernels / sizeof *kernels];
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) names[i] = kernels[i].name;
    const char *near = me_nearest(name, names);
    fprintf(stderr, "me_kernel: there is no kernel %.64s; %s%s%s\n", name,
            near ? "did you mean " : "see me_kernel --help", near ? near : "", near ? "?" : "");
    return ME_E_INPUT;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines are kept when a signal ends us */
    if (argc < 2) {
        fprintf(stderr, "me_kernel: no kernel named; see me_kernel --help\n");
        return ME_E_INPUT;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_usage(stdout);
        return ME_OK;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        printf("me_kernel (Machine Energy) %s\n", ME_VERSION);
        return ME_OK;
    }
    for (const struct me_kernel *k = kernels; k->name; k++)
        if (!strcmp(k->name, argv[1])) return k->main(argc - 1, argv + 1);
    return fail_unknown(argv[1]);
}
