/* The record as bytes: what goes in comes out; what is cut, damaged or hostile gives what stood before. */
#include "me/record.h"
#include "me_cmocka.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
enum { SAMPLES = 40, CHANNELS = 5 };

static const struct me_facts facts = {
    .machine_id = 3,
    .name = "dirac",
    .host = "n3.example.org",
    .boot_id = "c0ffee00-0000-4000-8000-000000000003",
    .cpu_model = "A CPU at 2.4 GHz",
    .sockets = 2,
    .cores = 32,
    .threads = 64,
    .memory_bytes = UINT64_C(1) << 38,
    .kernel = "Linux 6.1.0-18-amd64 x86_64",
    .unix_minus_mono_ns = INT64_C(1700000000000000000),
    .run_id = "0123456789abcdef",
    .experiment = "exp1",
};
static const struct me_channel channels[CHANNELS] = {
    {.name = "package-0",
     .source = "powercap",
     .scope = ME_SCOPE_PACKAGE,
     .unit = "uJ",
     .range = 262143328850,
     .max_power_w = 120,
     .counted = true},
    {.name = "package-0/dram",
     .source = "powercap",
     .scope = ME_SCOPE_DRAM,
     .unit = "uJ",
     .range = UINT64_MAX,
     .max_power_w = INFINITY,
     .counted = true},
    {.name = "psys",
     .source = "powercap",
     .scope = ME_SCOPE_PLATFORM,
     .unit = "uJ",
     .package = -1,
     .provenance = ME_PROVENANCE_REPLAY,
     .why_not = "did not move"},
    {.name = "node",
     .source = "ipmi",
     .scope = ME_SCOPE_NODE,
     .kind = ME_KIND_GAUGE,
     .cls = ME_CLASS_INTEGRATED,
     .unit = "W",
     .package = -1},
    {.name = "cpu",
     .source = "model",
     .scope = ME_SCOPE_PACKAGE,
     .kind = ME_KIND_GAUGE,
     .cls = ME_CLASS_MODELLED,
     .unit = "W",
     .basis = "TDP 120 W"},
};
static const struct me_span spans[2] = {
    {.phase = ME_PHASE_IDLE, .first = 0, .last = 9, .work = NAN, .exit_status = -1},
    {.phase = ME_PHASE_RUN,
     .repeat = 1,
     .first = 10,
     .last = SAMPLES - 1,
     .work = 180000,
     .work_unit = "samples",
     .exit_status = 256 + 9,
     .late_samples = 7,
     .sampler_cpu_ns = 1234567,
     .longest_gap_ns = 101 * MS,
     .note = "timeout after 10 s",
     .workload = "gemm --precision single",
     .region = "train"},
};
static const struct me_metric metric = {.name = "accuracy", .repeat = 1, .value = 0.8712};
static const struct me_region_call region = {.region = "train", .repeat = 1, .first = 12, .last = 30};

static void make_row(size_t i, struct me_reading row[CHANNELS])
{
    memset(row, 0, CHANNELS * sizeof *row);
    row[0] = (struct me_reading){.state = ME_READING_OK, .count = 262143328850 - 1 - i * 5000000};
    row[1] =
        (struct me_reading){.state = ME_READING_OK, .count = i % 2 ? UINT64_MAX : 0}; /* the widest steps */
    if (i % 3 == 1) row[2] = (struct me_reading){.state = ME_READING_FAILED, .error = EIO};
    if (i % 3 == 2) row[2] = (struct me_reading){.state = ME_READING_OK, .count = i};
    row[3].state = row[4].state = ME_READING_OK;
    row[3].level = 50 + (double)i;
    row[4].level = i == 7 ? -0.0 : 1.0 / (double)(i + 3);
}

