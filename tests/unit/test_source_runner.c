/* The runner of commands: what comes back, deadlines, what is left behind, and that nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "../../src/source/runner.h"
#include "me/clock.h"
#include "me/workload.h"
#include "tree.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>

static int run(struct me_runner *runner, const char *command, double seconds, char *text, size_t size)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    return me_runner_run(runner, argv, seconds, text, size);
}

static struct me_runner *start(char *const *strip)
{
    struct me_error err = {.text = ""};
    struct me_runner *runner = NULL;
    if (me_runner_start(&runner, strip, &err)) fail_msg("%s", err.text);
    return runner;
}

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *command, *text;
        int rc; /* 0: the length of text */
    } cases[] = {
        {"echo 215", "215\n", 0},
        {"printf 'a\\nb'", "a\nb", 0},
        {"true", "", 0},
        {"cat", "", 0}, /* its input is empty */
        {"echo no >&2; echo yes", "yes\n", 0},
        {"exit 3", "", -EIO},
        {"kill -9 $$", "", -EIO},
        {"/no/such/program", "", -ENOENT},
        {"/etc/passwd", "", -EACCES},
        {"echo 12345678901234567890", "", -EFBIG},
        {"yes", "", -EFBIG},
    };
    struct me_runner *runner = start(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16] = "";
        int rc = run(runner, cases[i].command, 10, text, sizeof text);
        if (rc != (cases[i].rc ? cases[i].rc : (int)strlen(cases[i].text)) || strcmp(text, cases[i].text))
            fail_msg("%s: %d \"%s\"", cases[i].command, rc, text);
    }
    const char *const none[] = {"/no/such/program", NULL};
    char text[16];
    assert_int_equal(me_runner_run(runner, none, 10, text, sizeof text), -ENOENT);
    me_runner_stop(runner);
}

static void test_large_answer(void **state)
{
    (void)state;
    struct me_runner *runner = start(NULL);
    char *text = malloc(70000);
    assert_int_equal(run(runner, "head -c 60000 /dev/zero | tr '\\0' x", 10, text, 70000), 60000);
    assert_int_equal(strspn(text, "x"), 60000);
    assert_int_equal(run(runner, "head -c 66000 /dev/zero", 10, text, 70000), -EFBIG);
    free(text);
    me_runner_stop(runner);
}

/* No descriptor, a session apart from ours, and no word that the plan keeps from children. */
static void test_surroundings(void **state)
{
    (void)state;
    char text[4096], secret[] = "ME_TEST_SECRET", *const strip[] = {secret, NULL};
    setenv("ME_TEST_SECRET", "hidden", 1);
    setenv("ME_TEST_SECRET_TOO", "seen", 1);
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
    struct me_runner *runner = start(strip);
    assert_true(run(runner, "env", 10, text, sizeof text) > 0);
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "ME_TEST_SECRET_TOO=seen"));
    assert_non_null(strstr(text, "LC_ALL=C\n"));
    assert_null(strstr(text, "de_DE"));
    assert_int_equal(
        run(runner, "for n in 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do readlink /proc/self/fd/$n; done; :", 10,
            text, sizeof text),
        0);
    assert_true(run(runner, "readlink /proc/$$/fd/0 /proc/$$/fd/2 | tr '\\n' ' '", 10, text, sizeof text) >
                0);
    assert_string_equal(text, "/dev/null /dev/null ");
    assert_true(run(runner, "ps -o sid= -p $$", 10, text, sizeof text) > 0);
    assert_int_not_equal(strtol(text, NULL, 10), getsid(0));
    close(leak);
    unsetenv("LC_ALL");
    me_runner_stop(runner);
}

