#include "me/record.h"
#include "record.h"
#include "wire.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What became of a chunk. */
enum outcome { TAKEN, ENDED, DAMAGED, NO_MEMORY };

void me_record_release(struct me_record *record)
{
    if (!record) return;
    for (size_t i = 0; i < record->log_count; i++) free(record->logs[i].text);
    free(record->channels);
    free(record->spans);
    free(record->regions);
    free(record->metrics);
    free(record->logs);
    me_series_release(&record->series);
    *record = (struct me_record){0};
}

/* Room for one more item in an array that only this file grows: it doubles at each power of two. */
static void *room(void *array, size_t count, size_t size)
{
    if (count & (count - 1)) return array; /* count is no power of two: there is room */
    size_t capacity = count ? count * 2 : 1;
    return capacity > SIZE_MAX / size ? NULL : realloc(array, capacity * size);
}

static uint32_t get_below(struct me_wire *in, uint64_t limit)
{
    uint64_t value = me_wire_uint(in);
    if (value < limit) return (uint32_t)value;
    in->bad = true;
    return 0;
}

static uint32_t get_index(struct me_wire *in)
{
    return get_below(in, UINT64_C(1) << 32);
}
static int get_int(struct me_wire *in)
{
    return (int)me_wire_int(in, INT_MIN, INT_MAX);
}
static int get_count(struct me_wire *in)
{
    return (int)me_wire_int(in, 0, INT_MAX);
}

static enum outcome take_facts(struct me_wire *in, struct me_record *record)
{
    struct me_facts facts = {.machine_id = get_count(in)};
    me_wire_text(in, facts.name, sizeof facts.name);
    me_wire_text(in, facts.host, sizeof facts.host);
    me_wire_text(in, facts.boot_id, sizeof facts.boot_id);
    me_wire_text(in, facts.cpu_model, sizeof facts.cpu_model);
    facts.sockets = get_int(in);
    facts.cores = get_int(in);
    facts.threads = get_int(in);
    facts.memory_bytes = me_wire_uint(in);
    me_wire_text(in, facts.kernel, sizeof facts.kernel);
    facts.unix_minus_mono_ns = me_wire_int(in, INT64_MIN, INT64_MAX);
    if (me_wire_left(in)) me_wire_text(in, facts.sampler, sizeof facts.sampler);
    if (me_wire_left(in)) {
        me_wire_text(in, facts.run_id, sizeof facts.run_id);
        me_wire_text(in, facts.experiment, sizeof facts.experiment);
    }
    if (in->bad) return DAMAGED;
    record->facts = facts;
    return TAKEN;
}

static void get_channel(struct me_wire *in, struct me_channel *channel)
{
    *channel = (struct me_channel){0};
    me_wire_text(in, channel->name, sizeof channel->name);
    me_wire_text(in, channel->source, sizeof channel->source);
    channel->scope = get_below(in, ME_SCOPE_COUNT);
    channel->kind = get_below(in, ME_KIND_GAUGE + 1);
    channel->cls = get_below(in, ME_CLASS_MODELLED + 1);
    channel->provenance = get_below(in, ME_PROVENANCE_REPLAY + 1);
    me_wire_text(in, channel->unit, sizeof channel->unit);
    channel->package = get_int(in);
    channel->range = me_wire_uint(in);
    channel->max_power_w = me_wire_double(in);
    channel->counted = get_below(in, 2);
    me_wire_text(in, channel->why_not, sizeof channel->why_not);
    me_wire_text(in, channel->basis, sizeof channel->basis);
    if (!me_wire_left(in)) return;
    channel->activity = get_below(in, 2);
    me_wire_text(in, channel->device, sizeof channel->device);
    channel->interval_s = me_wire_double(in);
    if (!(channel->interval_s >= 0 && channel->interval_s <= ME_INTERVAL_MAX_S)) in->bad = true;
}

static enum outcome take_channels(struct me_wire *in, struct me_record *record)
{
    enum { SMALLEST = 20 }; /* bytes of a channel whose texts are empty, with its length */
    uint64_t n = me_wire_uint(in);
    if (in->bad || record->channels || n > me_wire_left(in) / SMALLEST) return DAMAGED;
    struct me_channel *channels = calloc(n ? (size_t)n : 1, sizeof *channels);
    if (!channels) return NO_MEMORY;
    for (size_t i = 0; i < n && !in->bad; i++) {
        uint64_t len = me_wire_uint(in);
        const uint8_t *bytes = len <= SIZE_MAX ? me_wire_bytes(in, (size_t)len) : NULL;
        if (!bytes) {
            in->bad = true;
            break;
        }
        struct me_wire one = {bytes, bytes + len, false};
        get_channel(&one, &channels[i]);
        in->bad = in->bad || one.bad;
    }
    if (in->bad) {
        free(channels);
        return DAMAGED;
    }
    record->channels = channels;
    record->channel_count = (size_t)n;
    me_series_init(&record->series, (size_t)n);
    return TAKEN;
}

