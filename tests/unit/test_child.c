/* Real children: shell scripts, and this program itself run with an operand (see tell below). */
#include "me/clock.h"
#include "me/workload.h"
#include "me_cmocka.h"
#include <limits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000 };

struct place { /* a directory of its own for each test */
    char dir[64], out[80], err[80];
};

struct tally { /* what a child had to say */
    int begins, ends, works, bad;
    double work;
    char last[48], last_bad[48];
    int exit_status; /* -1: no end seen */
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    if (!place) return -1;
    snprintf(place->dir, sizeof place->dir, "/tmp/me-child-XXXXXX");
    if (!mkdtemp(place->dir)) return -1;
    snprintf(place->out, sizeof place->out, "%s/out", place->dir);
    snprintf(place->err, sizeof place->err, "%s/err", place->dir);
    *state = place;
    alarm(PATIENCE_MS / 1000 * 2); /* a hang is a failure too */
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", place->dir);
    int rc = system(command);
    free(place);
    alarm(0);
    return rc;
}

static struct me_child *start(const struct place *place, char *const *argv)
{
    struct me_error err = {.text = ""};
    struct me_child *child = NULL;
    static const char *const strip[] = {"ME_TEST_PASSWORD", "OTHER_SECRET", NULL};
    struct me_child_options options = {.argv = argv,
                                       .stdout_path = place->out,
                                       .stderr_path = place->err,
                                       .strip_env = (char *const *)strip,
                                       .machine_id = 7,
                                       .machine_count = 9,
                                       .repeat = 4};
    if (me_child_start(&child, &options, &err)) fail_msg("%s", err.text);
    return child;
}

static struct me_child *start_sh(const struct place *place, const char *script)
{
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    return start(place, argv);
}

static void count(struct tally *tally, const struct me_child_event *event)
{
    tally->begins += event->type == ME_CHILD_BEGIN;
    tally->ends += event->type == ME_CHILD_END;
    tally->works += event->type == ME_CHILD_WORK;
    tally->bad += event->type == ME_CHILD_BAD_MARK;
    tally->work += event->type == ME_CHILD_WORK ? event->amount : 0;
    if (event->type == ME_CHILD_EXITED)
        tally->exit_status = event->exit_status;
    else if (event->type == ME_CHILD_BAD_MARK)
        strcpy(tally->last_bad, event->name);
    else if (event->type != ME_CHILD_NOTHING)
        strcpy(tally->last, event->name);
}

/* Listens until the end. */
static struct tally listen_to(struct me_child *child)
{
    struct tally tally = {.exit_status = -1};
    int64_t give_up_ns = me_clock_mono_ns() + PATIENCE_MS * INT64_C(1000000);
    while (tally.exit_status < 0 && me_clock_mono_ns() < give_up_ns) {
        struct me_child_event event;
        me_child_wait(child, 1000, &event);
        count(&tally, &event);
    }
    assert_true(tally.exit_status >= 0);
    return tally;
}

static struct tally run_sh(const struct place *place, const char *script)
{
    struct me_child *child = start_sh(place, script);
    struct tally tally = listen_to(child);
    assert_int_equal(me_child_release(child), 0);
    return tally;
}

static void read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    size_t len = 0;
    for (ssize_t n; len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0;) len += (size_t)n;
    text[len] = '\0';
    close(fd);
}

/* What the child printed in place->out as a line "KEY VALUE". */
static void find_value(const struct place *place, const char *key, char *value, size_t size)
{
    static char text[65536];
    read_file(place->out, text, sizeof text);
    size_t len = strlen(key);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (!strncmp(line, key, len) && line[len] == ' ') {
            snprintf(value, size, "%s", line + len + 1);
            return;
        }
    fail_msg("the child printed no %s", key);
}

static pid_t read_pid(const struct place *place, const char *name)
{
    char path[128], text[32] = "";
    snprintf(path, sizeof path, "%s/%s", place->dir, name);
    for (int i = 0; i < PATIENCE_MS && !strchr(text, '\n'); i++) {
        if (!access(path, R_OK)) read_file(path, text, sizeof text);
        if (!strchr(text, '\n')) me_clock_sleep_until(me_clock_mono_ns() + 1000000);
    }
    pid_t pid = atoi(text);
    assert_true(pid > 1);
    return pid;
}

