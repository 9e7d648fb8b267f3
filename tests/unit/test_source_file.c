/* Small files that stay open, lines of texts, and what is there below a root. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "../../src/source/file.h"
#include "me/root.h"
#include "me_cmocka.h"
#include "tree.h"

static int put(const char *text)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    fputs(text, file);
    fflush(file);
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int count_error, number_error;
        uint64_t count;
        long long number;
    } cases[] = {
        {"0\n", 0, 0, 0, 0},
        {"262143328850", 0, 0, 262143328850, 262143328850},
        {"-12500\n", EINVAL, 0, 7, -12500},
        {"18446744073709551615\n", 0, ERANGE, UINT64_MAX, 7},
        {"18446744073709551616\n", ERANGE, ERANGE, 7, 7},
        {"9999999999999999999999999999999999999999\n", ERANGE, ERANGE, 7, 7},
        {"", ENODATA, ENODATA, 7, 7},
        {"\n", ENODATA, ENODATA, 7, 7},
        {"-\n", EINVAL, EINVAL, 7, 7},
        {"+1\n", EINVAL, EINVAL, 7, 7},
        {"1 \n", EINVAL, EINVAL, 7, 7},
        {"1\n\n", EINVAL, EINVAL, 7, 7},
        {" 1\n", EINVAL, EINVAL, 7, 7},
        {"1 2\n", EINVAL, EINVAL, 7, 7},
        {"0x10\n", EINVAL, EINVAL, 7, 7},
        {"1.5\n", EINVAL, EINVAL, 7, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = put(cases[i].text);
        uint64_t count = 7;
        long long number = 7;
        for (int again = 0; again < 2; again++) { /* from the beginning, each time */
            assert_int_equal(me_file_count(fd, &count), cases[i].count_error);
            assert_int_equal(me_file_number(fd, &number), cases[i].number_error);
            assert_true(count == cases[i].count && number == cases[i].number);
        }
        close(fd);
    }
}

static void test_text(void **state)
{
    (void)state;
    char text[8];
    int fd = put("Full\n");
    assert_int_equal(me_file_text(fd, text, sizeof text), 0);
    assert_string_equal(text, "Full");
    assert_int_equal(me_file_text(fd, text, 3), 0);
    assert_string_equal(text, "Fu");
    close(fd);
    assert_int_equal(me_file_text(-1, text, sizeof text), ENOENT);
    fd = open("/", O_RDONLY | O_DIRECTORY);
    assert_int_equal(me_file_text(fd, text, sizeof text), EISDIR);
    close(fd);
}

static void test_line(void **state)
{
    (void)state;
    static const char text[] = "gpu_id 5\nunique_id 77\nid 9";
    assert_string_equal(me_file_line(text, "id "), "9");
    assert_string_equal(me_file_line(text, "gpu_id "), "5\nunique_id 77\nid 9");
    assert_null(me_file_line(text, "d "));
    assert_null(me_file_line("", "id "));
}

static void test_exists(void **state)
{
    (void)state;
    char dir[128], path[192];
    struct me_root root;
    tree_make(dir, sizeof dir);
    tree_put(dir, "proc/one", "");
    snprintf(path, sizeof path, "%s/proc/nowhere", dir);
    assert_int_equal(symlink("not-there", path), 0);
    assert_int_equal(me_root_open(&root, dir, NULL), 0);
    assert_true(me_root_exists(&root, "proc/one"));
    assert_true(me_root_exists(&root, "proc"));
    assert_false(me_root_exists(&root, "proc/two"));
    assert_false(me_root_exists(&root, "proc/one/below"));
    assert_false(me_root_exists(&root, "proc/nowhere"));
    me_root_close(&root);
    tree_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_exists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
