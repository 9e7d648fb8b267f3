/* Can a workload run here, and with which Python? Shell scripts stand in for Pythons. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include "../../src/workload/python.h"
#include "me/clock.h"
#include "me/workload.h"
#include "me_cmocka.h"

struct place {
    char dir[64], home[80], bin[80], files[80];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/me-check-XXXXXX");
    if (!mkdtemp(p->dir) || chdir(p->dir)) return -1;
    snprintf(p->home, sizeof p->home, "%s/home", p->dir);
    snprintf(p->bin, sizeof p->bin, "%s/bin", p->dir);
    snprintf(p->files, sizeof p->files, "%s/files", p->dir);
    mkdir(p->home, 0755);
    mkdir(p->bin, 0755);
    mkdir(p->files, 0755);
    setenv("HOME", p->home, 1);
    setenv("PATH", p->bin, 1);
    unsetenv("ME_FRAMEWORKS_DIR");
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    int rc = chdir("/");
    me_workload_remove(p->dir);
    free(p);
    return rc;
}

static void make_parents(const char *path)
{
    char part[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        mkdir(part, 0755);
    }
}

static void make_program(const char *path, const char *script)
{
    make_parents(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    assert_int_equal(chmod(path, 0755), 0);
}

static const char *at(const struct place *p, const char *path)
{
    static char text[PATH_MAX];
    snprintf(text, sizeof text, "%s/%s", p->dir, path);
    return text;
}

static void expect_python(const struct me_workload *row, const char *wanted, const char *expected)
{
    char path[PATH_MAX] = "";
    struct me_error err = {.text = ""};
    if (me_python_find(row, wanted, path, sizeof path, &err)) fail_msg("'%s': %s", wanted, err.text);
    assert_string_equal(path, expected);
}

/* Each place that comes to be goes over the ones before. */
static void order_of_pythons(void **state)
{
    struct place *p = *state;
    const struct me_workload *keras = me_workload_find("keras");
    char path[PATH_MAX] = "untouched";
    struct me_error err = {.text = ""};
    assert_non_null(keras);
    assert_int_equal(me_python_find(keras, "", path, sizeof path, &err), -1);
    assert_int_equal(err.code, ME_E_RUN);
    assert_non_null(strstr(err.text, "python3 is not in PATH"));
    assert_string_equal(path, "untouched");
    make_program(at(p, "bin/python3"), "");
    expect_python(keras, "", at(p, "bin/python3"));
    make_program(at(p, "home/.local/share/machine-energy/frameworks/keras/bin/python3"), "");
    expect_python(keras, "", at(p, "bin/python3")); /* an installation that was cut off */
    make_program(at(p, "home/.local/share/machine-energy/frameworks/keras/complete"), "");
    expect_python(keras, "", at(p, "home/.local/share/machine-energy/frameworks/keras/bin/python3"));
    expect_python(me_workload_find("pl"), "", at(p, "bin/python3"));
    expect_python(NULL, "", at(p, "bin/python3")); /* the user's function has no framework */
    setenv("ME_FRAMEWORKS_DIR", at(p, "own"), 1);
    expect_python(keras, "", at(p, "home/.local/share/machine-energy/frameworks/keras/bin/python3"));
    make_program(at(p, "own/keras/complete"), "");
    make_program(at(p, "own/keras/bin/python"), "");
    expect_python(keras, "", at(p, "own/keras/bin/python"));
}

static void what_the_user_wants(void **state)
{
    struct place *p = *state;
    make_program(at(p, "bin/python3"), "");
    make_program(at(p, "bin/python3.11"), "");
    make_program(at(p, "venv/bin/python3"), "");
    make_program(at(p, "home/venv/bin/python3"), "");
    expect_python(NULL, "python3.11", at(p, "bin/python3.11"));
    expect_python(NULL, "venv", at(p, "venv/bin/python3")); /* the workload may run in another folder */
    expect_python(NULL, "./venv/bin/python3", at(p, "./venv/bin/python3"));
    expect_python(NULL, "~/venv", at(p, "home/venv/bin/python3"));
    expect_python(me_workload_find("keras"), "./venv/", at(p, "./venv//bin/python3"));
    /* Through its link: that is how an environment knows itself. */
    assert_int_equal(symlink("../../bin/python3", "venv/bin/python"), 0);
    expect_python(NULL, "venv/bin/python", at(p, "venv/bin/python"));
    static const char *const bad[] = {"/no/such/python", "python9", "bin", "~/nothing", "venv/bin"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[PATH_MAX] = "untouched";
        struct me_error err = {.text = ""};
        assert_int_equal(me_python_find(NULL, bad[i], path, sizeof path, &err), -1);
        assert_int_equal(err.code, ME_E_INPUT);
        if (!strstr(err.text, bad[i]) ||
            !strstr(err.text, "neither an interpreter nor a virtual environment"))
            fail_msg("%s", err.text);
        assert_string_equal(path, "untouched");
    }
}

static bool check(const struct place *p, const struct me_plan *plan, char *text, size_t size)
{
    struct me_workload_place place = {
        .plan = plan, .python = plan->python, .files = p->files, .machine_id = 7, .machine_count = 9};
    struct me_workloads list;
    struct me_error err = {.text = ""};
    if (me_workload_list(plan, &list, &err)) fail_msg("%s", err.text);
    return me_workload_check(&list.entries[0], &place, text, size);
}

static void set_framework(struct me_plan *plan, const struct place *p)
{
    *plan = (struct me_plan){.workload = "keras"};
    snprintf(plan->python, sizeof plan->python, "%s/python", p->dir);
}

