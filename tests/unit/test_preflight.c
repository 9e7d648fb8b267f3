/* What a machine answers, and what is made of it. The command line is no library; its pure parts are
 * compiled in here. */
#include "../../src/cli/head.c"
#include "../../src/cli/network.c"
#include "../../src/cli/preflight.c"
#include <sys/stat.h>
#include "me_cmocka.h"

void me_host_fail(struct me_host *host, const struct me_error *err) /* of prepare.c */
{
    host->step = ME_STEP_FAILED;
    snprintf(host->reason, sizeof host->reason, "%s", err->text);
}

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
                           "noise\nme:work=0\nme:worktext=fine\nme:end=1001.5\n";

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
    assert_int_equal(facts.work_status, 0);
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

static void run_script(const char *shell, const char *dir, char *answer, size_t size)
{
    struct me_cluster cluster = {.experiment = {.framework = "native"}};
    struct me_preparation preparation = {
        .cluster = &cluster, .head = {.stage_id = "id", .cwd = "/none"}, .count = 0};
    struct me_buffer script = ME_BUFFER_INIT;
    char path[128], command[512];
    me_preflight_script(&preparation, &script);
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
    char dir[] = "/tmp/me-test-preflight-XXXXXX", answer[8192], command[128];
    struct utsname name;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(uname(&name), 0);
    write_program(dir, "mpirun", "echo 'mpirun (Open MPI) 4.0.3'; echo me:free=1");
    write_program(dir, "orted", "exit 1");
    write_program(dir, "df", "printf 'Header\\n/dev/x 10 20 2048 1%% /\\n'");
    write_program(dir, "me_bench", "echo 'me_bench (Machine Energy) " ME_VERSION "'");
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        struct me_facts_seen facts;
        double begin_s, end_s;
        write_program(dir, "me_kernel", "echo \"$1 $2: no data\"; echo me:work=0; exit 3");
        run_script(shells[i], dir, answer, sizeof answer);
        assert_int_equal(me_preflight_parse(answer, &facts, &begin_s, &end_s), 0);
        assert_string_equal(facts.arch, name.machine);
        assert_int_equal(strlen(facts.boot_id), 36);
        assert_true(facts.free_mib == 2 && facts.has_daemon && begin_s > 1e9 && end_s >= begin_s);
        assert_string_equal(facts.mpi, "4.0.3");
        assert_string_equal(facts.bench_version, ME_VERSION);
        assert_int_equal(facts.work_status, 3);
        assert_string_equal(facts.work_text, "native --check: no data");
        write_program(dir, "me_kernel", "exit 127"); /* as one whose libraries are missing */
        run_script(shells[i], dir, answer, sizeof answer);
        assert_int_equal(me_preflight_parse(answer, &facts, &begin_s, &end_s), 0);
        assert_int_equal(facts.work_status, 1);
        write_program(dir, "me_bench", "exit 127");
        run_script(shells[i], dir, answer, sizeof answer);
        assert_int_equal(me_preflight_parse(answer, &facts, &begin_s, &end_s), 0);
        assert_string_equal(facts.bench_version, "");
        assert_int_equal(facts.work_status, -1);
        write_program(dir, "me_bench", "echo 'me_bench (Machine Energy) " ME_VERSION "'");
    }
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
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
    struct me_facts_seen facts = {.work_status = 42};
    double begin_s, end_s;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(me_preflight_parse(table[i], &facts, &begin_s, &end_s), -1);
        assert_int_equal(facts.work_status, 42);
    }
    assert_int_equal(me_preflight_parse("me:free=\nme:arch=a\x1b[2J\x7f\nme:begin=1.%N\nme:end=2.%N\n",
                                        &facts, &begin_s, &end_s),
                     0);
    assert_string_equal(facts.arch, "a?[2J?"); /* nothing that a terminal would obey */
    assert_true(isnan(facts.free_mib) && begin_s == 1 && end_s == 2);
}

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *change; /* a line behind the good ones */
        const char *reason; /* "" : may take part */
        bool staging;
    } table[] = {
        {"", "", false},
        {"me:arch=aarch64\n", "its architecture is aarch64, the head's x86_64", false},
        {"me:daemon=\n", "Open MPI is missing (no orted", false},
        {"me:free=1024\n", "disk full: 1 MiB free in /home/lab.user, 64 needed", false},
        {"me:free=\n", "", false}, /* df told nothing: that is not 0 */
        {"me:work=127\n", "solve is not there", false},
        {"me:work=1\nme:worktext=no data: apt-get install x\n",
         "the workload solve does not run there: no data: apt-get", false},
        {"me:missing=libhdf5_serial.so.103 libfoo.so.1\n",
         "shared libraries are missing (libhdf5_serial.so.103 libfoo.so.1); run there: apt-get install "
         "libhdf5-103-1",
         false},
        {"me:missing=libfoo.so.1\n", "the packages that have them", false},
    };
    struct me_head head = {.arch = "x86_64", .mpi = "4.1.4", .cwd = "/work"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_host host = {0};
        char reason[512], text[2048];
        double begin_s, end_s;
        snprintf(text, sizeof text, "%s%s", good, table[i].change);
        assert_int_equal(me_preflight_parse(text, &host.facts, &begin_s, &end_s), 0);
        me_preflight_judge(&head, &host, "solve", table[i].staging, reason, sizeof reason);
        if (table[i].reason[0] ? !strstr(reason, table[i].reason) : reason[0] != '\0')
            fail_msg("row %zu: %s", i, reason);
    }
}

static void programs_may_still_come(void **state)
{
    (void)state;
    struct me_head head = {.arch = "x86_64", .mpi = "4.1.4"};
    struct me_host host = {0};
    char reason[512];
    double begin_s, end_s;
    assert_int_equal(me_preflight_parse(good, &host.facts, &begin_s, &end_s), 0);
    host.facts.bench_version[0] = '\0';
    host.facts.work_status = -1;
    assert_true(me_preflight_needs_stage(&host.facts));
    me_preflight_judge(&head, &host, "native", true, reason, sizeof reason);
    assert_string_equal(reason, "");
    me_preflight_judge(&head, &host, "native", false, reason, sizeof reason);
    assert_non_null(strstr(reason, "me_bench does not run there"));
    host.facts.work_status = 127; /* a command that is not there is not cured by staging */
    me_preflight_judge(&head, &host, "solve", true, reason, sizeof reason);
    assert_non_null(strstr(reason, "solve is not there"));
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
        cmocka_unit_test(answers_that_are_none),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(programs_may_still_come),
        cmocka_unit_test(packages),
        cmocka_unit_test(network_needs_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
