#include "me/record.h"
#include "record.h"
#include "wire.h"
#include <string.h>

const char *me_phase_name(enum me_phase phase)
{
    static const char *const names[] = {"idle", "warmup", "run", "cooldown"};
    return names[phase];
}

/* Room for the chunk's head; the payload is written behind it, then end_chunk fills it in. */
static size_t begin_chunk(struct me_buffer *out)
{
    size_t begin = out->len;
    me_wire_put_fixed(out, 0, 8);
    me_wire_put_fixed(out, 0, 4);
    return begin;
}

static void end_chunk(struct me_buffer *out, size_t begin, enum me_record_chunk type)
{
    if (out->failed) return;
    size_t length = out->len - begin - ME_RECORD_CHUNK_LEN;
    if (length > UINT32_MAX) {
        out->failed = true;
        return;
    }
    struct me_buffer head = ME_BUFFER_INIT;
    me_wire_put_fixed(&head, type, 2);
    me_wire_put_fixed(&head, 0, 2);
    me_wire_put_fixed(&head, length, 4);
    uint32_t crc = me_wire_crc32(0, head.data, head.failed ? 0 : head.len);
    crc = me_wire_crc32(crc, out->data + begin + ME_RECORD_CHUNK_LEN, length);
    me_wire_put_fixed(&head, crc, 4);
    if (head.failed)
        out->failed = true;
    else
        memcpy(out->data + begin, head.data, ME_RECORD_CHUNK_LEN);
    me_buffer_release(&head);
}

void me_record_put_facts(struct me_buffer *out, const struct me_facts *facts)
{
    me_buffer_append(out, ME_RECORD_MAGIC, ME_RECORD_MAGIC_LEN);
    me_wire_put_fixed(out, ME_RECORD_VERSION, 2);
    me_wire_put_fixed(out, 0, 2);
    size_t begin = begin_chunk(out);
    me_wire_put_int(out, facts->machine_id);
    me_wire_put_text(out, facts->name);
    me_wire_put_text(out, facts->host);
    me_wire_put_text(out, facts->boot_id);
    me_wire_put_text(out, facts->cpu_model);
    me_wire_put_int(out, facts->sockets);
    me_wire_put_int(out, facts->cores);
    me_wire_put_int(out, facts->threads);
    me_wire_put_uint(out, facts->memory_bytes);
    me_wire_put_text(out, facts->kernel);
    me_wire_put_int(out, facts->unix_minus_mono_ns);
    me_wire_put_text(out, facts->sampler);
    me_wire_put_text(out, facts->run_id);
    me_wire_put_text(out, facts->experiment);
    end_chunk(out, begin, ME_CHUNK_FACTS);
}

static void put_channel(struct me_buffer *out, const struct me_channel *channel)
{
    me_wire_put_text(out, channel->name);
    me_wire_put_text(out, channel->source);
    me_wire_put_uint(out, channel->scope);
    me_wire_put_uint(out, channel->kind);
    me_wire_put_uint(out, channel->cls);
    me_wire_put_uint(out, channel->provenance);
    me_wire_put_text(out, channel->unit);
    me_wire_put_int(out, channel->package);
    me_wire_put_uint(out, channel->range);
    me_wire_put_double(out, channel->max_power_w);
    me_wire_put_uint(out, channel->counted);
    me_wire_put_text(out, channel->why_not);
    me_wire_put_text(out, channel->basis);
    me_wire_put_uint(out, channel->activity);
    me_wire_put_text(out, channel->device);
    me_wire_put_double(out, channel->interval_s);
}

void me_record_put_channels(struct me_buffer *out, const struct me_channel *channels, size_t n)
{
    size_t begin = begin_chunk(out);
    me_wire_put_uint(out, n);
    for (size_t i = 0; i < n; i++) {
        /* Each channel is counted bytes, so that a later writer can add fields to it. */
        struct me_buffer one = ME_BUFFER_INIT;
        put_channel(&one, &channels[i]);
        me_wire_put_uint(out, one.len);
        me_buffer_append(out, one.data, one.len);
        if (one.failed) out->failed = true;
        me_buffer_release(&one);
    }
    end_chunk(out, begin, ME_CHUNK_CHANNELS);
}

static void put_codes(struct me_buffer *out, const uint8_t *codes, size_t n)
{
    uint8_t byte = 0;
    for (size_t c = 0; c < n; c++) byte |= (uint8_t)(codes[c] << (2 * c));
    me_buffer_append(out, &byte, 1);
}

/* One reading into `bytes`; returns the code, and the length by *len. The bits of a gauge's level
 * are handled as the integer they are: close levels have close bits. */
static enum me_record_code encode(const struct me_reading *reading, const struct me_reading *above,
                                  uint8_t bytes[ME_WIRE_VARINT_MAX], size_t *len)
{
    *len = 0;
    if (reading->state == ME_READING_FAILED) {
        *len = me_wire_varint(bytes, me_wire_zigzag(reading->error));
        return ME_CODE_FAILED;
    }
    if (reading->state != ME_READING_OK) return ME_CODE_ABSENT;
    uint64_t base = above && above->state == ME_READING_OK ? above->count : 0;
    *len = me_wire_varint(bytes, me_wire_zigzag((int64_t)(reading->count - base)));
    if (*len <= 8) return ME_CODE_OK;
    for (*len = 0; *len < 8; ++*len) bytes[*len] = (uint8_t)(reading->count >> (8 * *len));
    return ME_CODE_RAW;
}

