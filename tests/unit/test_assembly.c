/* What machines tell, in whatever pieces and order, becomes one and the same file. */
#include "me_cmocka.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "me/assembly.h"
#include "me/message.h"
#include "me/store.h"
#include "rich_record.h"

static char dir[64];
static FILE *quiet;

static const char *in_dir(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/me-assembly-XXXXXX");
    quiet = fopen("/dev/null", "w");
    return mkdtemp(dir) && quiet && !mkdir(in_dir("exp"), 0700) && !mkdir(in_dir("exp/logs"), 0700) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    umount2(in_dir("exp"), MNT_DETACH); /* of a test that failed */
    fclose(quiet);
    return system(command);
}

static char *slurp(const char *path, size_t *len)
{
    FILE *in = fopen(path, "rb");
    if (!in) fail_msg("%s: %s", path, strerror(errno));
    fseek(in, 0, SEEK_END);
    *len = (size_t)ftell(in);
    rewind(in);
    char *bytes = malloc(*len + 1);
    assert_int_equal(fread(bytes, 1, *len, in), *len);
    bytes[*len] = '\0';
    fclose(in);
    return bytes;
}

static size_t count_entries(const char *path)
{
    size_t count = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));)
        count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(d);
    return count;
}

enum { MACHINES = 4 };

static void make_plan(struct me_plan *plan)
{
    *plan = (struct me_plan){.repeats = 2, .count = MACHINES, .from_hostfile = true};
    snprintf(plan->experiment, sizeof plan->experiment, "exp");
    snprintf(plan->run_id, sizeof plan->run_id, "0123456789abcdef");
    snprintf(plan->workload, sizeof plan->workload, "command");
    plan->command[0] = strdup("true");
    plan->machines = calloc(MACHINES, sizeof *plan->machines);
    for (int i = 0; i < MACHINES; i++) {
        plan->machines[i] = (struct me_plan_machine){.id = i, .grid_g_per_kwh = 400, .pue = 1};
        snprintf(plan->machines[i].name, sizeof plan->machines[i].name, "n%d", i);
    }
}

static const struct rich_record records[MACHINES] = {
    {0}, /* the head only leads */
    {.machine_id = 1, .repeats = 2, .samples = 3000, .text = "one\n"},
    {.machine_id = 2, .repeats = 2, .samples = 50, .text = "two\n"},
    {.machine_id = 3, .repeats = 2, .samples = 700},
};

static struct me_assembly *begin(struct me_plan *plan, bool append)
{
    struct me_assembly *assembly;
    struct me_error err = {0};
    static char folder[512];
    snprintf(folder, sizeof folder, "%s", in_dir("exp"));
    const struct me_assembly_options options = {
        .folder = folder, .append_or_create = append, .program = "test", .out = quiet};
    if (me_assembly_begin(&assembly, plan, &options, &err)) fail_msg("%s", err.text);
    return assembly;
}

static void finish(struct me_assembly *assembly, struct me_result *result)
{
    struct me_error err = {0};
    if (me_assembly_finish(assembly, false, result, &err)) fail_msg("%s", err.text);
    /* The time of its making is the one thing that may differ. */
    me_assembly_release(assembly);
}

static void make_parts(const struct me_plan *plan, int id, struct me_parts *parts)
{
    struct me_buffer record = ME_BUFFER_INIT;
    struct me_error err = {0};
    rich_record_put(&record, &records[id]);
    if (me_parts_make(&plan->machines[id], record.data, record.len, NULL, parts, &err))
        fail_msg("%s", err.text);
    me_buffer_release(&record);
}

/* Offers the next piece of at most `size` bytes of a machine; false: all was taken. */
static bool offer(struct me_assembly *assembly, int id, const struct me_parts *parts, size_t *at, int *part,
                  size_t size)
{
    if (*part == ME_PART_COUNT) return false;
    const struct me_buffer *bytes = &parts->part[*part];
    size_t n = bytes->len - *at < size ? bytes->len - *at : size;
    bool last = *at + n == bytes->len;
    assert_int_equal(me_assembly_take(assembly, id, (enum me_part) * part,
                                      bytes->len ? bytes->data + *at : NULL, n, last, NULL),
                     0);
    *at = last ? 0 : *at + n;
    *part += last;
    return true;
}

