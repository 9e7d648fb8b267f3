#include "cpu.h"
#include "msr.h"
#include "rights.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SYS_RAWIO = 17 }; /* linux/capability.h */

static void explain_no_file(struct me_source *source, const struct me_root *root)
{
    if (me_rights_is_container(root)) {
        snprintf(source->reason, sizeof source->reason,
                 "no dev/cpu/*/msr: a container hides it, or the kernel's module for it is not loaded");
        snprintf(source->cure, sizeof source->cure,
                 "sudo modprobe msr && docker run --privileged --user root ... (the rest as before)");
        return;
    }
    snprintf(source->reason, sizeof source->reason,
             "no dev/cpu/*/msr: the kernel's module for it is not loaded");
    snprintf(source->cure, sizeof source->cure, "sudo modprobe msr");
}

/* The kernel asks for the right to the file and for CAP_SYS_RAWIO (arch/x86/kernel/msr.c: msr_open). */
static void explain_refused(struct me_source *source, const struct me_root *root, const char *path, int error)
{
    char setcap[192], text[64], group[48];
    struct me_rights rights;
    me_rights_read(&rights);
    snprintf(source->reason, sizeof source->reason,
             "%s: %s; it takes the right to the file and CAP_SYS_RAWIO, and both let a program read far more "
             "than energy",
             path, strerror_r(error, text, sizeof text));
    if (me_rights_is_container(root)) {
        snprintf(source->cure, sizeof source->cure,
                 "docker run --privileged --user root ... (the rest as before)");
        return;
    }
    if (me_rights_has(&rights, SYS_RAWIO)) {
        snprintf(source->reason, sizeof source->reason,
                 "%s: %s, although this process has CAP_SYS_RAWIO: %s forbids it", path,
                 strerror_r(error, text, sizeof text),
                 error == EACCES ? "the file's mode"
                                 : "a container's rule for devices, or a locked-down kernel,");
        return;
    }
    if (!me_rights_setcap("cap_sys_rawio", setcap, sizeof setcap)) return; /* root alone, then */
    me_rights_group(group, sizeof group);
    const char *command = setcap + strlen("sudo ");
    int need = error == EPERM ? snprintf(source->cure, sizeof source->cure, "%s", setcap)
                              : snprintf(source->cure, sizeof source->cure,
                                         "sudo sh -c 'chgrp %s /dev/cpu/*/msr; chmod g+r /dev/cpu/*/msr; %s'",
                                         group, command);
    if (need < 0 || (size_t)need >= sizeof source->cure) source->cure[0] = '\0'; /* half a command is none */
}

void me_msr_explain(struct me_source *source, const struct me_root *root, enum me_msr_lack lack,
                    const char *path, int error)
{
    struct me_cpu cpu;
    char text[64];
    const char *why = error ? strerror_r(error, text, sizeof text) : "it is 0";
    me_cpu_read(root, &cpu);
    source->cure[0] = '\0';
    if (lack == ME_MSR_NO_PROCESSOR)
        snprintf(source->reason, sizeof source->reason, "no processor of Intel or AMD with energy registers");
    else if (lack == ME_MSR_FOREIGN)
        snprintf(source->reason, sizeof source->reason,
                 "%s is a device of the running machine, and --root is not its root", path);
    else if (lack == ME_MSR_NO_FILE && cpu.is_virtual)
        snprintf(source->reason, sizeof source->reason,
                 "no dev/cpu/*/msr, and a virtual machine is not shown the processor's counters");
    else if (lack == ME_MSR_NO_FILE)
        explain_no_file(source, root);
    else if (lack == ME_MSR_NOT_OPEN && (error == EACCES || error == EPERM))
        explain_refused(source, root, path, error);
    else if (lack == ME_MSR_NOT_OPEN)
        snprintf(source->reason, sizeof source->reason, "%s: %s", path, why);
    else
        snprintf(source->reason, sizeof source->reason, "%s: %s%s%s", path,
                 lack == ME_MSR_NO_UNIT ? "the register of the energy unit: "
                                        : "the energy registers cannot be read or stand at 0",
                 lack == ME_MSR_NO_UNIT ? why : "",
                 cpu.is_virtual ? "; a virtual machine is not shown the processor's counters" : "");
}
