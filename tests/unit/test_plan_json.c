#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h" /* wants the four above before it */

#include "me/plan.h"
#include "me_cmocka.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void fill_machine(struct me_plan_machine *m, int id)
{
    *m = (struct me_plan_machine){
        .id = id, .country = "DEU", .grid_g_per_kwh = 1.0 / 3.0, .pue = 1.1, .status = ME_STATUS_OK};
    snprintf(m->name, sizeof m->name, "machine \"%d\"\n\\ \xc3\xa4", id);
    snprintf(m->alias, sizeof m->alias, "me-%04d", id);
    snprintf(m->region, sizeof m->region, "aws:eu-central-1");
    snprintf(m->grid_source, sizeof m->grid_source, "countries: DE 2024, life-cycle");
}

static void fill_plan(struct me_plan *plan)
{
    *plan = (struct me_plan){.repeats = 3,
                             .warmup = 1,
                             .idle_s = 0.1,
                             .cooldown_s = 2.5,
                             .sample_hz = 1000,
                             .timeout_s = 1e-3,
                             .run_local = true,
                             .from_hostfile = true};
    strcpy(plan->experiment, "exp1");
    strcpy(plan->run_id, "0123456789abcdef");
    strcpy(plan->workload, "command");
    strcpy(plan->sources, "powercap,model");
    strcpy(plan->function, "models/train.py:main");
    strcpy(plan->args, "{\"epochs\": 3, \"name\": \"\\u00e4\\n\"}");
    strcpy(plan->python, "/opt/venv");
    strcpy(plan->with, "data\n../b c");
    strcpy(plan->region, "train");
    plan->samples = 5000;
    plan->command[0] = strdup("./solver");
    plan->command[1] = strdup("");
    plan->command[2] = strdup("tab\t quote\" \x01 \xf0\x9f\x98\x80");
    plan->count = 3;
    plan->machines = calloc(3, sizeof *plan->machines);
    for (int i = 0; i < 3; i++) fill_machine(&plan->machines[i], i * 7);
    plan->machines[1].grid_g_per_kwh = NAN;
    plan->machines[1].pue = NAN;
    strcpy(plan->machines[1].python, "~/venvs/keras");
    plan->machines[1].status = ME_STATUS_SKIPPED;
    strcpy(plan->machines[1].reason, "connection refused");
    plan->machines[2].status = ME_STATUS_LOST;
    plan->job = (struct me_batch_job)ME_BATCH_JOB_UNKNOWN;
    for (int i = 0; i < 3; i++) plan->machines[i].node = (struct me_batch_node)ME_BATCH_NODE_UNKNOWN;
    strcpy(plan->job.id, "4711");
    strcpy(plan->job.nodes, "n[1-3]");
    strcpy(plan->job.array_task, "7");
    plan->job.restarts = 2;
    plan->job.kill_wait_s = 30;
    plan->job.before_unix_s = 1796079140.840209;
    strcpy(plan->machines[1].node.node, "n2");
    strcpy(plan->machines[1].node.cpus, "0-3,8");
    plan->machines[1].node.cpu_count = 5;
    plan->machines[1].node.sharing = ME_SHARING_SEEN;
    strcpy(plan->machines[1].node.shared_with, "4709");
    plan->machines[1].node.power_w = 50;
    plan->strip_env = calloc(2, sizeof *plan->strip_env);
    plan->strip_env[0] = strdup("ME_PASSWORD_1");
    plan->strip_env[1] = strdup("PW2");
    plan->strip_count = 2;
}

