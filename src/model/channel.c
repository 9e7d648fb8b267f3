#include "me/channel.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Reasons written by me_channels_count begin so; it takes them back when it is asked again, and
 * leaves the reasons of the sources (a mirror, a stalled counter) alone. */
#define OUR_REASON "not added: "

/* A counter whose source names no maximum power is taken for one that could be this hungry: a wrap
 * that goes unseen is worse than a span that is called invalid. */
#define UNKNOWN_MAX_POWER_W 1000.0

const char *me_scope_name(enum me_scope scope)
{
    static const char *const names[ME_SCOPE_COUNT] = {"core", "package", "dram", "gpu", "platform", "node"};
    return names[scope];
}

const char *me_kind_name(enum me_kind kind)
{
    return kind == ME_KIND_COUNTER ? "counter" : "gauge";
}

const char *me_class_name(enum me_class cls)
{
    static const char *const names[] = {"counter", "integrated", "modelled"};
    return names[cls];
}

static bool is_usable(const struct me_channel *channel, bool modelled)
{
    return !channel->activity && !channel->why_not[0] && (channel->cls == ME_CLASS_MODELLED) == modelled;
}

static bool is_same_part(const struct me_channel *a, const struct me_channel *b)
{
    if (a->scope == ME_SCOPE_NODE) return true; /* one node, whoever meters it */
    if (a->scope == ME_SCOPE_GPU) return !a->device[0] || !b->device[0] || !strcmp(a->device, b->device);
    return a->package == b->package || a->package < 0 || b->package < 0;
}

/* Does `other` measure the same thing as `channel`, only better? Channels of one source are told
 * apart by that source; of two sources the first in the table wins, after the better class. */
static bool is_better_twin(const struct me_channel *other, const struct me_channel *channel, bool earlier)
{
    if (other->scope != channel->scope || !other->counted || !strcmp(other->source, channel->source))
        return false;
    if (other->cls != channel->cls ? other->cls > channel->cls : !earlier) return false;
    return is_same_part(other, channel);
}

static void leave_out(struct me_channel *channel, const char *because)
{
    channel->counted = false;
    snprintf(channel->why_not, sizeof channel->why_not, OUR_REASON "%s", because);
}

#define TWIN_REASON OUR_REASON "the same as "

const struct me_channel *me_channel_twin(const struct me_channel *channels, size_t n,
                                         const struct me_channel *channel)
{
    if (strncmp(channel->why_not, TWIN_REASON, strlen(TWIN_REASON))) return NULL;
    const char *name = channel->why_not + strlen(TWIN_REASON);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(channels[i].name);
        if (channels[i].counted && !strncmp(channels[i].name, name, len) && !strncmp(name + len, " of ", 4))
            return &channels[i];
    }
    return NULL;
}

/* Counts the usable channels of one scope, twins once. Returns how many count. */
static size_t count_scope(struct me_channel *channels, size_t n, enum me_scope scope, bool modelled)
{
    size_t counted = 0;
    for (size_t i = 0; i < n; i++)
        if (channels[i].scope == scope && is_usable(&channels[i], modelled)) channels[i].counted = true;
    for (size_t i = 0; i < n; i++) {
        if (channels[i].scope != scope || !channels[i].counted) continue;
        for (size_t j = 0; j < n && channels[i].counted; j++) {
            if (j == i || !is_better_twin(&channels[j], &channels[i], j < i)) continue;
            char because[80];
            snprintf(because, sizeof because, "the same as %s of %s", channels[j].name, channels[j].source);
            leave_out(&channels[i], because);
        }
        if (channels[i].counted) counted++;
    }
    return counted;
}

/* A graphics chip that is a part of the processor (an APU): its driver shows the whole package by the
 * chip's address, and what another source shows of the chip is inside that. */
static void leave_out_integrated(struct me_channel *channels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct me_channel *gpu = &channels[i];
        if (gpu->scope != ME_SCOPE_GPU || !gpu->device[0] || gpu->why_not[0]) continue;
        for (size_t j = 0; j < n; j++)
            if (channels[j].scope == ME_SCOPE_PACKAGE && !strcmp(channels[j].device, gpu->device))
                leave_out(gpu, "it is a part of the package");
    }
}

/* Counts by the law of overlapping scopes, widest first, among the measured or the modelled
 * channels. Returns the widest scope that counts, or ME_SCOPE_COUNT if nothing does. */
