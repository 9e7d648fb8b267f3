/* What a machine answers, and what is made of it. The command line is no library; its pure parts are
 * compiled in here. */
#include "../../src/cli/head.c"
#include "../../src/cli/network.c"
#include "../../src/cli/preflight.c"
#include "../../src/cli/engine.c"
#include "../../src/cli/work.c"
#include <sys/stat.h>
#include "me_cmocka.h"

void me_host_fail(struct me_host *host, const struct me_error *err) /* of prepare.c */
{
    host->step = ME_STEP_FAILED;
    snprintf(host->reason, sizeof host->reason, "%s", err->text);
}

#define BENCH "case $1 in --version) echo 'me_bench (Machine Energy) " ME_VERSION "'; exit ;; esac\n"

static void mpi_versions(void **state)
{
    (void)state;
    static const struct {
        const char *text, *version; /* NULL: not Open MPI */
    } table[] = {
        {"mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n", "4.1.4"},
        {"mpirun (Open MPI) 5.0.7rc1\n", "5.0.7rc1"},
        {"HYDRA build details:\n    Version: 4.0.2\n", NULL},
        {"mpirun (Open MPI) ", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char version[32] = "";
        assert_int_equal(me_head_mpi_version(table[i].text, version, sizeof version),
                         table[i].version != NULL);
        if (table[i].version) assert_string_equal(version, table[i].version);
    }
}

static const char good[] = "Welcome!\nprompt> me:begin=1000.5\n"
                           "me:arch=x86_64\nme:boot=0a-1b\nme:home=/home/lab.user \r\n"
                           "me:ssh=192.0.2.1 50000 192.0.2.9 22\nme:free=1048576\n"
                           "me:mpi=mpirun (Open MPI) 4.1.4\nme:daemon=/usr/bin/orted\n"
                           "me:bench=/usr/bin/me_bench\nme:version=me_bench (Machine Energy) " ME_VERSION "\n"
                           "noise\nme:work0=0\nme:text0=fine\nme:end=1001.5\n";

static void answers_among_noise(void **state)
{
    (void)state;
    struct me_facts_seen facts;
    double begin_s, end_s;
    assert_int_equal(me_preflight_parse(good, &facts, &begin_s, &end_s), 0);
    assert_true(begin_s == 1000.5 && end_s == 1001.5);
    assert_string_equal(facts.arch, "x86_64");
    assert_string_equal(facts.boot_id, "0a-1b");
    assert_string_equal(facts.home, "/home/lab.user");
    assert_string_equal(facts.ssh_client, "192.0.2.1");
    assert_string_equal(facts.ssh_server, "192.0.2.9");
    assert_true(facts.free_mib == 1024);
    assert_string_equal(facts.mpi, "4.1.4");
    assert_string_equal(facts.bench_version, ME_VERSION);
    assert_true(facts.has_daemon && !facts.staged);
    assert_int_equal(facts.work[0].status, 0);
    assert_string_equal(facts.work[0].text, "fine");
    assert_int_equal(facts.work[1].status, -1); /* not asked */
    assert_false(me_preflight_needs_stage(&facts));
}

static void write_program(const char *dir, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
}

/* A preparation for one machine and these workloads. */
struct ground {
    struct me_machine machine;
    struct me_cluster cluster;
    struct me_prepare_options options;
    struct me_plan_machine machines[2];
    struct me_host_state state;
    struct me_host host;
    struct me_preparation preparation;
};

static void make_ground(struct ground *ground, const char *workload)
{
    *ground = (struct ground){.machine = {.id = 1, .name = (char *)"node"}};
    ground->cluster = (struct me_cluster){.machines = &ground->machine, .count = 1};
    ground->host = (struct me_host){.machine = &ground->machine, .state = &ground->state};
    ground->preparation =
        (struct me_preparation){.cluster = &ground->cluster,
                                .options = &ground->options,
                                .plan = {.machines = ground->machines, .count = 2},
                                .head = {.arch = "x86_64", .mpi = "4.1.4", .stage_id = "id", .cwd = "/none"},
                                .count = 1};
    struct me_plan *plan = &ground->preparation.plan;
    snprintf(plan->workload, sizeof plan->workload, "%s", workload);
    if (!strcmp(workload, "command")) plan->command[0] = (char *)"solve";
    if (!strcmp(workload, "function")) snprintf(plan->function, sizeof plan->function, "train.py:f");
    assert_int_equal(me_workload_list(plan, &ground->preparation.work, NULL), 0);
}

static void run_script(const struct ground *ground, const char *shell, const char *dir, char *answer,
                       size_t size)
{
    struct me_buffer script = ME_BUFFER_INIT;
    char path[128], command[512];
    me_preflight_script(&ground->preparation, &ground->host, &script);
    snprintf(path, sizeof path, "%s/script", dir);
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite(script.data, 1, script.len, file), script.len);
    fclose(file);
    me_buffer_release(&script);
    snprintf(command, sizeof command,
             "HOME='%s/h\nme:arch=forged' PATH=%s:/usr/bin:/bin exec %s -s <%s/script", dir, dir, shell, dir);
    FILE *pipe = popen(command, "r");
    size_t len = fread(answer, 1, size - 1, pipe);
    answer[len] = '\0';
    assert_int_equal(pclose(pipe), 0);
}

