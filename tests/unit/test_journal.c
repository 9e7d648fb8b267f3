/* The journal: appended whole, never waited for, going on where a full disk stopped it, taken away at the end. */
#include "me_cmocka.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "me/clock.h"
#include "me/store.h"

static char dir[64];

static const char *at(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/me-journal-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(at("a/b/j"));
    unlink(at("a/b/k"));
    rmdir(at("a/b"));
    rmdir(at("a"));
    return rmdir(dir);
}

static struct me_journal *open_journal(const char *name)
{
    struct me_error err = {0};
    struct me_journal *journal = NULL;
    char folder[512];
    snprintf(folder, sizeof folder, "%s", at("a/b"));
    if (me_journal_open(&journal, folder, name, &err)) fail_msg("%s", err.text);
    return journal;
}

static void append(struct me_journal *journal, const char *text)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_buffer_puts(&chunk, text);
    me_journal_append(journal, &chunk);
    me_buffer_release(&chunk);
}

/* A disk that hangs, and how often it was asked to make things last. The linker puts these in the place of the
 * system's (-Wl,--wrap). */
ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER; /* held: it hangs */
static atomic_int syncs;

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    pthread_mutex_lock(&disk);
    pthread_mutex_unlock(&disk);
    return __real_write(fd, bytes, len);
}

int __wrap_fdatasync(int fd)
{
    pthread_mutex_lock(&disk);
    pthread_mutex_unlock(&disk);
    atomic_fetch_add(&syncs, 1);
    return __real_fdatasync(fd);
}

static void expect_content(const char *path, const char *text)
{
    char found[256] = "";
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    found[fread(found, 1, sizeof found - 1, in)] = '\0';
    fclose(in);
    assert_string_equal(found, text);
}

