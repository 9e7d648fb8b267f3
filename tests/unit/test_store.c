/* The result file: written, read back, and everything that can go wrong with it.
 *
 *     test_store --make FILE      writes the sample that tests/cli/test_readers.py reads
 *     test_store --read FILE      prints what is read from it as JSON, for the same test */
#include "me_cmocka.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <hdf5.h>
#include "me/report.h"
#include "me/store.h"
#include "me/table.h"
#include "me/utf8.h"
#include "rich_result.h"

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
    snprintf(dir, sizeof dir, "/tmp/me-store-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (entry->d_name[0] != '.') unlink(at(entry->d_name));
    if (d) closedir(d);
    return rmdir(dir);
}

static size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) count += entry->d_name[0] != '.';
    closedir(d);
    return count;
}

static void write_file(const char *path, const struct me_result *result)
{
    struct me_error err = {0};
    if (me_store_write(path, result, &err)) fail_msg("%s", err.text);
}

static void read_file(const char *path, bool with_series, struct me_result *out)
{
    struct me_error err = {0};
    if (me_store_read(path, with_series, out, &err)) fail_msg("%s", err.text);
}

/* Reading must fail with a line that has `part` in it, and leave the output as it was. */
static void refuse(const char *path, const char *part)
{
    struct me_error err = {0};
    struct me_result out = {.machine_count = 77};
    assert_int_equal(me_store_read(path, true, &out, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    if (!strstr(err.text, path) || !strstr(err.text, part))
        fail_msg("'%s' and '%s' are not in: %s", path, part, err.text);
    assert_int_equal(out.machine_count, 77);
}

static char *slurp(const char *path, size_t *len)
{
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    *len = (size_t)ftell(in);
    rewind(in);
    char *bytes = malloc(*len + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *len, in), *len);
    fclose(in);
    return bytes;
}

static void spill(const char *path, const char *bytes, size_t len)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
}

/* A field added to a struct but not to its table would silently stay out of the file. */
static void test_tables_cover_their_structs(void **state)
{
    (void)state;
    for (const struct me_table *table = me_table_list; table->name; table++) {
        assert_ptr_equal(me_table_find(table->name), table);
        assert_true(table->column_count < 64);
        size_t end = 0;
        for (size_t i = 0; i < table->column_count; i++) {
            size_t next = SIZE_MAX, size = 0;
            for (size_t j = 0; j < table->column_count; j++)
                if (table->columns[j].offset >= end && table->columns[j].offset < next) {
                    next = table->columns[j].offset;
                    size = table->columns[j].size;
                }
            if (next - end > 7)
                fail_msg("/%s: %zu bytes before offset %zu have no column", table->name, next - end, next);
            end = next + size;
        }
        if (table->row_size - end > 7)
            fail_msg("/%s: the last %zu bytes have no column", table->name, table->row_size - end);
    }
    assert_null(me_table_find("nothing"));
}

static void compare_tables(const struct me_result *a, const struct me_result *b)
{
    for (const struct me_table *table = me_table_list; table->name; table++) {
        size_t n, m;
        const char *rows = me_table_rows(table, a, &n), *others = me_table_rows(table, b, &m);
        assert_int_equal(n, m);
        for (size_t i = 0; i < n * table->column_count; i++) {
            const struct me_column *column = &table->columns[i % table->column_count];
            size_t at_row = i / table->column_count * table->row_size + column->offset;
            bool text = column->type == ME_COLUMN_TEXT;
            if (text ? strcmp(rows + at_row, others + at_row)
                     : memcmp(rows + at_row, others + at_row, column->size))
                fail_msg("/%s row %zu: %s differs", table->name, i / table->column_count, column->name);
        }
    }
}

