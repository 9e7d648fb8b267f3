#include "events.h"
#include "cpu.h"
#include "ops.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state {
    size_t count; /* of events; one channel each, and "events/running" behind them */
    uint64_t totals[ME_EVENTS_MAX];
    struct me_event events[ME_EVENTS_MAX];
    struct me_event_groups groups;
};

/* A sum that lacks a processor is no number; and one that does not know yet what a processor did is none
 * for this time. */
static void judge(const struct state *state, struct me_reading *readings)
{
    for (size_t g = 0; g < state->groups.count; g++) {
        const struct me_event_group *group = &state->groups.groups[g];
        for (size_t i = 0; i < group->count; i++) {
            struct me_reading *reading = &readings[group->at[i]];
            if (group->error)
                *reading = readings[state->count] = me_ops_count(group->error, 0);
            else if (group->waiting && reading->state == ME_READING_OK)
                *reading = (struct me_reading){.state = ME_READING_ABSENT};
        }
    }
}

static void read_events(struct me_source *source, struct me_reading *readings)
{
    struct state *state = source->state;
    double least = 1;
    for (size_t g = 0; g < state->groups.count; g++) {
        double share;
        me_events_read_group(&state->groups.groups[g], state->totals, &share);
        if (share < least) least = share;
    }
    for (size_t e = 0; e < state->count; e++) readings[e] = me_ops_count(0, state->totals[e]);
    readings[state->count] = me_ops_level(0, least);
    judge(state, readings);
}

static void close_events(struct me_source *source)
{
    struct state *state = source->state;
    if (state) me_events_close_groups(&state->groups);
    me_ops_release(source);
}

/* What no processor here has gets no channel; the groups' numbers of events follow. */
static void drop_uncounted(struct state *state)
{
    unsigned char to[ME_EVENTS_MAX] = {0};
    size_t kept = 0;
    for (size_t e = 0; e < state->count; e++) {
        if (!state->groups.counted_on[e]) continue;
        state->events[kept] = state->events[e];
        state->groups.counted_on[kept] = state->groups.counted_on[e];
        to[e] = (unsigned char)kept++;
    }
    for (size_t g = 0; g < state->groups.count; g++)
        for (size_t i = 0; i < state->groups.groups[g].count; i++)
            state->groups.groups[g].at[i] = to[state->groups.groups[g].at[i]];
    state->count = kept;
}

static void describe(struct me_source *source)
{
    const struct state *state = source->state;
    size_t cpus = state->groups.cpus;
    for (size_t e = 0; e <= state->count; e++) {
        struct me_channel *channel = &source->channels[e];
        bool is_share = e == state->count;
        *channel = (struct me_channel){.kind = is_share ? ME_KIND_GAUGE : ME_KIND_COUNTER,
                                       .cls = ME_CLASS_COUNTER,
                                       .scope = ME_SCOPE_NODE,
                                       .unit = "1",
                                       .activity = true,
                                       .package = -1,
                                       .provenance = ME_PROVENANCE_LIVE};
        if (!is_share && state->events[e].is_time) snprintf(channel->unit, sizeof channel->unit, "ns");
        snprintf(channel->name, sizeof channel->name, "%s",
                 is_share ? "events/running" : state->events[e].name);
        if (is_share)
            snprintf(channel->basis, sizeof channel->basis,
                     "share of the time in which the events had the processor's counters; below 1 they are "
                     "scaled up");
        else if (state->groups.counted_on[e] < cpus)
            snprintf(channel->basis, sizeof channel->basis, "counted on %zu of %zu processors",
                     state->groups.counted_on[e], cpus);
    }
    source->channel_count = state->count + 1;
    source->interval_s = me_events_interval_s(state->groups.count);
}

static void add_remark(struct me_source *source, const char *text, const char *word)
{
    size_t len = strlen(source->reason);
    snprintf(source->reason + len, sizeof source->reason - len, "%s%s", text, word);
}

static void say_missing(struct me_source *source, const char *missing)
{
    struct state *state = source->state;
    if (missing[0]) add_remark(source, "this processor has no event ", missing);
    for (size_t e = 0; e < state->count; e++)
        if (!state->groups.counted_on[e])
            add_remark(source, source->reason[0] ? ", " : "not counted here: ", state->events[e].name);
}

/* Opens the user's events; or the default ones, and where the processor's counters are not shown, what
 * the kernel counts by itself. 0 or an errno. */
static int open_groups(struct me_source *source, const struct me_root *root, bool is_default)
{
    struct state *state = source->state;
    struct me_cpu cpu;
    int rc = me_events_open_groups(&state->groups, root, state->events, state->count);
    if (rc || state->groups.count || !is_default) return rc;
    state->count = me_events_of_set(ME_EVENTS_SOFTWARE, state->events);
    rc = me_events_open_groups(&state->groups, root, state->events, state->count);
    me_cpu_read(root, &cpu);
    add_remark(source, "software events only: hardware counters are not shown by ",
               cpu.is_virtual ? "this virtual machine" : "this kernel");
    return rc;
}

static int open_named(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    struct state *state = source->state;
    const char *names = setup->options->events;
    char missing[128] = "";
    bool is_default = !names || !names[strspn(names, ", ")];
    if (is_default)
        state->count = me_events_of_set(ME_EVENTS_DEFAULT, state->events);
    else if (me_events_of_names(names, state->events, &state->count, missing, sizeof missing, err))
        return -1;
    int error = state->count ? open_groups(source, setup->root, is_default) : 0;
    say_missing(source, missing);
    if (is_default && !state->count) add_remark(source, "libpfm4 does not start", "");
    if (error) me_events_explain(source, setup->root, error);
    if (error || !state->groups.count) return 0;
    drop_uncounted(state);
    source->channels = calloc(state->count + 1, sizeof *source->channels);
    if (!source->channels) return me_fail(err, ME_E_RUN, "events: no memory");
    describe(source);
    source->found = true;
    return 0;
}

static int open_events(struct me_source *source, const struct me_source_setup *setup, struct me_error *err)
{
    if (me_events_is_none(setup->options->events)) {
        snprintf(source->reason, sizeof source->reason, "not wanted (--events none)");
        return 0;
    }
    if (!setup->live) {
        me_ops_say_foreign(source);
        return 0;
    }
    source->state = calloc(1, sizeof(struct state));
    if (!source->state) return me_fail(err, ME_E_RUN, "events: no memory");
    int rc = open_named(source, setup, err);
    if (!source->found) close_events(source);
    return rc;
}

const struct me_source_ops me_events_ops = {
    .name = "events",
    .summary = "hardware events of the processors (instructions, cycles, ...), from perf",
    .open = open_events,
    .read = read_events,
    .close = close_events,
};