/* By pieces, from all machines in turn, the last machine first. */
static void take_in_turn(struct me_assembly *assembly, const struct me_plan *plan, size_t size)
{
    struct me_parts parts[MACHINES] = {0};
    size_t at[MACHINES] = {0};
    int part[MACHINES] = {0};
    for (int id = 1; id < MACHINES; id++) make_parts(plan, id, &parts[id]);
    for (bool moved = true; moved;) {
        moved = false;
        for (int id = MACHINES - 1; id > 0; id--)
            if (offer(assembly, id, &parts[id], &at[id], &part[id], size)) moved = true;
    }
    for (int id = 1; id < MACHINES; id++) me_parts_release(&parts[id]);
}

static void add_whole(struct me_assembly *assembly, int id)
{
    struct me_buffer record = ME_BUFFER_INIT;
    struct me_error err = {0};
    rich_record_put(&record, &records[id]);
    /* That there is no room is told by the finish too. */
    if (me_assembly_add(assembly, id, record.data, record.len, &err))
        assert_non_null(strstr(err.text, "No space"));
    me_buffer_release(&record);
}

/* A file's bytes, with the seconds of its making blanked. */
static char *read_result(size_t *len, const struct me_result *result)
{
    char *bytes = slurp(in_dir("exp/exp.h5"), len);
    for (char *at = bytes; (at = memmem(at, *len - (size_t)(at - bytes), result->created_utc, 20));)
        memset(at, '-', 20);
    return bytes;
}

static void gather_and_recovery_give_the_same_file(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_result result;
    size_t n, m;
    make_plan(&plan);
    struct me_assembly *assembly = begin(&plan, false);
    take_in_turn(assembly, &plan, 777);
    finish(assembly, &result);
    char *gathered = read_result(&n, &result);
    assert_int_equal(result.machine_count, MACHINES - 1);
    assert_int_equal(result.machines[0].machine_id, 1); /* the plan's order, not that of coming */
    assert_string_equal(result.status, "complete");
    assert_int_equal(result.series_count, 0);
    me_result_release(&result);
    assembly = begin(&plan, false);
    for (int id = 2; id != 5; id++) add_whole(assembly, id == 4 ? 1 : id);
    finish(assembly, &result);
    char *recovered = read_result(&m, &result);
    assert_int_equal(n, m);
    assert_memory_equal(gathered, recovered, n);
    me_result_release(&result);
    free(gathered);
    free(recovered);
    size_t len;
    char *log = slurp(in_dir("exp/logs/machine1-repeat2.out"), &len);
    assert_string_equal(log, "one\n");
    free(log);
    assert_int_equal(count_entries(in_dir("exp")), 2); /* the result and the logs: no lock, nothing else */
    me_plan_release(&plan);
}

/* As evaluated here from the record, number by number. */
static void the_series_are_those_of_the_record(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_result result, expected = {0};
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record;
    make_plan(&plan);
    rich_record_put(&bytes, &records[1]);
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
    assert_int_equal(me_result_add(&expected, &plan.machines[1], &record, 0, NULL), 0);
    struct me_assembly *assembly = begin(&plan, false);
    take_in_turn(assembly, &plan, ME_PART_COUNT);
    finish(assembly, &result);
    me_result_release(&result);
    assert_int_equal(me_store_read(in_dir("exp/exp.h5"), true, &result, NULL), 0);
    assert_int_equal(result.series_count, 9);
    for (size_t i = 0; i < 3; i++) {
        const struct me_result_series *a = &result.series[i], *b = &expected.series[i];
        assert_int_equal(a->machine_id, 1);
        assert_int_equal(a->repeat, b->repeat);
        assert_int_equal(a->samples, b->samples);
        assert_memory_equal(a->unix_ns, b->unix_ns, a->samples * sizeof *a->unix_ns);
        assert_memory_equal(a->values, b->values, a->samples * 2 * sizeof *a->values);
        assert_memory_equal(a->states, b->states, a->samples * 2);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(&result.repeats[i].energy_j, &expected.repeats[i].energy_j, sizeof(double));
        assert_memory_equal(&result.regions[i % 2].energy_j, &expected.regions[i % 2].energy_j,
                            sizeof(double));
    }
    me_result_release(&result);
    me_result_release(&expected);
    me_record_release(&record);
    me_buffer_release(&bytes);
    me_plan_release(&plan);
}

