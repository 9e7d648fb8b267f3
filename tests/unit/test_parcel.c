/* Files for every machine: packing, hostile bytes, unpacking, removing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "../../src/workload/parcel.h"
#include "me/workload.h"
#include "me_cmocka.h"

/* A folder of its own as working directory: what is packed stands in "in", what comes out in "out". */
static int set_up(void **state)
{
    char *dir = strdup("/tmp/me-parcel-XXXXXX");
    if (!dir || !mkdtemp(dir) || chdir(dir)) return -1;
    mkdir("in", 0755);
    *state = dir;
    return 0;
}

static int tear_down(void **state)
{
    char *dir = *state;
    int rc = chdir("/");
    me_workload_remove(dir);
    rc |= !access(dir, F_OK);
    free(dir);
    return rc;
}

static void make_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static const char *read_text(const char *path)
{
    static char text[4096];
    int fd = open(path, O_RDONLY);
    if (fd < 0) fail_msg("%s: %s", path, strerror(errno));
    ssize_t n = read(fd, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = '\0';
    close(fd);
    return text;
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    if (lstat(path, &st)) fail_msg("%s: %s", path, strerror(errno));
    return st.st_mode & 07777;
}

static void set_with(struct me_plan *plan, const char *with)
{
    *plan = (struct me_plan){.workload = "command"};
    snprintf(plan->with, sizeof plan->with, "%s", with);
}

static void pack_and_unpack(const struct me_plan *plan)
{
    struct me_buffer parcel = ME_BUFFER_INIT;
    struct me_error err = {.text = ""};
    if (me_workload_pack(plan, &parcel, &err)) fail_msg("%s", err.text);
    if (me_workload_unpack(parcel.data, parcel.len, "out", &err)) fail_msg("%s", err.text);
    me_buffer_release(&parcel);
}

static void round_trip(void **state)
{
    (void)state;
    struct me_plan plan;
    mkdir("in/data", 0755);
    mkdir("in/data/deep", 0777);
    mkdir("in/data/empty", 0755);
    make_file("in/data/a.txt", "alpha", 0644);
    make_file("in/data/deep/run.sh", "#!/bin/sh\n", 0755);
    make_file("in/data/deep/secret", "x", 0600);
    make_file("in/data/.hidden", "", 0666);
    make_file("in/solver", "binary", 0511);
    assert_int_equal(symlink("deep/run.sh", "in/data/link"), 0);
    assert_int_equal(symlink("../a.txt", "in/data/deep/up"), 0);
    assert_int_equal(symlink("deep", "in/data/folder-link"), 0);
    assert_int_equal(symlink("in/solver", "named-link"), 0);
    set_with(&plan, "in/data///\nin/solver\nnamed-link\n");
    pack_and_unpack(&plan);
    assert_string_equal(read_text("out/data/a.txt"), "alpha");
    assert_string_equal(read_text("out/data/deep/up"), "alpha");
    assert_string_equal(read_text("out/data/link"), "#!/bin/sh\n");
    assert_string_equal(read_text("out/data/folder-link/secret"), "x");
    assert_string_equal(read_text("out/solver"), "binary");
    assert_string_equal(read_text("out/named-link"), "binary");
    assert_int_equal(mode_of("out"), 0700);
    assert_int_equal(mode_of("out/data/deep"), 0700);
    assert_int_equal(mode_of("out/data/a.txt"), 0600);
    assert_int_equal(mode_of("out/data/.hidden"), 0600);
    assert_int_equal(mode_of("out/data/deep/run.sh"), 0700);
    assert_int_equal(mode_of("out/data/link"), 0700); /* a file now, not a link */
    assert_int_equal(mode_of("out/solver"), 0700);
    assert_int_equal(access("out/data/empty", F_OK), 0);
}

/* Also with nothing shipped: a plain command may be Python. */
static void ours_are_always_there(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_error err = {.text = ""};
    set_with(&plan, "");
    if (me_workload_unpack(NULL, 0, "out", &err)) fail_msg("%s", err.text);
    assert_int_equal(access("out/.machine-energy/me_function.py", R_OK), 0);
    assert_int_equal(access("out/.machine-energy/me_example.py", R_OK), 0);
    assert_int_equal(access("out/.machine-energy/machine_energy/__init__.py", R_OK), 0);
    assert_non_null(
        strstr(read_text("out/.machine-energy/me_function.py"), "Runs a function of the user's Python file"));
    for (const struct me_workload *w = me_workload_table; w->name; w++) {
        char path[200];
        if (!w->script) continue;
        snprintf(path, sizeof path, "out/.machine-energy/%s", w->script);
        if (access(path, R_OK)) fail_msg("%s is not embedded", path);
    }
    struct me_buffer parcel = ME_BUFFER_INIT;
    assert_int_equal(me_workload_pack(&plan, &parcel, &err), 0);
    assert_int_equal(parcel.len, 0);
}

static void the_functions_file(void **state)
{
    (void)state;
    struct me_plan plan;
    make_file("in/train.py", "def f(): pass\n", 0644);
    set_with(&plan, "");
    strcpy(plan.workload, "function");
    strcpy(plan.function, "in/train.py:f");
    pack_and_unpack(&plan);
    assert_string_equal(read_text("out/train.py"), "def f(): pass\n");
    me_workload_remove("out");
    strcpy(plan.with, "in/../in/train.py"); /* the same file once more */
    pack_and_unpack(&plan);
    assert_string_equal(read_text("out/train.py"), "def f(): pass\n");
}

static void same_bytes_for_the_same_files(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_buffer one = ME_BUFFER_INIT, two = ME_BUFFER_INIT;
    mkdir("in/d", 0755);
    for (int i = 0; i < 40; i++) {
        char path[32];
        snprintf(path, sizeof path, "in/d/%d", (i * 7919) % 97);
        make_file(path, path, 0644);
    }
    set_with(&plan, "in/d");
    assert_int_equal(me_workload_pack(&plan, &one, NULL), 0);
    assert_int_equal(rename("in/d/0", "in/d/x"), 0); /* another order on the disk, perhaps */
    assert_int_equal(rename("in/d/x", "in/d/0"), 0);
    assert_int_equal(me_workload_pack(&plan, &two, NULL), 0);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
    me_buffer_release(&one);
    me_buffer_release(&two);
}

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void make_bad_places(void)
{
    mkdir("in/out", 0755);
    assert_int_equal(symlink("../../secret", "in/out/link"), 0);
    mkdir("in/absolute", 0755);
    assert_int_equal(symlink("/etc/hostname", "in/absolute/link"), 0);
    mkdir("in/sibling", 0755);
    mkdir("in/siblings", 0755);
    make_file("in/siblings/a", "", 0644);
    assert_int_equal(symlink("../siblings/a", "in/sibling/link"), 0);
    mkdir("in/loop", 0755);
    assert_int_equal(symlink(".", "in/loop/self"), 0);
    mkdir("in/upward", 0755);
    mkdir("in/upward/a", 0755);
    assert_int_equal(symlink("../../upward/a", "in/upward/a/again"), 0);
    mkdir("in/broken", 0755);
    assert_int_equal(symlink("nothing", "in/broken/link"), 0);
    mkdir("in/pipe", 0755);
    assert_int_equal(mkfifo("in/pipe/p", 0644), 0);
    mkdir("in/socket", 0755);
    make_socket("in/socket/s");
    mkdir("in/two", 0755);
    make_file("in/two/train.py", "2", 0644);
    make_file("in/train.py", "1", 0644);
    mkdir("in/.machine-energy", 0755);
    int fd = open("in/huge", O_CREAT | O_WRONLY, 0644);
    assert_int_equal(ftruncate(fd, (off_t)ME_PARCEL_BYTES_MAX + 1), 0); /* a hole: it takes no room */
    close(fd);
    make_file("secret", "s", 0644);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *with, *message;
    } table[] = {
        {"in/nothing", "--with: in/nothing: No such file"},
        {"in/out", "--with: in/out/link: the link leads out of the folder"},
        {"in/absolute", "--with: in/absolute/link: the link leads out of the folder"},
        {"in/sibling", "--with: in/sibling/link: the link leads out of the folder"},
        {"in/loop", "in/loop/self: the link leads back to a folder above it"},
        {"in/upward", "in/upward/a/again: the link leads back to a folder above it"},
        {"in/broken", "--with: in/broken/link: the link leads nowhere: No such file"},
        {"in/pipe", "--with: in/pipe/p: neither a file nor a folder"},
        {"in/pipe/p", "--with: in/pipe/p: neither a file nor a folder"},
        {"in/socket", "--with: in/socket/s: neither a file nor a folder"},
        {"/dev/null", "--with: /dev/null: neither a file nor a folder"},
        {"in/train.py\nin/two/train.py",
         "--with: in/train.py and in/two/train.py have one name, and would take each other's place"},
        {"in/.machine-energy", "that name is taken by our own files"},
        {".", "--with: .: has no name of its own"},
        {"in/..", "--with: in/..: has no name of its own"},
        {"/", "--with: /: has no name of its own"},
        {"in/huge", "--with: in/huge: with it more than 512 MiB would go to every machine"},
    };
    make_bad_places();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_plan plan;
        struct me_buffer parcel = ME_BUFFER_INIT;
        struct me_error err = {.text = ""};
        set_with(&plan, table[i].with);
        if (!me_workload_pack(&plan, &parcel, &err)) fail_msg("packed: %s", table[i].with);
        if (!strstr(err.text, table[i].message)) fail_msg("%s: %s", table[i].with, err.text);
        assert_int_equal(err.code, ME_E_INPUT);
        assert_null(parcel.data);
    }
    struct me_plan plan;
    struct me_buffer parcel = ME_BUFFER_INIT;
    struct me_error err;
    set_with(&plan, "");
    strcpy(plan.function, "in/gone.py:f");
    assert_int_equal(me_workload_pack(&plan, &parcel, &err), -1);
    assert_non_null(strstr(err.text, "--train-func: in/gone.py: No such file"));
    mkdir("in/folder.py", 0755);
    strcpy(plan.function, "in/folder.py:f");
    assert_int_equal(me_workload_pack(&plan, &parcel, &err), -1);
    assert_non_null(strstr(err.text, "a folder; name the Python file in it"));
}

