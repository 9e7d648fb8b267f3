#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "writer.h"

void me_number_text(char *text, double value)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, ME_WRITER_NUMBER, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}

void me_number_cell(char *text, const struct me_column *column, const void *row)
{
    const char *field = (const char *)row + column->offset;
    int64_t whole = 0;
    double value = NAN;
    switch (column->type) {
    case ME_COLUMN_I8:
        whole = *(const int8_t *)field;
        break;
    case ME_COLUMN_I32:
        whole = *(const int32_t *)field;
        break;
    case ME_COLUMN_U32:
        whole = *(const uint32_t *)field;
        break;
    case ME_COLUMN_I64:
        whole = *(const int64_t *)field;
        break;
    case ME_COLUMN_F64:
        value = *(const double *)field;
        text[0] = '\0';
        if (isfinite(value)) me_number_text(text, value);
        return;
    case ME_COLUMN_TEXT:
        text[0] = '\0';
        return;
    }
    snprintf(text, ME_WRITER_NUMBER, "%" PRId64, whole);
}

void me_span_add(struct me_span_of *span, double value, double ci)
{
    double size = fabs(value);
    if (isfinite(size) && size > 0) {
        if (span->max == 0 || size < span->min) span->min = size;
        if (size > span->max) span->max = size;
    }
    if (isfinite(ci) && ci > span->ci_max) span->ci_max = ci;
}

struct step {
    double factor;
    const char *unit;
};
static const struct step steps[][8] = {
    [ME_ENERGY] = {{1e-6, "uJ"}, {1e-3, "mJ"}, {1, "J"}, {1e3, "kJ"}, {1e6, "MJ"}, {1e9, "GJ"}, {0}},
    [ME_POWER] = {{1e-6, "uW"}, {1e-3, "mW"}, {1, "W"}, {1e3, "kW"}, {1e6, "MW"}, {0}},
    [ME_DURATION] = {{1e-6, "us"}, {1e-3, "ms"}, {1, "s"}, {3600, "h"}, {0}},
    [ME_RATE] = {{1, ""}, {0}},
    [ME_CARBON] = {{1e-9, "ng"}, {1e-6, "ug"}, {1e-3, "mg"}, {1, "g"}, {1e3, "kg"}, {1e6, "t"}, {0}},
};

static const struct step *choose(const struct step *step, double max)
{
    const struct step *best = NULL;
    for (; step->unit; step++) {
        /* A large unit comes late: 1650 J reads better than 1.650 kJ. */
        bool fits = max >= step->factor * (step->factor > 1 ? 10 : 1);
        if (!best || fits || (max == 0 && step->factor <= 1)) best = step;
    }
    return best;
}

static int clamp(double value, int low, int high)
{
    return value < low ? low : value > high ? high : (int)value;
}

struct me_scale me_scale_for(enum me_quantity quantity, const struct me_span_of *span)
{
    const struct step *step = choose(steps[quantity], span->max);
    struct me_scale scale = {step->factor, 0, step->unit};
    /* Four digits of the smallest value (carbon is not known to more than three), and one of the
     * widest interval where it is narrow. */
    int digits = quantity == ME_CARBON ? 2 : 3;
    if (span->min > 0) scale.decimals = clamp(digits - floor(log10(span->min / step->factor)), 0, 3);
    if (span->ci_max > 0 && quantity != ME_CARBON) {
        int wanted = clamp(-floor(log10(span->ci_max / step->factor)), 0, 9);
        if (wanted > scale.decimals)
            scale.decimals = wanted < scale.decimals + 2 ? wanted : scale.decimals + 2;
    }
    return scale;
}

/* "± 0.1", or "± <0.1" for an interval that would round to nothing; "" if there is none. */
static void interval_text(char *text, size_t size, const struct me_scale *scale, double ci)
{
    double step = pow(10, -scale->decimals), value = ci / scale->factor;
    bool small = value > 0 && value < step / 2;
    text[0] = '\0';
    if (isfinite(ci))
        snprintf(text, size, " ± %s%.*f", small ? "<" : "", scale->decimals, small ? step : value);
}

void me_scale_text(char *text, size_t size, const struct me_scale *scale, double value, double ci)
{
    char interval[ME_WRITER_NUMBER];
    interval_text(interval, sizeof interval, scale, ci);
    if (!isfinite(value))
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%.*f%s %s", scale->decimals, value / scale->factor, interval, scale->unit);
}
