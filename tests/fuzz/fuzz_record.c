/* Any bytes as a record: decoded, its energies evaluated and ranked, and what came out written and
 * read again, which must give the same. With the environment's ME_FUZZ_SEEDS=DIR it first writes
 * seeds there: whole streams that the fuzzer would hardly find by itself. */
#include "../../src/model/record.h"
#include "../../src/model/wire.h"
#include "me/record.h"
#include "me/result.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's own */

static void put_record(struct me_buffer *out, const struct me_record *record)
{
    me_record_put_facts(out, &record->facts);
    if (record->channels) me_record_put_channels(out, record->channels, record->channel_count);
    me_record_put_samples(out, &record->series, 0, record->series.count);
    for (size_t i = 0; i < record->span_count; i++) me_record_put_span(out, &record->spans[i]);
    for (size_t i = 0; i < record->region_count; i++) me_record_put_region(out, &record->regions[i]);
    for (size_t i = 0; i < record->metric_count; i++) me_record_put_metric(out, &record->metrics[i]);
    for (int i = 0; i < ME_CLOCK_COUNT; i++)
        if (record->clocks[i].known) me_record_put_clock(out, (enum me_clock_when)i, &record->clocks[i]);
    for (size_t i = 0; i < record->log_count; i++) me_record_put_log(out, &record->logs[i]);
    if (record->ended) me_record_put_end(out, record->status, record->reason);
}

static void demand(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_record: %s\n", what);
    abort();
}

static void check_indexes(const struct me_record *record)
{
    for (size_t i = 0; i < record->span_count; i++)
        demand(record->spans[i].first <= record->spans[i].last &&
                   record->spans[i].last < record->series.count,
               "a span points outside the samples");
    for (size_t i = 0; i < record->region_count; i++)
        demand(record->regions[i].first <= record->regions[i].last &&
                   record->regions[i].last < record->series.count,
               "a region points outside the samples");
    demand(record->series.channels == record->channel_count, "samples and channels differ");
}

/* Written and read again, a record is the same stream of bytes. */
static void check_round_trip(const struct me_record *record)
{
    struct me_buffer once = ME_BUFFER_INIT, twice = ME_BUFFER_INIT;
    struct me_record again;
    put_record(&once, record);
    demand(me_record_decode(once.data, once.len, &again, NULL) == 0, "what was written cannot be read");
    demand(again.ended == record->ended, "the end is lost");
    put_record(&twice, &again);
    demand(once.len == twice.len && !memcmp(once.data, twice.data, once.len), "the round trip changes it");
    me_record_release(&again);
    me_buffer_release(&once);
    me_buffer_release(&twice);
}

static void check_result(struct me_record *record)
{
    struct me_result result = {0}, more = {0};
    struct me_plan_machine machine = {.id = 1, .grid_g_per_kwh = 400, .pue = 1.1};
    demand(me_result_add(&result, &machine, record, 0, NULL) == 0, "not added");
    demand(me_result_add(&more, &machine, record, 1000, NULL) == 0, "not added again");
    demand(me_result_rank(&result, NULL) == 0 && result.summary_count >= 1, "not ranked");
    for (size_t i = 0; i < result.region_count; i++)
        demand(!(result.regions[i].energy_j < 0), "a region's energy below zero");
    for (size_t i = 0; i < result.repeat_count; i++)
        demand(!(result.repeats[i].energy_j < 0), "an energy below zero");
    demand(me_result_append(&result, &more, NULL) == 0, "not appended");
    me_result_release(&result);
    me_result_release(&more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct me_record record;
    if (me_record_decode(data, size, &record, NULL)) return 0;
    check_indexes(&record);
    check_round_trip(&record);
    if (record.span_count < 200 && record.series.count < 2000) check_result(&record);
    me_record_release(&record);
    return 0;
}

/* Checksums would stop nearly every mutation at the door: most are put right again. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    size_t len = LLVMFuzzerMutate(data, size, max_size), at = ME_RECORD_HEADER_LEN;
    if (seed % 16 == 0) return len;
    while (len >= at + ME_RECORD_CHUNK_LEN) {
        size_t length = (size_t)data[at + 4] | (size_t)data[at + 5] << 8 | (size_t)data[at + 6] << 16 |
                        (size_t)data[at + 7] << 24;
        size_t left = len - at - ME_RECORD_CHUNK_LEN;
        if (length > left) {
            if (seed % 4 == 1) break;
            length = left; /* the last chunk ends where the bytes end */
            for (int i = 0; i < 4; i++) data[at + 4 + (size_t)i] = (uint8_t)(length >> 8 * i);
        }
        uint32_t crc = me_wire_crc32(me_wire_crc32(0, data + at, 8), data + at + ME_RECORD_CHUNK_LEN, length);
        for (int i = 0; i < 4; i++) data[at + 8 + (size_t)i] = (uint8_t)(crc >> 8 * i);
        at += ME_RECORD_CHUNK_LEN + length;
    }
    return len;
}

