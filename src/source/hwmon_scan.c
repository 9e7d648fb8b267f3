#include "file.h"
#include "hwmon.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASS_DIR "sys/class/hwmon"

struct chip {
    char dir[40];  /* "hwmon3" */
    char name[40]; /* of the driver */
    char path[96]; /* where its files are: the directory itself, or `device` in kernels before 3.13 and for
                    * drivers that still keep them there (acpi_power_meter) */
};

struct list {
    struct me_hwmon_sensor *sensors;
    size_t count;
    bool failed;
};

static void clean(char *text) /* labels come from firmware */
{
    char *to = text;
    for (const char *from = text + strspn(text, " \t"); *from; from++)
        if (*from >= 0x20 && *from < 0x7f) *to++ = *from;
    *to = '\0';
}

static bool read_text(const struct me_root *root, const char *dir, const char *file, char *text, size_t size)
{
    char path[192], whole[4097]; /* a page is the most that sysfs gives */
    snprintf(path, sizeof path, "%s/%s", dir, file);
    if (me_root_read(root, path, whole, sizeof whole) <= 0) return false;
    clean(whole);
    snprintf(text, size, "%.*s", (int)size - 1, whole);
    return text[0];
}

/* powerN_<suffix> as a number. */
static bool read_number(const struct me_root *root, const char *dir, const char *stem, const char *suffix,
                        unsigned long long *value)
{
    char path[224];
    snprintf(path, sizeof path, "%s/%s%s", dir, stem, suffix);
    return !me_root_read_u64(root, path, value);
}

