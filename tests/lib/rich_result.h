/* Results made by hand for the tests of store and report: small, but with everything in them. */
#ifndef ME_TEST_RICH_RESULT_H
#define ME_TEST_RICH_RESULT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "me/result.h"

#define RICH_START INT64_C(1748779200123456789) /* needs all its digits: no double holds it */

static inline void *rich_rows(size_t count, size_t size)
{
    void *rows = calloc(count, size);
    if (!rows) abort();
    return rows;
}

static inline void rich_machine(struct me_row_machine *row, int id, const char *name, const char *status,
                                const char *reason, const char *provenance, double grid)
{
    *row = (struct me_row_machine){.machine_id = id,
                                   .sockets = 2,
                                   .cores = 64,
                                   .threads = 128,
                                   .memory_gib = 503.25,
                                   .grid_gco2_per_kwh = grid,
                                   .clock_offset_start_s = 0.25 * id,
                                   .clock_bound_start_s = 0.000125,
                                   .clock_offset_end_s = id ? 0.25 * id + 0.001 : NAN,
                                   .clock_bound_end_s = id ? 0.0625 : NAN,
                                   .pue = id % 2 ? 1.2 : 1};
    snprintf(row->name, sizeof row->name, "%s", name);
    snprintf(row->host, sizeof row->host, "node%d", id);
    snprintf(row->boot_id, sizeof row->boot_id, "00000000-0000-4000-8000-%012d", id);
    snprintf(row->status, sizeof row->status, "%s", status);
    snprintf(row->reason, sizeof row->reason, "%s", reason);
    snprintf(row->provenance, sizeof row->provenance, "%s", provenance);
    snprintf(row->cpu_model, sizeof row->cpu_model, "Example(R) CPU @ 2.40GHz");
    snprintf(row->kernel, sizeof row->kernel, "Linux 6.1.0 x86_64");
    snprintf(row->country, sizeof row->country, "%s", grid < 100 ? "SE" : "PL");
    snprintf(row->grid_source, sizeof row->grid_source,
             "countries: %s 2024, life-cycle (Ember via co2.js, CC BY-SA 4.0)%s", row->country,
             id % 2 ? "; PUE from the config" : "; PUE not known, taken as 1");
    snprintf(row->basis, sizeof row->basis, "life-cycle");
    snprintf(row->sampler, sizeof row->sampler, id == 2 ? "1000 Hz, SCHED_FIFO" : "10 Hz");
}

static inline void rich_channel(struct me_row_channel *row, int id, const char *channel, const char *scope,
                                const char *cls, const char *provenance, const char *why_not)
{
    *row = (struct me_row_channel){.machine_id = id, .range = 262143328850.0, .counted = !*why_not};
    snprintf(row->channel, sizeof row->channel, "%s", channel);
    snprintf(row->source, sizeof row->source, "%s", strcmp(cls, "modelled") ? "powercap" : "model");
    snprintf(row->scope, sizeof row->scope, "%s", scope);
    snprintf(row->kind, sizeof row->kind, "%s", strcmp(cls, "modelled") ? "counter" : "gauge");
    snprintf(row->cls, sizeof row->cls, "%s", cls);
    snprintf(row->provenance, sizeof row->provenance, "%s", provenance);
    snprintf(row->unit, sizeof row->unit, "%s", strcmp(cls, "modelled") ? "uJ" : "W");
    snprintf(row->why_not, sizeof row->why_not, "%s", why_not);
}

