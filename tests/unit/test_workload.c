/* The table of workloads and the argument vectors of plans. */
#include "../../src/workload/table.h"
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
    static const char *const names[] = {"native", "spin", "sleep"};
    size_t rows = 0;
    for (const struct me_workload *w = me_workload_table; w->name; w++, rows++) {
        assert_true(w->summary && *w->summary && w->needs && *w->needs && w->kernel && *w->kernel);
        assert_ptr_equal(me_workload_find(w->name), w);
    }
    assert_int_equal(rows, sizeof names / sizeof *names);
    for (size_t i = 0; i < rows; i++) assert_non_null(me_workload_find(names[i]));
    assert_null(me_workload_find("Native"));
    assert_null(me_workload_find(""));
}

static void test_command(void **state)
{
    (void)state;
    struct me_plan plan = {.workload = "command",
                           .command = {(char *)"python3", (char *)"", (char *)"a b", NULL}};
    struct me_error err;
    char **argv = NULL;
    assert_int_equal(me_workload_argv(&plan, &argv, &err), 0);
    assert_string_equal(argv[0], "python3");
    assert_string_equal(argv[1], "");
    assert_string_equal(argv[2], "a b");
    assert_null(argv[3]);
    assert_ptr_not_equal(argv[0], plan.command[0]);
    me_workload_argv_free(argv);
    me_workload_argv_free(NULL);
}

static void test_refusals(void **state)
{
    (void)state;
    struct me_plan plan = {.workload = "command"};
    struct me_error err;
    char **argv = NULL;
    assert_int_equal(me_workload_argv(&plan, &argv, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    snprintf(plan.workload, sizeof plan.workload, "natve");
    assert_int_equal(me_workload_argv(&plan, &argv, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    assert_non_null(strstr(err.text, "natve"));
    assert_non_null(strstr(err.text, "native, spin, sleep"));
    assert_null(argv);
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
    assert_int_equal(me_table_find_kernel(bin, path, sizeof path, &err), -1);
    assert_int_equal(err.code, ME_E_RUN);
    assert_non_null(strstr(err.text, bin));
    assert_string_equal(path, "untouched");

    snprintf(libexec, sizeof libexec, "%s/libexec", dir);
    mkdir(libexec, 0755);
    snprintf(libexec, sizeof libexec, "%s/libexec/machine-energy", dir);
    mkdir(libexec, 0755);
    snprintf(libexec, sizeof libexec, "%s/../libexec/machine-energy/me_kernel", bin);
    make_file(libexec, 0755);
    assert_int_equal(me_table_find_kernel(bin, path, sizeof path, &err), 0);
    assert_string_equal(path, libexec);

    snprintf(beside, sizeof beside, "%s/me_kernel", bin);
    make_file(beside, 0755);
    assert_int_equal(me_table_find_kernel(bin, path, sizeof path, &err), 0);
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
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_find_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
