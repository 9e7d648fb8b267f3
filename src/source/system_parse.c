#include "system.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR_BYTES = 512 }; /* of proc/diskstats, whatever the disk's own sectors are */

/* The next blank-separated unsigned number of a line; false at its end. */
static bool next_number(const char **at, uint64_t *number)
{
    *at += strspn(*at, " \t");
    if (**at < '0' || **at > '9') return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(*at, &end, 10);
    if (errno) return false;
    *at = end;
    *number = value;
    return true;
}

int me_system_parse_field(const char *text, const char *name, uint64_t *value)
{
    size_t len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, name, len) || !strchr(" \t", line[len]) || !line[len]) continue;
        const char *at = line + len;
        return next_number(&at, value) ? 0 : EINVAL;
    }
    return ENODATA;
}

int me_system_parse_stat(const char *text, struct me_system_stat *stat)
{
    enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, COLUMNS };
    uint64_t ticks[COLUMNS] = {0};
    const char *at = text + 4;
    if (strncmp(text, "cpu ", 4)) return EINVAL;
    for (int i = 0; i < COLUMNS; i++)
        if (!next_number(&at, &ticks[i]) && i != STEAL) return EINVAL; /* guests' time is in user already */
    *stat = (struct me_system_stat){.busy_ticks = ticks[USER] + ticks[NICE] + ticks[SYSTEM] + ticks[IRQ] +
                                                  ticks[SOFTIRQ],
                                    .steal_ticks = ticks[STEAL]};
    return 0;
}

int me_system_parse_process(const char *text, struct me_system_process_stat *stat)
{
    uint64_t faults[4], ticks[4], start;
    const char *at = strrchr(text, ')'); /* the name between the brackets may hold anything */
    if (!at || sscanf(at + 1,
                      " %*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                      " %" SCNu64 " %" SCNu64 " %" SCNu64 " %*d %*d %*d %*d %" SCNu64,
                      &faults[0], &faults[1], &faults[2], &faults[3], &ticks[0], &ticks[1], &ticks[2],
                      &ticks[3], &start) != 9)
        return EINVAL;
    *stat = (struct me_system_process_stat){.start = start};
    for (int i = 0; i < 4; i++) {
        stat->faults += faults[i];
        stat->ticks += ticks[i];
    }
    return 0;
}

static bool is_disk(char disks[][32], size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(disks[i], name)) return true;
    return false;
}

int me_system_parse_disks(const char *text, char disks[][32], size_t count, uint64_t *read_bytes,
                          uint64_t *written_bytes)
{
    uint64_t in = 0, out = 0;
    size_t seen = 0;
    for (const char *line = text; line && *line;) {
        char name[32];
        uint64_t sectors_in, sectors_out;
        const char *next = strchr(line, '\n');
        if (sscanf(line, "%*u %*u %31s %*u %*u %" SCNu64 " %*u %*u %*u %" SCNu64, name, &sectors_in,
                   &sectors_out) == 3 &&
            is_disk(disks, count, name)) {
            in += sectors_in;
            out += sectors_out;
            seen++;
        }
        line = next ? next + 1 : NULL;
    }
    if (seen != count) return ENODEV;
    *read_bytes = in * SECTOR_BYTES;
    *written_bytes = out * SECTOR_BYTES;
    return 0;
}

int me_system_parse_mhz(const char *text, double *hz)
{
    double sum = 0;
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, "cpu MHz")); at++) {
        const char *colon = at + 7 + strspn(at + 7, " \t");
        if (*colon != ':') continue;
        double mhz = strtod(colon + 1, NULL); /* the locale is C: no program of ours sets another */
        if (!(mhz > 0 && mhz < 1e5)) return ERANGE;
        sum += mhz;
        n++;
    }
    if (!n) return ENODATA;
    *hz = sum / n * 1e6;
    return 0;
}

int me_system_parse_celsius(const char *text, double *celsius)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (end == text || (*end && *end != '\n')) return EINVAL;
    if (value <= -100000 || value >= 200000) return ERANGE;
    *celsius = (double)value / 1000;
    return 0;
}
