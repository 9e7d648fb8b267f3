#include "gpu.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BUS "sys/bus/pci/devices"

void me_gpu_address(char *device, size_t size, unsigned domain, unsigned bus, unsigned dev, unsigned function)
{
    snprintf(device, size, "%04x:%02x:%02x.%x", domain, bus & 0xff, dev & 0x1f, function & 0x7);
}

static bool has(const struct me_root *root, const char *device, const char *file, const char *begin)
{
    char path[128], text[32];
    snprintf(path, sizeof path, BUS "/%.40s/%s", device, file);
    return me_root_read(root, path, text, sizeof text) > 0 && !strncmp(text, begin, strlen(begin));
}

/* Classes 03 (display) and 12 (processing accelerator) of the PCI Code and ID Assignment. */
bool me_gpu_on_bus(const struct me_root *root, const char *vendor,
                   bool (*is_part)(const struct me_root *root, const char *device), char *device, size_t size)
{
    DIR *dir = me_root_opendir(root, BUS);
    bool found = false;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || !has(root, entry->d_name, "vendor", vendor)) continue;
        found = has(root, entry->d_name, "class", "0x03") || has(root, entry->d_name, "class", "0x12");
        if (found && is_part && is_part(root, entry->d_name)) found = false;
        if (found) snprintf(device, size, "%.20s", entry->d_name);
    }
    if (dir) closedir(dir);
    return found;
}

bool me_gpu_driver_is_live(const struct me_root *root, const char *const *paths)
{
    for (size_t i = 0; paths[i]; i++) {
        int fd = me_root_openat(root, paths[i]);
        if (fd < 0) continue;
        bool live = me_root_provenance(fd) == ME_PROVENANCE_LIVE;
        close(fd);
        if (live) return true;
    }
    return false;
}

static bool is_empty(const struct me_root *root)
{
    DIR *dir = me_root_opendir(root, BUS);
    bool empty = true;
    for (struct dirent *entry; dir && empty && (entry = readdir(dir));) empty = entry->d_name[0] == '.';
    if (dir) closedir(dir);
    return empty;
}

bool me_gpu_is_on_bus(const struct me_root *root, const char *device)
{
    char path[128];
    snprintf(path, sizeof path, BUS "/%.40s/vendor", device);
    return me_root_exists(root, path) || is_empty(root);
}
