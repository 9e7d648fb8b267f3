/* The files of the rig that are no zone: constant texts and links, counters and gauges with a format of
 * their own, registers of a processor. No file system here and no clock: the moment is a parameter.
 *
 * A counter shows floor(E(t) / unit) modulo wrap, or what is left of `offset` where it falls; a gauge the
 * power in its unit, rounded down (energy.h). A register is a file of its own here, and all those of one
 * path are one for the reader: 8 bytes at the offset that is the register's number. */
#ifndef RIG_FILE_H
#define RIG_FILE_H

#include "energy.h"
#include "parse.h"
#include "trouble.h"
#include <stddef.h>

enum { RIG_PATH = 256, RIG_LINE = 4096 };
enum rig_kind { RIG_TEXT, RIG_LINK, RIG_ENERGY, RIG_POWER, RIG_REGISTER };

struct rig_shown {
    rig_fj amount;           /* femtojoules or microwatts */
    uint64_t time_us, fresh; /* of CLOCK_REALTIME at the tick; ticks since the start */
};

struct rig_file {
    char path[RIG_PATH];
    int dir; /* index of its directory */
    enum rig_kind kind;
    bool counts;   /* has an energy or a power: all but texts, links and constant registers */
    uint32_t reg;  /* number of a register */
    uint64_t base; /* constant of a register; counters: offset, in counts */
    char *text;    /* constant text, target of a link, or format; owned */
    struct rig_unit unit;
    uint64_t wrap; /* in counts; 0: none */
    bool falls;
    struct rig_gauge gauge; /* a counter is its `truth`, with a tick */
    struct rig_shown frozen;
    struct rig_trouble trouble;
};

struct rig;
/* Adds a file, or the registers of one, from "PATH,key=value,...". Returns NULL, or what is wrong. */
const char *rig_file_add(struct rig *rig, const char *spec);
/* To be called once after the last file: finds the directories and units, starts the counters. */
const char *rig_file_link(struct rig *rig, uint64_t now_ns);
bool rig_file_gone(const struct rig *rig, const struct rig_file *file);
/* The first register of the same path is the one that the directory shows. */
bool rig_file_first(const struct rig *rig, const struct rig_file *file);
/* What the file has to say at this moment, without faults; the number in it, to so many decimals: an
 * integer of the last one. */
struct rig_shown rig_file_shown(const struct rig *rig, const struct rig_file *file, uint64_t now_ns);
uint64_t rig_file_value(const struct rig_file *file, const struct rig_shown *shown, unsigned decimals);
/* One read: *text is allocated; the length of the text, or -errno. Not for registers. */
int rig_file_read(const struct rig *rig, struct rig_file *file, uint64_t now_ns, char **text);
/* One read of a register of this path; its length (8; 0: `fault empty`), or -errno. */
int rig_file_read_register(struct rig *rig, const struct rig_file *file, uint64_t reg, uint64_t now_ns,
                           uint64_t *value);
/* {"power", "80", NULL}, or {"text", what follows it}. 0 or -errno; nothing is changed on failure. */
int rig_file_command(const struct rig *rig, struct rig_file *file, char *const words[3], uint64_t now_ns);
/* "sys/x/power1_input", or "dev/cpu/0/msr:0x611" for a register. */
void rig_file_name(const struct rig_file *file, char *name, size_t size);
void rig_file_state(const struct rig *rig, const struct rig_file *file, FILE *out);

#endif
