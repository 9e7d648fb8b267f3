/* The file that a workload prints into, on a file system that has holes, and as if on one that has none. */
#include "../../src/workload/output.h"
#include "me/workload.h"
#include "me_cmocka.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1 << 20, HALF = ME_CHILD_OUTPUT_MAX / 2, LINE = 16 };

struct place {
    char path[64];
    int fd; /* the workload's */
    long lines;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    if (!place) return -1;
    snprintf(place->path, sizeof place->path, "/dev/shm/me-output-XXXXXX"); /* memory, which has holes */
    int fd = mkstemp(place->path);
    place->fd = open(place->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    *state = place;
    return fd < 0 || place->fd < 0 || close(fd);
}

static int tear_down(void **state)
{
    struct place *place = *state;
    close(place->fd);
    unlink(place->path);
    free(place);
    return 0;
}

/* Numbered lines of 16 bytes. */
static void print(struct place *place, long bytes)
{
    static char text[MIB + 1];
    for (; bytes > 0; bytes -= MIB) {
        for (long i = 0; i < MIB; i += LINE) snprintf(text + i, LINE + 1, "line %010ld\n", place->lines++);
        assert_int_equal(write(place->fd, text, MIB), MIB);
    }
}

static long number_at(const struct place *place, off_t at)
{
    char text[LINE + 1] = "";
    int fd = open(place->path, O_RDONLY);
    assert_int_equal(pread(fd, text, LINE, at), LINE);
    close(fd);
    return strncmp(text, "line ", 5) ? -1 : atol(text + 5);
}

static struct stat look(const struct place *place)
{
    struct stat file;
    assert_int_equal(stat(place->path, &file), 0);
    return file;
}

static void test_short_ones_stay(void **state)
{
    struct place *place = *state;
    struct me_output output;
    me_output_watch(&output, place->path);
    for (int i = 0; i < 9; i++) {
        assert_false(me_output_trim(&output));
        print(place, MIB);
    }
    assert_false(me_output_trim(&output)); /* a MiB too long is not worth the work */
    assert_int_equal(look(place).st_size, 9 * MIB);
    for (long i = 0; i < place->lines; i += 1001) assert_int_equal(number_at(place, i * LINE), i);
    me_output_release(&output);
}

static void test_a_hole_in_the_middle(void **state)
{
    struct place *place = *state;
    struct me_output output;
    me_output_watch(&output, place->path);
    for (int i = 0; i < 40; i++) {
        print(place, (1 + i % 3) * MIB);
        me_output_trim(&output);
        assert_true(look(place).st_blocks * 512 <= ME_CHILD_OUTPUT_MAX + 5 * MIB);
    }
    off_t size = look(place).st_size;
    assert_int_equal(size, place->lines * LINE); /* a reader can tell what is missing */
    for (off_t at = 0; at < HALF; at += 999 * LINE) assert_int_equal(number_at(place, at), at / LINE);
    for (off_t at = size - HALF; at < size; at += 999 * LINE)
        assert_int_equal(number_at(place, at), at / LINE);
    assert_int_equal(number_at(place, HALF + MIB), -1);
    assert_false(output.cannot_hole || output.disk_full);
    assert_false(me_output_trim(&output)); /* nothing new */
    me_output_release(&output);
}

static void test_cut_by_the_workload(void **state)
{
    struct place *place = *state;
    struct me_output output;
    me_output_watch(&output, place->path);
    print(place, 30 * MIB);
    assert_true(me_output_trim(&output));
    assert_int_equal(ftruncate(place->fd, 0), 0);
    assert_false(me_output_trim(&output));
    print(place, 20 * MIB);
    assert_true(me_output_trim(&output));
    assert_true(look(place).st_blocks * 512 <= ME_CHILD_OUTPUT_MAX + 2 * MIB);
    me_output_release(&output);
}

static void test_without_holes(void **state)
{
    struct place *place = *state;
    struct me_output output;
    char text[128] = "";
    me_output_watch(&output, place->path);
    output.cannot_hole = true;
    print(place, 12 * MIB);
    assert_true(me_output_trim(&output));
    print(place, 3 * MIB);
    assert_false(me_output_trim(&output));
    int fd = open(place->path, O_RDONLY);
    assert_true(pread(fd, text, sizeof text - 1, HALF) > 0);
    char wanted[128];
    int len = snprintf(wanted, sizeof wanted, "\n[me_bench: about %d bytes left out here]\nline", 8 * MIB);
    assert_memory_equal(text, wanted, len);
    assert_int_equal(look(place).st_size, HALF + 3 * MIB + len - 4);
    close(fd);
    for (int i = 0; i < 5; i++) {
        print(place, 9 * MIB);
        me_output_trim(&output);
        assert_true(look(place).st_size <= ME_CHILD_OUTPUT_MAX + MIB);
    }
    assert_int_equal(number_at(place, HALF - LINE), HALF / LINE - 1);
    me_output_release(&output);
}

static void test_not_a_file(void **state)
{
    (void)state;
    struct me_output output;
    const char *const paths[] = {"/nowhere/at/all", "/dev/null"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        me_output_watch(&output, paths[i]);
        assert_false(me_output_trim(&output));
        me_output_release(&output);
        me_output_release(&output);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_short_ones_stay), TEST(test_a_hole_in_the_middle),   TEST(test_cut_by_the_workload),
        TEST(test_without_holes),   cmocka_unit_test(test_not_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
