/* A thousand machines: how many connections are open at once, and what happens to them from round to round. */
#include "../../src/cli/pool.c"
#include "me_cmocka.h"

void me_host_fail(struct me_host *host, const struct me_error *err)
{
    host->step = ME_STEP_FAILED;
    snprintf(host->reason, sizeof host->reason, "%s", err->text);
}

/* A transport that opens two real descriptors a connection and counts. */
struct me_remote {
    int files[2];
};
static atomic_int open_now, most, made;
static bool refuses;

static int connect_counted(struct me_remote **out, const struct me_machine *machine,
                           const struct me_remote_options *options, struct me_error *err)
{
    (void)machine;
    (void)options;
    if (refuses) return me_fail(err, ME_E_MACHINE, "refused");
    struct me_remote *remote = calloc(1, sizeof *remote);
    for (int i = 0; i < 2; i++)
        if ((remote->files[i] = open("/dev/null", O_RDONLY)) < 0) abort();
    int now = atomic_fetch_add(&open_now, 1) + 1;
    for (int before = atomic_load(&most); now > before && !atomic_compare_exchange_weak(&most, &before, now);)
        continue;
    atomic_fetch_add(&made, 1);
    *out = remote;
    return 0;
}

static void close_counted(struct me_remote *remote)
{
    if (!remote) return;
    for (int i = 0; i < 2; i++) close(remote->files[i]);
    atomic_fetch_sub(&open_now, 1);
    free(remote);
}

static const struct me_remote_ops counting = {.connect = connect_counted, .close = close_counted};

static void reach(struct me_preparation *preparation, struct me_host *host)
{
    struct me_error err;
    assert_null(host->remote);
    assert_int_equal(host->ops->connect(&host->remote, host->machine, &preparation->remote_options, &err), 0);
    usleep(200);
    host->step = ME_STEP_REACHED;
}

static void use(struct me_preparation *preparation, struct me_host *host)
{
    (void)preparation;
    assert_non_null(host->remote);
    usleep(200);
}

struct ground {
    struct me_preparation preparation;
    struct me_host_state state;
    struct rlimit before;
};

static void raise_ground(struct ground *ground, size_t count, rlim_t files)
{
    struct me_error err;
    *ground = (struct ground){.preparation.count = count};
    getrlimit(RLIMIT_NOFILE, &ground->before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){files, ground->before.rlim_max});
    ground->preparation.hosts = calloc(count, sizeof *ground->preparation.hosts);
    for (size_t i = 0; i < count; i++)
        ground->preparation.hosts[i] = (struct me_host){.ops = &counting, .state = &ground->state};
    assert_int_equal(me_pool_create(&ground->preparation.pool, &err), 0);
    most = made = 0;
    refuses = false;
}

static void level_ground(struct ground *ground)
{
    for (size_t i = 0; i < ground->preparation.count; i++) close_counted(ground->preparation.hosts[i].remote);
    me_pool_destroy(ground->preparation.pool);
    free(ground->preparation.hosts);
    setrlimit(RLIMIT_NOFILE, &ground->before);
    assert_int_equal(open_now, 0);
}

static void run(struct ground *ground, enum me_step at, me_pool_step *step)
{
    me_pool_run(ground->preparation.pool, &ground->preparation, at, step, "doing");
}

static void a_thousand_machines_are_few_connections(void **state)
{
    (void)state;
    static const struct {
        rlim_t files;
        int most;
    } cases[] = {{1024, 64}, {160, 20}, {50, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ground ground;
        raise_ground(&ground, 1000, cases[i].files);
        run(&ground, ME_STEP_WAITING, reach);
        assert_int_equal(open_now, 0);
        run(&ground, ME_STEP_REACHED, use);
        run(&ground, ME_STEP_REACHED, use);
        assert_int_equal(made, 3000);
        assert_in_range(most, 1, cases[i].most);
        assert_true(cases[i].files < 100 || most > 1);
        level_ground(&ground);
    }
}

static void a_few_machines_keep_theirs(void **state)
{
    (void)state;
    struct ground ground;
    raise_ground(&ground, 100, 1024);
    run(&ground, ME_STEP_WAITING, reach);
    assert_int_equal(open_now, 100);
    run(&ground, ME_STEP_REACHED, use);
    assert_int_equal(made, 100);
    level_ground(&ground);
}

static void who_cannot_be_reached_again_fails(void **state)
{
    (void)state;
    struct ground ground;
    raise_ground(&ground, 200, 1024);
    run(&ground, ME_STEP_WAITING, reach);
    refuses = true;
    run(&ground, ME_STEP_REACHED, use);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(ground.preparation.hosts[i].step, ME_STEP_FAILED);
        assert_string_equal(ground.preparation.hosts[i].reason, "refused");
    }
    level_ground(&ground);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_machines_are_few_connections),
        cmocka_unit_test(a_few_machines_keep_theirs),
        cmocka_unit_test(who_cannot_be_reached_again_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
