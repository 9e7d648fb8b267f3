#include "me/remote.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../src/remote/ssh.h"
#include "me/clock.h"
#include "me_cmocka.h"

static void base64(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *text, *padded;
    } table[] = {{"", "", ""},
                 {"f", "Zg", "Zg=="},
                 {"fo", "Zm8", "Zm8="},
                 {"foo", "Zm9v", "Zm9v"},
                 {"foob", "Zm9vYg", "Zm9vYg=="}};
    char text[32];
    unsigned char bytes[32];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        me_base64_encode(table[i].plain, strlen(table[i].plain), false, text, sizeof text);
        assert_string_equal(text, table[i].text);
        me_base64_encode(table[i].plain, strlen(table[i].plain), true, text, sizeof text);
        assert_string_equal(text, table[i].padded);
        long len = me_base64_decode(table[i].padded, strlen(table[i].padded), bytes, sizeof bytes);
        assert_int_equal(len, strlen(table[i].plain));
        assert_memory_equal(bytes, table[i].plain, (size_t)len);
    }
    assert_int_equal(me_base64_decode("Zm 9\nv", 6, bytes, sizeof bytes), 3);
    assert_int_equal(me_base64_decode("Zm9*", 4, bytes, sizeof bytes), -1);
    assert_int_equal(me_base64_decode("Zm9v", 4, bytes, 2), -1);
}

static void wire_strings_stay_inside(void **state)
{
    (void)state;
    static const unsigned char bytes[] = {0, 0, 0, 2, 'a', 'b', 0xff, 0xff, 0xff, 0xff, 'x'};
    const unsigned char *at = bytes;
    size_t len = 0;
    assert_ptr_equal(me_wire_string(&at, bytes + sizeof bytes, &len), bytes + 4);
    assert_int_equal(len, 2);
    assert_null(me_wire_string(&at, bytes + sizeof bytes, &len));
    assert_null(me_wire_string(&at, at + 3, &len));
}

/* known_hosts lines against a host that shows key "ssh-ed25519 KEY" on a port. */
static void known_hosts(void **state)
{
    (void)state;
    enum { OK, UNKNOWN, CHANGED, REVOKED };
    static const struct {
        const char *lines;
        int port, verdict;
    } table[] = {
        {"", 22, UNKNOWN},
        {"h.x.org ssh-ed25519 KEY\n", 22, OK},
        {"H.X.ORG ssh-ed25519 KEY me@home\n", 22, OK},
        {"h.x.org ssh-ed25519 KEY", 2222, UNKNOWN},
        {"[h.x.org]:2222 ssh-ed25519 KEY\n", 2222, OK},
        {"[h.x.org]:2222 ssh-ed25519 KEY\n", 22, UNKNOWN},
        {"a,h.x.org,b ssh-ed25519 KEY\n", 22, OK},
        {"*.x.org,!h.x.org ssh-ed25519 KEY\n", 22, UNKNOWN},
        {"?.x.org ssh-ed25519 KEY\n", 22, OK},
        {"h.x.org ssh-ed25519 OTHER\n", 22, CHANGED},
        {"h.x.org ssh-rsa OTHER\n", 22, CHANGED},
        {"h.x.org ssh-rsa OTHER\nh.x.org ssh-ed25519 KEY\n", 22, OK},
        {"@revoked * ssh-ed25519 KEY\nh.x.org ssh-ed25519 KEY\n", 22, REVOKED},
        {"@revoked h.x.org ssh-ed25519 KEY\n[h.x.org]:2222 ssh-ed25519 KEY\n", 2222, REVOKED},
        {"@revoked h.x.org ssh-ed25519 OLD\nh.x.org ssh-ed25519 KEY\n", 22, OK},
        {"@cert-authority *.x.org ssh-ed25519 KEY\n", 22, UNKNOWN},
        {"# h.x.org ssh-ed25519 OTHER\n\nnonsense\nh.x.org ssh-ed25519 KEY\n", 22, OK},
        {"|1|bad|hash ssh-ed25519 KEY\n", 22, UNKNOWN},
    };
    static const char *const said[] = {"", "is not known", "changed", "revoked"};
    char path[] = "/tmp/me-test-known-XXXXXX", address[] = "h.x.org", name[] = "h";
    int fd = mkstemp(path);
    close(fd);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_machine machine = {.name = name, .address = address, .port = table[i].port};
        struct me_known known;
        struct me_error err = {0};
        FILE *file = fopen(path, "w");
        fputs(table[i].lines, file);
        fclose(file);
        assert_int_equal(me_known_load(&known, path, address, table[i].port, &err), 0);
        int rc = me_known_check(&known, &machine, "h", "ssh-ed25519 KEY", "SHA256:xyz", false, &err);
        if ((rc == 0) != (table[i].verdict == OK) || !strstr(err.text, said[table[i].verdict]))
            fail_msg("row %zu: %d %s", i, rc, err.text);
        me_known_release(&known);
    }
    unlink(path);
}

