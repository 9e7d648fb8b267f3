/* The table of workloads and the argument vectors of plans. */
#include "../../src/workload/argv.h"
#include "me/workload.h"
#include "me_cmocka.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_table(void **state)
{
    (void)state;
    for (const struct me_workload *w = me_workload_table; w->name; w++) {
        assert_true(w->summary && *w->summary && w->needs && *w->needs && w->region);
        assert_true(!w->kernel != !w->script); /* one of the two runs it */
        assert_ptr_equal(me_workload_find(w->name), w);
    }
    assert_null(me_workload_find("Native"));
    assert_null(me_workload_find(""));
}

static void set_workload(struct me_plan *plan, const char *text)
{
    snprintf(plan->workload, sizeof plan->workload, "%s", text);
}

static void test_list(void **state)
{
    (void)state;
    struct me_plan plan = {.samples = 0};
    struct me_workloads list;
    struct me_error err;
    set_workload(&plan, " keras,native   --seed  3 ,sleep");
    assert_int_equal(me_workload_list(&plan, &list, &err), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.entries[0].label, "keras");
    assert_string_equal(list.entries[0].region, "train");
    assert_int_equal(list.entries[0].word_count, 0);
    assert_string_equal(list.entries[1].label, "native --seed 3");
    assert_int_equal(list.entries[1].word_count, 2);
    assert_string_equal(list.entries[1].words[1], "3");
    assert_string_equal(list.entries[2].region, "");

    snprintf(plan.region, sizeof plan.region, "whole");
    assert_int_equal(me_workload_list(&plan, &list, &err), 0);
    assert_string_equal(list.entries[0].region, "");
    snprintf(plan.region, sizeof plan.region, "test");
    assert_int_equal(me_workload_list(&plan, &list, &err), 0);
    assert_string_equal(list.entries[2].region, "test");
}

static void test_own_entries(void **state)
{
    (void)state;
    char word[] = "true";
    struct me_plan plan = {.workload = "command", .command = {word}};
    struct me_workloads list;
    struct me_error err;
    assert_int_equal(me_workload_list(&plan, &list, &err), 0);
    assert_int_equal(list.count, 1);
    assert_null(list.entries[0].row);
    assert_string_equal(list.entries[0].label, "command");
    assert_string_equal(list.entries[0].region, "");
    set_workload(&plan, "function");
    snprintf(plan.function, sizeof plan.function, "train.py:main");
    assert_int_equal(me_workload_list(&plan, &list, &err), 0);
    assert_string_equal(list.entries[0].label, "function");
    assert_string_equal(list.entries[0].region, "train");
}

static void test_list_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"natve", "did you mean native?"},
        {"qqqqqqqqqq", "there are native, keras"},
        {"native,", "a name is missing"},
        {"", "a name is missing"},
        {"native,,spin", "a name is missing"},
        {"native,spin,native", "twice"},
        {"sleep a,sleep  a", "twice"},
        {"sleep 1,sleep 2,sleep 3,sleep 4,sleep 5,sleep 6,sleep 7,sleep 8,sleep 9,sleep 10,sleep 11,sleep 12,"
         "sleep 13,sleep 14,sleep 15,sleep 16,sleep 17",
         "more than 16"},
        {"native 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5", "too many"},
        {"native "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "longer than 95"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_plan plan = {.samples = 0};
        struct me_workloads list = {.count = 77};
        struct me_error err = {0};
        set_workload(&plan, cases[i].text);
        assert_int_equal(me_workload_list(&plan, &list, &err), -1);
        assert_int_equal(err.code, ME_E_INPUT);
        if (!strstr(err.text, cases[i].message)) fail_msg("%s: %s", cases[i].text, err.text);
        assert_int_equal(list.count, 77);
    }
}

static char **make_argv(const struct me_plan *plan)
{
    struct me_workload_place place = {
        .plan = plan, .python = "", .files = "/f", .machine_id = 7, .machine_count = 12};
    struct me_workloads list;
    struct me_error err = {0};
    char **argv = NULL;
    assert_int_equal(me_workload_list(plan, &list, &err), 0);
    if (me_workload_argv(&list.entries[0], &place, &argv, &err)) fail_msg("%s", err.text);
    return argv;
}

static void test_command(void **state)
{
    (void)state;
    struct me_plan plan = {
        .workload = "command",
        .command = {(char *)"python3", (char *)"", (char *)"a b", (char *)"%i/%n-%%-%d%", NULL}};
    char **argv = make_argv(&plan);
    assert_string_equal(argv[0], "python3");
    assert_string_equal(argv[1], "");
    assert_string_equal(argv[2], "a b");
    assert_string_equal(argv[3], "7/12-%-%d%");
    assert_null(argv[4]);
    assert_ptr_not_equal(argv[0], plan.command[0]);
    me_workload_argv_free(argv);
    me_workload_argv_free(NULL);
}

/* --framework command: without a command these two are names that the table does not have. */
static void test_no_command(void **state)
{
    (void)state;
    const char *const names[] = {"command", "function"};
    for (size_t i = 0; i < 2; i++) {
        struct me_plan plan = {.repeats = 1};
        struct me_workloads list = {.count = 0};
        struct me_error err;
        snprintf(plan.workload, sizeof plan.workload, "%s", names[i]);
        assert_int_equal(me_workload_list(&plan, &list, &err), -1);
        assert_int_equal(err.code, ME_E_INPUT);
        assert_non_null(strstr(err.text, "--framework: there is no "));
        assert_int_equal(list.count, 0);
    }
}

static void make_file(const char *path, mode_t mode)
{
    int fd = open(path, O_CREAT | O_WRONLY, mode);
    assert_true(fd >= 0);
    close(fd);
}

/* A build tree, an installed tree, and neither. */
static void test_find_kernel(void **state)
{
    (void)state;
    char dir[] = "/tmp/me-test-XXXXXX", bin[64], path[PATH_MAX] = "untouched", beside[96], libexec[160];
    struct me_error err;
    assert_non_null(mkdtemp(dir));
    snprintf(bin, sizeof bin, "%s/bin", dir);
    mkdir(bin, 0755);
    assert_int_equal(me_argv_find_kernel(bin, path, sizeof path, &err), -1);
    assert_int_equal(err.code, ME_E_RUN);
    assert_non_null(strstr(err.text, bin));
    assert_string_equal(path, "untouched");

    snprintf(libexec, sizeof libexec, "%s/libexec", dir);
    mkdir(libexec, 0755);
    snprintf(libexec, sizeof libexec, "%s/libexec/machine-energy", dir);
    mkdir(libexec, 0755);
    snprintf(libexec, sizeof libexec, "%s/../libexec/machine-energy/me_kernel", bin);
    make_file(libexec, 0755);
    assert_int_equal(me_argv_find_kernel(bin, path, sizeof path, &err), 0);
    assert_string_equal(path, libexec);

    snprintf(beside, sizeof beside, "%s/me_kernel", bin);
    make_file(beside, 0755);
    assert_int_equal(me_argv_find_kernel(bin, path, sizeof path, &err), 0);
    assert_string_equal(path, beside);

    unlink(beside);
    unlink(libexec);
    snprintf(libexec, sizeof libexec, "%s/libexec/machine-energy", dir);
    rmdir(libexec);
    snprintf(libexec, sizeof libexec, "%s/libexec", dir);
    rmdir(libexec);
    rmdir(bin);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),       cmocka_unit_test(test_list),
        cmocka_unit_test(test_own_entries), cmocka_unit_test(test_list_refusals),
        cmocka_unit_test(test_command),     cmocka_unit_test(test_no_command),
        cmocka_unit_test(test_find_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
