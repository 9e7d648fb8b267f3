/* A file's SPEC to a file. */
#include "rig.h"
#include <stdlib.h>
#include <string.h>

enum { REGISTERS = 64 };

struct draft {
    struct rig_file file;
    bool has_power, has_unit, has_text, has_msr;
    char *format, *text;
    struct {
        uint32_t reg;
        char *value;
    } registers[REGISTERS];
    int register_count;
};

static bool set_register(struct draft *draft, const char *key, char *value)
{
    uint64_t reg;
    if (!rig_parse_u64(key, 0, &reg) || reg > UINT32_MAX || draft->register_count == REGISTERS) return false;
    draft->registers[draft->register_count].reg = (uint32_t)reg;
    draft->registers[draft->register_count++].value = value;
    return true;
}

static bool set_text(struct draft *draft, enum rig_kind kind, char *value)
{
    if (draft->has_text) return false;
    draft->file.kind = kind;
    draft->text = value;
    draft->has_text = true;
    return rig_parse_escapes(value);
}

/* The content of a real file, for a constant one. */
static bool set_from(struct draft *draft, const char *path)
{
    FILE *in = draft->has_text ? NULL : fopen(path, "r");
    if (!in) return false;
    char *content = NULL;
    size_t size = 0;
    ssize_t len = getdelim(&content, &size, '\0', in);
    fclose(in);
    if (len < 0) { /* empty */
        free(content);
        content = strdup("");
    }
    draft->file.text = content;
    draft->has_text = true;
    return content != NULL;
}

static bool good_format(const char *text)
{
    while ((text = strchr(text, '%'))) {
        if (*++text == '.') {
            if (text[1] < '0' || text[1] > '6' || text[2] != 'v') return false;
            text += 2;
        }
        if (!*text || !strchr("vtn%", *text)) return false;
        text++;
    }
    return true;
}

static bool set_tick(struct draft *draft, const char *value)
{
    return rig_parse_scaled(value, 1e6, 1e7, &draft->file.gauge.tick_ns);
}

static bool set_key(struct draft *draft, const char *key, char *value)
{
    struct rig_file *file = &draft->file;
    bool flag = false;
    if (key[0] >= '0' && key[0] <= '9') return set_register(draft, key, value);
    if (!strcmp(key, "text")) return set_text(draft, RIG_TEXT, value);
    if (!strcmp(key, "link")) return set_text(draft, RIG_LINK, value) && *value;
    if (!strcmp(key, "from")) return set_from(draft, value);
    if (!strcmp(key, "format")) return draft->format = value, rig_parse_escapes(value) && good_format(value);
    if (!strcmp(key, "power"))
        return draft->has_power = true, rig_parse_scaled(value, 1e6, 1e9, &file->gauge.truth.power_uw);
    if (!strcmp(key, "unit")) return draft->has_unit = true, rig_parse_unit(value, &file->unit);
    if (!strcmp(key, "msr")) return rig_parse_bool(value, &draft->has_msr) && draft->has_msr;
    if (!strcmp(key, "tick_ms")) return set_tick(draft, value);
    if (!strcmp(key, "offset")) return rig_parse_u64(value, 10, &file->base);
    if (!strcmp(key, "wrap")) return rig_parse_u64(value, 10, &file->wrap) && file->wrap > 0;
    if (!strcmp(key, "mean")) return rig_parse_bool(value, &file->gauge.mean);
    if (!strcmp(key, "falls")) return rig_parse_bool(value, &file->falls);
    if (!strcmp(key, "mode")) return rig_parse_mode(value, &file->trouble.mode);
    if (!strcmp(key, "gone")) return rig_parse_bool(value, &flag) ? (file->trouble.gone = flag, true) : false;
    return false;
}

/* Copies a constant text or a format, with the line end that such files have. */
static char *own_text(const char *text, bool line)
{
    size_t len = strlen(text);
    char *copy = malloc(len + 2);
    if (!copy) return NULL;
    memcpy(copy, text, len + 1);
    if (line && len && copy[len - 1] != '\n') memcpy(copy + len, "\n", 2);
    return copy;
}

static const char *append(struct rig *rig, const struct rig_file *file)
{
    if (rig->file_count == RIG_FILES) return "too many files";
    rig->files[rig->file_count++] = *file;
    return NULL;
}

/* "0xa0e03", or "power:WATTS[:UNIT[:OFFSET]]"; a unit that is not told is found when all are known. */
static const char *add_register(struct rig *rig, const struct draft *draft, int index)
{
    struct rig_file file = draft->file;
    char *rest = draft->registers[index].value, *word = rig_parse_part(&rest, ':');
    file.kind = RIG_REGISTER;
    file.reg = draft->registers[index].reg;
    if (strcmp(word, "power"))
        return rest || !rig_parse_u64(word, 0, &file.base) ? "a register is a number or power:W"
                                                           : append(rig, &file);
    file.counts = true;
    file.wrap = UINT64_C(1) << 32;
    if (!rig_parse_scaled(rig_parse_part(&rest, ':'), 1e6, 1e9, &file.gauge.truth.power_uw))
        return "power: of a register: not in watts";
    word = rig_parse_part(&rest, ':');
    if (word && (!rig_parse_unit(word, &file.unit) || file.unit.power))
        return "power: of a register: no such unit";
    word = rig_parse_part(&rest, ':');
    if (word && !rig_parse_u64(word, 0, &file.base)) return "power: of a register: not an offset";
    return append(rig, &file);
}

