#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include "bench.h"
#include "me/clock.h"
#include "me/sample.h"
#include "me/store.h"
#include "me/workload.h"
#include "station.h"

#define TICK_MS                   100
#define STOP_GRACE_MS             200 /* mpirun kills its ranks one second after it asked them to end */
#define IDLE_AND_COOLDOWN_TICK_NS (ME_NS_PER_S / 10)

/* The marks first, and in one piece: a repeat whose span can be read is whole. */
static void emit_span(struct me_station *st, const struct me_span *span)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_station_put_marks(st, span, &chunk);
    me_record_put_span(&chunk, span);
    me_station_emit(st, &chunk, true);
}

/* What became known of an ended repeat afterwards; stands in place of what was told of it first. */
static void amend_span(struct me_station *st, const struct me_span *span)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_record_put_span(&chunk, span);
    me_station_emit(st, &chunk, true);
}

static void emit_end(struct me_station *st, enum me_machine_status status, const char *reason)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    me_record_put_end(&chunk, status, reason);
    me_station_emit(st, &chunk, false);
}

static void emit_clock(struct me_station *st, enum me_clock_when when)
{
    struct me_buffer chunk = ME_BUFFER_INIT;
    struct me_clock_offset offset;
    if (!st->link->clock(st->link, &offset)) return;
    me_record_put_clock(&chunk, when, &offset);
    me_station_emit(st, &chunk, true);
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

static int64_t journal_cpu_ns(const struct me_station *st)
{
    return st->journal ? me_journal_cpu_ns(st->journal) : 0;
}

static int begin_span(struct me_station *st, enum me_phase phase, int repeat, struct me_span *span,
                      struct me_error *err)
{
    *span = (struct me_span){.phase = phase, .repeat = repeat, .work = NAN, .exit_status = -1};
    size_t first;
    me_sampler_gap_reset(st->sampler);
    me_sampler_stats(st->sampler, &st->before);
    st->journal_before_ns = journal_cpu_ns(st);
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
    span->sampler_cpu_ns = after.cpu_ns - st->before.cpu_ns + journal_cpu_ns(st) - st->journal_before_ns;
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
                                       .repeat = repeat,
                                       .cpus = st->cpus};
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

/* Slurm sends SIGTERM to the workload too, which may end before the head's word, or our own look at it. */
static void note_foreign_end(const struct me_station *st, struct me_span *span)
{
    bool is_stop = st->stopped || me_signals_caught();
    if (is_stop && span->exit_status == 256 + SIGTERM && !span->note[0])
        snprintf(span->note, sizeof span->note, "interrupted");
}

/* It has ended: that is on the disk before anything else is done, for what it left behind may take seconds to
 * end, and we may be killed meanwhile. */
static void keep_repeat(struct me_station *st, struct me_span *span)
{
    note_usage(st, span);
    close_account(st, &span->usage);
    me_station_marks_close(st, span);
    emit_span(st, span);
    me_station_emit_logs(st, span->phase, span->repeat, true);
}

/* Ends what the workload left behind, and tells of the repeat what is known only then. */
static void close_repeat(struct me_station *st, struct me_span *span)
{
    char before[sizeof span->note];
    memcpy(before, span->note, sizeof before);
    bool was_full = me_child_disk_was_full(st->child);
    int strays = me_child_release(st->child);
    st->child = NULL;
    if (strays > 0) note_strays(span, strays);
    note_full_disk(st, was_full, span);
    if (strcmp(before, span->note)) amend_span(st, span);
    me_station_emit_logs(st, span->phase, span->repeat, false);
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
    if (start_child(st, workload, repeat, err)) {
        me_station_emit_logs(st, phase, repeat, false); /* which it may have made before it failed */
        return -1;
    }
    int rc = watch_child(st, &span, err);
    if (!rc) rc = end_span(st, &span, err);
    note_foreign_end(st, &span);
    if (!rc) {
        keep_repeat(st, &span);
        close_repeat(st, &span);
    } else {
        close_account(st, &span.usage);
        me_child_release(st->child);
        st->child = NULL;
        me_station_emit_logs(st, phase, repeat, false);
    }
    if (!rc && span.exit_status != 0 && !st->failed[0] && !st->stopped) me_station_say_exit(st, &span);
    return rc;
}

/* A repeat that the result has already: the others do not wait for us, nor we for them, longer than for any. */
static void stand_by(struct me_station *st)
{
    if (!st->link->ready(st->link, ++st->stand)) st->stopped = true;
}

/* The workloads take turns, so that what drifts over an hour (heat, clocks) meets all of them alike. Repeats
 * are numbered through: of two workloads, the second's first repeat is number 2. */
static int run_phases(struct me_station *st, struct me_error *err)
{
    const struct me_plan *plan = st->plan;
    emit_clock(st, ME_CLOCK_START);
    if (!st->link->ready(st->link, ++st->stand)) {
        st->stopped = true;
        return 0;
    }
    if (rest(st, ME_PHASE_IDLE, 0, plan->idle_s, err)) return -1;
    size_t n = st->workloads.count;
    for (size_t i = 0; i < n * (size_t)plan->warmup && !st->stopped; i++)
        if (run_workload(st, ME_PHASE_WARMUP, i % n, (int)i + 1, err)) return -1;
    const char *done = me_plan_find(plan, st->role.machine_id)->done;
    for (size_t i = 0; i < n * (size_t)plan->repeats && !st->stopped; i++) {
        if (me_repeats_has(done, (int)i + 1)) {
            stand_by(st);
            continue;
        }
        if (run_workload(st, ME_PHASE_RUN, i % n, (int)i + 1, err)) return -1;
        if (rest(st, ME_PHASE_COOLDOWN, (int)i + 1, plan->cooldown_s, err)) return -1;
    }
    return 0;
}

int me_station_run(const struct me_station_options *options, struct me_link *link, struct me_buffer *record,
                   struct me_journal **journal, struct me_error *err)
{
    struct me_station *st = me_station_create(options, link, record);
    if (!st) return me_fail(err, ME_E_RUN, "no memory");
    struct me_error local = {0};
    int rc = me_station_open(st, options->root, &local);
    if (!rc) rc = run_phases(st, &local);
    if (rc) snprintf(st->failed, sizeof st->failed, "%.255s", local.text);
    me_station_stop_sampler(st);
    if (!st->stopped) emit_clock(st, ME_CLOCK_END);
    enum me_machine_status status = st->stopped     ? ME_STATUS_INTERRUPTED
                                    : st->failed[0] ? ME_STATUS_FAILED
                                                    : ME_STATUS_OK;
    emit_end(st, status, st->stopped ? "stopped before its end" : st->failed);
    *journal = st->journal;
    me_station_close(st);
    if (!st->meter_is_busy) free(st);
    return record->failed ? me_fail(err, ME_E_RUN, "no memory for the record") : 0;
}
