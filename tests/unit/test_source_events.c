/* The source events: the arithmetic of shared counters, names, and the kernel's own events for real. */
#include "../../src/source/events.h"
#include "me/clock.h"
#include "me/source.h"
#include "me_cmocka.h"
#include "tree.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_tally(void **state)
{
    (void)state;
    static const struct {
        uint64_t last[3], now[3], total, after; /* enabled, running, count */
        enum me_tally_state verdict;
        double share;
    } cases[] = {
        {{0, 0, 0}, {100, 100, 7}, 0, 7, ME_TALLY_OK, 1},
        {{100, 100, 7}, {200, 200, 9}, 7, 9, ME_TALLY_OK, 1},
        {{0, 0, 0}, {100, 50, 7}, 0, 14, ME_TALLY_OK, 0.5},      /* counted half of the time */
        {{100, 50, 7}, {200, 75, 8}, 14, 18, ME_TALLY_OK, 0.25}, /* each interval by its own share */
        {{0, 0, 0}, {300, 100, 10}, 0, 30, ME_TALLY_OK, 1.0 / 3},
        {{0, 0, 0}, {3, 2, 1}, 5, 6, ME_TALLY_OK, 2.0 / 3},        /* 1.5, rounded down */
        {{0, 0, 0}, {100, 101, 7}, 0, 7, ME_TALLY_OK, 1},          /* never less than was counted */
        {{100, 100, 7}, {100, 100, 7}, 7, 7, ME_TALLY_OK, 1},      /* no time has passed */
        {{100, 100, 7}, {200, 100, 7}, 7, 7, ME_TALLY_WAITING, 0}, /* it never ran */
        {{0, 0, 0}, {0, 0, 0}, 0, 0, ME_TALLY_OK, 1},
        {{100, 100, 7}, {200, 200, 6}, 7, 7, ME_TALLY_RESET, -1},
        {{100, 100, 7}, {99, 99, 9}, 7, 7, ME_TALLY_RESET, -1},
        {{100, 100, 7}, {200, 99, 9}, 7, 7, ME_TALLY_RESET, -1},
        /* a month of 5e9 a second on half of the time: no overflow between */
        {{0, 0, 0},
         {UINT64_C(2592000000000000), UINT64_C(1296000000000000), UINT64_C(6480000000000000)},
         0,
         UINT64_C(12960000000000000),
         ME_TALLY_OK,
         0.5},
        {{0, 0, 0}, {UINT64_MAX, 1, UINT64_MAX}, 0, UINT64_MAX, ME_TALLY_OK, 1 / 18446744073709551615.0},
        {{0, 0, 0}, {1, 1, 5}, UINT64_MAX - 2, UINT64_MAX, ME_TALLY_OK, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct me_event_tally last = {cases[i].last[0], cases[i].last[1], {cases[i].last[2]}};
        struct me_event_tally now = {cases[i].now[0], cases[i].now[1], {cases[i].now[2]}};
        uint64_t total = cases[i].total;
        double share = -1;
        assert_int_equal(me_events_tally(&last, &now, 1, &total, &share), cases[i].verdict);
        assert_true(total == cases[i].after);
        assert_true(share == cases[i].share);
        bool moved = cases[i].verdict == ME_TALLY_OK;
        assert_true(last.enabled_ns == (moved ? now.enabled_ns : cases[i].last[0]));
        assert_true(last.counts[0] == (moved ? now.counts[0] : cases[i].last[2]));
    }
}

/* Four groups take turns at one set of counters, and the rate is steady: the estimate follows the truth
 * and never falls, though for long stretches nothing is counted at all. */
static void test_tally_turns(void **state)
{
    (void)state;
    struct me_event_tally last = {0}, now = {0};
    uint64_t total = 0, before = 0, waited = 0;
    for (int step = 1; step <= 4000; step++) {
        double share;
        bool mine = step % 4 == 3;
        now.enabled_ns += 1000000;
        if (mine) {
            now.running_ns += 1000000;
            now.counts[0] += 3000;
        }
        waited += me_events_tally(&last, &now, 1, &total, &share) == ME_TALLY_WAITING;
        assert_true(total >= before);
        before = total;
    }
    assert_true(waited == 3000);
    assert_true(total == UINT64_C(3000) * 3999); /* the last step is still waiting */
}

static void test_interval(void **state)
{
    (void)state;
    assert_true(me_events_interval_s(0) == 0.1);
    assert_true(me_events_interval_s(2) == 0.1);
    assert_true(me_events_interval_s(16) == 0.1);
    assert_true(me_events_interval_s(32) == 0.2);
    assert_true(me_events_interval_s(128) == 0.8);
    assert_true(me_events_interval_s(512) == 1);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *names, *error; /* error: what it must say; NULL: it is fine */
    } cases[] = {
        {NULL, NULL},
        {"", NULL},
        {" , ,", NULL},
        {"none", NULL},
        {"instructions", NULL},
        {"perf::CYCLES, perf::INSTRUCTIONS,", NULL},
        {"perf::CYCLES:u", NULL},
        {"INST_RETIRED:ANY_P", NULL}, /* of some processor; the machines of a run differ */
        {"skx::UOPS_ISSUED:ANY", NULL},
        {"RETIRED_INSTRUCTIONS", NULL},
        {"instuctions", "no processor has an event instuctions (near: INSTRUCTIONS)"},
        {"perf::CYCLES,cache-mises", "no processor has an event cache-mises (near: CACHE-MISSES)"},
        {"perf::CYCLSE", "no processor has an event perf::CYCLSE (near: CYCLES"},
        {"xyzzyxyzzy", "no processor has an event xyzzyxyzzy"},
        {"perf::CYCLES:bogus", "events: perf::CYCLES:bogus: "},
        {"none,perf::CYCLES", "none stands alone"},
        {"c,c,c", "no processor has an event c"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct me_error err = {.text = ""};
        int rc = me_events_check(cases[i].names, &err);
        assert_int_equal(rc, cases[i].error ? -1 : 0);
        if (!cases[i].error) continue;
        assert_int_equal(err.code, ME_E_INPUT);
        if (!strstr(err.text, cases[i].error)) fail_msg("\"%s\" lacks \"%s\"", err.text, cases[i].error);
    }
}

static void test_too_many(void **state)
{
    (void)state;
    char names[1024] = "";
    struct me_error err;
    for (int i = 0; i < ME_EVENTS_MAX; i++) strcat(names, "perf::CYCLES,");
    assert_int_equal(me_events_check(names, &err), 0);
    strcat(names, "perf::CYCLES");
    assert_int_equal(me_events_check(names, &err), -1);
    assert_non_null(strstr(err.text, "one too many"));
    memset(names, 'A', 200);
    names[200] = '\0';
    assert_int_equal(me_events_check(names, &err), -1);
}

/* A group whose file answers what the test puts into it. */
static void test_group(void **state)
{
    (void)state;
    static const struct {
        uint64_t words[5];
        size_t size;
        uint64_t first, second; /* totals after it */
        int error;
        bool waiting;
        double share;
    } steps[] = {
        {{2, 100, 100, 5, 6}, 40, 5, 6, 0, false, 1},
        {{2, 200, 100, 5, 6}, 40, 5, 6, 0, true, 0},
        {{2, 300, 200, 10, 12}, 40, 15, 18, 0, false, 0.5}, /* for the time before, too */
        {{2, 300, 200, 10, 12}, 24, 15, 18, ENODATA, false, 1},
        {{2, 400, 300, 20, 22}, 40, 15, 18, ENODATA, false, 1}, /* from then on */
    };
    int ends[2];
    uint64_t totals[3] = {0};
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    struct me_event_group group = {.count = 2, .fds = {ends[0]}, .at = {2, 0}};
    for (size_t i = 0; i < COUNT(steps); i++) {
        double share = -1;
        assert_int_equal(write(ends[1], steps[i].words, steps[i].size), steps[i].size);
        me_events_read_group(&group, totals, &share);
        assert_int_equal(group.error, steps[i].error);
        assert_int_equal(group.waiting, steps[i].waiting);
        assert_true(share == steps[i].share);
        assert_true(totals[2] == steps[i].first && totals[0] == steps[i].second && totals[1] == 0);
    }
    close(ends[0]);
    close(ends[1]);
    pipe2(ends, O_NONBLOCK | O_CLOEXEC);
    group = (struct me_event_group){.count = 1, .fds = {ends[0]}, .last = {100, 100, {5}}};
    assert_int_equal(write(ends[1], (uint64_t[]){1, 100, 100, 4}, 32), 32); /* set back */
    double share;
    me_events_read_group(&group, totals, &share);
    assert_int_equal(group.error, ESTALE);
    close(ends[0]);
    close(ends[1]);
}

/* --- the kernel itself --------------------------------------------------------------------------- */

struct opened {
    struct me_root root;
    struct me_source source;
    struct me_reading readings[ME_EVENTS_MAX + 1];
};

static void open_source(struct opened *o, const char *root, const char *events, bool live)
{
    struct me_error err = {.text = ""};
    struct me_meter_options options = {.events = events};
    *o = (struct opened){.source = {.ops = &me_events_ops}};
    assert_int_equal(me_root_open(&o->root, root, &err), 0);
    struct me_source_setup setup = {.root = &o->root, .live = live, .options = &options};
    if (o->source.ops->open(&o->source, &setup, &err)) fail_msg("%s", err.text);
}

static void close_source(struct opened *o)
{
    if (o->source.found) o->source.ops->close(&o->source);
    me_root_close(&o->root);
}

/* Where the kernel does not let us count the reason must stand; then there is no more to see. */
static bool is_allowed(const struct opened *o)
{
    if (o->source.found) return true;
    assert_true(o->source.reason[0] != 0);
    return false;
}

static void test_closed(void **state)
{
    (void)state;
    static const struct {
        const char *events, *reason;
        bool live;
    } cases[] = {
        {"none", "not wanted", true},
        {NULL, "not asked: it would speak of this machine", false},
        {"INST_RETIRED:NO_SUCH_UMASK_HERE", "this processor has no event INST_RETIRED", true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct opened o;
        struct me_error err;
        if (me_events_check(cases[i].events, &err)) continue; /* a processor that has it knows its umasks */
        open_source(&o, "/", cases[i].events, cases[i].live);
        assert_false(o.source.found);
        assert_null(o.source.state);
        assert_null(o.source.channels);
        assert_int_equal(strncmp(o.source.reason, cases[i].reason, strlen(cases[i].reason)), 0);
        assert_string_equal(o.source.cure, "");
        close_source(&o);
    }
}

/* The clock of every processor runs as fast as ours, and who sleeps and wakes switches contexts. */
static void test_truth(void **state)
{
    (void)state;
    struct opened o;
    open_source(&o, "/", "perf::CPU-CLOCK,perf::CONTEXT-SWITCHES", true);
    if (!is_allowed(&o)) return;
    struct me_source *source = &o.source;
    assert_int_equal(source->channel_count, 3);
    assert_string_equal(source->channels[0].name, "perf::CPU-CLOCK");
    assert_string_equal(source->channels[0].unit, "ns");
    assert_string_equal(source->channels[1].unit, "1");
    assert_string_equal(source->channels[2].name, "events/running");
    assert_int_equal(source->channels[2].kind, ME_KIND_GAUGE);
    for (int i = 0; i < 3; i++) assert_true(source->channels[i].activity);
    double cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
    source->ops->read(source, o.readings);
    uint64_t clock_before = o.readings[0].count, switches_before = o.readings[1].count;
    int64_t begin_ns = me_clock_mono_ns();
    for (int i = 0; i < 200; i++) me_clock_sleep_until(me_clock_mono_ns() + 500000);
    source->ops->read(source, o.readings);
    double elapsed_ns = (double)(me_clock_mono_ns() - begin_ns);
    for (int i = 0; i < 3; i++) assert_int_equal(o.readings[i].state, ME_READING_OK);
    double ratio = (double)(o.readings[0].count - clock_before) / elapsed_ns / cpus;
    assert_true(ratio > 0.8 && ratio < 1.2);
    assert_true(o.readings[1].count - switches_before >= 200);
    assert_true(o.readings[2].level == 1); /* software is never short of counters */
    close_source(&o);
}

/* A processor that cannot count is left out, and the channel says so. */
static void test_some_processors(void **state)
{
    (void)state;
    struct opened o;
    char dir[128];
    tree_make(dir, sizeof dir);
    tree_put(dir, "sys/devices/system/cpu/online", "0,4000\n");
    tree_put(dir, "sys/bus/event_source/devices/cpu_core/cpus", "0\n"); /* two kinds of cores */
    tree_put(dir, "sys/bus/event_source/devices/cpu_core/type", "4\n");
    tree_put(dir, "sys/bus/event_source/devices/cpu_atom/cpus", "4000\n");
    tree_put(dir, "sys/bus/event_source/devices/cpu_atom/type", "10\n");
    open_source(&o, dir, "perf::CYCLES,perf::CPU-CLOCK", true);
    if (is_allowed(&o)) { /* in a virtual machine without cycles the clock moves up */
        size_t clock = o.source.channel_count - 2;
        assert_true(clock == 1 || strstr(o.source.reason, "not counted here: perf::CYCLES"));
        assert_string_equal(o.source.channels[clock].name, "perf::CPU-CLOCK");
        assert_string_equal(o.source.channels[clock].basis, "counted on 1 of 2 processors");
        me_clock_sleep_until(me_clock_mono_ns() + 20000000);
        o.source.ops->read(&o.source, o.readings);
        assert_int_equal(o.readings[clock].state, ME_READING_OK);
        assert_true(o.readings[clock].count > 10000000 && o.readings[clock].count < 1000000000);
    }
    close_source(&o);
    tree_put(dir, "sys/devices/system/cpu/online", "nonsense\n");
    open_source(&o, dir, "perf::CPU-CLOCK", true);
    assert_false(o.source.found);
    assert_non_null(strstr(o.source.reason, "perf_event_open: "));
    close_source(&o);
    tree_remove(dir);
}

/* Whatever this machine has: hardware events, or software events and the reason. */
static void test_default(void **state)
{
    (void)state;
    struct opened o;
    uint64_t before[ME_EVENTS_MAX] = {0};
    open_source(&o, "/", NULL, true);
    if (!is_allowed(&o)) return;
    struct me_source *source = &o.source;
    size_t n = source->channel_count - 1;
    bool is_software = strstr(source->reason, "software events only") != NULL;
    assert_true(n >= 1);
    assert_string_equal(source->channels[0].name, is_software ? "context-switches" : "instructions");
    assert_true(source->interval_s >= 0.1 && source->interval_s <= 1);
    for (int i = 0; i < 50; i++) {
        me_clock_sleep_until(me_clock_mono_ns() + 2000000);
        source->ops->read(source, o.readings);
        for (size_t e = 0; e < n; e++) {
            if (o.readings[e].state != ME_READING_OK) continue; /* it waits for its turn */
            assert_true(o.readings[e].count >= before[e]);
            before[e] = o.readings[e].count;
        }
        assert_true(o.readings[n].level >= 0 && o.readings[n].level <= 1);
    }
    assert_true(before[0] > 0);
    close_source(&o);
}

/* A descriptor of ours that is an event's. */
static int find_event_fd(int from)
{
    for (int fd = from; fd < 4096; fd++) {
        char path[64], target[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(path, target, sizeof target - 1);
        if (len <= 0) continue;
        target[len] = '\0';
        if (strstr(target, "perf_event")) return fd;
    }
    return -1;
}

/* One processor's events break off: no sum is a number any more, and nothing crashes. */
static void test_breaks(void **state)
{
    (void)state;
    struct opened o;
    open_source(&o, "/", "perf::CONTEXT-SWITCHES", true);
    if (!is_allowed(&o)) return;
    o.source.ops->read(&o.source, o.readings);
    assert_int_equal(o.readings[0].state, ME_READING_OK);
    int fd = find_event_fd(0), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && null >= 0);
    assert_int_equal(dup3(null, fd, O_CLOEXEC), fd);
    for (int i = 0; i < 2; i++) {
        o.source.ops->read(&o.source, o.readings);
        for (int c = 0; c < 2; c++) {
            assert_int_equal(o.readings[c].state, ME_READING_FAILED);
            assert_int_equal(o.readings[c].error, ENODATA);
        }
    }
    close(null);
    close_source(&o);
    assert_int_equal(find_event_fd(0), -1); /* all closed */
}

/* More descriptors than the limit: they go above it, and the limit is as it was. */
static void test_few_files(void **state)
{
    (void)state;
    struct rlimit old, limit;
    struct opened o;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    limit = (struct rlimit){.rlim_cur = 64, .rlim_max = old.rlim_max};
    if (old.rlim_max < 1024) return;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    open_source(&o, "/", "perf::CONTEXT-SWITCHES,perf::PAGE-FAULTS", true);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, 64);
    if (is_allowed(&o)) {
        assert_true(find_event_fd(0) >= 64);
        assert_true(fcntl(find_event_fd(0), F_GETFD) & FD_CLOEXEC);
        o.source.ops->read(&o.source, o.readings);
        assert_int_equal(o.readings[0].state, ME_READING_OK);
    }
    close_source(&o);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* What an ordinary user is told; the status of the process is the number of the line that is wrong. */
static int see_as_nobody(void)
{
    struct opened o = {.source = {.ops = &me_events_ops}};
    struct me_meter_options options = {.events = "perf::CONTEXT-SWITCHES"};
    struct me_error err;
    if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) return 1;
    if (me_root_open(&o.root, "/", &err)) return 2;
    struct me_source_setup setup = {.root = &o.root, .live = true, .options = &options};
    if (o.source.ops->open(&o.source, &setup, &err)) return 3;
    if (o.source.found) return 4;
    if (!strstr(o.source.reason, "perf_event_paranoid")) return 5;
    return 0;
}

static void test_denied(void **state)
{
    (void)state;
    char text[16] = "";
    struct me_root root;
    assert_int_equal(me_root_open(&root, "/", NULL), 0);
    me_root_read(&root, "proc/sys/kernel/perf_event_paranoid", text, sizeof text);
    me_root_close(&root);
    if (geteuid() || atoi(text) <= 0) return; /* then nobody is denied, or only root can become nobody */
    pid_t pid = fork();
    if (!pid) _exit(see_as_nobody());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tally),           cmocka_unit_test(test_tally_turns),
        cmocka_unit_test(test_interval),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_too_many),        cmocka_unit_test(test_group),
        cmocka_unit_test(test_closed),          cmocka_unit_test(test_truth),
        cmocka_unit_test(test_default),         cmocka_unit_test(test_breaks),
        cmocka_unit_test(test_few_files),       cmocka_unit_test(test_denied),
        cmocka_unit_test(test_some_processors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