static bool same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static void assert_same_machine(const struct me_plan_machine *a, const struct me_plan_machine *b)
{
    assert_int_equal(a->id, b->id);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->alias, b->alias);
    assert_string_equal(a->country, b->country);
    assert_string_equal(a->region, b->region);
    assert_true(same_number(a->grid_g_per_kwh, b->grid_g_per_kwh));
    assert_string_equal(a->grid_source, b->grid_source);
    assert_true(same_number(a->pue, b->pue));
    assert_int_equal(a->status, b->status);
    assert_string_equal(a->reason, b->reason);
    assert_string_equal(a->python, b->python);
    assert_string_equal(a->node.node, b->node.node);
    assert_string_equal(a->node.cpus, b->node.cpus);
    assert_string_equal(a->node.shared_with, b->node.shared_with);
    assert_true(a->node.cpu_count == b->node.cpu_count && a->node.sharing == b->node.sharing);
    if (a->node.node[0]) assert_true(same_number(a->node.power_w, b->node.power_w));
}

static void assert_same(const struct me_plan *a, const struct me_plan *b)
{
    assert_string_equal(a->experiment, b->experiment);
    assert_string_equal(a->run_id, b->run_id);
    assert_string_equal(a->workload, b->workload);
    for (size_t i = 0; a->command[i] || b->command[i]; i++) assert_string_equal(a->command[i], b->command[i]);
    assert_true(a->repeats == b->repeats && a->warmup == b->warmup && a->idle_s == b->idle_s);
    assert_true(a->cooldown_s == b->cooldown_s && a->sample_hz == b->sample_hz &&
                a->timeout_s == b->timeout_s);
    assert_string_equal(a->sources, b->sources);
    assert_string_equal(a->function, b->function);
    assert_string_equal(a->args, b->args);
    assert_string_equal(a->python, b->python);
    assert_string_equal(a->with, b->with);
    assert_string_equal(a->region, b->region);
    assert_int_equal(a->samples, b->samples);
    assert_true(a->run_local == b->run_local && a->from_hostfile == b->from_hostfile);
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) assert_same_machine(&a->machines[i], &b->machines[i]);
    assert_string_equal(a->job.id, b->job.id);
    assert_string_equal(a->job.nodes, b->job.nodes);
    assert_string_equal(a->job.array_task, b->job.array_task);
    assert_int_equal(a->job.restarts, b->job.restarts);
    if (a->job.id[0]) assert_true(same_number(a->job.kill_wait_s, b->job.kill_wait_s));
    if (a->job.id[0]) assert_true(same_number(a->job.energy_after_j, b->job.energy_after_j));
    if (a->job.id[0]) assert_true(same_number(a->job.before_unix_s, b->job.before_unix_s));
    assert_int_equal(a->strip_count, b->strip_count);
    for (size_t i = 0; i < a->strip_count; i++) assert_string_equal(a->strip_env[i], b->strip_env[i]);
}

static void round_trip(void **state)
{
    (void)state;
    struct me_plan plan, back;
    struct me_buffer text = ME_BUFFER_INIT, again = ME_BUFFER_INIT;
    struct me_error err;
    fill_plan(&plan);
    assert_int_equal(me_plan_to_json(&plan, &text, &err), 0);
    if (me_plan_from_json(text.data, text.len, &back, &err)) fail_msg("%s", err.text);
    assert_same(&plan, &back);
    assert_int_equal(me_plan_to_json(&back, &again, &err), 0);
    assert_string_equal(text.data, again.data);
    assert_non_null(strstr(text.data, "\"grid_gco2_per_kwh\":\tnull"));
    me_buffer_release(&text);
    me_buffer_release(&again);
    me_plan_release(&plan);
    me_plan_release(&back);
    me_plan_release(NULL);
}

static void an_empty_plan_round_trips(void **state)
{
    (void)state;
    struct me_plan plan = {0}, back;
    struct me_buffer text = ME_BUFFER_INIT;
    struct me_error err;
    assert_int_equal(me_plan_to_json(&plan, &text, &err), 0);
    if (me_plan_from_json(text.data, text.len, &back, &err)) fail_msg("%s", err.text);
    assert_same(&plan, &back);
    me_plan_release(&back);
    me_buffer_release(&text);
}