static inline void rich_repeat(struct me_row_repeat *row, int id, int repeat, const char *phase,
                               double energy_j, double grid, double pue)
{
    *row = (struct me_row_repeat){.machine_id = id,
                                  .repeat = repeat,
                                  .start_unix_ns = RICH_START + (int64_t)repeat * 5000000000 + id,
                                  .duration_s = 3.3,
                                  .energy_j = energy_j,
                                  .net_energy_j = energy_j - 33,
                                  .mean_power_w = energy_j / 3.3,
                                  .carbon_g = me_carbon_g(energy_j, pue, grid),
                                  .work = 180000,
                                  .late_samples = (uint32_t)(id == 3),
                                  .sampler_cpu_s = 0.0021,
                                  .longest_gap_s = 0.1003,
                                  .cpu_s = 2.5 + id,
                                  .cpu_share = id == 2 ? NAN : 0.25,
                                  .context_switches = 17,
                                  .page_faults = 1234,
                                  .read_bytes = 0,
                                  .written_bytes = 4096,
                                  .max_rss_bytes = id == 2 ? NAN : 64 << 20,
                                  .clock_offset_s = id == 4 ? NAN : 0.25 * id,
                                  .clock_bound_s = id == 4 ? NAN : 0.000125};
    snprintf(row->phase, sizeof row->phase, "%s", phase);
    snprintf(row->work_unit, sizeof row->work_unit, "samples");
    snprintf(row->workload, sizeof row->workload, "native");
}

static inline void rich_summary(struct me_row_summary *row, const struct me_row_machine *machine,
                                double energy_j, double ci, const char *scopes, const char *cls, int group,
                                int place, int carbon_place)
{
    double g_per_j = me_carbon_g(1, machine->pue, machine->grid_gco2_per_kwh);
    *row = (struct me_row_summary){.machine_id = machine->machine_id,
                                   .n = isnan(energy_j) ? 0 : 3,
                                   .energy_mean_j = energy_j,
                                   .energy_ci95_j = ci,
                                   .carbon_mean_g = energy_j * g_per_j,
                                   .carbon_ci95_g = ci * g_per_j,
                                   .duration_mean_s = isnan(energy_j) ? NAN : 3.3,
                                   .power_mean_w = energy_j / 3.3,
                                   .j_per_work = energy_j / 180000,
                                   .g_per_work = energy_j * g_per_j / 180000,
                                   .work_per_s = isnan(energy_j) ? NAN : 180000 / 3.3,
                                   .accuracy = isnan(energy_j) ? NAN : 0.8712,
                                   .loss = NAN,
                                   .group = group,
                                   .place = place,
                                   .carbon_place = carbon_place};
    snprintf(row->workload, sizeof row->workload, "native");
    snprintf(row->work_unit, sizeof row->work_unit, "%s", isnan(energy_j) ? "" : "samples");
    snprintf(row->scopes, sizeof row->scopes, "%s", scopes);
    snprintf(row->cls, sizeof row->cls, "%s", cls);
    snprintf(row->provenance, sizeof row->provenance, "%s", machine->provenance);
}

/* A series of `channels` counters that climb, with one failed reading in the middle. */
static inline void rich_series(struct me_result_series *series, int id, int repeat, size_t samples,
                               size_t channels)
{
    *series = (struct me_result_series){
        .machine_id = id, .repeat = repeat, .samples = samples, .channels = channels};
    series->names = rich_rows(channels + 1, sizeof *series->names);
    series->unix_ns = rich_rows(samples + 1, sizeof *series->unix_ns);
    series->values = rich_rows(samples * channels + 1, sizeof *series->values);
    series->states = rich_rows(samples * channels + 1, 1);
    for (size_t c = 0; c < channels; c++) snprintf(series->names[c], 48, c ? "dram-%zu" : "package-%zu", c);
    for (size_t s = 0; s < samples; s++) series->unix_ns[s] = RICH_START + (int64_t)s * 100000000 + id;
    for (size_t i = 0; i < samples * channels; i++) {
        bool failed = samples > 4 && i / channels == samples / 2;
        series->values[i] =
            failed ? NAN : 9007199254740991.0 - (double)(samples * channels) * 5e6 + (double)i * 5e6;
        series->states[i] = failed ? ME_READING_FAILED : ME_READING_OK;
    }
}

