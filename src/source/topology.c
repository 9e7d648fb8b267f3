#include "topology.h"
#include <hwloc.h>

int me_topology_count(int *sockets, int *cores, int *threads)
{
    hwloc_topology_t topology;
    if (hwloc_topology_init(&topology)) return -1;
    /* Only what is counted, so that a start costs milliseconds; and all of the machine, not only the
     * part that our cpuset allows. */
    hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_flags(topology, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
    int rc = hwloc_topology_load(topology);
    if (!rc) {
        *sockets = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE);
        *cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
        *threads = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
    }
    hwloc_topology_destroy(topology);
    return rc;
}
