/* What a machine answers, and what is made of it. The command line is no library; its pure parts are
 * compiled in here. */
#include "../../src/cli/head.c"
#include "../../src/cli/network.c"
#include "../../src/cli/preflight.c"
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
    me_preflight_packages("libmpi.so.40 libopen-rte.so.40 libhwloc.so.15", text, sizeof text);
    assert_string_equal(text, "libopenmpi3 libhwloc15");
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
        cmocka_unit_test(answers_that_are_none),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(programs_may_still_come),
        cmocka_unit_test(packages),
        cmocka_unit_test(network_needs_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
