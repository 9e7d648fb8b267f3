#include "zone.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int number;
} faults[] = {
    {"none", 0},        {"EIO", EIO},         {"EACCES", EACCES},
    {"EPERM", EPERM},   {"ENODATA", ENODATA}, {"EINVAL", EINVAL},
    {"ENOENT", ENOENT}, {"ENODEV", ENODEV},   {"ETIMEDOUT", ETIMEDOUT},
    {"EAGAIN", EAGAIN}, {"EBUSY", EBUSY},
};

static bool parse_u64(const char *text, int base, uint64_t *value)
{
    if (!text || text[0] < '0' || text[0] > '9') return false;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, base);
    if (errno || *end) return false;
    *value = number;
    return true;
}

/* A decimal number of some unit as an integer of a smaller one: "50.5" W is 50,500,000 uW. */
static bool parse_scaled(const char *text, double scale, double max, uint64_t *value)
{
    if (!text || !*text) return false;
    char *end;
    double number = strtod(text, &end);
    if (*end || !isfinite(number) || number < 0 || number > max) return false;
    *value = (uint64_t)llround(number * scale);
    return true;
}

static bool parse_mode(const char *text, mode_t *mode)
{
    uint64_t number;
    if (!parse_u64(text, 8, &number) || number > 0777) return false;
    *mode = (mode_t)number;
    return true;
}

static bool parse_bool(const char *text, bool *value)
{
    if (!text || (strcmp(text, "0") && strcmp(text, "1"))) return false;
    *value = *text == '1';
    return true;
}

static bool set_max_power(struct rig_zone *zone, const char *value)
{
    uint64_t number;
    if (!strcmp(value, "none")) {
        zone->max_power_uw = -1;
        return true;
    }
    if (!parse_scaled(value, 1e6, 1e9, &number)) return false;
    zone->max_power_uw = (int64_t)number;
    return true;
}

static bool set_base(struct rig_zone *zone, const char *value)
{
    uint64_t uj;
    if (!parse_u64(value, 10, &uj)) return false;
    zone->base_fj = (rig_fj)uj * 1000000000u;
    return true;
}

static bool set_key(struct rig_zone *zone, const char *key, const char *value)
{
    if (!strcmp(key, "name")) return snprintf(zone->name, RIG_NAME, "%s", value) < RIG_NAME;
    if (!strcmp(key, "mirror")) return snprintf(zone->mirror_dir, RIG_NAME, "%s", value) < RIG_NAME;
    if (!strcmp(key, "power")) return parse_scaled(value, 1e6, 1e9, &zone->power_uw);
    if (!strcmp(key, "tick_ms")) return parse_scaled(value, 1e6, 1e7, &zone->tick_ns);
    if (!strcmp(key, "range")) return parse_u64(value, 10, &zone->range_uj) && zone->range_uj > 0;
    if (!strcmp(key, "wrap")) return parse_u64(value, 10, &zone->wrap_uj) && zone->wrap_uj > 0;
    if (!strcmp(key, "offset")) return set_base(zone, value);
    if (!strcmp(key, "max_power")) return set_max_power(zone, value);
    if (!strcmp(key, "mode")) return parse_mode(value, &zone->mode);
    if (!strcmp(key, "enabled")) return parse_bool(value, &zone->enabled);
    if (!strcmp(key, "gone")) return parse_bool(value, &zone->gone);
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
        .parent = -1, .control = -1, .mirror = -1, .range_uj = 262143328850, .tick_ns = 1000000};
    zone.max_power_uw = 200000000;
    zone.mode = 0400; /* as Linux has it since 5.10 */
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
    if (!zone.tick_ns) zone.tick_ns = 1;
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
    rig->epoch_ns = now_ns;
    for (int i = 0; i < rig->zone_count; i++) {
        struct rig_zone *zone = &rig->zones[i];
        zone->since_ns = now_ns;
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
    while (!zone->gone && zone->parent >= 0) zone = &rig->zones[zone->parent];
    return zone->gone;
}

