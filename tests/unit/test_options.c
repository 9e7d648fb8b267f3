#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h" /* wants the four above before it */

#include "me/options.h"
#include "me/plan.h"
#include "me_cmocka.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct target {
    bool force;
    const char *output;
    int repeats;
    double hz;
    char with[24];
};

static const struct me_option rows[] = {
    {"force", 'f', ME_OPTION_FLAG, offsetof(struct target, force), 0, 0, NULL, "insist"},
    {"output", 'o', ME_OPTION_STRING, offsetof(struct target, output), 0, 0, "FILE",
     "where to (default gen.hosts)"},
    {"repeats", 0, ME_OPTION_INT, offsetof(struct target, repeats), 1, 100, "N", "how often (default 1)"},
    {"sample-hz", 0, ME_OPTION_DOUBLE, offsetof(struct target, hz), 1, 1000, "HZ",
     "a help text that is too long for one line of a terminal and has to be wrapped at a blank (default 10)"},
    {"with", 'w', ME_OPTION_LIST, offsetof(struct target, with), 0, sizeof((struct target *)0)->with, "FILE",
     "files (default: none)"},
    {.name = NULL},
};
static const struct me_command bench = {
    "me_bench", "EXPERIMENT [-- COMMAND]", "Measures.", "Examples:\n  me_bench x\n", rows, 1, 2, true};
static const struct me_command plain = {"me report", "EXPERIMENT", "Reports.", NULL, rows, 1, 1, false};

/* Words of one line, split at blanks. Room for the terminating NULL. */
struct line {
    char text[256];
    char *argv[20];
    int argc;
};

static void split(struct line *line, const char *text)
{
    snprintf(line->text, sizeof line->text, "%s", text);
    line->argc = 0;
    for (char *word = strtok(line->text, " "); word; word = strtok(NULL, " "))
        line->argv[line->argc++] = word;
    line->argv[line->argc] = NULL;
}

