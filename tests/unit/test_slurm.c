/* What Slurm says, and where its processors lie on this machine. The answers are those of Slurm 22.05, some with
 * lines of larger sites. */
#include "../../src/workload/affinity.h" /* its own headers are for tests too */
#include "../../src/workload/affinity_job.c"
#include <math.h>
#include <sys/stat.h>
#include "me/clock.h"
#include "me/slurm.h"
#include "me_cmocka.h"
#include "tree.h"

static const struct {
    const char *text;
    size_t count; /* 0: it is no list */
    const char *first, *last;
} lists[] = {
    {"n1", 1, "n1", "n1"},
    {"n[1-3,7]", 4, "n1", "n7"},
    {"n[08-11]", 4, "n08", "n11"},
    {"login,n[1-2],gpu[001]", 4, "login", "gpu001"},
    {"r[1-2]c[0-3]", 8, "r1c0", "r2c3"},
    {"r[1-2]c[0-3]-ib,x", 9, "r1c0-ib", "x"},
    {"", 0, NULL, NULL},
    {",", 0, NULL, NULL},
    {"n1,", 0, NULL, NULL},
    {"n[1-3", 0, NULL, NULL},
    {"n[3-1]", 0, NULL, NULL},
    {"n[]", 0, NULL, NULL},
    {"n[a-b]", 0, NULL, NULL},
    {"n[1,]", 0, NULL, NULL},
    {"n]", 0, NULL, NULL},
    {"n[1-999999999]", 0, NULL, NULL},
    {"n[1-60000]x[1-60000]", 0, NULL, NULL},
    {"n[99999999999999999999]", 0, NULL, NULL},
};

static void test_lists(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct me_slurm_names names;
        struct me_error err = {0};
        int rc = me_slurm_expand(lists[i].text, &names, &err);
        assert_int_equal(rc, lists[i].count ? 0 : -1);
        if (!rc) {
            assert_int_equal(names.count, lists[i].count);
            assert_string_equal(names.names[0], lists[i].first);
            assert_string_equal(names.names[names.count - 1], lists[i].last);
        } else {
            assert_int_equal(err.code, ME_E_RUN);
        }
        me_slurm_names_release(&names);
    }
}

static void test_counts(void **state)
{
    (void)state;
    assert_int_equal(me_slurm_count_cpus("0"), 1);
    assert_int_equal(me_slurm_count_cpus("0-3,8,10-11"), 7);
    assert_int_equal(me_slurm_count_cpus(""), -1);
    assert_int_equal(me_slurm_count_cpus("3-0"), -1);
    assert_int_equal(me_slurm_count_cpus("0-3,"), -1);
    assert_int_equal(me_slurm_count_cpus("0-9999999"), -1);
    assert_int_equal(me_slurm_cpus_of("4(x2),2,128(x3)", 0), 4);
    assert_int_equal(me_slurm_cpus_of("4(x2),2,128(x3)", 1), 4);
    assert_int_equal(me_slurm_cpus_of("4(x2),2,128(x3)", 2), 2);
    assert_int_equal(me_slurm_cpus_of("4(x2),2,128(x3)", 5), 128);
    assert_int_equal(me_slurm_cpus_of("4(x2),2,128(x3)", 6), 0);
    assert_int_equal(me_slurm_cpus_of("4(y2)", 0), 4); /* the first is plain, whatever follows */
    assert_int_equal(me_slurm_cpus_of("4(x", 0), 0);
    assert_int_equal(me_slurm_cpus_of("", 0), 0);
}

