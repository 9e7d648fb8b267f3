/* The kernels' checks: they pass what is right and find one wrong number among many. And the memory that a
 * kernel finds, the caches, and the threads' shares. */
#include "../../src/kernel/compute.h"
#include "../../src/kernel/memory.h"
#include "tree.h"
#include "me_cmocka.h"

struct spoil {
    int array; /* -1: nothing is spoiled */
    double factor, offset;
};

/* Fills, runs some passes, spoils the entry in the middle, and returns what the check says. */
static int checked(const struct me_compute *kernel, size_t size, bool single, int threads, struct spoil spoil)
{
    struct me_error err = {.text = ""};
    struct me_team team;
    struct me_job job = {.size = size, .single = single, .threads = threads};
    size_t bytes[ME_JOB_ARRAYS] = {0};
    double elapsed, residual = -1;
    long passes;
    assert_int_equal(me_team_init(&team, threads, &err), 0);
    assert_int_equal(me_compute_prepare(kernel, &job, &err), 0);
    assert_int_equal(me_compute_fill(kernel, &job, &team, &err), 0);
    assert_int_equal(me_compute_run(kernel, &job, &team, 0, &passes, &elapsed, &err), 0);
    assert_int_equal(passes, 1);
    if (spoil.array >= 0) {
        kernel->layout(&job, bytes);
        size_t middle = bytes[spoil.array] / me_job_width(&job) / 2;
        me_job_set(&job, spoil.array, middle,
                   me_job_get(&job, spoil.array, middle) * spoil.factor + spoil.offset);
    }
    int rc = kernel->check(&job, &team, passes, &residual, &err);
    if (rc) assert_non_null(strstr(err.text, "the result is wrong"));
    if (rc) assert_null(strchr(err.text, '\n'));
    if (!rc) assert_true(residual >= 0 && residual < 0.1);
    me_compute_release(kernel, &job);
    me_compute_release(kernel, &job);
    me_team_release(&team);
    return rc;
}