/* A stream of everything, its samples in two chunks; *ends gets where each chunk ends. */
static void build(struct me_buffer *out, size_t ends[16], size_t *chunks)
{
    struct me_series series;
    struct me_log log = {
        .repeat = 1, .phase = ME_PHASE_RUN, .is_stderr = true, .text = (char *)"no\0way\n", .len = 7};
    *chunks = 0;
    me_series_init(&series, CHANNELS);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct me_reading row[CHANNELS];
        make_row(i, row);
        assert_int_equal(me_series_append(&series, 77 * MS + (int64_t)i * 100 * MS, row, NULL), 0);
    }
    me_record_put_facts(out, &facts);
    ends[(*chunks)++] = out->len;
    me_record_put_channels(out, channels, CHANNELS);
    ends[(*chunks)++] = out->len;
    me_record_put_samples(out, &series, 0, 10);
    ends[(*chunks)++] = out->len;
    me_record_put_span(out, &spans[0]);
    ends[(*chunks)++] = out->len;
    me_record_put_samples(out, &series, 10, 10); /* nothing new: nothing written */
    assert_int_equal(out->len, ends[*chunks - 1]);
    me_record_put_samples(out, &series, 10, SAMPLES);
    ends[(*chunks)++] = out->len;
    me_record_put_region(out, &region);
    ends[(*chunks)++] = out->len;
    me_record_put_span(out, &spans[1]);
    ends[(*chunks)++] = out->len;
    me_record_put_log(out, &log);
    ends[(*chunks)++] = out->len;
    me_record_put_metric(out, &metric);
    ends[(*chunks)++] = out->len;
    me_record_put_end(out, ME_STATUS_FAILED, "its workload failed");
    ends[(*chunks)++] = out->len;
    assert_false(out->failed);
    me_series_release(&series);
}

static void check_channel(const struct me_channel *got, const struct me_channel *put)
{
    assert_string_equal(got->name, put->name);
    assert_string_equal(got->source, put->source);
    assert_int_equal(got->scope, put->scope);
    assert_int_equal(got->kind, put->kind);
    assert_int_equal(got->cls, put->cls);
    assert_int_equal(got->provenance, put->provenance);
    assert_string_equal(got->unit, put->unit);
    assert_int_equal(got->package, put->package);
    assert_int_equal(got->range, put->range);
    assert_true(got->max_power_w == put->max_power_w);
    assert_int_equal(got->counted, put->counted);
    assert_string_equal(got->why_not, put->why_not);
    assert_string_equal(got->basis, put->basis);
}

static void check_samples(const struct me_series *series, size_t count)
{
    assert_int_equal(series->count, count);
    for (size_t i = 0; i < count; i++) {
        struct me_reading row[CHANNELS];
        make_row(i, row);
        assert_int_equal(series->time_ns[i], 77 * MS + (int64_t)i * 100 * MS);
        for (size_t c = 0; c < CHANNELS; c++) {
            const struct me_reading *got = &series->readings[i * CHANNELS + c];
            assert_int_equal(got->state, row[c].state);
            assert_int_equal(got->error, row[c].error);
            assert_int_equal(got->count, row[c].count); /* bit for bit, gauges too */
        }
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record;
    struct me_error err;
    size_t ends[16], chunks;
    build(&bytes, ends, &chunks);
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, &err), 0);
    assert_true(record.ended);
    assert_int_equal(record.status, ME_STATUS_FAILED);
    assert_string_equal(record.reason, "its workload failed");
    assert_int_equal(record.facts.machine_id, 3);
    assert_string_equal(record.facts.name, "dirac");
    assert_string_equal(record.facts.host, "n3.example.org");
    assert_string_equal(record.facts.boot_id, facts.boot_id);
    assert_string_equal(record.facts.cpu_model, facts.cpu_model);
    assert_string_equal(record.facts.kernel, facts.kernel);
    assert_int_equal(record.facts.threads, 64);
    assert_int_equal(record.facts.memory_bytes, UINT64_C(1) << 38);
    assert_string_equal(record.facts.run_id, facts.run_id);
    assert_string_equal(record.facts.experiment, facts.experiment);
    assert_int_equal(record.facts.unix_minus_mono_ns, facts.unix_minus_mono_ns);
    assert_int_equal(record.channel_count, CHANNELS);
    for (size_t c = 0; c < CHANNELS; c++) check_channel(&record.channels[c], &channels[c]);
    check_samples(&record.series, SAMPLES);
    assert_int_equal(record.span_count, 2);
    assert_true(isnan(record.spans[0].work));
    assert_int_equal(record.spans[0].exit_status, -1);
    assert_int_equal(record.spans[1].phase, ME_PHASE_RUN);
    assert_int_equal(record.spans[1].repeat, 1);
    assert_int_equal(record.spans[1].first, 10);
    assert_int_equal(record.spans[1].last, SAMPLES - 1);
    assert_true(record.spans[1].work == 180000);
    assert_string_equal(record.spans[1].work_unit, "samples");
    assert_int_equal(record.spans[1].exit_status, 265);
    assert_int_equal(record.spans[1].late_samples, 7);
    assert_int_equal(record.spans[1].sampler_cpu_ns, 1234567);
    assert_int_equal(record.spans[1].longest_gap_ns, 101 * MS);
    assert_string_equal(record.spans[1].note, "timeout after 10 s");
    assert_string_equal(record.spans[0].workload, "");
    assert_string_equal(record.spans[1].workload, "gemm --precision single");
    assert_string_equal(record.spans[1].region, "train");
    assert_int_equal(record.metric_count, 1);
    assert_string_equal(record.metrics[0].name, "accuracy");
    assert_int_equal(record.metrics[0].repeat, 1);
    assert_true(record.metrics[0].value == 0.8712);
    assert_int_equal(record.region_count, 1);
    assert_string_equal(record.regions[0].region, "train");
    assert_int_equal(record.regions[0].last, 30);
    assert_int_equal(record.log_count, 1);
    assert_true(record.logs[0].is_stderr);
    assert_int_equal(record.logs[0].len, 7);
    assert_memory_equal(record.logs[0].text, "no\0way\n", 8);
    me_record_release(&record);
    me_record_release(&record);
    me_record_release(NULL);
    me_buffer_release(&bytes);
}