static void the_longest_command_round_trips(void **state)
{
    (void)state;
    struct me_plan plan = {0}, back;
    struct me_buffer text = ME_BUFFER_INIT;
    struct me_error err;
    for (int i = 0; i < ME_PLAN_COMMAND_MAX; i++) plan.command[i] = strdup("w");
    assert_int_equal(me_plan_to_json(&plan, &text, &err), 0);
    if (me_plan_from_json(text.data, text.len, &back, &err)) fail_msg("%s", err.text);
    assert_same(&plan, &back);
    me_plan_release(&plan);
    me_plan_release(&back);
    me_buffer_release(&text);
}

/* A text of another machine that was cut within a character still makes valid JSON; a word of the
 * user's command is never changed. */
static void bytes_that_are_not_utf8(void **state)
{
    (void)state;
    struct me_plan plan, back;
    struct me_buffer text = ME_BUFFER_INIT;
    struct me_error err;
    fill_plan(&plan);
    strcpy(plan.machines[0].reason, "cut \xc3");
    assert_int_equal(me_plan_to_json(&plan, &text, &err), 0);
    assert_int_equal(me_plan_from_json(text.data, text.len, &back, &err), 0);
    assert_string_equal(back.machines[0].reason, "cut ");
    me_plan_release(&back);
    me_buffer_clear(&text);
    strcpy(plan.args, "[\"\xff\"]");
    assert_int_equal(me_plan_to_json(&plan, &text, &err), -1);
    assert_string_equal(err.text, "--args: not UTF-8 text");
    plan.args[0] = '\0';
    strcpy(plan.command[0], "\xff");
    assert_int_equal(me_plan_to_json(&plan, &text, &err), -1);
    assert_string_equal(err.text, "word 1 of the command is not UTF-8 text; put the command into a script");
    assert_int_equal(text.len, 0);
    me_plan_release(&plan);
    me_buffer_release(&text);
}

/* Replaces the first `from` of a good plan's text and expects the message. */
static void expect_refusal(const char *good, const char *from, const char *to, const char *message)
{
    const char *at = strstr(good, from);
    struct me_plan plan = {.repeats = 77};
    struct me_error err = {0};
    struct me_buffer text = ME_BUFFER_INIT;
    assert_non_null(at);
    me_buffer_append(&text, good, (size_t)(at - good));
    me_buffer_puts(&text, to);
    me_buffer_puts(&text, at + strlen(from));
    if (!me_plan_from_json(text.data, text.len, &plan, &err)) fail_msg("accepted: %s for %s", to, from);
    if (!strstr(err.text, message)) fail_msg("%s for %s: %s", to, from, err.text);
    assert_int_equal(plan.repeats, 77);
    me_buffer_release(&text);
}