/* Many small ones add up. */
static void all_together_too_big(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_buffer parcel = ME_BUFFER_INIT;
    struct me_error err;
    mkdir("in/d", 0755);
    for (int i = 0; i < 3; i++) {
        char path[32];
        snprintf(path, sizeof path, "in/d/%d", i);
        int fd = open(path, O_CREAT | O_WRONLY, 0644);
        assert_int_equal(ftruncate(fd, i < 2 ? 1 << 20 : (off_t)ME_PARCEL_BYTES_MAX - (2 << 20)), 0);
        close(fd);
    }
    set_with(&plan, "in/d");
    assert_int_equal(me_workload_pack(&plan, &parcel, &err), -1);
    assert_non_null(strstr(err.text, "in/d/2: with it more than 512 MiB"));
}

static void unreadable(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_buffer parcel = ME_BUFFER_INIT;
    struct me_error err = {.text = ""};
    make_file("in/closed", "x", 0);
    set_with(&plan, "in/closed");
    if (!geteuid()) { /* root reads everything; an ordinary user is the case */
        assert_int_equal(chown("in", 65534, 65534), 0);
        assert_int_equal(chmod(".", 0755), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    int rc = me_workload_pack(&plan, &parcel, &err);
    if (!getuid()) assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, -1);
    assert_string_equal(err.text, "--with: in/closed: Permission denied");
}

/* --- hostile bytes ------------------------------------------------------------------------------- */

static void put(struct me_buffer *out, char type, const char *name, const char *content)
{
    struct me_parcel_entry entry = {
        .type = type, .name = name, .name_len = strlen(name), .content = content, .size = strlen(content)};
    me_parcel_put(out, &entry);
}

static void begin(struct me_buffer *out)
{
    me_buffer_clear(out);
    me_buffer_puts(out, ME_PARCEL_MAGIC);
}

static int unpack(const struct me_buffer *parcel, struct me_error *err)
{
    /* A copy of just its size, so that a sanitizer sees a look behind it. */
    char *bytes = malloc(parcel->len ? parcel->len : 1);
    memcpy(bytes, parcel->data, parcel->len);
    int rc = me_workload_unpack(bytes, parcel->len, "out", err);
    free(bytes);
    me_workload_remove("out");
    assert_int_equal(access("out", F_OK), -1);
    return rc;
}

static void names_that_leave_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"/etc/x",
                                        "..",
                                        "../x",
                                        "a/../../x",
                                        "a/..",
                                        "./a",
                                        "a//b",
                                        "a/",
                                        "/",
                                        ".machine-energy",
                                        ".",
                                        "a/./b",
                                        "",
                                        ".machine-energy/x",
                                        ".machine-energy/me_function.py"};
    struct me_buffer parcel = ME_BUFFER_INIT;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct me_error err = {.text = ""};
        begin(&parcel);
        put(&parcel, 'd', "a", "");
        put(&parcel, 'f', names[i], "hostile");
        put(&parcel, 'e', "", "");
        if (!unpack(&parcel, &err)) fail_msg("unpacked: %s", names[i]);
        assert_int_equal(err.code, ME_E_RUN);
        assert_non_null(strstr(err.text, "damaged"));
        assert_int_equal(access("x", F_OK), -1);
    }
    me_buffer_release(&parcel);
    assert_true(me_parcel_is_name("...", 3) && me_parcel_is_name("a/..b", 5) && me_parcel_is_name(".m", 2));
    assert_false(me_parcel_is_name("a\0b", 3));
}

