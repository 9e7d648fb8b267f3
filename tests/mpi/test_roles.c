/* Who measures what: one rank a boot id, whatever names and containers a machine has. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "me_cmocka.h"
#include "../../src/bench/bench.h"

static struct me_hello hello(int id, const char *boot_id, const char *host)
{
    struct me_hello h = {.machine_id = id};
    snprintf(h.boot_id, sizeof h.boot_id, "%s", boot_id);
    snprintf(h.host, sizeof h.host, "%s", host);
    return h;
}

/* A plan as `me hosts` writes it: machine 0 and machines 1..n, all ready. */
static void make_plan(struct me_plan *plan, int remote, bool run_local)
{
    *plan = (struct me_plan){.from_hostfile = true, .run_local = run_local, .count = (size_t)remote + 1};
    plan->machines = calloc(plan->count, sizeof *plan->machines);
    for (int i = 0; i <= remote; i++) {
        plan->machines[i].id = i;
        plan->machines[i].pue = plan->machines[i].grid_g_per_kwh = NAN;
        snprintf(plan->machines[i].name, sizeof plan->machines[i].name, "name%d", i);
    }
}

static void each_rank_gets_its_machine(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_role roles[3];
    make_plan(&plan, 2, false);
    /* The agent's word goes over the order of the ranks. */
    struct me_hello hellos[] = {hello(-1, "h", "head"), hello(2, "b", "b"), hello(1, "a", "a")};
    assert_int_equal(me_roles_assign(&plan, hellos, 3, roles, NULL), 0);
    assert_int_equal(roles[0].machine_id, -1);
    assert_int_equal(roles[1].machine_id, 2);
    assert_int_equal(roles[2].machine_id, 1);
    assert_int_equal(roles[0].machine_count, 2);
    me_plan_release(&plan);
}

static void order_serves_where_no_agent_spoke(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_role roles[3];
    make_plan(&plan, 3, true);
    plan.machines[1].status = ME_STATUS_SKIPPED; /* not in the hostfile: rank 1 is machine 2 */
    struct me_hello hellos[] = {hello(-1, "h", "head"), hello(-1, "b", "b"), hello(-1, "c", "c")};
    assert_int_equal(me_roles_assign(&plan, hellos, 3, roles, NULL), 0);
    assert_int_equal(roles[0].machine_id, 0);
    assert_int_equal(roles[1].machine_id, 2);
    assert_int_equal(roles[2].machine_id, 3);
    assert_int_equal(plan.machines[1].status, ME_STATUS_SKIPPED);
    me_plan_release(&plan);
}

static void two_names_are_one_machine(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_role roles[4];
    make_plan(&plan, 3, true);
    struct me_hello hellos[] = {hello(-1, "h", "head"), hello(1, "a", "a"), hello(2, "a", "alias-of-a"),
                                hello(3, "h", "container")};
    assert_int_equal(me_roles_assign(&plan, hellos, 4, roles, NULL), 0);
    assert_int_equal(roles[0].machine_id, 0);
    assert_int_equal(roles[1].machine_id, 1);
    assert_int_equal(roles[2].machine_id, -1);
    assert_int_equal(roles[3].machine_id, -1);
    assert_int_equal(roles[0].machine_count, 2);
    assert_int_equal(plan.machines[2].status, ME_STATUS_DUPLICATE);
    assert_non_null(strstr(plan.machines[2].reason, "name1"));
    assert_int_equal(plan.machines[3].status, ME_STATUS_DUPLICATE);
    assert_non_null(strstr(plan.machines[3].reason, "name0"));
    me_plan_release(&plan);
}

static void a_machine_without_a_rank_is_lost(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_role roles[2];
    make_plan(&plan, 2, false);
    struct me_hello hellos[] = {hello(-1, "h", "head"), hello(2, "b", "b")};
    assert_int_equal(me_roles_assign(&plan, hellos, 2, roles, NULL), 0);
    assert_int_equal(plan.machines[1].status, ME_STATUS_LOST);
    assert_int_equal(plan.machines[2].status, ME_STATUS_OK);
    assert_int_equal(plan.machines[0].status, ME_STATUS_OK); /* the head only leads */
    me_plan_release(&plan);
}

static void an_allocation_is_a_machine_a_node(void **state)
{
    (void)state;
    struct me_plan plan = {0};
    struct me_role roles[5];
    struct me_hello hellos[] = {hello(-1, "a", "n1"), hello(-1, "a", "n1"), hello(-1, "b", "n2"),
                                hello(-1, "b", "n2"), hello(-1, "c", "n3")};
    assert_int_equal(me_roles_assign(&plan, hellos, 5, roles, NULL), 0);
    static const int expected[] = {0, -1, 1, -1, 2};
    for (int r = 0; r < 5; r++) assert_int_equal(roles[r].machine_id, expected[r]);
    assert_int_equal(plan.count, 3);
    assert_string_equal(plan.machines[1].name, "n2");
    assert_true(isnan(plan.machines[1].grid_g_per_kwh));
    me_plan_release(&plan);
}

static void hidden_boot_ids_go_by_host(void **state)
{
    (void)state;
    struct me_plan plan = {0};
    struct me_role roles[3];
    struct me_hello hellos[] = {hello(-1, "", "n1"), hello(-1, "", "n2"), hello(-1, "", "n1")};
    assert_int_equal(me_roles_assign(&plan, hellos, 3, roles, NULL), 0);
    assert_int_equal(roles[1].machine_id, 1);
    assert_int_equal(roles[2].machine_id, -1);
    me_plan_release(&plan);
}

static void nobody_measuring_is_an_error(void **state)
{
    (void)state;
    struct me_plan plan;
    struct me_role roles[1];
    struct me_error err = {0};
    make_plan(&plan, 0, false);
    struct me_hello hellos[] = {hello(-1, "h", "head")};
    assert_int_equal(me_roles_assign(&plan, hellos, 1, roles, &err), -1);
    assert_int_equal(err.code, ME_E_INPUT);
    assert_non_null(strstr(err.text, "run_local"));
    me_plan_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rank_gets_its_machine),
        cmocka_unit_test(order_serves_where_no_agent_spoke),
        cmocka_unit_test(two_names_are_one_machine),
        cmocka_unit_test(a_machine_without_a_rank_is_lost),
        cmocka_unit_test(an_allocation_is_a_machine_a_node),
        cmocka_unit_test(hidden_boot_ids_go_by_host),
        cmocka_unit_test(nobody_measuring_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