static inline void rich_head(struct me_result *result, const char *experiment, const char *status)
{
    snprintf(result->experiment, sizeof result->experiment, "%s", experiment);
    snprintf(result->created_utc, sizeof result->created_utc, "2025-06-01T12:00:30Z");
    snprintf(result->tool_version, sizeof result->tool_version, "0.1.0");
    snprintf(result->workload, sizeof result->workload, "native");
    snprintf(result->status, sizeof result->status, "%s", status);
    result->command = strdup("");
    result->plan_json = strdup("{\"experiment\": \"exp1\", \"repeats\": 3}");
}

/* One machine with three repeats, all of it good. */
static inline void rich_one(struct me_result *result)
{
    *result = (struct me_result){0};
    rich_head(result, "exp1", "complete");
    result->machines = rich_rows(1, sizeof *result->machines);
    result->machine_count = 1;
    rich_machine(&result->machines[0], 0, "green", "ok", "", "live", 41.5);
    result->channels = rich_rows(1, sizeof *result->channels);
    result->channel_count = 1;
    rich_channel(&result->channels[0], 0, "package-0", "package", "counter", "live", "");
    result->repeats = rich_rows(3, sizeof *result->repeats);
    result->repeat_count = 3;
    for (int i = 0; i < 3; i++) rich_repeat(&result->repeats[i], 0, i + 1, "run", 165 + 0.02 * i, 41.5, 1);
    result->summaries = rich_rows(1, sizeof *result->summaries);
    result->summary_count = 1;
    rich_summary(&result->summaries[0], &result->machines[0], 165.02, 0.05, "package", "counter", 1, 1, 1);
}

static inline void rich_many_machines(struct me_result *result)
{
    result->machines = rich_rows(6, sizeof *result->machines);
    result->machine_count = 6;
    struct me_row_machine *m = result->machines;
    rich_machine(&m[0], 0, "head", "ok", "", "live", 41.5);
    rich_machine(&m[1], 1, "grün", "ok", "", "live", 655.25);
    rich_machine(&m[2], 2, "blue", "ok", "", "live", 41.5);
    rich_machine(&m[3], 3, "東京-red", "ok", "", "live", 655.25);
    rich_machine(&m[4], 4, "rig \"quoted\", with comma", "ok", "", "fake", 41.5);
    rich_machine(&m[5], 5, "yellow", "skipped", "ssh: connection refused", "", NAN);
    m[5].grid_source[0] = m[5].basis[0] = '\0';
    m[5].memory_gib = m[5].pue = NAN;
    result->summaries = rich_rows(6, sizeof *result->summaries);
    result->summary_count = 6;
    struct me_row_summary *s = result->summaries;
    rich_summary(&s[0], &m[0], 1231.5, NAN, "package", "modelled", 2, 1, 1);
    s[0].n = 1;
    rich_summary(&s[1], &m[1], 165.04, 0.25, "package+dram", "counter", 1, 1, 2);
    rich_summary(&s[2], &m[2], 165.27, 0.11, "package+dram", "counter", 1, 2, 1);
    rich_summary(&s[3], &m[3], 396.02, 0.41, "package+dram", "integrated", 1, 3, 3);
    snprintf(s[3].reason, sizeof s[3].reason, "1 of 4 repeats do not count");
    rich_summary(&s[4], &m[4], 264.01, 0.05, "package+dram", "counter", 3, 1, 1);
    rich_summary(&s[5], &m[5], NAN, NAN, "", "", 0, 0, 0);
    snprintf(s[5].reason, sizeof s[5].reason, "skipped: ssh: connection refused");
}

static inline void rich_activity(struct me_result *result, int id, int repeat, const char *channel,
                                 const char *unit, double value, double low, double high)
{
    struct me_row_activity *row = &result->activities[result->activity_count++];
    *row = (struct me_row_activity){
        .machine_id = id, .repeat = repeat, .phase = "run", .value = value, .low = low, .high = high};
    snprintf(row->channel, sizeof row->channel, "%s", channel);
    snprintf(row->unit, sizeof row->unit, "%s", unit);
    if (isnan(value)) snprintf(row->fault, sizeof row->fault, "no reading");
}