static void bytes_that_are_no_parcel(void **state)
{
    (void)state;
    struct me_buffer parcel = ME_BUFFER_INIT, cut = ME_BUFFER_INIT;
    struct me_error err;
    begin(&parcel);
    put(&parcel, 'd', "d", "");
    put(&parcel, 'f', "d/file", "some content");
    put(&parcel, 'f', "other", "");
    put(&parcel, 'e', "", "");
    assert_int_equal(unpack(&parcel, &err), 0);
    for (size_t len = 1; len < parcel.len; len++) { /* 0 means that nothing was shipped */
        me_buffer_clear(&cut);
        me_buffer_append(&cut, parcel.data, len);
        assert_int_equal(unpack(&cut, &err), -1);
    }
    for (size_t i = 0; i < parcel.len; i++) /* whatever comes of it, it stays in the folder */
        for (int bit = 0; bit < 8; bit++) {
            me_buffer_clear(&cut);
            me_buffer_append(&cut, parcel.data, parcel.len);
            cut.data[i] = (char)(cut.data[i] ^ (1 << bit));
            unpack(&cut, &err);
        }
    me_buffer_append(&parcel, "x", 1); /* something behind the end */
    assert_int_equal(unpack(&parcel, &err), -1);
    me_buffer_release(&parcel);
    me_buffer_release(&cut);
    DIR *dir = opendir(".");
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && strcmp(entry->d_name, "in"))
            fail_msg("%s came out of it", entry->d_name);
    closedir(dir);
}

