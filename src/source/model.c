#include "model.h"
#include "me/clock.h"
#include "me/units.h"
#include "file.h"
#include "ops.h"
#include "system.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct state {
    int fd; /* of proc/stat */
    int threads;
    double ticks_per_s;
    struct me_curve curve;
    struct me_model_clock clock;
};

/* A virtual machine has as many processors as its threads need, and its share of them. */
static void share_of_processor(const struct me_cpu *cpu, const struct me_curve_cpu *known, int threads,
                               struct me_curve_machine *machine, char *note, size_t size)
{
    int whole = known->row.threads;
    if (whole > 0) {
        const int sockets = (threads + whole - 1) / whole;
        machine->sockets = sockets;
        machine->cores = 0; /* those of the processor are known */
        machine->share = (double)threads / (sockets * whole);
        snprintf(note, size, "%d/%d threads%s of %.64s", threads, sockets * whole,
                 known->row.threads_guessed ? ", taken as 2 a core," : "", known->row.model);
        return;
    }
    whole = threads > ME_MODEL_HOST_THREADS ? threads : ME_MODEL_HOST_THREADS;
    machine->sockets = 1;
    machine->share = (double)threads / whole;
    machine->cores = (double)threads / 2;
    snprintf(note, size, "%d/%d threads of an unknown processor \"%.64s\"", threads, whole, cpu->model);
}

void me_model_curve(const struct me_cpu *cpu, double memory_gb, struct me_curve *curve)
{
    struct me_curve_cpu known;
    struct me_curve_machine machine = {.sockets = cpu->sockets, .cores = cpu->cores, .memory_gb = memory_gb};
    int threads = cpu->threads > 0 ? cpu->threads : 1;
    char note[160], basis[sizeof curve->basis];
    me_curve_cpu(cpu->model, &known);
    if (cpu->is_virtual)
        share_of_processor(cpu, &known, threads, &machine, note, sizeof note);
    else if (known.found)
        snprintf(note, sizeof note, "%.64s x %d socket%s", known.row.model, cpu->sockets,
                 cpu->sockets == 1 ? "" : "s");
    else
        snprintf(note, sizeof note, "unknown processor \"%.64s\", %d threads", cpu->model, threads);
    if (!cpu->is_virtual && !cpu->cores) machine.cores = (double)threads / 2;
    me_curve_make(&known, &machine, curve);
    snprintf(basis, sizeof basis, "%s", curve->basis);
    snprintf(curve->basis, sizeof curve->basis, "%s; %.*s; memory not in it", note,
             (int)(sizeof curve->basis - sizeof note - 24), basis);
}

uint64_t me_model_advance(struct me_model_clock *clock, const struct me_curve *curve, int64_t now_ns,
                          double busy_s, int threads)
{
    int64_t window_ns = now_ns - clock->begin_ns;
    double busy = busy_s > clock->begin_busy_s ? busy_s - clock->begin_busy_s : 0,
           window_s = me_ns_to_s(window_ns);
    double load = window_ns > 0 ? busy / (window_s * threads) : 0;
    double energy_j = clock->begin_j + (window_ns > 0 ? me_curve_package_w(curve, load) * window_s : 0);
    if (window_s >= ME_MODEL_WINDOW_S) {
        clock->begin_ns = now_ns;
        clock->begin_busy_s = busy_s;
        clock->begin_j = energy_j;
    }
    double least_j = clock->last_j;
    if (clock->last_ns && now_ns > clock->last_ns)
        least_j += me_curve_package_w(curve, 0) * me_ns_to_s(now_ns - clock->last_ns);
    clock->last_ns = now_ns;
    clock->last_j = energy_j > least_j ? energy_j : least_j;
    return (uint64_t)(clock->last_j * 1e6);
}

static int read_ticks(int fd, uint64_t *ticks)
{
    char text[256]; /* the first line is all that is wanted */
    struct me_system_stat stat;
    int error = me_file_text(fd, text, sizeof text);
    if (!error) error = me_system_parse_stat(text, &stat);
    if (!error) *ticks = stat.busy_ticks;
    return error;
}

static void read_model(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    uint64_t ticks;
    int error = read_ticks(state->fd, &ticks);
    uint64_t uj = error ? 0
                        : me_model_advance(&state->clock, &state->curve, me_clock_mono_ns(),
                                           (double)ticks / state->ticks_per_s, state->threads);
    readings[0] = me_ops_count(error, uj);
}

static void close_model(struct me_source *source)
{
    struct state *state = source->state;
    if (state && state->fd >= 0) close(state->fd);
    me_ops_release(source);
}

static void describe(struct me_source *source, const struct state *state)
{
    struct me_channel *channel = source->channels;
    double full_w = me_curve_package_w(&state->curve, 1);
    char text[sizeof source->reason + sizeof state->curve.basis], *end = text;
    *channel = (struct me_channel){.name = "model",
                                   .scope = ME_SCOPE_PACKAGE,
                                   .kind = ME_KIND_COUNTER,
                                   .cls = ME_CLASS_MODELLED,
                                   .unit = "uJ",
                                   .package = -1,
                                   .max_power_w = full_w,
                                   .provenance = me_root_provenance(state->fd)};
    snprintf(channel->basis, sizeof channel->basis, "%s", state->curve.basis);
    snprintf(text, sizeof text,
             "modelled, not measured: %.3g W idle to %.3g W at full load of %d threads (%s)",
             me_curve_package_w(&state->curve, 0), full_w, state->threads, state->curve.basis);
    const size_t room = sizeof source->reason - strlen("; ...)") - 1;
    if (strlen(text) >= sizeof source->reason) { /* the rest of it stands in the basis */
        for (char *at = text; (at = strchr(at, ';')) && at < text + room; at++) end = at;
        snprintf(end, sizeof text - (size_t)(end - text), "; ...)");
    }
    snprintf(source->reason, sizeof source->reason, "%.*s", (int)sizeof source->reason - 1, text);
}

static int open_model(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    const struct me_root *root = setup->root;
    struct me_cpu cpu;
    uint64_t ticks = 0;
    struct state *state = calloc(1, sizeof *state);
    source->state = state;
    source->channels = calloc(1, sizeof *source->channels);
    if (!state || !source->channels) {
        if (state) state->fd = -1;
        close_model(source);
        return me_fail(err, ME_E_RUN, "model: no memory");
    }
    me_cpu_read(root, &cpu);
    state->fd = me_root_openat(root, "proc/stat");
    int error = state->fd < 0 ? -state->fd : read_ticks(state->fd, &ticks);
    if (error || cpu.threads < 1) {
        snprintf(source->reason, sizeof source->reason, "%s: %s", error ? "proc/stat" : "proc/cpuinfo",
                 error ? strerror(error) : "no processors in it");
        close_model(source);
        return 0;
    }
    state->threads = cpu.threads;
    state->ticks_per_s = (double)sysconf(_SC_CLK_TCK);
    state->clock = (struct me_model_clock){.begin_ns = me_clock_mono_ns(),
                                           .begin_busy_s = (double)ticks / state->ticks_per_s};
    me_model_curve(&cpu, (double)me_system_memory_bytes(root) / 0x1p30, &state->curve);
    describe(source, state);
    source->channel_count = 1;
    source->found = true;
    return 0;
}

const struct me_source_ops me_model_ops = {
    .name = "model",
    .summary = "power modelled from processor load; used where nothing else is found",
    .open = open_model,
    .read = read_model,
    .close = close_model,
};
