#include "counters.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void rest_us(long us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static bool would_count(const struct me_channel *channel)
{
    return channel->kind == ME_KIND_COUNTER && !channel->activity && !channel->why_not[0] &&
           channel->scope != ME_SCOPE_CORE;
}

/* Is there a channel that would count and reads 0? */
static bool any_zero(struct me_source *source, struct me_reading *readings)
{
    bool any = false;
    source->ops->read(source, readings);
    for (size_t i = 0; i < source->channel_count && !any; i++)
        any = would_count(&source->channels[i]) && readings[i].state == ME_READING_OK && !readings[i].count;
    return any;
}

int me_counters_mark_dead(struct me_source *source, struct me_error *err)
{
    struct me_reading *readings = calloc(source->channel_count + 1, sizeof *readings);
    if (!readings) return me_fail(err, ME_E_RUN, "%s: no memory", source->ops->name);
    bool any = any_zero(source, readings);
    for (int i = 0; any && i < 10; i++) {
        rest_us(5000);
        any = any_zero(source, readings);
    }
    for (size_t i = 0; any && i < source->channel_count; i++) {
        struct me_channel *channel = &source->channels[i];
        if (would_count(channel) && readings[i].state == ME_READING_OK && !readings[i].count)
            snprintf(channel->why_not, sizeof channel->why_not, "stands at 0: no meter behind it");
    }
    free(readings);
    return 0;
}

/* Two readings of the whole source, one behind the other: in them b lies between two of a. */
static bool read_bracket(struct me_source *source, size_t a, size_t b, struct me_reading *pair)
{
    const size_t n = source->channel_count;
    source->ops->read(source, pair);
    source->ops->read(source, pair + n);
    return pair[a].state == ME_READING_OK && pair[b].state == ME_READING_OK &&
           pair[n + a].state == ME_READING_OK;
}

/* How much a grew by while b was read. */
static uint64_t width(const struct me_reading *bracket, size_t n, size_t a)
{
    return bracket[n + a].count - bracket[a].count;
}

bool me_counters_is_mirror(struct me_source *source, size_t a, size_t b, struct me_reading *scratch)
{
    const size_t n = source->channel_count;
    struct me_reading *begin = scratch, *end = scratch + 2 * n;
    int agreed = 0;
    if (!read_bracket(source, a, b, begin)) return false;
    for (int i = 0; i < 50 && agreed < 3; i++) {
        rest_us(2500);
        if (!read_bracket(source, a, b, end)) return false;
        uint64_t least = end[a].count - begin[n + a].count, most = end[n + a].count - begin[a].count,
                 grown = end[b].count - begin[b].count;
        bool wrapped = end[a].count < begin[a].count || end[n + a].count < end[a].count ||
                       end[b].count < begin[b].count || begin[n + a].count < begin[a].count;
        bool is_vague = most - least > least / 50 + 1; /* the machine was busy, or no tick has come yet */
        if (!wrapped && (grown + 1 < least || grown > most + 1)) return false; /* values are rounded down */
        if (!wrapped && !is_vague && least) agreed++;
        if (!wrapped && (is_vague || !least) && width(begin, n, a) <= width(end, n, a)) continue;
        struct me_reading *last = end; /* the next stretch begins here */
        end = begin;
        begin = last;
    }
    return agreed >= 3;
}

static bool is_same_part(const struct me_channel *a, const struct me_channel *b)
{
    const char *x = strchr(a->name, '/'), *y = strchr(b->name, '/');
    return a->scope == b->scope && a->package == b->package && !strcmp(x ? x : "", y ? y : "");
}

static void mark_if_repeats(struct me_source *source, size_t first, size_t index, bool is_package_wide,
                            struct me_reading *scratch)
{
    struct me_channel *channel = &source->channels[index];
    const struct me_channel *other = &source->channels[first];
    const size_t size = sizeof channel->why_not;
    if (channel->scope == ME_SCOPE_PLATFORM) /* one a package on some servers, and not known to differ */
        snprintf(channel->why_not, size, "taken for the same meter as %s", other->name);
    else if (!strcmp(channel->name, other->name) || is_package_wide)
        snprintf(channel->why_not, size, "%s again, by way of another CPU", other->name);
    else if (me_counters_is_mirror(source, first, index, scratch))
        snprintf(channel->why_not, size, "mirrors %s: one counter, shown twice", other->name);
}

int me_counters_mark_repeats(struct me_source *source, bool is_package_wide, struct me_error *err)
{
    struct me_reading *scratch = calloc(4 * source->channel_count + 1, sizeof *scratch);
    if (!scratch) return me_fail(err, ME_E_RUN, "%s: no memory", source->ops->name);
    for (size_t i = 0; i < source->channel_count; i++)
        for (size_t j = 0; j < i && !source->channels[i].why_not[0]; j++)
            if (!source->channels[j].why_not[0] && is_same_part(&source->channels[j], &source->channels[i]))
                mark_if_repeats(source, j, i, is_package_wide, scratch);
    free(scratch);
    return 0;
}