/* The script in the shells that machines have; what a program or a name says stays one line. */
static void script_in_any_posix_shell(void **state)
{
    (void)state;
    static const char *const shells[] = {"sh", "dash", "bash --posix", "bash"};
    struct ground ground;
    char dir[] = "/tmp/me-test-preflight-XXXXXX", answer[8192], command[128];
    struct utsname name;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(uname(&name), 0);
    write_program(dir, "mpirun", "echo 'mpirun (Open MPI) 4.0.3'; echo me:free=1");
    write_program(dir, "orted", "exit 1");
    write_program(dir, "df", "printf 'Header\\n/dev/x 10 20 2048 1%% /\\n'");
    make_ground(&ground, "native,gemm");
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        struct me_facts_seen facts;
        double begin_s, end_s;
        write_program(dir, "me_kernel", "exit 0");
        write_program(dir, "me_bench", BENCH "echo \"$# $1 $2: no data\"; echo me:work0=0; exit 3");
        run_script(&ground, shells[i], dir, answer, sizeof answer);
        assert_int_equal(me_preflight_parse(answer, &facts, &begin_s, &end_s), 0);
        assert_string_equal(facts.arch, name.machine);
        assert_int_equal(strlen(facts.boot_id), 36);
        assert_true(facts.free_mib == 2 && facts.has_daemon && begin_s > 1e9 && end_s >= begin_s);
        assert_string_equal(facts.mpi, "4.0.3");
        assert_string_equal(facts.bench_version, ME_VERSION);
        assert_int_equal(facts.work[0].status, 3);
        assert_string_equal(facts.work[0].text, "2 --check native: no data");
        assert_string_equal(facts.work[1].text, "2 --check gemm: no data");
        assert_string_equal(facts.missing, "");
        write_program(dir, "me_bench", "exit 127");
        run_script(&ground, shells[i], dir, answer, sizeof answer);
        assert_int_equal(me_preflight_parse(answer, &facts, &begin_s, &end_s), 0);
        assert_string_equal(facts.bench_version, "");
        assert_int_equal(facts.work[0].status, -1);
    }
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* What is asked about the workloads, and with which Python. */
static void questions_in_any_posix_shell(void **state)
{
    (void)state;
    static const struct {
        const char *workload, *word, *with, *python, *machine_python;
        int status;
        const char *text;
    } table[] = {
        {"gemm --size 8", "", "", "", "", 0, "2 --check gemm --size 8"},
        {"keras", "", "", "/a b/'py", "", 0, "4 --check keras --python /a b/'py"},
        {"keras", "", "", "/a", "~/venv $x", 0, "4 --check keras --python ~/venv $x"},
        {"command", "mpirun", "", "", "", 0, ""},
        {"command", "no-such-solver", "", "", "", 127, ""},
        {"command", "./solver", "in.dat\n/src/build/solver", "", "", 0, ""},
        {"command", "solver", "solver/", "", "", 127, ""}, /* a bare name is for PATH */
        {"command", "mpirun", "solver", "", "", 0, ""},
        {"command", "./tools/run", "src/tools/", "", "", 0, ""},
        {"command", "tools/run", "src/tools", "", "", 0, ""},
        {"command", "./mpirun", "solver", "", "", 127, ""}, /* it would run in a folder that has none */
        {"command", "./solver", "src/solver.c\nsolver2", "", "", 127, ""},
        {"command", "./solver.%i", "solver.1", "", "", 0, ""},
        {"command", "%no", "", "", "", 127, ""},
        {"function", "", "", "", "", 0, "Python 0.0.0"},
        {"function", "", "", "/none/python", "", 127, NULL},
    };
    static const char *const shells[] = {"dash", "bash --posix", "bash"};
    char dir[] = "/tmp/me-test-preflight-XXXXXX", answer[8192], command[128];
    assert_non_null(mkdtemp(dir));
    write_program(dir, "mpirun", "exit 0");
    write_program(dir, "python3", "echo Python 0.0.0");
    write_program(dir, "me_bench", BENCH "echo $# $*");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t s = 0; s < sizeof shells / sizeof *shells; s++) {
            struct ground ground;
            struct me_facts_seen facts;
            double begin_s, end_s;
            make_ground(&ground, table[i].workload);
            struct me_plan *plan = &ground.preparation.plan;
            plan->command[0] = (char *)table[i].word;
            snprintf(plan->with, sizeof plan->with, "%s", table[i].with);
            snprintf(plan->python, sizeof plan->python, "%s", table[i].python);
            snprintf(ground.machines[1].python, sizeof ground.machines[1].python, "%s",
                     table[i].machine_python);
            run_script(&ground, shells[s], dir, answer, sizeof answer);
            assert_int_equal(me_preflight_parse(answer, &facts, &begin_s, &end_s), 0);
            if (facts.work[0].status != table[i].status ||
                (table[i].text && strcmp(facts.work[0].text, table[i].text)))
                fail_msg("row %zu, %s: %d \"%s\"", i, shells[s], facts.work[0].status, facts.work[0].text);
            assert_int_equal(facts.work[1].status, -1);
        }
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* Before an installation nobody asks for what it brings. */
static void questions_wait_for_the_installation(void **state)
{
    (void)state;
    struct ground ground;
    struct me_buffer script = ME_BUFFER_INIT;
    make_ground(&ground, "keras");
    ground.options.install = "keras";
    me_work_script(&ground.preparation, &ground.host, &script);
    assert_int_equal(script.len, 0);
    ground.host.installed = true;
    me_work_script(&ground.preparation, &ground.host, &script);
    assert_non_null(strstr(script.data, "try_workload 0 'keras'"));
    me_buffer_release(&script);
}

