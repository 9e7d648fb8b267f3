#include "me/series.h"
#include <stdlib.h>
#include <string.h>

void me_series_init(struct me_series *series, size_t channels)
{
    *series = (struct me_series){.channels = channels};
}

void me_series_release(struct me_series *series)
{
    if (!series) return;
    free(series->time_ns);
    free(series->readings);
    me_series_init(series, series->channels);
}

static int grow(struct me_series *series)
{
    size_t capacity = series->capacity ? series->capacity * 2 : 64;
    size_t row = series->channels * sizeof *series->readings;
    if (capacity > SIZE_MAX / sizeof *series->time_ns || (row && capacity > SIZE_MAX / row)) return -1;
    int64_t *time_ns = realloc(series->time_ns, capacity * sizeof *time_ns);
    if (!time_ns) return -1;
    series->time_ns = time_ns;
    if (row) {
        struct me_reading *readings = realloc(series->readings, capacity * row);
        if (!readings) return -1;
        series->readings = readings;
    }
    series->capacity = capacity;
    return 0;
}

int me_series_append(struct me_series *series, int64_t time_ns, const struct me_reading *readings,
                     struct me_error *err)
{
    if (series->count && time_ns < series->time_ns[series->count - 1])
        return me_fail(err, ME_E_RUN, "samples: time runs backwards");
    if (series->count == series->capacity && grow(series))
        return me_fail(err, ME_E_RUN, "samples: no memory for more than %zu", series->count);
    series->time_ns[series->count] = time_ns;
    if (series->channels)
        memcpy(series->readings + series->count * series->channels, readings,
               series->channels * sizeof *readings);
    series->count++;
    return 0;
}

int me_series_insert(struct me_series *series, size_t floor, int64_t time_ns,
                     const struct me_reading *readings, struct me_error *err)
{
    size_t at = series->count, n = series->channels;
    while (at > floor && series->time_ns[at - 1] > time_ns) at--;
    if (at && at == floor && series->time_ns[at - 1] > time_ns) time_ns = series->time_ns[at - 1];
    if (series->count == series->capacity && grow(series))
        return me_fail(err, ME_E_RUN, "samples: no memory for more than %zu", series->count);
    size_t behind = series->count - at;
    memmove(series->time_ns + at + 1, series->time_ns + at, behind * sizeof *series->time_ns);
    series->time_ns[at] = time_ns;
    if (n) {
        memmove(series->readings + (at + 1) * n, series->readings + at * n,
                behind * n * sizeof *series->readings);
        memcpy(series->readings + at * n, readings, n * sizeof *readings);
    }
    series->count++;
    return 0;
}
