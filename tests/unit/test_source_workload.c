/* The channels workload-* of the source system, over real processes. */
#include "../../src/source/system.h"
#include "me/clock.h"
#include "me_cmocka.h"
#include "tree.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { TICKS_NS = 10000000, PAGES = 2000, NAPS = 300, FILE_BYTES = 1 << 20 };

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
        uint64_t ticks, faults, start;
    } cases[] = {
        {"12 (sleep) S 1 12 12 0 -1 4194304 1 20 300 4000 5 60 700 8000 20 0 1 0 99 0 0\n", 0, 8765, 4321,
         99},
        {"12 (a) b) S 1 2 (c) R 1 12 12 0 -1 4194304 1 2 3 4 5 6 7 8 20 -5 1 0 77 0", 0, 26, 10, 77},
        {"12 (sleep) S 1 12 12 0 -1 4194304 1 20 300 4000 5 60 700 8000 20 0 1 0", EINVAL, 0, 0, 0},
        {"12 (sleep) S 1 12 12 0 -1 4194304 x 20 300 4000 5 60 700 8000 20 0 1 0 99", EINVAL, 0, 0, 0},
        {"12 sleep S 1 12", EINVAL, 0, 0, 0},
        {"", EINVAL, 0, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct me_system_process_stat stat = {.ticks = 0};
        assert_int_equal(me_system_parse_process(cases[i].text, &stat), cases[i].error);
        assert_true(stat.ticks == cases[i].ticks && stat.faults == cases[i].faults);
        assert_true(stat.start == cases[i].start);
    }
}

/* --- the source ---------------------------------------------------------------------------------- */

static const char *const names[ME_SYSTEM_USES] = {"workload-cpu", "workload-switches", "workload-faults",
                                                  "workload-read", "workload-written"};

struct opened {
    struct me_root root;
    struct me_source source;
    struct me_meter_workload followed;
    uint64_t shown[ME_SYSTEM_USES];
};

static void open_source(struct opened *o, const char *root, bool follows)
{
    struct me_error err = {.text = ""};
    *o = (struct opened){.source.ops = &me_system_ops};
    struct me_meter_options options = {.root = root, .workload = follows ? &o->followed : NULL};
    assert_int_equal(me_root_open(&o->root, root, &err), 0);
    struct me_source_setup setup = {.root = &o->root, .live = me_root_is_live(&o->root), .options = &options};
    if (o->source.ops->open(&o->source, &setup, &err)) fail_msg("%s", err.text);
}

static void close_source(struct opened *o)
{
    if (o->source.found) o->source.ops->close(&o->source);
    me_root_close(&o->root);
}

static size_t count_channels(const struct opened *o)
{
    size_t n = 0;
    for (size_t i = 0; i < o->source.channel_count; i++)
        n += !strncmp(o->source.channels[i].name, "workload-", 9);
    return n;
}

/* Reads all into o->shown; none may have fallen. */
static void look(struct opened *o)
{
    struct me_reading readings[ME_SYSTEM_VALUES];
    size_t n = 0;
    o->source.for_edge = true;
    o->source.ops->read(&o->source, readings);
    for (size_t i = 0; i < o->source.channel_count; i++) {
        if (strncmp(o->source.channels[i].name, "workload-", 9)) continue;
        assert_string_equal(o->source.channels[i].name, names[n]);
        if (readings[i].state != ME_READING_OK) fail_msg("%s: error %d", names[n], readings[i].error);
        if (readings[i].count < o->shown[n])
            fail_msg("%s fell from %llu to %llu", names[n], (unsigned long long)o->shown[n],
                     (unsigned long long)readings[i].count);
        o->shown[n++] = readings[i].count;
    }
    assert_int_equal(n, ME_SYSTEM_USES);
}

static void test_nobody_to_follow(void **state)
{
    (void)state;
    struct opened o;
    char dir[128];
    open_source(&o, "/", false);
    assert_true(o.source.found);
    assert_int_equal(count_channels(&o), 0);
    close_source(&o);
    tree_make(dir, sizeof dir); /* a recorded machine: its processes are not these */
    tree_put(dir, "proc/stat", "cpu  1 2 3 4 5 6 7\nctxt 5\n");
    open_source(&o, dir, true);
    assert_true(o.source.found);
    assert_int_equal(count_channels(&o), 0);
    close_source(&o);
    tree_remove(dir);
}