static void test_config(void **state)
{
    (void)state;
    struct me_batch_job job = ME_BATCH_JOB_UNKNOWN;
    me_slurm_take_config("Configuration data as of 2026-11-30T22:42:18\n"
                         "AcctGatherEnergyType    = acct_gather_energy/rapl\n"
                         "AcctGatherNodeFreq      = 30 sec\n"
                         "ClusterName             = emmy\n"
                         "KillOnBadExit           = 0\n"
                         "KillWait                = 45 sec\n",
                         &job);
    assert_string_equal(job.cluster, "emmy");
    assert_string_equal(job.energy_plugin, "acct_gather_energy/rapl");
    assert_true(job.energy_every_s == 30 && job.kill_wait_s == 45);
    job = (struct me_batch_job)ME_BATCH_JOB_UNKNOWN;
    snprintf(job.cluster, sizeof job.cluster, "mine");
    me_slurm_take_config(
        "AcctGatherEnergyType    = acct_gather_energy/none\nClusterName = emmy\nKillWait =\n", &job);
    assert_string_equal(job.cluster, "mine");
    assert_string_equal(job.energy_plugin, "");
    assert_true(isnan(job.kill_wait_s) && isnan(job.energy_every_s));
}

static void test_job(void **state)
{
    (void)state;
    struct me_batch_node n1 = ME_BATCH_NODE_UNKNOWN, n2 = n1, n3 = n1;
    const struct me_slurm_node nodes[] = {{"n2", &n2}, {"n1", &n1}, {"n3", &n3}};
    assert_false(me_slurm_take_job("JobId=1 JobName=Nodes=n3\n   NodeList=n[1-3]\n"
                                   "     Nodes=n[1-2] CPU_IDs=0-1,4 Mem=0 GRES=\n"
                                   "     Nodes=n3 CPU_IDs=7 Mem=0 GRES=\n"
                                   "   OverSubscribe=OK Contiguous=0 Licenses=(null)\n",
                                   nodes, 3));
    assert_string_equal(n1.cpus, "0-1,4");
    assert_true(n1.cpu_count == 3 && n2.cpu_count == 3 && n3.cpu_count == 1);
    assert_true(me_slurm_take_job("   OverSubscribe=NO Contiguous=0\n", nodes, 3));
    me_slurm_take_nodes(
        "NodeName=n1 Arch=x86_64 CPUAlloc=3 CPUEfctv=8 CPUTot=8 CurrentWatts=231 AveWatts=100\n"
        "NodeName=n2 CPUAlloc=3 CPUTot=16 CurrentWatts=n/s AveWatts=n/s\n"
        "NodeName=n9 CPUTot=4 CurrentWatts=5\n"
        "NodeName=n3 CPUTot=64 CurrentWatts=0 AveWatts=0",
        nodes, 3);
    assert_true(n1.node_cpus == 8 && n2.node_cpus == 16 && n3.node_cpus == 64);
    assert_true(n1.power_w == 231 && isnan(n2.power_w) && isnan(n3.power_w));
}

static void test_queue(void **state)
{
    (void)state;
    struct me_batch_node n1 = ME_BATCH_NODE_UNKNOWN, n2 = n1, n3 = n1;
    const struct me_slurm_node nodes[] = {{"n1", &n1}, {"n2", &n2}, {"n3", &n3}};
    n1.sharing = n2.sharing = n3.sharing = ME_SHARING_POSSIBLE;
    const char *text = "17|n[1-3]\n18|n1\n118|n[1-2]\nnonsense\n19|\n20|n[4-5]\n18|n1\n";
    me_slurm_take_queue(text, "17", nodes, 3);
    me_slurm_take_queue(text, "17", nodes, 3); /* at the begin, and at the end */
    assert_string_equal(n1.shared_with, "18, 118");
    assert_string_equal(n2.shared_with, "118");
    assert_true(n1.sharing == ME_SHARING_SEEN && n2.sharing == ME_SHARING_SEEN);
    assert_true(n3.sharing == ME_SHARING_POSSIBLE && !n3.shared_with[0]);
    for (int i = 1000; i < 1100; i++) { /* more than there is room for: what is there stays whole */
        char line[32];
        snprintf(line, sizeof line, "%d|n3", i);
        me_slurm_take_queue(line, "17", nodes, 3);
    }
    assert_true(!strncmp(n3.shared_with, "1000, 1001, ", 12));
    assert_true(strlen(n3.shared_with) % 6 == 4);
}