/* Cut anywhere, the stream gives exactly the chunks that stand before the cut. */
static void test_cut_at_every_byte(void **state)
{
    (void)state;
    struct me_buffer bytes = ME_BUFFER_INIT;
    size_t ends[16], chunks;
    build(&bytes, ends, &chunks);
    for (size_t len = 0; len < bytes.len; len++) {
        struct me_record record;
        struct me_error err;
        char *cut = malloc(len ? len : 1); /* of its own, so that a read beyond it is seen */
        memcpy(cut, bytes.data, len);
        int rc = me_record_decode(cut, len, &record, &err);
        free(cut);
        assert_int_equal(rc, len < 12 ? -1 : 0);
        if (rc) {
            assert_int_equal(err.code, ME_E_INPUT);
            continue;
        }
        assert_false(record.ended);
        assert_int_equal(record.status, ME_STATUS_INTERRUPTED);
        assert_string_equal(record.reason, "its record was cut off");
        assert_int_equal(record.facts.machine_id, len >= ends[0] ? 3 : 0);
        assert_int_equal(record.channel_count, len >= ends[1] ? CHANNELS : 0);
        check_samples(&record.series, len >= ends[4] ? SAMPLES : len >= ends[2] ? 10 : 0);
        assert_int_equal(record.span_count, (len >= ends[3]) + (len >= ends[6]));
        assert_int_equal(record.region_count, len >= ends[5]);
        assert_int_equal(record.log_count, len >= ends[7]);
        assert_int_equal(record.metric_count, len >= ends[8]);
        me_record_release(&record);
    }
    me_buffer_release(&bytes);
}

/* A flipped bit is seen: nothing from that chunk on is believed. */
static void test_every_flipped_bit(void **state)
{
    (void)state;
    struct me_buffer bytes = ME_BUFFER_INIT;
    size_t ends[16], chunks;
    build(&bytes, ends, &chunks);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        struct me_record record;
        size_t whole = 0, at = bit / 8;
        bytes.data[at] = (char)(bytes.data[at] ^ (1 << bit % 8));
        int rc = me_record_decode(bytes.data, bytes.len, &record, NULL);
        bytes.data[at] = (char)(bytes.data[at] ^ (1 << bit % 8));
        while (ends[whole] <= at) whole++;
        if (at < 10)
            assert_int_equal(rc, -1); /* magic and version */
        else
            assert_int_equal(rc, 0);
        if (rc) continue;
        if (at >= 12) {
            assert_false(record.ended);
            check_samples(&record.series, whole > 4 ? SAMPLES : whole > 2 ? 10 : 0);
            assert_int_equal(record.log_count, whole > 7);
        }
        me_record_release(&record);
    }
    me_buffer_release(&bytes);
}

static void test_not_a_record(void **state)
{
    (void)state;
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record = {.channel_count = 4711};
    struct me_error err;
    assert_int_equal(me_record_decode(NULL, 0, &record, &err), -1);
    assert_int_equal(me_record_decode("{\"machines\": []}", 16, &record, &err), -1);
    assert_string_equal(err.text, "not a record of Machine Energy");
    me_record_put_facts(&bytes, &facts);
    bytes.data[8] = 2;
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, &err), -1);
    assert_non_null(strstr(err.text, "version 2"));
    assert_int_equal(record.channel_count, 4711); /* untouched */
    me_buffer_release(&bytes);
}