static struct me_reading get_reading(struct me_wire *in, unsigned code, const struct me_reading *above)
{
    struct me_reading reading = {.state = ME_READING_ABSENT};
    if (code == ME_CODE_FAILED) {
        reading.state = ME_READING_FAILED;
        reading.error = (int16_t)me_wire_int(in, INT16_MIN, INT16_MAX);
    } else if (code == ME_CODE_RAW) {
        reading.state = ME_READING_OK;
        reading.count = me_wire_fixed(in, 8);
    } else if (code == ME_CODE_OK) {
        uint64_t base = above && above->state == ME_READING_OK ? above->count : 0;
        reading.state = ME_READING_OK;
        reading.count = base + (uint64_t)me_wire_unzigzag(me_wire_uint(in));
    }
    return reading;
}

static void get_row(struct me_wire *in, struct me_reading *row, const struct me_reading *above, size_t n)
{
    unsigned codes = 0;
    for (size_t c = 0; c < n && !in->bad; c++) {
        if (c % 4 == 0) codes = (unsigned)me_wire_fixed(in, 1);
        row[c] = get_reading(in, codes & 3, above ? &above[c] : NULL);
        codes >>= 2;
    }
}

/* The instant of the next sample: absolute for a chunk's first, else behind the one before. */
static int64_t get_time(struct me_wire *in, const struct me_series *series, bool first)
{
    int64_t before = series->count ? series->time_ns[series->count - 1] : 0;
    if (first) return me_wire_int(in, before, INT64_MAX);
    uint64_t step = me_wire_uint(in);
    if (step <= (uint64_t)(INT64_MAX - before)) return before + (int64_t)step;
    in->bad = true;
    return 0;
}

static enum outcome get_samples(struct me_wire *in, uint64_t count, struct me_series *series,
                                struct me_reading *row)
{
    size_t n = series->channels;
    for (uint64_t i = 0; i < count; i++) {
        const struct me_reading *above = i && n ? series->readings + (series->count - 1) * n : NULL;
        int64_t time_ns = get_time(in, series, i == 0);
        get_row(in, row, above, n);
        if (in->bad) return DAMAGED;
        if (me_series_append(series, time_ns, row, NULL)) return NO_MEMORY;
    }
    return TAKEN;
}

/* Chunks join without a gap, else every index behind would be off. A chunk is taken whole or not. */
static enum outcome take_samples(struct me_wire *in, struct me_record *record)
{
    struct me_series *series = &record->series;
    size_t before = series->count, n = record->channel_count;
    uint64_t first = me_wire_uint(in), count = me_wire_uint(in), channels = me_wire_uint(in);
    if (in->bad || !record->channels || channels != n || first != before) return DAMAGED;
    if (count > me_wire_left(in) / (1 + (n + 3) / 4) || before + count > UINT32_MAX) return DAMAGED;
    struct me_reading *row = calloc(n ? n : 1, sizeof *row);
    if (!row) return NO_MEMORY;
    enum outcome outcome = get_samples(in, count, series, row);
    if (outcome != TAKEN) series->count = before;
    free(row);
    return outcome;
}

static struct me_usage get_usage(struct me_wire *in)
{
    struct me_usage usage = {.known = get_below(in, 2)};
    if (!usage.known) return usage;
    usage.cpu_s = me_wire_double(in);
    usage.context_switches = me_wire_uint(in);
    usage.page_faults = me_wire_uint(in);
    usage.read_bytes = me_wire_uint(in);
    usage.written_bytes = me_wire_uint(in);
    usage.max_rss_bytes = me_wire_uint(in);
    return usage;
}

/* An amendment follows closely. */
static bool amends_span(struct me_record *record, const struct me_span *span)
{
    struct me_span *last = record->span_count ? &record->spans[record->span_count - 1] : NULL;
    if (!last || last->phase != span->phase || last->repeat != span->repeat || last->first != span->first ||
        last->last != span->last)
        return false;
    *last = *span;
    return true;
}