static void preferences_put_the_known_type_first(void **state)
{
    (void)state;
    char rsa_line[] = "h ssh-rsa KEY", revoked[] = "@revoked h ssh-rsa KEY", *lines[] = {rsa_line}, list[256];
    struct me_known known = {.lines = lines, .count = 1};
    me_known_preferences(&known, "ecdsa-sha2-nistp256 KEY", list, sizeof list);
    assert_string_equal(list,
                        "ssh-rsa,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521");
    lines[0] = revoked;
    me_known_preferences(&known, NULL, list, sizeof list);
    assert_string_equal(list,
                        "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-rsa");
    known.count = 0;
    me_known_preferences(&known, "ecdsa-sha2-nistp256 KEY", list, sizeof list);
    assert_string_equal(list,
                        "ecdsa-sha2-nistp256,ssh-ed25519,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-rsa");
}

static void local_exec_and_put(void **state)
{
    (void)state;
    const struct me_remote_ops *ops = &me_remote_local;
    struct me_remote_options options = {0};
    struct me_remote *remote = NULL;
    struct me_error err = {0};
    struct me_buffer in = ME_BUFFER_INIT, out = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    int status = -1;
    assert_int_equal(ops->connect(&remote, NULL, &options, &err), 0);
    for (int i = 0; i < 50000; i++) me_buffer_puts(&in, "0123456789"); /* more than any pipe holds */
    assert_int_equal(ops->exec(remote, "cat; echo oops >&2; exit 5", &in, 20, &out, &errout, &status, &err),
                     0);
    assert_int_equal(status, 5);
    assert_int_equal(out.len, in.len);
    assert_string_equal(errout.data, "oops\n");
    assert_int_equal(ops->exec(remote, "exec 0<&-; sleep 0.1; exit 3", &in, 20, NULL, NULL, &status, &err),
                     0);
    assert_int_equal(status, 3); /* it read nothing, and we live */
    int64_t begin = me_clock_mono_ns();
    assert_int_equal(ops->exec(remote, "sleep 30", NULL, 0.1, NULL, NULL, &status, &err), -1);
    assert_int_equal(err.code, ME_E_MACHINE);
    assert_true(me_clock_mono_ns() - begin < 20 * ME_NS_PER_S);

    char dir[] = "/tmp/me-test-remote-XXXXXX", target[64], missing[64];
    struct stat st;
    assert_non_null(mkdtemp(dir));
    snprintf(target, sizeof target, "%s/copy", dir);
    snprintf(missing, sizeof missing, "%s/no/copy", dir);
    assert_int_equal(ops->put(remote, "/proc/self/exe", target, 0750, &err), 0);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_int_equal(ops->put(remote, "/proc/self/exe", missing, 0750, &err), -1);
    assert_int_equal(err.code, ME_E_MACHINE);
    unlink(target);
    assert_int_equal(rmdir(dir), 0); /* nothing beside it */
    ops->close(remote);
    me_buffer_release(&in);
    me_buffer_release(&out);
    me_buffer_release(&errout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64),
        cmocka_unit_test(wire_strings_stay_inside),
        cmocka_unit_test(known_hosts),
        cmocka_unit_test(preferences_put_the_known_type_first),
        cmocka_unit_test(local_exec_and_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