static void answers_that_are_none(void **state)
{
    (void)state;
    static const char *const table[] = {"",
                                        "This account is currently not available.\n",
                                        "me:begin=5\nme:arch=x",
                                        "me:end=\n",
                                        "me:end",
                                        "\n\nme:\nme:=\n"};
    struct me_facts_seen facts = {.free_mib = 42};
    double begin_s, end_s;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(me_preflight_parse(table[i], &facts, &begin_s, &end_s), -1);
        assert_true(facts.free_mib == 42);
    }
    assert_int_equal(me_preflight_parse("me:free=\nme:arch=a\x1b[2J\x7f\nme:begin=1.%N\nme:end=2.%N\n",
                                        &facts, &begin_s, &end_s),
                     0);
    assert_string_equal(facts.arch, "a?[2J?"); /* nothing that a terminal would obey */
    assert_true(isnan(facts.free_mib) && begin_s == 1 && end_s == 2);
}

#define CURE "run scripts/install-framework x, or me hosts CONFIG --install-framework x\n"

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *workload, *change; /* lines behind the good ones */
        const char *reason;            /* "" : may take part */
        const char *python;
    } table[] = {
        {"native", "", "", ""},
        {"native", "me:arch=aarch64\n", "its architecture is aarch64, the head's x86_64", ""},
        {"native", "me:daemon=\n", "Open MPI is missing (no orted", ""},
        {"native", "me:free=1024\n", "disk full: 1 MiB free in /home/lab.user, 64 needed", ""},
        {"native", "me:free=\n", "", ""}, /* df told nothing: that is not 0 */
        {"command", "me:work0=127\n", "solve is not in PATH; install it or give its full path", ""},
        {"native", "me:work0=1\nme:text0=no data: apt-get install x\n",
         "the workload native does not run there: no data: apt-get install x", ""},
        {"keras", "me:work0=1\nme:text0=me: keras: no Keras: " CURE,
         "the workload keras does not run there: no Keras; cure: me hosts CONFIG --install-framework keras",
         ""},
        {"keras", "me:work0=1\nme:text0=keras: no Keras: " CURE,
         "the workload keras does not run there: no Keras; its python is set to /opt/venv", "/opt/venv"},
        {"keras", "me:work0=1\nme:text0=keras: no images; run apt-get\n",
         "the workload keras does not run there: no images; run apt-get", ""},
        {"keras", "me:work0=1\nme:text0=" CURE,
         "the workload keras does not run there: its check failed; cure: me hosts CONFIG", ""},
        {"keras", "me:work0=1\nme:text0=\n", "the workload keras does not run there: its check failed", ""},
        {"gemm,keras,pl", "me:work1=1\nme:text1=no Keras: " CURE "me:work2=1\nme:text2=no Lightning: " CURE,
         "--install-framework keras; the workload pl does not run there: no Lightning; cure", ""},
        {"function", "me:work0=127\nme:text0=sh: python3: not found\n",
         "python3 does not run there: sh: python3: not found; run there: apt-get install python3", ""},
        {"native", "me:work0=1\nme:missing=libhdf5_serial.so.103 libfoo.so.1\n",
         "shared libraries are missing (libhdf5_serial.so.103 libfoo.so.1); run there: apt-get install "
         "libhdf5-103-1",
         ""},
        {"native", "me:missing=libfoo.so.1\n", "the packages that have them", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct ground ground;
        char reason[1024], text[2048];
        double begin_s, end_s;
        make_ground(&ground, table[i].workload);
        ground.preparation.plan.command[0] = (char *)"solve";
        snprintf(ground.preparation.plan.python, sizeof ground.preparation.plan.python, "%s",
                 table[i].python);
        snprintf(text, sizeof text, "%s%s", good, table[i].change);
        assert_int_equal(me_preflight_parse(text, &ground.host.facts, &begin_s, &end_s), 0);
        me_preflight_judge(&ground.preparation, &ground.host, false, reason, sizeof reason);
        if (table[i].reason[0] ? !strstr(reason, table[i].reason) : reason[0] != '\0')
            fail_msg("row %zu: %s", i, reason);
        if (strstr(reason, "scripts/install-framework")) fail_msg("row %zu: %s", i, reason);
    }
}