static enum outcome take_span(struct me_wire *in, struct me_record *record)
{
    struct me_span span = {.phase = get_below(in, ME_PHASE_COOLDOWN + 1)};
    span.repeat = get_count(in);
    span.first = get_index(in);
    span.last = get_index(in);
    span.work = me_wire_double(in);
    me_wire_text(in, span.work_unit, sizeof span.work_unit);
    span.exit_status = get_int(in);
    span.late_samples = get_index(in);
    span.sampler_cpu_ns = me_wire_int(in, INT64_MIN, INT64_MAX);
    span.longest_gap_ns = me_wire_int(in, INT64_MIN, INT64_MAX);
    me_wire_text(in, span.note, sizeof span.note);
    if (me_wire_left(in)) span.usage = get_usage(in);
    if (me_wire_left(in)) {
        me_wire_text(in, span.workload, sizeof span.workload);
        me_wire_text(in, span.region, sizeof span.region);
    }
    if (in->bad) return DAMAGED;
    if (amends_span(record, &span)) return TAKEN;
    struct me_span *spans = room(record->spans, record->span_count, sizeof *spans);
    if (!spans) return NO_MEMORY;
    record->spans = spans;
    spans[record->span_count++] = span;
    return TAKEN;
}

static enum outcome take_region(struct me_wire *in, struct me_record *record)
{
    struct me_region_call call = {0};
    me_wire_text(in, call.region, sizeof call.region);
    call.repeat = get_count(in);
    call.first = get_index(in);
    call.last = get_index(in);
    if (in->bad) return DAMAGED;
    struct me_region_call *regions = room(record->regions, record->region_count, sizeof *regions);
    if (!regions) return NO_MEMORY;
    record->regions = regions;
    regions[record->region_count++] = call;
    return TAKEN;
}

static enum outcome take_metric(struct me_wire *in, struct me_record *record)
{
    struct me_metric metric = {0};
    me_wire_text(in, metric.name, sizeof metric.name);
    metric.repeat = get_count(in);
    metric.value = me_wire_double(in);
    if (in->bad) return DAMAGED;
    struct me_metric *metrics = room(record->metrics, record->metric_count, sizeof *metrics);
    if (!metrics) return NO_MEMORY;
    record->metrics = metrics;
    metrics[record->metric_count++] = metric;
    return TAKEN;
}

/* Among the last few: it is told again before the next repeat begins. */
static struct me_log *find_log(struct me_record *record, const struct me_log *like)
{
    size_t end = record->log_count > 4 ? record->log_count - 4 : 0;
    for (size_t i = record->log_count; i > end; i--) {
        struct me_log *log = &record->logs[i - 1];
        if (log->phase == like->phase && log->repeat == like->repeat && log->is_stderr == like->is_stderr)
            return log;
    }
    return NULL;
}

static enum outcome take_log(struct me_wire *in, struct me_record *record)
{
    struct me_log log = {.repeat = get_count(in)};
    log.phase = get_below(in, ME_PHASE_COOLDOWN + 1);
    log.is_stderr = get_below(in, 2);
    uint64_t len = me_wire_uint(in);
    const uint8_t *bytes = len < SIZE_MAX ? me_wire_bytes(in, (size_t)len) : NULL;
    if (!bytes) return DAMAGED;
    struct me_log *logs = room(record->logs, record->log_count, sizeof *logs);
    if (!logs) return NO_MEMORY;
    record->logs = logs;
    log.len = (size_t)len;
    log.text = malloc(log.len + 1);
    if (!log.text) return NO_MEMORY;
    memcpy(log.text, bytes, log.len);
    log.text[log.len] = '\0';
    struct me_log *before = find_log(record, &log);
    if (!before) {
        logs[record->log_count++] = log;
        return TAKEN;
    }
    free(before->text);
    *before = log;
    return TAKEN;
}

static enum outcome take_clock(struct me_wire *in, struct me_record *record)
{
    uint32_t when = get_below(in, ME_CLOCK_COUNT);
    struct me_clock_offset offset = {.known = true};
    offset.mono_minus_head_ns = me_wire_int(in, INT64_MIN, INT64_MAX);
    offset.bound_ns = me_wire_int(in, 0, INT64_MAX);
    if (in->bad) return DAMAGED;
    record->clocks[when] = offset;
    return TAKEN;
}

static enum outcome take_end(struct me_wire *in, struct me_record *record)
{
    enum me_machine_status status = get_below(in, ME_STATUS_LOST + 1);
    char reason[sizeof record->reason];
    me_wire_text(in, reason, sizeof reason);
    if (in->bad) return DAMAGED;
    record->status = status;
    memcpy(record->reason, reason, sizeof reason);
    record->ended = true;
    return ENDED;
}

