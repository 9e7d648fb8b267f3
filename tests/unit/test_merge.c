/* A run's rows into a result that has a part of them: what stays, what gives way, which numbers they get. */
#include "../../src/assemble/merge.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "me/assembly.h"
#include "me_cmocka.h"

static void test_sets(void **state)
{
    (void)state;
    static const struct {
        const char *set;
        int has[4], lacks[4];
    } cases[] = {
        {"", {0}, {1, 2, 100}},
        {"1", {1}, {2, 11}},
        {"1-3,5", {1, 2, 3, 5}, {4, 6, 15}},
        {"all", {1, 99}, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int k = 0; k < 4; k++) {
            if (cases[i].has[k]) assert_true(me_repeats_has(cases[i].set, cases[i].has[k]));
            if (cases[i].lacks[k]) assert_false(me_repeats_has(cases[i].set, cases[i].lacks[k]));
        }
    const bool some[] = {true, true, false, true, false}, all[] = {true, true, true}, none[] = {false, false};
    char set[16], small[4];
    me_repeats_put(some, 5, set, sizeof set);
    assert_string_equal(set, "1-2,4");
    me_repeats_put(all, 3, set, sizeof set);
    assert_string_equal(set, "all");
    me_repeats_put(none, 2, set, sizeof set);
    assert_string_equal(set, "");
    me_repeats_put(some, 5, small, sizeof small); /* what has no room is measured again */
    assert_string_equal(small, "1-2");
}

static void add_machine(struct me_result *result, int id, const char *boot_id, const char *status,
                        const char *reason)
{
    result->machines = realloc(result->machines, (result->machine_count + 1) * sizeof *result->machines);
    struct me_row_machine *row = &result->machines[result->machine_count++];
    *row = (struct me_row_machine){.machine_id = id, .grid_gco2_per_kwh = 100, .pue = 1};
    snprintf(row->name, sizeof row->name, "m%d", id);
    snprintf(row->boot_id, sizeof row->boot_id, "%s", boot_id);
    snprintf(row->status, sizeof row->status, "%s", status);
    snprintf(row->reason, sizeof row->reason, "%s", reason);
    if (!boot_id[0]) return;
    snprintf(row->host, sizeof row->host, "host%d", id);
    result->channels = realloc(result->channels, (result->channel_count + 1) * sizeof *result->channels);
    result->channels[result->channel_count] = (struct me_row_channel){.machine_id = id, .counted = 1};
    strcpy(result->channels[result->channel_count++].channel, "package-0");
}

static void add_run(struct me_result *result, int id, int repeat, int64_t start_ns, double energy_j,
                    const char *note)
{
    result->repeats = realloc(result->repeats, (result->repeat_count + 1) * sizeof *result->repeats);
    struct me_row_repeat *row = &result->repeats[result->repeat_count++];
    *row = (struct me_row_repeat){
        .machine_id = id, .repeat = repeat, .start_unix_ns = start_ns, .energy_j = energy_j};
    strcpy(row->phase, "run");
    snprintf(row->note, sizeof row->note, "%s", note);
    result->energies = realloc(result->energies, (result->energy_count + 1) * sizeof *result->energies);
    struct me_row_energy *energy = &result->energies[result->energy_count++];
    *energy = (struct me_row_energy){.machine_id = id, .repeat = repeat, .energy_j = energy_j};
    strcpy(energy->phase, "run");
    strcpy(energy->channel, "package-0");
}

static struct me_result make(void)
{
    struct me_result result = {.command = strdup("work"), .plan_json = strdup("{}")};
    strcpy(result.workload, "command");
    return result;
}

static const struct me_row_repeat *find(const struct me_result *result, int id, int repeat)
{
    const struct me_row_repeat *found = NULL;
    for (size_t i = 0; i < result->repeat_count; i++) {
        if (result->repeats[i].machine_id != id || result->repeats[i].repeat != repeat) continue;
        assert_null(found); /* each once */
        found = &result->repeats[i];
    }
    return found;
}

static void merge_all(struct me_result *base, struct me_result *fresh, struct me_merge *merge)
{
    struct me_error err = {0};
    if (me_merge(base, fresh, merge, &err)) fail_msg("%s", err.text);
}

/* Machine 1 is whole, 2 was lost, 3 was cut off in its second repeat, and 4 tells nothing now. */
static void test_what_was_missing_comes(void **state)
{
    (void)state;
    struct me_result base = make(), fresh = make();
    int shifted = 0;
    struct me_merge merge = {.first_repeat = 0, .shifted = &shifted};
    add_machine(&base, 1, "b1", "ok", "");
    add_machine(&base, 2, "", "lost", "no record came back");
    add_machine(&base, 3, "b3", "interrupted", "stopped");
    add_machine(&base, 4, "b4", "ok", "");
    add_run(&base, 1, 1, 100, 10, "");
    add_run(&base, 3, 1, 100, 30, "");
    add_run(&base, 3, 2, 200, 15, "interrupted; and more");
    add_run(&base, 4, 1, 100, 40, "");
    add_machine(&fresh, 1, "b1", "interrupted", "recovered");
    add_machine(&fresh, 2, "b2", "interrupted", "recovered");
    add_machine(&fresh, 3, "other", "ok", ""); /* it was restarted */
    add_machine(&fresh, 4, "", "lost", "nothing came");
    add_run(&fresh, 1, 1, 100, 10, "");
    add_run(&fresh, 2, 1, 100, 20, "");
    add_run(&fresh, 3, 2, 300, 31, "");
    merge_all(&base, &fresh, &merge);
    assert_int_equal(base.repeat_count, 5);
    assert_int_equal(base.energy_count, 5);
    assert_true(find(&base, 2, 1)->energy_j == 20 && find(&base, 3, 1)->energy_j == 30);
    assert_true(find(&base, 3, 2)->energy_j == 31 && !find(&base, 3, 2)->note[0]);
    static const char *const statuses[] = {"ok", "interrupted", "ok", "ok"};
    for (int i = 0; i < 4; i++) assert_string_equal(base.machines[i].status, statuses[i]);
    assert_string_equal(base.machines[1].reason, "recovered");
    assert_string_equal(base.machines[2].boot_id, "other");
    assert_int_equal(merge.drop_count, 1);
    assert_int_equal(merge.drops[0].machine_id, 3);
    assert_int_equal(merge.drops[0].repeat, 2);
    free(merge.drops);
    me_result_release(&base);
    me_result_release(&fresh);
}

/* A run that was appended behind three others: the numbers are told, or seen by what both have, or the next ones. */
static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        int first_repeat;
        bool both;
        int expected;
    } cases[] = {{3, false, 4}, {-1, true, 4}, {-1, false, 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_result base = make(), fresh = make();
        int shifted = 0;
        struct me_merge merge = {.first_repeat = cases[i].first_repeat, .shifted = &shifted};
        add_machine(&base, 1, "b1", "ok", "");
        add_machine(&base, 2, "", "lost", "");
        add_run(&base, 1, 1, 100, 10, "");
        add_run(&base, 1, 4, 400, 10, "");
        add_machine(&fresh, 2, "b2", "ok", "");
        add_run(&fresh, 2, 1, 401, 20, "");
        if (cases[i].both) {
            add_machine(&fresh, 1, "b1", "ok", "");
            add_run(&fresh, 1, 1, 400, 10, "");
        }
        merge_all(&base, &fresh, &merge);
        assert_int_equal(base.repeat_count, 3);
        assert_non_null(find(&base, 2, cases[i].expected));
        assert_int_equal(shifted, cases[i].expected - 1);
        free(merge.drops);
        me_result_release(&base);
        me_result_release(&fresh);
    }
}

/* A repeat that failed has failed, also when the rest is well; and what is whole already is not touched. */
static void test_failed_stays(void **state)
{
    (void)state;
    struct me_result base = make(), fresh = make();
    int shifted = 0;
    struct me_merge merge = {.first_repeat = 0, .shifted = &shifted};
    add_machine(&base, 1, "b1", "failed", "repeat 1: exit status 3");
    add_run(&base, 1, 1, 100, 10, "");
    add_machine(&fresh, 1, "b1", "ok", "");
    add_run(&fresh, 1, 2, 200, 11, "");
    merge_all(&base, &fresh, &merge);
    assert_string_equal(base.machines[0].status, "failed");
    assert_int_equal(base.repeat_count, 2);
    assert_int_equal(merge.drop_count, 0);
    free(merge.drops);
    me_result_release(&fresh);
    struct me_result other = make();
    strcpy(other.workload, "gemm");
    merge = (struct me_merge){.first_repeat = 0, .shifted = &shifted};
    struct me_error err = {0};
    assert_int_equal(me_merge(&base, &other, &merge, &err), -1);
    assert_int_equal(base.repeat_count, 2);
    free(merge.drops);
    me_result_release(&base);
    me_result_release(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_what_was_missing_comes),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_failed_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