static inline void rich_many_rows(struct me_result *result)
{
    static const double energy_j[] = {1231.5, 165.04, 165.27, 396.02, 264.01};
    result->repeats = rich_rows(5 * 4 + 1, sizeof *result->repeats);
    result->energies = rich_rows(5 * 3 + 1, sizeof *result->energies);
    result->regions = rich_rows(5 * 3, sizeof *result->regions);
    result->metrics = rich_rows(5 * 3, sizeof *result->metrics);
    result->activities = rich_rows(5 * 3 * 4, sizeof *result->activities);
    for (int id = 0; id < 5; id++) {
        const struct me_row_machine *m = &result->machines[id];
        struct me_row_repeat *idle = &result->repeats[result->repeat_count++];
        rich_repeat(idle, id, 0, "idle", 33, m->grid_gco2_per_kwh, m->pue);
        idle->work = NAN;
        idle->work_unit[0] = idle->workload[0] = '\0';
        for (int repeat = 1; repeat <= (id ? 3 : 1); repeat++) {
            double e = energy_j[id] + 0.1 * (repeat - 2);
            rich_repeat(&result->repeats[result->repeat_count++], id, repeat, "run", e, m->grid_gco2_per_kwh,
                        m->pue);
            struct me_row_energy *energy = &result->energies[result->energy_count++];
            *energy = (struct me_row_energy){
                .machine_id = id, .repeat = repeat, .phase = "run", .channel = "package-0", .energy_j = e};
            rich_activity(result, id, repeat, "instructions", "1", 6.6e9 * (id + 1), NAN, NAN);
            rich_activity(result, id, repeat, "cpu-frequency", "Hz", id == 2 ? NAN : 2.4e9, 2.1e9, 2.9e9);
            rich_activity(result, id, repeat, "events/running", "1", 0.9, id == 1 ? 0.5 : 1, 1);
            if (id == 3) rich_activity(result, id, repeat, "cycles", "1", 13.2e9, NAN, NAN);
            struct me_row_region *region = &result->regions[result->region_count++];
            *region = (struct me_row_region){.machine_id = id,
                                             .repeat = repeat,
                                             .region = "train",
                                             .start_unix_ns = 1748779205223456789 + id,
                                             .calls = 3,
                                             .duration_s = 3.0,
                                             .energy_j = e * 0.9,
                                             .carbon_g = me_carbon_g(e * 0.9, m->pue, m->grid_gco2_per_kwh)};
            if (id == 2) snprintf(region->note, sizeof region->note, "coarse: a value each 0.5 s only");
            result->metrics[result->metric_count++] =
                (struct me_row_metric){.machine_id = id,
                                       .repeat = repeat,
                                       .workload = "native",
                                       .metric = "accuracy",
                                       .value = id == 4 && repeat == 3 ? NAN : 0.87 + repeat * 1e-4};
        }
    }
    struct me_row_repeat *bad = &result->repeats[result->repeat_count++];
    rich_repeat(bad, 3, 4, "run", NAN, 655.25, 1.2);
    bad->exit_status = 256 + 9;
    bad->work = bad->net_energy_j = NAN;
    snprintf(bad->note, sizeof bad->note, "timeout after 10 s");
    struct me_row_energy *failed = &result->energies[result->energy_count++];
    *failed = (struct me_row_energy){.machine_id = 3,
                                     .repeat = 4,
                                     .phase = "run",
                                     .channel = "package-0",
                                     .energy_j = NAN,
                                     .fault = "the reading at the begin or the end failed"};
}