static void compare_series(const struct me_result *a, const struct me_result *b)
{
    assert_int_equal(a->series_count, b->series_count);
    for (size_t i = 0; i < a->series_count; i++) {
        const struct me_result_series *x = &a->series[i], *y = &b->series[i];
        assert_int_equal(x->machine_id, y->machine_id);
        assert_int_equal(x->repeat, y->repeat);
        assert_int_equal(x->samples, y->samples);
        assert_int_equal(x->channels, y->channels);
        for (size_t c = 0; c < x->channels; c++) assert_string_equal(x->names[c], y->names[c]);
        size_t cells = x->samples * x->channels;
        assert_memory_equal(x->unix_ns, y->unix_ns, x->samples * sizeof *x->unix_ns);
        assert_memory_equal(x->values, y->values, cells * sizeof *x->values); /* NaN too, bit for bit */
        assert_memory_equal(x->states, y->states, cells);
    }
}

static void compare_heads(const struct me_result *a, const struct me_result *b)
{
    assert_string_equal(a->experiment, b->experiment);
    assert_string_equal(a->created_utc, b->created_utc);
    assert_string_equal(a->tool_version, b->tool_version);
    assert_string_equal(a->workload, b->workload);
    assert_string_equal(a->status, b->status);
    assert_string_equal(a->command, b->command);
    assert_string_equal(a->plan_json, b->plan_json);
}

static void round_trip(const struct me_result *result)
{
    struct me_result back;
    write_file(at("r.h5"), result);
    read_file(at("r.h5"), true, &back);
    compare_heads(result, &back);
    compare_tables(result, &back);
    compare_series(result, &back);
    me_result_release(&back);
    read_file(at("r.h5"), false, &back);
    compare_tables(result, &back);
    assert_int_equal(back.series_count, 0);
    me_result_release(&back);
    assert_int_equal(count_entries(dir), 1); /* no temporary file is left */
    unlink(at("r.h5"));
}

static void test_round_trip(void **state)
{
    (void)state;
    struct me_result result;
    rich_many(&result);
    round_trip(&result);
    me_result_release(&result);
    rich_one(&result);
    round_trip(&result);
    me_result_release(&result);
}

static void test_empty(void **state)
{
    (void)state;
    struct me_result result = {0};
    rich_head(&result, "", "interrupted");
    round_trip(&result);
    me_result_release(&result);
}

static void test_series_of_all_shapes(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{0, 0},  {0, 3},  {3, 0},    {1, 1},
                                       {64, 1}, {65, 1}, {65, 300}, {200000, 5}};
    struct me_result result = {0};
    rich_head(&result, "exp1", "complete");
    result.series_count = sizeof shapes / sizeof shapes[0];
    result.series = rich_rows(result.series_count, sizeof *result.series);
    for (size_t i = 0; i < result.series_count; i++)
        rich_series(&result.series[i], (int)i / 3 * 5 + 2, (int)i % 3 * 10 + 2, shapes[i][0], shapes[i][1]);
    round_trip(&result);
    me_result_release(&result);
}

/* More rows than a slab and than a chunk; a plan larger than an attribute may be by itself. */
static void test_large_tables(void **state)
{
    (void)state;
    enum { ROWS = 9001 };
    struct me_result result = {0};
    rich_head(&result, "exp1", "complete");
    free(result.plan_json);
    result.plan_json = rich_rows(300001, 1);
    memset(result.plan_json, 'x', 300000);
    result.machines = rich_rows(ROWS, sizeof *result.machines);
    result.machine_count = ROWS;
    for (int i = 0; i < ROWS; i++)
        rich_machine(&result.machines[i], i, "gr\xc3\xbcn", "ok", "", "live", 1.5 * i);
    round_trip(&result);
    write_file(at("large.h5"), &result);
    struct stat st;
    assert_int_equal(stat(at("large.h5"), &st), 0);
    assert_true((size_t)st.st_size < ROWS * sizeof *result.machines / 4); /* compressed */
    me_result_release(&result);
}

