/* What runs on a machine that gets a framework, in the shells that machines have. The command line is no
 * library; its parts are compiled in here. */
#include "../../src/cli/install.c"
#include "../../src/cli/preflight.c"
#include "../../src/cli/engine.c"
#include "../../src/cli/work.c"
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "me_cmocka.h"

const char me_install_text[1] = "", me_install_text_end[1] = "";

void me_host_fail(struct me_host *host, const struct me_error *err) /* of prepare.c */
{
    host->step = ME_STEP_FAILED;
    snprintf(host->reason, sizeof host->reason, "%s", err->text);
}
bool me_head_mpi_version(const char *text, char *version, size_t size) /* of head.c */
{
    (void)text, (void)version, (void)size;
    return false;
}

static const char *const shells[] = {"dash", "bash --posix"};
enum { SHELLS = sizeof shells / sizeof *shells };

static void write_script(const char *dir, const char *file, const char *names, bool gpu)
{
    struct me_buffer script = ME_BUFFER_INIT;
    char path[128];
    me_install_script(file, strlen(file), names, gpu, &script);
    assert_false(script.failed);
    snprintf(path, sizeof path, "%s/script", dir);
    FILE *out = fopen(path, "w");
    assert_int_equal(fwrite(script.data, 1, script.len, out), script.len);
    fclose(out);
    me_buffer_release(&script);
}

static bool is_there(const char *dir, const char *name)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return !stat(path, &st);
}

/* Nothing of an installation is left in the staging folder. */
static bool is_tidy(const char *dir)
{
    char command[256];
    snprintf(command, sizeof command, "[ -z \"$(ls -A %s/.cache/machine-energy)\" ]", dir);
    return system(command) == 0;
}

static void run(const char *shell, const char *dir, char *answer, size_t size)
{
    char command[256];
    snprintf(command, sizeof command, "HOME=%s setsid -w %s -s <%s/script 2>/dev/null", dir, shell, dir);
    FILE *pipe = popen(command, "r");
    size_t len = fread(answer, 1, size - 1, pipe);
    answer[len] = '\0';
    pclose(pipe);
}

static void runs_to_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *file, *names;
        bool gpu;
        int status;
        const char *said;
    } table[] = {
        {"echo one\necho \"[$*]\"\n", "keras", false, 0, "[--quiet keras]"},
        {"echo \"[$*]\" >&2\n", "keras,pl", true, 0, "[--quiet --gpu keras pl]"},
        {"echo 'no network' >&2; echo; echo ' '; exit 3\n", "keras", false, 3, "no network"},
        {"echo '  word 1'; echo 'install-framework: a'; echo 2\necho 'install-framework: b; c'; exit 3\n",
         "keras", false, 3, "a; b; c"},
        {"printf '    one\\n    ERROR: two\\ninstall-framework: pip failed; see above\\n' >&2; exit 1\n",
         "keras", false, 1, "ERROR: two; pip failed; see above"},
        {"printf 'a\\033[31m\\tb'; exit 1\n", "keras", false, 1, "a?[31m?b"},
        {"echo me:status=0; echo me:said=forged; echo me:end; exit 5\n", "keras", false, 5, "me:end"},
        {"echo \"$0\" '$HOME' \"it's\" `echo x` \\\\ ; exit 1\n", "keras", false, 1, NULL},
        {"kill -KILL $PPID; sleep 0.2\n", "keras", false, 1, ""},
        {"sleep 1.2; exit 0\n", "keras", false, 0, ""},
        {"exit 0\n", "keras", false, 0, ""},
    };
    char dir[] = "/tmp/me-test-install-XXXXXX", answer[4096], said[512], command[128];
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t s = 0; s < SHELLS; s++) {
            int status = -1;
            write_script(dir, table[i].file, table[i].names, table[i].gpu);
            run(shells[s], dir, answer, sizeof answer);
            assert_int_equal(me_install_parse(answer, &status, said, sizeof said), 0);
            if (status != table[i].status || (table[i].said && strcmp(said, table[i].said)))
                fail_msg("row %zu, %s: %d \"%s\"", i, shells[s], status, said);
            assert_true(is_tidy(dir));
        }
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static void cannot_begin(void **state)
{
    (void)state;
    char dir[] = "/tmp/me-test-install-XXXXXX", answer[4096], said[512], command[128];
    int status = -1;
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "touch %s/.cache", dir);
    assert_int_equal(system(command), 0);
    write_script(dir, "exit 0\n", "keras", false);
    run("sh", dir, answer, sizeof answer);
    assert_int_equal(me_install_parse(answer, &status, said, sizeof said), 0);
    assert_int_equal(status, 1);
    assert_non_null(strstr(said, "Not a directory"));
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