static void test_joules(void **state)
{
    (void)state;
    assert_true(me_slurm_joules("513\n") == 513);
    assert_true(isnan(me_slurm_joules("\n")) && isnan(me_slurm_joules("")) &&
                isnan(me_slurm_joules("1.2K\n")));
}

/* A command that answers, fails, is not there, or never ends. */
static void test_ask(void **state)
{
    (void)state;
    const char *const answers[] = {"sh", "-c", "printf 'a b'; echo; echo no >&2", NULL},
                      *const fails[] = {"sh", "-c", "echo x; exit 3", NULL},
                      *const absent[] = {"me-there-is-no-such-command", NULL},
                      *const hangs[] = {"sleep", "60", NULL};
    struct me_buffer text = ME_BUFFER_INIT;
    struct me_error err = {0};
    assert_int_equal(me_slurm_ask(answers, 10, &text, &err), 0);
    assert_string_equal(text.data, "a b\n");
    assert_int_equal(me_slurm_ask(fails, 10, &text, &err), -1);
    assert_int_equal(me_slurm_ask(absent, 10, &text, &err), -1);
    assert_non_null(strstr(err.text, "me-there-is-no-such-command"));
    int64_t begin = me_clock_mono_ns();
    assert_int_equal(me_slurm_ask(hangs, 0.2, &text, &err), -1);
    assert_true(me_clock_mono_ns() - begin < 5 * ME_NS_PER_S);
    assert_string_equal(err.text, "sleep: no answer within 0.2 s");
    me_buffer_release(&text);
}

/* The machine: two sockets of two cores with two threads each, numbered as Linux does: cores first, then their
 * second threads. Slurm counts socket by socket, core by core. */
static void make_machine(char *root, size_t size)
{
    tree_make(root, size);
    tree_put(root, "sys/devices/system/cpu/online", "0-7\n");
    for (int cpu = 0; cpu < 8; cpu++) {
        char path[96], text[8];
        snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/physical_package_id", cpu);
        snprintf(text, sizeof text, "%d\n", cpu % 4 / 2);
        tree_put(root, path, text);
        snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%d/topology/core_id", cpu);
        snprintf(text, sizeof text, "%d\n", cpu % 2);
        tree_put(root, path, text);
    }
}

static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *ids;
        int count;
        unsigned long mask; /* 0: they do not fit */
    } cases[] = {
        {"0", 8, 1 << 0},
        {"0-1", 8, 1 << 0 | 1 << 4},
        {"2-3", 8, 1 << 1 | 1 << 5},
        {"4", 8, 1 << 2},
        {"0-7", 8, 0xff},
        {"0", 4, 1 << 0 | 1 << 4},
        {"2-3", 4, 0xcc},
        {"1,3", 4, 1 << 1 | 1 << 5 | 1 << 3 | 1 << 7},
        {"0", 6, 0},
        {"0", 16, 0},
    };
    char path[256];
    struct me_root root;
    struct thread threads[16];
    make_machine(path, sizeof path);
    assert_int_equal(me_root_open(&root, path, NULL), 0);
    int n = list_threads(&root, threads);
    assert_int_equal(n, 8);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_affinity ids, out;
        assert_true(read_list(cases[i].ids, &ids));
        assert_int_equal(translate(threads, n, &ids, cases[i].count, &out), cases[i].mask != 0);
        if (cases[i].mask) assert_int_equal(out.bits[0], cases[i].mask);
    }
    me_root_close(&root);
    tree_remove(path);
    struct me_affinity out;
    assert_false(read_list("", &out));
    assert_false(read_list("3-1", &out));
    assert_false(read_list("0-8192", &out));
    assert_false(read_list("1x", &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists), cmocka_unit_test(test_counts), cmocka_unit_test(test_config),
        cmocka_unit_test(test_job),   cmocka_unit_test(test_queue),  cmocka_unit_test(test_joules),
        cmocka_unit_test(test_ask),   cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
