#include "me/facts.h"
#include "cpu.h"
#include "system.h"
#include "topology.h"
#include "me/clock.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void read_names(const struct me_root *root, struct me_facts *facts)
{
    char system[32] = "", release[64] = "", host[HOST_NAME_MAX + 2] = "";
    struct utsname name;
    if (me_root_is_live(root) &&
        !uname(&name)) { /* uname -n follows our UTS namespace, as the machine's own name does */
        snprintf(facts->host, sizeof facts->host, "%.63s", name.nodename);
        snprintf(facts->kernel, sizeof facts->kernel, "%.15s %.60s %.16s", name.sysname, name.release,
                 name.machine);
        return;
    }
    me_root_read(root, "proc/sys/kernel/hostname", host, sizeof host);
    me_root_read(root, "proc/sys/kernel/ostype", system, sizeof system);
    me_root_read(root, "proc/sys/kernel/osrelease", release, sizeof release);
    snprintf(facts->host, sizeof facts->host, "%.63s", host);
    if (release[0])
        snprintf(facts->kernel, sizeof facts->kernel, "%s %s", system[0] ? system : "Linux", release);
}

void me_machine_facts(const struct me_root *root, struct me_facts *facts)
{
    struct me_cpu cpu;
    memset(facts, 0, sizeof *facts);
    me_cpu_read(root, &cpu);
    snprintf(facts->cpu_model, sizeof facts->cpu_model, "%s", cpu.model);
    facts->sockets = cpu.sockets;
    facts->cores = cpu.cores;
    facts->threads = cpu.threads;
    if (me_root_is_live(root)) me_topology_count(&facts->sockets, &facts->cores, &facts->threads);
    read_names(root, facts);
    facts->memory_bytes = me_system_memory_bytes(root);
    me_root_boot_id(root, facts->boot_id);
    facts->unix_minus_mono_ns = me_clock_unix_ns() - me_clock_mono_ns();
}
