#include "cli.h"
#include "me/buffer.h"
#include "me/facts.h"
#include "me/root.h"
#include "me/source.h"
#include "me/version.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    const char *root, *sources, *external, *events;
    bool json;
};

static const struct me_option options[] = {
    {"root", 0, ME_OPTION_STRING, offsetof(struct settings, root), 0, 0, "DIR",
     "read DIR/sys and DIR/proc: a container's /host, or a recorded machine [$ME_ROOT, else /]"},
    {"sources", 0, ME_OPTION_STRING, offsetof(struct settings, sources), 0, 0, "LIST",
     "look for these only, by name with commas [all]"},
    {"external", 0, ME_OPTION_STRING, offsetof(struct settings, external), 0, 0, "METER",
     "try your own meter: 'W COMMAND' or 'J < FILE', see README [none]"},
    {"events", 0, ME_OPTION_STRING, offsetof(struct settings, events), 0, 0, "LIST",
     "try these hardware events, by name with commas, or none [instructions, cycles, cache and branch "
     "misses]"},
    {"json", 0, ME_OPTION_FLAG, offsetof(struct settings, json), 0, 0, NULL, "print JSON"},
    {0},
};

const struct me_command me_cli_probe_command = {
    .program = "me probe",
    .usage = "[--root DIR] [--sources LIST] [--external METER] [--events LIST] [--json]",
    .summary = "Show what this machine's energy can be read from.",
    .details =
        "Every source is found, with its channels, or absent, with the reason and the one command that\n"
        "cures it. A channel that is not added to the machine's total says why.\n"
        "\n"
        "  me probe\n"
        "  me probe --root /host        in a container that has the machine's / there\n"
        "  me probe --external 'W,interval=2 /usr/local/bin/pdu-watts 7'",
    .options = options,
};

/* The weakest class among the counted channels; -1 if none counts. */
static int weakest_class(const struct me_meter *meter)
{
    int cls = -1;
    for (size_t i = 0; i < meter->channel_count; i++)
        if (meter->channels[i].counted && (int)meter->channels[i].cls > cls)
            cls = (int)meter->channels[i].cls;
    return cls;
}

static enum me_provenance worst_provenance(const struct me_meter *meter)
{
    enum me_provenance worst = ME_PROVENANCE_LIVE;
    for (size_t i = 0; i < meter->channel_count; i++)
        if (meter->channels[i].provenance > worst) worst = meter->channels[i].provenance;
    return worst;
}

/* The meter's channels stand in the order of the sources that were found. */
static const struct me_channel *channels_of(const struct me_meter *meter, size_t source)
{
    const struct me_channel *channels = meter->channels;
    for (size_t i = 0; i < source; i++)
        if (meter->sources[i].found) channels += meter->sources[i].channel_count;
    return channels;
}

static void put_string(struct me_buffer *out, const char *key, const char *text)
{
    me_buffer_printf(out, "\"%s\": ", key);
    me_buffer_json_quoted(out, text);
}

static void put_channel_json(struct me_buffer *out, const struct me_channel *channel)
{
    double safe_s = me_channel_safe_interval_s(channel);
    me_buffer_puts(out, "{");
    put_string(out, "name", channel->name);
    if (channel->activity) {
        me_buffer_printf(out, ", \"activity\": true, \"kind\": \"%s\", \"unit\": \"%s\"",
                         me_kind_name(channel->kind), channel->unit);
        me_buffer_printf(out, ", \"interval_s\": %.6g, \"provenance\": \"%s\"", channel->interval_s,
                         me_provenance_name(channel->provenance));
        me_buffer_puts(out, ", \"counted\": false, \"why_not\": \"\"}");
        return;
    }
    me_buffer_printf(out, ", \"scope\": \"%s\", \"kind\": \"%s\", \"class\": \"%s\", \"provenance\": \"%s\"",
                     me_scope_name(channel->scope), me_kind_name(channel->kind), me_class_name(channel->cls),
                     me_provenance_name(channel->provenance));
    me_buffer_printf(out, ", \"unit\": \"%s\", \"package\": %d, \"range\": %llu, \"max_power_w\": %.6g",
                     channel->unit, channel->package, (unsigned long long)channel->range,
                     channel->max_power_w);
    if (isfinite(safe_s))
        me_buffer_printf(out, ", \"safe_interval_s\": %.6g", safe_s);
    else
        me_buffer_puts(out, ", \"safe_interval_s\": null");
    me_buffer_printf(out, ", \"interval_s\": %.6g, ", channel->interval_s);
    put_string(out, "device", channel->device);
    me_buffer_printf(out, ", \"counted\": %s, ", channel->counted ? "true" : "false");
    put_string(out, "why_not", channel->why_not);
    me_buffer_puts(out, ", ");
    put_string(out, "basis", channel->basis);
    me_buffer_puts(out, "}");
}

