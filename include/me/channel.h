/* A channel: one value of a source; and a reading of it. */
#ifndef ME_CHANNEL_H
#define ME_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "me/root.h"

enum me_scope {
    ME_SCOPE_CORE,
    ME_SCOPE_PACKAGE,
    ME_SCOPE_DRAM,
    ME_SCOPE_GPU,
    ME_SCOPE_PLATFORM,
    ME_SCOPE_NODE,
    ME_SCOPE_COUNT
};
enum me_kind { ME_KIND_COUNTER, ME_KIND_GAUGE };
/* How a joule was had. A total's class is the weakest of its parts (the largest value). */
enum me_class { ME_CLASS_COUNTER, ME_CLASS_INTEGRATED, ME_CLASS_MODELLED };
const char *me_scope_name(enum me_scope scope); /* "core", ..., "node" */
const char *me_kind_name(enum me_kind kind);    /* "counter", "gauge" */
const char *me_class_name(enum me_class cls);   /* "counter", "integrated", "modelled" */

struct me_channel {
    char name[48];   /* unique on the machine: "package-0", "package-0/core", "psys" */
    char source[16]; /* "powercap" */
    enum me_scope scope;
    enum me_kind kind;
    enum me_class cls;
    enum me_provenance provenance;
    char unit[8];       /* energy: "uJ" for counters, "W" for gauges; activity: "1", "ns", "B", "Hz", "C" */
    bool activity;      /* what the machine did and not what it used: instructions, CPU use. It has no
                             * energy, is never counted, and its scope and class mean nothing */
    int package;        /* the package it belongs to, or -1 */
    char device[24];    /* PCI address of a GPU, "0000:c3:00.0", which tells that two sources show the
                             * same one; "" where not known, and for all else */
    double interval_s;  /* 0: read in every sample and at every edge. Else it is read by a thread of its
                             * own about so often, and what it was at an edge is interpolated */
    uint64_t range;     /* counters: the value after which it starts again at 0; the number of
                             * distinct values, so energy = last - first + wraps x range. 0: none */
    double max_power_w; /* upper bound of its power; bounds the safe read interval (rule 8) */
    bool counted;       /* enters the machine's total */
    char why_not[96];   /* "" if counted */
    char basis[384];    /* modelled: where the number comes from, for people; else "" */
};

/* The longest interval_s of a channel. */
#define ME_INTERVAL_MAX_S 3600.0

enum me_reading_state { ME_READING_ABSENT = 0, ME_READING_OK = 1, ME_READING_FAILED = 2 };

/* A failed reading is not a number: look at `state` before the value. */
struct me_reading {
    uint8_t state; /* enum me_reading_state */
    int16_t error; /* errno when failed */
    union {
        uint64_t count; /* counters, in the channel's unit */
        double level;   /* gauges */
    };
};

/* Marks which channels enter the machine's total so that nothing counts twice, and writes why_not
 * for the rest: the node's meter if there is one, else the platform's, else packages + dram + gpu.
 * Channels whose why_not is already set (a mirror, a stalled counter) stay out. A modelled channel
 * counts only where no counter or gauge covers its scope. Channels of one source are told apart by
 * that source (two power supplies are two meters); of two sources that show the same package, dram,
 * GPU, platform or node the better class wins, then the one that stands first. GPUs are the same by
 * `device`; where one of the two has none, they are taken for the same, so that nothing counts twice. */
void me_channels_count(struct me_channel *channels, size_t n);
/* Does the reason speak of energy that nothing else has (unreadable, dead, stalled)? Not: a mirror, a part
 * of what another channel shows, or what the workload cannot use. "" is no reason. */
bool me_channel_is_missing(const char *why_not);
/* The channel that counts in place of this one, which shows the same thing; NULL if there is none. */
const struct me_channel *me_channel_twin(const struct me_channel *channels, size_t n,
                                         const struct me_channel *channel);
/* The scopes that the counted channels cover, in order, "package+dram"; "" if none. */
void me_channels_scopes(const struct me_channel *channels, size_t n, char *text, size_t size);
/* The longest time between two reads of the channel that cannot hide a wrap: range / max_power.
 * Seconds; INFINITY for gauges and counters without a range. */
double me_channel_safe_interval_s(const struct me_channel *channel);

#endif