/* Repeats are numbered behind those that are there at the finish, not those at the begin. */
static void what_is_appended_is_numbered_at_the_end(void **state)
{
    (void)state;
    struct me_plan plan, other;
    struct me_result result;
    make_plan(&plan);
    make_plan(&other);
    struct me_assembly *assembly = begin(&plan, true), *first = begin(&other, true);
    take_in_turn(assembly, &plan, 4096);
    take_in_turn(first, &other, 4096);
    finish(first, &result);
    me_result_release(&result);
    finish(assembly, &result);
    int last = 0;
    for (size_t i = 0; i < result.repeat_count; i++)
        if (result.repeats[i].repeat > last) last = result.repeats[i].repeat;
    assert_int_equal(last, 4);
    assert_int_equal(result.machine_count, MACHINES - 1);
    me_result_release(&result);
    assert_int_equal(me_store_read(in_dir("exp/exp.h5"), true, &result, NULL), 0);
    assert_int_equal(result.series_count, 15); /* 4 repeats and one idle phase a machine */
    assert_int_equal(result.series[4].repeat, 4);
    assert_memory_equal(result.series[4].values, result.series[2].values, 3000 * 2 * sizeof(double));
    me_result_release(&result);
    assert_int_equal(access(in_dir("exp/logs/machine1-repeat4.out"), F_OK), 0);
    me_plan_release(&plan);
    me_plan_release(&other);
}

/* Two that both meant to be the first: the second is told, and overwrites nothing. */
static void nothing_is_overwritten(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_result result;
    struct me_error err = {0};
    size_t before, after;
    make_plan(&plan);
    struct me_assembly *first = begin(&plan, false), *second = begin(&plan, false);
    add_whole(first, 1);
    add_whole(second, 2);
    finish(first, &result);
    me_result_release(&result);
    char *old = slurp(in_dir("exp/exp.h5"), &before);
    assert_int_equal(me_assembly_finish(second, false, &result, &err), -1);
    assert_non_null(strstr(err.text, "another run made it meanwhile"));
    me_assembly_release(second);
    char *now = slurp(in_dir("exp/exp.h5"), &after);
    assert_int_equal(before, after);
    assert_memory_equal(old, now, before);
    assert_int_equal(count_entries(in_dir("exp")), 2);
    free(old);
    free(now);
    me_plan_release(&plan);
}

static void who_is_lost_on_the_way_keeps_its_rows(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_result result;
    struct me_parts parts;
    make_plan(&plan);
    struct me_assembly *assembly = begin(&plan, false);
    add_whole(assembly, 1);
    make_parts(&plan, 2, &parts);
    me_assembly_take(assembly, 2, ME_PART_ROWS, parts.part[0].data, parts.part[0].len, true, NULL);
    me_assembly_take(assembly, 2, ME_PART_SERIES, parts.part[1].data, 100, false, NULL);
    me_parts_release(&parts);
    me_assembly_take(assembly, 3, ME_PART_ROWS, "ME-ROWS?", 8, false, NULL);
    finish(assembly, &result);
    assert_string_equal(result.status, "failed");
    assert_string_equal(result.machines[0].status, "ok");
    assert_string_equal(result.machines[1].status, "lost");
    assert_string_equal(result.machines[1].reason, "its record was cut off");
    assert_string_equal(result.machines[2].status, "lost");
    assert_int_equal(plan.machines[2].status, ME_STATUS_LOST);
    size_t rows = 0;
    for (size_t i = 0; i < result.repeat_count; i++) rows += result.repeats[i].machine_id == 2;
    assert_int_equal(rows, 3);
    me_result_release(&result);
    assert_int_equal(me_store_read(in_dir("exp/exp.h5"), true, &result, NULL), 0);
    assert_int_equal(result.series_count, 3); /* those of machine 1 */
    me_result_release(&result);
    me_plan_release(&plan);
}