static enum me_scope count_widest(struct me_channel *channels, size_t n, bool modelled)
{
    if (count_scope(channels, n, ME_SCOPE_NODE, modelled)) return ME_SCOPE_NODE;
    if (count_scope(channels, n, ME_SCOPE_PLATFORM, modelled)) return ME_SCOPE_PLATFORM;
    size_t packages = count_scope(channels, n, ME_SCOPE_PACKAGE, modelled);
    size_t parts = packages + count_scope(channels, n, ME_SCOPE_DRAM, modelled) +
                   count_scope(channels, n, ME_SCOPE_GPU, modelled);
    if (!packages) parts += count_scope(channels, n, ME_SCOPE_CORE, modelled);
    return parts ? ME_SCOPE_PACKAGE : ME_SCOPE_COUNT;
}

static bool counts_scope(const struct me_channel *channels, size_t n, enum me_scope scope)
{
    for (size_t i = 0; i < n; i++)
        if (channels[i].counted && channels[i].scope == scope) return true;
    return false;
}

/* Beside measured parts, a model fills only the parts that nothing measures. */
static void fill_with_models(struct me_channel *channels, size_t n)
{
    static const enum me_scope parts[] = {ME_SCOPE_PACKAGE, ME_SCOPE_DRAM, ME_SCOPE_GPU};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (counts_scope(channels, n, parts[i])) continue;
        if (parts[i] == ME_SCOPE_PACKAGE && counts_scope(channels, n, ME_SCOPE_CORE)) continue;
        count_scope(channels, n, parts[i], true);
    }
}

static void explain_rest(struct me_channel *channels, size_t n, enum me_scope widest, bool measured)
{
    for (size_t i = 0; i < n; i++) {
        struct me_channel *channel = &channels[i];
        if (channel->counted || channel->why_not[0] || channel->activity) continue;
        if (measured && channel->cls == ME_CLASS_MODELLED)
            leave_out(channel, "measured channels are there");
        else if (widest == ME_SCOPE_NODE)
            leave_out(channel, "the node's meter covers it");
        else if (widest == ME_SCOPE_PLATFORM)
            leave_out(channel, "the platform's meter covers it");
        else
            leave_out(channel, "its package covers it");
    }
}

void me_channels_count(struct me_channel *channels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        channels[i].counted = false;
        if (!strncmp(channels[i].why_not, OUR_REASON, strlen(OUR_REASON))) channels[i].why_not[0] = '\0';
    }
    leave_out_integrated(channels, n);
    enum me_scope widest = count_widest(channels, n, false);
    bool measured = widest != ME_SCOPE_COUNT;
    if (!measured)
        widest = count_widest(channels, n, true);
    else if (widest == ME_SCOPE_PACKAGE)
        fill_with_models(channels, n);
    explain_rest(channels, n, widest, measured);
}

void me_channels_scopes(const struct me_channel *channels, size_t n, char *text, size_t size)
{
    size_t len = 0;
    if (size) text[0] = '\0';
    for (int scope = 0; scope < ME_SCOPE_COUNT; scope++) {
        if (!counts_scope(channels, n, (enum me_scope)scope) || len >= size) continue;
        int more =
            snprintf(text + len, size - len, "%s%s", len ? "+" : "", me_scope_name((enum me_scope)scope));
        len += (size_t)more;
    }
}

/* Of the sources' reasons, those of what is in another channel or in no total at all. Any other is taken for
 * something that is missing: a machine that is not ranked says why, one that lacks a part would not. */
bool me_channel_is_missing(const char *why_not)
{
    static const char *const held_elsewhere[] = {
        " counts instead; ",
        "repeats ",
        "mirrors ",
        "taken for the same meter as ",
        " again, by way of another CPU",
        "a part of ",
        "a cross-check",
        "its energy counter is read",
        "the chip's first sensor counts",
        "its card covers it",
        "package covers it",
        "the node's meter shows the same",
        "second die of its module",
        "not visible to the workload",
        "its input counts",
        "one rail of several",
        "over a shorter window",
        "each has its own meter",
        "it charges the battery too",
        "it measures a battery",
        "an unknown sensor",
        "of unknown kind",
        "nothing says what each of them measures",
        "neither the machine's total nor",
        "0 W is no reading",
    };
    if (!why_not[0] || !strncmp(why_not, OUR_REASON, strlen(OUR_REASON))) return false;
    for (size_t i = 0; i < sizeof held_elsewhere / sizeof *held_elsewhere; i++)
        if (strstr(why_not, held_elsewhere[i])) return false;
    return true;
}

double me_channel_safe_interval_s(const struct me_channel *channel)
{
    if (channel->activity || channel->kind != ME_KIND_COUNTER || !channel->range) return INFINITY;
    double max_power_w = channel->max_power_w > 0 ? channel->max_power_w : UNKNOWN_MAX_POWER_W;
    return (double)channel->range * 1e-6 / max_power_w;
}