/* A row of readings, four at a time: a byte of codes, then the values. */
static void put_row(struct me_buffer *out, const struct me_reading *row, const struct me_reading *above,
                    size_t n)
{
    for (size_t c = 0; c < n; c += 4) {
        uint8_t values[4 * ME_WIRE_VARINT_MAX], codes[4] = {0};
        size_t len = 0, group = n - c < 4 ? n - c : 4;
        for (size_t i = 0; i < group; i++) {
            size_t one;
            codes[i] = (uint8_t)encode(&row[c + i], above ? &above[c + i] : NULL, values + len, &one);
            len += one;
        }
        put_codes(out, codes, group);
        me_buffer_append(out, values, len);
    }
}

static void put_samples(struct me_buffer *out, const struct me_series *series, size_t first, size_t last,
                        size_t number)
{
    if (first >= last) return;
    size_t n = series->channels, begin = begin_chunk(out);
    me_wire_put_uint(out, number);
    me_wire_put_uint(out, last - first);
    me_wire_put_uint(out, n);
    for (size_t i = first; i < last; i++) {
        if (i == first)
            me_wire_put_int(out, series->time_ns[i]);
        else
            me_wire_put_uint(out, (uint64_t)series->time_ns[i] - (uint64_t)series->time_ns[i - 1]);
        if (n) put_row(out, series->readings + i * n, i == first ? NULL : series->readings + (i - 1) * n, n);
    }
    end_chunk(out, begin, ME_CHUNK_SAMPLES);
}

void me_record_put_samples(struct me_buffer *out, const struct me_series *series, size_t first, size_t last)
{
    put_samples(out, series, first, last, first);
}

void me_record_put_part(struct me_buffer *out, const struct me_series *part, size_t number)
{
    put_samples(out, part, 0, part->count, number);
}

static void put_usage(struct me_buffer *out, const struct me_usage *usage)
{
    me_wire_put_uint(out, usage->known);
    if (!usage->known) return;
    me_wire_put_double(out, usage->cpu_s);
    me_wire_put_uint(out, usage->context_switches);
    me_wire_put_uint(out, usage->page_faults);
    me_wire_put_uint(out, usage->read_bytes);
    me_wire_put_uint(out, usage->written_bytes);
    me_wire_put_uint(out, usage->max_rss_bytes);
}

void me_record_put_span(struct me_buffer *out, const struct me_span *span)
{
    size_t begin = begin_chunk(out);
    me_wire_put_uint(out, span->phase);
    me_wire_put_int(out, span->repeat);
    me_wire_put_uint(out, span->first);
    me_wire_put_uint(out, span->last);
    me_wire_put_double(out, span->work);
    me_wire_put_text(out, span->work_unit);
    me_wire_put_int(out, span->exit_status);
    me_wire_put_uint(out, span->late_samples);
    me_wire_put_int(out, span->sampler_cpu_ns);
    me_wire_put_int(out, span->longest_gap_ns);
    me_wire_put_text(out, span->note);
    put_usage(out, &span->usage);
    me_wire_put_text(out, span->workload);
    me_wire_put_text(out, span->region);
    end_chunk(out, begin, ME_CHUNK_SPAN);
}

void me_record_put_region(struct me_buffer *out, const struct me_region_call *call)
{
    size_t begin = begin_chunk(out);
    me_wire_put_text(out, call->region);
    me_wire_put_int(out, call->repeat);
    me_wire_put_uint(out, call->first);
    me_wire_put_uint(out, call->last);
    end_chunk(out, begin, ME_CHUNK_REGION);
}

void me_record_put_metric(struct me_buffer *out, const struct me_metric *metric)
{
    size_t begin = begin_chunk(out);
    me_wire_put_text(out, metric->name);
    me_wire_put_int(out, metric->repeat);
    me_wire_put_double(out, metric->value);
    end_chunk(out, begin, ME_CHUNK_METRIC);
}

void me_record_put_log(struct me_buffer *out, const struct me_log *log)
{
    size_t begin = begin_chunk(out);
    me_wire_put_int(out, log->repeat);
    me_wire_put_uint(out, log->phase);
    me_wire_put_uint(out, log->is_stderr);
    me_wire_put_uint(out, log->len);
    me_buffer_append(out, log->text, log->len);
    end_chunk(out, begin, ME_CHUNK_LOG);
}

void me_record_put_clock(struct me_buffer *out, enum me_clock_when when, const struct me_clock_offset *offset)
{
    size_t begin = begin_chunk(out);
    me_wire_put_uint(out, when);
    me_wire_put_int(out, offset->mono_minus_head_ns);
    me_wire_put_int(out, offset->bound_ns);
    end_chunk(out, begin, ME_CHUNK_CLOCK);
}

void me_record_put_end(struct me_buffer *out, enum me_machine_status status, const char *reason)
{
    size_t begin = begin_chunk(out);
    me_wire_put_uint(out, status);
    me_wire_put_text(out, reason ? reason : "");
    end_chunk(out, begin, ME_CHUNK_END);
}
