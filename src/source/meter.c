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

int me_sources_check(const char *only, struct me_error *err)
{
    for (const char *at = only + strspn(only, ", "); *at; at += strspn(at, ", ")) {
        size_t len = strcspn(at, ", "), i = 0;
        while (me_source_table[i] &&
               (strlen(me_source_table[i]->name) != len || strncmp(me_source_table[i]->name, at, len)))
            i++;
        if (!me_source_table[i]) {
            char known[128] = "";
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

static int open_source(struct me_meter *meter, struct me_source *source, struct me_error *err)
{
    if (source->ops->open(source, &meter->root, err)) return -1;
    if (!source->found) return 0;
    size_t n = meter->channel_count + source->channel_count;
    struct me_channel *channels = realloc(meter->channels, (n ? n : 1) * sizeof *channels);
    if (!channels) return me_fail(err, ME_E_RUN, "%s: no memory for its channels", source->ops->name);
    memcpy(channels + meter->channel_count, source->channels, source->channel_count * sizeof *channels);
    meter->channels = channels;
    meter->channel_count = n;
    return 0;
}

static bool counts_anything(const struct me_meter *meter)
{
    for (size_t i = 0; i < meter->channel_count; i++)
        if (meter->channels[i].counted) return true;
    return false;
}

static void add_reason(struct me_channel *channel, const char *who, const char *why)
{
    size_t len = strlen(channel->basis);
    snprintf(channel->basis + len, sizeof channel->basis - len, "; %s: %s", who, why);
}

/* A guess that stands in for a counter also says why there was no counter. */
static void say_why_modelled(struct me_meter *meter, size_t first)
{
    for (size_t c = first; c < meter->channel_count; c++) {
        struct me_channel *channel = &meter->channels[c];
        for (size_t i = 0; i + 1 < meter->source_count; i++)
            if (!meter->sources[i].found)
                add_reason(channel, meter->sources[i].ops->name, meter->sources[i].reason);
        for (size_t i = 0; i < first; i++)
            if (meter->channels[i].why_not[0])
                add_reason(channel, meter->channels[i].name, meter->channels[i].why_not);
    }
}

/* Opens the rows of the table that `only` asks for. Modelled energy beside measured energy is only
 * ever asked for by name. */
static int open_sources(struct me_meter *meter, const char *only, struct me_error *err)
{
    for (size_t i = 0; me_source_table[i]; i++) {
        const struct me_source_ops *ops = me_source_table[i];
        if (only && !is_named(only, ops->name)) continue;
        struct me_source *source = &meter->sources[meter->source_count++];
        source->ops = ops;
        if (!only && !strcmp(ops->name, "model") && counts_anything(meter)) {
            snprintf(source->reason, sizeof source->reason, "not needed: this machine has counters");
            continue;
        }
        size_t before = meter->channel_count;
        if (open_source(meter, source, err)) return -1;
        if (!only && !strcmp(ops->name, "model")) say_why_modelled(meter, before);
        if (meter->channel_count) me_channels_count(meter->channels, meter->channel_count);
    }
    return 0;
}

int me_meter_open(struct me_meter *meter, const char *root, const char *only, struct me_error *err)
{
    struct me_meter opened = {.root.fd = -1};
    if (only && !only[strspn(only, ", ")]) only = NULL;
    if (only && me_sources_check(only, err)) return -1;
    if (me_root_open(&opened.root, root ? root : "/", err)) return -1;
    opened.sources = calloc(table_size() + 1, sizeof *opened.sources);
    if (!opened.sources) {
        me_fail(err, ME_E_RUN, "sources: no memory");
        goto out;
    }
    if (open_sources(&opened, only, err)) goto out;
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
        source->ops->read(source, readings);
        readings += source->channel_count;
    }
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