/* zlib's CRC-32, bit by bit: the file format's checksum by another way. */
static uint32_t crc_bitwise(const void *bytes, size_t len)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= ((const uint8_t *)bytes)[i];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

static void put_raw(struct me_buffer *out, unsigned type, const void *payload, size_t len)
{
    uint8_t head[12] = {(uint8_t)type,        (uint8_t)(type >> 8), 0, 0, (uint8_t)len, (uint8_t)(len >> 8),
                        (uint8_t)(len >> 16), (uint8_t)(len >> 24)};
    struct me_buffer summed = ME_BUFFER_INIT;
    me_buffer_append(&summed, head, 8);
    me_buffer_append(&summed, payload, len);
    uint32_t crc = crc_bitwise(summed.data, summed.len);
    for (int i = 0; i < 4; i++) head[8 + i] = (uint8_t)(crc >> 8 * i);
    me_buffer_append(out, head, 12);
    me_buffer_append(out, payload, len);
    me_buffer_release(&summed);
}

static void test_crc(void **state)
{
    (void)state;
    assert_int_equal(crc_bitwise("123456789", 9), 0xcbf43926); /* the published check value */
}

static void test_unknown_chunks_are_passed_over(void **state)
{
    (void)state;
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record;
    me_record_put_facts(&bytes, &facts);
    put_raw(&bytes, 4711, "of a later version", 18);
    put_raw(&bytes, 0, "", 0);
    me_record_put_channels(&bytes, channels, CHANNELS);
    me_record_put_end(&bytes, ME_STATUS_OK, NULL);
    me_buffer_puts(&bytes, "and what stands behind the end");
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
    assert_true(record.ended);
    assert_int_equal(record.status, ME_STATUS_OK);
    assert_int_equal(record.channel_count, CHANNELS);
    me_record_release(&record);
    me_buffer_release(&bytes);
}

/* Chunks with a right checksum and wrong content: each ends the reading, none allocates much. */
static void test_hostile_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        unsigned type;
        const char *payload;
        size_t len;
    } cases[] = {
        {"empty facts", 1, "", 0},
        {"facts: text longer than the chunk", 1, "\x00\xff\x01", 3},
        {"varint without an end", 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
        {"channels again", 2, "\x00", 1},
        {"2^63 samples", 3, "\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x05", 12},
        {"samples of other channels", 3, "\x00\x01\x04\x00\x00\x00", 6},
        {"samples that begin later", 3, "\x01\x01\x05\x00\x00\x00", 6},
        {"fewer rows than told", 3, "\x00\x02\x05\x00\x00\x00", 6},
        {"the second row ends too soon", 3, "\x00\x02\x05\x00\x00\x00\x00\x01\x00", 9},
        {"time before zero", 3, "\x00\x01\x05\x01\x00\x00", 6},
        {"span of phase 4", 4, "\x04", 1},
        {"region without indexes", 5, "\x01x", 2},
        {"log longer than the chunk", 6, "\x02\x02\x00\xff\xff\xff\xff\x0f", 8},
        {"end with status 6", 7, "\x06\x00", 2},
        {"metric without a value", 8, "\x01x\x02", 3},
        {"metric of a repeat below zero", 8, "\x01x\x01\x00\x00\x00\x00\x00\x00\x00\x00", 11},
        {"span whose region is longer than the chunk", 4,
         "\x02\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01w\x05t", 23},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_buffer bytes = ME_BUFFER_INIT;
        struct me_record record;
        me_record_put_facts(&bytes, &facts);
        me_record_put_channels(&bytes, channels, CHANNELS);
        put_raw(&bytes, cases[i].type, cases[i].payload, cases[i].len);
        me_record_put_end(&bytes, ME_STATUS_OK, "");
        assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
        if (record.ended || record.channel_count != CHANNELS || record.series.count || record.log_count ||
            record.metric_count)
            fail_msg("%s: was believed", cases[i].what);
        me_record_release(&record);
        me_buffer_release(&bytes);
    }
}

static void test_hostile_channel_count(void **state)
{
    (void)state;
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record;
    me_record_put_facts(&bytes, &facts);
    put_raw(&bytes, 2, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9);
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
    assert_null(record.channels);
    me_record_release(&record);
    me_buffer_release(&bytes);
}