/* Gone within a patient while; zombies count as gone. */
static bool is_gone(pid_t pid)
{
    for (int i = 0; i < 5000; i++) {
        char path[64], text[512] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        if (access(path, R_OK)) return true;
        int fd = open(path, O_RDONLY);
        if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) {
            if (fd >= 0) close(fd);
            return true;
        }
        close(fd);
        char *paren = strrchr(text, ')');
        if (paren && paren[2] == 'Z') return true;
        me_clock_sleep_until(me_clock_mono_ns() + 1000000);
    }
    return false;
}

/* ---- the child's side ---- */

static volatile sig_atomic_t terms;
static void count_term(int signal_number)
{
    (void)signal_number;
    terms++;
}

/* Ends a while after the first SIGTERM, with the number of those that came. */
static int count_terms(void)
{
    signal(SIGTERM, count_term);
    if (write(3, "begin a\n", 8) != 8) return 100;
    while (!terms) me_clock_sleep_until(me_clock_mono_ns() + ME_NS_PER_S);
    int64_t end_ns = me_clock_mono_ns() + ME_NS_PER_S / 5;
    while (me_clock_mono_ns() < end_ns) me_clock_sleep_until(end_ns);
    return write(3, "end a\n", 6) == 6 ? terms : 100;
}

static int tell(void)
{
    printf("fds");
    for (int fd = 0; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0) printf(" %d", fd);
    unsigned long mask[128] = {0};
    sched_getaffinity(0, sizeof mask, (cpu_set_t *)mask);
    printf("\ncpus");
    for (int cpu = 0; cpu < 8192; cpu++)
        if (CPU_ISSET_S((size_t)cpu, sizeof mask, (cpu_set_t *)mask)) printf(" %d", cpu);
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    printf("\nsignals odd");
    for (int s = 1; s < NSIG; s++) {
        struct sigaction action;
        if (sigismember(&blocked, s) == 1) printf(" blocked-%d", s);
        if (!sigaction(s, NULL, &action) && action.sa_handler == SIG_IGN) printf(" ignored-%d", s);
    }
    int death = 0;
    prctl(PR_GET_PDEATHSIG, &death);
    printf("\ndeath %d\ngroup %d\n", death, getpgid(0) == getpid());
    char c;
    printf("stdin %zd\n", read(0, &c, 1));
    return 0;
}

static struct me_child *start_self(const struct place *place, const char *operand)
{
    char self[512];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    char *argv[] = {self, (char *)operand, NULL};
    return start(place, argv);
}

static void run_self(const struct place *place)
{
    struct me_child *child = start_self(place, "tell");
    assert_int_equal(listen_to(child).exit_status, 0);
    assert_int_equal(me_child_release(child), 0);
}

static void mask_text(pid_t pid, char *text, size_t size)
{
    unsigned long mask[128] = {0};
    size_t len = 0;
    assert_int_equal(sched_getaffinity(pid, sizeof mask, (cpu_set_t *)mask), 0);
    for (int cpu = 0; cpu < 8192 && len < size - 8; cpu++)
        if (CPU_ISSET_S((size_t)cpu, sizeof mask, (cpu_set_t *)mask))
            len += (size_t)snprintf(text + len, size - len, "%s%d", len ? " " : "", cpu);
}

static void pin(int nth)
{
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all) && nth-- == 0) CPU_SET(cpu, &one);
    if (CPU_COUNT(&one)) assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

/* ---- the end of a child ---- */