/* Two jobs of Slurm's: one with machines 1 and 2, which it shared with others, and its own meter; a requeued task. */
static inline void rich_jobs(struct me_result *result)
{
    result->jobs = rich_rows(2, sizeof *result->jobs);
    result->job_nodes = rich_rows(3, sizeof *result->job_nodes);
    result->job_count = 2;
    result->job_node_count = 3;
    result->jobs[0] = (struct me_row_job){.job_id = "4711",
                                          .first_repeat = 1,
                                          .last_repeat = 2,
                                          .cluster = "emmy",
                                          .partition = "main",
                                          .nodes = "n[1-2]",
                                          .energy_plugin = "acct_gather_energy/rapl",
                                          .energy_every_s = 30,
                                          .energy_j = 691,
                                          .energy_begin_unix_s = 1748779204.25,
                                          .energy_s = 10.5};
    result->jobs[1] = (struct me_row_job){.job_id = "4713",
                                          .array_job = "4712",
                                          .array_task = "1",
                                          .restarts = 1,
                                          .first_repeat = 3,
                                          .last_repeat = 3,
                                          .cluster = "emmy",
                                          .partition = "low",
                                          .nodes = "n2",
                                          .energy_every_s = NAN,
                                          .energy_j = NAN,
                                          .energy_begin_unix_s = NAN,
                                          .energy_s = NAN};
    for (int i = 0; i < 3; i++)
        result->job_nodes[i] = (struct me_row_job_node){.job_id = "4711",
                                                        .machine_id = i < 2 ? i + 1 : 2,
                                                        .first_repeat = 1,
                                                        .last_repeat = 2,
                                                        .node = "n1",
                                                        .cpus = "0-3",
                                                        .cpu_count = 4,
                                                        .node_cpus = 8,
                                                        .sharing = "yes",
                                                        .shared_with = "4709, 4710",
                                                        .power_w = 50};
    result->job_nodes[1].node[1] = result->job_nodes[2].node[1] = '2';
    result->job_nodes[1].power_w = result->job_nodes[2].power_w = NAN;
    result->job_nodes[1].shared_with[0] = '\0';
    snprintf(result->job_nodes[1].sharing, sizeof result->job_nodes[1].sharing, "possible");
    snprintf(result->job_nodes[2].sharing, sizeof result->job_nodes[2].sharing, "no");
    snprintf(result->job_nodes[2].job_id, sizeof result->job_nodes[2].job_id, "4713");
    result->job_nodes[2].first_repeat = result->job_nodes[2].last_repeat = 3;
}

/* Six machines in three groups: modelled, fake, skipped, overlapping, with names that need quoting. */
static inline void rich_many(struct me_result *result)
{
    *result = (struct me_result){0};
    rich_head(result, "exp1", "complete");
    free(result->command);
    result->command = strdup("./train.sh --epochs 3 \"größer\"");
    rich_many_machines(result);
    rich_many_rows(result);
    rich_jobs(result);
    result->channels = rich_rows(5 * 3, sizeof *result->channels);
    for (int id = 0; id < 5; id++) {
        struct me_row_channel *c = &result->channels[result->channel_count];
        const char *provenance = result->machines[id].provenance;
        if (!id)
            rich_channel(&c[0], id, "cpu-load", "package", "modelled", provenance, "");
        else {
            rich_channel(&c[0], id, "package-0", "package", id == 3 ? "integrated" : "counter", provenance,
                         "");
            rich_channel(&c[1], id, "dram-1", "dram", "counter", provenance, "");
            rich_channel(&c[2], id, "package-0/core", "core", "counter", provenance, "part of package-0");
        }
        result->channel_count += id ? 3 : 1;
    }
    result->series = rich_rows(12, sizeof *result->series);
    for (int id = 1; id < 5; id++)
        for (int repeat = 0; repeat < 3; repeat++)
            rich_series(&result->series[result->series_count++], id, repeat, repeat ? 34 : 11, 2);
}

/* --- several workloads: the tables that come from the records; me_result_rank makes the rest ----------- */