static void checks(void **state)
{
    (void)state;
    static const struct {
        const struct me_compute *kernel;
        size_t size;
        int result; /* the array that is spoiled */
    } table[] = {
        {&me_gemm_compute, 1, 2},        {&me_gemm_compute, 97, 2},       {&me_gemm_compute, 256, 2},
        {&me_stream_compute, 1, 0},      {&me_stream_compute, 100003, 0}, {&me_stream_compute, 4096, 1},
        {&me_stream_compute, 100003, 2}, {&me_fft_compute, 2, 1},         {&me_fft_compute, 1000, 1},
        {&me_fft_compute, 4099, 1},      {&me_fft_compute, 65536, 1},     {&me_cg_compute, 16, 4},
        {&me_cg_compute, 17, 5},         {&me_cg_compute, 40, 4},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (int single = 0; single < 2; single++)
            for (int threads = 1; threads <= 5; threads += 2) {
                const struct me_compute *kernel = table[i].kernel;
                size_t size = table[i].size;
                int array = table[i].result;
                assert_int_equal(checked(kernel, size, single, threads, (struct spoil){-1, 0, 0}), 0);
                assert_int_equal(checked(kernel, size, single, threads, (struct spoil){array, 1.5, 0.1}), -1);
                assert_int_equal(checked(kernel, size, single, threads, (struct spoil){array, 1, NAN}), -1);
            }
}

/* A matrix that is not the one of the equation: the iterations are consistent, and their solution is wrong. */
static void a_wrong_matrix(void **state)
{
    (void)state;
    struct me_error err;
    struct me_team team;
    struct me_job job = {.size = 20, .threads = 2};
    double elapsed, residual;
    long passes;
    assert_int_equal(me_team_init(&team, 2, &err), 0);
    assert_int_equal(me_compute_prepare(&me_cg_compute, &job, &err), 0);
    assert_int_equal(me_compute_fill(&me_cg_compute, &job, &team, &err), 0);
    me_job_set(&job, 0, 3 * 7, me_job_get(&job, 0, 3 * 7) * 1.01);
    assert_int_equal(me_compute_run(&me_cg_compute, &job, &team, 0, &passes, &elapsed, &err), 0);
    assert_int_equal(me_cg_compute.check(&job, &team, passes, &residual, &err), -1);
    me_compute_release(&me_cg_compute, &job);
    me_team_release(&team);
}

/* The plain count: rows that point where they must, and work as the sizes have it. */
static void the_matrix(void **state)
{
    (void)state;
    struct me_error err;
    for (size_t n = 16; n < 19; n++)
        for (int threads = 1; threads < 8; threads += 3) {
            struct me_team team;
            struct me_job job = {.size = n, .threads = threads};
            assert_int_equal(me_team_init(&team, threads, &err), 0);
            assert_int_equal(me_compute_prepare(&me_cg_compute, &job, &err), 0);
            assert_int_equal(me_compute_fill(&me_cg_compute, &job, &team, &err), 0);
            const uint32_t *columns = job.arrays[1];
            const uint64_t *rows = job.arrays[2];
            uint64_t k = 0;
            for (size_t z = 0; z < n; z++)
                for (size_t y = 0; y < n; y++)
                    for (size_t x = 0; x < n; x++) {
                        size_t i = (z * n + y) * n + x;
                        assert_int_equal(rows[i], k);
                        if (z) assert_int_equal(columns[k++], i - n * n);
                        if (y) assert_int_equal(columns[k++], i - n);
                        if (x) assert_int_equal(columns[k++], i - 1);
                        assert_true(columns[k] == i && me_job_get(&job, 0, k) == 6);
                        k++;
                        if (x < n - 1) assert_int_equal(columns[k++], i + 1);
                        if (y < n - 1) assert_int_equal(columns[k++], i + n);
                        if (z < n - 1) assert_int_equal(columns[k++], i + n * n);
                    }
            assert_int_equal(rows[n * n * n], k);
            assert_true(fabs(me_cg_compute.work(&job) -
                             50e-9 * (2. * (double)k + 10. * (double)(n * n * n))) < 1e-15);
            me_compute_release(&me_cg_compute, &job);
            me_team_release(&team);
        }
}

static void work_of_a_pass(void **state)
{
    (void)state;
    static const struct {
        const struct me_compute *kernel;
        size_t size;
        bool single;
        double work;
    } table[] = {
        {&me_gemm_compute, 1000, false, 2.0},
        {&me_gemm_compute, 1000, true, 2.0},
        {&me_stream_compute, 1000000, false, 0.08},
        {&me_stream_compute, 1000000, true, 0.04},
        {&me_fft_compute, 1 << 20, false, 0.1048576},
        {&me_fft_compute, 1 << 20, true, 0.1048576},
        {&me_cg_compute, 100, false, 50 * (2 * 6940000. + 10000000.) * 1e-9},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_job job = {.size = table[i].size, .single = table[i].single};
        assert_true(fabs(table[i].kernel->work(&job) / table[i].work - 1) < 1e-12);
    }
}

static void default_sizes(void **state)
{
    (void)state;
    const unsigned long long mib = 1ull << 20, gib = 1ull << 30;
    const struct {
        const struct me_compute *kernel;
        bool single;
        int threads;
        struct me_memory_facts facts;
        size_t size;
    } table[] = {
        {&me_gemm_compute, false, 2, {64 * gib, 32 * mib}, 4096},
        {&me_gemm_compute, false, 128, {512 * gib, 512 * mib}, 16384},
        {&me_gemm_compute, false, 8, {96 * 1000 * 1000, 8 * mib}, 992}, /* 24 MB: 3 x 1000^2 x 8 */
        {&me_gemm_compute, false, 8, {0, 8 * mib}, 16},
        {&me_stream_compute, false, 8, {64 * gib, 8 * mib}, 32 * 1024 * 1024},
        {&me_stream_compute, true, 8, {64 * gib, 8 * mib}, 64 * 1024 * 1024},
        {&me_stream_compute, false, 8, {64 * gib, 1024 * mib}, 512 * 1024 * 1024},
        {&me_stream_compute, false, 8, {12 * gib, 1024 * mib}, 128 * 1024 * 1024}, /* of 3 GiB a third */
        {&me_fft_compute, false, 1, {64 * gib, 8 * mib}, 1 << 24},
        {&me_fft_compute, false, 3, {64 * gib, 8 * mib}, 1 << 25},
        {&me_fft_compute, false, 3, {3 * gib, 8 * mib}, 1 << 24},
        {&me_fft_compute, false, 256, {1024 * gib, 8 * mib}, 1 << 30},
        {&me_fft_compute, false, 1, {0, 8 * mib}, 1024},
        {&me_cg_compute, false, 1, {64 * gib, 8 * mib}, 128},
        {&me_cg_compute, false, 8, {64 * gib, 8 * mib}, 256},
        {&me_cg_compute, false, 8, {4 * 1000 * 1000 * 132 + 4096, 8 * mib}, 100},
        {&me_cg_compute, false, 8, {0, 8 * mib}, 16},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_job job = {.single = table[i].single, .threads = table[i].threads};
        assert_int_equal(table[i].kernel->choose(&job, &table[i].facts), table[i].size);
    }
}

struct file {
    const char *path, *text;
};

static unsigned long long available(const struct file *files)
{
    char path[256];
    struct me_root root;
    struct me_error err;
    unsigned long long bytes = 7;
    tree_make(path, sizeof path);
    for (; files->path; files++) tree_put(path, files->path, files->text);
    assert_int_equal(me_root_open(&root, path, &err), 0);
    if (me_memory_available(&root, &bytes, &err)) assert_int_equal(bytes, 7);
    me_root_close(&root);
    tree_remove(path);
    return bytes;
}

#define MEMINFO                                                                                              \
    {                                                                                                        \
        "proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:    4000 kB\nX: 1 kB\n"                            \
    }
static void available_memory(void **state)
{
    (void)state;
    static const struct {
        struct file files[8];
        unsigned long long bytes;
    } table[] = {
        {{{"proc/meminfo", "MemTotal: 9000 kB\n"}}, 7},
        {{{"proc/other", "MemAvailable: 4000 kB\n"}}, 7},
        {{MEMINFO}, 4096000},
        {{MEMINFO, {"proc/self/cgroup", "0::/job\n"}}, 4096000},
        {{MEMINFO, {"proc/self/cgroup", "0::/job\n"}, {"sys/fs/cgroup/job/memory.max", "max\n"}}, 4096000},
        {{MEMINFO, {"proc/self/cgroup", "0::/job\n"}, {"sys/fs/cgroup/job/memory.max", "1000000\n"}},
         1000000},
        {{MEMINFO,
          {"proc/self/cgroup", "0::/a/job\n"},
          {"sys/fs/cgroup/a/job/memory.max", "1000000\n"},
          {"sys/fs/cgroup/a/job/memory.current", "600000\n"},
          {"sys/fs/cgroup/a/job/memory.stat", "anon 1\ninactive_file 500000\nactive_file 9\n"}},
         900000},
        {{MEMINFO,
          {"proc/self/cgroup", "0::/a/job\n"},
          {"sys/fs/cgroup/a/job/memory.max", "1000000\n"},
          {"sys/fs/cgroup/a/memory.max", "900000\n"},
          {"sys/fs/cgroup/a/memory.current", "1000000\n"}},
         0},
        {{MEMINFO, {"proc/self/cgroup", "0::/../other\n"}, {"sys/fs/cgroup/memory.max", "800000\n"}}, 800000},
        {{MEMINFO, {"proc/self/cgroup", "0::/\n"}, {"sys/fs/cgroup/memory.max", "700000\n"}}, 700000},
        {{MEMINFO,
          {"proc/self/cgroup", "9:cpu:/x\n8:cpu,memory:/slurm/job\n0::/\n"},
          {"sys/fs/cgroup/memory/slurm/job/memory.limit_in_bytes", "500000\n"},
          {"sys/fs/cgroup/memory/slurm/job/memory.usage_in_bytes", "300000\n"},
          {"sys/fs/cgroup/memory/slurm/job/memory.stat", "inactive_file 9\ntotal_inactive_file 100000\n"},
          {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
         300000},
        {{MEMINFO, /* a container that has the host's path and sees its own group as the root */
          {"proc/self/cgroup", "8:memory:/docker/0123\n"},
          {"sys/fs/cgroup/memory/memory.limit_in_bytes", "600000\n"}},
         600000},
        {{MEMINFO, {"proc/self/cgroup", "\n:\nx\n8:memory\n"}}, 4096000},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(available(table[i].files), table[i].bytes);
}

static void last_caches(void **state)
{
    (void)state;
    static const struct file files[] = {
        {"cpu0/cache/index0/level", "1"},
        {"cpu0/cache/index0/size", "48K"},
        {"cpu0/cache/index0/shared_cpu_list", "0"},
        {"cpu0/cache/index3/level", "3"},
        {"cpu0/cache/index3/size", "32768K"},
        {"cpu0/cache/index3/shared_cpu_list", "0-1,64"},
        {"cpu1/cache/index3/level", "3"},
        {"cpu1/cache/index3/size", "32768K"},
        {"cpu1/cache/index3/shared_cpu_list", "0-1,64"},
        {"cpu2/cache/index3/level", "3"},
        {"cpu2/cache/index3/size", "16M"},
        {"cpu2/cache/index3/shared_cpu_list", "2"},
        {"cpu2/cache/index2/level", "2"},
        {"cpu2/cache/index2/size", "1024K"},
        {"cpu2/cache/index2/shared_cpu_list", "2"},
        {"cpufreq/cache/index3/level", "3"},
    };
    char path[256], name[128];
    struct me_root root;
    struct me_error err;
    tree_make(path, sizeof path);
    assert_int_equal(me_root_open(&root, path, &err), 0);
    assert_int_equal(me_memory_caches(&root), 32u << 20); /* nothing known */
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(name, sizeof name, "sys/devices/system/cpu/%s", files[i].path);
        tree_put(path, name, files[i].text);
    }
    assert_int_equal(me_memory_caches(&root), 48u << 20);
    me_root_close(&root);
    tree_remove(path);
}

static void shares(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 15, 16, 17, 100, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int parts = 1; parts < 9; parts++) {
            size_t before = 0, first, end;
            for (int i = 0; i < parts; i++) {
                me_team_part(sizes[s], parts, i, 16, &first, &end);
                assert_int_equal(first, before);
                assert_true(end >= first && (end % 16 == 0 || end == sizes[s]));
                before = end;
            }
            assert_int_equal(before, sizes[s]);
        }
}

static void add_numbers(struct me_worker *worker, void *argument)
{
    double *results = argument, number = worker->number + 1, sum = 0;
    for (int i = 0; i < 1000; i++) sum += me_team_sum(worker, number);
    results[worker->number] = sum + me_team_most(worker, number == 3 ? 1000 : -number);
    double most = me_team_most(worker, worker->number == 2 ? NAN : number);
    if (worker->number == 5) results[100] = most;
}

static void sums(void **state)
{
    (void)state;
    double results[101] = {0};
    struct me_team team;
    struct me_error err;
    assert_int_equal(me_team_init(&team, 7, &err), 0);
    assert_int_equal(me_team_run(&team, add_numbers, results, &err), 0);
    for (int i = 0; i < 7; i++) assert_true(results[i] == 28 * 1000 + 1000);
    assert_true(isnan(results[100]));
    me_team_release(&team);
    me_team_release(&team);
    me_team_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks),        cmocka_unit_test(a_wrong_matrix),
        cmocka_unit_test(the_matrix),    cmocka_unit_test(work_of_a_pass),
        cmocka_unit_test(default_sizes), cmocka_unit_test(available_memory),
        cmocka_unit_test(last_caches),   cmocka_unit_test(shares),
        cmocka_unit_test(sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
