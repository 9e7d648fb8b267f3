#include "model.h"
#include "me/clock.h"
#include "me/units.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct state {
    int fd; /* of proc/stat */
    int64_t opened_ns;
    uint64_t opened_ticks;
    double idle_w, uj_per_tick; /* of busy time above idle */
    uint64_t last_uj;           /* the counter never runs backwards, whatever proc/stat does */
};

double me_model_max_w(const struct me_cpu *cpu, char *basis, size_t size)
{
    struct me_cpu_row row;
    int sockets = cpu->sockets > 0 ? cpu->sockets : 1, threads = cpu->threads > 0 ? cpu->threads : 1;
    double guess_w = ME_MODEL_W_PER_THREAD * threads;
    if (!me_cpu_find(cpu->model, &row)) {
        snprintf(basis, size, "%g W x %d threads: no TDP known for \"%.64s\"", ME_MODEL_W_PER_THREAD, threads,
                 cpu->model);
        return guess_w;
    }
    if (!cpu->is_virtual) {
        snprintf(basis, size, "TDP %g W of %.64s x %d socket%s", row.tdp_w, row.model, sockets,
                 sockets == 1 ? "" : "s");
        return row.tdp_w * sockets;
    }
    if (row.threads > 0) {
        snprintf(basis, size, "TDP %g W of %.64s x %d/%d threads%s", row.tdp_w, row.model, threads,
                 row.threads, row.threads_guessed ? ", taken as 2 a core" : "");
        return row.tdp_w * threads / row.threads;
    }
    snprintf(basis, size, "%g W x %d threads: how many %.64s has is not known", ME_MODEL_W_PER_THREAD,
             threads, row.model);
    return guess_w < row.tdp_w ? guess_w : row.tdp_w;
}

int me_model_busy_ticks(const char *text, uint64_t *ticks)
{
    uint64_t user, nice, system, idle, iowait, irq, softirq;
    if (strncmp(text, "cpu ", 4) || /* not cpu0: the line of all */
        sscanf(text, "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
               &user, &nice, &system, &idle, &iowait, &irq, &softirq) != 7)
        return EINVAL;
    *ticks = user + nice + system + irq + softirq;
    return 0;
}

static int read_ticks(int fd, uint64_t *ticks)
{
    char text[256]; /* the first line is all that is wanted */
    ssize_t len;
    do len = pread(fd, text, sizeof text - 1, 0);
    while (len < 0 && errno == EINTR);
    if (len < 0) return errno;
    text[len] = '\0';
    return me_model_busy_ticks(text, ticks);
}

static void read_model(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    uint64_t ticks;
    int error = read_ticks(state->fd, &ticks);
    if (error) {
        readings[0] = (struct me_reading){.state = ME_READING_FAILED, .error = (int16_t)error};
        return;
    }
    double seconds = me_ns_to_s(me_clock_mono_ns() - state->opened_ns);
    double busy = ticks > state->opened_ticks ? (double)(ticks - state->opened_ticks) : 0;
    uint64_t uj = (uint64_t)(state->idle_w * seconds * 1e6 + busy * state->uj_per_tick);
    if (uj > state->last_uj) state->last_uj = uj;
    readings[0] = (struct me_reading){.state = ME_READING_OK, .count = state->last_uj};
}

static void close_model(struct me_source *source)
{
    struct state *state = source->state;
    if (state && state->fd >= 0) close(state->fd);
    free(state);
    free(source->channels);
    source->state = NULL;
    source->channels = NULL;
    source->channel_count = 0;
}

static void describe(struct me_source *source, const struct me_cpu *cpu, double max_w, const char *basis,
                     int fd)
{
    struct me_channel *channel = source->channels;
    *channel = (struct me_channel){.name = "model",
                                   .source = "model",
                                   .scope = ME_SCOPE_PACKAGE,
                                   .kind = ME_KIND_COUNTER,
                                   .cls = ME_CLASS_MODELLED,
                                   .unit = "uJ",
                                   .package = -1,
                                   .max_power_w = max_w,
                                   .provenance = me_root_provenance(fd)};
    snprintf(channel->basis, sizeof channel->basis, "%s", basis);
    snprintf(source->reason, sizeof source->reason,
             "modelled, not measured: %.3g W idle to %.3g W at full load of %d "
             "threads (%s)",
             max_w * ME_MODEL_IDLE_SHARE, max_w, cpu->threads, basis);
}

static int open_model(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    const struct me_root *root = setup->root;
    struct me_cpu cpu;
    char basis[128];
    struct state *state = calloc(1, sizeof *state);
    source->state = state;
    source->channels = calloc(1, sizeof *source->channels);
    if (!state || !source->channels) {
        if (state) state->fd = -1;
        close_model(source);
        return me_fail(err, ME_E_RUN, "model: no memory");
    }
    me_cpu_read(root, &cpu);
    double max_w = me_model_max_w(&cpu, basis, sizeof basis);
    state->fd = me_root_openat(root, "proc/stat");
    int error = state->fd < 0 ? -state->fd : read_ticks(state->fd, &state->opened_ticks);
    if (error || cpu.threads < 1) {
        snprintf(source->reason, sizeof source->reason, "%s: %s", error ? "proc/stat" : "proc/cpuinfo",
                 error ? strerror(error) : "no processors in it");
        close_model(source);
        return 0;
    }
    state->opened_ns = me_clock_mono_ns();
    state->idle_w = max_w * ME_MODEL_IDLE_SHARE;
    state->uj_per_tick = (max_w - state->idle_w) * 1e6 / (double)sysconf(_SC_CLK_TCK) / cpu.threads;
    describe(source, &cpu, max_w, basis, state->fd);
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
