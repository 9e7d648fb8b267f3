/* The record: all that one rank has to tell rank 0, as a stream of versioned, checksummed chunks.
 * The journal is the same stream as it grows on the machine's disk; so a journal that was cut off
 * is a record whose last chunk is missing, and the decoder keeps all that stands before. */
#ifndef ME_RECORD_H
#define ME_RECORD_H

#include <stdint.h>
#include "me/buffer.h"
#include "me/plan.h"
#include "me/series.h"

#define ME_RECORD_VERSION 1

struct me_facts { /* what the machine is */
    int machine_id;
    char name[64]; /* the plan's name */
    char host[64]; /* uname -n */
    char boot_id[40];
    char cpu_model[96];
    int sockets, cores, threads;
    uint64_t memory_bytes;
    char kernel[96];            /* "Linux 6.1.0-18-amd64 x86_64" */
    int64_t unix_minus_mono_ns; /* turns time_ns into unix time */
    char sampler[96];           /* "1000 Hz, SCHED_FIFO": me_sampler_schedule */
    char run_id[17];            /* of the plan: whose record this is; "" where it was not told */
    char experiment[128];
};

enum me_phase { ME_PHASE_IDLE, ME_PHASE_WARMUP, ME_PHASE_RUN, ME_PHASE_COOLDOWN };
const char *me_phase_name(enum me_phase phase);

struct me_usage { /* what the workload and its ended descendants used, by the kernel's accounts */
    bool known;   /* false: no workload ran in the phase; all else is then 0 */
    double cpu_s; /* user and system, all cores together */
    uint64_t context_switches, page_faults;
    uint64_t read_bytes, written_bytes; /* of disks */
    uint64_t max_rss_bytes;             /* of the largest process; 0: not known */
};

struct me_span { /* a phase: begins and ends at exact samples */
    enum me_phase phase;
    int repeat;           /* 1..; 0 for idle */
    uint32_t first, last; /* sample indexes */
    double work;          /* work units done; NaN if the workload told none */
    char work_unit[24];
    int exit_status; /* 0..255; 256 + signal; -1: was not started or ended by us */
    uint32_t late_samples;
    int64_t sampler_cpu_ns, longest_gap_ns;
    char note[160]; /* what was wrong with the workload: "timeout after 10 s"; or "" */
    struct me_usage usage;
    char workload[96]; /* which of the plan's workloads: "keras", "gemm --precision single" */
    char region[48];   /* the region whose energy is compared; "": the whole run */
};
struct me_metric { /* what the work came to, as the workload told */
    char name[48];
    int repeat;
    double value;
};
struct me_region_call { /* one begin/end pair inside a span */
    char region[48];
    int repeat;
    uint32_t first, last; /* sample indexes */
};
struct me_log { /* what the workload printed */
    int repeat;
    enum me_phase phase;
    bool is_stderr;
    char *text;
    size_t len;
};

/* The machine's CLOCK_MONOTONIC beside the head's clock (unix time), as messages there and back showed it. */
struct me_clock_offset {
    bool known;
    int64_t mono_minus_head_ns;
    int64_t bound_ns; /* by how much that may be wrong: half the shortest way there and back */
};
enum me_clock_when { ME_CLOCK_START, ME_CLOCK_END, ME_CLOCK_COUNT };

struct me_record {
    struct me_facts facts;
    struct me_clock_offset clocks[ME_CLOCK_COUNT];
    struct me_channel *channels;
    size_t channel_count;
    struct me_series series;
    struct me_span *spans;
    size_t span_count;
    struct me_region_call *regions;
    size_t region_count;
    struct me_metric *metrics;
    size_t metric_count;
    struct me_log *logs;
    size_t log_count;
    enum me_machine_status status;
    char reason[256];
    bool ended; /* the end chunk was there; false: the stream was cut off */
};
void me_record_release(struct me_record *record); /* NULL-safe */

/* A span or a log that is told again (same phase, repeat and edges; same stream) takes the place of the first.
 * Writers: each appends one chunk (the first also the stream's header) to `out`, ready for the
 * journal and for the wire. */
void me_record_put_facts(struct me_buffer *out, const struct me_facts *facts);
void me_record_put_channels(struct me_buffer *out, const struct me_channel *channels, size_t n);
/* Samples [first, last) of the series. */
void me_record_put_samples(struct me_buffer *out, const struct me_series *series, size_t first, size_t last);
/* All samples of a part whose first is number `number` of the machine's series. */
void me_record_put_part(struct me_buffer *out, const struct me_series *part, size_t number);
void me_record_put_span(struct me_buffer *out, const struct me_span *span);
void me_record_put_region(struct me_buffer *out, const struct me_region_call *call);
void me_record_put_metric(struct me_buffer *out, const struct me_metric *metric);
void me_record_put_log(struct me_buffer *out, const struct me_log *log);
void me_record_put_clock(struct me_buffer *out, enum me_clock_when when,
                         const struct me_clock_offset *offset);
void me_record_put_end(struct me_buffer *out, enum me_machine_status status, const char *reason);

/* Reads a stream. A stream that is cut off, or damaged from some chunk on, gives what stands before
 * it, with ended = false. -1 only if it is not a record, or of another version, or memory ran out.
 * Safe on any bytes (fuzzed): no index in the result points outside it. */
/* Of the stream's first chunk alone: whose record is it? */
int me_record_peek(const void *bytes, size_t len, struct me_facts *facts, struct me_error *err);
int me_record_decode(const void *bytes, size_t len, struct me_record *out, struct me_error *err);

#endif