static bool exists(const struct me_root *root, const char *dir, const char *file)
{
    char path[224];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = me_root_openat(root, path);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

/* "power12_average" with stem "power" and suffix "_average": 12. */
static bool parse_file(const char *file, const char *stem, const char *suffix, unsigned *index)
{
    size_t len = strlen(stem);
    char *end;
    if (strncmp(file, stem, len) || !isdigit((unsigned char)file[len])) return false;
    unsigned long number = strtoul(file + len, &end, 10);
    if (strcmp(end, suffix) || number > 9999) return false;
    *index = (unsigned)number;
    return true;
}

static bool has_sensors(const struct me_root *root, const char *path)
{
    unsigned index;
    bool found = false;
    DIR *dir = me_root_opendir(root, path);
    if (!dir) return false;
    for (struct dirent *entry; !found && (entry = readdir(dir));)
        found = parse_file(entry->d_name, "power", "_input", &index) ||
                parse_file(entry->d_name, "power", "_average", &index) ||
                parse_file(entry->d_name, "energy", "_input", &index) ||
                parse_file(entry->d_name, "curr", "_input", &index);
    closedir(dir);
    return found;
}

/* The kernel mirrors supplies and batteries into hwmon, with each - of the name as _
 * (drivers/power/supply/power_supply_hwmon.c). The source battery reads those that are the machine's, and
 * the names of others may hold the address of somebody's mouse. */
static bool is_supply_mirror(const struct me_root *root, const struct chip *chip)
{
    bool found = false;
    DIR *dir = me_root_opendir(root, "sys/class/power_supply");
    if (!dir) return false;
    for (struct dirent *entry; !found && (entry = readdir(dir));) {
        char name[sizeof chip->name];
        snprintf(name, sizeof name, "%.39s", entry->d_name);
        for (char *at = name; (at = strchr(at, '-'));) *at = '_';
        found = !strcmp(name, chip->name);
    }
    closedir(dir);
    return found;
}

/* Is this amdgpu's chip a part of a processor? From drivers/gpu/drm/amd/pm/amdgpu_pm.c: only those have the
 * voltage "vddnb", and the limits "slowPPT" and "fastPPT" (Van Gogh); graphics cards have a power1_cap,
 * processors with graphics do not, and most of them have no power1_average either. MI300A, which has none
 * of these marks, is known by its PCI number. */
static bool is_apu(const struct me_root *root, const struct chip *chip)
{
    char text[32] = "";
    if (strcmp(chip->name, "amdgpu")) return false;
    if (read_text(root, chip->path, "in1_label", text, sizeof text) && !strcmp(text, "vddnb")) return true;
    if (read_text(root, chip->path, "power1_label", text, sizeof text) && strcmp(text, "PPT") &&
        strstr(text, "PPT"))
        return true;
    if (read_text(root, chip->path, "device/device", text, sizeof text) && !strcmp(text, "0x74a0"))
        return true;
    return !exists(root, chip->path, "power1_cap") && !exists(root, chip->path, "power1_average");
}

static void read_pci_address(const struct me_root *root, const struct chip *chip, char *device, size_t size)
{
    char path[96], text[4096];
    snprintf(path, sizeof path, CLASS_DIR "/%.40s/device/uevent", chip->dir);
    if (me_root_read(root, path, text, sizeof text) <= 0) return;
    const char *address = me_file_line(text, "PCI_SLOT_NAME=");
    if (address) snprintf(device, size, "%.*s", (int)strcspn(address, " \n"), address);
}

static void read_marks(const struct me_root *root, const struct chip *chip, const char *stem,
                       struct me_hwmon_sensor *sensor)
{
    unsigned long long number;
    char file[64];
    snprintf(file, sizeof file, "%s_label", stem);
    if (!read_text(root, chip->path, file, sensor->label, sizeof sensor->label)) {
        snprintf(file, sizeof file, "%s_oem_info", stem);
        read_text(root, chip->path, file, sensor->label, sizeof sensor->label);
    }
    sensor->disabled = read_number(root, chip->path, stem, "_enable", &number) && !number;
    sensor->is_battery = read_number(root, chip->path, stem, "_is_battery", &number) && number;
    snprintf(file, sizeof file, "%s_fault", stem);
    if (exists(root, chip->path, file))
        snprintf(sensor->fault, sizeof sensor->fault, "%s/%.31s", chip->path, file);
    if (!read_number(root, chip->path, "", "update_interval", &number)) number = 0;
    if (sensor->average && read_number(root, chip->path, stem, "_average_interval", &number))
        sensor->window_s = (double)number * 1e-3;
    if (number && number < 3600000) sensor->update_s = (double)number * 1e-3;
}

/* Which of the two a power sensor is read by. A mean over the time between two readings loses nothing, where
 * a momentary value misses what happens between; but a mean over longer than that is of the past, and takes
 * from one span to give to the next. So the mean is taken unless it is over more than 2 s and there is a
 * momentary value beside it. */
static bool is_average_better(const struct me_root *root, const struct chip *chip, const char *stem)
{
    unsigned long long window_ms;
    char input[64];
    snprintf(input, sizeof input, "%s_input", stem);
    if (!exists(root, chip->path, input)) return true;
    return !read_number(root, chip->path, stem, "_average_interval", &window_ms) || window_ms <= 2000;
}

static void add(struct list *list, const struct me_root *root, const struct chip *chip,
                enum me_hwmon_quantity quantity, unsigned index, const char *file)
{
    static const char *const stems[] = {"energy", "power", "in"};
    char stem[32];
    struct me_hwmon_sensor sensor = {.quantity = quantity, .index = index};
    snprintf(stem, sizeof stem, "%s%u", stems[quantity], index);
    sensor.average = quantity == ME_HWMON_POWER && strstr(file, "_average");
    if (quantity == ME_HWMON_POWER) {
        char average[64];
        snprintf(average, sizeof average, "%s_average", stem);
        bool has_average = sensor.average || exists(root, chip->path, average);
        if (has_average && sensor.average != is_average_better(root, chip, stem)) return;
    }
    snprintf(sensor.chip, sizeof sensor.chip, "%s", chip->name);
    snprintf(sensor.value, sizeof sensor.value, "%s/%.30s", chip->path, file);
    if (quantity == ME_HWMON_PRODUCT) {
        char current[32];
        snprintf(current, sizeof current, "curr%u_input", index);
        if (!exists(root, chip->path, current)) return;
        snprintf(sensor.factor, sizeof sensor.factor, "%s/%s", chip->path, current);
    }
    read_marks(root, chip, stem, &sensor);
    sensor.apu = is_apu(root, chip);
    read_pci_address(root, chip, sensor.device, sizeof sensor.device);
    struct me_hwmon_sensor *sensors = realloc(list->sensors, (list->count + 1) * sizeof *sensors);
    if (!sensors) {
        list->failed = true;
        return;
    }
    list->sensors = sensors;
    list->sensors[list->count++] = sensor;
}

static int compare_sensors(const void *a, const void *b)
{
    const struct me_hwmon_sensor *x = a, *y = b;
    if (x->quantity != y->quantity) return x->quantity < y->quantity ? -1 : 1;
    return x->index == y->index ? 0 : x->index < y->index ? -1 : 1;
}

/* ina3221 shows voltage and current of its three inputs and leaves the product to us (in4 to in7 are the
 * voltages over its resistors); the others that show both show the power too, if it is one. */
static void add_chip(struct list *list, const struct me_root *root, const struct chip *chip)
{
    bool products = !strcmp(chip->name, "ina3221");
    size_t first = list->count;
    DIR *dir = me_root_opendir(root, chip->path);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *file = entry->d_name;
        unsigned index;
        if (parse_file(file, "energy", "_input", &index))
            add(list, root, chip, ME_HWMON_ENERGY, index, file);
        else if (parse_file(file, "power", "_input", &index) || parse_file(file, "power", "_average", &index))
            add(list, root, chip, ME_HWMON_POWER, index, file);
        else if (products && parse_file(file, "in", "_input", &index) && index >= 1 && index <= 3)
            add(list, root, chip, ME_HWMON_PRODUCT, index, file);
    }
    closedir(dir);
    if (list->count > first)
        qsort(list->sensors + first, list->count - first, sizeof *list->sensors, compare_sensors);
}

