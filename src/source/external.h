/* The source `external`: the user's own meters, commands or files that print watts or joules: a switched
 * socket, a smart plug, Redfish, another machine's BMC, what a batch system knows.
 *
 * The specification: one meter a line (or between ';' outside of quotes),
 *
 *     UNIT[,KEY=VALUE]... COMMAND...      the command is run for each reading, by /bin/sh -c
 *     UNIT[,KEY=VALUE]... < PATH          the file is read anew for each reading
 *
 * UNIT says what the number is: W, kW, mW, uW are power, and become energy by integration; J, kJ, mJ,
 * uJ, Wh, kWh are a counter that only grows.
 *
 *     scope=SCOPE       what it measures: node (default), platform, package, dram or gpu
 *     name=NAME         of the channel; letters, digits, '.', '_' and '-'; default: the scope
 *     interval=SECONDS  0.1 to 3600, default 1: how often it is read
 *     range=JOULES      counters that start again at 0 after so many joules; default: they do not
 *     max=WATTS         what it can show at most, default 100000; more is a failed reading, and with a
 *                       range it tells how long a counter may go unread
 *
 * for instance `W,interval=2 /usr/local/bin/pdu-watts 7` and `J < /run/meter/joules`. A PATH begins with a
 * slash, and is looked up under the root.
 *
 * The answer: the first line is one decimal number with a point ("215", "0.25", "1.5e3"), and behind it
 * the same unit or nothing. Further lines are passed over. A reading has failed, and says so, if the
 * command ends with another status than 0, takes longer than twice its interval (but 2 s at least, 60 s at most), or prints
 * anything else; if a power of a node or platform is 0 (the machine is on); if a power is above max. A
 * counter is taken to the microjoule exactly.
 *
 * The command runs as the user who measures, in the folder that the program was started in, with its
 * environment but for the variables that hold passwords, with LC_ALL=C, and with /dev/null as its input
 * and standard error; it prints at most 4 KiB, and what it leaves running is killed. Meters are read one
 * after the other: one that hangs delays the others until its deadline. Several meters of one scope are
 * added (two power supplies at two sockets); give a part its own scope. */
#ifndef ME_SOURCE_EXTERNAL_H
#define ME_SOURCE_EXTERNAL_H

#include "me/source.h"

extern const struct me_source_ops me_external_ops;

struct me_external_unit {
    const char *name;
    bool power;     /* else energy */
    uint64_t micro; /* what 1 is in uW or uJ */
};
struct me_external_spec {
    struct me_external_unit unit;
    enum me_scope scope;
    char name[40]; /* "" if the user gave none */
    double interval_s, max_w;
    uint64_t range_uj;
    bool is_path;
    const char *action; /* command or path; in the text that was parsed, ... */
    size_t action_len;  /* ... without an end of its own */
};

/* Parses the meter at *text and moves *text behind it; 1 if there was one, 0 at the end, -1 for a bad one
 * (ME_E_INPUT). `number` of the meter, from 1, is for the message. */
int me_external_next(const char **text, unsigned number, struct me_external_spec *spec, struct me_error *err);
/* Takes the answer of a meter, in uW or uJ. 0; EPROTO (not one number, or another unit), ERANGE (too
 * large), ENODATA (a node of 0 W). */
int me_external_answer(const struct me_external_spec *spec, const char *answer, uint64_t *micro);

#endif