static void test_exit(void **state)
{
    static const struct {
        const char *script;
        int status;
    } cases[] = {{"exit 0", 0},
                 {"exit 1", 1},
                 {"exit 255", 255},
                 {"kill -9 $$", 256 + SIGKILL},
                 {"kill -TERM $$", 256 + SIGTERM},
                 {"kill -SEGV $$", 256 + SIGSEGV},
                 {"exec true", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tally tally = run_sh(*state, cases[i].script);
        if (tally.exit_status != cases[i].status) fail_msg("%s: %d", cases[i].script, tally.exit_status);
        assert_int_equal(tally.begins + tally.ends + tally.works + tally.bad, 0);
    }
}

static void test_cannot_run(void **state)
{
    struct place *place = *state;
    char plain[128], dir[128];
    snprintf(plain, sizeof plain, "%s/plain", place->dir);
    snprintf(dir, sizeof dir, "%s/", place->dir);
    close(open(plain, O_CREAT | O_WRONLY, 0644));
    const char *const commands[] = {"no-such-command-anywhere", "./no/such/file", plain, dir, ""};
    const char *const reasons[] = {"no such command in PATH", "No such file", "Permission denied",
                                   "Permission denied", "no such command in PATH"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct me_error err = {.text = ""};
        struct me_child *child = NULL;
        char *argv[] = {(char *)commands[i], NULL};
        struct me_child_options options = {
            .argv = argv, .stdout_path = place->out, .stderr_path = place->err};
        assert_int_equal(me_child_start(&child, &options, &err), -1);
        assert_int_equal(err.code, ME_E_RUN);
        assert_null(child);
        assert_non_null(strstr(err.text, commands[i]));
        if (!strstr(err.text, reasons[i])) fail_msg("%s", err.text);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing left behind */
    }
}

static void test_bad_log(void **state)
{
    struct place *place = *state;
    struct me_error err = {.text = ""};
    struct me_child *child = NULL;
    char *argv[] = {(char *)"true", NULL};
    char missing[128];
    snprintf(missing, sizeof missing, "%s/no/out", place->dir);
    struct me_child_options options = {.argv = argv, .stdout_path = missing, .stderr_path = place->err};
    assert_int_equal(me_child_start(&child, &options, &err), -1);
    assert_non_null(strstr(err.text, missing));
}

static void test_script_without_interpreter(void **state)
{
    struct place *place = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/script", place->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "echo \"$0 $1\"; exit 5\n");
    fclose(file);
    chmod(path, 0755);
    char *argv[] = {path, (char *)"a b", NULL};
    struct me_child *child = start(place, argv);
    assert_int_equal(listen_to(child).exit_status, 5);
    assert_int_equal(me_child_release(child), 0);
    char value[64];
    find_value(place, path, value, sizeof value);
    assert_string_equal(value, "a b");
}

/* ME_FILES and PYTHONPATH, in the folder or not, with a path before or not. */
static void test_files(void **state)
{
    struct place *place = *state;
    char here[PATH_MAX], out[1024], expected[1024];
    char *argv[] = {(char *)"sh", (char *)"-c",
                    (char *)"pwd; echo \"${ME_FILES-unset}\"; echo \"${PYTHONPATH-unset}\"", NULL};
    assert_non_null(getcwd(here, sizeof here));
    const struct {
        const char *folder, *files, *before, *rest;
    } table[] = {
        {NULL, NULL, NULL, "unset\nunset\n"},
        {NULL, NULL, "/lib/a", "unset\n/lib/a\n"},
        {NULL, "/f", NULL, "/f\n/f/.machine-energy\n"},
        {NULL, "/f", "/lib/a:/b", "/f\n/f/.machine-energy:/lib/a:/b\n"},
        {NULL, "/f", "", "/f\n/f/.machine-energy\n"},
        {"/", "/", "/x", "/\n//.machine-energy:/:/x\n"},
        {"/tmp", "/f", NULL, "/f\n/f/.machine-energy\n"},
    };
    setenv("ME_FILES", "of another run", 1);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_error err = {.text = ""};
        struct me_child *child = NULL;
        struct me_child_options options = {.argv = argv,
                                           .stdout_path = place->out,
                                           .stderr_path = place->err,
                                           .folder = table[i].folder,
                                           .files = table[i].files};
        if (table[i].before)
            setenv("PYTHONPATH", table[i].before, 1);
        else
            unsetenv("PYTHONPATH");
        if (me_child_start(&child, &options, &err)) fail_msg("%s", err.text);
        assert_int_equal(listen_to(child).exit_status, 0);
        me_child_release(child);
        FILE *file = fopen(place->out, "r");
        out[fread(out, 1, sizeof out - 1, file)] = '\0';
        fclose(file);
        snprintf(expected, sizeof expected, "%.400s\n%s", table[i].folder ? table[i].folder : here,
                 table[i].rest);
        assert_string_equal(out, expected);
    }
    unsetenv("ME_FILES");
    unsetenv("PYTHONPATH");
}