/* A run of which `train` is compared, or, with parts 0, the whole. */
static inline void rich_run(struct me_result *result, int id, int repeat, const char *workload,
                            double energy_j, double accuracy, bool parts)
{
    static const struct {
        const char *name;
        double share;
    } regions[] = {{"import", 0.25}, {"load", 0.05}, {"test", 0.04}, {"train", 0.6}};
    const struct me_row_machine *m = &result->machines[id];
    struct me_row_repeat *row = &result->repeats[result->repeat_count++];
    rich_repeat(row, id, repeat, "run", energy_j, m->grid_gco2_per_kwh, m->pue);
    snprintf(row->workload, sizeof row->workload, "%s", workload);
    if (!parts) {
        row->work = 5497.6;
        snprintf(row->work_unit, sizeof row->work_unit, "GFLOP");
        return;
    }
    snprintf(row->region, sizeof row->region, "train");
    for (size_t i = 0; i < sizeof regions / sizeof *regions; i++) {
        struct me_row_region *region = &result->regions[result->region_count++];
        double j = energy_j * regions[i].share;
        *region = (struct me_row_region){.machine_id = id,
                                         .repeat = repeat,
                                         .start_unix_ns = 1748779205223456789 + (int64_t)i,
                                         .calls = 1,
                                         .duration_s = 3.3 * regions[i].share,
                                         .energy_j = j,
                                         .carbon_g = me_carbon_g(j, m->pue, m->grid_gco2_per_kwh)};
        snprintf(region->region, sizeof region->region, "%s", regions[i].name);
    }
    for (int i = 0; i < 2; i++) {
        struct me_row_metric *metric = &result->metrics[result->metric_count++];
        *metric = (struct me_row_metric){
            .machine_id = id, .repeat = repeat, .value = i ? accuracy : 1.2 - accuracy};
        snprintf(metric->workload, sizeof metric->workload, "%s", workload);
        snprintf(metric->metric, sizeof metric->metric, "%s", i ? "accuracy" : "loss");
    }
}

/* Three machines and four workloads in turns, ranked: `pl` learns less than the others, and on red less than
 * elsewhere; red's keras marked no region in one repeat; gray was not reached. */
static inline void rich_frameworks(struct me_result *result)
{
    static const char *const names[] = {"green", "blue", "red", "gray"};
    *result = (struct me_result){0};
    rich_head(result, "exp2", "complete");
    snprintf(result->workload, sizeof result->workload, "keras,native,pl,gemm --precision single");
    result->machines = rich_rows(4, sizeof *result->machines);
    result->channels = rich_rows(3, sizeof *result->channels);
    result->repeats = rich_rows((size_t)3 * 12, sizeof *result->repeats);
    result->regions = rich_rows((size_t)3 * 9 * 4, sizeof *result->regions);
    result->metrics = rich_rows((size_t)3 * 9 * 2, sizeof *result->metrics);
    result->activities = rich_rows((size_t)3 * 6, sizeof *result->activities);
    for (int id = 0; id < 4; id++) {
        struct me_row_machine *m = &result->machines[result->machine_count++];
        rich_machine(m, id, names[id], id == 3 ? "skipped" : "ok", id == 3 ? "ssh: connection refused" : "",
                     id == 3 ? "" : "live", id ? 655.25 : 41.5);
        if (id < 3)
            rich_channel(&result->channels[result->channel_count++], id, "package-0", "package", "counter",
                         "live", "");
    }
    for (int id = 0; id < 3; id++) {
        double by = 1 + 0.2 * id;
        for (int repeat = 1; repeat <= 9; repeat += 4) {
            double noise = 1 + 0.001 * repeat;
            rich_run(result, id, repeat, "keras", 402.5 * by * noise, 0.8712, true);
            if (id == 2 && repeat == 5) result->region_count--; /* train, which was told last */
            if (id == 1) {
                struct me_row_region *row = &result->regions[result->region_count - 1];
                snprintf(row->note, sizeof row->note, "coarse: package-0 has a value each 0.5 s only");
            }
            rich_activity(result, id, repeat, "instructions", "1", 6.6e9, NAN, NAN);
            rich_activity(result, id, repeat + 1, "instructions", "1", 66e9, NAN, NAN);
            rich_run(result, id, repeat + 1, "native", 120.25 * by * noise, 0.8695, true);
            rich_run(result, id, repeat + 2, "pl", 60.5 * by * noise, id == 2 ? 0.712 : 0.8312, true);
            rich_run(result, id, repeat + 3, "gemm --precision single", 210 * by * noise, NAN, false);
        }
    }
    if (me_result_rank(result, NULL)) abort();
}

#endif