static void put_source_json(struct me_buffer *out, const struct me_meter *meter, size_t index)
{
    const struct me_source *source = &meter->sources[index];
    me_buffer_puts(out, "  {");
    put_string(out, "name", source->ops->name);
    me_buffer_printf(out, ", \"found\": %s, ", source->found ? "true" : "false");
    put_string(out, "reason", source->reason);
    me_buffer_puts(out, ", ");
    put_string(out, "cure", source->cure);
    me_buffer_puts(out, ", \"channels\": [");
    size_t n = source->found ? source->channel_count : 0;
    for (size_t i = 0; i < n; i++) {
        me_buffer_puts(out, i ? ",\n   " : "\n   ");
        put_channel_json(out, channels_of(meter, index) + i);
    }
    me_buffer_puts(out, "]}");
}

static void put_json(struct me_buffer *out, const struct me_meter *meter, const struct me_facts *facts,
                     const char *scopes)
{
    int cls = weakest_class(meter);
    me_buffer_puts(out, "{\"machine\": {");
    put_string(out, "host", facts->host);
    me_buffer_puts(out, ", ");
    put_string(out, "boot_id", facts->boot_id);
    me_buffer_puts(out, ", ");
    put_string(out, "cpu_model", facts->cpu_model);
    me_buffer_printf(out, ", \"sockets\": %d, \"cores\": %d, \"threads\": %d, \"memory_bytes\": %llu, ",
                     facts->sockets, facts->cores, facts->threads, (unsigned long long)facts->memory_bytes);
    put_string(out, "kernel", facts->kernel);
    me_buffer_puts(out, "},\n \"sources\": [\n");
    for (size_t i = 0; i < meter->source_count; i++) {
        if (i) me_buffer_puts(out, ",\n");
        put_source_json(out, meter, i);
    }
    me_buffer_puts(out, "\n ],\n ");
    put_string(out, "scopes", scopes);
    me_buffer_puts(out, ", ");
    put_string(out, "class", cls < 0 ? "" : me_class_name((enum me_class)cls));
    me_buffer_puts(out, ", ");
    put_string(out, "provenance", me_provenance_name(worst_provenance(meter)));
    me_buffer_puts(out, "}\n");
}

/* Of the column of names: so wide that the columns behind it stay in line. */
static int name_width(const struct me_channel *channels, size_t n)
{
    size_t width = 22;
    for (size_t i = 0; i < n; i++)
        if (strlen(channels[i].name) > width) width = strlen(channels[i].name);
    return (int)width;
}

/* What the machine does beside using energy: its unit stands where others have their scope. */
static void put_activity_text(struct me_buffer *out, const struct me_channel *channel, int width)
{
    me_buffer_printf(out, "  %-*s %-9s %-10s %-16s every %g s\n", width, channel->name,
                     strcmp(channel->unit, "1") ? channel->unit : "count", "activity",
                     me_kind_name(channel->kind), channel->interval_s);
}

static void put_channel_text(struct me_buffer *out, const struct me_channel *channel, int width)
{
    if (channel->activity) {
        put_activity_text(out, channel, width);
        return;
    }
    double safe_s = me_channel_safe_interval_s(channel);
    char range[48] = "no range", safe[48] = "";
    if (channel->kind == ME_KIND_GAUGE)
        snprintf(range, sizeof range, "gauge");
    else if (channel->range)
        snprintf(range, sizeof range, "range %.6g J", (double)channel->range * 1e-6);
    if (isfinite(safe_s))
        snprintf(safe, sizeof safe, safe_s < 1000 ? "read within %.3g s" : "read within %.0f s", safe_s);
    else if (channel->interval_s > 0)
        snprintf(safe, sizeof safe, "every %g s", channel->interval_s);
    me_buffer_printf(out, "  %-*s %-9s %-10s %-16s %-20s %s%s\n", width, channel->name,
                     me_scope_name(channel->scope), me_class_name(channel->cls), range, safe,
                     channel->counted ? "counted" : "", channel->why_not);
}

