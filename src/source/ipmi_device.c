#include "cpu.h"
#include "ipmi.h"
#include "rights.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const char *me_ipmi_device(const struct me_root *root)
{
    static const char *const paths[] = {"dev/ipmi0", "dev/ipmi/0",
                                        "dev/ipmidev/0"}; /* as ipmitool has them */
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (me_root_exists(root, paths[i])) return paths[i];
    return NULL;
}

/* Of the kinds of chassis in SMBIOS (DMTF DSP0134, 7.4.1) those that never have a BMC: what is carried
 * about, all-in-ones, mini and stick PCs. A tower may be a server. */
static bool is_portable(const struct me_root *root)
{
    unsigned long long type;
    if (me_root_read_u64(root, "sys/class/dmi/id/chassis_type", &type)) return false;
    return (type >= 8 && type <= 14 && type != 12) || (type >= 30 && type <= 32) || type == 35 || type == 36;
}

static void explain_no_device(struct me_source *source, const struct me_root *root)
{
    struct me_cpu cpu;
    me_cpu_read(root, &cpu);
    if (me_root_exists(root, "sys/class/ipmi/ipmi0")) {
        snprintf(source->reason, sizeof source->reason,
                 "the kernel has the BMC's device, but dev/ipmi0 is not here: a container hides it");
        snprintf(source->cure, sizeof source->cure,
                 "docker run --device /dev/ipmi0 ... (the rest as before)");
    } else if (cpu.is_virtual) {
        snprintf(source->reason, sizeof source->reason, "no dev/ipmi0: a virtual machine has no BMC");
    } else if (is_portable(root)) {
        snprintf(source->reason, sizeof source->reason, "no dev/ipmi0: a laptop or small PC has no BMC");
    } else {
        snprintf(source->reason, sizeof source->reason,
                 "no dev/ipmi0: the kernel's IPMI modules are not loaded, or this machine has no BMC");
        snprintf(source->cure, sizeof source->cure, "sudo modprobe -a ipmi_devintf ipmi_si");
    }
}

static void explain_denied(struct me_source *source, const char *device)
{
    char group[33];
    me_rights_group(group, sizeof group);
    snprintf(
        source->reason, sizeof source->reason,
        "%s is for root only: who may use it may switch the machine off. The cure opens it to a group until "
        "the next boot, for good this udev rule: KERNEL==\"ipmi*\", GROUP=\"%s\", MODE=\"0660\"",
        device, group);
    snprintf(source->cure, sizeof source->cure, "sudo chgrp %s /%s && sudo chmod g+rw /%s", group, device,
             device);
}

bool me_ipmi_is_reachable(struct me_source *source, const struct me_root *root)
{
    const char *device = me_ipmi_device(root);
    if (!device) {
        explain_no_device(source, root);
        return false;
    }
    if (!faccessat(root->fd, device, R_OK | W_OK, AT_EACCESS)) return true;
    if (errno == EACCES)
        explain_denied(source, device);
    else
        snprintf(source->reason, sizeof source->reason, "%s: %s", device, strerror(errno));
    return false;
}

static bool is_program(const char *path)
{
    struct stat file;
    return !stat(path, &file) && S_ISREG(file.st_mode) && !access(path, X_OK);
}

bool me_ipmi_find_program(const char *name, char *path, size_t size)
{
    static const char *const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const char *lists[] = {getenv("PATH"), usual}; /* an ordinary user's PATH lacks sbin */
    for (size_t i = 0; i < 2; i++)
        for (const char *at = lists[i]; at && *at;) {
            size_t len = strcspn(at, ":");
            char candidate[PATH_MAX];
            int n = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)len, at, name);
            if (*at == '/' && n > 0 && (size_t)n < sizeof candidate && (size_t)n < size &&
                is_program(candidate)) {
                memcpy(path, candidate, (size_t)n + 1);
                return true;
            }
            at += len + (at[len] == ':');
        }
    return false;
}

static bool is_the_systems(const char *program)
{
    static const char *const folders[] = {"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/local/"};
    struct stat file;
    if (stat(program, &file) || file.st_uid || file.st_mode & (S_IWGRP | S_IWOTH)) return false;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (!strncmp(program, folders[i], strlen(folders[i]))) return true;
    return false;
}

/* "243 ipmidev" among the character devices of proc/devices. */
static bool is_ipmi_major(const struct me_root *root, unsigned number)
{
    char text[16384], line[32];
    if (me_root_read(root, "proc/devices", text, sizeof text) < 0) return false;
    char *blocks = strstr(text, "Block devices:");
    if (blocks) *blocks = '\0';
    snprintf(line, sizeof line, "%u ipmidev\n", number);
    const char *at = strstr(text, line);
    return at && (at == text || at[-1] == ' ' || at[-1] == '\n');
}

enum me_provenance me_ipmi_provenance(const struct me_root *root, const char *program)
{
    struct stat node;
    const char *device = me_ipmi_device(root);
    if (!device || fstatat(root->fd, device, &node, 0) || !S_ISCHR(node.st_mode)) return ME_PROVENANCE_FAKE;
    if (!is_ipmi_major(root, major(node.st_rdev)) || !is_the_systems(program)) return ME_PROVENANCE_FAKE;
    return ME_PROVENANCE_LIVE;
}
