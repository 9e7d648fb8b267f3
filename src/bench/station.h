/* A station: what a measuring rank holds while it runs. station_open.c makes it ready, station.c has the
 * phases, marks.c the regions, work and logs of the workload. */
#ifndef ME_STATION_H
#define ME_STATION_H

#include <pthread.h>
#include "bench.h"
#include "me/sample.h"
#include "me/store.h"
#include "me/workload.h"
#include "wrongs.h"

struct me_station_region {
    struct me_region_call call;
    bool open;
    int64_t begin_ns, late_ns; /* its begin, and by how much that may have come late */
};

/* Calls of which an edge was read more than a millisecond, and a hundredth of their length, after its mark could
 * have been written. */
struct me_late {
    size_t count;
    int64_t most_ns;
    char name[48]; /* of the region where that was */
};

struct me_station {
    const struct me_plan *plan;
    struct me_role role;
    struct me_link *link;
    struct me_facts facts;
    struct me_meter meter;
    bool meter_is_busy; /* a reading is under way that nobody waits for: it is not closed */
    struct me_series series;
    struct me_sampler *sampler;
    struct me_sampler_stats before; /* at the begin of the phase */
    int64_t journal_before_ns;      /* CPU time of the journal then */
    int64_t begin_ns;
    int stand;         /* how many barriers were stood before */
    const char *files; /* the folder of me_workload_unpack */
    struct me_workloads workloads;
    char **argv[ME_WORKLOADS_MAX]; /* of each workload */
    char **strip_env;
    struct me_cpus *cpus; /* of the job that we run in, or NULL */
    struct me_child *child;
    struct me_meter_workload followed; /* the child, for the meter's own thread */
    struct me_station_region *regions; /* of the current repeat */
    size_t region_count, region_capacity, open_count;
    bool regions_full;
    uint64_t edge_read;        /* me_child_event.read of the last mark that got an edge, */
    unsigned edges_of_read;    /* how many were taken for marks of that one, */
    uint32_t edge_index;       /* and the last of them */
    struct me_late late;       /* of the current repeat */
    struct me_wrongs wrongs;   /* of the current repeat's marks */
    long long logged[2];       /* of the current repeat: bytes of its output that the record has */
    struct me_metric *metrics; /* of the current repeat */
    size_t metric_count;
    struct me_buffer *stream; /* the record; guarded by `emitting`, as the journal */
    struct me_journal *journal;
    char journal_dir[4096];
    pthread_mutex_t emitting;
    bool stopped;
    char failed[256]; /* the first thing that went wrong */
};

/* On the heap; its release is me_station_close and free. NULL: no memory. */
struct me_station *me_station_create(const struct me_station_options *options, struct me_link *link,
                                     struct me_buffer *record);
/* Facts, journal, meters, sampler, command lines; the record's head is written also when it fails. */
int me_station_open(struct me_station *st, const char *root, struct me_error *err);
void me_station_stop_sampler(struct me_station *st);
/* All but the journal, which outlives the station, and a meter that is busy. */
void me_station_close(struct me_station *st);
/* A chunk to the record and the journal; releases it. `sync`: returns once it is on the disk, or after 2 s; not
 * for what an edge would wait for. */
void me_station_emit(struct me_station *st, struct me_buffer *chunk, bool sync);

void me_station_marks_reset(struct me_station *st);
/* Reads an edge for a begin or an end, adds work, keeps metrics, notes what is not in the protocol. */
int me_station_mark(struct me_station *st, const struct me_child_event *event, struct me_span *span,
                    struct me_error *err);
/* Regions still open end with the span, and the span's note tells what was wrong. */
void me_station_marks_close(struct me_station *st, struct me_span *span);
/* Appends regions and metrics of a measured repeat, as chunks of the record. */
void me_station_put_marks(const struct me_station *st, const struct me_span *span, struct me_buffer *out);
/* Takes the workload's output files of this repeat into the record. While something of it may still print, they
 * are kept: what has grown until the next call goes into the record again, in place of what was there. */
void me_station_emit_logs(struct me_station *st, enum me_phase phase, int repeat, bool keep);
/* Remembers a bad exit status as the station's failure. */
void me_station_say_exit(struct me_station *st, const struct me_span *span);

#endif