static void put_machine_text(struct me_buffer *out, const struct me_facts *facts)
{
    me_buffer_printf(out, "machine %s: %s, %d socket%s, %d cores, %d threads",
                     facts->host[0] ? facts->host : "(no name)",
                     facts->cpu_model[0] ? facts->cpu_model : "unknown processor", facts->sockets,
                     facts->sockets == 1 ? "" : "s", facts->cores, facts->threads);
    if (facts->memory_bytes)
        me_buffer_printf(out, ", %.1f GiB", (double)facts->memory_bytes / (1024.0 * 1024 * 1024));
    me_buffer_printf(out, "%s%s\nboot id %s\n\n", facts->kernel[0] ? ", " : "", facts->kernel,
                     facts->boot_id[0] ? facts->boot_id : "(none)");
}

static void put_total_text(struct me_buffer *out, const struct me_meter *meter, const char *scopes)
{
    enum me_provenance provenance = worst_provenance(meter);
    int cls = weakest_class(meter);
    if (cls < 0)
        me_buffer_puts(out, "\ntotal: nothing; this machine's energy cannot be told\n");
    else
        me_buffer_printf(out, "\ntotal: %s%s\n", scopes,
                         cls == ME_CLASS_MODELLED ? ", MODELLED: no counter on this machine was read" : "");
    if (provenance == ME_PROVENANCE_FAKE)
        me_buffer_puts(
            out, "provenance: fake: a program answers, not a kernel; never ranked beside a measured one\n");
    if (provenance == ME_PROVENANCE_REPLAY)
        me_buffer_puts(
            out, "provenance: replay: plain files, a recorded machine; never ranked beside a measured one\n");
}

static void put_text(struct me_buffer *out, const struct me_meter *meter, const struct me_facts *facts,
                     const char *scopes)
{
    put_machine_text(out, facts);
    for (size_t i = 0; i < meter->source_count; i++) {
        const struct me_source *source = &meter->sources[i];
        size_t n = source->found ? source->channel_count : 0;
        const char *state = source->found ? "found" : "absent";
        if (!strncmp(source->reason, "not needed", 10))
            me_buffer_printf(out, "%s: ", source->ops->name);
        else
            me_buffer_printf(out, "%s: %s%s", source->ops->name, state, source->reason[0] ? ": " : "");
        me_buffer_printf(out, "%s\n", source->reason);
        if (source->cure[0]) me_buffer_printf(out, "  cure: %s\n", source->cure);
        const struct me_channel *channels = channels_of(meter, i);
        const int width = name_width(channels, n);
        for (size_t c = 0; c < n; c++) put_channel_text(out, &channels[c], width);
    }
    put_total_text(out, meter, scopes);
}

int me_cli_probe(int argc, char **argv, struct me_error *err)
{
    struct settings settings = {.root = me_root_default()};
    struct me_operands operands;
    struct me_meter meter;
    struct me_facts facts;
    struct me_buffer text = ME_BUFFER_INIT;
    char scopes[96];
    if (me_options_parse(&me_cli_probe_command, argc, argv, &settings, &operands, err)) return -1;
    if (operands.help || operands.version) {
        if (operands.help)
            me_options_help(&me_cli_probe_command, stdout);
        else
            printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    struct me_meter_options wanted = {.root = settings.root,
                                      .only = settings.sources,
                                      .external = settings.external,
                                      .events = settings.events};
    if (me_meter_open(&meter, &wanted, err)) return -1;
    me_machine_facts(&meter.root, &facts);
    me_channels_scopes(meter.channels, meter.channel_count, scopes, sizeof scopes);
    if (settings.json)
        put_json(&text, &meter, &facts, scopes);
    else
        put_text(&text, &meter, &facts, scopes);
    me_meter_close(&meter);
    int rc = text.failed ? me_fail(err, ME_E_RUN, "probe: no memory for the answer") : 0;
    if (!rc) fwrite(text.data, 1, text.len, stdout);
    me_buffer_release(&text);
    return rc;
}