static int compare_chips(const void *a, const void *b)
{
    return strverscmp(((const struct chip *)a)->dir, ((const struct chip *)b)->dir);
}

static int list_chips(const struct me_root *root, struct chip **chips, size_t *count, struct me_error *err)
{
    DIR *dir = me_root_opendir(root, CLASS_DIR);
    *chips = NULL;
    *count = 0;
    if (!dir) return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(*chips)->dir) continue;
        struct chip *more = realloc(*chips, (*count + 1) * sizeof *more);
        if (!more) {
            closedir(dir);
            free(*chips);
            return me_fail(err, ME_E_RUN, "%s: no memory for its chips", CLASS_DIR);
        }
        *chips = more;
        snprintf(more[(*count)++].dir, sizeof more->dir, "%.39s", entry->d_name);
    }
    closedir(dir);
    if (*count) qsort(*chips, *count, sizeof **chips, compare_chips);
    return 0;
}

static void read_chip(const struct me_root *root, struct chip *chip)
{
    char device[sizeof chip->path];
    snprintf(chip->path, sizeof chip->path, CLASS_DIR "/%.40s", chip->dir);
    snprintf(device, sizeof device, CLASS_DIR "/%.40s/device", chip->dir);
    if (!read_text(root, chip->path, "name", chip->name, sizeof chip->name) &&
        !read_text(root, device, "name", chip->name, sizeof chip->name))
        snprintf(chip->name, sizeof chip->name, "%s", chip->dir);
    if (!has_sensors(root, chip->path)) snprintf(chip->path, sizeof chip->path, "%s", device);
}

/* Numbers the chips that have sensors, and those of one name among themselves. */
static void number_chip(const struct list *list, size_t first, unsigned chip_index)
{
    unsigned ordinal = 0, last = chip_index;
    for (size_t i = 0; i < first; i++) {
        if (list->sensors[i].chip_index == last || strcmp(list->sensors[i].chip, list->sensors[first].chip))
            continue;
        last = list->sensors[i].chip_index;
        ordinal++;
    }
    for (size_t i = first; i < list->count; i++) {
        list->sensors[i].chip_index = chip_index;
        list->sensors[i].ordinal = ordinal;
    }
}

int me_hwmon_scan(const struct me_root *root, struct me_hwmon_sensor **sensors, size_t *count,
                  struct me_error *err)
{
    struct chip *chips;
    size_t chip_count;
    struct list list = {0};
    if (list_chips(root, &chips, &chip_count, err)) return -1;
    for (size_t i = 0; i < chip_count; i++) {
        size_t first = list.count;
        read_chip(root, &chips[i]);
        if (is_supply_mirror(root, &chips[i])) continue;
        add_chip(&list, root, &chips[i]);
        if (list.count > first) number_chip(&list, first, (unsigned)i);
    }
    free(chips);
    if (list.failed) {
        free(list.sensors);
        return me_fail(err, ME_E_RUN, "%s: no memory for its sensors", CLASS_DIR);
    }
    *sensors = list.sensors;
    *count = list.count;
    return 0;
}
