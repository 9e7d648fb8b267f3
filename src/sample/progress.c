/* What the progress line shows. It looks at new samples only, and at each channel up to its own newest
 * reading: those of slow sources lag behind. */
#include "sampler.h"
#include "me/units.h"
#include <math.h>

static bool is_read(const struct me_sampler *s, size_t c, size_t sample)
{
    return s->series->readings[sample * s->series->channels + c].state == ME_READING_OK;
}

/* The newest good reading of the channel after sample `first`; false if there is none. Of a slow counter
 * the newest that showed a new value: energies up to other readings do not add up. */
static bool find_newest(const struct me_sampler *s, size_t c, size_t first, size_t *newest)
{
    const struct me_channel *channel = &s->meter->channels[c];
    const struct me_reading *readings = s->series->readings;
    bool steps = channel->interval_s > 0 && channel->kind == ME_KIND_COUNTER, found = false;
    size_t n = s->series->channels;
    for (size_t i = s->series->count; i-- > first + 1;) {
        if (!is_read(s, c, i)) continue;
        if (found && readings[i * n + c].count != readings[*newest * n + c].count) return true;
        *newest = i;
        found = true;
        if (!steps) return true;
    }
    for (size_t i = first + 1; found && i-- > 0;)
        if (is_read(s, c, i)) return readings[i * n + c].count != readings[*newest * n + c].count;
    return found;
}

/* Mean power of one channel over the second (or two of its intervals) before its newest reading. */
static double recent_power(const struct me_sampler *s, size_t c)
{
    const struct me_channel *channel = &s->meter->channels[c];
    const int64_t *time_ns = s->series->time_ns;
    int64_t window_ns = (int64_t)(fmax(1, 2 * channel->interval_s) * 1e9), span_ns = 0;
    struct me_energy energy;
    size_t newest;
    if (!find_newest(s, c, 0, &newest)) return NAN;
    size_t from = newest;
    for (size_t i = newest; i-- > 0 && span_ns < window_ns;)
        if (is_read(s, c, i)) {
            from = i;
            span_ns = time_ns[newest] - time_ns[i];
        }
    if (span_ns < ME_LONG_READING_NS) return NAN;
    if (me_series_energy(s->series, channel, c, from, newest, &energy)) return NAN;
    return (double)energy.uj * 1e-6 / me_ns_to_s(span_ns);
}

/* What a slow channel has used since its newest reading, if it went on as before. For the progress line
 * alone: the result waits for the next reading. */
static double ahead_j(const struct me_sampler *s, size_t c, size_t newest)
{
    if (s->meter->channels[c].interval_s <= 0) return 0;
    double power_w = recent_power(s, c);
    double lag_s = me_ns_to_s(s->series->time_ns[s->series->count - 1] - s->series->time_ns[newest]);
    return isfinite(power_w) ? power_w * lag_s : 0;
}

static double energy_since(struct me_sampler *s, size_t first)
{
    double sum_j = 0;
    bool any = false;
    for (size_t c = 0; c < s->meter->channel_count; c++) {
        struct me_progress_part *part = &s->progress[c];
        struct me_energy more;
        size_t newest;
        if (s->progress_first != first) *part = (struct me_progress_part){.upto = first};
        if (!s->meter->channels[c].counted) continue;
        any = true;
        if (find_newest(s, c, part->upto, &newest)) {
            if (me_series_energy(s->series, &s->meter->channels[c], c, part->upto, newest, &more)) return NAN;
            part->uj += more.uj;
            part->upto = newest;
        }
        sum_j += (double)part->uj * 1e-6 + ahead_j(s, c, part->upto);
    }
    s->progress_first = first;
    return any ? sum_j : NAN;
}

void me_sampler_now(struct me_sampler *s, size_t first, double *energy_j, double *power_w)
{
    double power = 0;
    bool any = false;
    pthread_mutex_lock(&s->lock);
    *energy_j = first < s->series->count ? energy_since(s, first) : NAN;
    for (size_t c = 0; c < s->meter->channel_count; c++) {
        if (!s->meter->channels[c].counted) continue;
        power += recent_power(s, c);
        any = true;
    }
    pthread_mutex_unlock(&s->lock);
    *power_w = any ? power : NAN;
}