static void test_channels(void **state)
{
    (void)state;
    struct opened o;
    open_source(&o, "/", true);
    assert_int_equal(count_channels(&o), ME_SYSTEM_USES);
    for (size_t i = 0; i < o.source.channel_count; i++) {
        const struct me_channel *channel = &o.source.channels[i];
        if (strncmp(channel->name, "workload-", 9)) continue;
        assert_true(channel->activity && channel->kind == ME_KIND_COUNTER);
        assert_int_equal(channel->scope, ME_SCOPE_NODE);
        assert_int_equal(channel->provenance, ME_PROVENANCE_LIVE);
    }
    for (int i = 0; i < 3; i++) {
        look(&o);
        for (int u = 0; u < ME_SYSTEM_USES; u++) assert_true(o.shown[u] == 0);
    }
    close_source(&o);
}

/* --- a workload that does as it is told ---------------------------------------------------------- */

struct worker {
    pid_t pid;
    int orders, answers;
};

static void burn(int ms)
{
    struct timespec now;
    do clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
}

static void *nap(void *lifeline)
{
    char byte;
    for (int i = 0; i < NAPS; i++) usleep(100);
    if (lifeline && read(*(int *)lifeline, &byte, 1) < 0) _exit(1);
    return NULL;
}

static void start_thread(int *lifeline)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, nap, lifeline)) _exit(1);
    if (!lifeline) pthread_join(thread, NULL);
}

static void touch_pages(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || madvise(pages, PAGES * page, MADV_NOHUGEPAGE)) _exit(1);
    for (size_t i = 0; i < PAGES; i++) pages[i * page] = 1;
}

static void write_file(void)
{
    static char text[FILE_BYTES];
    char path[] = "/var/tmp/me-test-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || unlink(path) || write(fd, text, sizeof text) != sizeof text || fsync(fd)) _exit(1);
    close(fd);
}

/* How far a grandchild has come is seen by the end of the pipe. */
static void start_grandchild(bool stays)
{
    int ends[2];
    char byte;
    if (pipe(ends)) _exit(1);
    pid_t pid = fork();
    if (!pid) {
        prctl(PR_SET_NAME, "a) name (");
        burn(200);
        close(ends[0]);
        close(ends[1]);
        while (stays) pause();
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], &byte, 1) < 0) _exit(1);
    close(ends[0]);
    if (!stays) waitpid(pid, NULL, 0);
}

static void obey(char order)
{
    static int lifeline[2];
    switch (order) {
    case 'c':
        burn(200);
        break;
    case 'g':
        start_grandchild(false);
        break;
    case 'G':
        start_grandchild(true);
        break;
    case 't':
        start_thread(NULL);
        break;
    case 'T':
        if (pipe(lifeline)) _exit(1);
        start_thread(lifeline);
        break;
    case 'e': /* of that thread */
        close(lifeline[1]);
        usleep(50000);
        break;
    case 'f':
        touch_pages();
        break;
    case 'w':
        write_file();
        break;
    default:
        _exit(order == 'x' ? 0 : 1);
    }
}

static void start_worker(struct opened *o, struct worker *worker)
{
    int orders[2], answers[2];
    char order;
    assert_int_equal(pipe(orders) || pipe(answers), 0);
    worker->pid = fork();
    if (!worker->pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        close(orders[1]);
        while (read(orders[0], &order, 1) == 1) {
            obey(order);
            if (write(answers[1], &order, 1) != 1) break;
        }
        _exit(0);
    }
    setpgid(worker->pid, worker->pid);
    worker->orders = orders[1];
    worker->answers = answers[0];
    close(orders[0]);
    close(answers[1]);
    o->followed.pid = worker->pid;
}

/* Gives the order, waits until it is done, looks; returns what the use has grown by. */
static uint64_t order(struct opened *o, const struct worker *worker, char what, enum me_system_use use)
{
    char answer;
    look(o);
    uint64_t before = o->shown[use];
    assert_int_equal(write(worker->orders, &what, 1), 1);
    assert_int_equal(read(worker->answers, &answer, 1), 1);
    for (int i = 0; what == 'T' && i < 100; i++) usleep(2000); /* that thread naps on */
    look(o);
    return o->shown[use] - before;
}

/* Waits for the end and leaves the zombie, as the station does. */
static void await_end(const struct worker *worker)
{
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOWAIT), 0);
}

