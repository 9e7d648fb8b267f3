#include "me/source.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t table_size(void)
{
    size_t n = 0;
    while (me_source_table[n]) n++;
    return n;
}

/* Is `name` in the comma-separated list? */
static bool is_named(const char *only, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = only; at; at = strchr(at, ',')) {
        at += strspn(at, ", ");
        size_t word = strcspn(at, ", ");
        if (word == len && !strncmp(at, name, len)) return true;
    }
    return false;
}

static int check_names(const char *only, struct me_error *err)
{
    for (const char *at = only + strspn(only, ", "); *at; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ", "), i = 0;
        while (me_source_table[i] &&
               (strlen(me_source_table[i]->name) != len || strncmp(me_source_table[i]->name, at, len)))
            i++;
        if (!me_source_table[i]) {
            char known[192] = "";
            for (i = 0; me_source_table[i]; i++)
                snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "",
                         me_source_table[i]->name);
            return me_fail(err, ME_E_INPUT, "sources: there is no source %.*s (there are: %s)", (int)len, at,
                           known);
        }
        at += len;
    }
    return 0;
}

int me_meter_check(const struct me_meter_options *options, struct me_error *err)
{
    if (options->only && check_names(options->only, err)) return -1;
    if (me_events_check(options->events, err)) return -1;
    return me_external_check(options->external, err);
}

static bool is_taken(const struct me_meter *meter, const char *name)
{
    for (size_t i = 0; i < meter->channel_count; i++)
        if (!strcmp(meter->channels[i].name, name)) return true;
    return false;
}

/* The first of two sources keeps the short name. */
static void add_channel(struct me_meter *meter, const struct me_source *source,
                        const struct me_channel *added)
{
    struct me_channel channel = *added;
    if (is_taken(meter, channel.name))
        snprintf(channel.name, sizeof channel.name, "%.12s/%.34s", source->ops->name, added->name);
    for (unsigned n = 2; n < 10000 && is_taken(meter, channel.name); n++)
        snprintf(channel.name, sizeof channel.name, "%.10s/%.25s#%u", source->ops->name, added->name, n);
    snprintf(channel.source, sizeof channel.source, "%s", source->ops->name);
    if (channel.interval_s < source->interval_s) channel.interval_s = source->interval_s;
    meter->channels[meter->channel_count++] = channel;
}

static int open_source(struct me_meter *meter, struct me_source *source, const struct me_source_setup *setup,
                       struct me_error *err)
{
    if (source->ops->open(source, setup, err)) return -1;
    source->first = meter->channel_count;
    if (!source->found) return 0;
    size_t n = meter->channel_count + source->channel_count;
    struct me_channel *channels = realloc(meter->channels, (n ? n : 1) * sizeof *channels);
    if (!channels) return me_fail(err, ME_E_RUN, "%s: no memory for its channels", source->ops->name);
    meter->channels = channels;
    for (size_t i = 0; i < source->channel_count; i++) add_channel(meter, source, &source->channels[i]);
    return 0;
}

static bool counts(const struct me_meter *meter, enum me_scope narrowest)
{
    for (size_t i = 0; i < meter->channel_count; i++)
        if (meter->channels[i].counted && meter->channels[i].scope >= narrowest) return true;
    return false;
}

/* Does anything that counts cover the processor? A virtual machine may show its GPUs alone. */
static bool has_processor(const struct me_meter *meter)
{
    for (size_t i = 0; i < meter->channel_count; i++) {
        const struct me_channel *channel = &meter->channels[i];
        if (channel->counted && channel->scope != ME_SCOPE_GPU && channel->scope != ME_SCOPE_DRAM)
            return true;
    }
    return false;
}

static void add_reason(struct me_channel *channel, const char *who, const char *why)
{
    size_t len = strlen(channel->basis);
    snprintf(channel->basis + len, sizeof channel->basis - len, "; %s: %s", who, why);
}

/* A guess that stands in for a counter also says why there was no counter: what could be cured, what
 * was there and does not count, or else what the most common source says. */