static void test_missing_folder(void **state)
{
    struct place *place = *state;
    struct me_error err = {.text = ""};
    struct me_child *child = NULL;
    char *argv[] = {(char *)"/bin/true", NULL};
    struct me_child_options options = {
        .argv = argv, .stdout_path = place->out, .stderr_path = place->err, .folder = "/no/such/folder"};
    assert_int_equal(me_child_start(&child, &options, &err), -1);
    assert_string_equal(err.text, "cannot run '/bin/true' in /no/such/folder: No such file or directory");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_nothing_in_time(void **state)
{
    struct me_child *child = start_sh(*state, "exec sleep 60");
    struct me_child_event event;
    me_child_wait(child, 0, &event);
    assert_int_equal(event.type, ME_CHILD_NOTHING);
    int64_t begin_ns = me_clock_mono_ns();
    me_child_wait(child, 50, &event);
    assert_int_equal(event.type, ME_CHILD_NOTHING);
    assert_true(me_clock_mono_ns() - begin_ns >= 50000000);
    assert_int_equal(me_child_release(child), 0); /* the workload itself is no stray */
    assert_int_equal(me_child_release(NULL), 0);
}

/* ---- marks ---- */

static void test_marks(void **state)
{
    struct tally tally =
        run_sh(*state, "echo begin a >&$ME_MARK_FD; echo begin b >&3; echo end b >&3; echo end a >&3;"
                       "echo work 2.5 items >&3; echo work 4 items >&3; exit 3");
    assert_int_equal(tally.begins, 2);
    assert_int_equal(tally.ends, 2);
    assert_int_equal(tally.works, 2);
    assert_true(tally.work == 6.5);
    assert_string_equal(tally.last, "items");
    assert_int_equal(tally.bad, 0);
    assert_int_equal(tally.exit_status, 3);
}

static void test_many_marks(void **state)
{
    struct tally tally = run_sh(*state, "i=0; while [ $i -lt 10000 ]; do echo begin outer; echo begin inner; "
                                        "echo end inner; echo end outer; i=$((i+1)); done >&3");
    assert_int_equal(tally.begins, 20000);
    assert_int_equal(tally.ends, 20000);
    assert_int_equal(tally.bad, 0);
}

static void test_unbalanced_marks(void **state)
{
    struct tally tally = run_sh(*state, "echo end a >&3; echo begin b >&3; echo begin b >&3; exit 2");
    assert_int_equal(tally.begins, 2); /* what they mean is for others to say */
    assert_int_equal(tally.ends, 1);
    assert_int_equal(tally.exit_status, 2);
}

static void test_garbage(void **state)
{
    struct tally tally =
        run_sh(*state, "printf 'hello\\033[2J\\nbegin \\000x\\n\\n' >&3; head -c 3000000 /dev/zero >&3; "
                       "echo >&3; echo begin good >&3; printf 'work 5 cut' >&3");
    assert_int_equal(tally.begins, 1);
    assert_int_equal(tally.bad, 5); /* hello, NUL, empty, zeros, cut */
    assert_string_equal(tally.last, "good");
    assert_string_equal(tally.last_bad, "work 5 cut");
}

/* Random bytes: nothing but bad marks, and the end still comes. */
static void test_random_flood(void **state)
{
    struct tally tally = run_sh(*state, "head -c 2000000 /dev/urandom >&3; exit 4");
    assert_true(tally.bad > 1000);
    assert_int_equal(tally.begins + tally.ends + tally.works, 0);
    assert_int_equal(tally.exit_status, 4);
}

/* Bytes that never make a line do not take the caller's time away. */
static void test_endless_line(void **state)
{
    struct me_child *child = start_sh(*state, "exec cat /dev/zero >&3");
    struct me_child_event event;
    me_child_wait(child, 2000, &event);
    assert_int_equal(event.type, ME_CHILD_BAD_MARK);
    me_child_wait(child, 50, &event);
    assert_int_equal(event.type, ME_CHILD_NOTHING);
    me_child_stop(child, 1000);
    assert_int_equal(listen_to(child).exit_status, 256 + SIGTERM);
    me_child_release(child);
}

static void test_partial_lines(void **state)
{
    struct tally tally = run_sh(*state, "printf beg >&3; sleep 0.05; printf 'in tr' >&3; sleep 0.05; "
                                        "printf 'ain\\nend train\\nwo' >&3; sleep 0.05; echo 'rk 1 x' >&3");
    assert_int_equal(tally.begins, 1);
    assert_int_equal(tally.ends, 1);
    assert_int_equal(tally.works, 1);
    assert_int_equal(tally.bad, 0);
}

static void test_closed_pipe(void **state)
{
    struct tally tally = run_sh(*state, "echo begin a >&3; exec 3>&-; sleep 0.05; exit 6");
    assert_int_equal(tally.begins, 1);
    assert_int_equal(tally.exit_status, 6);
}

/* ---- what is left behind ---- */

static void test_stray_keeps_pipe(void **state)
{
    struct me_child *child = start_sh(*state, "echo begin a >&3; sleep 600 & exit 3");
    struct tally tally = listen_to(child);
    assert_int_equal(tally.exit_status, 3);
    assert_int_equal(tally.begins, 1);
    assert_int_equal(me_child_release(child), 1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_stray_floods_pipe(void **state)
{
    struct me_child *child = start_sh(*state, "(while :; do echo begin x; done >&3) & sleep 0.05; exit 3");
    struct tally tally = listen_to(child);
    assert_int_equal(tally.exit_status, 3);
    assert_int_equal(me_child_release(child), 1);
}

static void test_daemon(void **state)
{
    struct place *place = *state;
    char script[400];
    snprintf(script, sizeof script,
             "(setsid sh -c 'echo $$ > %s/a; sleep 600 & echo $! > %s/b; wait' 3>&- &) ; "
             "while ! [ -s %s/b ]; do sleep 0.01; done; exit 0",
             place->dir, place->dir, place->dir);
    struct me_child *child = start_sh(place, script);
    assert_int_equal(listen_to(child).exit_status, 0);
    pid_t a = read_pid(place, "a"), b = read_pid(place, "b");
    assert_int_equal(kill(a, 0), 0);
    assert_int_equal(kill(b, 0), 0);
    assert_int_equal(me_child_release(child), 2);
    assert_true(is_gone(a) && is_gone(b));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_others_are_left_alone(void **state)
{
    pid_t other = fork();
    if (!other) {
        execlp("sleep", "sleep", "600", (char *)NULL);
        _exit(1);
    }
    struct me_child *child = start_sh(*state, "sleep 600 & exit 0");
    listen_to(child);
    me_child_stop(child, 100);
    assert_int_equal(me_child_release(child), 0);
    assert_int_equal(waitpid(other, NULL, WNOHANG), 0); /* still there */
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
}

static void test_stop_gently(void **state)
{
    struct me_child *child = start_self(*state, "count-terms");
    struct me_child_event event;
    me_child_wait(child, PATIENCE_MS, &event);
    assert_int_equal(event.type, ME_CHILD_BEGIN);
    me_child_stop(child, PATIENCE_MS);
    struct tally tally = listen_to(child);
    assert_int_equal(tally.exit_status, 1); /* one SIGTERM: a second is taken for impatience */
    assert_int_equal(tally.ends, 1);        /* marks that came while stopping are heard */
    assert_int_equal(me_child_release(child), 0);
}

static void test_stop_the_unwilling(void **state)
{
    struct place *place = *state;
    char script[512];
    snprintf(script, sizeof script,
             "trap '' TERM; (setsid sh -c 'trap \"\" TERM; echo $$ > %s/a; while :; do sleep 1; done' &); "
             "sh -c 'echo $$ > %s/b; kill -STOP $$' & while :; do sleep 1; done",
             place->dir, place->dir);
    struct me_child *child = start_sh(place, script);
    pid_t a = read_pid(place, "a"), b = read_pid(place, "b");
    me_child_stop(child, 100);
    assert_true(is_gone(a) && is_gone(b));
    assert_int_equal(listen_to(child).exit_status, 256 + SIGKILL);
    assert_int_equal(me_child_release(child), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_dies_with_us(void **state)
{
    struct place *place = *state;
    pid_t us = fork();
    if (!us) {
        char script[200];
        snprintf(script, sizeof script, "sleep 600 & echo $! > %s/b; echo $$ > %s/a; wait", place->dir,
                 place->dir);
        start_sh(place, script);
        snprintf(script, sizeof script, "%s/started", place->dir);
        FILE *file = fopen(script, "w");
        if (file) fprintf(file, "%d\n", (int)getpid()), fclose(file);
        for (;;) pause();
    }
    pid_t a = read_pid(place, "a"), b = read_pid(place, "b");
    assert_int_equal(read_pid(place, "started"), us);
    kill(us, SIGKILL);
    waitpid(us, NULL, 0);
    assert_true(is_gone(a) && is_gone(b));
}

/* ---- what the child gets ---- */

static void test_only_its_files(void **state)
{
    int leaks[20];
    char value[256];
    for (int i = 0; i < 20; i++) leaks[i] = open("/dev/null", O_RDONLY);
    run_self(*state);
    find_value(*state, "fds", value, sizeof value);
    assert_string_equal(value, "0 1 2 3");
    find_value(*state, "stdin", value, sizeof value);
    assert_string_equal(value, "0");
    for (int i = 0; i < 20; i++) close(leaks[i]);
}

/* Also where the caller has no standard files at all, so that ours get their numbers. */
static void test_closed_standard_files(void **state)
{
    char value[256];
    int saved[3];
    for (int i = 0; i < 3; i++) saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
    for (int i = 0; i < 3; i++) close(i);
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"echo out 1; echo err 2 >&2; echo begin x >&3", NULL};
    struct place *place = *state;
    struct me_error err = {.text = ""};
    struct me_child *child = NULL;
    struct me_child_options options = {.argv = argv, .stdout_path = place->out, .stderr_path = place->err};
    int rc = me_child_start(&child, &options, &err);
    struct tally tally = rc ? (struct tally){.exit_status = -1} : listen_to(child);
    me_child_release(child);
    for (int i = 0; i < 3; i++) dup2(saved[i], i);
    for (int i = 0; i < 3; i++) close(saved[i]);
    if (rc) fail_msg("%s", err.text);
    assert_int_equal(tally.begins, 1);
    find_value(place, "out", value, sizeof value);
    assert_string_equal(value, "1");
}

static void test_no_leak_in_us(void **state)
{
    int before = open("/dev/null", O_RDONLY);
    close(before);
    for (int i = 0; i < 5; i++) run_sh(*state, "exit 0");
    test_cannot_run(state);
    int after = open("/dev/null", O_RDONLY);
    close(after);
    assert_int_equal(before, after);
}

static void test_signals(void **state)
{
    sigset_t blocked, old;
    char value[256];
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &old);
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    run_self(*state);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    sigset_t now;
    sigprocmask(SIG_SETMASK, &old, &now);
    assert_true(sigismember(&now, SIGUSR1) && !sigismember(&now, SIGHUP)); /* ours is as it was */
    find_value(*state, "signals", value, sizeof value);
    assert_string_equal(value, "odd");
    find_value(*state, "death", value, sizeof value);
    assert_int_equal(atoi(value), SIGKILL);
    find_value(*state, "group", value, sizeof value);
    assert_string_equal(value, "1");
}

static void test_affinity(void **state)
{
    char expected[8192] = "", value[8192];
    cpu_set_t old;
    mask_text(getppid(), expected, sizeof expected);
    sched_getaffinity(0, sizeof old, &old);
    pin(0);
    run_self(*state);
    sched_setaffinity(0, sizeof old, &old);
    find_value(*state, "cpus", value, sizeof value);
    assert_string_equal(value, expected);
}

/* The parent holds one core, we another: the parent's it is. */
static void test_affinity_of_the_parent(void **state)
{
    struct place *place = *state;
    char path[128], expected[64], value[8192];
    snprintf(path, sizeof path, "%s/expected", place->dir);
    pid_t parent = fork();
    if (!parent) {
        int status = 1;
        pin(1);
        pid_t us = fork();
        if (!us) {
            cpu_set_t all;
            memset(&all, 0xff, sizeof all);
            sched_setaffinity(0, sizeof all, &all);
            pin(0);
            mask_text(getppid(), expected, sizeof expected);
            FILE *file = fopen(path, "w");
            if (file) fputs(expected, file), fclose(file);
            run_self(place);
            _exit(0);
        }
        waitpid(us, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    int status = 1;
    waitpid(parent, &status, 0);
    assert_int_equal(status, 0);
    read_file(path, expected, sizeof expected);
    find_value(place, "cpus", value, sizeof value);
    assert_string_equal(value, expected);
    assert_null(strchr(value, ' '));
}

static void test_environment(void **state)
{
    static const char *const gone[] = {
        "OMPI_COMM_WORLD_RANK", "PMIX_RANK",   "PRTE_X", "ORTE_X", "PMI_RANK", "HYDRA_X",
        "ME_TEST_PASSWORD",     "OTHER_SECRET"};
    static const char *const kept[] = {"ME_TEST_PASSWORD2", "MY_OMPI_X", "ME_DATASETS", "SLURM_JOB_ID"};
    struct place *place = *state;
    static char text[65536];
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) setenv(gone[i], "hunter2", 1);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) setenv(kept[i], "kept", 1);
    setenv("ME_MACHINE_ID", "999", 1);
    struct me_child *child = start_sh(place, "env; cat /proc/$$/environ");
    assert_int_equal(listen_to(child).exit_status, 0);
    me_child_release(child);
    read_file(place->out, text, sizeof text);
    assert_null(strstr(text, "hunter2"));
    assert_null(strstr(text, "999"));
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) unsetenv(gone[i]);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s=kept\n", kept[i]);
        if (!strstr(text, line)) fail_msg("%s is missing", kept[i]);
        unsetenv(kept[i]);
    }
    unsetenv("ME_MACHINE_ID");
    assert_non_null(strstr(text, "ME_MARK_FD=3\n"));
    assert_non_null(strstr(text, "ME_MACHINE_ID=7\n"));
    assert_non_null(strstr(text, "ME_MACHINES=9\n"));
    assert_non_null(strstr(text, "ME_REPEAT=4\n"));
}

static void test_output(void **state)
{
    struct place *place = *state;
    char text[256];
    FILE *old = fopen(place->out, "w"); /* an older, longer log is not shone through */
    assert_non_null(old);
    for (int i = 0; i < 100; i++) fprintf(old, "old line\n");
    fclose(old);
    run_sh(place, "echo out; echo err >&2");
    read_file(place->out, text, sizeof text);
    assert_string_equal(text, "out\n");
    read_file(place->err, text, sizeof text);
    assert_string_equal(text, "err\n");
}

static void test_much_output(void **state)
{
    struct place *place = *state;
    struct stat file;
    assert_int_equal(run_sh(place, "head -c 20000000 /dev/zero; exit 8").exit_status, 8);
    assert_int_equal(stat(place->out, &file), 0);
    assert_int_equal(file.st_size, 20000000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Runs the script to its end and asks what it used. */
static struct me_child_usage use_sh(const struct place *place, const char *script)
{
    struct me_child_usage usage = {.cpu_s = -1};
    struct me_child *child = start_sh(place, script);
    assert_int_equal(me_child_usage(child, &usage), -1); /* not yet */
    assert_true(usage.cpu_s == -1);
    assert_int_equal(listen_to(child).exit_status, 0);
    assert_int_equal(me_child_usage(child, &usage), 0);
    me_child_release(child);
    return usage;
}

/* Burns CPU time of its own until it has used the given centiseconds: the kernel's account, not the clock. */
static int burn(const char *centiseconds)
{
    clock_t end = (clock_t)atoi(centiseconds) * CLOCKS_PER_SEC / 100;
    while (clock() < end) continue;
    return 0;
}

/* Touches so many MiB. */
static int fill(const char *mib)
{
    size_t size = (size_t)atoi(mib) << 20;
    volatile char *memory = malloc(size);
    if (!memory) return 1;
    for (size_t i = 0; i < size; i += 512) memory[i] = 1;
    free((void *)memory);
    return 0;
}

static void test_usage_cpu(void **state)
{
    const struct place *place = *state;
    char self[256], script[1024];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    snprintf(script, sizeof script, "'%s' burn 30", self);
    struct me_child_usage usage = use_sh(place, script);
    assert_true(usage.cpu_s >= 0.29 && usage.cpu_s < 1);
    assert_true(usage.page_faults > 0);
    /* two at once, of which the second is left to us and ends first; a third outlives it: not in it */
    snprintf(script, sizeof script, "( '%s' burn 20 & ) ; '%s' burn 40; sleep 0.3; ( sleep 30 & )", self,
             self);
    usage = use_sh(place, script);
    assert_true(usage.cpu_s >= 0.58 && usage.cpu_s < 1.5);
    usage = use_sh(place, "sleep 0.2"); /* a fresh account */
    assert_true(usage.cpu_s < 0.15);
    assert_true(usage.context_switches >= 1);
}

static void test_usage_memory(void **state)
{
    const struct place *place = *state;
    char self[256], script[1024];
    struct rusage own;
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(len > 0);
    self[len] = '\0';
    snprintf(script, sizeof script, "'%s' fill 1; '%s' fill 300; '%s' fill 2", self, self, self);
    struct me_child_usage usage = use_sh(place, script);
    assert_true(usage.max_rss_bytes >= UINT64_C(300) << 20 && usage.max_rss_bytes < UINT64_C(600) << 20);
    usage = use_sh(place, "exit 0"); /* what the kernel says then is ours, or more than ours */
    getrusage(RUSAGE_SELF, &own);
    assert_true(!usage.max_rss_bytes || usage.max_rss_bytes > (uint64_t)own.ru_maxrss * 1024);
}

static void test_usage_io(void **state)
{
    const struct place *place = *state;
    struct statfs fs;
    char script[256];
    snprintf(script, sizeof script, "dd if=/dev/zero of='%s/data' bs=64k count=128 2>&1", place->dir);
    struct me_child_usage usage = use_sh(place, script);
    assert_int_equal(statfs(place->dir, &fs), 0);
    if (fs.f_type == TMPFS_MAGIC || fs.f_type == OVERLAYFS_SUPER_MAGIC) return; /* no disk behind it */
    assert_true(usage.written_bytes >= 8 << 20 && usage.written_bytes < 16 << 20);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "burn")) return burn(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "fill")) return fill(argv[2]);
    if (argc == 2 && !strcmp(argv[1], "tell")) return tell();
    if (argc == 2 && !strcmp(argv[1], "count-terms")) return count_terms();
    const struct CMUnitTest tests[] = {
        TEST(test_exit),
        TEST(test_cannot_run),
        TEST(test_bad_log),
        TEST(test_script_without_interpreter),
        TEST(test_files),
        TEST(test_missing_folder),
        TEST(test_nothing_in_time),
        TEST(test_marks),
        TEST(test_many_marks),
        TEST(test_unbalanced_marks),
        TEST(test_garbage),
        TEST(test_random_flood),
        TEST(test_endless_line),
        TEST(test_partial_lines),
        TEST(test_closed_pipe),
        TEST(test_stray_keeps_pipe),
        TEST(test_stray_floods_pipe),
        TEST(test_daemon),
        TEST(test_others_are_left_alone),
        TEST(test_stop_gently),
        TEST(test_stop_the_unwilling),
        TEST(test_dies_with_us),
        TEST(test_only_its_files),
        TEST(test_closed_standard_files),
        TEST(test_no_leak_in_us),
        TEST(test_signals),
        TEST(test_affinity),
        TEST(test_affinity_of_the_parent),
        TEST(test_environment),
        TEST(test_output),
        TEST(test_much_output),
        TEST(test_usage_cpu),
        TEST(test_usage_memory),
        TEST(test_usage_io),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
