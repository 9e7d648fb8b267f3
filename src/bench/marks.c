#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "me/clock.h"
#include "station.h"

#define REGIONS_MAX  1000000 /* calls a repeat; beyond it calls are not recorded, and it is said */
#define LATE_NS      1000000 /* what an edge may be late without a word, */
#define LATE_PART    100     /* or so many times less than its call is long */
#define EDGES_A_READ 8       /* of marks that were read together */
#define METRICS_MAX  1000    /* names of metrics a repeat; beyond it, it is said */

void me_station_marks_reset(struct me_station *st)
{
    st->region_count = st->metric_count = 0;
    st->open_count = 0;
    st->regions_full = false;
    st->edge_read = 0;
    st->edges_of_read = 0;
    st->late = (struct me_late){0};
    st->wrongs = (struct me_wrongs){0};
    st->logged[0] = st->logged[1] = 0;
}

static bool grow_regions(struct me_station *st)
{
    if (st->region_count < st->region_capacity) return true;
    size_t capacity = st->region_capacity ? st->region_capacity * 2 : 64;
    if (capacity > REGIONS_MAX * 2) return false;
    struct me_station_region *grown = realloc(st->regions, capacity * sizeof *grown);
    if (!grown) return false;
    st->regions = grown;
    st->region_capacity = capacity;
    return true;
}

/* Reading an edge takes longer than making a mark. Marks that waited in the pipe together were all written
 * since it was read before, so that all but the first few of them share an edge: with one each, those behind
 * them would fall back more and more. */
static int take_edge(struct me_station *st, const struct me_child_event *event, uint32_t *at,
                     struct me_error *err)
{
    size_t index = st->edge_index;
    if (!event->read || event->read != st->edge_read) st->edges_of_read = 0;
    if (st->edges_of_read < EDGES_A_READ && me_sampler_edge(st->sampler, ME_EDGE_NOW, &index, err)) return -1;
    if (st->edges_of_read < EDGES_A_READ) st->edges_of_read++;
    *at = st->edge_index = (uint32_t)index;
    st->edge_read = event->read;
    return 0;
}

/* Where one region is compared, what its calls were late by matters; else all are what somebody looks at. */
static void note_late(struct me_station *st, const struct me_span *span,
                      const struct me_station_region *region, int64_t end_ns, int64_t late_ns)
{
    struct me_late *late = &st->late;
    if (span->region[0] && strcmp(span->region, region->call.region)) return;
    if (late_ns < region->late_ns) late_ns = region->late_ns;
    if (late_ns <= LATE_NS || late_ns * LATE_PART <= end_ns - region->begin_ns) return;
    late->count++;
    if (late_ns <= late->most_ns) return;
    late->most_ns = late_ns;
    memcpy(late->name, region->call.region, sizeof late->name);
}

static int begin_region(struct me_station *st, const struct me_child_event *event, struct me_span *span,
                        struct me_error *err)
{
    uint32_t index;
    int64_t now_ns = me_clock_mono_ns();
    if (st->region_count >= REGIONS_MAX || !grow_regions(st)) {
        st->regions_full = true;
        me_wrongs_add(&st->wrongs, ME_WRONG_REGIONS, event->name);
        return 0;
    }
    if (take_edge(st, event, &index, err)) return -1;
    struct me_station_region *region = &st->regions[st->region_count++];
    *region = (struct me_station_region){.open = true,
                                         .begin_ns = now_ns,
                                         .late_ns = now_ns - event->since_ns,
                                         .call = {.repeat = span->repeat, .first = index}};
    snprintf(region->call.region, sizeof region->call.region, "%s", event->name);
    st->open_count++;
    return 0;
}

/* The last one begun that is open; NULL if there is none. */
static struct me_station_region *find_open(struct me_station *st, const char *name)
{
    size_t open = st->open_count;
    for (size_t i = st->region_count; i > 0 && open > 0; i--) {
        struct me_station_region *region = &st->regions[i - 1];
        if (region->open && !strcmp(region->call.region, name)) return region;
        open -= region->open;
    }
    return NULL;
}

static int end_region(struct me_station *st, const struct me_child_event *event, const struct me_span *span,
                      struct me_error *err)
{
    struct me_station_region *region = find_open(st, event->name);
    uint32_t index;
    int64_t now_ns = me_clock_mono_ns();
    if (!region) {
        if (!st->regions_full) me_wrongs_add(&st->wrongs, ME_WRONG_END, event->name);
        return 0;
    }
    if (take_edge(st, event, &index, err)) return -1;
    bool is_ended_by_us = span->note[0] != '\0'; /* meanwhile no marks were read, and the note says why */
    if (!is_ended_by_us) note_late(st, span, region, now_ns, now_ns - event->since_ns);
    region->call.last = index;
    region->open = false;
    st->open_count--;
    return 0;
}

/* Told twice, the last word counts. */
static void keep_metric(struct me_station *st, const struct me_child_event *event, struct me_span *span)
{
    size_t i = 0;
    while (i < st->metric_count && strcmp(st->metrics[i].name, event->name)) i++;
    if (!st->metrics) st->metrics = calloc(METRICS_MAX, sizeof *st->metrics);
    if (!st->metrics || i == METRICS_MAX) {
        me_wrongs_add(&st->wrongs, ME_WRONG_METRICS, event->name);
        return;
    }
    if (i == st->metric_count) st->metric_count++;
    st->metrics[i] = (struct me_metric){.repeat = span->repeat, .value = event->amount};
    snprintf(st->metrics[i].name, sizeof st->metrics[i].name, "%s", event->name);
}

