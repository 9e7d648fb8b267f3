#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h" /* wants the four above before it */

#include "me/cluster.h"
#include "me_cmocka.h"
#include <fcntl.h>
#include <math.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MACHINE "{\"machine_id\": 1, \"MACHINE_IP_ADDRESS\": \"192.0.2.1\""

static int parse(const char *text, struct me_cluster *out, struct me_error *err)
{
    return me_config_parse(text, strlen(text), "c.json", NULL, out, err);
}

static void parse_good(const char *text, struct me_cluster *out)
{
    struct me_error err;
    if (parse(text, out, &err)) fail_msg("%s: %s", text, err.text);
}

static void every_key(void **state)
{
    (void)state;
    struct me_cluster c;
    setenv("HOME", "/home/tester", 1);
    parse_good(
        "{\n"
        " \"machines\": [\n"
        "  {\"machine_id\": 12, \"MACHINE_IP_ADDRESS\": \"192.0.2.7\", \"MACHINE_PORT\": 2222,\n"
        "   \"MACHINE_USER\": \"lab.user\", \"MACHINE_PASSWORD\": \"p\\u00e4ss # // \\\" word\",\n"
        "   \"MACHINE_KEY_FILENAME\": \"~/.ssh/id\", \"name\": \"L\xc3\xb6we\", \"country\": \"deu\",\n"
        "   \"region\": \"aws:eu-central-1\", \"grid_gco2_per_kwh\": 380.5, \"pue\": 1.25,\n"
        "   \"host_key\": \"SHA256:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg\"},\n"
        "  {\"machine_id\": 3, \"MACHINE_IP_ADDRESS\": \"fe80::1%eth0\"}\n"
        " ], \"run_local\": true, \"run_docker\": false}\n",
        &c);
    assert_string_equal(c.source, "c.json");
    assert_true(c.run_local && !c.run_docker);
    assert_int_equal(c.count, 2);
    const struct me_machine *m = &c.machines[0];
    assert_int_equal(m->id, 12);
    assert_int_equal(m->line, 3);
    assert_string_equal(m->address, "192.0.2.7");
    assert_int_equal(m->port, 2222);
    assert_string_equal(m->user, "lab.user");
    assert_string_equal(m->password, "p\xc3\xa4ss # // \" word");
    assert_string_equal(m->key_filename, "/home/tester/.ssh/id");
    assert_string_equal(m->name, "L\xc3\xb6we");
    assert_string_equal(m->country, "DEU");
    assert_string_equal(m->region, "aws:eu-central-1");
    assert_true(m->grid_g_per_kwh == 380.5 && m->pue == 1.25);
    assert_string_equal(m->host_key, "SHA256:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg");
    m = &c.machines[1];
    assert_int_equal(m->line, 8);
    assert_int_equal(m->port, 22);
    assert_string_equal(m->name, "fe80::1%eth0");
    assert_string_equal(m->user, getpwuid(geteuid())->pw_name);
    assert_null(m->password);
    assert_null(m->key_filename);
    assert_null(m->country);
    assert_true(isnan(m->grid_g_per_kwh) && isnan(m->pue));
    me_cluster_release(&c);
}

static void machine_zero_is_local(void **state)
{
    (void)state;
    struct me_cluster c;
    parse_good(
        "{\"machines\": [{\"machine_id\": 0, \"country\": \"fr\", \"pue\": 1.5}], \"run_local\": true}", &c);
    assert_int_equal(c.count, 0);
    assert_int_equal(c.local.id, 0);
    assert_string_equal(c.local.country, "FR");
    assert_string_equal(c.local.name, "localhost");
    assert_true(c.local.pue == 1.5);
    me_cluster_release(&c);
    parse_good("{\"run_local\": true}", &c);
    assert_int_equal(c.count, 0);
    assert_string_equal(c.local.name, "localhost");
    assert_null(c.local.country);
    assert_true(isnan(c.local.pue));
    me_cluster_release(&c);
}