static void odd_entries(void **state)
{
    (void)state;
    struct me_buffer parcel = ME_BUFFER_INIT;
    struct me_error err;
    begin(&parcel); /* one name twice */
    put(&parcel, 'f', "a", "1");
    put(&parcel, 'f', "a", "2");
    put(&parcel, 'e', "", "");
    assert_int_equal(unpack(&parcel, &err), -1);
    begin(&parcel); /* a file as a folder */
    put(&parcel, 'f', "a", "1");
    put(&parcel, 'f', "a/b", "2");
    put(&parcel, 'e', "", "");
    assert_int_equal(unpack(&parcel, &err), -1);
    begin(&parcel); /* a kind that is not there */
    put(&parcel, 'l', "a", "/etc/passwd");
    put(&parcel, 'e', "", "");
    assert_int_equal(unpack(&parcel, &err), -1);
    begin(&parcel); /* a length that would wrap around */
    struct me_parcel_entry entry = {.type = 'f', .name = "a", .name_len = 1, .size = UINT64_MAX - 4};
    me_parcel_put(&parcel, &entry);
    assert_int_equal(unpack(&parcel, &err), -1);
    me_buffer_release(&parcel);
}

/* It comes over the network cut anywhere. */
static void in_pieces_of_any_size(void **state)
{
    (void)state;
    struct me_buffer parcel = ME_BUFFER_INIT;
    struct me_error err = {.text = ""};
    begin(&parcel);
    put(&parcel, 'd', "folder", "");
    put(&parcel, 'f', "folder/a", "some text");
    put(&parcel, 'f', "empty", "");
    put(&parcel, 'e', "", "");
    for (size_t size = 1; size <= parcel.len; size++) {
        struct me_unpacking *unpacking = NULL;
        mkdir("out", 0700);
        assert_int_equal(me_unpacking_begin(&unpacking, "out", &err), 0);
        for (size_t at = 0; at < parcel.len; at += size) {
            size_t n = parcel.len - at < size ? parcel.len - at : size;
            assert_int_equal(me_unpacking_end(unpacking, NULL), -1);
            if (me_unpacking_take(unpacking, parcel.data + at, n, &err)) fail_msg("%zu: %s", size, err.text);
        }
        assert_int_equal(me_unpacking_end(unpacking, &err), 0);
        assert_int_equal(me_unpacking_take(unpacking, "", 1, &err), -1); /* the end is the end */
        me_unpacking_release(unpacking);
        assert_string_equal(read_text("out/folder/a"), "some text");
        assert_string_equal(read_text("out/empty"), "");
        me_workload_remove("out");
    }
    me_unpacking_release(NULL);
    me_buffer_release(&parcel);
}