static void strict(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *message;
    } table[] = {
        {"machine-energy plan", "another plan", "plan:2: format: not a plan"},
        {"\"format_version\":\t1", "\"format_version\":\t2", "plan:3: format_version: 2 is not"},
        {"\"repeats\":\t3,", "", "plan:1: no repeats"},
        {"\"repeats\":\t3", "\"repeats\":\t3, \"repaets\": 3", "repaets: unknown key; did you mean repeats?"},
        {"\"repeats\":\t3", "\"repeats\":\t3, \"repeats\": 3", "repeats: given twice"},
        {"\"repeats\":\t3", "\"repeats\":\t-3", "repeats: -3 is not a whole number from 0 to 1000000"},
        {"\"repeats\":\t3", "\"repeats\":\t3.5", "repeats: 3.5 is not a whole number"},
        {"\"repeats\":\t3", "\"repeats\":\tnull", "repeats: null where a value is needed"},
        {"\"repeats\":\t3", "\"repeats\":\t\"3\"", "repeats: text where a whole number is needed"},
        {"\"sample_hz\":\t1000", "\"sample_hz\":\t1001", "sample_hz: 1001 is not a number from 0 to 1000"},
        {"\"run_local\":\ttrue", "\"run_local\":\t1", "run_local: a number where true or false is needed"},
        {"\"run_id\":\t\"0", "\"run_id\":\t\"00", "run_id: longer than 16 bytes"},
        {"\"./solver\"", "5", "command: a number where text is needed"},
        {"\"DEU\"", "\"DEUT\"", "machines[0].country: longer than 3 bytes"},
        {"\"skipped\"", "\"gone\"", "machines[1].status: not a status"},
        {"\"machine_id\":\t7", "\"machine_id\":\t0", "machines: machine_id 0 is given twice"},
        {"\"pue\":\tnull", "\"pue\":\t0.5", "machines[1].pue: 0.5 is not a number from 1 to 10"},
        {"\"pue\":\tnull,", "", "machines[1]: no pue"},
        {"\"samples\":\t5000", "\"samples\":\t-1", "samples: -1 is not a whole number from 0"},
        {"\"region\":\t\"train\"", "\"region\":\t5",
         "region: a number where text in double quotes is needed"},
        {"\"region\":\t\"train\"", "\"region\":\t\"123456789012345678901234567890123456789012345678\"",
         "region: longer than 47 bytes"},
        {"\"args\":", "\"arg\":", "arg: unknown key; did you mean args?"},
        {"\"python\":\t\"/opt/venv\",", "", "no python"},
        {"ME_PASSWORD_1", "A=B", "strip_env: entry 1 is not a variable's name"},
        {"[\"ME_PASSWORD_1\", \"PW2\"]", "{}", "strip_env: an object where a list in [ ] is needed"},
        {"\"machines\":", "\"machines\":[],\"machines\":", "machines: given twice"},
    };
    struct me_plan plan;
    struct me_buffer text = ME_BUFFER_INIT;
    fill_plan(&plan);
    assert_int_equal(me_plan_to_json(&plan, &text, NULL), 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        expect_refusal(text.data, table[i].from, table[i].to, table[i].message);
    me_plan_release(&plan);
    me_buffer_release(&text);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct me_plan plan, back;
    struct me_buffer text = ME_BUFFER_INIT;
    fill_plan(&plan);
    assert_int_equal(me_plan_to_json(&plan, &text, NULL), 0);
    for (size_t len = 0; len + 2 < text.len; len++) { /* the last two bytes are } and a newline */
        char *cut = malloc(len ? len : 1);
        memcpy(cut, text.data, len);
        assert_int_equal(me_plan_from_json(cut, len, &back, NULL), -1);
        free(cut);
    }
    me_plan_release(&plan);
    me_buffer_release(&text);
}

static void arguments(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } table[] = {
        {"{}", NULL},
        {"[]", NULL},
        {" {\"epochs\": 3, \"rates\": [1e-3]} ", NULL},
        {"[1, \"a\", null]", NULL},
        {"3", "--args: 3 is neither an object of keywords nor an array; write [3]"},
        {"\"a\"", "neither an object"},
        {"null", "neither an object"},
        {"", "--args: '' is not JSON"},
        {"{epochs: 3}", "--args: {epochs: 3} is not JSON; quote it for the shell"},
        {"{} x", "is not JSON"},
        {"[1,]", "is not JSON"},
        {"{\"a\": 1", "is not JSON"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct me_error err = {.text = ""};
        int rc = me_config_check_args(table[i].text, &err);
        if (!rc != !table[i].message) fail_msg("'%s': %s", table[i].text, err.text);
        if (rc && !strstr(err.text, table[i].message)) fail_msg("'%s': %s", table[i].text, err.text);
    }
}

static void status_names(void **state)
{
    (void)state;
    static const char *const names[] = {"ok", "failed", "interrupted", "skipped", "duplicate", "lost"};
    for (int s = ME_STATUS_OK; s <= ME_STATUS_LOST; s++)
        assert_string_equal(me_status_name((enum me_machine_status)s), names[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(an_empty_plan_round_trips),
        cmocka_unit_test(the_longest_command_round_trips),
        cmocka_unit_test(bytes_that_are_not_utf8),
        cmocka_unit_test(strict),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(arguments),
        cmocka_unit_test(status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
