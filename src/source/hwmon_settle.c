#include "hwmon.h"
#include <stdio.h>
#include <string.h>

struct view {
    const struct me_hwmon_sensor *sensors;
    const struct me_hwmon_place *places;
    const double *watts;
    struct me_channel *channels;
    size_t count;
};

static void leave_out(struct me_channel *channel, const char *because)
{
    snprintf(channel->why_not, sizeof channel->why_not, "%s", because);
}

static bool is_same_chip(const struct view *view, size_t a, size_t b)
{
    return view->sensors[a].chip_index == view->sensors[b].chip_index;
}

/* An energy and a power of one sensor: the counter is exact. They share the label, or the number where
 * there is none. */
static void prefer_energy(const struct view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct me_hwmon_sensor *power = &view->sensors[i];
        if (view->channels[i].why_not[0] || power->quantity == ME_HWMON_ENERGY) continue;
        for (size_t j = 0; j < view->count; j++) {
            const struct me_hwmon_sensor *energy = &view->sensors[j];
            if (energy->quantity != ME_HWMON_ENERGY || view->channels[j].why_not[0]) continue;
            if (!is_same_chip(view, i, j) || strcmp(power->label, energy->label)) continue;
            if (power->label[0] || power->index == energy->index)
                leave_out(&view->channels[i], "its energy counter is read");
        }
    }
}

/* One chip, one part: a card and its package, or two files for the same GPU. The first that says it is
 * the whole (no slash in its name) counts. */
static void once_a_chip(const struct view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        if (view->channels[i].why_not[0] || view->places[i].is_set) continue;
        if (view->channels[i].scope < ME_SCOPE_PACKAGE) continue;
        bool part = strchr(view->channels[i].name, '/');
        for (size_t j = 0; j < view->count; j++) {
            if (j == i || !is_same_chip(view, i, j) || view->channels[j].why_not[0]) continue;
            if (view->channels[j].scope != view->channels[i].scope) continue;
            if (strchr(view->channels[j].name, '/') && !part) continue;
            if (!part && j > i) continue;
            leave_out(&view->channels[i], part ? "its card covers it" : "the chip's first sensor counts");
            break;
        }
    }
}

/* Meters of the whole machine by their kind; but two of them are perhaps one in each supply, or one
 * before and one behind a part. */
static void settle_anonymous(const struct view *view)
{
    size_t meters = 0;
    for (size_t i = 0; i < view->count; i++)
        if (view->places[i].anonymous && !view->places[i].why_not) meters++;
    for (size_t i = 0; i < view->count && meters > 1; i++)
        if (view->places[i].anonymous && !view->channels[i].why_not[0])
            leave_out(&view->channels[i], "several meters, and nothing says what each of them measures");
}

static bool is_kin(const struct view *view, size_t a, size_t b)
{
    return view->places[a].is_set && view->places[b].is_set &&
           view->sensors[a].quantity == view->sensors[b].quantity &&
           view->channels[a].scope == view->channels[b].scope &&
           (view->places[a].supply ? view->places[b].supply
                                   : !strcmp(view->sensors[a].chip, view->sensors[b].chip));
}

/* The sum of three supplies is not the machine's if it has four. Comes first: what has a why_not by now has
 * no value. */
static void settle_sets(const struct view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        if (!view->places[i].is_set || view->places[i].why_not || !view->channels[i].why_not[0]) continue;
        for (size_t j = 0; j < view->count; j++) {
            char because[96];
            if (j == i || !is_kin(view, i, j) || view->channels[j].why_not[0]) continue;
            bool told = strcmp(view->channels[i].name, view->channels[j].name);
            snprintf(because, sizeof because, "%.30s has no value, and without it the sum is not whole",
                     told ? view->channels[i].name : view->sensors[i].chip);
            leave_out(&view->channels[j], because);
        }
    }
}

/* Supplies share a load as they like, and one may rest at 0 W; not all of them, on a machine that runs. */
static void settle_supplies(const struct view *view)
{
    bool meter = false;
    double sum_w = 0;
    for (size_t i = 0; i < view->count; i++) {
        if (view->channels[i].why_not[0] || view->channels[i].scope != ME_SCOPE_NODE) continue;
        if (view->places[i].supply)
            sum_w += view->watts[i];
        else
            meter = true;
    }
    for (size_t i = 0; i < view->count; i++) {
        if (!view->places[i].supply || view->channels[i].why_not[0]) continue;
        if (meter)
            leave_out(&view->channels[i], "the node's meter shows the same");
        else if (!(sum_w > 0))
            leave_out(&view->channels[i], "stands at 0 W: no meter behind it");
    }
}

void me_hwmon_settle(const struct me_hwmon_sensor *sensors, const struct me_hwmon_place *places,
                     const double *watts, struct me_channel *channels, size_t count)
{
    const struct view view = {sensors, places, watts, channels, count};
    settle_sets(&view);
    prefer_energy(&view);
    once_a_chip(&view);
    settle_anonymous(&view);
    settle_supplies(&view);
}