/* --- removing ------------------------------------------------------------------------------------ */

static void removing_follows_no_link(void **state)
{
    (void)state;
    mkdir("kept", 0755);
    make_file("kept/a", "", 0644);
    mkdir("gone", 0755);
    mkdir("gone/closed", 0700);
    make_file("gone/closed/b", "", 0);
    assert_int_equal(symlink("../kept", "gone/link"), 0);
    assert_int_equal(symlink("../../kept/a", "gone/closed/link"), 0);
    assert_int_equal(chmod("gone/closed", 0), 0);
    assert_int_equal(symlink("kept", "a-link"), 0);
    me_workload_remove("gone");
    assert_int_equal(access("gone", F_OK), -1);
    me_workload_remove("a-link");
    assert_int_equal(access("a-link", F_OK), -1); /* in the folder's place, it goes itself */
    assert_int_equal(access("kept/a", F_OK), 0);
    me_workload_remove("nothing-there");
    me_workload_remove("");
    me_workload_remove(NULL);
}

/* As a container's start script may have done. A bind mount has the same device as the folder. */
static void removing_touches_no_mount(void **state)
{
    (void)state;
    static const char *const places[] = {"gone/m", "gone"};
    mkdir("kept", 0755);
    make_file("kept/a", "", 0644);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        mkdir("gone", 0700);
        mkdir("gone/m", 0700);
        make_file("gone/b", "", 0600);
        pid_t child = fork();
        if (!child) {
            if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
                mount("kept", places[i], NULL, MS_BIND, NULL))
                _exit(77);
            me_workload_remove("gone");
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WEXITSTATUS(status) == 77) skip(); /* needs root */
        assert_int_equal(status, 0);
        assert_int_equal(access("kept/a", F_OK), 0);
        assert_int_equal(mode_of("kept"), 0755);
        assert_int_equal(access("gone/b", F_OK), i ? 0 : -1);
        me_workload_remove("gone");
        assert_int_equal(access("gone", F_OK), -1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(round_trip),
        TEST(ours_are_always_there),
        TEST(the_functions_file),
        TEST(same_bytes_for_the_same_files),
        TEST(refusals),
        TEST(all_together_too_big),
        TEST(unreadable),
        TEST(names_that_leave_the_folder),
        TEST(bytes_that_are_no_parcel),
        TEST(odd_entries),
        TEST(removing_follows_no_link),
        TEST(removing_touches_no_mount),
        TEST(in_pieces_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