static void rows_of_another_machine_are_refused(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_result result;
    struct me_parts parts;
    make_plan(&plan);
    struct me_assembly *assembly = begin(&plan, false);
    make_parts(&plan, 2, &parts);
    for (int i = 0; i < ME_PART_COUNT; i++)
        me_assembly_take(assembly, 3, (enum me_part)i, parts.part[i].data, parts.part[i].len, true, NULL);
    me_parts_release(&parts);
    finish(assembly, &result);
    assert_string_equal(result.machines[2].status, "lost");
    assert_non_null(strstr(result.machines[2].reason, "of other machines"));
    assert_int_equal(result.repeat_count, 0);
    me_result_release(&result);
    me_plan_release(&plan);
}

/* Several jobs append at once: every repeat is there once, in a row, and nothing is left. */
static void several_processes_append_at_once(void **state)
{
    (void)state;
    enum { PROCESSES = 4, ROUNDS = 6 };
    for (int p = 0; p < PROCESSES; p++) {
        if (fork()) continue;
        for (int i = 0; i < ROUNDS; i++) {
            struct me_plan plan;
            struct me_result result;
            struct me_error err = {0};
            make_plan(&plan);
            struct me_assembly *assembly = begin(&plan, true);
            add_whole(assembly, 2);
            if (me_assembly_finish(assembly, false, &result, &err)) _exit(1);
            me_assembly_release(assembly);
            me_result_release(&result);
            me_plan_release(&plan);
        }
        _exit(0);
    }
    int status;
    for (int p = 0; p < PROCESSES; p++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    struct me_result result;
    assert_int_equal(me_store_read(in_dir("exp/exp.h5"), true, &result, NULL), 0);
    enum { ALL = PROCESSES * ROUNDS * 2 };
    bool seen[ALL + 1] = {0};
    for (size_t i = 0; i < result.repeat_count; i++) {
        int number = result.repeats[i].repeat;
        if (strcmp(result.repeats[i].phase, "run")) continue;
        assert_true(number >= 1 && number <= ALL && !seen[number]);
        seen[number] = true;
    }
    for (int i = 1; i <= ALL; i++) assert_true(seen[i]);
    assert_int_equal(result.series_count, ALL + 1);
    me_result_release(&result);
    assert_int_equal(count_entries(in_dir("exp")), 2);
}

/* One more experiment's worth onto a disk with so many KiB taken. Returns whether it had room. */
static bool append_beside(int ballast_kib, size_t *bytes)
{
    struct me_plan plan;
    struct me_result result = {0};
    struct me_error err = {0};
    size_t before, after;
    char *old = slurp(in_dir("exp/exp.h5"), &before);
    FILE *ballast = fopen(in_dir("exp/ballast"), "w");
    for (int i = 0; i < ballast_kib * 1024; i++) fputc('x', ballast);
    fclose(ballast);
    make_plan(&plan);
    struct me_assembly *assembly = begin(&plan, true);
    for (int id = 1; id < MACHINES; id++) add_whole(assembly, id);
    bool done = !me_assembly_finish(assembly, false, &result, &err);
    me_assembly_release(assembly);
    me_result_release(&result);
    me_plan_release(&plan);
    unlink(in_dir("exp/ballast"));
    char *now = slurp(in_dir("exp/exp.h5"), &after);
    if (!done) {
        assert_int_equal(err.code, ME_E_RUN);
        if (!strstr(err.text, "exp.h5: cannot write: No space left on device; make room"))
            fail_msg("%s", err.text);
        assert_int_equal(before, after);
        assert_memory_equal(old, now, before);
    }
    assert_int_equal(count_entries(in_dir("exp")), 2);
    *bytes = after;
    free(old);
    free(now);
    return done;
}

static void begin_small(void)
{
    struct me_plan plan;
    struct me_result result;
    make_plan(&plan);
    struct me_assembly *assembly = begin(&plan, false);
    add_whole(assembly, 2);
    finish(assembly, &result);
    me_result_release(&result);
    me_plan_release(&plan);
}

/* The disk fills up at this point or that: one line, the old result untouched, nothing left. */
static void a_full_disk_leaves_the_old_result(void **state)
{
    (void)state;
    enum { DISK_KIB = 1024, STEP_KIB = 24 };
    size_t done = 0, failed = 0, size = 0, small;
    if (mount("tmpfs", in_dir("exp"), "tmpfs", 0, "size=1024k")) {
        print_message("mount: %s: the full disk needs root\n", strerror(errno));
        skip();
    }
    assert_int_equal(mkdir(in_dir("exp/logs"), 0700), 0);
    for (int taken = DISK_KIB - STEP_KIB; taken > 0 && !done; taken -= STEP_KIB) {
        begin_small();
        free(slurp(in_dir("exp/exp.h5"), &small));
        if (append_beside(taken - (int)(small >> 10), &size))
            done++;
        else
            failed++;
    }
    umount2(in_dir("exp"), MNT_DETACH);
    assert_int_equal(done, 1);
    assert_true(failed > size / 1024 / STEP_KIB); /* as parts came, and as the file was written */
}

/* An experiment of machines 1 and 2, whose series stay apart: `sees` the head's folder, or not. */
static void keep_apart(struct me_plan *plan, bool sees, uint64_t limit, struct me_result *result)
{
    struct me_error err = {0};
    char folder[512];
    snprintf(folder, sizeof folder, "%s", in_dir("exp"));
    const struct me_series_place place = {
        .local = !limit, .limit = limit, .folder = folder, .run_id = "0123456789abcdef"};
    if (sees) assert_int_equal(me_series_place_show(&place, &err), 0);
    struct me_assembly *assembly = begin(plan, true);
    for (int id = 1; id <= 2; id++) {
        struct me_buffer record = ME_BUFFER_INIT;
        struct me_parts parts;
        rich_record_put(&record, &records[id]);
        assert_int_equal(me_parts_make(&plan->machines[id], record.data, record.len, &place, &parts, &err),
                         0);
        for (int i = 0; i < ME_PART_COUNT; i++)
            me_assembly_take(assembly, id, (enum me_part)i, parts.part[i].data, parts.part[i].len, true,
                             NULL);
        me_parts_release(&parts);
        me_buffer_release(&record);
    }
    me_series_place_hide(&place);
    finish(assembly, result);
}

static void series_may_stay_in_the_folder(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_result result, gathered;
    make_plan(&plan);
    keep_apart(&plan, true, 0, &result);
    assert_string_equal(result.machines[0].series_file, "series/machine1-0123456789abcdef.h5");
    me_result_release(&result);
    assert_int_equal(count_entries(in_dir("exp/series")), 2);
    assert_int_equal(count_entries(in_dir("exp")), 3);
    struct me_assembly *assembly = begin(&plan, true); /* behind links come series, and the other way round */
    add_whole(assembly, 1);
    finish(assembly, &result);
    me_result_release(&result);
    assert_int_equal(me_store_read(in_dir("exp/exp.h5"), true, &gathered, NULL), 0);
    assert_int_equal(gathered.series_count, 8);
    for (int i = 0; i < 2; i++) /* of machine 1 repeats 1 and 2 are those of 3 and 4 */
        assert_memory_equal(gathered.series[1 + i].values, gathered.series[3 + i].values,
                            6000 * sizeof(double));
    me_result_release(&gathered);
    me_plan_release(&plan);
}

/* The file is not where the result looks for it until somebody copies it there. */
static void series_may_stay_on_their_machine(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_result result;
    struct me_error err = {0};
    char from[700], command[1600];
    make_plan(&plan);
    setenv("XDG_STATE_HOME", dir, 1);
    keep_apart(&plan, false, 20000, &result); /* that of machine 2 is smaller, and comes along */
    snprintf(from, sizeof from, "host1:%s/machine-energy/machine1-0123456789abcdef.h5", dir);
    assert_string_equal(result.machines[0].series_file, from);
    assert_string_equal(result.machines[1].series_file, "");
    me_result_release(&result);
    assert_int_equal(count_entries(in_dir("exp")), 2);
    assert_int_equal(me_store_read(in_dir("exp/exp.h5"), false, &result, NULL), 0); /* a report needs none */
    me_result_release(&result);
    assert_int_equal(me_store_read(in_dir("exp/exp.h5"), true, &result, &err), -1);
    if (!strstr(err.text, "/series/1/0 are in series/machine1-0123456789abcdef.h5, which is not there"))
        fail_msg("%s", err.text);
    struct me_assembly *assembly = begin(&plan, true); /* nor does --append */
    add_whole(assembly, 2);
    finish(assembly, &result);
    me_result_release(&result);
    snprintf(command, sizeof command, "mkdir %s/exp/series && cp %s %s/exp/series", dir, from + 6, dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(me_store_read(in_dir("exp/exp.h5"), true, &result, NULL), 0);
    assert_int_equal(result.series_count, 8);
    assert_int_equal(result.series[1].samples, 3000);
    me_result_release(&result);
    me_plan_release(&plan);
    unsetenv("XDG_STATE_HOME");
}

static void a_message_of_rows_comes_back(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_parts parts;
    struct me_result rows;
    struct me_buffer again = ME_BUFFER_INIT;
    struct me_error err = {0};
    make_plan(&plan);
    make_parts(&plan, 1, &parts);
    struct me_buffer *bytes = &parts.part[ME_PART_ROWS];
    assert_int_equal(me_message_decode(bytes->data, bytes->len, &rows, NULL), 0);
    me_message_encode(&rows, &again);
    assert_int_equal(bytes->len, again.len);
    assert_memory_equal(bytes->data, again.data, again.len);
    me_result_release(&rows);
    for (size_t i = 0; i < bytes->len; i += 13) { /* no bit of it may change */
        bytes->data[i] = (char)(bytes->data[i] ^ 4);
        assert_int_equal(me_message_decode(bytes->data, bytes->len, &rows, &err), -1);
        assert_int_equal(err.code, ME_E_INPUT);
        bytes->data[i] = (char)(bytes->data[i] ^ 4);
    }
    for (size_t len = 0; len < bytes->len; len += 29)
        assert_int_equal(me_message_decode(bytes->data, len, &rows, NULL), -1);
    bytes->data[7] = 2;
    assert_int_equal(me_message_decode(bytes->data, bytes->len, &rows, &err), -1);
    assert_non_null(strstr(err.text, "version 2"));
    me_parts_release(&parts);
    me_buffer_release(&again);
    me_plan_release(&plan);
}

int main(void)
{
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_DIR(gather_and_recovery_give_the_same_file),
        IN_DIR(the_series_are_those_of_the_record),
        IN_DIR(what_is_appended_is_numbered_at_the_end),
        IN_DIR(who_is_lost_on_the_way_keeps_its_rows),
        IN_DIR(rows_of_another_machine_are_refused),
        IN_DIR(several_processes_append_at_once),
        IN_DIR(a_full_disk_leaves_the_old_result),
        IN_DIR(a_message_of_rows_comes_back),
        IN_DIR(nothing_is_overwritten),
        IN_DIR(series_may_stay_in_the_folder),
        IN_DIR(series_may_stay_on_their_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