static void reap(const struct worker *worker, uint64_t *exact)
{
    struct rusage used;
    assert_int_equal(wait4(worker->pid, NULL, 0, &used), worker->pid);
    exact[ME_SYSTEM_USE_CPU] = (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000 +
                               (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
    exact[ME_SYSTEM_USE_SWITCHES] = (uint64_t)(used.ru_nvcsw + used.ru_nivcsw);
    exact[ME_SYSTEM_USE_FAULTS] = (uint64_t)(used.ru_minflt + used.ru_majflt);
    exact[ME_SYSTEM_USE_READ] = (uint64_t)used.ru_inblock * 512;
    exact[ME_SYSTEM_USE_WRITTEN] = (uint64_t)used.ru_oublock * 512;
}

static void close_account(struct opened *o, const uint64_t *exact)
{
    o->followed.cpu_ns += exact[ME_SYSTEM_USE_CPU];
    o->followed.context_switches += exact[ME_SYSTEM_USE_SWITCHES];
    o->followed.page_faults += exact[ME_SYSTEM_USE_FAULTS];
    o->followed.read_bytes += exact[ME_SYSTEM_USE_READ];
    o->followed.written_bytes += exact[ME_SYSTEM_USE_WRITTEN];
    o->followed.pid = 0;
}

static void end_worker(struct opened *o, struct worker *worker, uint64_t *exact)
{
    assert_int_equal(write(worker->orders, "x", 1), 1);
    await_end(worker);
    look(o);
    reap(worker, exact);
    close(worker->orders);
    close(worker->answers);
}

static void test_a_workload(void **state)
{
    (void)state;
    struct opened o;
    struct worker worker;
    uint64_t exact[ME_SYSTEM_USES], first[ME_SYSTEM_USES];
    open_source(&o, "/", true);
    start_worker(&o, &worker);
    assert_true(order(&o, &worker, 'c', ME_SYSTEM_USE_CPU) >= 200000000 - 2 * TICKS_NS);
    assert_true(order(&o, &worker, 'g', ME_SYSTEM_USE_CPU) >= 200000000 - 4 * TICKS_NS); /* waited for */
    assert_true(order(&o, &worker, 'f', ME_SYSTEM_USE_FAULTS) >= PAGES);
    order(&o, &worker, 't', ME_SYSTEM_USE_SWITCHES);
    assert_true(order(&o, &worker, 'T', ME_SYSTEM_USE_SWITCHES) >= NAPS);
    order(&o, &worker, 'e', ME_SYSTEM_USE_SWITCHES);
    /* The other's are not lost. */
    assert_true(order(&o, &worker, 'T', ME_SYSTEM_USE_SWITCHES) >= NAPS);
    uint64_t written = order(&o, &worker, 'w', ME_SYSTEM_USE_WRITTEN);
    end_worker(&o, &worker, exact);
    assert_true(written >= FILE_BYTES || !exact[ME_SYSTEM_USE_WRITTEN]); /* 0: a file system in memory */
    for (int u = 0; u < ME_SYSTEM_USES; u++) assert_true(o.shown[u] <= exact[u]); /* nothing came twice */
    assert_true(o.shown[ME_SYSTEM_USE_CPU] + 4 * TICKS_NS >= exact[ME_SYSTEM_USE_CPU]);
    assert_true(o.shown[ME_SYSTEM_USE_FAULTS] ==
                exact[ME_SYSTEM_USE_FAULTS]); /* what the zombie shows is all */
    assert_true(o.shown[ME_SYSTEM_USE_WRITTEN] == exact[ME_SYSTEM_USE_WRITTEN]);
    look(&o); /* its number is nobody's now */
    close_account(&o, exact);
    for (int i = 0; i < 3; i++) look(&o);
    for (int u = 0; u < ME_SYSTEM_USES; u++) assert_true(o.shown[u] == exact[u]);
    memcpy(first, exact, sizeof first);
    start_worker(&o, &worker); /* the second run */
    look(&o);
    assert_true(order(&o, &worker, 'c', ME_SYSTEM_USE_CPU) >= 200000000 - 2 * TICKS_NS);
    assert_true(o.shown[ME_SYSTEM_USE_CPU] >= first[ME_SYSTEM_USE_CPU] + 200000000 - 2 * TICKS_NS);
    end_worker(&o, &worker, exact);
    close_account(&o, exact);
    look(&o);
    for (int u = 0; u < ME_SYSTEM_USES; u++) assert_true(o.shown[u] == first[u] + exact[u]);
    close_source(&o);
}

/* A run that began and ended between two looks, and one whose account never came. */
static void test_accounts(void **state)
{
    (void)state;
    struct opened o;
    struct worker worker;
    uint64_t exact[ME_SYSTEM_USES] = {7000, 7, 70, 700, 7};
    open_source(&o, "/", true);
    look(&o);
    close_account(&o, exact);
    look(&o);
    for (int u = 0; u < ME_SYSTEM_USES; u++) assert_true(o.shown[u] == exact[u]);
    start_worker(&o, &worker);
    order(&o, &worker, 'c', ME_SYSTEM_USE_CPU);
    uint64_t seen = o.shown[ME_SYSTEM_USE_CPU];
    end_worker(&o, &worker, exact);
    o.followed.pid = 0;
    look(&o);
    assert_true(o.shown[ME_SYSTEM_USE_CPU] >= seen && seen >= 7000 + 200000000 - 2 * TICKS_NS);
    close_source(&o);
}

/* A descendant that is still there when the workload is, and one that has lost its parent. */
static void test_descendants(void **state)
{
    (void)state;
    struct opened o;
    struct worker worker;
    uint64_t exact[ME_SYSTEM_USES];
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    open_source(&o, "/", true);
    start_worker(&o, &worker);
    assert_true(order(&o, &worker, 'G', ME_SYSTEM_USE_CPU) >= 200000000 - 4 * TICKS_NS);
    uint64_t before = o.shown[ME_SYSTEM_USE_CPU];
    end_worker(&o, &worker, exact); /* and the grandchild lives on, and is ours */
    assert_true(exact[ME_SYSTEM_USE_CPU] < 200000000);
    look(&o);
    assert_true(o.shown[ME_SYSTEM_USE_CPU] >= before);
    close_account(&o, exact);
    look(&o);
    kill(-worker.pid, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    look(&o);
    close_source(&o);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* A grandchild loses its parent and works on, as a daemon does: seen once, it is not lost. */
static void test_orphan(void **state)
{
    (void)state;
    struct opened o;
    int go[2], done[2];
    char byte;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe(go) || pipe(done), 0);
    open_source(&o, "/", true);
    pid_t workload = fork();
    if (!workload) {
        setpgid(0, 0);
        pid_t middle = fork();
        if (!middle) {
            if (!fork()) { /* the one in question */
                if (read(go[0], &byte, 1) != 1) _exit(1);
                burn(300);
                if (write(done[1], "d", 1) != 1) _exit(1);
                while (true) pause();
            }
            while (true) pause();
        }
        while (true) pause();
    }
    setpgid(workload, workload);
    o.followed.pid = workload;
    pid_t middle = 0;
    for (int i = 0; i < 500 && !middle; i++) { /* until it stands */
        char command[128];
        snprintf(command, sizeof command, "cat /proc/%d/task/%d/children", (int)workload, (int)workload);
        FILE *children = popen(command, "r");
        if (fscanf(children, "%d", &middle) != 1) middle = 0;
        pclose(children);
        usleep(2000);
    }
    usleep(50000);
    look(&o);
    uint64_t before = o.shown[ME_SYSTEM_USE_CPU];
    kill(middle, SIGKILL);
    usleep(20000);
    assert_int_equal(write(go[1], "g", 1), 1);
    assert_int_equal(read(done[0], &byte, 1), 1);
    look(&o);
    uint64_t grown = o.shown[ME_SYSTEM_USE_CPU] - before;
    kill(-workload, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) {
    }
    assert_true(grown >= 300000000 - 4 * TICKS_NS);
    close_source(&o);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* Processes and threads come and go by the hundred: nothing falls, and nothing is counted twice. */
static void test_crowd(void **state)
{
    (void)state;
    struct opened o;
    struct worker worker = {.orders = -1};
    uint64_t exact[ME_SYSTEM_USES];
    open_source(&o, "/", true);
    worker.pid = fork();
    if (!worker.pid) {
        for (int i = 0; i < 120; i++) {
            pid_t pid = fork();
            if (!pid) {
                if (fork()) {
                    start_thread(NULL);
                    wait(NULL);
                }
                _exit(0);
            }
            if (i % 3) waitpid(pid, NULL, 0);
        }
        while (wait(NULL) > 0) {
        }
        _exit(0);
    }
    o.followed.pid = worker.pid;
    siginfo_t info = {.si_pid = 0};
    do look(&o);
    while (!waitid(P_PID, (id_t)worker.pid, &info, WEXITED | WNOWAIT | WNOHANG) && !info.si_pid);
    look(&o);
    reap(&worker, exact);
    for (int u = 0; u < ME_SYSTEM_USES; u++)
        if (o.shown[u] > exact[u])
            fail_msg("%s: %llu, and not %llu", names[u], (unsigned long long)o.shown[u],
                     (unsigned long long)exact[u]);
    assert_true(o.shown[ME_SYSTEM_USE_FAULTS] == exact[ME_SYSTEM_USE_FAULTS]);
    close_account(&o, exact);
    look(&o);
    for (int u = 0; u < ME_SYSTEM_USES; u++) assert_true(o.shown[u] == exact[u]);
    close_source(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),    cmocka_unit_test(test_nobody_to_follow),
        cmocka_unit_test(test_channels), cmocka_unit_test(test_a_workload),
        cmocka_unit_test(test_accounts), cmocka_unit_test(test_descendants),
        cmocka_unit_test(test_orphan),   cmocka_unit_test(test_crowd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