static void experiment(void **state)
{
    (void)state;
    struct me_cluster c;
    parse_good(
        "{\"run_local\": true, \"experiment\": {\"framework\": \"spin\", \"repeats\": 4, \"warmup\": "
        "\"2\", \"idle\": 1.5,"
        " \"sample_hz\": 12.5, \"timeout\": 60, \"sources\": \"powercap,model\","
        " \"with\": [\"data\", \"../b c\"], \"samples\": 600, \"region\": \"test\", \"python\": \"/v\","
        " \"command\": [\"/bin/echo\", \"\", \"two words\"]}}",
        &c);
    assert_string_equal(c.experiment.framework, "spin");
    assert_int_equal(c.experiment.repeats, 4);
    assert_int_equal(c.experiment.warmup, 2);
    assert_true(c.experiment.idle_s == 1.5 && c.experiment.cooldown_s == 0);
    assert_true(c.experiment.sample_hz == 12.5 && c.experiment.timeout_s == 60);
    assert_string_equal(c.experiment.sources, "powercap,model");
    assert_string_equal(c.experiment.command[0], "/bin/echo");
    assert_string_equal(c.experiment.command[1], "");
    assert_string_equal(c.experiment.command[2], "two words");
    assert_null(c.experiment.command[3]);
    assert_string_equal(c.experiment.with, "data\n../b c");
    assert_int_equal(c.experiment.samples, 600);
    assert_string_equal(c.experiment.region, "test");
    assert_string_equal(c.experiment.python, "/v");
    c.experiment.framework = "a literal"; /* the command line goes over it; release must not care */
    c.experiment.command = NULL;
    me_cluster_release(&c);
    parse_good("{\"run_local\": true}", &c);
    assert_string_equal(c.experiment.framework, "native");
    assert_true(c.experiment.repeats == 1 && c.experiment.sample_hz == 10 && !c.experiment.command);
    me_cluster_release(&c);
}

static void own_training(void **state)
{
    (void)state;
    struct me_cluster c;
    parse_good(
        "{\"run_local\": true, \"experiment\": {\"train_func\": \"a/train.py:main\", \"with\": \"data\","
        " \"args\": {\"epochs\": 3, \"name\": \"a b\"}}}",
        &c);
    assert_string_equal(c.experiment.train_func, "a/train.py:main");
    assert_string_equal(c.experiment.args, "{\"epochs\":3,\"name\":\"a b\"}");
    assert_string_equal(c.experiment.with, "data");
    me_cluster_release(&c);
    parse_good(
        "{\"run_local\": true, \"experiment\": {\"train_func\": \"train.py:main\", \"args\": \"[3]\"}}", &c);
    assert_string_equal(c.experiment.args, "[3]");
    me_cluster_release(&c);
    parse_good("{\"machines\": [" MACHINE ", \"python\": \"~/venvs/keras\"}]}", &c);
    assert_string_equal(c.machines[0].python, "~/venvs/keras");
    assert_null(c.local.python);
    me_cluster_release(&c);
}

static void liberties(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"machines\": [" MACHINE ", \"MACHINE_PORT\": \"2222\"}]}",
        "\xEF\xBB\xBF{\"run_local\": true}",
        "# first\n// second\n/* third\n * fourth **/ {\"run_local\": /**/ true}// last",
        "{\"run_local\": true, # \"run_local\": false, \" '\n \"machines\": []}\r\n",
        "{\"machines\": [" MACHINE ", \"MACHINE_PASSWORD\": \"\", \"MACHINE_KEY_FILENAME\": \"/k\"}]}",
        "{\"machines\": [" MACHINE
        ", \"MACHINE_PASSWORD\": null, \"pue\": null, \"MACHINE_KEY_FILENAME\": \"\"}]}",
        "{\"machines\": [" MACHINE ", \"host_key\": \"ssh-ed25519 "
        "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\"}]}",
        "{\"machines\": [" MACHINE ", \"MACHINE_USER\": \"ACME\\\\first last\"}]}",
        "{\"machines\": [" MACHINE ", \"name\": \"\\ud83d\\ude00\"}]}",
        "{\"machines\": [" MACHINE ", \"grid_gco2_per_kwh\": 0, \"pue\": 1}]}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct me_cluster c;
        parse_good(good[i], &c);
        me_cluster_release(&c);
    }
}