static enum outcome take_payload(unsigned type, struct me_wire *in, struct me_record *record)
{
    switch (type) {
    case ME_CHUNK_FACTS:
        return take_facts(in, record);
    case ME_CHUNK_CHANNELS:
        return take_channels(in, record);
    case ME_CHUNK_SAMPLES:
        return take_samples(in, record);
    case ME_CHUNK_SPAN:
        return take_span(in, record);
    case ME_CHUNK_REGION:
        return take_region(in, record);
    case ME_CHUNK_METRIC:
        return take_metric(in, record);
    case ME_CHUNK_LOG:
        return take_log(in, record);
    case ME_CHUNK_CLOCK:
        return take_clock(in, record);
    case ME_CHUNK_END:
        return take_end(in, record);
    default:
        return TAKEN; /* of a later version: not ours to read */
    }
}

static enum outcome take_chunk(struct me_wire *in, struct me_record *record)
{
    const uint8_t *head = in->at;
    unsigned type = (unsigned)me_wire_fixed(in, 2);
    me_wire_fixed(in, 2); /* flags: none yet */
    size_t length = (size_t)me_wire_fixed(in, 4);
    uint32_t crc = (uint32_t)me_wire_fixed(in, 4);
    const uint8_t *payload = me_wire_bytes(in, length);
    if (!payload) return DAMAGED;
    if (me_wire_crc32(me_wire_crc32(0, head, 8), payload, length) != crc) return DAMAGED;
    struct me_wire inner = {payload, payload + length, false};
    return take_payload(type, &inner, record);
}

/* Spans and regions that point outside the samples are dropped: their edges were never recorded, and
 * an energy to some other instant would be a wrong one. Returns how many were dropped. */
static size_t drop_pointless(struct me_record *record)
{
    size_t spans = 0, regions = 0, before = record->span_count + record->region_count;
    for (size_t i = 0; i < record->span_count; i++) {
        const struct me_span span = record->spans[i];
        if (span.first <= span.last && span.last < record->series.count) record->spans[spans++] = span;
    }
    for (size_t i = 0; i < record->region_count; i++) {
        const struct me_region_call call = record->regions[i];
        if (call.first <= call.last && call.last < record->series.count) record->regions[regions++] = call;
    }
    record->span_count = spans;
    record->region_count = regions;
    return before - spans - regions;
}

static int check_header(struct me_wire *in, struct me_error *err)
{
    const uint8_t *magic = me_wire_bytes(in, ME_RECORD_MAGIC_LEN);
    unsigned version = (unsigned)me_wire_fixed(in, 2);
    me_wire_fixed(in, 2);
    if (in->bad || memcmp(magic, ME_RECORD_MAGIC, ME_RECORD_MAGIC_LEN))
        return me_fail(err, ME_E_INPUT, "not a record of Machine Energy");
    if (version != ME_RECORD_VERSION)
        return me_fail(err, ME_E_INPUT,
                       "a record of version %u; this program reads version %d: use the same "
                       "version of me_bench everywhere",
                       version, ME_RECORD_VERSION);
    return 0;
}

int me_record_peek(const void *bytes, size_t len, struct me_facts *facts, struct me_error *err)
{
    const uint8_t *begin = len ? bytes : (const uint8_t *)"";
    struct me_wire in = {begin, begin + len, false};
    struct me_record record = {0};
    if (check_header(&in, err)) return -1;
    bool taken = me_wire_left(&in) && take_chunk(&in, &record) == TAKEN && record.facts.boot_id[0];
    if (taken) *facts = record.facts;
    me_record_release(&record);
    return taken ? 0 : me_fail(err, ME_E_INPUT, "a record without a head");
}

int me_record_decode(const void *bytes, size_t len, struct me_record *out, struct me_error *err)
{
    const uint8_t *begin = len ? bytes : (const uint8_t *)""; /* NULL + 0 is not allowed */
    struct me_wire in = {begin, begin + len, false};
    if (check_header(&in, err)) return -1;
    struct me_record record = {.status = ME_STATUS_INTERRUPTED};
    snprintf(record.reason, sizeof record.reason, "its record was cut off");
    enum outcome outcome = TAKEN;
    while (outcome == TAKEN && me_wire_left(&in)) outcome = take_chunk(&in, &record);
    if (outcome == NO_MEMORY) {
        me_record_release(&record);
        return me_fail(err, ME_E_RUN, "no memory for a record of %zu bytes", len);
    }
    size_t dropped = drop_pointless(&record);
    if (dropped && !record.reason[0])
        snprintf(record.reason, sizeof record.reason, "%zu spans of its record have no samples", dropped);
    *out = record;
    return 0;
}
