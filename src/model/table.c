#include "me/table.h"
#include <string.h>

/* Type, offset and size come from the field itself, so that a row here cannot contradict the struct. */
#define FIELD(row, f) (((struct row *)0)->f)
#define TYPE(row, f)                                                                                         \
    _Generic(FIELD(row, f),                                                                                  \
        int8_t: ME_COLUMN_I8,                                                                                \
        int32_t: ME_COLUMN_I32,                                                                              \
        uint32_t: ME_COLUMN_U32,                                                                             \
        int64_t: ME_COLUMN_I64,                                                                              \
        double: ME_COLUMN_F64,                                                                               \
        char *: ME_COLUMN_TEXT)
#define AS(row, f, name, unit)                                                                               \
    {                                                                                                        \
        name, TYPE(row, f), offsetof(struct row, f), sizeof FIELD(row, f), unit                              \
    }
#define COL(row, f, unit) AS(row, f, #f, unit)

static const struct me_column machines[] = {
    COL(me_row_machine, machine_id, ""),
    COL(me_row_machine, name, ""),
    COL(me_row_machine, host, ""),
    COL(me_row_machine, boot_id, ""),
    COL(me_row_machine, status, ""),
    COL(me_row_machine, reason, ""),
    COL(me_row_machine, provenance, ""),
    COL(me_row_machine, cpu_model, ""),
    COL(me_row_machine, sockets, ""),
    COL(me_row_machine, cores, ""),
    COL(me_row_machine, threads, ""),
    AS(me_row_machine, memory_gib, "memory", "GiB"),
    COL(me_row_machine, kernel, ""),
    COL(me_row_machine, country, ""),
    COL(me_row_machine, region, ""),
    COL(me_row_machine, grid_gco2_per_kwh, "gCO2e/kWh"),
    COL(me_row_machine, grid_source, ""),
    COL(me_row_machine, basis, ""),
    COL(me_row_machine, pue, ""),
    COL(me_row_machine, sampler, ""),
    COL(me_row_machine, clock_offset_start_s, "s"),
    COL(me_row_machine, clock_bound_start_s, "s"),
    COL(me_row_machine, clock_offset_end_s, "s"),
    COL(me_row_machine, clock_bound_end_s, "s"),
    COL(me_row_machine, series_file, ""),
    COL(me_row_machine, engine, ""),
    COL(me_row_machine, image, ""),
    COL(me_row_machine, image_digest, ""),
};

static const struct me_column channels[] = {
    COL(me_row_channel, machine_id, ""), COL(me_row_channel, channel, ""),
    COL(me_row_channel, source, ""),     COL(me_row_channel, scope, ""),
    COL(me_row_channel, kind, ""),       AS(me_row_channel, cls, "class", ""),
    COL(me_row_channel, provenance, ""), COL(me_row_channel, unit, ""),
    COL(me_row_channel, range, "uJ"),    COL(me_row_channel, interval_s, "s"),
    COL(me_row_channel, device, ""),     COL(me_row_channel, counted, ""),
    COL(me_row_channel, why_not, ""),    COL(me_row_channel, basis, ""),
};

static const struct me_column repeats[] = {
    COL(me_row_repeat, machine_id, ""),      COL(me_row_repeat, repeat, ""),
    COL(me_row_repeat, phase, ""),           COL(me_row_repeat, start_unix_ns, "ns"),
    COL(me_row_repeat, duration_s, "s"),     COL(me_row_repeat, energy_j, "J"),
    COL(me_row_repeat, net_energy_j, "J"),   COL(me_row_repeat, mean_power_w, "W"),
    COL(me_row_repeat, carbon_g, "gCO2e"),   COL(me_row_repeat, work, "work_unit"),
    COL(me_row_repeat, work_unit, ""),       COL(me_row_repeat, exit_status, ""),
    COL(me_row_repeat, late_samples, ""),    COL(me_row_repeat, sampler_cpu_s, "s"),
    COL(me_row_repeat, longest_gap_s, "s"),  COL(me_row_repeat, note, ""),
    COL(me_row_repeat, cpu_s, "s"),          COL(me_row_repeat, context_switches, ""),
    COL(me_row_repeat, page_faults, ""),     COL(me_row_repeat, read_bytes, "B"),
    COL(me_row_repeat, written_bytes, "B"),  COL(me_row_repeat, max_rss_bytes, "B"),
    COL(me_row_repeat, workload, ""),        COL(me_row_repeat, region, ""),
    COL(me_row_repeat, clock_offset_s, "s"), COL(me_row_repeat, clock_bound_s, "s"),
    COL(me_row_repeat, cpu_share, ""),
};

static const struct me_column energies[] = {
    COL(me_row_energy, machine_id, ""), COL(me_row_energy, repeat, ""),    COL(me_row_energy, phase, ""),
    COL(me_row_energy, channel, ""),    COL(me_row_energy, energy_j, "J"), COL(me_row_energy, fault, ""),
};

static const struct me_column activities[] = {
    COL(me_row_activity, machine_id, ""), COL(me_row_activity, repeat, ""),
    COL(me_row_activity, phase, ""),      COL(me_row_activity, channel, ""),
    COL(me_row_activity, unit, ""),       COL(me_row_activity, value, "unit"),
    COL(me_row_activity, low, "unit"),    COL(me_row_activity, high, "unit"),
    COL(me_row_activity, fault, ""),
};

static const struct me_column regions[] = {
    COL(me_row_region, machine_id, ""), COL(me_row_region, repeat, ""),
    COL(me_row_region, region, ""),     COL(me_row_region, start_unix_ns, "ns"),
    COL(me_row_region, calls, ""),      COL(me_row_region, duration_s, "s"),
    COL(me_row_region, energy_j, "J"),  COL(me_row_region, carbon_g, "gCO2e"),
    COL(me_row_region, note, ""),
};