static void ports_as_text(void **state)
{
    (void)state;
    struct me_cluster c;
    parse_good("{\"machines\": [" MACHINE ", \"MACHINE_PORT\": \"2222\"}]}", &c);
    assert_int_equal(c.machines[0].port, 2222);
    assert_null(c.machines[0].password);
    me_cluster_release(&c);
}

/* Places and words; the long list of what is refused is tests/cli/bad_configs. */
static void messages(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } table[] = {
        {"{\n\"machines\": [\n{\"machine_id\": 1,\n\"MACHINE_IP_ADDRESS\": "
         "\"a\",\n\"MACHINE_PORT\":\n70000}]}",
         "c.json:5: machines[0].MACHINE_PORT: 70000 is not a port (1-65535)"},
        {"{\n/* one\n two */\n\"machine\": []}", "c.json:4: machine: unknown key; did you mean machines?"},
        {"{\"machines\": [{}]}", "c.json:1: machines[0]: no machine_id (1 to 9999; 0 is this machine)"},
        {"{\"machines\": [" MACHINE "},\n" MACHINE "}]}",
         "c.json:2: machines[1].machine_id: 1 is taken by machines[0] (line 1)"},
        {"[]", "c.json:1: a list where an object is needed: { \"key\": value, ... }"},
        {"{\"run_local\": 1}", "c.json:1: run_local: a number where true or false is needed"},
        {"{\"run_local\": true,\n\"run_local\": true}", "c.json:2: run_local: given twice, first in line 1"},
        {"{\"run_local\": true,\n}", "c.json:2: a comma before the closing }; take it out"},
        {"{\"machines\": [" MACHINE ", \"MACHINE_PASSWORD\": \"sec\"ret\"}]}",
         "c.json:1: other text where a , or the closing } is expected"},
        {"{\"machines\": [" MACHINE ", \"name\": \"a\\tb\"}]}",
         "c.json:1: machines[0].name: a?b: holds a control character"},
        {"{\"run_local\": true, \"experiment\":\n{\"repeats\": 0.5}}",
         "c.json:2: experiment.repeats: 0.5 is not a whole number from 1 to 1000000"},
        {"{\"run_local\": true, \"experiment\": {\"sample-hz\": 5}}",
         "c.json:1: experiment.sample-hz: unknown key; did you mean sample_hz?"},
        {"{\"run_local\": true, \"experiment\": {\"train_func\": \"a.py:f\", \"command\": [\"x\"]}}",
         "c.json:1: experiment.train_func: command is given too; keep one of them"},
        {"{\"run_local\": true, \"experiment\": {\"args\": []}}",
         "c.json:1: experiment.args: only with train_func, whose arguments they are"},
        {"{\"run_local\": true, \"experiment\": {\"train_func\": \"a.py:f\", \"args\": \"3\"}}",
         "c.json: experiment: --args: 3 is neither an object of keywords nor an array; write [3]"},
        {"{\"run_local\": true, \"experiment\": {\"train_func\": \"a.py:f\", \"args\": 3}}",
         "c.json:1: experiment.args: a number where text in double quotes is needed"},
        {"{\"run_local\": true, \"experiment\": {\"train_func\": \"a.py\"}}",
         "c.json: experiment: --train-func: a.py is not FILE.py:FUNCTION, such as train.py:main"},
        {"{\"run_local\": true, \"experiment\": {\"with\": [\"a\", 5]}}",
         "c.json:1: experiment.with: a number where text in double quotes is needed"},
        {"{\"run_local\": true, \"experiment\": {\"with\": [\"\"]}}",
         "c.json:1: experiment.with: empty; give it a value or leave it out"},
        {"{\"machines\": [" MACHINE ", \"python\": \"\"}]}",
         "c.json:1: machines[0].python: empty; give an interpreter or a virtual environment, or leave it "
         "out"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_cluster c;
        struct me_error err = {0};
        if (!parse(table[i].text, &c, &err)) fail_msg("accepted: %s", table[i].text);
        assert_string_equal(err.text, table[i].message);
        assert_int_equal(err.code, ME_E_INPUT);
    }
}

