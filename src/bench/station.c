#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "bench.h"
#include "me/clock.h"
#include "me/facts.h"
#include "me/sample.h"
#include "me/store.h"
#include "me/version.h"
#include "me/workload.h"
#include "opener.h"
#include "station.h"

#define TICK_MS                   100
#define STOP_GRACE_MS             200 /* mpirun kills its ranks one second after it asked them to end */
#define ABANDON_NS                (ME_NS_PER_S / 5)
#define LOOK_NS                   (ME_NS_PER_S / 20)
#define IDLE_AND_COOLDOWN_TICK_NS (ME_NS_PER_S / 10)

/* Everything the record says goes through here: to memory, from which it is gathered, and to the
 * journal on disk. The sampling thread and the main thread both come here. */
static void emit(struct me_station *st, struct me_buffer *chunk, bool sync)
{
    pthread_mutex_lock(&st->emitting);
    me_buffer_append(st->stream, chunk->data, chunk->len);
    if (chunk->failed) st->stream->failed = true;
    if (st->journal) me_journal_append(st->journal, chunk, sync);
    pthread_mutex_unlock(&st->emitting);
    me_buffer_release(chunk);
}

static void emit_samples(void *context, const struct me_series *part, size_t first)
{
    struct me_station *st = context;
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_record_put_part(&chunk, part, first);
    emit(st, &chunk, false);
}

static void emit_span(struct me_station *st, const struct me_span *span)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_record_put_span(&chunk, span);
    emit(st, &chunk, true);
}

static void emit_head(struct me_station *st)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_record_put_facts(&chunk, &st->facts);
    me_record_put_channels(&chunk, st->meter.channels, st->meter.channel_count);
    emit(st, &chunk, true);
}

static void emit_end(struct me_station *st, enum me_machine_status status, const char *reason)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_record_put_end(&chunk, status, reason);
    emit(st, &chunk, true);
}

/* --- phases ------------------------------------------------------------------------------------ */

static bool tick(struct me_station *st, const struct me_span *span, bool ended)
{
    struct me_progress now = {.machine_id = st->facts.machine_id,
                              .phase = (int32_t)span->phase,
                              .repeat = span->repeat,
                              .ended = ended};
    now.elapsed_s = me_ns_to_s(me_clock_mono_ns() - st->begin_ns);
    me_sampler_now(st->sampler, span->first, &now.energy_j, &now.power_w);
    if (ended) now.power_w = now.energy_j / now.elapsed_s; /* the mean, once all is known */
    if (!st->link->tick(st->link, &now)) st->stopped = true;
    return !st->stopped;
}

static int begin_span(struct me_station *st, enum me_phase phase, int repeat, struct me_span *span,
                      struct me_error *err)
{
    *span = (struct me_span){.phase = phase, .repeat = repeat, .work = NAN, .exit_status = -1};
    size_t first;
    me_sampler_gap_reset(st->sampler);
    me_sampler_stats(st->sampler, &st->before);
    if (me_sampler_edge(st->sampler, ME_EDGE_TICK, &first, err)) return -1;
    span->first = (uint32_t)first;
    st->begin_ns = me_clock_mono_ns();
    return 0;
}

/* A workload's own account, which the kernel closes when it has ended. */
static void note_usage(const struct me_station *st, struct me_span *span)
{
    struct me_child_usage usage;
    if (me_child_usage(st->child, &usage)) return;
    span->usage = (struct me_usage){
        .known = true,
        .cpu_s = usage.cpu_s,
        .context_switches = usage.context_switches,
        .page_faults = usage.page_faults,
        .read_bytes = usage.read_bytes,
        .written_bytes = usage.written_bytes,
        .max_rss_bytes = usage.max_rss_bytes,
    };
}

static int end_span(struct me_station *st, struct me_span *span, struct me_error *err)
{
    struct me_sampler_stats after;
    size_t last;
    if (me_sampler_edge(st->sampler, ME_EDGE_TICK, &last, err)) return -1;
    me_sampler_stats(st->sampler, &after);
    span->last = (uint32_t)last;
    span->late_samples = after.late - st->before.late;
    span->sampler_cpu_ns = after.cpu_ns - st->before.cpu_ns;
    span->longest_gap_ns = after.longest_gap_ns;
    tick(st, span, true);
    return 0;
}

/* A phase in which nothing runs: idle and cooldown. */
static int rest(struct me_station *st, enum me_phase phase, int repeat, double seconds, struct me_error *err)
{
    if (seconds <= 0 || st->stopped) return 0;
    struct me_span span;
    if (begin_span(st, phase, repeat, &span, err)) return -1;
    int64_t end = me_clock_mono_ns() + (int64_t)(seconds * 1e9);
    for (int64_t now; (now = me_clock_mono_ns()) < end && !me_signals_caught();) {
        me_clock_sleep_until(now + IDLE_AND_COOLDOWN_TICK_NS < end ? now + IDLE_AND_COOLDOWN_TICK_NS : end);
        if (!tick(st, &span, false)) break;
    }
    if (end_span(st, &span, err)) return -1;
    if (st->stopped) snprintf(span.note, sizeof span.note, "interrupted");
    emit_span(st, &span);
    return 0;
}

