#include "cpu.h"
#include "perf.h"
#include "rights.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SYS_ADMIN = 21, PERFMON = 38 }; /* linux/capability.h; PERFMON since Linux 5.8 */

#define SYSCTL "sudo sysctl kernel.perf_event_paranoid=0"
/* Debian 12's Docker (20.10) is one that does not know it. */
#define OPEN_CONTAINER                                                                                       \
    "docker run --cap-add PERFMON --security-opt seccomp=unconfined --user root ... (the rest as before; "   \
    "--cap-add SYS_ADMIN where the engine does not know PERFMON)"

/* The driver's module has been called so since it learnt AMD. */
static const char *module_name(const struct me_root *root)
{
    char text[64];
    unsigned major = 6, minor = 0;
    if (me_root_read(root, "proc/sys/kernel/osrelease", text, sizeof text) > 0)
        sscanf(text, "%u.%u", &major, &minor);
    return major < 5 || (major == 5 && minor < 8) ? "intel_rapl_perf" : "rapl";
}

void me_perf_explain_absent(struct me_source *source, const struct me_root *root)
{
    struct me_cpu cpu;
    struct me_rapl_cpu rapl;
    const char *why = "no energy events among the kernel's (sys/bus/event_source/devices/power)";
    me_cpu_read(root, &cpu);
    me_rapl_cpu_read(root, &rapl);
    if (cpu.is_virtual) {
        snprintf(source->reason, sizeof source->reason,
                 "%s: a virtual machine is not shown the processor's counters", why);
    } else if (!me_root_exists(root, "sys/bus/event_source") && me_rights_is_container(root)) {
        snprintf(source->reason, sizeof source->reason,
                 "sys/bus/event_source is not there: a container hides it");
        snprintf(source->cure, sizeof source->cure,
                 "docker run -v /sys:/host/sys:ro -v /proc:/host/proc:ro ... me probe --root /host");
    } else if (me_rapl_unit_address(&rapl)) {
        snprintf(source->reason, sizeof source->reason,
                 "%s: their module is not loaded, or this kernel does not know the processor", why);
        snprintf(source->cure, sizeof source->cure, "sudo modprobe %s", module_name(root));
    } else {
        snprintf(source->reason, sizeof source->reason, "%s", why);
    }
}

static void explain_paranoid(struct me_source *source, const char *level)
{
    bool helps = me_rights_setcap("cap_perfmon", source->cure, sizeof source->cure);
    snprintf(source->reason, sizeof source->reason,
             "perf_event_paranoid is %s: this user may not count on the whole machine; the cure is for %s%s",
             level,
             helps ? "this program; for all users until the next boot: " : "all users until the next boot",
             helps ? SYSCTL : "");
    if (!helps) snprintf(source->cure, sizeof source->cure, "%s", SYSCTL);
}

/* perf_event_open(2): EACCES and EPERM where a right is missing; a filter answers what it likes. */
void me_perf_explain_denied(struct me_source *source, const struct me_root *root, int error)
{
    char level[16] = "not known", text[64];
    struct me_rights rights;
    me_root_read(root, "proc/sys/kernel/perf_event_paranoid", level, sizeof level);
    me_rights_read(&rights);
    bool is_refused = error == EACCES || error == EPERM, is_container = me_rights_is_container(root);
    bool has_right = me_rights_has(&rights, PERFMON) || me_rights_has(&rights, SYS_ADMIN);
    bool is_open = level[0] == '-' || level[0] == '0';
    if ((is_refused || error == ENOSYS) && (rights.is_filtered || (is_refused && is_container))) {
        snprintf(source->reason, sizeof source->reason,
                 "perf_event_open: %s; perf_event_paranoid is %s, and %s stands in between",
                 strerror_r(error, text, sizeof text), level,
                 is_container ? "a container" : "a filter of system calls (seccomp)");
        if (is_container) snprintf(source->cure, sizeof source->cure, OPEN_CONTAINER);
    } else if (error == ENOSYS) {
        snprintf(source->reason, sizeof source->reason, "this kernel was built without perf_event_open");
    } else if (is_refused && !has_right && !is_open) {
        explain_paranoid(source, level);
    } else if (is_refused) {
        snprintf(
            source->reason, sizeof source->reason,
            "perf_event_open: %s, although perf_event_paranoid is %s and this process %s: a user namespace, "
            "SELinux or a locked-down kernel forbids it",
            strerror_r(error, text, sizeof text), level, has_right ? "has the right" : "needs none");
    } else {
        snprintf(source->reason, sizeof source->reason,
                 "sysfs lists energy events, but none can be opened: %s",
                 strerror_r(error, text, sizeof text));
    }
}
