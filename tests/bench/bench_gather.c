/* What gathering costs: from the end of the workload to the closed file, rank 0's peak memory, bytes a sample on disk.
 * Series are made up (36,000 samples of 12 channels a machine), all behind them is what me_bench runs.
 *
 *     mpirun -n N bench_gather FOLDER           our way
 *     mpirun -n N bench_gather --plain FOLDER   MPI_Gather of the values, one H5Dwrite */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <hdf5.h>
#include "../../src/bench/bench.h"
#include "me/assembly.h"
#include "me/clock.h"

enum { SAMPLES = 36000, CHANNELS = 12, HZ = 10 };

/* Counters of 20 to 130 W with noise, to the microjoule, and gauges to the milliwatt: as meters give them. */
static void fill_row(struct me_reading *row, const struct me_reading *before, int rank, size_t sample)
{
    uint64_t noise = (sample * 2654435761u + (uint64_t)rank * 40503) >> 7;
    for (int c = 0; c < CHANNELS; c++) {
        uint64_t watts = 20 + 10 * (uint64_t)c;
        row[c] = (struct me_reading){.state = ME_READING_OK};
        if (c < 8)
            row[c].count = (before ? before[c].count : 0) + watts * 1000000 / HZ + (noise >> c) % 50000;
        else
            row[c].level = (double)(watts * 1000 + (noise >> c) % 2000) / 1000;
    }
}

static void put_samples(struct me_buffer *out, int rank)
{
    struct me_series series;
    struct me_reading row[CHANNELS], before[CHANNELS];
    me_series_init(&series, CHANNELS);
    for (size_t i = 0; i < SAMPLES; i++) {
        fill_row(row, i ? before : NULL, rank, i);
        memcpy(before, row, sizeof row);
        int64_t jitter_ns = (int64_t)((i * 7919) % 40000);
        me_series_append(&series, (int64_t)i * (ME_NS_PER_S / HZ) + jitter_ns, row, NULL);
    }
    for (size_t i = 0; i < SAMPLES; i += HZ) me_record_put_samples(out, &series, i, i + HZ);
    me_series_release(&series);
}

static void make_record(struct me_buffer *out, int rank)
{
    struct me_facts facts = {.machine_id = rank, .cores = 64};
    struct me_channel channels[CHANNELS] = {0};
    struct me_span span = {.phase = ME_PHASE_RUN, .repeat = 1, .last = SAMPLES - 1, .work = NAN};
    snprintf(facts.boot_id, sizeof facts.boot_id, "boot-%d", rank);
    for (int c = 0; c < CHANNELS; c++) {
        channels[c] = (struct me_channel){.source = "powercap", .unit = "uJ", .range = UINT64_C(1) << 62};
        snprintf(channels[c].name, sizeof channels[c].name, "channel-%d", c);
        channels[c].scope = ME_SCOPE_PACKAGE;
        channels[c].counted = c < 2;
        if (c < 8) continue;
        channels[c].kind = ME_KIND_GAUGE;
        snprintf(channels[c].unit, sizeof channels[c].unit, "W");
    }
    me_record_put_facts(out, &facts);
    me_record_put_channels(out, channels, CHANNELS);
    put_samples(out, rank);
    me_record_put_span(out, &span);
    me_record_put_end(out, ME_STATUS_OK, "");
}

static long peak_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6;
}

static void report(const char *what, int ranks, double in_s, double total_s, double made_s, long before_kib,
                   const char *path)
{
    struct stat st = {0};
    stat(path, &st);
    printf("  %-12s %3d ranks  all in %7.2f s  closed %7.2f s  a rank's own CPU %5.2f s  rank 0: %5.0f MiB "
           "at most, %5.0f "
           "before  %.1f B/sample\n",
           what, ranks, in_s, total_s, made_s, (double)peak_kib() / 1024, (double)before_kib / 1024,
           (double)st.st_size / ((double)ranks * SAMPLES));
}

static void make_plan(struct me_plan *plan, struct me_role *roles, int ranks)
{
    *plan = (struct me_plan){.repeats = 1, .run_local = true, .count = (size_t)ranks};
    snprintf(plan->experiment, sizeof plan->experiment, "gather");
    snprintf(plan->workload, sizeof plan->workload, "sleep");
    plan->machines = calloc((size_t)ranks, sizeof *plan->machines);
    for (int r = 0; r < ranks; r++) {
        plan->machines[r] = (struct me_plan_machine){.id = r, .grid_g_per_kwh = 400, .pue = 1};
        roles[r] = (struct me_role){r, ranks};
    }
}

static void listen(void *head)
{
    me_head_look(head);
}

