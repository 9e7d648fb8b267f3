#include "prepare.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "me/carbon.h"
#include "me/source.h"
#include "me/workload.h"

void me_prepare_defaults(struct me_prepare_options *options)
{
    *options = (struct me_prepare_options){.output = "gen.hosts", .connect_timeout_s = 10, .key_days = 7};
}

void me_host_fail(struct me_host *host, const struct me_error *err)
{
    host->step = ME_STEP_FAILED;
    snprintf(host->reason, sizeof host->reason, "%s", err->text);
}

/* The message names the machine, since each may have a meter of its own. */
static int check_meters(const struct me_cluster *cluster, struct me_error *err)
{
    for (size_t i = 0; i <= cluster->count; i++) {
        const struct me_machine *machine = i < cluster->count ? &cluster->machines[i] : &cluster->local;
        struct me_error why = {0};
        if (!me_meter_check(&(struct me_meter_options){.external = machine->external}, &why)) continue;
        return me_fail(err, ME_E_INPUT, "%.300s:%d: machine_id %d: external: %.500s", cluster->source,
                       machine->line, machine->id, why.text);
    }
    return 0;
}

/* A country or region that no table has must not come up after an hour of measuring; nor a workload that
 * does not exist. */
static int check_plan(const struct me_cluster *cluster, const struct me_prepare_options *options,
                      struct me_error *err)
{
    struct me_plan plan = {0};
    struct me_workloads work;
    struct me_host_state *states = calloc(cluster->count + 1, sizeof *states);
    int rc = states ? me_hosts_plan(cluster, states, &plan, err) : me_fail(err, ME_E_RUN, "no memory");
    if (!rc) rc = me_workload_list(&plan, &work, err);
    if (!rc) rc = me_image_check(cluster, options, &work, err);
    if (!rc) rc = me_carbon_resolve(&plan, err);
    me_plan_release(&plan);
    free(states);
    return rc;
}

/* The line's words over the config's: what to run is one choice of three, all else goes by itself. */
static void apply_options(const struct me_prepare_options *options, struct me_options_experiment *experiment)
{
    const char *framework = options->framework;
    if (!framework && !options->train_func && !options->command) framework = options->install;
    if (framework || options->train_func || options->command) {
        experiment->command = options->command;
        experiment->train_func = options->train_func;
        experiment->args = NULL;
    }
    if (framework) experiment->framework = framework;
    if (options->args) experiment->args = options->args;
    if (options->python) experiment->python = options->python;
    if (options->with && options->with[0])
        snprintf(experiment->with, sizeof experiment->with, "%s", options->with);
}

int me_prepare_read(const char *config, const struct me_prepare_options *options, struct me_cluster *cluster,
                    struct me_error *err)
{
    struct me_config_options config_options = {.insecure_config = options->insecure_config};
    struct me_cluster read;
    if (me_install_check(options, err)) return -1;
    if (me_config_read(config, &config_options, &read, err)) return -1;
    apply_options(options, &read.experiment);
    struct me_meter_options meter = {.only = read.experiment.sources,
                                     .external = read.experiment.external,
                                     .events = read.experiment.events};
    if (me_meter_check(&meter, err) || check_meters(&read, err) || check_plan(&read, options, err)) {
        me_cluster_release(&read);
        return -1;
    }
    *cluster = read;
    return 0;
}

/* The more may be open at once, the fewer connections are made anew. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int me_preparation_init(struct me_preparation *preparation, const struct me_cluster *cluster,
                        const struct me_prepare_options *options, struct me_error *err)
{
    *preparation = (struct me_preparation){.cluster = cluster, .options = options, .count = cluster->count};
    preparation->hosts = calloc(cluster->count + 1, sizeof *preparation->hosts);
    preparation->states = calloc(cluster->count + 1, sizeof *preparation->states);
    if (!preparation->hosts || !preparation->states)
        return me_fail(err, ME_E_RUN, "no memory for %zu machines", cluster->count);
    for (size_t i = 0; i < cluster->count; i++)
        preparation->hosts[i] =
            (struct me_host){.machine = &cluster->machines[i],
                             .ops = &me_remote_ssh,
                             .state = &preparation->states[i],
                             .container = cluster->run_docker ? &preparation->states[i].container : NULL};
    if (me_hosts_plan(cluster, preparation->states, &preparation->plan, err)) return -1;
    if (me_workload_list(&preparation->plan, &preparation->work, err)) return -1; /* NOLINT: release frees */
    if (me_pool_create(&preparation->pool, err)) return -1;
    preparation->remote_options = (struct me_remote_options){
        .connect_timeout_s = options->connect_timeout_s,
        .accept_new = options->accept_new && !options->check,
        .ask = me_pool_ask,
        .heard = me_pool_hear,
        .context = preparation->pool,
        .cancel = me_pool_cancel(preparation->pool),
    };
    raise_file_limit();
    return 0;
}