static const char *add_registers(struct rig *rig, struct draft *draft)
{
    if (!draft->register_count || draft->has_power || draft->has_unit || draft->has_text || draft->format)
        return "msr=1 goes with registers such as 0x611=power:50 and with no other content";
    if (draft->file.trouble.mode == 0444) draft->file.trouble.mode = 0600;
    const char *why = NULL;
    for (int i = 0; i < draft->register_count && !why; i++) why = add_register(rig, draft, i);
    return why;
}

static const char *add_meter(struct rig *rig, struct draft *draft)
{
    struct rig_file *file = &draft->file;
    if (!draft->has_power || !draft->has_unit || draft->has_text || draft->register_count)
        return "needs text=, from=, link=, msr=1, or power= and unit=";
    file->kind = file->unit.power ? RIG_POWER : RIG_ENERGY;
    file->counts = true;
    if (file->kind == RIG_POWER && (file->wrap || file->falls || file->base))
        return "a gauge has no such counter";
    if (file->kind == RIG_ENERGY && file->gauge.mean) return "mean= is for a gauge";
    file->text = own_text(draft->format ? draft->format : "%v", true);
    return file->text ? append(rig, file) : "no memory";
}

static const char *add_text(struct rig *rig, struct draft *draft)
{
    struct rig_file *file = &draft->file;
    if (draft->has_power || draft->has_unit || draft->register_count || draft->format)
        return "a constant file has no power, unit or format";
    if (!file->text) file->text = own_text(draft->text, file->kind == RIG_TEXT);
    return file->text ? append(rig, file) : "no memory";
}

static bool is_there(const struct rig *rig, const char *path)
{
    for (int i = 0; i < rig->file_count; i++)
        if (!strcmp(rig->files[i].path, path)) return true;
    return false;
}

const char *rig_file_add(struct rig *rig, const char *spec)
{
    static char why[160];
    char copy[RIG_LINE], *rest = copy, *part;
    struct draft draft = {.file = {.gauge.tick_ns = 1000000, .trouble.mode = 0444}};
    if (snprintf(copy, sizeof copy, "%s", spec) >= (int)sizeof copy) return "too long";
    part = rig_parse_part(&rest, ',');
    if (!rig_path_good(part)) return "begins with no path";
    if (is_there(rig, part)) return "this file is there already";
    snprintf(draft.file.path, RIG_PATH, "%s", part);
    while ((part = rig_parse_part(&rest, ','))) {
        char *value = strchr(part, '=');
        if (value) *value++ = '\0';
        if (value && set_key(&draft, part, value)) continue;
        snprintf(why, sizeof why, "%.60s: not a key with a value in its range", part);
        free(draft.file.text);
        return why;
    }
    const char *wrong = draft.has_msr    ? add_registers(rig, &draft)
                        : draft.has_text ? add_text(rig, &draft)
                                         : add_meter(rig, &draft);
    if (wrong) free(draft.file.text);
    return wrong;
}

/* The unit of a processor's energy counters: bits 12 to 8 of MSR_RAPL_POWER_UNIT (0x606), or of AMD's
 * register of the same layout (0xc0010299): 2^-n joules (Intel SDM volume 4; AMD PPR). */
static bool find_unit(const struct rig *rig, struct rig_file *file)
{
    for (int i = 0; i < rig->file_count; i++) {
        const struct rig_file *other = &rig->files[i];
        if (other->counts || (other->reg != 0x606 && other->reg != 0xc0010299)) continue;
        if (other->kind != RIG_REGISTER || strcmp(other->path, file->path)) continue;
        file->unit = (struct rig_unit){UINT64_C(1) << (other->base >> 8 & 31), 1000000000000000u, false};
        return true;
    }
    return false;
}

const char *rig_file_link(struct rig *rig, uint64_t now_ns)
{
    for (int i = 0; i < rig->file_count; i++) {
        struct rig_file *file = &rig->files[i];
        char folder[RIG_PATH];
        snprintf(folder, sizeof folder, "%s", file->path);
        char *slash = strrchr(folder, '/');
        *(slash ? slash : folder) = '\0';
        file->dir = rig_dir_make(rig, folder);
        if (file->dir < 0) return "too many directories, or a file where a directory should be";
        if (file->counts && !file->unit.den && !find_unit(rig, file))
            return "power: of a register: neither its unit nor register 0x606 or 0xc0010299 is given";
        if (file->kind == RIG_POWER) {
            rig_gauge_start(&file->gauge, now_ns);
        } else {
            file->gauge.truth.tick_ns = file->gauge.tick_ns;
            rig_counter_start(&file->gauge.truth, now_ns);
        }
    }
    for (int i = 0; i < rig->file_count; i++)
        if (rig_dir_find(rig, rig->files[i].path) >= 0) return "a file where a directory should be";
    return NULL;
}