static uint64_t quantise(const struct rig *rig, const struct rig_zone *zone, uint64_t now_ns)
{
    uint64_t elapsed = now_ns - rig->epoch_ns;
    return now_ns - elapsed % zone->tick_ns;
}

static rig_fj energy_fj(const struct rig *rig, const struct rig_zone *zone, uint64_t now_ns)
{
    return zone->base_fj + (rig_fj)zone->power_uw * (quantise(rig, zone, now_ns) - zone->since_ns);
}

uint64_t rig_zone_energy(const struct rig *rig, const struct rig_zone *zone, uint64_t now_ns)
{
    if (zone->frozen) return zone->frozen_uj;
    const struct rig_zone *source = zone->mirror >= 0 ? &rig->zones[zone->mirror] : zone;
    return (uint64_t)(energy_fj(rig, source, now_ns) / 1000000000u % zone->wrap_uj);
}

static bool fault_now(struct rig_zone *zone)
{
    if (!zone->fault && zone->text == RIG_NUMBER) return false;
    if (zone->fault_left < 0) return true;
    if (zone->fault_left-- > 0) return true;
    zone->fault = 0;
    zone->text = RIG_NUMBER;
    return false;
}

int rig_zone_read(struct rig *rig, struct rig_zone *zone, uint64_t now_ns, char text[RIG_TEXT])
{
    zone->reads++;
    if (rig_zone_gone(rig, zone)) return -ENODEV; /* what sysfs says to a descriptor that outlived its file */
    if (fault_now(zone)) {
        if (zone->fault) return -zone->fault;
        return zone->text == RIG_EMPTY ? 0 : snprintf(text, RIG_TEXT, "<not counted>\n");
    }
    return snprintf(text, RIG_TEXT, "%" PRIu64 "\n", rig_zone_energy(rig, zone, now_ns));
}

static void set_power(const struct rig *rig, struct rig_zone *zone, uint64_t power_uw, uint64_t now_ns)
{
    uint64_t at = quantise(rig, zone, now_ns);
    zone->base_fj = energy_fj(rig, zone, now_ns);
    zone->since_ns = at;
    zone->power_uw = power_uw;
}

static void set_energy(const struct rig *rig, struct rig_zone *zone, uint64_t uj, uint64_t now_ns)
{
    zone->since_ns = quantise(rig, zone, now_ns);
    zone->base_fj = (rig_fj)uj * 1000000000u;
}

static int set_fault(struct rig_zone *zone, const char *what, const char *count)
{
    uint64_t left = 0;
    enum rig_text text = !strcmp(what, "garbage") ? RIG_GARBAGE
                         : !strcmp(what, "empty") ? RIG_EMPTY
                                                  : RIG_NUMBER;
    int number = text ? 0 : -1;
    for (size_t i = 0; i < sizeof faults / sizeof *faults && number < 0; i++)
        if (!strcmp(what, faults[i].name)) number = faults[i].number;
    if (number < 0 || (count && (!parse_u64(count, 10, &left) || left > INT32_MAX))) return -EINVAL;
    zone->fault = number;
    zone->text = text;
    zone->fault_left = count ? (long)left : -1;
    return 0;
}

static void heal(struct rig_zone *zone)
{
    zone->fault = 0;
    zone->text = RIG_NUMBER;
    zone->delay_us = 0;
    zone->gone = zone->frozen = false;
}

static int apply_word(const struct rig *rig, struct rig_zone *zone, const char *verb, uint64_t now_ns)
{
    if (!strcmp(verb, "vanish")) return zone->gone = true, 0;
    if (!strcmp(verb, "appear")) return zone->gone = false, 0;
    if (!strcmp(verb, "thaw")) return zone->frozen = false, 0;
    if (!strcmp(verb, "ok")) return heal(zone), 0;
    if (strcmp(verb, "freeze")) return -EINVAL;
    zone->frozen_uj = rig_zone_energy(rig, zone, now_ns);
    zone->frozen = true;
    return 0;
}

