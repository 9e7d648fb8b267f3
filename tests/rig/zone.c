#include "zone.h"
#include "parse.h"
#include "rig.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool set_max_power(struct rig_zone *zone, const char *value)
{
    uint64_t number;
    if (!strcmp(value, "none")) {
        zone->max_power_uw = -1;
        return true;
    }
    if (!rig_parse_scaled(value, 1e6, 1e9, &number)) return false;
    zone->max_power_uw = (int64_t)number;
    return true;
}

static bool set_base(struct rig_zone *zone, const char *value)
{
    uint64_t uj;
    if (!rig_parse_u64(value, 10, &uj)) return false;
    zone->counter.base_fj = (rig_fj)uj * 1000000000u;
    return true;
}

static bool set_key(struct rig_zone *zone, const char *key, const char *value)
{
    if (!strcmp(key, "name")) return snprintf(zone->name, RIG_NAME, "%s", value) < RIG_NAME;
    if (!strcmp(key, "mirror")) return snprintf(zone->mirror_dir, RIG_NAME, "%s", value) < RIG_NAME;
    if (!strcmp(key, "power")) return rig_parse_scaled(value, 1e6, 1e9, &zone->counter.power_uw);
    if (!strcmp(key, "tick_ms")) return rig_parse_scaled(value, 1e6, 1e7, &zone->counter.tick_ns);
    if (!strcmp(key, "range")) return rig_parse_u64(value, 10, &zone->range_uj) && zone->range_uj > 0;
    if (!strcmp(key, "wrap")) return rig_parse_u64(value, 10, &zone->wrap_uj) && zone->wrap_uj > 0;
    if (!strcmp(key, "offset")) return set_base(zone, value);
    if (!strcmp(key, "max_power")) return set_max_power(zone, value);
    if (!strcmp(key, "mode")) return rig_parse_mode(value, &zone->trouble.mode);
    if (!strcmp(key, "enabled")) return rig_parse_bool(value, &zone->enabled);
    if (!strcmp(key, "gone")) return rig_parse_bool(value, &zone->trouble.gone);
    return false;
}

static struct rig_zone *find(struct rig *rig, const char *dir)
{
    for (int i = 0; i < rig->zone_count; i++)
        if (!strcmp(rig->zones[i].dir, dir)) return &rig->zones[i];
    return NULL;
}

static bool good_name(const char *dir)
{
    size_t len = strlen(dir);
    return len > 0 && len < RIG_NAME && dir[0] != '.' && !strpbrk(dir, "/ \t");
}

const char *rig_zone_add(struct rig *rig, const char *spec)
{
    static char why[160];
    char copy[512], *rest, *part;
    if (snprintf(copy, sizeof copy, "%s", spec) >= (int)sizeof copy) return "too long";
    if (rig->zone_count == RIG_ZONES) return "too many zones";
    if (!(part = strtok_r(copy, ",\n", &rest)) || !good_name(part)) return "begins with no directory name";
    if (find(rig, part)) return "this zone is there already";

    struct rig_zone zone = {
        .parent = -1, .control = -1, .mirror = -1, .range_uj = 262143328850, .counter.tick_ns = 1000000};
    zone.max_power_uw = 200000000;
    zone.trouble.mode = 0400; /* as Linux has it since 5.10 */
    zone.enabled = true;
    snprintf(zone.dir, RIG_NAME, "%s", part);
    snprintf(zone.name, RIG_NAME, "%s", part);
    while ((part = strtok_r(NULL, ",\n", &rest))) {
        char *value = strchr(part, '=');
        if (value) *value++ = '\0';
        if (value && set_key(&zone, part, value)) continue;
        snprintf(why, sizeof why, "%.60s: not a key with a value in its range", part);
        return why;
    }
    if (!zone.wrap_uj) zone.wrap_uj = zone.range_uj;
    rig->zones[rig->zone_count++] = zone;
    return NULL;
}

/* "intel-rapl:0:0" lies in "intel-rapl:0" if that is a zone; "intel-rapl:0" under "intel-rapl". */
static const char *link_name(struct rig *rig, struct rig_zone *zone)
{
    char up[RIG_NAME];
    snprintf(up, sizeof up, "%s", zone->dir);
    for (char *colon; (colon = strrchr(up, ':'));) {
        *colon = '\0';
        struct rig_zone *parent = find(rig, up);
        if (parent) zone->parent = (int)(parent - rig->zones);
        if (parent) return NULL;
    }
    if (!strcmp(up, zone->dir)) return NULL;
    int i = 0;
    while (i < rig->control_count && strcmp(rig->controls[i], up)) i++;
    if (i == RIG_CONTROLS) return "too many control types";
    if (i == rig->control_count) snprintf(rig->controls[rig->control_count++], RIG_NAME, "%s", up);
    zone->control = i;
    return NULL;
}