static void say_why_modelled(struct me_meter *meter, size_t first)
{
    for (size_t c = first; c < meter->channel_count; c++) {
        struct me_channel *channel = &meter->channels[c];
        const struct me_source *usual = NULL;
        bool told = false;
        for (size_t i = 0; i + 1 < meter->source_count; i++) {
            const struct me_source *source = &meter->sources[i];
            if (!strcmp(source->ops->name, "powercap")) usual = source;
            if (source->found || !source->cure[0]) continue;
            add_reason(channel, source->ops->name, source->reason);
            told = true;
        }
        for (size_t i = 0; i < first; i++) {
            if (!meter->channels[i].why_not[0]) continue;
            add_reason(channel, meter->channels[i].name, meter->channels[i].why_not);
            told = true;
        }
        if (!told && usual) add_reason(channel, usual->ops->name, usual->reason);
    }
}

/* The last resorts, which are left closed where something better was found. */
static bool is_needless(struct me_meter *meter, struct me_source *source)
{
    const char *name = source->ops->name, *why = NULL;
    if (!strcmp(name, "model") && counts(meter, ME_SCOPE_CORE))
        why = has_processor(meter)
                  ? "this machine has counters"
                  : "what counts is measured; asked for by name (--sources) it adds the processor";
    if (!strcmp(name, "msr") && counts(meter, ME_SCOPE_PACKAGE)) why = "the kernel shows these registers";
    if (why) snprintf(source->reason, sizeof source->reason, "not needed: %s", why);
    return why != NULL;
}

/* Without a list, all; with one, those named, and what was asked for in another way: who gives a meter of
 * his own wants it read. */
static bool is_wanted(const struct me_meter_options *options, const char *name)
{
    if (!options->only || is_named(options->only, name)) return true;
    if (!strcmp(name, "external")) return options->external && *options->external;
    return !strcmp(name, "events") && options->events && *options->events &&
           strcmp(options->events, "none") != 0;
}

/* Opens the rows of the table that the user asked for. Modelled energy beside measured energy is only
 * ever asked for by name. */
static int open_sources(struct me_meter *meter, const struct me_source_setup *setup, struct me_error *err)
{
    const char *only = setup->options->only;
    for (size_t i = 0; me_source_table[i]; i++) {
        const struct me_source_ops *ops = me_source_table[i];
        if (!is_wanted(setup->options, ops->name)) continue;
        struct me_source *source = &meter->sources[meter->source_count++];
        source->ops = ops;
        if (!only && is_needless(meter, source)) continue;
        size_t before = meter->channel_count;
        if (open_source(meter, source, setup, err)) return -1;
        if (!only && !strcmp(ops->name, "model")) say_why_modelled(meter, before);
        if (meter->channel_count) me_channels_count(meter->channels, meter->channel_count);
    }
    return 0;
}

int me_meter_open(struct me_meter *meter, const struct me_meter_options *options, struct me_error *err)
{
    struct me_meter opened = {.root.fd = -1};
    struct me_meter_options wanted = *options;
    if (wanted.only && !wanted.only[strspn(wanted.only, ", ")]) wanted.only = NULL;
    if (me_meter_check(&wanted, err)) return -1;
    if (me_root_open(&opened.root, wanted.root ? wanted.root : "/", err)) return -1;
    struct me_source_setup setup = {
        .root = &opened.root, .live = me_root_is_live(&opened.root), .options = &wanted};
    opened.sources = calloc(table_size() + 1, sizeof *opened.sources);
    if (!opened.sources) {
        me_fail(err, ME_E_RUN, "sources: no memory");
        goto out;
    }
    if (open_sources(&opened, &setup, err)) goto out;
    *meter = opened;
    return 0;
out:
    me_meter_close(&opened);
    return -1;
}

void me_meter_read(struct me_meter *meter, struct me_reading *readings)
{
    for (size_t i = 0; i < meter->source_count; i++) {
        struct me_source *source = &meter->sources[i];
        if (!source->found) continue;
        if (source->interval_s > 0)
            memset(readings + source->first, 0, source->channel_count * sizeof *readings); /* absent */
        else
            source->ops->read(source, readings + source->first);
    }
}

void me_meter_read_source(struct me_meter *meter, size_t index, struct me_reading *readings)
{
    struct me_source *source = &meter->sources[index];
    memset(readings, 0, meter->channel_count * sizeof *readings);
    if (source->found) source->ops->read(source, readings + source->first);
}

void me_meter_close(struct me_meter *meter)
{
    if (!meter) return;
    for (size_t i = 0; meter->sources && i < meter->source_count; i++)
        if (meter->sources[i].found) meter->sources[i].ops->close(&meter->sources[i]);
    free(meter->sources);
    free(meter->channels);
    me_root_close(&meter->root);
    *meter = (struct me_meter){.root.fd = -1};
}