static void programs_may_still_come(void **state)
{
    (void)state;
    struct ground ground;
    char reason[512];
    double begin_s, end_s;
    make_ground(&ground, "native");
    struct me_facts_seen *facts = &ground.host.facts;
    assert_int_equal(me_preflight_parse(good, facts, &begin_s, &end_s), 0);
    facts->bench_version[0] = '\0';
    facts->work[0].status = -1;
    assert_true(me_preflight_needs_stage(facts));
    me_preflight_judge(&ground.preparation, &ground.host, true, reason, sizeof reason);
    assert_string_equal(reason, "");
    me_preflight_judge(&ground.preparation, &ground.host, false, reason, sizeof reason);
    assert_non_null(strstr(reason, "me_bench does not run there"));
    make_ground(&ground, "command"); /* one that is not there is not cured by staging */
    ground.preparation.plan.command[0] = (char *)"solve";
    assert_int_equal(me_preflight_parse(good, facts, &begin_s, &end_s), 0);
    facts->bench_version[0] = '\0';
    facts->work[0].status = 127;
    me_preflight_judge(&ground.preparation, &ground.host, true, reason, sizeof reason);
    assert_non_null(strstr(reason, "solve is not in PATH"));
}

static void cells_and_versions(void **state)
{
    (void)state;
    struct ground ground;
    struct me_facts_seen *facts = &ground.host.facts;
    char cell[40], text[256];
    make_ground(&ground, "native,keras,pytorch,xgboost,gemm");
    for (size_t i = 0; i < ME_WORKLOADS_MAX; i++)
        facts->work[i] = (struct me_work_seen){.status = i < 5 ? 0 : -1, .text = "as found"};
    me_work_cell(&ground.preparation, facts, cell, sizeof cell);
    assert_string_equal(cell, "native,keras,pytorch,xgb... ok");
    me_work_versions(&ground.preparation, facts, text, sizeof text);
    assert_string_equal(text, "as found; as found; as found");
    make_ground(&ground, "keras,keras --epochs 1,pl"); /* the same version is told once */
    for (size_t i = 0; i < 3; i++) facts->work[i] = (struct me_work_seen){.text = "ready, as found"};
    me_work_versions(&ground.preparation, facts, text, sizeof text);
    assert_string_equal(text, "as found; as found");
    facts->work[2].status = 1;
    me_work_cell(&ground.preparation, facts, cell, sizeof cell);
    assert_non_null(strstr(cell, "fails"));
    make_ground(&ground, "sleep");
    facts->work[0] = (struct me_work_seen){.status = -1};
    me_work_cell(&ground.preparation, facts, cell, sizeof cell);
    assert_string_equal(cell, "sleep not tried");
}

static void packages(void **state)
{
    (void)state;
    char text[64];
    me_preflight_packages("libmpi.so.40 libopen-rte.so.40 libhwloc.so.15 libpfm.so.4", text, sizeof text);
    assert_string_equal(text, "libopenmpi3 libhwloc15 libpfm4");
    me_preflight_packages("libx.so", text, sizeof text);
    assert_string_equal(text, "");
}

static void network_needs_both_ends(void **state)
{
    (void)state;
    static const char *const none[][2] = {
        {"127.0.0.1", "127.0.0.1"}, {"192.0.2.1", "192.0.2.2"}, {"::1", "::1"}, {"", ""}, {"x", "y"}};
    char cidr[64];
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        me_network_find(none[i][0], none[i][1], cidr, sizeof cidr);
        assert_string_equal(cidr, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpi_versions),
        cmocka_unit_test(answers_among_noise),
        cmocka_unit_test(script_in_any_posix_shell),
        cmocka_unit_test(questions_in_any_posix_shell),
        cmocka_unit_test(questions_wait_for_the_installation),
        cmocka_unit_test(cells_and_versions),
        cmocka_unit_test(answers_that_are_none),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(programs_may_still_come),
        cmocka_unit_test(packages),
        cmocka_unit_test(network_needs_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
