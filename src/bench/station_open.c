/* What a station is made of: facts, meters, the journal, the workloads' command lines. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "me/clock.h"
#include "me/facts.h"
#include "opener.h"
#include "station.h"

#define ABANDON_NS (ME_NS_PER_S / 5)
#define LOOK_NS    (ME_NS_PER_S / 20)

#define SETTLE_NS (2 * ME_NS_PER_S)

/* Everything the record says goes through here: to memory, from which it is gathered, and to the
 * journal on disk. The sampling thread and the main thread both come here. */
void me_station_emit(struct me_station *st, struct me_buffer *chunk, bool sync)
{
    pthread_mutex_lock(&st->emitting);
    me_buffer_append(st->stream, chunk->data, chunk->len);
    if (chunk->failed) st->stream->failed = true;
    if (st->journal) me_journal_append(st->journal, chunk);
    pthread_mutex_unlock(&st->emitting);
    me_buffer_release(chunk);
    if (sync && st->journal) me_journal_settle(st->journal, SETTLE_NS);
}

static void emit_samples(void *context, const struct me_series *part, size_t first)
{
    struct me_station *st = context;
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_record_put_part(&chunk, part, first);
    me_station_emit(st, &chunk, false);
}

static void emit_head(struct me_station *st)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_record_put_facts(&chunk, &st->facts);
    me_record_put_channels(&chunk, st->meter.channels, st->meter.channel_count);
    me_station_emit(st, &chunk, false);
}

static void open_journal(struct me_station *st)
{
    struct me_error err = {0};
    char name[64];
    if (me_journal_dir(st->journal_dir, sizeof st->journal_dir, &err)) {
        snprintf(st->journal_dir, sizeof st->journal_dir, "/tmp");
    }
    snprintf(name, sizeof name, "%s-%d.mej", st->plan->run_id, st->facts.machine_id);
    /* Measuring goes on without a journal, but does not hide it. */
    if (me_journal_open(&st->journal, st->journal_dir, name, &err)) {
        fprintf(stderr, "me_bench: no journal on this machine: %.900s\n", err.text);
        snprintf(st->journal_dir, sizeof st->journal_dir, "/tmp");
    }
}

/* Loud, on the machine's own line: a modelled total is no measurement. */
static void say_modelled(const struct me_station *st)
{
    bool is_modelled = false;
    for (size_t i = 0; i < st->meter.channel_count; i++) {
        const struct me_channel *channel = &st->meter.channels[i];
        if (!channel->counted || channel->cls != ME_CLASS_MODELLED) continue;
        is_modelled = true;
        fprintf(stderr, "me_bench: %s: energy is MODELLED, not measured: %s\n", st->facts.name,
                channel->basis);
    }
    for (size_t i = 0; i < st->meter.source_count; i++)
        if (is_modelled && !st->meter.sources[i].found && st->meter.sources[i].cure[0] &&
            !st->plan->sources[0])
            fprintf(stderr, "me_bench: %s: %s can be had by: %s\n", st->facts.name,
                    st->meter.sources[i].ops->name, st->meter.sources[i].cure);
}

static int open_meters(struct me_station *st, const char *root, struct me_error *err)
{
    const struct me_plan_machine *machine = me_plan_find(st->plan, st->role.machine_id);
    char id[16];
    snprintf(id, sizeof id, "%d", st->role.machine_id);
    setenv("ME_MACHINE_ID", id, 1); /* for the user's own meter: which socket of the PDU is mine? */
    struct me_meter_options options = {
        .root = root,
        .only = st->plan->sources,
        .external = machine && machine->external[0] ? machine->external : st->plan->external,
        .events = st->plan->events,
        .strip_env = st->strip_env,
        .workload = &st->followed,
    };
    return me_opener_open(&st->meter, &options, st->link, &st->stopped, err);
}

/* Writes st->facts.sampler; the sink gets nothing before the first edge, so the head comes first. */
static int start_sampler(struct me_station *st, struct me_error *err)
{
    me_series_init(&st->series, st->meter.channel_count);
    if (me_sampler_start(&st->sampler, &st->meter, &st->series, st->plan->sample_hz, emit_samples, st, err))
        return -1;
    snprintf(st->facts.sampler, sizeof st->facts.sampler, "%s", me_sampler_schedule(st->sampler));
    return 0;
}