const char *rig_zone_link(struct rig *rig, uint64_t now_ns)
{
    for (int i = 0; i < rig->zone_count; i++) {
        struct rig_zone *zone = &rig->zones[i];
        rig_counter_start(&zone->counter, now_ns);
        const char *why = link_name(rig, zone);
        if (why) return why;
        if (!zone->mirror_dir[0]) continue;
        struct rig_zone *other = find(rig, zone->mirror_dir);
        if (!other || other->mirror_dir[0]) return "mirror= names no zone with an energy of its own";
        zone->mirror = (int)(other - rig->zones);
    }
    return NULL;
}

bool rig_zone_gone(const struct rig *rig, const struct rig_zone *zone)
{
    while (!zone->trouble.gone && zone->parent >= 0) zone = &rig->zones[zone->parent];
    return zone->trouble.gone;
}

uint64_t rig_zone_energy(const struct rig *rig, const struct rig_zone *zone, uint64_t now_ns)
{
    if (zone->trouble.frozen) return zone->frozen_uj;
    const struct rig_zone *source = zone->mirror >= 0 ? &rig->zones[zone->mirror] : zone;
    return (uint64_t)(rig_counter_energy(&source->counter, now_ns) / 1000000000u % zone->wrap_uj);
}

int rig_zone_read(struct rig *rig, struct rig_zone *zone, uint64_t now_ns, char text[RIG_NUMBER_TEXT])
{
    struct rig_trouble *trouble = &zone->trouble;
    trouble->reads++;
    if (rig_zone_gone(rig, zone)) return -ENODEV; /* what sysfs says to a descriptor that outlived its file */
    if (rig_trouble_now(trouble)) {
        if (trouble->fault) return -trouble->fault;
        return trouble->answer == RIG_EMPTY ? 0 : snprintf(text, RIG_NUMBER_TEXT, "<not counted>\n");
    }
    return snprintf(text, RIG_NUMBER_TEXT, "%" PRIu64 "\n", rig_zone_energy(rig, zone, now_ns));
}

int rig_zone_command(const struct rig *rig, struct rig_zone *zone, char *const words[3], uint64_t now_ns)
{
    const char *verb = words[0], *value = words[1];
    uint64_t number;
    int rc = rig_trouble_command(&zone->trouble, words);
    if (rc) return rc > 0 ? 0 : rc;
    if (!value && !strcmp(verb, "freeze")) {
        zone->frozen_uj = rig_zone_energy(rig, zone, now_ns);
        zone->trouble.frozen = true;
        return 0;
    }
    if (!value || words[2]) return -EINVAL;
    if (!strcmp(verb, "enabled")) return rig_parse_bool(value, &zone->enabled) ? 0 : -EINVAL;
    if (!strcmp(verb, "power") && rig_parse_scaled(value, 1e6, 1e9, &number))
        return rig_counter_set_power(&zone->counter, number, now_ns), 0;
    if (!strcmp(verb, "energy") && rig_parse_u64(value, 10, &number))
        return rig_counter_set_energy(&zone->counter, (rig_fj)number * 1000000000u, now_ns), 0;
    return -EINVAL;
}

void rig_zone_state(const struct rig_zone *zone, FILE *out)
{
    const struct rig_counter *counter = &zone->counter;
    /* base_fj as microjoules and the rest below one: printf knows no 128 bits. */
    fprintf(out, "%s name=%s power_uw=%" PRIu64 " range_uj=%" PRIu64 " wrap_uj=%" PRIu64, zone->dir,
            zone->name, counter->power_uw, zone->range_uj, zone->wrap_uj);
    fprintf(out, " tick_ns=%" PRIu64 " epoch_ns=%" PRIu64 " since_ns=%" PRIu64, counter->tick_ns,
            counter->epoch_ns, counter->since_ns);
    fprintf(out, " base_uj=%" PRIu64 " base_rest_fj=%" PRIu64, (uint64_t)(counter->base_fj / 1000000000u),
            (uint64_t)(counter->base_fj % 1000000000u));
    fprintf(out, " mirror=%s", zone->mirror_dir[0] ? zone->mirror_dir : "-");
    rig_trouble_state(&zone->trouble, out);
    fputc('\n', out);
}
