/* A record as a machine tells it: two channels, an idle phase, some runs with regions, metrics and logs. */
#ifndef ME_TEST_RICH_RECORD_H
#define ME_TEST_RICH_RECORD_H

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "me/clock.h"
#include "me/record.h"

struct rich_record {
    int machine_id, repeats;
    size_t samples;   /* of each phase */
    const char *text; /* what each run printed; NULL: nothing */
    bool cut;         /* its end is missing */
};

static inline void rich_record_samples(struct me_buffer *out, size_t total)
{
    struct me_series series;
    me_series_init(&series, 2);
    for (size_t i = 0; i < total; i++) {
        struct me_reading row[2] = {{.state = ME_READING_OK, .count = 1000 + i * 51234},
                                    {.state = i % 7 ? ME_READING_OK : ME_READING_FAILED}};
        row[1].level = 100 + sin((double)i);
        (void)me_series_append(&series, (int64_t)i * 10000000, row, NULL);
    }
    me_record_put_samples(out, &series, 0, total);
    me_series_release(&series);
}

static inline void rich_record_run(struct me_buffer *out, const struct rich_record *what, int repeat)
{
    uint32_t first = (uint32_t)(what->samples * (size_t)repeat), last = first + (uint32_t)what->samples - 1;
    struct me_span span = {.phase = ME_PHASE_RUN, .repeat = repeat, .first = first, .last = last, .work = 7};
    struct me_region_call call = {.region = "train", .repeat = repeat, .first = first + 2, .last = last - 2};
    struct me_metric metric = {.name = "accuracy", .repeat = repeat, .value = 0.5};
    struct me_log log = {.repeat = repeat, .phase = ME_PHASE_RUN, .text = (char *)(uintptr_t)what->text};
    snprintf(span.workload, sizeof span.workload, "command");
    me_record_put_region(out, &call);
    me_record_put_metric(out, &metric);
    me_record_put_span(out, &span);
    if (!what->text) return;
    log.len = strlen(what->text);
    me_record_put_log(out, &log);
}

static inline void rich_record_put(struct me_buffer *out, const struct rich_record *what)
{
    struct me_facts facts = {.machine_id = what->machine_id, .cores = 4, .unix_minus_mono_ns = 1700000000};
    static const struct me_channel channels[2] = {
        {.name = "package-0",
         .source = "powercap",
         .scope = ME_SCOPE_PACKAGE,
         .unit = "uJ",
         .range = 262143328850,
         .max_power_w = 1000,
         .counted = true},
        {.name = "node", .source = "hwmon", .scope = ME_SCOPE_NODE, .kind = ME_KIND_GAUGE, .unit = "W"},
    };
    snprintf(facts.host, sizeof facts.host, "host%d", what->machine_id);
    snprintf(facts.boot_id, sizeof facts.boot_id, "boot-%d", what->machine_id);
    me_record_put_facts(out, &facts);
    me_record_put_channels(out, channels, 2);
    rich_record_samples(out, what->samples * (size_t)(what->repeats + 1));
    struct me_span idle = {.phase = ME_PHASE_IDLE, .last = (uint32_t)what->samples - 1, .work = NAN};
    me_record_put_span(out, &idle);
    for (int r = 1; r <= what->repeats; r++) rich_record_run(out, what, r);
    if (!what->cut) me_record_put_end(out, ME_STATUS_OK, "");
}

#endif