static int read_facts(struct me_station *st, const char *path, struct me_error *err)
{
    const struct me_plan_machine *machine = me_plan_find(st->plan, st->role.machine_id);
    struct me_root root = {.fd = -1};
    int rc = me_root_open(&root, path, err);
    if (!rc) me_machine_facts(&root, &st->facts);
    me_root_close(&root);
    st->facts.machine_id = st->role.machine_id;
    st->facts.unix_minus_mono_ns = me_clock_unix_ns() - me_clock_mono_ns();
    if (machine) snprintf(st->facts.name, sizeof st->facts.name, "%s", machine->name);
    memcpy(st->facts.run_id, st->plan->run_id, sizeof st->facts.run_id);
    memcpy(st->facts.experiment, st->plan->experiment, sizeof st->facts.experiment);
    return rc;
}

static int make_argv(struct me_station *st, struct me_error *err)
{
    struct me_workload_place place;
    me_ready_place(st->plan, &st->role, st->files, &place);
    if (me_workload_list(st->plan, &st->workloads, err)) return -1;
    for (size_t i = 0; i < st->workloads.count; i++)
        if (me_workload_argv(&st->workloads.entries[i], &place, &st->argv[i], err)) return -1;
    return 0;
}

int me_station_open(struct me_station *st, const char *root, struct me_error *err)
{
    st->strip_env = calloc(st->plan->strip_count + 1, sizeof *st->strip_env);
    if (!st->strip_env) return me_fail(err, ME_E_RUN, "no memory");
    for (size_t i = 0; i < st->plan->strip_count; i++) st->strip_env[i] = st->plan->strip_env[i];
    int rc = read_facts(st, root, err);
    open_journal(st);
    if (!rc) rc = open_meters(st, root, err);
    if (rc) {
        emit_head(st); /* a record begins with it, also one that only tells what failed */
        return -1;
    }
    char scopes[64];
    me_channels_scopes(st->meter.channels, st->meter.channel_count, scopes, sizeof scopes);
    rc = scopes[0]
             ? start_sampler(st, err)
             : me_fail(err, ME_E_RUN, "no energy source can be read here; see me probe on that machine");
    emit_head(st);
    if (rc) return -1;
    say_modelled(st);
    const struct me_plan_machine *machine = me_plan_find(st->plan, st->role.machine_id);
    if (machine) st->cpus = me_workload_cpus(&machine->node);
    return make_argv(st, err);
}

void me_station_close(struct me_station *st)
{
    me_child_release(st->child);
    if (!st->meter_is_busy) me_meter_close(&st->meter);
    me_series_release(&st->series);
    for (size_t i = 0; i < st->workloads.count; i++) me_workload_argv_free(st->argv[i]);
    free(st->cpus);
    free(st->strip_env);
    free(st->regions);
    free(st->metrics);
    pthread_mutex_destroy(&st->emitting);
}

/* No chunk may come behind the end. After an interrupt little time is left: mpirun kills, and a meter's
 * command may take seconds. */
void me_station_stop_sampler(struct me_station *st)
{
    while (!st->stopped && !me_sampler_finish(st->sampler, LOOK_NS))
        if (!st->link->wait(st->link)) st->stopped = true;
    if (st->stopped)
        st->meter_is_busy = !me_sampler_abandon(st->sampler, ABANDON_NS);
    else
        me_sampler_stop(st->sampler);
    st->sampler = NULL;
}

/* On the heap: a slow meter's thread that an interrupt left behind may still look at the meter, which then
 * stays until the process ends. */
struct me_station *me_station_create(const struct me_station_options *options, struct me_link *link,
                                     struct me_buffer *record)
{
    struct me_station *st = calloc(1, sizeof *st);
    if (!st) return NULL;
    st->plan = options->plan;
    st->role = options->role;
    st->files = options->files;
    st->link = link;
    st->stream = record;
    st->meter.root.fd = -1;
    pthread_mutex_init(&st->emitting, NULL);
    return st;
}