static void accepts(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool force;
        const char *output;
        int repeats;
        double hz;
        int operands;
        const char *first, *command;
    } table[] = {
        {"me_bench exp1", false, "gen", 1, 10, 1, "exp1", NULL},
        {"me_bench exp1 --force", true, "gen", 1, 10, 1, "exp1", NULL},
        {"me_bench --repeats 3 exp1", false, "gen", 3, 10, 1, "exp1", NULL},
        {"me_bench --repeats=100 exp1 --sample-hz=12.5", false, "gen", 100, 12.5, 1, "exp1", NULL},
        {"me_bench -o x exp1 -f", true, "x", 1, 10, 1, "exp1", NULL},
        {"me_bench -fox exp1", true, "x", 1, 10, 1, "exp1", NULL},
        {"me_bench --output=a=b exp1", false, "a=b", 1, 10, 1, "exp1", NULL},
        {"me_bench exp1 -- --repeats 0 --nonsense", false, "gen", 1, 10, 1, "exp1", "--repeats"},
        {"me_bench exp1 other -f -- cmd", true, "gen", 1, 10, 2, "exp1", "cmd"},
        {"me_bench - --repeats 2 --repeats 4", false, "gen", 4, 10, 1, "-", NULL},
        {"me_bench exp1 -- a -- b", false, "gen", 1, 10, 1, "exp1", "a"},
        {"me_bench --sample-hz 1e2 exp1", false, "gen", 1, 100, 1, "exp1", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct line line;
        split(&line, table[i].line);
        for (int pass = 0; pass < 2; pass++) { /* the second time over what the first has reordered */
            struct target t = {.output = "gen", .repeats = 1, .hz = 10};
            struct me_operands operands;
            struct me_error err = {0};
            if (me_options_parse(&bench, line.argc, line.argv, &t, &operands, &err))
                fail_msg("%s: %s", table[i].line, err.text);
            assert_int_equal(t.force, table[i].force);
            assert_string_equal(t.output, table[i].output);
            assert_int_equal(t.repeats, table[i].repeats);
            assert_true(t.hz == table[i].hz);
            assert_int_equal(operands.count, table[i].operands);
            assert_string_equal(operands.values[0], table[i].first);
            assert_int_equal(operands.command != NULL, table[i].command != NULL);
            if (table[i].command) assert_string_equal(operands.command[0], table[i].command);
        }
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } table[] = {
        {"me_bench exp1 --repeat 3", "unknown option --repeat; did you mean --repeats?"},
        {"me_bench exp1 --repaets=3", "unknown option --repaets; did you mean --repeats?"},
        {"me_bench exp1 --sample_hz 3", "unknown option --sample_hz; did you mean --sample-hz?"},
        {"me_bench exp1 --xyzzy", "unknown option --xyzzy; see me_bench --help"},
        {"me_bench exp1 -x", "unknown option -x; see me_bench --help"},
        {"me_bench exp1 -fx", "unknown option -x; see me_bench --help"},
        {"me_bench exp1 -output a", "unknown option -output; did you mean --output?"},
        {"me_bench exp1 --repeats 0", "--repeats: 0 is not a whole number from 1 to 100"},
        {"me_bench exp1 --repeats 101", "--repeats: 101 is not a whole number from 1 to 100"},
        {"me_bench exp1 --repeats -3", "--repeats: -3 is not a whole number from 1 to 100"},
        {"me_bench exp1 --repeats 3.0", "--repeats: 3.0 is not a whole number from 1 to 100"},
        {"me_bench exp1 --repeats 99999999999999999999", "is not a whole number from 1 to 100"},
        {"me_bench exp1 --repeats=", "--repeats: '' is not a whole number from 1 to 100"},
        {"me_bench exp1 --sample-hz nan", "--sample-hz: nan is not a number from 1 to 1000"},
        {"me_bench exp1 --sample-hz inf", "--sample-hz: inf is not a number from 1 to 1000"},
        {"me_bench exp1 --sample-hz 0x10", "--sample-hz: 0x10 is not a number from 1 to 1000"},
        {"me_bench exp1 --sample-hz 1000.5", "--sample-hz: 1000.5 is not a number from 1 to 1000"},
        {"me_bench exp1 --sample-hz 5Hz", "--sample-hz: 5Hz is not a number from 1 to 1000"},
        {"me_bench exp1 --repeats", "--repeats needs a value: --repeats N"},
        {"me_bench exp1 --repeats --force", "--repeats needs a value: --repeats N"},
        {"me_bench exp1 --repeats -- a", "--repeats needs a value: --repeats N"},
        {"me_bench exp1 -o", "-o needs a value: -o FILE"},
        {"me_bench exp1 --output=", "--output: empty; give it a value or leave it out"},
        {"me_bench exp1 --force=yes", "--force takes no value"},
        {"me_bench exp1 --help=yes", "--help stands alone, without a value"},
        {"me_bench", "too few operands; usage: me_bench EXPERIMENT [-- COMMAND]"},
        {"me_bench -- true", "too few operands; usage: me_bench"},
        {"me_bench a b c", "unexpected operand c; your own command goes behind --; usage: me_bench"},
        {"me_bench a b {\"MACHINE_PASSWORD\":\"secret\"}", "unexpected operand (text); your own"},
        {"me_bench a --", "no command behind --; usage: me_bench"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct line line;
        struct me_operands operands;
        struct target t = {.repeats = 1, .hz = 10};
        struct me_error err = {0};
        split(&line, table[i].line);
        if (!me_options_parse(&bench, line.argc, line.argv, &t, &operands, &err))
            fail_msg("accepted: %s", table[i].line);
        if (!strstr(err.text, table[i].message)) fail_msg("%s: %s", table[i].line, err.text);
        assert_int_equal(err.code, ME_E_INPUT);
    }
}

static void dashes_end_the_options_of_a_command_without_command(void **state)
{
    (void)state;
    struct line line;
    struct me_operands operands;
    struct target t = {0};
    struct me_error err;
    split(&line, "report -f -- --odd-name");
    assert_int_equal(me_options_parse(&plain, line.argc, line.argv, &t, &operands, &err), 0);
    assert_int_equal(operands.count, 1);
    assert_string_equal(operands.values[0], "--odd-name");
    assert_null(operands.command);
    split(&line, "report a -- b");
    assert_int_equal(me_options_parse(&plain, line.argc, line.argv, &t, &operands, &err), -1);
    assert_non_null(strstr(err.text, "unexpected operand b"));
}

static void help_and_version_win(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool help, version;
    } table[] = {
        {"me_bench --help", true, false},
        {"me_bench -h", true, false},
        {"me_bench --nonsense --help", true, false},
        {"me_bench --version a b c d", false, true},
        {"me_bench -V", false, true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct line line;
        struct me_operands operands;
        struct target t = {0};
        split(&line, table[i].line);
        assert_int_equal(me_options_parse(&bench, line.argc, line.argv, &t, &operands, NULL), 0);
        assert_int_equal(operands.help, table[i].help);
        assert_int_equal(operands.version, table[i].version);
    }
    struct line line; /* behind "--" it is the command's */
    struct me_operands operands;
    struct target t = {0};
    split(&line, "me_bench x -- cmd --help");
    assert_int_equal(me_options_parse(&bench, line.argc, line.argv, &t, &operands, NULL), 0);
    assert_false(operands.help);
}

static void a_bad_line_leaves_the_operands(void **state)
{
    (void)state;
    struct line line;
    struct me_operands operands = {.count = 77};
    struct target t = {0};
    split(&line, "me_bench --nonsense");
    assert_int_equal(me_options_parse(&bench, line.argc, line.argv, &t, &operands, NULL), -1);
    assert_int_equal(operands.count, 77);
}

static void help_text(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    me_options_help(&bench, out);
    fclose(out);
    static const char begin[] = "Usage: me_bench EXPERIMENT [-- COMMAND]\nMeasures.\n\nOptions:\n"
                                "  -f, --force              insist\n"
                                "  -o, --output=FILE        where to (default gen.hosts)\n"
                                "      --repeats=N          how often (default 1)\n";
    assert_memory_equal(text, begin, strlen(begin));
    assert_non_null(strstr(text, "  -h, --help               print this text and exit\n"));
    assert_non_null(strstr(text, "\n\nExamples:\n  me_bench x\n"));
    for (char *l = strtok(text, "\n"); l; l = strtok(NULL, "\n"))
        if (strlen(l) > 79) fail_msg("too wide: %s", l);
    free(text);
}

static void sets_from_config(void **state)
{
    (void)state;
    struct target t = {.repeats = 1};
    struct me_error err = {0};
    assert_int_equal(me_options_set(rows, "repeats", "7", &t, "c.json:3: experiment.repeats", &err), 0);
    assert_int_equal(t.repeats, 7);
    assert_int_equal(me_options_set(rows, "force", "true", &t, "w", &err), 0);
    assert_true(t.force);
    assert_int_equal(me_options_set(rows, "force", "false", &t, "w", &err), 0);
    assert_false(t.force);
    assert_int_equal(me_options_set(rows, "force", "1", &t, "w", &err), -1);
    assert_string_equal(err.text, "w: 1 is neither true nor false");
    assert_int_equal(me_options_set(rows, "repeats", "0", &t, "c.json:3: experiment.repeats", &err), -1);
    assert_string_equal(err.text, "c.json:3: experiment.repeats: 0 is not a whole number from 1 to 100");
    assert_int_equal(me_options_set(rows, "absent", "0", &t, "w", &err), -1);
    assert_string_equal(err.text, "w: there is no option absent");
    assert_int_equal(t.repeats, 7);
}

static void lists(void **state)
{
    (void)state;
    static const struct {
        const char *line, *before, *with, *message;
    } table[] = {
        {"me_bench exp1", "of the config", "of the config", NULL},
        {"me_bench exp1 --with a", "of the config", "a", NULL},
        {"me_bench --with a exp1 --with=b/c -w d -we", "", "a\nb/c\nd\ne", NULL},
        {"me_bench exp1 --with a -- --with b", "", "a", NULL},
        {"me_bench exp1 --with 12345678901 --with 12345678901", "", "12345678901\n12345678901", NULL},
        {"me_bench exp1 --with 12345678901 --with 123456789012", "", NULL,
         "--with: all together longer than 23 characters"},
        {"me_bench exp1 --with=", "", NULL, "--with: empty; give it a value or leave it out"},
        {"me_bench exp1 --with", "", NULL, "--with needs a value: --with FILE"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct line line;
        struct me_operands operands;
        struct me_error err = {0};
        split(&line, table[i].line);
        for (int pass = 0; pass < 2; pass++) {
            struct target t = {.repeats = 1, .hz = 10};
            strcpy(t.with, table[i].before);
            int rc = me_options_parse(&bench, line.argc, line.argv, &t, &operands, &err);
            assert_int_equal(rc, table[i].with ? 0 : -1);
            if (table[i].with) assert_string_equal(t.with, table[i].with);
            if (!table[i].with) assert_non_null(strstr(err.text, table[i].message));
        }
    }
    struct target t = {.repeats = 1};
    struct me_error err = {0};
    assert_int_equal(me_options_set(rows, "with", "a", &t, "w", &err), 0);
    assert_int_equal(me_options_set(rows, "with", "b", &t, "w", &err), 0);
    assert_string_equal(t.with, "a\nb");
    assert_int_equal(me_options_set(rows, "with", "c\nd", &t, "w", &err), -1);
    assert_string_equal(t.with, "a\nb");
}

static void experiment_checks(void **state)
{
    (void)state;
    static char long_args[5000];
    memset(long_args, ' ', sizeof long_args - 1);
    const struct {
        struct me_options_experiment e;
        const char *message;
    } table[] = {
        {{.train_func = "train.py:main"}, NULL},
        {{.train_func = "a/b-c.py:main_2", .args = "{}", .region = "a/b.c-d_9"}, NULL},
        {{.region = "whole"}, NULL},
        {{.train_func = "train.py"}, "--train-func: train.py is not FILE.py:FUNCTION"},
        {{.train_func = "train:main"}, "is not FILE.py:FUNCTION"},
        {{.train_func = ".py:main"}, "is not FILE.py:FUNCTION"},
        {{.train_func = "a/.py:main"}, "is not FILE.py:FUNCTION"},
        {{.train_func = "a.py:"}, "is not FILE.py:FUNCTION"},
        {{.train_func = "a.py:2a"}, "is not FILE.py:FUNCTION"},
        {{.train_func = "a.py:a.b"}, "is not FILE.py:FUNCTION"},
        {{.train_func = "a.py:f()"}, "is not FILE.py:FUNCTION"},
        {{.region = "two words"}, "--region: two words is no region's name"},
        {{.region = "train,test"}, "is no region's name"},
        {{.region = "123456789012345678901234567890123456789012345678"}, "--region: longer than 47"},
        {{.args = long_args}, "--args: longer than 4095"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_error err = {.text = ""};
        int rc = me_experiment_check(&table[i].e, &err);
        if (!rc != !table[i].message) fail_msg("%zu: %s", i, err.text);
        if (table[i].message && !strstr(err.text, table[i].message)) fail_msg("%zu: %s", i, err.text);
        if (rc) assert_int_equal(err.code, ME_E_INPUT);
    }
}

static void one_choice_a_line(void **state)
{
    (void)state;
    char *command[] = {(char *)"x", NULL};
    const struct {
        struct me_options_experiment e;
        const char *message;
    } table[] = {
        {{.framework = "keras"}, NULL},
        {{.train_func = "a.py:f"}, NULL},
        {{.command = command}, NULL},
        {{.args = "{}"}, NULL},
        {{.framework = "keras", .command = command}, "--framework: not together with a command behind --"},
        {{.train_func = "a.py:f", .command = command}, "--train-func: not together with a command"},
        {{.python = "venv", .command = command}, "--python: not for a command behind --"},
        {{.train_func = "a.py:f", .framework = "keras"}, "--train-func: not together with --framework"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_error err = {.text = ""};
        int rc = me_experiment_check_choice(&table[i].e, &err);
        if (!rc != !table[i].message || !strstr(err.text, table[i].message ? table[i].message : ""))
            fail_msg("%zu: %s", i, err.text);
    }
}

static void nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"MACHINE_IP_ADDRESS",
                                        "MACHINE_PASSWORD_ENV",
                                        "MACHINE_PASSWORD",
                                        "MACHINE_PORT",
                                        "MACHINE_USER",
                                        "machine_id",
                                        "pue",
                                        "country",
                                        NULL};
    static const struct {
        const char *word, *nearest;
    } table[] = {
        {"MACHINE_PROT", "MACHINE_PORT"},
        {"machine_port", "MACHINE_PORT"},
        {"user", "MACHINE_USER"},
        {"password", "MACHINE_PASSWORD"},
        {"MACHINE_IP", "MACHINE_IP_ADDRESS"},
        {"machineid", "machine_id"},
        {"pe", "pue"},
        {"contry", "country"},
        {"colour", NULL},
        {"x", NULL},
        {"", NULL},
        {"zzzzzzzzzzzzzzzz", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *found = me_nearest(table[i].word, names);
        if (!table[i].nearest)
            assert_null(found);
        else
            assert_string_equal(found ? found : "(none)", table[i].nearest);
    }
    char longest[300];
    memset(longest, 'p', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(me_nearest(longest, names));
}

static void numbers(void **state)
{
    (void)state;
    static const char *const bad_int[] = {
        "", "-", "+1", " 1", "1 ", "1.", "0x1", "1e1", "9223372036854775808", "--1", "1_0"};
    static const char *const bad_double[] = {"",    "-",     ".",   "+1",  " 1",    "1 ",    "1e",
                                             "1e+", "0x1p3", "inf", "nan", "1e999", "1.2.3", "1,5"};
    long i = 42;
    double d = 42;
    for (size_t n = 0; n < sizeof bad_int / sizeof *bad_int; n++)
        if (!me_parse_int(bad_int[n], INT64_MIN, INT64_MAX, &i)) fail_msg("int: '%s'", bad_int[n]);
    for (size_t n = 0; n < sizeof bad_double / sizeof *bad_double; n++)
        if (!me_parse_double(bad_double[n], -1e300, 1e300, &d)) fail_msg("double: '%s'", bad_double[n]);
    assert_int_equal(i, 42);
    assert_true(d == 42);
    assert_int_equal(me_parse_int("-5", -5, 5, &i), 0);
    assert_int_equal(i, -5);
    assert_int_equal(me_parse_int("6", -5, 5, &i), -1);
    assert_int_equal(me_parse_double("1.5e-1", 0, 1, &d), 0);
    assert_true(d == 0.15);
    assert_int_equal(me_parse_double(".5", 0, 1, &d), 0);
    assert_int_equal(me_parse_double("5.", 0, 5, &d), 0);
    assert_int_equal(me_parse_double("-0.1", 0, 5, &d), -1);
}

/* Each default that a help text names is the one that is set. */
static void experiment_defaults(void **state)
{
    (void)state;
    struct me_options_experiment e;
    me_experiment_defaults(&e);
    assert_string_equal(e.framework, "native");
    assert_int_equal(e.repeats, 1);
    assert_true(e.sample_hz == 10 && e.idle_s == 0 && e.cooldown_s == 0 && e.timeout_s == 0 && e.warmup == 0);
    assert_null(e.sources);
    assert_null(e.command);
    size_t n = 0;
    for (const struct me_option *o = me_experiment_options; o->name; o++, n++) {
        assert_non_null(strstr(o->help, "(default"));
        assert_non_null(o->argument);
    }
    assert_int_equal(n, 16);
    assert_true(e.samples == 0 && !e.train_func && !e.args && !e.python && !e.with[0] && !e.region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
        cmocka_unit_test(dashes_end_the_options_of_a_command_without_command),
        cmocka_unit_test(help_and_version_win),
        cmocka_unit_test(a_bad_line_leaves_the_operands),
        cmocka_unit_test(help_text),
        cmocka_unit_test(sets_from_config),
        cmocka_unit_test(lists),
        cmocka_unit_test(experiment_checks),
        cmocka_unit_test(one_choice_a_line),
        cmocka_unit_test(nearest),
        cmocka_unit_test(numbers),
        cmocka_unit_test(experiment_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
