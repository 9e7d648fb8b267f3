#include "tree.h"
#include <inttypes.h>
#include <string.h>

static const char *const attr_names[ZONE_ATTRS] = {
    "",
    "energy_uj",
    "max_energy_range_uj",
    "name",
    "enabled",
    "constraint_0_max_power_uw",
    "constraint_0_power_limit_uw",
    "constraint_0_name",
    "uevent",
};

static uint64_t zone_ino(const struct rig *rig, const struct rig_zone *zone, unsigned attr)
{
    return INO_ZONES + (uint64_t)(zone - rig->zones) * 64 + attr;
}

static uint64_t type_ino(int type, unsigned attr)
{
    return INO_TYPES + (uint64_t)type * 4 + attr;
}

static bool has_attr(const struct rig_zone *zone, unsigned attr)
{
    bool constraint = attr == ZONE_MAX_POWER || attr == ZONE_LIMIT || attr == ZONE_CONSTRAINT;
    return attr < ZONE_ATTRS && !(constraint && zone->max_power_uw < 0);
}

mode_t rig_powercap_mode(const struct rig_node *node)
{
    if (node->ino == INO_DEVICES) return S_IFDIR | 0755;
    if (node->attr == (node->zone ? (unsigned)ZONE_LINK : (unsigned)TYPE_LINK)) return S_IFLNK | 0777;
    if (node->attr == 0) return S_IFDIR | 0755;
    if (node->type >= 0 && node->attr == TYPE_SUBSYSTEM) return S_IFLNK | 0777;
    if (node->type >= 0) return S_IFREG | 0644;
    if (node->attr == ZONE_ENERGY) return S_IFREG | node->zone->trouble.mode;
    return S_IFREG | (node->attr == ZONE_ENABLED || node->attr == ZONE_LIMIT ? 0644 : 0444);
}

static uint64_t find_zone(struct rig *rig, int parent, int type, const char *name)
{
    for (int i = 0; i < rig->zone_count; i++) {
        struct rig_zone *zone = &rig->zones[i];
        if (zone->parent != parent || zone->control != type || strcmp(zone->dir, name)) continue;
        return rig_zone_gone(rig, zone) ? 0 : zone_ino(rig, zone, ZONE_DIR);
    }
    return 0;
}

uint64_t rig_powercap_find_link(struct rig *rig, const char *name)
{
    if (!strcmp(name, ".devices")) return INO_DEVICES;
    for (int k = 0; k < rig->control_count; k++)
        if (!strcmp(rig->controls[k], name)) return type_ino(k, TYPE_LINK);
    for (int i = 0; i < rig->zone_count; i++) {
        if (strcmp(rig->zones[i].dir, name)) continue;
        return rig_zone_gone(rig, &rig->zones[i]) ? 0 : zone_ino(rig, &rig->zones[i], ZONE_LINK);
    }
    return 0;
}

uint64_t rig_powercap_find(struct rig *rig, const struct rig_node *node, const char *name)
{
    if (node->ino == INO_DEVICES) {
        for (int k = 0; k < rig->control_count; k++)
            if (!strcmp(rig->controls[k], name)) return type_ino(k, TYPE_DIR);
        return find_zone(rig, -1, -1, name);
    }
    if (node->type >= 0) {
        if (!strcmp(name, "enabled")) return type_ino(node->type, TYPE_ENABLED);
        if (!strcmp(name, "subsystem")) return type_ino(node->type, TYPE_SUBSYSTEM);
        return find_zone(rig, -1, node->type, name);
    }
    if (!node->zone || rig_zone_gone(rig, node->zone)) return 0;
    for (unsigned attr = ZONE_ENERGY; attr < ZONE_ATTRS; attr++)
        if (has_attr(node->zone, attr) && !strcmp(attr_names[attr], name))
            return zone_ino(rig, node->zone, attr);
    return find_zone(rig, (int)(node->zone - rig->zones), -1, name);
}

static void zone_path(const struct rig *rig, const struct rig_zone *zone, char *path, size_t size)
{
    if (zone->parent >= 0)
        zone_path(rig, &rig->zones[zone->parent], path, size);
    else
        snprintf(path, size, ".devices%s%s", zone->control >= 0 ? "/" : "",
                 zone->control >= 0 ? rig->controls[zone->control] : "");
    size_t len = strlen(path);
    snprintf(path + len, size - len, "/%s", zone->dir);
}

void rig_powercap_target(const struct rig *rig, const struct rig_node *node, char *path, size_t size)
{
    if (node->zone)
        zone_path(rig, node->zone, path, size);
    else if (node->attr == TYPE_SUBSYSTEM)
        snprintf(path, size, "../..");
    else
        snprintf(path, size, ".devices/%s", rig->controls[node->type]);
}

static void list_zones(struct rig *rig, int parent, int type, rig_tree_add *add, void *to)
{
    for (int i = 0; i < rig->zone_count; i++) {
        struct rig_zone *zone = &rig->zones[i];
        if (zone->parent == parent && zone->control == type && !rig_zone_gone(rig, zone))
            add(to, zone->dir, zone_ino(rig, zone, ZONE_DIR));
    }
}

void rig_powercap_list_links(struct rig *rig, rig_tree_add *add, void *to)
{
    for (int k = 0; k < rig->control_count; k++) add(to, rig->controls[k], type_ino(k, TYPE_LINK));
    for (int i = 0; i < rig->zone_count; i++)
        if (!rig_zone_gone(rig, &rig->zones[i]))
            add(to, rig->zones[i].dir, zone_ino(rig, &rig->zones[i], ZONE_LINK));
}

void rig_powercap_list(struct rig *rig, const struct rig_node *node, rig_tree_add *add, void *to)
{
    if (node->ino == INO_DEVICES) {
        for (int k = 0; k < rig->control_count; k++) add(to, rig->controls[k], type_ino(k, TYPE_DIR));
        list_zones(rig, -1, -1, add, to);
    } else if (node->type >= 0) {
        add(to, "enabled", type_ino(node->type, TYPE_ENABLED));
        add(to, "subsystem", type_ino(node->type, TYPE_SUBSYSTEM));
        list_zones(rig, -1, node->type, add, to);
    } else if (node->zone && !rig_zone_gone(rig, node->zone)) {
        for (unsigned attr = ZONE_ENERGY; attr < ZONE_ATTRS; attr++)
            if (has_attr(node->zone, attr)) add(to, attr_names[attr], zone_ino(rig, node->zone, attr));
        list_zones(rig, (int)(node->zone - rig->zones), -1, add, to);
    }
}

int rig_powercap_text(const struct rig_zone *zone, unsigned attr, char text[RIG_NUMBER_TEXT])
{
    switch (attr) {
    case ZONE_RANGE:
        return snprintf(text, RIG_NUMBER_TEXT, "%" PRIu64 "\n", zone->range_uj);
    case ZONE_NAME:
        return snprintf(text, RIG_NUMBER_TEXT, "%.60s\n", zone->name);
    case ZONE_ENABLED:
        return snprintf(text, RIG_NUMBER_TEXT, "%d\n", zone->enabled);
    case ZONE_MAX_POWER:
    case ZONE_LIMIT:
        return snprintf(text, RIG_NUMBER_TEXT, "%" PRId64 "\n", zone->max_power_uw);
    case ZONE_CONSTRAINT:
        return snprintf(text, RIG_NUMBER_TEXT, "long_term\n");
    default:
        return 0; /* uevent is empty */
    }
}
