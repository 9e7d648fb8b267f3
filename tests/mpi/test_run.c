/* A whole experiment in one process: MPI_COMM_SELF, a real child, a real result file. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me_cmocka.h"
#include "../../src/bench/bench.h"
#include "me/store.h"

static char dir[64];
static FILE *quiet;

static int run(struct me_error *err, const char *const *argv)
{
    char *copy[16] = {0};
    int argc = 0;
    for (; argv[argc]; argc++) copy[argc] = strdup(argv[argc]);
    *err = (struct me_error){0};
    char *line[16]; /* what is handed over is reordered; the words are ours to free */
    memcpy(line, copy, sizeof line);
    int code = me_bench_run(MPI_COMM_SELF, argc, line, quiet, err);
    for (int i = 0; i < argc; i++) free(copy[i]);
    return code;
}

static char *folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void read_result(const char *name, struct me_result *result)
{
    char path[256];
    struct me_error err = {0};
    snprintf(path, sizeof path, "%s/%s/%s.h5", dir, name, name);
    if (me_store_read(path, true, result, &err)) fail_msg("%s", err.text);
}

static void a_command_is_measured_and_stored(void **state)
{
    (void)state;
    struct me_error err;
    struct me_result result;
    const char *argv[] = {"me_bench",
                          folder("one"),
                          "--repeats",
                          "2",
                          "--idle",
                          "0.2",
                          "--progress",
                          "none",
                          "--",
                          "sh",
                          "-c",
                          "echo begin train >&$ME_MARK_FD; sleep 0.2; echo end train >&$ME_MARK_FD; echo "
                          "work 7 things >&$ME_MARK_FD; echo said",
                          NULL};
    if (run(&err, argv)) fail_msg("%s", err.text);
    read_result("one", &result);
    assert_string_equal(result.status, "complete");
    assert_int_equal(result.machine_count, 1);
    int runs = 0;
    double first_j = NAN;
    for (size_t i = 0; i < result.repeat_count; i++) {
        const struct me_row_repeat *r = &result.repeats[i];
        if (strcmp(r->phase, "run")) continue;
        if (++runs == 1) first_j = r->energy_j;
        assert_int_equal(r->exit_status, 0);
        assert_true(r->duration_s >= 0.2 && r->duration_s < 30);
        assert_true(r->energy_j > 0);
        assert_true(isfinite(r->net_energy_j)); /* the idle phase was measured */
        assert_float_equal(r->mean_power_w * r->duration_s, r->energy_j, 1e-6 * r->energy_j);
        assert_float_equal(r->work, 7, 0);
        assert_string_equal(r->work_unit, "things");
    }
    assert_int_equal(runs, 2);
    assert_int_equal(result.region_count, 2);
    assert_string_equal(result.regions[0].region, "train");
    assert_true(result.regions[0].duration_s >= 0.1); /* marks come late on a busy machine */
    assert_true(result.regions[0].energy_j <= first_j);
    assert_int_equal(result.summary_count, 1);
    assert_int_equal(result.summaries[0].n, 2);
    assert_int_equal(result.summaries[0].place, 1);
    me_result_release(&result);
    char path[256], text[16] = "";
    snprintf(path, sizeof path, "%s/logs/machine0-repeat2.out", folder("one"));
    FILE *log = fopen(path, "r");
    assert_non_null(log);
    assert_non_null(fgets(text, sizeof text, log));
    assert_string_equal(text, "said\n");
    fclose(log);
}

static void nothing_is_overwritten(void **state)
{
    (void)state;
    struct me_error err;
    struct me_result result;
    const char *first[] = {"me_bench", folder("two"), "--progress", "none", "--", "true", NULL};
    assert_int_equal(run(&err, first), 0);
    assert_int_equal(run(&err, first), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    assert_non_null(strstr(err.text, "--append"));
    const char *more[] = {"me_bench",   folder("two"), "--append", "--repeats", "2",
                          "--progress", "none",        "--",       "true",      NULL};
    if (run(&err, more)) fail_msg("%s", err.text);
    read_result("two", &result);
    assert_int_equal(result.summaries[0].n, 3);
    assert_int_equal(result.repeats[result.repeat_count - 1].repeat, 3);
    assert_int_equal(result.machine_count, 1);
    me_result_release(&result);
    const char *anew[] = {"me_bench", folder("two"), "--force", "--progress", "none", "--", "true", NULL};
    if (run(&err, anew)) fail_msg("%s", err.text);
    read_result("two", &result);
    assert_int_equal(result.summaries[0].n, 1);
    me_result_release(&result);
    const char *missing[] = {"me_bench", folder("none"), "--append", "--", "true", NULL};
    assert_int_equal(run(&err, missing), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    assert_int_equal(access(folder("none"), F_OK), -1);
}

static void a_failing_workload_is_told(void **state)
{
    (void)state;
    struct me_error err;
    struct me_result result;
    const char *argv[] = {"me_bench", folder("bad"), "--progress", "none", "--", "sh", "-c", "exit 7", NULL};
    assert_int_equal(run(&err, argv), ME_E_RUN);
    read_result("bad", &result);
    assert_string_equal(result.status, "failed");
    assert_string_equal(result.machines[0].status, "failed");
    assert_non_null(strstr(result.machines[0].reason, "status 7"));
    assert_int_equal(result.repeats[result.repeat_count - 1].exit_status, 7);
    assert_int_equal(result.summaries[0].place, 0);
    me_result_release(&result);
}

static void a_missing_command_is_told(void **state)
{
    (void)state;
    struct me_error err;
    const char *argv[] = {"me_bench", folder("gone"),         "--progress", "none",
                          "--",       "no-such-command-here", NULL};
    char text[4096];
    FILE *usual = quiet;
    assert_non_null(quiet = tmpfile());
    assert_int_equal(run(&err, argv), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    assert_string_equal(err.text, "1 of 1 machine cannot run it; nothing was touched");
    assert_int_equal(access(folder("gone"), F_OK), -1);
    rewind(quiet);
    text[fread(text, 1, sizeof text - 1, quiet)] = '\0';
    fclose(quiet);
    quiet = usual;
    assert_non_null(strstr(text, "(machine 0): cannot run 'no-such-command-here'"));
}

static void a_timeout_ends_the_repeat(void **state)
{
    (void)state;
    struct me_error err;
    struct me_result result;
    const char *argv[] = {"me_bench", folder("slow"), "--timeout", "0.3", "--progress",
                          "none",     "--",           "sleep",     "60",  NULL};
    assert_int_equal(run(&err, argv), ME_E_RUN);
    read_result("slow", &result);
    assert_non_null(strstr(result.repeats[result.repeat_count - 1].note, "timeout"));
    assert_true(result.repeats[result.repeat_count - 1].duration_s < 30);
    me_result_release(&result);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/me-test-run-XXXXXX");
    quiet = fopen("/dev/null", "w");
    if (!mkdtemp(dir) || !quiet) return -1;
    setenv("XDG_STATE_HOME", dir, 1);
    unsetenv("ME_HOSTS_DIR");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    fclose(quiet);
    return system(command);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_measured_and_stored), cmocka_unit_test(nothing_is_overwritten),
        cmocka_unit_test(a_failing_workload_is_told),       cmocka_unit_test(a_missing_command_is_told),
        cmocka_unit_test(a_timeout_ends_the_repeat),
    };
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    MPI_Finalize();
    return failed;
}
