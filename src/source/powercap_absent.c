#include "cpu.h"
#include "powercap.h"
#include "rights.h"
#include <stdio.h>
#include <string.h>

static bool is_x86(const struct me_cpu *cpu)
{
    return strstr(cpu->model, "Intel") || strstr(cpu->model, "AMD");
}

void me_powercap_explain_absent(struct me_source *source, const struct me_root *root, size_t links)
{
    struct me_cpu cpu;
    me_cpu_read(root, &cpu);
    if (links || (me_rights_is_container(root) && !cpu.is_virtual)) {
        snprintf(source->reason, sizeof source->reason, "sys/class/powercap %s: a container hides it",
                 links ? "has zones that lead nowhere" : "shows no zones");
        snprintf(source->cure, sizeof source->cure,
                 "docker run -v /sys:/host/sys:ro -v /proc:/host/proc:ro ... me probe --root /host");
    } else if (cpu.is_virtual) {
        snprintf(source->reason, sizeof source->reason,
                 "no zones in sys/class/powercap: a virtual machine is not shown the processor's counters");
    } else if (is_x86(&cpu)) {
        snprintf(source->reason, sizeof source->reason,
                 "no zones in sys/class/powercap: the kernel's module for them is not loaded");
        snprintf(source->cure, sizeof source->cure, "sudo modprobe intel_rapl_msr");
    } else {
        snprintf(source->reason, sizeof source->reason,
                 "no zones in sys/class/powercap: this processor has no such counters");
    }
}

void me_powercap_explain_denied(struct me_source *source, size_t zones)
{
    char group[48];
    me_rights_group(group, sizeof group);
    snprintf(
        source->reason, sizeof source->reason,
        "%zu zone%s, but energy_uj is for root only; until the next boot the cure opens it to the group "
        "%s, for good a udev rule does (scripts/rights/grant), as does the capability CAP_DAC_READ_SEARCH",
        zones, zones == 1 ? "" : "s", group);
    snprintf(source->cure, sizeof source->cure,
             "sudo sh -c 'cd /sys/class/powercap && chgrp %s */energy_uj && chmod g+r */energy_uj'", group);
}
