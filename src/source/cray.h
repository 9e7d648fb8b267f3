/* The source `cray`: the power management counters of HPE Cray EX and XC nodes, sys/cray/pm_counters.
 *
 * One value a file: "1360621494 J 1734094386309238 us", the number, its unit and the moment of its scan.
 * Energies are whole joules since the node's controller started; they never wrap. `energy` covers the
 * node with all that follows: `cpu_energy` all sockets, `memory_energy`, `accelN_energy`. The controller
 * writes all files anew raw_scan_hz times a second and counts the scans in `freshness`; files of one
 * scan are those between two equal readings of it. (Names and meaning: HPE's administration guide, "User
 * access to compute node power data".) A recorded node is tests/machines/cray-ex-4gpu. */
#ifndef ME_SOURCE_CRAY_H
#define ME_SOURCE_CRAY_H

#include "me/source.h"

extern const struct me_source_ops me_cray_ops;

/* Reads "NUMBER UNIT" or "NUMBER UNIT NUMBER us", with or without a newline, in millionths: whole joules
 * as microjoules. 0; EPROTO (another form or another unit) or ERANGE. *micro is written for 0 only. */
int me_cray_parse(const char *text, const char *unit, uint64_t *micro);

#endif