/* Whatever is wrong with a file, its password is not in the message. */
static void no_message_shows_a_password(void **state)
{
    (void)state;
    static const char good[] = "{\"machines\": [{\"machine_id\": 1, \"MACHINE_IP_ADDRESS\": \"192.0.2.1\", "
                               "\"MACHINE_PASSWORD\": \"Xq7\"}], \"run_local\": true}";
    static const char alphabet[] = "\"{}[]:,x1\\\n# ";
    for (size_t i = 0; i < sizeof good - 1; i++)
        for (size_t k = 0; k < sizeof alphabet - 1; k++) {
            char text[sizeof good];
            struct me_cluster c;
            struct me_error err = {0};
            memcpy(text, good, sizeof good);
            text[i] = alphabet[k];
            if (!parse(text, &c, &err))
                me_cluster_release(&c);
            else if (strstr(err.text, "Xq7"))
                fail_msg("%s: %s", text, err.text);
        }
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    static const char good[] =
        "{\"machines\": [" MACHINE ", \"pue\": 1.5, \"name\": \"\\u00e4\"}], \"run_local\": true}";
    for (size_t len = 0; len < sizeof good - 1; len++) {
        struct me_cluster c;
        struct me_error err = {0};
        char *cut = malloc(len ? len : 1); /* of the exact size: the sanitizer sees a read behind it */
        memcpy(cut, good, len);
        assert_int_equal(me_config_parse(cut, len, "c.json", NULL, &c, &err), -1);
        assert_memory_equal(err.text, "c.json:1: ", 10);
        free(cut);
    }
}

static void password_from_the_environment(void **state)
{
    (void)state;
    static const char text[] = "{\"machines\": [" MACHINE ", \"MACHINE_PASSWORD_ENV\": \"ME_TEST_PW\"}]}";
    struct me_cluster c;
    struct me_error err;
    unsetenv("ME_TEST_PW");
    assert_int_equal(parse(text, &c, &err), -1);
    assert_string_equal(err.text,
                        "c.json:1: machines[0].MACHINE_PASSWORD_ENV: the variable ME_TEST_PW is not set");
    struct me_config_options no_secrets = {.no_secrets = true};
    assert_int_equal(me_config_parse(text, strlen(text), "c.json", &no_secrets, &c, &err), 0);
    assert_null(c.machines[0].password);
    assert_string_equal(c.machines[0].password_env, "ME_TEST_PW");
    me_cluster_release(&c);
    setenv("ME_TEST_PW", "pw", 1);
    parse_good(text, &c);
    assert_string_equal(c.machines[0].password, "pw");
    me_cluster_release(&c);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void an_open_password_is_refused(void **state)
{
    (void)state;
    static const char secret[] = "{\"machines\": [" MACHINE ", \"MACHINE_PASSWORD\": \"pw\"}]}";
    static const char harmless[] = "{\"machines\": [" MACHINE "}]}";
    struct me_config_options insist = {.insecure_config = true};
    struct me_cluster c;
    struct me_error err = {0};
    char dir[] = "/tmp/me-test-config-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/c.json", dir);
    write_file(path, secret, 0640);
    assert_int_equal(me_config_read(path, NULL, &c, &err), -1);
    assert_non_null(strstr(err.text, "others can read it (mode 0640); chmod 600 "));
    assert_int_equal(err.code, ME_E_INPUT);
    assert_int_equal(me_config_read(path, &insist, &c, &err), 0);
    me_cluster_release(&c);
    write_file(path, secret, 0600);
    assert_int_equal(me_config_read(path, NULL, &c, &err), 0);
    assert_string_equal(c.source, path);
    me_cluster_release(&c);
    write_file(path, harmless, 0644);
    assert_int_equal(me_config_read(path, NULL, &c, &err), 0);
    me_cluster_release(&c);
    unlink(path);
    rmdir(dir);
    assert_int_equal(me_config_read(secret, NULL, &c, &err), -1);
    assert_non_null(strstr(err.text, "others can read a command line"));
    assert_int_equal(me_config_read(harmless, NULL, &c, &err), 0);
    assert_string_equal(c.source, "(text)");
    me_cluster_release(&c);
}