/* What an older writer left out at the end of a span is empty; a later one's further fields are passed over. */
static void test_spans_of_other_versions(void **state)
{
    (void)state;
    static const char plain[] = "\x02\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    static const struct {
        const char *what, *tail;
        size_t len;
        const char *workload, *region;
    } cases[] = {
        {"without usage", "", 0, "", ""},
        {"without a workload", "\x00", 1, "", ""},
        {"with one", "\x00\x02pl\x05train", 10, "pl", "train"},
        {"and more", "\x00\x02pl\x00\xff\xff", 7, "pl", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_buffer bytes = ME_BUFFER_INIT, payload = ME_BUFFER_INIT;
        struct me_series series;
        struct me_record record;
        me_series_init(&series, 0);
        assert_int_equal(me_series_append(&series, 0, NULL, NULL), 0);
        me_record_put_facts(&bytes, &facts);
        me_record_put_channels(&bytes, channels, 0);
        me_record_put_samples(&bytes, &series, 0, 1);
        me_buffer_append(&payload, plain, sizeof plain - 1);
        me_buffer_append(&payload, cases[i].tail, cases[i].len);
        put_raw(&bytes, 4, payload.data, payload.len);
        me_record_put_end(&bytes, ME_STATUS_OK, "");
        assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
        if (!record.ended || record.span_count != 1) fail_msg("%s: not read", cases[i].what);
        assert_string_equal(record.spans[0].workload, cases[i].workload);
        assert_string_equal(record.spans[0].region, cases[i].region);
        me_record_release(&record);
        me_series_release(&series);
        me_buffer_release(&payload);
        me_buffer_release(&bytes);
    }
}

/* Values that are no numbers come through as what they are. */
/* A later look at the clock takes the place of an earlier one; one that is none is damage. */
static void test_clocks(void **state)
{
    (void)state;
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record;
    struct me_clock_offset clock = {.mono_minus_head_ns = -INT64_C(1748779200123456789), .bound_ns = 41};
    me_record_put_facts(&bytes, &facts);
    me_record_put_clock(&bytes, ME_CLOCK_START, &clock);
    clock.bound_ns = 17;
    me_record_put_clock(&bytes, ME_CLOCK_START, &clock);
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
    assert_true(record.clocks[ME_CLOCK_START].known);
    assert_int_equal(record.clocks[ME_CLOCK_START].mono_minus_head_ns, -INT64_C(1748779200123456789));
    assert_int_equal(record.clocks[ME_CLOCK_START].bound_ns, 17);
    assert_false(record.clocks[ME_CLOCK_END].known);
    me_record_release(&record);
    clock.bound_ns = -1;
    me_record_put_clock(&bytes, ME_CLOCK_END, &clock);
    me_record_put_end(&bytes, ME_STATUS_OK, "");
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
    assert_false(record.clocks[ME_CLOCK_END].known);
    assert_false(record.ended);
    me_record_release(&record);
    me_buffer_release(&bytes);
}

static void test_metric_values(void **state)
{
    (void)state;
    static const double values[] = {0, -0.0, NAN, INFINITY, -INFINITY, 5e-324, 1e308};
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record;
    size_t n = sizeof values / sizeof *values;
    me_record_put_facts(&bytes, &facts);
    for (size_t i = 0; i < n; i++) {
        struct me_metric told = {.name = "loss", .repeat = (int)i, .value = values[i]};
        me_record_put_metric(&bytes, &told);
    }
    me_record_put_end(&bytes, ME_STATUS_OK, "");
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
    assert_int_equal(record.metric_count, n);
    for (size_t i = 0; i < n; i++) {
        assert_memory_equal(&record.metrics[i].value, &values[i], sizeof values[i]);
        assert_int_equal(record.metrics[i].repeat, i);
    }
    me_record_release(&record);
    me_buffer_release(&bytes);
}

