/* read_journal FILE...: what the record decoder finds in journals, a line each, for tests in Python:
 * machine_id, samples, ended (0 or 1), then every span as phase/repeat/seconds/joules of the first
 * counted counter. */
#include <stdio.h>
#include <stdlib.h>
#include "me/buffer.h"
#include "me/record.h"
#include "me/units.h"

static int read_all(const char *path, struct me_buffer *bytes)
{
    char piece[65536];
    size_t n;
    FILE *file = fopen(path, "re");
    if (!file) return -1;
    while ((n = fread(piece, 1, sizeof piece, file)) > 0) me_buffer_append(bytes, piece, n);
    int failed = ferror(file) || bytes->failed;
    fclose(file);
    return failed ? -1 : 0;
}

static size_t counted_channel(const struct me_record *record)
{
    for (size_t c = 0; c < record->channel_count; c++)
        if (record->channels[c].counted) return c;
    return 0;
}

static void print_span(const struct me_record *record, const struct me_span *span)
{
    struct me_energy energy;
    size_t c = counted_channel(record);
    if (record->channel_count == 0 ||
        me_series_energy(&record->series, &record->channels[c], c, span->first, span->last, &energy))
        return;
    double seconds = me_ns_to_s(record->series.time_ns[span->last] - record->series.time_ns[span->first]);
    printf(" %s/%d/%.6f/%.6f", me_phase_name(span->phase), span->repeat, seconds, me_energy_j(energy));
}

static int show(const char *path)
{
    struct me_buffer bytes = ME_BUFFER_INIT;
    struct me_record record;
    struct me_error err = {0};
    int rc = -1;
    if (read_all(path, &bytes)) {
        fprintf(stderr, "%s: cannot be read\n", path);
    } else if (me_record_decode(bytes.data, bytes.len, &record, &err)) {
        fprintf(stderr, "%s: %s\n", path, err.text);
    } else {
        printf("%d %zu %d", record.facts.machine_id, record.series.count, record.ended);
        for (size_t i = 0; i < record.span_count; i++) print_span(&record, &record.spans[i]);
        printf("\n");
        me_record_release(&record);
        rc = 0;
    }
    me_buffer_release(&bytes);
    return rc;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) failed |= show(argv[i]);
    return failed ? 1 : 0;
}