void me_preparation_release(struct me_preparation *preparation)
{
    me_folder_abandon(preparation);
    for (size_t i = 0; i < preparation->count; i++)
        if (preparation->hosts[i].remote) preparation->hosts[i].ops->close(preparation->hosts[i].remote);
    me_pool_destroy(preparation->pool);
    me_plan_release(&preparation->plan);
    free(preparation->hosts);
    free(preparation->states);
    *preparation = (struct me_preparation){0};
}

static void add_local(struct me_preparation *preparation)
{
    if (!preparation->cluster->run_local) return;
    const struct me_cluster *cluster = preparation->cluster;
    struct me_container *container = &preparation->states[cluster->count].container;
    preparation->hosts[preparation->count++] =
        (struct me_host){.machine = &cluster->local,
                         .ops = &me_remote_local,
                         .container = cluster->run_docker ? container : NULL};
}

static size_t count_at(const struct me_preparation *preparation, enum me_step step)
{
    size_t n = 0;
    for (size_t i = 0; i < preparation->count; i++) n += preparation->hosts[i].step == step;
    return n;
}

/* The entry before `i` (the local machine is before all) that is the same machine; NULL if none. */
static const struct me_host *find_same(const struct me_preparation *preparation, size_t i)
{
    const struct me_host *hosts = preparation->hosts, *host = &hosts[i];
    const struct me_host *last = &hosts[preparation->count - 1];
    if (!host->facts.boot_id[0] || !host->state) return NULL;
    if (!last->state && last->step == ME_STEP_REACHED && !strcmp(last->facts.boot_id, host->facts.boot_id))
        return last;
    for (size_t j = 0; j < i; j++)
        if (hosts[j].step == ME_STEP_REACHED && !strcmp(hosts[j].facts.boot_id, host->facts.boot_id))
            return &hosts[j];
    return NULL;
}

static void mark_duplicates(struct me_preparation *preparation)
{
    for (size_t i = 0; i < preparation->count; i++) {
        struct me_host *host = &preparation->hosts[i];
        const struct me_host *same = host->step == ME_STEP_REACHED ? find_same(preparation, i) : NULL;
        if (!same) continue;
        host->step = ME_STEP_DUPLICATE;
        snprintf(host->reason, sizeof host->reason,
                 "the same machine as %s (machine_id %d): one boot id, counted once", same->machine->name,
                 same->machine->id);
    }
}

static void find_networks(struct me_preparation *preparation)
{
    for (size_t i = 0; i < preparation->cluster->count; i++) {
        struct me_host *host = &preparation->hosts[i];
        const char *ours = host->local_address;
        /* NAT between us: the address that it sees is another than the one we have. */
        if (host->step == ME_STEP_REACHED && !strcmp(ours, host->facts.ssh_client))
            me_network_find(ours, host->facts.ssh_server, host->state->local_cidr,
                            sizeof host->state->local_cidr);
    }
}

static void fill_states(struct me_preparation *preparation)
{
    for (size_t i = 0; i < preparation->count; i++) {
        struct me_host *host = &preparation->hosts[i];
        if (!host->state) continue;
        host->state->status = host->step == ME_STEP_FAILED      ? ME_STATUS_SKIPPED
                              : host->step == ME_STEP_DUPLICATE ? ME_STATUS_DUPLICATE
                                                                : ME_STATUS_OK;
        snprintf(host->state->reason, sizeof host->state->reason, "%.255s", host->reason);
    }
}

/* After each round: is there a reason to stop? */
static int check_round(const struct me_preparation *preparation, struct me_error *err)
{
    size_t failed = count_at(preparation, ME_STEP_FAILED);
    size_t left = count_at(preparation, ME_STEP_REACHED) + count_at(preparation, ME_STEP_READY);
    const char *tail = preparation->options->check     ? ""
                       : preparation->options->install ? "; no hostfile was written"
                                                       : "; nothing was written";
    const struct me_host *hosts = preparation->hosts, *local = &hosts[preparation->count - 1];
    if (atomic_load(me_pool_cancel(preparation->pool))) return me_fail(err, ME_E_RUN, "interrupted%s", tail);
    if (preparation->count && !local->state && local->step == ME_STEP_FAILED)
        return me_fail(err, ME_E_MACHINE, "this machine: %s%s", local->reason, tail);
    if (failed && !preparation->options->skip_failed) {
        for (size_t i = 0; failed == 1; i++)
            if (hosts[i].step == ME_STEP_FAILED)
                return me_fail(err, ME_E_MACHINE, "%s%s", hosts[i].reason, tail);
        return me_fail(
            err, ME_E_MACHINE,
            "%zu of %zu machines failed%s; cure them as the table says, or go on without them: --skip-failed",
            failed, preparation->count, tail);
    }
    if (!left) return me_fail(err, ME_E_MACHINE, "no machine is left to measure%s", tail);
    return 0;
}