static void test_same_result_same_bytes(void **state)
{
    (void)state;
    struct me_result result;
    rich_many(&result);
    size_t n, m;
    write_file(at("a.h5"), &result);
    char *a = slurp(at("a.h5"), &n);
    memset(result.machines[0].name + strlen("head") + 1, '#', 20); /* behind the text: nobody's business */
    write_file(at("a.h5"), &result);
    char *b = slurp(at("a.h5"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    me_result_release(&result);
}

static void test_bad_text_is_cleaned(void **state)
{
    (void)state;
    struct me_result result, back;
    rich_one(&result);
    snprintf(result.machines[0].name, 64,
             "a\xff"
             "b");
    memset(result.machines[0].host, 'h', 64); /* without an end */
    memset(result.machines[0].country, 'x', 4);
    memcpy(result.machines[0].country, "a\xe2\x82\xac", 4); /* the end would be within the euro sign */
    free(result.command);
    result.command = strdup("run \xc3");
    write_file(at("t.h5"), &result);
    read_file(at("t.h5"), false, &back);
    assert_string_equal(back.machines[0].name, "a?b");
    assert_int_equal(strlen(back.machines[0].host), 63);
    assert_string_equal(back.machines[0].country, "a");
    assert_string_equal(back.command, "run ");
    size_t len; /* other readers see the file as it is: the bad bytes must not be in it */
    char *bytes = slurp(at("t.h5"), &len);
    assert_non_null(memmem(bytes, len, "a?b", 3));
    assert_null(memmem(bytes, len, "a\xff", 2));
    assert_null(memmem(bytes, len, "a\xe2\x82", 3));
    free(bytes);
    me_result_release(&back);
    me_result_release(&result);
}

/* Writing fails with ME_E_RUN and this text, and `old`, if given, is still whole. */
static void fail_to_write(const char *path, const struct me_result *result, const char *part)
{
    struct me_error err = {0};
    assert_int_equal(me_store_write(path, result, &err), -1);
    assert_int_equal(err.code, ME_E_RUN);
    if (!strstr(err.text, path) || !strstr(err.text, part)) fail_msg("'%s' is not in: %s", part, err.text);
}

static void test_unwritable(void **state)
{
    (void)state;
    struct me_result result;
    rich_one(&result);
    fail_to_write(at("no/such/dir.h5"), &result, "No such file");
    write_file(at("file"), &result);
    fail_to_write(at("file/x.h5"), &result, "Not a directory");
    assert_int_equal(mkdir(at("folder.h5"), 0700), 0);
    fail_to_write(at("folder.h5"), &result, "directory");
    assert_int_equal(rmdir(at("folder.h5")), 0);
    fail_to_write("/proc/x.h5", &result, "/proc/x.h5");
    assert_int_equal(count_entries(dir), 1);
    char *name = rich_rows(5000, 1);
    memset(name, 'n', 4999);
    struct me_error err = {0};
    assert_int_equal(me_store_write(name, &result, &err), -1);
    assert_non_null(strstr(err.text, "too long"));
    free(name);
    me_result_release(&result);
}

static void test_read_only_dir(void **state)
{
    (void)state;
    if (geteuid() == 0) { /* root writes everywhere: be somebody else for a moment */
        assert_int_equal(chown(dir, 0, 0), 0);
        assert_int_equal(chmod(dir, 0755), 0);
        assert_int_equal(seteuid(65534), 0);
    } else
        assert_int_equal(chmod(dir, 0500), 0);
    struct me_result result;
    rich_one(&result);
    fail_to_write(at("x.h5"), &result, "Permission denied; choose a folder");
    me_result_release(&result);
    if (getuid() == 0) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(dir, 0700), 0);
}

/* On a disk that fills up, the old file stays, no other is left, and there is a line that says why. */
static void test_full_disk(void **state)
{
    (void)state;
    char mount_point[256];
    snprintf(mount_point, sizeof mount_point, "%s/small", dir);
    assert_int_equal(mkdir(mount_point, 0700), 0);
    if (mount("tmpfs", mount_point, "tmpfs", 0, "size=512k")) {
        rmdir(mount_point);
        print_message("mount: %s: the full disk needs root\n", strerror(errno));
        skip();
    }
    struct me_result small = {0}, big = {0}, back = {0};
    rich_one(&small);
    rich_one(&big);
    big.series = rich_rows(1, sizeof *big.series);
    big.series_count = 1;
    rich_series(&big.series[0], 0, 1, 200000, 2);
    for (size_t i = 0; i < 400000; i++) big.series[0].values[i] = sin((double)i); /* does not compress */
    struct me_error err = {0}, other = {0};
    int first = me_store_write(at("small/x.h5"), &small, &err);
    int second = me_store_write(at("small/x.h5"), &big, &err);
    size_t entries = count_entries(mount_point);
    int read = me_store_read(at("small/x.h5"), true, &back, &other);
    umount(mount_point);
    rmdir(mount_point);
    assert_int_equal(first, 0);
    assert_int_equal(second, -1);
    assert_int_equal(err.code, ME_E_RUN);
    assert_non_null(strstr(err.text, "No space left on device; make room"));
    assert_int_equal(entries, 1);
    assert_int_equal(read, 0);
    compare_tables(&small, &back);
    me_result_release(&small);
    me_result_release(&big);
    me_result_release(&back);
}

static void test_foreign_files(void **state)
{
    (void)state;
    refuse(at("absent.h5"), "No such file");
    refuse(dir, "not a file");
    spill(at("text.h5"), "machine_id,name\n", 16);
    refuse(at("text.h5"), "not a result of Machine Energy");
    spill(at("empty.h5"), "", 0);
    refuse(at("empty.h5"), "not a result of Machine Energy");
    assert_int_equal(mkfifo(at("fifo.h5"), 0600), 0);
    refuse(at("fifo.h5"), "not a file");
    hid_t file = H5Fcreate(at("other.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    H5Fclose(file);
    refuse(at("other.h5"), "not a result of Machine Energy; give the experiment's folder");
}

static hid_t open_for_change(const char *path)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void set_version(const char *path, int version)
{
    hid_t file = open_for_change(path), attribute = H5Aopen(file, "format_version", H5P_DEFAULT);
    assert_true(H5Awrite(attribute, H5T_NATIVE_INT, &version) >= 0);
    H5Aclose(attribute);
    H5Fclose(file);
}

static void test_other_versions(void **state)
{
    (void)state;
    struct me_result result;
    rich_one(&result);
    write_file(at("v.h5"), &result);
    set_version(at("v.h5"), 2);
    refuse(at("v.h5"), "of format 2, this program reads up to 1; use a newer machine-energy");
    set_version(at("v.h5"), 0);
    refuse(at("v.h5"), "format_version");
    write_file(at("v.h5"), &result);
    hid_t file = open_for_change(at("v.h5"));
    assert_true(H5Adelete(file, "plan") >= 0);
    H5Fclose(file);
    refuse(at("v.h5"), "damaged");
    write_file(at("v.h5"), &result);
    file = open_for_change(at("v.h5"));
    assert_true(H5Ldelete(file, "repeats", H5P_DEFAULT) >= 0);
    H5Fclose(file);
    refuse(at("v.h5"), "repeats");
    me_result_release(&result);
}

/* Puts another dataset in the place of /regions. `widen` keeps our columns and adds one. */
static void replace_regions(const char *path, bool widen)
{
    hid_t file = open_for_change(path), old = H5Dopen2(file, "regions", H5P_DEFAULT);
    hid_t type = H5Dget_type(old), space = H5Screate_simple(1, (hsize_t[]){2}, NULL);
    size_t size = H5Tget_size(type);
    hid_t wide = H5Tcreate(H5T_COMPOUND, size + 8);
    H5Tinsert(wide, "later", 0, H5T_NATIVE_DOUBLE);
    for (unsigned i = 0; i < (unsigned)H5Tget_nmembers(type); i++) {
        char *name = H5Tget_member_name(type, i);
        hid_t member = H5Tget_member_type(type, i);
        bool calls = !strcmp(name, "calls");
        H5Tinsert(wide, !widen && calls ? "cells" : name, H5Tget_member_offset(type, i) + 8, member);
        H5Tclose(member);
        H5free_memory(name);
    }
    H5Dclose(old);
    H5Ldelete(file, "regions", H5P_DEFAULT);
    hid_t new = H5Dcreate2(file, "regions", wide, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(new >= 0);
    H5Dclose(H5Dcreate2(file, "later", wide, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dclose(new);
    H5Tclose(wide);
    H5Tclose(type);
    H5Sclose(space);
    H5Fclose(file);
}

static void test_later_columns_are_passed_over(void **state)
{
    (void)state;
    struct me_result result, back;
    rich_one(&result);
    write_file(at("w.h5"), &result);
    replace_regions(at("w.h5"), true);
    read_file(at("w.h5"), true, &back);
    assert_int_equal(back.region_count, 2);
    me_result_release(&back);
    write_file(at("w.h5"), &result);
    replace_regions(at("w.h5"), false);
    refuse(at("w.h5"), "/regions: column calls is missing");
    me_result_release(&result);
}

static void test_damaged_series(void **state)
{
    (void)state;
    struct me_result result, back;
    rich_many(&result);
    write_file(at("s.h5"), &result);
    hid_t file = open_for_change(at("s.h5"));
    assert_true(H5Ldelete(file, "series/1/2/time_ns", H5P_DEFAULT) >= 0);
    H5Gclose(H5Gcreate2(file, "series/later", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Fclose(file);
    refuse(at("s.h5"), "/series/1/2");
    read_file(at("s.h5"), false, &back); /* a report needs no samples */
    me_result_release(&back);
    me_result_release(&result);
}

/* Cut off anywhere, a file gives an error and never a crash: in a child, so that one is told. */
static void test_truncated(void **state)
{
    (void)state;
    struct me_result result;
    rich_many(&result);
    write_file(at("whole.h5"), &result);
    me_result_release(&result);
    size_t len, refused = 0, lengths = 0;
    char *bytes = slurp(at("whole.h5"), &len);
    for (size_t cut = 0; cut < len; cut = cut < 200 ? cut + 9 : cut + len / 40) {
        spill(at("cut.h5"), bytes, cut);
        lengths++;
        pid_t child = fork();
        if (!child) {
            struct me_error err = {0};
            struct me_result out = {0};
            int rc = me_store_read(at("cut.h5"), true, &out, &err);
            _exit(rc == -1 && err.code == ME_E_INPUT && *err.text ? 7 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 7)
            refused++;
        else
            print_message("cut at %zu of %zu: status %#x\n", cut, len, (unsigned)status);
    }
    free(bytes);
    assert_int_equal(refused, lengths);
}

static int print_json(const char *path)
{
    struct me_error err = {0};
    struct me_result result;
    if (me_store_read(path, true, &result, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    me_report_find("json")->write(&result, stdout, &err);
    me_result_release(&result);
    return 0;
}

static int make(const char *path)
{
    struct me_error err = {0};
    struct me_result result;
    rich_many(&result);
    result.region_count = 0; /* a table without rows is for the readers too */
    int rc = me_store_write(path, &result, &err);
    if (rc) fprintf(stderr, "%s\n", err.text);
    me_result_release(&result);
    return rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--make")) return make(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "--read")) return print_json(argv[2]);
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_cover_their_structs),
        IN_DIR(test_round_trip),
        IN_DIR(test_empty),
        IN_DIR(test_series_of_all_shapes),
        IN_DIR(test_large_tables),
        IN_DIR(test_same_result_same_bytes),
        IN_DIR(test_bad_text_is_cleaned),
        IN_DIR(test_unwritable),
        IN_DIR(test_read_only_dir),
        IN_DIR(test_full_disk),
        IN_DIR(test_foreign_files),
        IN_DIR(test_other_versions),
        IN_DIR(test_later_columns_are_passed_over),
        IN_DIR(test_damaged_series),
        IN_DIR(test_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