static const struct me_column metrics[] = {
    COL(me_row_metric, machine_id, ""), COL(me_row_metric, repeat, ""), COL(me_row_metric, workload, ""),
    COL(me_row_metric, metric, ""),     COL(me_row_metric, value, ""),
};

static const struct me_column jobs[] = {
    COL(me_row_job, job_id, ""),
    COL(me_row_job, array_job, ""),
    COL(me_row_job, array_task, ""),
    COL(me_row_job, restarts, ""),
    COL(me_row_job, first_repeat, ""),
    COL(me_row_job, last_repeat, ""),
    COL(me_row_job, cluster, ""),
    COL(me_row_job, partition, ""),
    COL(me_row_job, nodes, ""),
    COL(me_row_job, energy_plugin, ""),
    COL(me_row_job, energy_every_s, "s"),
    COL(me_row_job, energy_j, "J"),
    COL(me_row_job, energy_begin_unix_s, "s"),
    COL(me_row_job, energy_s, "s"),
};

static const struct me_column job_nodes[] = {
    COL(me_row_job_node, job_id, ""),       COL(me_row_job_node, machine_id, ""),
    COL(me_row_job_node, first_repeat, ""), COL(me_row_job_node, last_repeat, ""),
    COL(me_row_job_node, node, ""),         COL(me_row_job_node, cpus, ""),
    COL(me_row_job_node, cpu_count, ""),    COL(me_row_job_node, node_cpus, ""),
    COL(me_row_job_node, sharing, ""),      COL(me_row_job_node, shared_with, ""),
    COL(me_row_job_node, power_w, "W"),
};

static const struct me_column summary[] = {
    COL(me_row_summary, machine_id, ""),
    COL(me_row_summary, workload, ""),
    COL(me_row_summary, region, ""),
    COL(me_row_summary, n, ""),
    COL(me_row_summary, energy_mean_j, "J"),
    COL(me_row_summary, energy_ci95_j, "J"),
    COL(me_row_summary, carbon_mean_g, "gCO2e"),
    COL(me_row_summary, carbon_ci95_g, "gCO2e"),
    COL(me_row_summary, duration_mean_s, "s"),
    COL(me_row_summary, power_mean_w, "W"),
    COL(me_row_summary, j_per_work, "J/work_unit"),
    COL(me_row_summary, g_per_work, "gCO2e/work_unit"),
    COL(me_row_summary, work_per_s, "work_unit/s"),
    COL(me_row_summary, work_unit, ""),
    COL(me_row_summary, accuracy, ""),
    COL(me_row_summary, loss, ""),
    COL(me_row_summary, scopes, ""),
    AS(me_row_summary, cls, "class", ""),
    COL(me_row_summary, provenance, ""),
    COL(me_row_summary, group, ""),
    COL(me_row_summary, place, ""),
    COL(me_row_summary, carbon_place, ""),
    COL(me_row_summary, reason, ""),
};

#define TABLE(name, columns, row, rows, count, text)                                                         \
    {                                                                                                        \
        name, text, columns, sizeof columns / sizeof columns[0], sizeof(struct row),                         \
            offsetof(struct me_result, rows), offsetof(struct me_result, count)                              \
    }

const struct me_table me_table_list[] = {
    TABLE("machines", machines, me_row_machine, machines, machine_count,
          "One row a machine: what it is, how it fared, and the grid it draws from."),
    TABLE("channels", channels, me_row_channel, channels, channel_count,
          "One row a channel of a machine; counted = 1 if it enters the machine's total."),
    TABLE("repeats", repeats, me_row_repeat, repeats, repeat_count,
          "One row a phase of a repeat; the rows of phase run are what is ranked."),
    TABLE("energies", energies, me_row_energy, energies, energy_count,
          "Energy of every channel in every phase; NaN where it is not known, and fault says why."),
    TABLE("activities", activities, me_row_activity, activities, activity_count,
          "What the machine did in every phase: growth of counters, means of gauges; no energy."),
    TABLE("regions", regions, me_row_region, regions, region_count,
          "Named spans inside the workload, summed over the calls of a repeat."),
    TABLE("metrics", metrics, me_row_metric, metrics, metric_count,
          "What the workload told of its outcome in a repeat: accuracy, loss and others."),
    TABLE("jobs", jobs, me_row_job, jobs, job_count,
          "One row a batch system's job that measured into this experiment, with its own meter's figure."),
    TABLE("job_nodes", job_nodes, me_row_job_node, job_nodes, job_node_count,
          "One row a machine of a job: what the job had of it, and whether other jobs were there too."),
    TABLE("summary", summary, me_row_summary, summaries, summary_count,
          "One row a workload of a machine: means over the repeats with the half width of the 95 % "
          "interval, and places; of the region's energy where a region is named."),
    {0},
};

const struct me_table *me_table_find(const char *name)
{
    for (const struct me_table *table = me_table_list; table->name; table++)
        if (!strcmp(table->name, name)) return table;
    return NULL;
}

/* The pointers in me_result have many types; memcpy reads any of them without breaking aliasing rules. */
const void *me_table_rows(const struct me_table *table, const struct me_result *result, size_t *count)
{
    const void *rows;
    memcpy(&rows, (const char *)result + table->rows_offset, sizeof rows);
    memcpy(count, (const char *)result + table->count_offset, sizeof *count);
    return rows;
}

void me_table_set_rows(const struct me_table *table, struct me_result *result, void *rows, size_t count)
{
    memcpy((char *)result + table->rows_offset, &rows, sizeof rows);
    memcpy((char *)result + table->count_offset, &count, sizeof count);
}
