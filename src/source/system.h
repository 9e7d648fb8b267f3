/* The source `system`: what the machine did meanwhile, as the kernel accounts for it in proc and sys.
 * proc(5); Documentation/admin-guide/iostats.rst, Documentation/hwmon/sysfs-interface.rst of the kernel. */
#ifndef ME_SOURCE_SYSTEM_H
#define ME_SOURCE_SYSTEM_H

#include "me/source.h"
#include "system_workload.h"

extern const struct me_source_ops me_system_ops;

enum me_system_value {
    ME_SYSTEM_BUSY,
    ME_SYSTEM_STEAL,
    ME_SYSTEM_FREQUENCY,
    ME_SYSTEM_TEMPERATURE,
    ME_SYSTEM_MEMORY,
    ME_SYSTEM_SWITCHES,
    ME_SYSTEM_FAULTS,
    ME_SYSTEM_DISK_READ,
    ME_SYSTEM_DISK_WRITTEN,
    ME_SYSTEM_NET_RECEIVED,
    ME_SYSTEM_NET_SENT,
    ME_SYSTEM_WORKLOAD, /* and its other uses, in the order of enum me_system_use */
    ME_SYSTEM_VALUES = ME_SYSTEM_WORKLOAD + ME_SYSTEM_USES
};

/* --- texts of proc, pure; 0 or an errno --------------------------------------------------------- */

struct me_system_stat {
    uint64_t busy_ticks, steal_ticks;
};
/* proc/stat: the line of all processors. Busy are user, nice, system, irq and softirq (guests' time is in
 * user; stolen time was another machine's). */
int me_system_parse_stat(const char *text, struct me_system_stat *stat);
struct me_system_process_stat {
    uint64_t ticks, faults; /* with those of the children that it has waited for */
    uint64_t start;         /* in ticks since boot */
};
/* proc/PID/stat. */
int me_system_parse_process(const char *text, struct me_system_process_stat *stat);
/* The number behind a name at the beginning of a line: "MemTotal:", "pgfault". */
int me_system_parse_field(const char *text, const char *name, uint64_t *value);
/* proc/diskstats: bytes read and written by the disks named, all together. ENODEV if one is gone. */
int me_system_parse_disks(const char *text, char disks[][32], size_t count, uint64_t *read_bytes,
                          uint64_t *written_bytes);
/* proc/cpuinfo: the mean of its lines "cpu MHz". */
int me_system_parse_mhz(const char *text, double *hz);
/* A temperature in thousandths of a degree, as hwmon and thermal zones write it. ERANGE: no temperature
 * that a processor can have. */
int me_system_parse_celsius(const char *text, double *celsius);

/* MemTotal of proc/meminfo; 0 if it is not told. */
uint64_t me_system_memory_bytes(const struct me_root *root);

/* --- the open files ------------------------------------------------------------------------------ */

struct me_system_files { /* one kind of file, one a policy, sensor or interface */
    struct me_system_file {
        int fd;
        unsigned weight; /* processors of a policy */
    } * list;
    size_t count, capacity;
};
struct me_system_state {
    int stat, meminfo, vmstat, diskstats, cpuinfo; /* -1: not there, or not wanted */
    struct me_system_files frequencies, temperatures, received, sent;
    char (*disks)[32];
    size_t disk_count;
    struct me_system_workload *workload; /* NULL: nobody is followed */
    char *text;                          /* what is read comes here */
    size_t size;
    size_t channels[ME_SYSTEM_VALUES]; /* which channel a value is + 1; 0: none */
    size_t cpus;
    bool is_virtual;
};
/* Opens what is there. What is not stays closed. -1: no memory. */
int me_system_open(struct me_system_state *state, const struct me_root *root);
void me_system_close(struct me_system_state *state);
/* A descriptor that the value is read from, for its provenance. */
int me_system_fd(const struct me_system_state *state, enum me_system_value value);

#endif
