/* The running machine's sockets, cores and threads, by hwloc. A recorded machine has no such thing:
 * there proc/cpuinfo is all (cpu.h). */
#ifndef ME_SOURCE_TOPOLOGY_H
#define ME_SOURCE_TOPOLOGY_H

/* Of the whole machine, online. -1 if hwloc cannot tell; outputs are then untouched. */
int me_topology_count(int *sockets, int *cores, int *threads);

#endif