int me_station_mark(struct me_station *st, const struct me_child_event *event, struct me_span *span,
                    struct me_error *err)
{
    switch (event->type) {
    case ME_CHILD_BEGIN:
        return begin_region(st, event, span, err);
    case ME_CHILD_END:
        return end_region(st, event, span, err);
    case ME_CHILD_WORK:
        if (span->work_unit[0] && strncmp(span->work_unit, event->name, sizeof span->work_unit - 1)) {
            me_wrongs_add(&st->wrongs, ME_WRONG_UNIT, event->name);
            return 0;
        }
        span->work = (isnan(span->work) ? 0 : span->work) + event->amount;
        snprintf(span->work_unit, sizeof span->work_unit, "%.23s", event->name);
        return 0;
    case ME_CHILD_METRIC:
        keep_metric(st, event, span);
        return 0;
    case ME_CHILD_BAD_MARK:
        me_wrongs_add(&st->wrongs, ME_WRONG_LINE, event->name);
        return 0;
    case ME_CHILD_NOTHING:
    case ME_CHILD_EXITED:
        return 0;
    }
    return 0;
}

static void tell_late(const struct me_late *late, char *note, size_t size)
{
    char text[160];
    if (!late->count) return;
    snprintf(text, sizeof text,
             "marks waited to be read: begin or end of %zu call%s may be late, of %s by %.3g ms", late->count,
             late->count == 1 ? "" : "s", late->name, (double)late->most_ns * 1e-6);
    me_wrongs_append(note, size, text);
}

void me_station_marks_close(struct me_station *st, struct me_span *span)
{
    for (size_t i = 0; i < st->region_count; i++) {
        struct me_station_region *region = &st->regions[i];
        if (!region->open) continue;
        region->call.last = span->last;
        region->open = false;
        me_wrongs_add(&st->wrongs, ME_WRONG_OPEN, region->call.region);
    }
    st->open_count = 0;
    me_wrongs_tell(&st->wrongs, span->note, sizeof span->note);
    tell_late(&st->late, span->note, sizeof span->note);
}

void me_station_put_marks(const struct me_station *st, const struct me_span *span, struct me_buffer *out)
{
    if (span->phase != ME_PHASE_RUN) return;
    for (size_t i = 0; i < st->region_count; i++) me_record_put_region(out, &st->regions[i].call);
    for (size_t i = 0; i < st->metric_count; i++) me_record_put_metric(out, &st->metrics[i]);
}

/* The whole file, or its first and last halves of the limit with a line between. */
static void read_log(FILE *file, struct me_buffer *text)
{
    char piece[65536];
    size_t n;
    if (fseek(file, 0, SEEK_END)) return;
    long size = ftell(file);
    rewind(file);
    while (text->len < ME_CHILD_OUTPUT_MAX / 2 && (n = fread(piece, 1, sizeof piece, file)) > 0)
        me_buffer_append(text, piece, n);
    long tail = size - (long)(ME_CHILD_OUTPUT_MAX / 2);
    if (size > (long)ME_CHILD_OUTPUT_MAX && !fseek(file, tail, SEEK_SET))
        me_buffer_printf(text, "\n[me_bench: %ld bytes left out here]\n", tail - (long)text->len);
    while (text->len <= ME_CHILD_OUTPUT_MAX + sizeof piece && (n = fread(piece, 1, sizeof piece, file)) > 0)
        me_buffer_append(text, piece, n);
}

static void put_log(struct me_station *st, struct me_log log, FILE *file)
{
    struct me_buffer text = ME_BUFFER_INIT, chunk = ME_BUFFER_INIT;
    read_log(file, &text);
    if (text.len && !text.failed) {
        log.text = text.data;
        log.len = text.len;
        me_record_put_log(&chunk, &log);
        me_station_emit(st, &chunk, false);
    }
    me_buffer_release(&text);
}

static void emit_log(struct me_station *st, struct me_log log, const char *suffix, bool keep)
{
    char path[4200];
    struct stat now;
    snprintf(path, sizeof path, "%s/%s-%d.%s", st->journal_dir, st->plan->run_id, st->facts.machine_id,
             suffix);
    FILE *file = fopen(path, "re");
    if (!file) return;
    long long *logged = &st->logged[log.is_stderr];
    if (!fstat(fileno(file), &now) && now.st_size != *logged) {
        put_log(st, log, file);
        *logged = now.st_size;
    }
    fclose(file);
    if (!keep) unlink(path);
}

void me_station_emit_logs(struct me_station *st, enum me_phase phase, int repeat, bool keep)
{
    struct me_log log = {.repeat = repeat, .phase = phase};
    emit_log(st, log, "out", keep);
    log.is_stderr = true;
    emit_log(st, log, "err", keep);
}

void me_station_say_exit(struct me_station *st, const struct me_span *span)
{
    const char *note = span->note;
    int status = span->exit_status;
    char which[32];
    snprintf(which, sizeof which, "%.12s %d",
             span->phase == ME_PHASE_RUN ? "repeat" : me_phase_name(span->phase), span->repeat);
    if (note[0] && status >= 256)
        snprintf(st->failed, sizeof st->failed, "%s: %s", which, note);
    else if (status >= 256)
        snprintf(st->failed, sizeof st->failed, "%s: the workload was ended by signal %d (%s)", which,
                 status - 256, strsignal(status - 256));
    else
        snprintf(st->failed, sizeof st->failed, "%s: the workload exited with status %d%s%s", which, status,
                 note[0] ? "; " : "", note);
}