/* --- the workload ------------------------------------------------------------------------------ */

static void log_path(const struct me_station *st, const char *what, char *path, size_t size)
{
    snprintf(path, size, "%s/%s-%d.%s", st->journal_dir, st->plan->run_id, st->facts.machine_id, what);
}

static int start_child(struct me_station *st, size_t workload, int repeat, struct me_error *err)
{
    const struct me_workload_entry *entry = &st->workloads.entries[workload];
    bool is_bare_command = !entry->row && !st->plan->function[0] && !st->plan->with[0];
    char out[4200], errout[4200];
    log_path(st, "out", out, sizeof out);
    log_path(st, "err", errout, sizeof errout);
    struct me_child_options options = {.argv = st->argv[workload],
                                       .stdout_path = out,
                                       .stderr_path = errout,
                                       .folder = is_bare_command ? NULL : st->files,
                                       .files = st->files,
                                       .strip_env = st->strip_env,
                                       .machine_id = st->facts.machine_id,
                                       .machine_count = st->role.machine_count,
                                       .repeat = repeat};
    if (me_child_start(&st->child, &options, err)) return -1;
    st->followed.pid = me_child_pid(st->child);
    return 0;
}

/* While its process is still there: what looks at it meanwhile sees either it, or this account. */
static void close_account(struct me_station *st, const struct me_usage *usage)
{
    struct me_meter_workload *followed = &st->followed;
    if (usage->known) {
        followed->cpu_ns += (uint64_t)llround(usage->cpu_s * 1e9);
        followed->context_switches += usage->context_switches;
        followed->page_faults += usage->page_faults;
        followed->read_bytes += usage->read_bytes;
        followed->written_bytes += usage->written_bytes;
    }
    followed->pid = 0;
}

static bool time_is_up(const struct me_station *st)
{
    return st->plan->timeout_s > 0 && me_ns_to_s(me_clock_mono_ns() - st->begin_ns) >= st->plan->timeout_s;
}

/* Takes events until the workload has ended, by itself or by us. */
static int watch_child(struct me_station *st, struct me_span *span, struct me_error *err)
{
    struct me_child_event event = {0};
    int64_t shown = 0;
    bool ended_by_us = false;
    while (event.type != ME_CHILD_EXITED) {
        me_child_wait(st->child, TICK_MS, &event);
        if (me_station_mark(st, &event, span, err)) return -1;
        int64_t now = me_clock_mono_ns();
        if (now - shown >= TICK_MS * (ME_NS_PER_S / 1000) && event.type != ME_CHILD_EXITED) {
            tick(st, span, false);
            shown = now;
        }
        if (ended_by_us || event.type == ME_CHILD_EXITED) continue;
        bool late = time_is_up(st);
        if (!late && !st->stopped && !me_signals_caught()) continue;
        if (late)
            snprintf(span->note, sizeof span->note, "timeout after %g s", st->plan->timeout_s);
        else
            snprintf(span->note, sizeof span->note, "interrupted");
        st->stopped = st->stopped || !late;
        me_child_stop(st->child, STOP_GRACE_MS);
        ended_by_us = true;
    }
    span->exit_status = event.exit_status;
    return 0;
}

static void note_strays(struct me_span *span, int strays)
{
    char text[64];
    snprintf(text, sizeof text, "%d process%s left behind %s ended", strays, strays == 1 ? "" : "es",
             strays == 1 ? "was" : "were");
    me_wrongs_append(span->note, sizeof span->note, text);
}

/* Then the workload's output is lost, and many a program fails for that alone. */
static void note_full_disk(const struct me_station *st, bool was_full, struct me_span *span)
{
    struct statvfs disk;
    char text[160];
    if (!was_full && (statvfs(st->journal_dir, &disk) || disk.f_bavail)) return;
    snprintf(text, sizeof text, "the disk %s full at %.110s", was_full ? "was" : "is", st->journal_dir);
    me_wrongs_append(span->note, sizeof span->note, text);
}

static int run_workload(struct me_station *st, enum me_phase phase, size_t workload, int repeat,
                        struct me_error *err)
{
    const struct me_workload_entry *entry = &st->workloads.entries[workload];
    struct me_span span;
    if (st->stopped) return 0;
    if (!st->link->ready(st->link, ++st->stand)) {
        st->stopped = true;
        return 0;
    }
    me_station_marks_reset(st);
    if (begin_span(st, phase, repeat, &span, err)) return -1;
    snprintf(span.workload, sizeof span.workload, "%s", entry->label);
    snprintf(span.region, sizeof span.region, "%s", entry->region);
    if (start_child(st, workload, repeat, err)) return -1;
    int rc = watch_child(st, &span, err);
    if (!rc) rc = end_span(st, &span, err);
    note_usage(st, &span);
    close_account(st, &span.usage);
    bool was_full = me_child_disk_was_full(st->child);
    int strays = me_child_release(st->child);
    st->child = NULL;
    if (rc) return -1;
    if (strays > 0) note_strays(&span, strays);
    note_full_disk(st, was_full, &span);
    me_station_marks_close(st, &span);
    me_station_emit_marks(st, &span, emit);
    emit_span(st, &span);
    me_station_emit_logs(st, phase, repeat, emit);
    if (span.exit_status != 0 && !st->failed[0] && !st->stopped) me_station_say_exit(st, &span);
    return 0;
}