static void test_append(void **state)
{
    (void)state;
    struct stat st;
    struct me_error err = {0};
    struct me_journal *journal = open_journal("j");
    append(journal, "one ");
    assert_true(me_journal_settle(journal, 5 * ME_NS_PER_S));
    expect_content(at("a/b/j"), "one ");
    append(journal, "");
    append(journal, "two");
    assert_int_equal(me_journal_close(journal, true, &err), 0);
    expect_content(at("a/b/j"), "one two");
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(at("a/b/j"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_old_one_is_replaced(void **state)
{
    (void)state;
    struct me_journal *journal = open_journal("j");
    append(journal, "old and long");
    me_journal_close(journal, true, NULL);
    journal = open_journal("j");
    append(journal, "new");
    me_journal_close(journal, true, NULL);
    expect_content(at("a/b/j"), "new");
    /* A link that somebody put there is replaced, not followed. */
    assert_int_equal(unlink(at("a/b/j")), 0);
    char target[512];
    snprintf(target, sizeof target, "%s", at("a/b/k"));
    assert_int_equal(symlink(target, at("a/b/j")), 0);
    journal = open_journal("j");
    append(journal, "mine");
    me_journal_close(journal, true, NULL);
    assert_int_equal(access(target, F_OK), -1);
    expect_content(at("a/b/j"), "mine");
}

static void test_close(void **state)
{
    (void)state;
    assert_int_equal(me_journal_close(NULL, false, NULL), 0);
    struct me_journal *j = open_journal("j"), *k = open_journal("k");
    assert_int_equal(me_journal_close(j, false, NULL), 0);
    assert_int_equal(access(at("a/b/j"), F_OK), -1);
    assert_int_equal(access(at("a/b/k"), F_OK), 0); /* the folder stays: another journal is in it */
    assert_int_equal(me_journal_close(k, false, NULL), 0);
    assert_int_equal(access(at("a/b"), F_OK), -1);
    assert_int_equal(access(at("a"), F_OK), 0);
}

static void wait_for(const char *path, const char *text)
{
    struct stat st;
    for (int i = 0; i < 1000 && (stat(path, &st) || st.st_size != (off_t)strlen(text)); i++) usleep(5000);
    expect_content(path, text);
}

/* With the kernel in a moment, without anybody waiting for it: a kill of ours loses nothing. And on the disk within a
 * second. */
static void test_written_by_itself(void **state)
{
    (void)state;
    struct me_journal *journal = open_journal("j");
    int before = atomic_load(&syncs);
    append(journal, "one ");
    wait_for(at("a/b/j"), "one ");
    for (int i = 0; i < 400 && atomic_load(&syncs) == before; i++) usleep(5000);
    assert_int_equal(atomic_load(&syncs), before + 1);
    assert_true(me_journal_settle(journal, ME_NS_PER_S)); /* it is there already, and nothing is done again */
    assert_int_equal(atomic_load(&syncs), before + 1);
    assert_true(me_journal_cpu_ns(journal) > 0);
    me_journal_close(journal, true, NULL);
}

/* Nobody waits for a disk that hangs, but who asks to, and of those only the first; what came meanwhile is
 * written in order when it answers again. */
static void test_disk_that_hangs(void **state)
{
    (void)state;
    struct me_journal *journal = open_journal("j");
    pthread_mutex_lock(&disk);
    int64_t begin_ns = me_clock_mono_ns();
    for (int i = 0; i < 1000; i++) append(journal, "0123456789");
    assert_true(me_clock_mono_ns() - begin_ns < ME_NS_PER_S / 2);
    assert_false(me_journal_settle(journal, ME_NS_PER_S / 5));
    assert_true(me_clock_mono_ns() - begin_ns >= ME_NS_PER_S / 5);
    begin_ns = me_clock_mono_ns();
    assert_false(me_journal_settle(journal, 60 * ME_NS_PER_S));
    assert_true(me_clock_mono_ns() - begin_ns < ME_NS_PER_S);
    pthread_mutex_unlock(&disk);
    for (int i = 0; i < 1000 && !me_journal_settle(journal, ME_NS_PER_S); i++) usleep(5000);
    assert_int_equal(me_journal_close(journal, true, NULL), 0);
    struct stat st;
    assert_int_equal(stat(at("a/b/j"), &st), 0);
    assert_int_equal(st.st_size, 10000);
}

static void test_disk_that_never_answers(void **state)
{
    (void)state;
    struct me_journal *journal = open_journal("j");
    struct me_error err = {0};
    pthread_mutex_lock(&disk);
    append(journal, "lost");
    int64_t begin_ns = me_clock_mono_ns();
    assert_int_equal(me_journal_close(journal, false, &err), -1);
    assert_true(me_clock_mono_ns() - begin_ns < 10 * ME_NS_PER_S);
    assert_non_null(strstr(err.text, "a/b/j: the journal is incomplete: its disk does not answer"));
    pthread_mutex_unlock(&disk);
    wait_for(at("a/b/j"), "lost"); /* nobody holds what is the thread's */
}

/* A file size limit fills up as a disk does, for any user. What has no room waits for it, and continues where it was
 * cut; close tells what had none to the end. */
static void test_full(void **state)
{
    (void)state;
    struct rlimit old, low;
    getrlimit(RLIMIT_FSIZE, &old);
    low = (struct rlimit){.rlim_cur = 10, .rlim_max = old.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct me_journal *journal = open_journal("j");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    append(journal, "12345678");
    append(journal, "abcdefgh");
    append(journal, "i");
    wait_for(at("a/b/j"), "12345678ab");
    int64_t begin_ns = me_clock_mono_ns();
    assert_false(me_journal_settle(journal, 60 * ME_NS_PER_S));
    assert_true(me_clock_mono_ns() - begin_ns < 5 * ME_NS_PER_S); /* nobody waits for room */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    wait_for(at("a/b/j"), "12345678abcdefghi");
    low.rlim_cur = 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    append(journal, "jklmnop");
    wait_for(at("a/b/j"), "12345678abcdefghijkl");
    struct me_error err = {0};
    assert_int_equal(me_journal_close(journal, true, &err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(err.code, ME_E_RUN);
    assert_non_null(strstr(err.text, "a/b/j: the journal is incomplete: File too large"));
}

/* Others see that somebody writes it still, and who. */
static void test_lock(void **state)
{
    (void)state;
    struct me_journal *journal = open_journal("j");
    pid_t child = fork();
    if (child == 0) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(at("a/b/j"), O_RDWR);
        _exit(fcntl(fd, F_GETLK, &whole) || whole.l_type != F_WRLCK || whole.l_pid != getppid());
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    me_journal_close(journal, true, NULL);
}

static void test_failed_buffer(void **state)
{
    (void)state;
    struct me_journal *journal = open_journal("j");
    struct me_buffer chunk = {.failed = true};
    me_journal_append(journal, &chunk);
    struct me_error err = {0};
    assert_int_equal(me_journal_close(journal, true, &err), -1);
    assert_non_null(strstr(err.text, "Cannot allocate memory"));
}

static void test_bad_places(void **state)
{
    (void)state;
    static const struct {
        const char *dir, *name, *part;
    } cases[] = {
        {"/proc/no", "j", "/proc/no"}, {"/dev/null/x", "j", "Not a directory"}, {"/tmp", "", "not a name"},
        {"", "j", "not a name"},       {"/tmp", "../j", "not a name"},          {"/tmp", ".", "/tmp/."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct me_error err = {0};
        struct me_journal *journal = NULL;
        assert_int_equal(me_journal_open(&journal, cases[i].dir, cases[i].name, &err), -1);
        assert_null(journal);
        if (!strstr(err.text, cases[i].part)) fail_msg("'%s' is not in: %s", cases[i].part, err.text);
    }
}

static void *append_many(void *journal)
{
    for (int i = 0; i < 500; i++) append(journal, "0123456789abcde\n");
    return NULL;
}

/* The sampling thread and the main thread share it: chunks come whole. */
static void test_two_threads(void **state)
{
    (void)state;
    struct me_journal *journal = open_journal("j");
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, append_many, journal), 0);
    append_many(journal);
    pthread_join(thread, NULL);
    assert_int_equal(me_journal_close(journal, true, NULL), 0);
    char line[64];
    size_t lines = 0;
    FILE *in = fopen(at("a/b/j"), "r");
    assert_non_null(in);
    for (; fgets(line, sizeof line, in); lines++) assert_string_equal(line, "0123456789abcde\n");
    fclose(in);
    assert_int_equal(lines, 1000);
}

static void set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

static void test_dir(void **state)
{
    (void)state;
    static const struct {
        const char *xdg, *home, *expected;
    } cases[] = {
        {"/var/s", "/home/u", "/var/s/machine-energy"},
        {NULL, "/home/u", "/home/u/.local/state/machine-energy"},
        {"", "/home/u", "/home/u/.local/state/machine-energy"},
        {"relative", "/home/u", "/home/u/.local/state/machine-energy"},
    };
    char found[256], *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *old_xdg = xdg ? strdup(xdg) : NULL, *old_home = home ? strdup(home) : NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set("XDG_STATE_HOME", cases[i].xdg);
        set("HOME", cases[i].home);
        assert_int_equal(me_journal_dir(found, sizeof found, NULL), 0);
        assert_string_equal(found, cases[i].expected);
    }
    struct me_error err = {0};
    assert_int_equal(me_journal_dir(found, 8, &err), -1);
    assert_non_null(strstr(err.text, "set XDG_STATE_HOME"));
    set("HOME", NULL); /* the password database knows where home is */
    assert_int_equal(me_journal_dir(found, sizeof found, NULL), 0);
    set("XDG_STATE_HOME", old_xdg);
    set("HOME", old_home);
    free(old_xdg);
    free(old_home);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_DIR(test_written_by_itself),
        IN_DIR(test_disk_that_hangs),
        IN_DIR(test_disk_that_never_answers),
        IN_DIR(test_lock),
        IN_DIR(test_append),
        IN_DIR(test_old_one_is_replaced),
        IN_DIR(test_close),
        IN_DIR(test_full),
        IN_DIR(test_failed_buffer),
        cmocka_unit_test(test_bad_places),
        IN_DIR(test_two_threads),
        cmocka_unit_test(test_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
