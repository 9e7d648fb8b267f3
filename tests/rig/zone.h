/* The zones of the rig: what they are, what they hold at a given moment, what can go wrong with them.
 * No file system here and no clock: the moment is a parameter, in nanoseconds of CLOCK_MONOTONIC.
 *
 * Energy of a zone at moment t, exactly:
 *     q(t) = epoch + floor((t - epoch) / tick) * tick
 *     E(t) = base + power * (q(t) - since)            in femtojoules (microwatt x nanosecond)
 *     energy_uj = floor(E(t) / 10^9) modulo wrap
 * A change of power takes effect at q(now), so `since` lies on a tick and nothing already read changes.
 * energy_uj lies in [0, wrap). wrap is max_energy_range_uj unless it is set apart: the number after
 * which the counter starts again, as rule 1 of the joule takes it. (Linux publishes 2^32 - 1 units and
 * wraps after 2^32; `wrap=` plays that difference too.) */
#ifndef RIG_ZONE_H
#define RIG_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum { RIG_ZONES = 256, RIG_CONTROLS = 64, RIG_NAME = 64, RIG_TEXT = 64 };

__extension__ typedef unsigned __int128 rig_fj;

enum rig_text { RIG_NUMBER, RIG_GARBAGE, RIG_EMPTY };

struct rig_zone {
    char dir[RIG_NAME];  /* "intel-rapl:0:0" */
    char name[RIG_NAME]; /* "core" */
    int parent;          /* index of the zone it lies in, or -1 */
    int control;         /* index of its control type ("intel-rapl"), or -1: a flat name */
    int mirror;          /* index of the zone whose energy it repeats, or -1 */
    char mirror_dir[RIG_NAME];
    uint64_t power_uw, range_uj, wrap_uj, tick_ns;
    int64_t max_power_uw; /* -1: no such file */
    rig_fj base_fj;       /* energy at since_ns, never wrapped */
    uint64_t since_ns;    /* moment of the last change of power */
    mode_t mode;          /* of energy_uj */
    uid_t uid;
    gid_t gid;
    bool enabled, gone, frozen;
    uint64_t frozen_uj;
    int fault; /* errno of the next reads, or 0 */
    enum rig_text text;
    long fault_left; /* reads that still fail; -1: until told otherwise */
    unsigned delay_us;
    uint64_t reads; /* answered or failed, for tests of the sampling rate */
};

struct rig {
    uint64_t epoch_ns;
    struct rig_zone zones[RIG_ZONES];
    int zone_count;
    char controls[RIG_CONTROLS][RIG_NAME];
    int control_count;
};

/* Adds a zone from "intel-rapl:0,name=package-0,power=50,...". Returns NULL, or what is wrong. */
const char *rig_zone_add(struct rig *rig, const char *spec);
/* To be called once after the last zone: finds parents, control types and mirrors; starts the counters. */
const char *rig_zone_link(struct rig *rig, uint64_t now_ns);
/* The zone is not there, itself or with one that it lies in. */
bool rig_zone_gone(const struct rig *rig, const struct rig_zone *zone);
/* The counter at this moment, without faults. */
uint64_t rig_zone_energy(const struct rig *rig, const struct rig_zone *zone, uint64_t now_ns);
/* One read of energy_uj: the length of the text, or -errno. */
int rig_zone_read(struct rig *rig, struct rig_zone *zone, uint64_t now_ns, char text[RIG_TEXT]);
/* One line for the control file: "ZONE power 80". 0 or -errno; nothing is changed on failure. */
int rig_zone_command(struct rig *rig, const char *line, uint64_t now_ns);
/* The state of all zones, a line each, key=value: all that is needed to compute E(t) above. */
void rig_zone_state(const struct rig *rig, FILE *out);

#endif