/* As run.c does: its own machine first, then those of the others, then the file. */
static int lead(MPI_Comm data, struct me_plan *plan, struct me_role *roles, const char *folder,
                struct me_buffer *record)
{
    struct me_error err = {0};
    struct me_bench_options options;
    struct me_head *head = NULL;
    struct me_assembly *assembly = NULL;
    struct me_parts parts = {0};
    struct me_result result = {0};
    me_bench_options_defaults(&options);
    options.progress = "none";
    const struct me_assembly_options how = {.folder = folder, .program = "bench_gather", .out = stderr};
    const struct me_maker_input input = {&plan->machines[0], record, NULL};
    long before_kib = peak_kib();
    MPI_Barrier(data);
    int64_t begin_ns = me_clock_mono_ns();
    double begin_cpu_s = cpu_s();
    int rc = me_head_create(&head, MPI_COMM_WORLD, data, plan, roles, &options, stderr, &err);
    if (!rc) rc = me_assembly_begin(&assembly, plan, &how, &err);
    if (!rc) rc = me_maker_run(&input, &parts, listen, head, &err);
    double made_s = cpu_s() - begin_cpu_s;
    for (int i = 0; !rc && i < ME_PART_COUNT; i++)
        rc =
            me_assembly_take(assembly, 0, (enum me_part)i, parts.part[i].data, parts.part[i].len, true, &err);
    me_parts_release(&parts);
    if (!rc) me_head_wait(head, assembly);
    int64_t in_ns = me_clock_mono_ns();
    if (!rc) rc = me_assembly_finish(assembly, false, &result, &err);
    int64_t end_ns = me_clock_mono_ns();
    if (rc) fprintf(stderr, "bench_gather: %s\n", err.text);
    me_assembly_release(assembly);
    me_head_release(head, true);
    char path[4096];
    me_experiment_result_path(folder, path, sizeof path);
    if (strcmp(result.status, "complete") != 0) fprintf(stderr, "bench_gather: %s\n", result.status);
    report("me_bench", (int)plan->count, me_ns_to_s(in_ns - begin_ns), me_ns_to_s(end_ns - begin_ns), made_s,
           before_kib, path);
    me_result_release(&result);
    me_head_destroy(head);
    return rc;
}

static int gather(const char *folder, int rank, int ranks)
{
    struct me_plan plan;
    struct me_role *roles = calloc((size_t)ranks, sizeof *roles);
    struct me_buffer record = ME_BUFFER_INIT;
    struct me_error err = {0};
    MPI_Comm data;
    bool stored = true;
    make_plan(&plan, roles, ranks);
    make_record(&record, rank);
    int rc = me_gather_split(MPI_COMM_WORLD, &data, &err);
    if (!rc && rank == 0) rc = lead(data, &plan, roles, folder, &record);
    if (!rc && rank) {
        struct me_follow follow = {
            .comm = MPI_COMM_WORLD, .data = data, .lost_after_s = 600, .heard_ns = me_clock_mono_ns()};
        const struct me_maker_input input = {&plan.machines[rank], &record, NULL};
        MPI_Barrier(data);
        rc = me_follow_finish(&follow, &input, &stored, &err);
    }
    me_buffer_release(&record);
    free(plan.machines);
    free(roles);
    return rc;
}

/* The values of all ranks in one array on rank 0, written at once; chunks and filters as ours. */
static void write_plain(const char *path, const double *all, int ranks)
{
    hsize_t dims[] = {(hsize_t)ranks * SAMPLES, CHANNELS}, chunk[] = {2730, CHANNELS};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(2, dims, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(plist, 2, chunk);
    H5Pset_shuffle(plist);
    H5Pset_deflate(plist, 4);
    hid_t set = H5Dcreate2(file, "values", H5T_IEEE_F64LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, all);
    H5Dclose(set);
    H5Pclose(plist);
    H5Sclose(space);
    H5Fclose(file);
    int fd = open(path, O_RDONLY);
    fsync(fd);
    close(fd);
}

static void plain(const char *folder, int rank, int ranks)
{
    enum { CELLS = SAMPLES * CHANNELS };
    char path[4096];
    double *mine = calloc(CELLS, sizeof *mine);
    struct me_reading row[CHANNELS], before[CHANNELS];
    for (size_t i = 0; i < SAMPLES; i++) {
        fill_row(row, i ? before : NULL, rank, i);
        memcpy(before, row, sizeof row);
        for (int c = 0; c < CHANNELS; c++)
            mine[i * CHANNELS + (size_t)c] = c < 8 ? (double)row[c].count : row[c].level;
    }
    long before_kib = peak_kib();
    MPI_Barrier(MPI_COMM_WORLD);
    int64_t begin_ns = me_clock_mono_ns();
    double *all = rank ? NULL : malloc((size_t)ranks * CELLS * sizeof *all);
    MPI_Gather(mine, CELLS, MPI_DOUBLE, all, CELLS, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    int64_t in_ns = me_clock_mono_ns();
    if (rank == 0) {
        snprintf(path, sizeof path, "%s/plain.h5", folder);
        write_plain(path, all, ranks);
        int64_t end_ns = me_clock_mono_ns();
        report("MPI_Gather", ranks, me_ns_to_s(in_ns - begin_ns), me_ns_to_s(end_ns - begin_ns), 0,
               before_kib, path);
    }
    free(all);
    free(mine);
}

int main(int argc, char **argv)
{
    int rank, ranks, rc = 0;
    struct me_gather_room room = {0};
    MPI_Init(&argc, &argv);
    if (me_gather_open(&room, NULL)) MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (argc == 3 && !strcmp(argv[1], "--plain"))
        plain(argv[2], rank, ranks);
    else
        rc = gather(argv[argc - 1], rank, ranks);
    me_gather_close(&room);
    MPI_Finalize();
    return rc ? 1 : 0;
}