/* Spans and regions that point outside the samples are dropped. */
static void test_indexes_stay_inside(void **state)
{
    (void)state;
    static const struct {
        uint32_t first, last;
        bool kept;
    } cases[] = {
        {0, 0, true},  {0, 2, true},  {2, 2, true},           {0, 3, false},
        {3, 3, false}, {2, 1, false}, {0, UINT32_MAX, false},
    };
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_series series;
    struct me_record record;
    size_t kept = 0;
    me_series_init(&series, 0);
    for (int i = 0; i < 3; i++) assert_int_equal(me_series_append(&series, i, NULL, NULL), 0);
    me_record_put_facts(&bytes, &facts);
    me_record_put_channels(&bytes, channels, 0);
    me_record_put_samples(&bytes, &series, 0, 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_span span = {.phase = ME_PHASE_RUN, .first = cases[i].first, .last = cases[i].last};
        struct me_region_call call = {.region = "x", .first = cases[i].first, .last = cases[i].last};
        me_record_put_span(&bytes, &span);
        me_record_put_region(&bytes, &call);
        kept += cases[i].kept;
    }
    me_record_put_end(&bytes, ME_STATUS_OK, "");
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
    assert_int_equal(record.series.count, 3);
    assert_int_equal(record.span_count, kept);
    assert_int_equal(record.region_count, kept);
    assert_string_equal(record.reason, "8 spans of its record have no samples");
    me_record_release(&record);
    me_series_release(&series);
    me_buffer_release(&bytes);
}

/* Bytes a reading of four channels at 10 Hz, in chunks of a second: aim for less than 10. */
static void check_compact(bool gauges)
{
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_series series;
    me_series_init(&series, 4);
    for (uint64_t i = 0; i < 600; i++) {
        struct me_reading row[4];
        for (uint64_t c = 0; c < 4; c++) {
            row[c] = (struct me_reading){.state = ME_READING_OK, .count = 100000000000 * c + i * 5000123};
            if (gauges) row[c].level = i % 2 ? 0 : 123.4 + (double)i / 7; /* the most restless there are */
        }
        assert_int_equal(me_series_append(&series, (int64_t)i * 100000123, row, NULL), 0);
    }
    for (size_t i = 0; i < 600; i += 10) me_record_put_samples(&bytes, &series, i, i + 10);
    if (bytes.len >= 600 * 4 * 10) fail_msg("%zu bytes for %d readings", bytes.len, 600 * 4);
    me_buffer_release(&bytes);
    me_series_release(&series);
}

static void test_compact(void **state)
{
    (void)state;
    check_compact(false);
    check_compact(true);
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record;
    char reason[1000];
    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    reason[0] = '\xff'; /* no UTF-8 */
    me_record_put_facts(&bytes, &facts);
    me_record_put_end(&bytes, ME_STATUS_FAILED, reason);
    assert_int_equal(me_record_decode(bytes.data, bytes.len, &record, NULL), 0);
    assert_int_equal(strlen(record.reason), sizeof record.reason - 1);
    assert_int_equal(record.reason[0], '?');
    me_record_release(&record);
    me_buffer_release(&bytes);
}

/* What is told again takes the place of what was told first; another repeat's does not. */
static void test_amendments(void **state)
{
    (void)state;
    struct me_buffer stream = ME_BUFFER_INIT;
    struct me_record record;
    struct me_error err = {0};
    size_t ends[16], chunks;
    struct me_span amended = spans[1], other = spans[1];
    struct me_log log = {
        .repeat = 1, .phase = ME_PHASE_RUN, .is_stderr = true, .text = (char *)"more", .len = 4};
    build(&stream, ends, &chunks);
    stream.len = ends[chunks - 2]; /* without the end */
    snprintf(amended.note, sizeof amended.note, "2 processes left behind were ended");
    me_record_put_span(&stream, &amended);
    me_record_put_log(&stream, &log);
    other.repeat = 2;
    log.is_stderr = false;
    me_record_put_span(&stream, &other);
    me_record_put_log(&stream, &log);
    assert_int_equal(me_record_decode(stream.data, stream.len, &record, &err), 0);
    assert_int_equal(record.span_count, 3);
    assert_string_equal(record.spans[1].note, amended.note);
    assert_string_equal(record.spans[2].note, other.note);
    assert_int_equal(record.log_count, 2);
    assert_string_equal(record.logs[0].text, "more");
    assert_true(record.logs[0].is_stderr && !record.logs[1].is_stderr);
    me_record_release(&record);
    me_buffer_release(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amendments),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_flipped_bit),
        cmocka_unit_test(test_not_a_record),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_unknown_chunks_are_passed_over),
        cmocka_unit_test(test_hostile_chunks),
        cmocka_unit_test(test_hostile_channel_count),
        cmocka_unit_test(test_spans_of_other_versions),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_metric_values),
        cmocka_unit_test(test_indexes_stay_inside),
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