/* Keys that were put onto machines which shall not have them. */
static void take_back(struct me_preparation *preparation, bool all)
{
    bool any = false;
    for (size_t i = 0; i < preparation->count; i++) {
        struct me_host *host = &preparation->hosts[i];
        bool take = host->key_installed && (all ? !preparation->key_reused : host->step == ME_STEP_FAILED);
        if (take)
            any = true;
        else
            host->key_installed = false;
    }
    if (!any) return;
    me_pool_rearm(preparation->pool);
    for (size_t i = 0; i < preparation->count; i++)
        if (preparation->hosts[i].key_installed) me_access_remove(preparation, &preparation->hosts[i]);
}

static int write_launch(struct me_preparation *preparation, struct me_error *err)
{
    if (me_folder_begin(preparation, err)) return -1;
    me_pool_run(preparation->pool, preparation, ME_STEP_REACHED, me_access_install, "installing the key");
    int rc = check_round(preparation, err);
    fill_states(preparation);
    if (!rc) rc = me_folder_commit(preparation, err);
    take_back(preparation, rc != 0);
    return rc;
}

static int install(struct me_preparation *preparation, struct me_error *err)
{
    char doing[128];
    if (!preparation->options->install) return 0;
    snprintf(doing, sizeof doing, "installing %.100s", preparation->options->install);
    me_pool_run(preparation->pool, preparation, ME_STEP_REACHED, me_install, doing);
    return check_round(preparation, err);
}

static int get_images(struct me_preparation *preparation, struct me_error *err)
{
    const char *doing = preparation->options->check           ? "looking at the images"
                        : preparation->options->image_archive ? "shipping the image"
                                                              : "pulling the image";
    me_pool_run(preparation->pool, preparation, ME_STEP_REACHED, me_image_get, doing);
    me_image_compare(preparation);
    return check_round(preparation, err);
}

/* Files to ship that cannot be read are told before any machine is reached. */
static int check_parcel(const struct me_plan *plan, struct me_error *err)
{
    struct me_buffer parcel = ME_BUFFER_INIT;
    if (!plan->with[0] && !plan->function[0]) return 0;
    int rc = me_workload_pack(plan, &parcel, err);
    me_buffer_release(&parcel);
    return rc;
}

static int prepare(struct me_preparation *preparation, struct me_error *err)
{
    if (check_parcel(&preparation->plan, err)) return -1;
    if (!preparation->options->check && me_folder_check(preparation->options->output, err)) return -1;
    if (me_head_find(&preparation->head, err)) return -1;
    add_local(preparation);
    if (!preparation->count)
        return me_fail(err, ME_E_INPUT,
                       "%s: no machine but this one, and run_local is false: nothing to measure",
                       preparation->cluster->source);
    me_pool_run(preparation->pool, preparation, ME_STEP_WAITING, me_preflight, "reaching the machines");
    mark_duplicates(preparation);
    find_networks(preparation);
    if (check_round(preparation, err)) return -1;
    if (preparation->cluster->run_docker && get_images(preparation, err)) return -1;
    if (preparation->options->check) return 0;
    if (!preparation->cluster->run_docker) {
        me_pool_run(preparation->pool, preparation, ME_STEP_REACHED, me_stage, "staging me_bench");
        if (check_round(preparation, err)) return -1;
    }
    if (install(preparation, err)) return -1;
    return write_launch(preparation, err);
}

int me_prepare(const struct me_cluster *cluster, const struct me_prepare_options *options, FILE *out,
               struct me_error *err)
{
    struct me_preparation preparation;
    int rc = me_preparation_init(&preparation, cluster, options, err);
    if (!rc) {
        rc = prepare(&preparation, err);
        bool tried = count_at(&preparation, ME_STEP_WAITING) < preparation.count;
        if (tried) me_verdict_print(&preparation, out);
    }
    me_preparation_release(&preparation);
    return rc;
}