/* A password as it must not lie in memory, so not in this file either: each byte is one higher. */
static const char shifted[] = "Tfdsfu.Yr8.qbttxpse.uibu.jt.mpohfs.uibo.b.gsff.difdl";
enum { SECRET = sizeof shifted - 1, FREED = 16 /* free() writes over that much itself */ };

static bool has_secret(const char *bytes, size_t len)
{
    for (size_t i = 0; i + SECRET <= len; i++) {
        size_t k = FREED;
        while (k < SECRET && bytes[i + k] + 1 == shifted[k]) k++;
        if (k == SECRET) return true;
    }
    return false;
}

static bool range_has_secret(int memory, unsigned long from, unsigned long to)
{
    static char chunk[1 << 16];
    bool found = false;
    for (; !found && from < to; from += sizeof chunk - SECRET) {
        size_t want = to - from < sizeof chunk ? to - from : sizeof chunk;
        ssize_t n = pread(memory, chunk, want, (off_t)from);
        found = n > 0 && has_secret(chunk, (size_t)n);
        explicit_bzero(chunk, sizeof chunk);
    }
    return found;
}

/* Looks through all that this process can write: heap, stack, globals, freed or not. */
static bool memory_has_secret(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY);
    char line[512];
    bool found = false;
    assert_non_null(maps);
    assert_true(memory >= 0);
    while (!found && fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || strncmp(rights, "rw", 2)) continue;
        if (to - from < 1ul << 30)
            found = range_has_secret(memory, from, to); /* larger: a sanitizer's tables */
    }
    close(memory);
    fclose(maps);
    return found;
}

/* A config with the secret as its password; `tail` stands behind it. Written without stdio, whose
 * buffers would keep it. */
static void write_secret(const char *path, const char *tail)
{
    static const char head[] = "{\"machines\": [" MACHINE ", \"MACHINE_PASSWORD\": \"";
    char secret[SECRET];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (size_t i = 0; i < SECRET; i++) secret[i] = (char)(shifted[i] - 1);
    assert_true(write(fd, head, sizeof head - 1) > 0);
    assert_true(write(fd, secret, SECRET) == SECRET);
    assert_true(write(fd, tail, strlen(tail)) > 0);
    close(fd);
    explicit_bzero(secret, sizeof secret);
}

static void passwords_are_wiped(void **state)
{
    (void)state;
    static const struct {
        const char *tail;
        int rc;
    } table[] = {{"\"}]}", 0},
                 {"\", \"pue\": 0}]}", -1},
                 {"\"}]", -1},
                 {"\", \"MACHINE_PASSWORD\": \"\"}]}", -1},
                 {"", -1}};
    char dir[] = "/tmp/me-test-config-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/c.json", dir);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_cluster c;
        write_secret(path, *table[i].tail ? table[i].tail : "\n");
        assert_int_equal(me_config_read(path, NULL, &c, NULL), table[i].rc);
        if (table[i].rc == 0) {
            assert_true(memory_has_secret()); /* the search works */
            me_cluster_release(&c);
        }
        assert_false(memory_has_secret());
    }
    unlink(path);
    rmdir(dir);
}