static size_t count_fds(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static bool is_gone(pid_t pid)
{
    for (int i = 0; i < 200; i++) {
        if (kill(pid, 0)) return true;
        me_clock_sleep_until(me_clock_mono_ns() + 10 * 1000000);
    }
    return false;
}

static pid_t read_pid(const char *root, const char *name)
{
    char path[256];
    int pid = 0;
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%d", &pid) != 1 || pid < 2) fail_msg("%s", path);
    fclose(file);
    return pid;
}

/* A command that hangs is over at its deadline, with all that it has started, and the next one runs. */
static void test_deadline(void **state)
{
    (void)state;
    char root[64], command[512], text[64] = "kept";
    tree_make(root, sizeof root);
    struct me_runner *runner = start(NULL);
    snprintf(command, sizeof command,
             "cd %s; trap '' TERM HUP INT; sleep 600 & echo $! >a; setsid sleep 600 & echo $! >b; "
             "(setsid sh -c 'sleep 600 & echo $! >c; wait' &); echo $$ >d; until [ -s c ]; do sleep .01; "
             "done; sleep 600",
             root);
    int64_t begin_ns = me_clock_mono_ns();
    assert_int_equal(run(runner, command, 1.5, text, sizeof text), -ETIMEDOUT);
    int64_t took_ns = me_clock_mono_ns() - begin_ns;
    assert_true(took_ns >= 1500000000 && took_ns < 20 * ME_NS_PER_S);
    assert_string_equal(text, "kept");
    for (const char *name = "abcd"; *name; name++) {
        char file[2] = {*name, '\0'};
        assert_true(is_gone(read_pid(root, file)));
    }
    assert_int_equal(run(runner, "echo 1", 10, text, sizeof text), 2);
    me_runner_stop(runner);
    tree_remove(root);
}

/* What it leaves behind holds its output open, and nobody waits for it. */
static void test_left_behind(void **state)
{
    (void)state;
    char root[64], command[256], text[64];
    tree_make(root, sizeof root);
    struct me_runner *runner = start(NULL);
    snprintf(command, sizeof command, "cd %s; setsid sleep 600 & echo $! >a; sleep 600 & echo $! >b; echo 7",
             root);
    assert_int_equal(run(runner, command, 60, text, sizeof text), 2);
    assert_string_equal(text, "7\n");
    assert_true(is_gone(read_pid(root, "a")));
    assert_true(is_gone(read_pid(root, "b")));
    me_runner_stop(runner);
    tree_remove(root);
}

/* Our own children are ours: a runner at work reaps none of them, and leaves none. */
static void test_foreign_children(void **state)
{
    (void)state;
    char text[64];
    size_t fds = count_fds();
    pid_t pid = fork();
    if (!pid) _exit(42);
    struct me_runner *runner = start(NULL);
    for (int i = 0; i < 20; i++) assert_int_equal(run(runner, "sleep 0 & echo 1", 10, text, sizeof text), 2);
    me_runner_stop(runner);
    int status;
    assert_int_equal(waitpid(-1, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    assert_int_equal(waitpid(-1, &status, 0), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_fds(), fds);
}

/* Stopped in the middle of a command: the command is killed. */
static void test_end(void **state)
{
    (void)state;
    char root[64], command[256], text[64];
    tree_make(root, sizeof root);
    pid_t pid = fork();
    if (!pid) { /* killed while a command runs: it must not outlive us */
        struct me_runner *runner = start(NULL);
        snprintf(command, sizeof command, "echo $$ >%s/tmp; mv %s/tmp %s/pid; exec sleep 600", root, root,
                 root);
        run(runner, command, 600, text, sizeof text);
        _exit(1);
    }
    snprintf(command, sizeof command, "%s/pid", root);
    for (int i = 0; i < 1000 && access(command, F_OK); i++)
        me_clock_sleep_until(me_clock_mono_ns() + 10000000);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(is_gone(read_pid(root, "pid")));
    me_runner_stop(NULL);
    tree_remove(root);
}

/* The runner itself is killed: every further reading fails, none hangs. */
static void test_runner_gone(void **state)
{
    (void)state;
    char text[64];
    struct me_runner *runner = start(NULL);
    assert_true(run(runner, "ps -o ppid= -p $$", 10, text, sizeof text) > 0);
    kill((pid_t)strtol(text, NULL, 10), SIGKILL);
    assert_int_equal(run(runner, "echo 1", 10, text, sizeof text), -EPIPE);
    assert_int_equal(run(runner, "echo 1", 10, text, sizeof text), -EPIPE);
    me_runner_stop(runner);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

struct asker {
    struct me_runner *runner;
    atomic_bool end;
    int good, bad;
};

static void *ask(void *argument)
{
    struct asker *asker = argument;
    char text[64];
    while (!asker->end) {
        if (run(asker->runner, "sleep 0.05; echo 1", 10, text, sizeof text) == 2)
            asker->good++;
        else
            asker->bad++;
    }
    return NULL;
}

/* Workloads come and go, and what they leave is killed: never a meter's command, and no command is
 * taken for a workload's stray. */
static void test_beside_workloads(void **state)
{
    (void)state;
    struct asker asker = {.runner = start(NULL)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
    for (int i = 0; i < 20; i++) {
        struct me_error err = {.text = ""};
        struct me_child_event event = {.type = ME_CHILD_NOTHING};
        struct me_child *child;
        char *argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)"setsid sleep 600 & sleep 0.02", NULL};
        struct me_child_options options = {
            .argv = argv, .stdout_path = "/dev/null", .stderr_path = "/dev/null", .machine_count = 1};
        if (me_child_start(&child, &options, &err)) fail_msg("%s", err.text);
        while (event.type != ME_CHILD_EXITED) me_child_wait(child, 1000, &event);
        assert_int_equal(event.exit_status, 0);
        assert_int_equal(me_child_release(child), 1);
    }
    asker.end = true;
    pthread_join(thread, NULL);
    assert_int_equal(asker.bad, 0);
    assert_true(asker.good > 0);
    me_runner_stop(asker.runner);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),      cmocka_unit_test(test_large_answer),
        cmocka_unit_test(test_surroundings), cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_left_behind),  cmocka_unit_test(test_foreign_children),
        cmocka_unit_test(test_end),          cmocka_unit_test(test_beside_workloads),
        cmocka_unit_test(test_runner_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
