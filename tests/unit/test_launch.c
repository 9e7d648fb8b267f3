#include "me/launch.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../../src/launch/environment.h"
#include "me_cmocka.h"

static void argv_is_as_written(void **state)
{
    (void)state;
    static const char *const expected[] = {"mpirun", "-hostfile",   "gen.hosts", "me_bench",
                                           "exp 1",  "--repeats=3", "--",        "sh",
                                           "-c",     "x  y",        NULL};
    char words[][16] = {"exp 1", "--repeats=3", "--", "sh", "-c", "x  y"};
    char *args[] = {words[0], words[1], words[2], words[3], words[4], words[5], NULL}, **argv = NULL;
    struct me_error err = {0};
    assert_int_equal(me_launch_argv("gen.hosts", args, &argv, &err), 0);
    for (size_t i = 0; expected[i]; i++) assert_string_equal(argv[i], expected[i]);
    assert_null(argv[10]);
    me_launch_argv_free(argv);
    me_launch_argv_free(NULL);
}

static void env_lines(void **state)
{
    (void)state;
    static const struct {
        const char *line, *name, *value; /* value NULL: an error; name NULL: nothing in it */
    } table[] = {
        {"", NULL, ""},
        {"# export X='y'", NULL, ""},
        {"export A='b c'", "A", "b c"},
        {"export A_1=''", "A_1", ""},
        {"export A='it'\\''s'", "A", "it's"},
        {"export A='$B `x` \\ \"'", "A", "$B `x` \\ \""},
        {"export PATH='/x':\"$PATH\"", "PATH", "/x:/usr/bin"},
        {"export X='/x':\"$NONE\"", "X", "/x"},
        {"  export A='b'  ", "A", "b"},
        {"A='b'", "", NULL},
        {"export A=b", "", NULL},
        {"export A='b", "", NULL},
        {"export A='b'c", "", NULL},
        {"export 1='b'", "", NULL},
        {"export ='b'", "", NULL},
        {"export A='b'; rm x", "", NULL},
        {"export A='b':\"$", "", NULL},
        {"unset A", "", NULL},
    };
    char path[] = "PATH=/usr/bin", *environment[] = {path, NULL};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *name = NULL, *value = NULL;
        struct me_error err = {0};
        int rc = me_environment_line(table[i].line, environment, &name, &value, &err);
        assert_int_equal(rc, table[i].value ? 0 : -1);
        if (rc) assert_int_equal(err.code, ME_E_INPUT);
        if (!rc && table[i].name) {
            assert_string_equal(name, table[i].name);
            assert_string_equal(value, table[i].value);
        } else {
            assert_null(name);
        }
        free(name);
        free(value);
    }
}

static void environment_is_ours_less_secrets_plus_lines(void **state)
{
    (void)state;
    char a[] = "A=1", secret[] = "SECRET=x", longer[] = "SECRET_2=y", b[] = "B=2";
    char *environment[] = {a, secret, longer, b, NULL}, strip_name[] = "SECRET",
         *strip[] = {strip_name, NULL};
    char **out = NULL;
    struct me_error err = {0};
    assert_int_equal(
        me_environment_build("# c\nexport B='3'\nexport C='4'\n", "env", environment, strip, &out, &err), 0);
    static const char *const expected[] = {"A=1", "SECRET_2=y", "B=3", "C=4"};
    for (size_t i = 0; i < 4; i++) assert_string_equal(out[i], expected[i]);
    assert_null(out[4]);
    me_environment_free(out);
    out = NULL;
    assert_int_equal(me_environment_build("export B='3'\nfoo\n", "d/env", environment, NULL, &out, &err), -1);
    assert_non_null(strstr(err.text, "d/env:2: "));
    assert_null(out);
}

static void write_env(char *path)
{
    int fd = mkstemp(path);
    static const char text[] = "export ME_TEST_GIVEN='it'\\''s'\n";
    assert_true(fd >= 0 && write(fd, text, sizeof text - 1) > 0);
    close(fd);
}

static void run_gives_environment_and_status(void **state)
{
    (void)state;
    char env[] = "/tmp/me-test-launch-XXXXXX", sh[] = "sh", c[] = "-c";
    char script[] =
        "test \"$ME_TEST_GIVEN\" = \"it's\" && test -z \"$ME_TEST_SECRET\" && ! read x && exit 7; exit 9";
    char *argv[] = {sh, c, script, NULL}, name[] = "ME_TEST_SECRET", *strip[] = {name, NULL};
    struct me_error err = {0};
    int status = -1;
    write_env(env);
    setenv("ME_TEST_SECRET", "x", 1);
    assert_int_equal(me_launch_run(argv, env, strip, 30, NULL, &status, &err), 0);
    assert_int_equal(status, 7);
    char kill_self[] = "kill -9 $$";
    argv[2] = kill_self;
    assert_int_equal(me_launch_run(argv, env, NULL, 30, NULL, &status, &err), 0);
    assert_int_equal(status, 128 + 9);
    char none[] = "/nonexistent/mpirun", *none_argv[] = {none, NULL};
    assert_int_equal(me_launch_run(none_argv, env, NULL, 30, NULL, &status, &err), -1);
    assert_non_null(strstr(err.text, "openmpi-bin"));
    unlink(env);
    assert_int_equal(me_launch_run(argv, env, NULL, 30, NULL, &status, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
}

/* A launcher that tells which signals it gets; ours are sent to the process that waits for it. */
static void signals_become_an_orderly_end(void **state)
{
    (void)state;
    char env[] = "/tmp/me-test-launch-XXXXXX", sh[] = "sh", c[] = "-c";
    char script[] = "trap 'n=5; kill -TERM $PPID' USR1; trap 'exit $((n + 1))' TERM; n=0; kill -INT $PPID; "
                    "while :; do sleep 0.02; done";
    char *argv[] = {sh, c, script, NULL};
    write_env(env);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int status = -1;
        _exit(me_launch_run(argv, env, NULL, 30, NULL, &status, NULL) ? 99 : status);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 6); /* USR1 first, then TERM */
    unlink(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(argv_is_as_written),
        cmocka_unit_test(env_lines),
        cmocka_unit_test(environment_is_ours_less_secrets_plus_lines),
        cmocka_unit_test(run_gives_environment_and_status),
        cmocka_unit_test(signals_become_an_orderly_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