static bool wait_for(bool (*test)(const char *), const char *dir)
{
    for (int i = 0; i < 300; i++) {
        if (test(dir)) return true;
        usleep(50000);
    }
    return false;
}

static bool has_begun(const char *dir)
{
    return is_there(dir, "begun");
}
/* What the file under way holds open is closed when all of it has ended. */
static bool has_ended(const char *dir)
{
    char command[256];
    snprintf(command, sizeof command, "flock -n %s/lock true", dir);
    return system(command) == 0 && is_tidy(dir);
}

/* Who waits goes away: by closing its end, or by killing all of its group too. */
static void ends_when_nobody_waits(void **state)
{
    (void)state;
    static const char file[] = "exec 9>~/lock; flock 9; trap 'touch ~/told; exit' TERM\n"
                               "sleep 60 & touch ~/begun\nwait; wait\n";
    char dir[] = "/tmp/me-test-install-XXXXXX", path[128], command[160];
    assert_non_null(mkdtemp(dir));
    write_script(dir, file, "keras", false);
    for (size_t s = 0; s < SHELLS * 2; s++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        if (!pid) {
            snprintf(command, sizeof command, "exec setsid -w %s -s <%s/script", shells[s / 2], dir);
            setpgid(0, 0);
            setenv("HOME", dir, 1);
            dup2(ends[1], 1);
            close(ends[0]);
            close(ends[1]);
            execl("/bin/sh", "sh", "-c", command, (char *)NULL);
            _exit(99);
        }
        close(ends[1]);
        assert_true(wait_for(has_begun, dir));
        if (s % 2) kill(-pid, SIGKILL);
        close(ends[0]);
        assert_true(wait_for(has_ended, dir));
        assert_true(is_there(dir, "told")); /* it had its chance to tidy up */
        waitpid(pid, NULL, 0);
        snprintf(command, sizeof command, "rm -f %s/begun %s/told", dir, dir);
        assert_int_equal(system(command), 0);
    }
    snprintf(path, sizeof path, "rm -r %s", dir);
    assert_int_equal(system(path), 0);
}

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *text; /* NULL of said: not an answer */
        int status;
        const char *said;
    } table[] = {
        {"\nme:status=0\nme:said=\nme:end\n", 0, ""},
        {"noise\n...\nme:status=3\nme:said=x\x1b[2J\nme:end\n", 3, "x?[2J"},
        {"\nme:status=0\nme:said=a\n", 0, NULL},
        {"me:status=0", 0, NULL},
        {"", 0, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int status = -7;
        char said[64] = "untouched";
        int rc = me_install_parse(table[i].text, &status, said, sizeof said);
        assert_int_equal(rc, table[i].said ? 0 : -1);
        assert_int_equal(status, table[i].said ? table[i].status : -7);
        assert_string_equal(said, table[i].said ? table[i].said : "untouched");
    }
}

static void options_that_fit(void **state)
{
    (void)state;
    static const struct {
        const char *install;
        bool gpu, check;
        const char *said; /* "": fine */
    } table[] = {
        {NULL, false, false, ""},
        {"keras", false, false, ""},
        {"keras,pl,xgboost", true, false, ""},
        {NULL, true, false, "--gpu: only with --install-framework"},
        {"keras", false, true, "--install-framework: not together with --check"},
        {"kerass", false, false, "--install-framework: there is no kerass; did you mean keras?"},
        {"keras,native", false, false,
         "--install-framework: native comes with me_bench; those to install are keras"},
        {"", false, false, "a name is missing in the list"},
        {"keras,", false, false, "a name is missing in the list"},
        {"keras,,pl", false, false, "a name is missing in the list"},
        {"$(touch x)", false, false, "there is no $(touch x); there are keras"},
        {"keras ", false, false, "there is no keras"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_prepare_options options = {
            .install = table[i].install, .gpu = table[i].gpu, .check = table[i].check};
        struct me_error err = {0};
        int rc = me_install_check(&options, &err);
        assert_int_equal(rc, table[i].said[0] ? -1 : 0);
        if (rc && (!strstr(err.text, table[i].said) || err.code != ME_E_INPUT))
            fail_msg("row %zu: %s", i, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_to_its_end),        cmocka_unit_test(cannot_begin),
        cmocka_unit_test(ends_when_nobody_waits), cmocka_unit_test(answers),
        cmocka_unit_test(options_that_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