/* A seed: a machine with a counter, a gauge and one that fails, over three phases. */
static void build_seed(struct me_buffer *out, unsigned variant)
{
    struct me_facts facts = {.machine_id = (int)variant, .name = "n", .host = "h", .boot_id = "b"};
    struct me_channel channels[3] = {
        {.name = "package-0",
         .source = "powercap",
         .scope = ME_SCOPE_PACKAGE,
         .unit = "uJ",
         .range = 1000000,
         .max_power_w = 100,
         .counted = true},
        {.name = "node",
         .source = "ipmi",
         .scope = ME_SCOPE_NODE,
         .kind = ME_KIND_GAUGE,
         .cls = ME_CLASS_INTEGRATED,
         .unit = "W",
         .package = -1,
         .counted = variant & 1},
        {.name = "cpu", .source = "model", .scope = ME_SCOPE_DRAM, .cls = ME_CLASS_MODELLED, .unit = "uJ"},
    };
    struct me_series series;
    size_t n = variant % 4;
    me_series_init(&series, n);
    for (unsigned i = 0; i < 20; i++) {
        struct me_reading row[3] = {{.state = ME_READING_OK, .count = i * 123457 % 1000000},
                                    {.state = ME_READING_OK},
                                    {.state = i % 3 ? ME_READING_FAILED : ME_READING_OK, .error = 5}};
        row[1].level = 50 + i / 7.0;
        (void)me_series_append(&series, (int64_t)i * 2000000, row, NULL);
    }
    me_record_put_facts(out, &facts);
    me_record_put_channels(out, channels, n);
    for (uint32_t i = 0; i < 4; i++) {
        struct me_span span = {
            .phase = (enum me_phase)i, .repeat = (int)i, .first = i * 4, .last = i * 4 + 4, .work = i};
        struct me_region_call call = {.region = "train", .repeat = 2, .first = 8 + i, .last = 12 - i / 2};
        struct me_metric metric = {.repeat = 2, .value = 0.25 * i};
        struct me_log log = {.repeat = 1, .text = (char *)"text", .len = 4};
        me_record_put_samples(out, &series, i * 5, i * 5 + 5);
        snprintf(metric.name, sizeof metric.name, "%s", i % 2 ? "loss" : "accuracy");
        snprintf(span.workload, sizeof span.workload, "%s", variant % 2 ? "keras" : "pl");
        snprintf(span.region, sizeof span.region, "%s", variant & 2 ? "train" : "");
        me_record_put_span(out, &span);
        me_record_put_metric(out, &metric);
        me_record_put_region(out, &call);
        me_record_put_log(out, &log);
    }
    me_record_put_end(out, (enum me_machine_status)(variant % 3), "reason");
    me_series_release(&series);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *folder = getenv("ME_FUZZ_SEEDS");
    (void)argc;
    (void)argv;
    for (unsigned variant = 0; folder && variant < 8; variant++) {
        struct me_buffer bytes = ME_BUFFER_INIT;
        char path[512];
        build_seed(&bytes, variant);
        snprintf(path, sizeof path, "%s/seed-%u", folder, variant);
        FILE *file = fopen(path, "wb");
        if (file) {
            fwrite(bytes.data, 1, bytes.len, file);
            fclose(file);
        }
        me_buffer_release(&bytes);
    }
    return 0;
}