/* The workloads take turns, so that what drifts over an hour (heat, clocks) meets all of them alike. Repeats
 * are numbered through: of two workloads, the second's first repeat is number 2. */
static int run_phases(struct me_station *st, struct me_error *err)
{
    const struct me_plan *plan = st->plan;
    if (!st->link->ready(st->link, ++st->stand)) {
        st->stopped = true;
        return 0;
    }
    if (rest(st, ME_PHASE_IDLE, 0, plan->idle_s, err)) return -1;
    size_t n = st->workloads.count;
    for (size_t i = 0; i < n * (size_t)plan->warmup && !st->stopped; i++)
        if (run_workload(st, ME_PHASE_WARMUP, i % n, (int)i + 1, err)) return -1;
    for (size_t i = 0; i < n * (size_t)plan->repeats && !st->stopped; i++) {
        if (run_workload(st, ME_PHASE_RUN, i % n, (int)i + 1, err)) return -1;
        if (rest(st, ME_PHASE_COOLDOWN, (int)i + 1, plan->cooldown_s, err)) return -1;
    }
    return 0;
}

/* --- opening and closing ----------------------------------------------------------------------- */

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

static const struct me_plan_machine *own_machine(const struct me_station *st)
{
    for (size_t i = 0; i < st->plan->count; i++)
        if (st->plan->machines[i].id == st->role.machine_id) return &st->plan->machines[i];
    return NULL;
}

static int open_meters(struct me_station *st, const char *root, struct me_error *err)
{
    const struct me_plan_machine *machine = own_machine(st);
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
    const struct me_plan_machine *machine = own_machine(st);
    struct me_root root = {.fd = -1};
    int rc = me_root_open(&root, path, err);
    if (!rc) me_machine_facts(&root, &st->facts);
    me_root_close(&root);
    st->facts.machine_id = st->role.machine_id;
    st->facts.unix_minus_mono_ns = me_clock_unix_ns() - me_clock_mono_ns();
    if (machine) snprintf(st->facts.name, sizeof st->facts.name, "%s", machine->name);
    return rc;
}

static int make_argv(struct me_station *st, struct me_error *err)
{
    const struct me_plan_machine *machine = own_machine(st);
    struct me_workload_place place = {
        .plan = st->plan,
        .python = machine && machine->python[0] ? machine->python : st->plan->python,
        .files = st->files,
        .machine_id = st->role.machine_id,
        .machine_count = st->role.machine_count,
    };
    if (me_workload_list(st->plan, &st->workloads, err)) return -1;
    for (size_t i = 0; i < st->workloads.count; i++)
        if (me_workload_argv(&st->workloads.entries[i], &place, &st->argv[i], err)) return -1;
    return 0;
}

static int open_station(struct me_station *st, const char *root, struct me_error *err)
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
    return make_argv(st, err);
}

static void close_station(struct me_station *st)
{
    me_child_release(st->child);
    if (!st->meter_is_busy) me_meter_close(&st->meter);
    me_series_release(&st->series);
    for (size_t i = 0; i < st->workloads.count; i++) me_workload_argv_free(st->argv[i]);
    free(st->strip_env);
    free(st->regions);
    free(st->metrics);
    pthread_mutex_destroy(&st->emitting);
}

/* No chunk may come behind the end. After an interrupt little time is left: mpirun kills, and a meter's
 * command may take seconds. */
static void stop_sampler(struct me_station *st)
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
static struct me_station *create_station(const struct me_station_options *options, struct me_link *link,
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

int me_station_run(const struct me_station_options *options, struct me_link *link, struct me_buffer *record,
                   struct me_journal **journal, struct me_error *err)
{
    struct me_station *st = create_station(options, link, record);
    if (!st) return me_fail(err, ME_E_RUN, "no memory");
    struct me_error local = {0};
    int rc = open_station(st, options->root, &local);
    if (!rc) rc = run_phases(st, &local);
    if (rc) snprintf(st->failed, sizeof st->failed, "%.255s", local.text);
    stop_sampler(st);
    enum me_machine_status status = st->stopped     ? ME_STATUS_INTERRUPTED
                                    : st->failed[0] ? ME_STATUS_FAILED
                                                    : ME_STATUS_OK;
    emit_end(st, status, st->stopped ? "stopped before its end" : st->failed);
    *journal = st->journal;
    close_station(st);
    if (!st->meter_is_busy) free(st);
    return record->failed ? me_fail(err, ME_E_RUN, "no memory for the record") : 0;
}