/* The last line of stdout if it can run, else of stderr; fit for a terminal. */
static void what_it_says(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *script;
        bool ready;
        const char *text;
    } table[] = {
        {"echo noise; echo 'keras 3.12, Python 3.11'; echo warning >&2", true, "keras 3.12, Python 3.11"},
        {"printf 'ready\\n\\n  \\n'", true, "ready"},
        {"echo only stderr >&2", true, "only stderr"},
        {"exit 0", true, "keras"},
        {"echo 'some progress'; echo 'me: keras: not installed' >&2; exit 1", false, "keras: not installed"},
        {"echo 'told on stdout'; exit 3", false, "told on stdout"},
        {"exit 3", false, "keras cannot run here: its --check ended with status 3"},
        {"kill -9 $$", false, "keras cannot run here: its --check ended with status 265"},
        {"printf 'a\\033[31mb\\rc\\377d' >&2; exit 1", false, "a [31mb c?d"},
        {"head -c 300000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2; exit 1", false, "last"},
        {"echo \"$2 $*\" | grep -q -- '--check$' && echo ok", true, "ok"},
        {"[ \"$PWD\" = \"$ME_FILES\" ] && [ \"$ME_MACHINE_ID\" = 7 ] && echo \"$PYTHONPATH\" | grep -q "
         "'files/.machine-energy' && [ -z \"$LAB_PASSWORD\" ] && echo right",
         true, "right"},
        {"(sleep 100 & ) ; echo 'left one behind'", true, "left one behind"},
    };
    static char *strip[] = {(char *)"LAB_PASSWORD", NULL};
    setenv("LAB_PASSWORD", "secret", 1);
    setenv("PATH", "/usr/bin:/bin", 1);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_plan plan;
        char text[400] = "";
        set_framework(&plan, p);
        plan.strip_env = strip;
        plan.strip_count = 1;
        make_program(at(p, "python"), table[i].script);
        bool ready = check(p, &plan, text, sizeof text);
        if (ready != table[i].ready || strcmp(text, table[i].text)) fail_msg("%zu: %d '%s'", i, ready, text);
    }
    unsetenv("LAB_PASSWORD");
}

static void nothing_to_run_it_with(void **state)
{
    struct place *p = *state;
    struct me_plan plan;
    char text[400] = "";
    set_framework(&plan, p); /* there is no such file */
    assert_false(check(p, &plan, text, sizeof text));
    assert_non_null(strstr(text, "neither an interpreter nor a virtual environment"));
}

static void commands(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *word, *with;
        bool ready;
        const char *text;
    } table[] = {
        {"tool", "", true, "bin/tool"},
        {"nothing", "", false, "no such command in PATH"},
        {"./here", "", true, "./here"},
        {"./shipped", "", false, "cannot run './shipped': No such file or directory; --with ships it"},
        {"./shipped", "shipped", true, "./shipped"},
        {"./here", "shipped", false, "No such file or directory; it is not among what --with names"},
        {"here", "", false, "there is no such command in PATH; write ./here"},
        {"here", "shipped", false, "there is no such command in PATH"},
        {"shipped", "shipped", false, "there is no such command in PATH; write ./shipped"},
        {"folder", "", false, "there is no such command in PATH"},
        {"./plain", "plain", false, "cannot run './plain': not an executable file; chmod +x makes it one"},
        {"./folder", "", false, "cannot run './folder': not an executable file"},
        {"./part-%i", "", true, "./part-7"},
    };
    make_program(at(p, "bin/tool"), "");
    make_program(at(p, "here"), "");
    make_program(at(p, "part-7"), "");
    make_program(at(p, "files/shipped"), "");
    make_program(at(p, "files/plain"), "");
    chmod("files/plain", 0644);
    mkdir("folder", 0755);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_plan plan = {.workload = "command", .command = {(char *)table[i].word, NULL}};
        char text[400] = "";
        strcpy(plan.with, table[i].with);
        bool ready = check(p, &plan, text, sizeof text);
        if (ready != table[i].ready || !strstr(text, table[i].text)) fail_msg("%zu: %d '%s'", i, ready, text);
    }
}

static void wake(int number)
{
    (void)number;
}

/* A stop must not have to wait for it. */
static void a_signal_ends_it(void **state)
{
    struct place *p = *state;
    struct me_plan plan;
    char text[400] = "";
    struct sigaction action = {.sa_handler = wake}, before;
    struct itimerval soon = {.it_value.tv_usec = 300000}, never = {.it_value.tv_usec = 0};
    setenv("PATH", "/usr/bin:/bin", 1);
    set_framework(&plan, p);
    make_program(at(p, "python"), "sleep 50 & echo $! >pid; wait");
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &soon, NULL);
    int64_t begin_ns = me_clock_mono_ns();
    assert_false(check(p, &plan, text, sizeof text));
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    assert_string_equal(text, "interrupted");
    assert_true(me_clock_mono_ns() - begin_ns < 20 * ME_NS_PER_S);
    FILE *file = fopen("files/pid", "r");
    int pid = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    for (int i = 0; i < 200 && !kill(pid, 0); i++) { /* its parent is init now, which takes a moment */
        char stat_path[64], line[512] = "";
        snprintf(stat_path, sizeof stat_path, "/proc/%d/stat", pid);
        FILE *stat_file = fopen(stat_path, "r");
        if (stat_file && fgets(line, sizeof line, stat_file) && strstr(line, ") Z")) pid = INT_MAX;
        if (stat_file) fclose(stat_file);
        usleep(10000);
    }
    assert_int_not_equal(kill(pid, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(order_of_pythons), TEST(what_the_user_wants), TEST(what_it_says), TEST(nothing_to_run_it_with),
        TEST(commands),         TEST(a_signal_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
