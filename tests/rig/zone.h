/* The zones of the rig: a set of files in the shape of powercap around one counter.
 * No file system here and no clock: the moment is a parameter (energy.h).
 *
 * energy_uj = floor(E(t) / 10^9) modulo wrap lies in [0, wrap). wrap is max_energy_range_uj unless it is
 * set apart: the number after which the counter starts again, as rule 1 of the joule takes it. (Linux
 * publishes 2^32 - 1 units and wraps after 2^32; `wrap=` plays that difference too.) */
#ifndef RIG_ZONE_H
#define RIG_ZONE_H

#include "energy.h"
#include "trouble.h"

enum { RIG_NAME = 64, RIG_NUMBER_TEXT = 64 };

struct rig_zone {
    char dir[RIG_NAME];  /* "intel-rapl:0:0" */
    char name[RIG_NAME]; /* "core" */
    int parent;          /* index of the zone it lies in, or -1 */
    int control;         /* index of its control type ("intel-rapl"), or -1: a flat name */
    int mirror;          /* index of the zone whose energy it repeats, or -1 */
    char mirror_dir[RIG_NAME];
    struct rig_counter counter;
    uint64_t range_uj, wrap_uj;
    int64_t max_power_uw; /* -1: no such file */
    bool enabled;
    uint64_t frozen_uj;
    struct rig_trouble trouble; /* of energy_uj; `gone` of the whole zone */
};

struct rig;
/* Adds a zone from "intel-rapl:0,name=package-0,power=50,...". Returns NULL, or what is wrong. */
const char *rig_zone_add(struct rig *rig, const char *spec);
/* To be called once after the last zone: finds parents, control types and mirrors; starts the counters. */
const char *rig_zone_link(struct rig *rig, uint64_t now_ns);
/* The zone is not there, itself or with one that it lies in. */
bool rig_zone_gone(const struct rig *rig, const struct rig_zone *zone);
/* The counter at this moment, without faults. */
uint64_t rig_zone_energy(const struct rig *rig, const struct rig_zone *zone, uint64_t now_ns);
/* One read of energy_uj: the length of the text, or -errno. */
int rig_zone_read(struct rig *rig, struct rig_zone *zone, uint64_t now_ns, char text[RIG_NUMBER_TEXT]);
/* {"power", "80", NULL}. 0 or -EINVAL; nothing is changed on failure. */
int rig_zone_command(const struct rig *rig, struct rig_zone *zone, char *const words[3], uint64_t now_ns);
/* A line, key=value: all that is needed to compute E(t). */
void rig_zone_state(const struct rig_zone *zone, FILE *out);

#endif