static int apply(const struct rig *rig, struct rig_zone *zone, char *const words[3], uint64_t now_ns)
{
    const char *verb = words[0], *value = words[1];
    uint64_t number;
    if (!value) return apply_word(rig, zone, verb, now_ns);
    if (!strcmp(verb, "fault")) return set_fault(zone, value, words[2]);
    if (words[2]) return -EINVAL;
    if (!strcmp(verb, "mode")) return parse_mode(value, &zone->mode) ? 0 : -EINVAL;
    if (!strcmp(verb, "enabled")) return parse_bool(value, &zone->enabled) ? 0 : -EINVAL;
    if (!strcmp(verb, "power") && parse_scaled(value, 1e6, 1e9, &number))
        return set_power(rig, zone, number, now_ns), 0;
    if (!strcmp(verb, "energy") && parse_u64(value, 10, &number))
        return set_energy(rig, zone, number, now_ns), 0;
    if (!strcmp(verb, "delay") && parse_scaled(value, 1e3, 6e4, &number))
        return zone->delay_us = (unsigned)number, 0;
    return -EINVAL;
}

int rig_zone_command(struct rig *rig, const char *line, uint64_t now_ns)
{
    char copy[256], *rest, *words[5] = {NULL};
    if (snprintf(copy, sizeof copy, "%s", line) >= (int)sizeof copy) return -EINVAL;
    int count = 0;
    for (char *word = strtok_r(copy, " \t\r\n", &rest); word && count < 5;
         word = strtok_r(NULL, " \t\r\n", &rest))
        words[count++] = word;
    if (count == 0 || words[0][0] == '#') return 0;
    if (count == 1 || count == 5) return -EINVAL;
    bool all = !strcmp(words[0], "*");
    struct rig_zone *zone = all ? NULL : find(rig, words[0]);
    if (!all) return zone ? apply(rig, zone, words + 1, now_ns) : -ENOENT;
    int rc = 0;
    for (int i = 0; i < rig->zone_count && !rc; i++) rc = apply(rig, &rig->zones[i], words + 1, now_ns);
    return rc;
}

static const char *fault_name(const struct rig_zone *zone)
{
    if (zone->text) return zone->text == RIG_EMPTY ? "empty" : "garbage";
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i].number == zone->fault) return faults[i].name;
    return "?";
}

void rig_zone_state(const struct rig *rig, FILE *out)
{
    for (int i = 0; i < rig->zone_count; i++) {
        const struct rig_zone *zone = &rig->zones[i];
        /* base_fj as microjoules and the rest below one: printf knows no 128 bits. */
        fprintf(out, "%s name=%s power_uw=%" PRIu64 " range_uj=%" PRIu64 " wrap_uj=%" PRIu64, zone->dir,
                zone->name, zone->power_uw, zone->range_uj, zone->wrap_uj);
        fprintf(out, " tick_ns=%" PRIu64 " epoch_ns=%" PRIu64 " since_ns=%" PRIu64, zone->tick_ns,
                rig->epoch_ns, zone->since_ns);
        fprintf(out, " base_uj=%" PRIu64 " base_rest_fj=%" PRIu64, (uint64_t)(zone->base_fj / 1000000000u),
                (uint64_t)(zone->base_fj % 1000000000u));
        fprintf(out, " mirror=%s fault=%s fault_left=%ld", zone->mirror_dir[0] ? zone->mirror_dir : "-",
                fault_name(zone), zone->fault_left);
        fprintf(out, " delay_us=%u gone=%d frozen=%d reads=%" PRIu64 "\n", zone->delay_us, zone->gone,
                zone->frozen, zone->reads);
    }
}