static void bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *config, *message;
    } table[] = {
        {"", "CONFIG is empty; give a file, - or JSON text"},
        {"/tmp", "/tmp: is a directory; give a file, - or JSON text"},
        {"/nonexistent/c.json", "/nonexistent/c.json: No such file or directory"},
        {"/dev/null", "/dev/null:1: empty: no JSON text in it"},
        {"/dev/zero", "/dev/zero: larger than 16 MiB; this is not a config"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_cluster c;
        struct me_error err = {0};
        assert_int_equal(me_config_read(table[i].config, NULL, &c, &err), -1);
        assert_string_equal(err.text, table[i].message);
        assert_int_equal(err.code, ME_E_INPUT);
    }
}

static void many_machines(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fputs("{\"machines\": [", out);
    for (int i = 1; i <= 9999; i++)
        fprintf(out, "%s\n{\"machine_id\": %d, \"MACHINE_IP_ADDRESS\": \"h%d\"}", i > 1 ? "," : "", i, i);
    fputs("]}", out);
    fclose(out);
    struct me_cluster c;
    parse_good(text, &c);
    assert_int_equal(c.count, 9999);
    assert_int_equal(c.machines[9998].line, 10000);
    me_cluster_release(&c);
    free(text);
}

static void containers(void **state)
{
    (void)state;
    struct me_cluster c;
    struct me_error err = {0};
    const char text[] = "{\"run_docker\": true, \"docker_image\": \"r.x.org:5000/lab/me:1\",\n"
                        "\"docker_options\": [\"--gpus\", \"all\"], \"machines\": [\n"
                        "{\"machine_id\": 1, \"MACHINE_IP_ADDRESS\": \"192.0.2.1\"},\n"
                        "{\"machine_id\": 2, \"MACHINE_IP_ADDRESS\": \"192.0.2.2\",\n"
                        "\"docker_image\": \"me@sha256:00ff\"}]}";
    if (me_config_parse(text, strlen(text), "t.json", NULL, &c, &err)) fail_msg("%s", err.text);
    assert_true(c.run_docker && !c.run_local);
    assert_string_equal(c.docker_image, "r.x.org:5000/lab/me:1");
    assert_string_equal(c.docker_options, "--gpus\nall");
    assert_null(c.machines[0].docker_image);
    assert_string_equal(c.machines[1].docker_image, "me@sha256:00ff");
    me_cluster_release(&c);
}

static void examples_load(void **state)
{
    (void)state;
    static const char *const files[] = {"three-machines", "cloud-regions", "own-command", "docker"};
    static const size_t counts[] = {3, 4, 2, 2};
    setenv("ME_PASSWORD_1", "pw", 1);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        struct me_cluster c;
        struct me_error err;
        snprintf(path, sizeof path, "%s/../hostfiles/%s.json", ME_TEST_DIR, files[i]);
        if (me_config_read(path, NULL, &c, &err)) fail_msg("%s", err.text);
        assert_int_equal(c.count, counts[i]);
        me_cluster_release(&c);
    }
    me_cluster_release(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key),
        cmocka_unit_test(machine_zero_is_local),
        cmocka_unit_test(experiment),
        cmocka_unit_test(own_training),
        cmocka_unit_test(liberties),
        cmocka_unit_test(ports_as_text),
        cmocka_unit_test(messages),
        cmocka_unit_test(no_message_shows_a_password),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(password_from_the_environment),
        cmocka_unit_test(an_open_password_is_refused),
        cmocka_unit_test(passwords_are_wiped),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(many_machines),
        cmocka_unit_test(containers),
        cmocka_unit_test(examples_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
