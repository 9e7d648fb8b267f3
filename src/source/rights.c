#include "rights.h"
#include "file.h"
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

void me_rights_parse(const char *status, struct me_rights *rights)
{
    const char *effective = me_file_line(status, "CapEff:"), *mode = me_file_line(status, "Seccomp:");
    *rights = (struct me_rights){0};
    if (effective) rights->capabilities = strtoull(effective, NULL, 16);
    if (mode) rights->is_filtered = atoi(mode) == 2;
}

/* Of this process and not of the machine under a root: so it is asked of the real /proc. */
void me_rights_read(struct me_rights *rights)
{
    char status[8192];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    me_rights_parse(me_file_text(fd, status, sizeof status) ? "" : status, rights);
    if (fd >= 0) close(fd);
}

bool me_rights_has(const struct me_rights *rights, int capability)
{
    return rights->capabilities >> capability & 1;
}

/* Network file systems keep no capabilities of files. */
static bool keeps_capabilities(const char *path)
{
    static const unsigned long foreign[] = {0x6969 /* NFS */,      0xff534d42 /* CIFS */,
                                            0xfe534d42 /* SMB2 */, 0x0bd00bd0 /* Lustre */,
                                            0x65735546 /* FUSE */, 0x01021997 /* 9p */};
    struct statvfs mount;
    struct statfs fs;
    if (statvfs(path, &mount) || statfs(path, &fs) || mount.f_flag & ST_NOSUID) return false;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (((unsigned long)fs.f_type & 0xffffffff) == foreign[i]) return false;
    return true;
}

bool me_rights_setcap(const char *capability, char *cure, size_t size)
{
    char program[PATH_MAX], bench[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 16);
    if (len <= 0) return false;
    program[len] = '\0';
    if (!keeps_capabilities(program)) return false;
    memcpy(bench, program, (size_t)len + 1);
    char *name = strrchr(bench, '/');
    strcpy(name ? name + 1 : bench, "me_bench");
    int need;
    if (strcmp(program, bench) != 0 && access(bench, X_OK) == 0)
        need = snprintf(cure, size, "sudo setcap %s=ep %s %s=ep %s", capability, program, capability, bench);
    else
        need = snprintf(cure, size, "sudo setcap %s=ep %s", capability, program);
    return need > 0 && (size_t)need < size;
}

void me_rights_group(char *group, size_t size)
{
    struct group *entry = getgrgid(getgid());
    if (entry)
        snprintf(group, size, "%s", entry->gr_name);
    else
        snprintf(group, size, "%u", (unsigned)getgid());
}

bool me_rights_is_container(const struct me_root *root)
{
    return me_root_exists(root, ".dockerenv") || me_root_exists(root, "run/.containerenv") ||
           me_root_exists(root, "run/systemd/container");
}
