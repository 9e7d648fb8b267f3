/* The lock of a result's one writer: who dies, hangs or is killed with it stops nobody, and two never hold it. */
#include "me_cmocka.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "me/clock.h"
#include "me/root.h"
#include "me/store.h"

static char dir[64], path[128], lock_path[160];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/me-lock-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/exp1.h5", dir);
    snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static size_t count_entries(void)
{
    size_t count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) count += entry->d_name[0] != '.';
    closedir(d);
    return count;
}

static struct me_lock *take(double wait_s, double stale_s)
{
    struct me_lock *lock = NULL;
    struct me_error err = {0};
    const struct me_lock_options options = {.path = path, .wait_s = wait_s, .stale_s = stale_s};
    if (me_lock_take(&lock, &options, &err)) fail_msg("%s", err.text);
    return lock;
}

/* A child that takes the lock and then does nothing; returns when it has it. */
static pid_t hold(void)
{
    pid_t child = fork();
    if (!child) {
        take(5, 0);
        pause();
        _exit(0);
    }
    for (int i = 0; access(lock_path, F_OK) && i < 500; i++) usleep(10000);
    assert_int_equal(access(lock_path, F_OK), 0);
    return child;
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void what_was_taken_is_given_back(void **state)
{
    (void)state;
    struct me_lock *lock = take(1, 0);
    assert_int_equal(count_entries(), 1);
    assert_int_equal(me_lock_confirm(lock, NULL), 0);
    me_lock_release(lock);
    assert_int_equal(count_entries(), 0);
    me_lock_release(NULL);
}

static void say(void *context, const char *who)
{
    snprintf(context, 128, "%s", who);
}

static void who_lives_is_waited_for_and_named(void **state)
{
    (void)state;
    struct me_lock *lock = NULL;
    struct me_error err = {0};
    char who[128] = "", expected[64];
    pid_t child = hold();
    const struct me_lock_options options = {.path = path, .wait_s = 1.5, .say = say, .context = who};
    assert_int_equal(me_lock_take(&lock, &options, &err), -1);
    end(child);
    snprintf(expected, sizeof expected, "(process %ld)", (long)child);
    assert_non_null(strstr(who, expected));
    assert_non_null(strstr(err.text, expected));
    assert_non_null(strstr(err.text, "was not done in 1.5 s"));
}

static void who_was_killed_stops_nobody(void **state)
{
    (void)state;
    end(hold());
    assert_int_equal(count_entries(), 1);
    int64_t begin = me_clock_mono_ns();
    me_lock_release(take(5, 0));
    assert_true(me_clock_mono_ns() - begin < ME_NS_PER_S);
    assert_int_equal(count_entries(), 0);
}

static void write_lock(const char *text)
{
    FILE *file = fopen(lock_path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* On another machine nobody can look for its process: it is dead when nothing has touched its lock for a while. */
static void who_died_elsewhere_stops_nobody_for_long(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "n7\n11111111-2222-4333-8444-555555555555\npid:[4026531836]\n1\n77\n0123456789abcdef\n", "",
        "not a lock\n\x80\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_lock(texts[i]);
        int64_t begin = me_clock_mono_ns();
        me_lock_release(take(5, 0.5));
        assert_true(me_clock_mono_ns() - begin > ME_NS_PER_S / 2);
        assert_int_equal(count_entries(), 0);
    }
}

/* Its heartbeat keeps it: nobody takes a lock away that somebody elsewhere holds and touches. */
static void who_lives_elsewhere_keeps_it(void **state)
{
    (void)state;
    struct me_lock *lock = NULL;
    write_lock("n7\n11111111-2222-4333-8444-555555555555\npid:[4026531836]\n1\n77\n0123456789abcdef\n");
    pid_t child = fork();
    for (int i = 0; !child && i < 100; i++) {
        utimensat(AT_FDCWD, lock_path, NULL, 0);
        usleep(50000);
    }
    if (!child) _exit(0);
    const struct me_lock_options options = {.path = path, .wait_s = 2, .stale_s = 0.6};
    assert_int_equal(me_lock_take(&lock, &options, NULL), -1);
    end(child);
}

/* Who was stopped for too long finds out, and does not take away the lock that is another's by then. */
static void who_was_held_up_finds_out(void **state)
{
    (void)state;
    struct me_lock *lock = take(1, 0);
    struct me_error err = {0};
    unlink(lock_path);
    write_lock("another\n");
    assert_int_equal(me_lock_confirm(lock, &err), -1);
    assert_non_null(strstr(err.text, "held up"));
    me_lock_release(lock);
    assert_int_equal(access(lock_path, F_OK), 0);
}

/* Many at once, some of whom are killed as they hold it: a number that each of them reads and adds to is never torn. */
static void two_never_hold_it(void **state)
{
    (void)state;
    enum { PROCESSES = 6, ROUNDS = 15 };
    pid_t children[PROCESSES];
    char counter[160];
    snprintf(counter, sizeof counter, "%s/counter", dir);
    for (int p = 0; p < PROCESSES; p++) {
        if ((children[p] = fork())) continue;
        for (int i = 0; i < ROUNDS; i++) {
            struct me_lock *lock = take(60, 0);
            int fd = open(counter, O_CREAT | O_EXCL | O_WRONLY, 0600); /* is anybody else here? */
            if (fd < 0 && p) _exit(1);
            usleep(500);
            if (p == 0 && i == ROUNDS / 2) {
                unlink(counter);
                kill(getpid(), SIGKILL);
            }
            close(fd);
            unlink(counter);
            me_lock_release(lock);
        }
        _exit(0);
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        assert_int_equal(waitpid(children[p], &status, 0), children[p]);
        assert_int_equal(status, p ? 0 : SIGKILL);
    }
    assert_int_equal(count_entries(), 0);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIR(what_was_taken_is_given_back),
        IN_DIR(who_lives_is_waited_for_and_named),
        IN_DIR(who_was_killed_stops_nobody),
        IN_DIR(who_died_elsewhere_stops_nobody_for_long),
        IN_DIR(who_lives_elsewhere_keeps_it),
        IN_DIR(who_was_held_up_finds_out),
        IN_DIR(two_never_hold_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
