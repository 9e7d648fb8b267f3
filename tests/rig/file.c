#include "file.h"
#include "rig.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool rig_file_gone(const struct rig *rig, const struct rig_file *file)
{
    return file->trouble.gone || rig_dir_gone(rig, file->dir);
}

bool rig_file_first(const struct rig *rig, const struct rig_file *file)
{
    if (file->kind != RIG_REGISTER || file == rig->files) return true;
    return file[-1].kind != RIG_REGISTER || strcmp(file[-1].path, file->path); /* registers stand together */
}

void rig_file_name(const struct rig_file *file, char *name, size_t size)
{
    if (file->kind == RIG_REGISTER)
        snprintf(name, size, "%s:0x%" PRIx32, file->path, file->reg);
    else
        snprintf(name, size, "%s", file->path);
}

struct rig_shown rig_file_shown(const struct rig *rig, const struct rig_file *file, uint64_t now_ns)
{
    if (file->trouble.frozen) return file->frozen;
    const struct rig_counter *counter = &file->gauge.truth;
    bool gauge = file->kind == RIG_POWER;
    uint64_t tick = gauge ? rig_gauge_tick(&file->gauge, now_ns) : rig_counter_tick(counter, now_ns);
    return (struct rig_shown){
        .amount = gauge ? rig_gauge_shown_uw(&file->gauge, now_ns) : rig_counter_energy(counter, now_ns),
        .time_us = (tick + (uint64_t)rig->wall_ns) / 1000,
        .fresh = (tick - rig->epoch_ns) / (gauge ? file->gauge.tick_ns : counter->tick_ns),
    };
}

uint64_t rig_file_value(const struct rig_file *file, const struct rig_shown *shown, unsigned decimals)
{
    rig_fj scale = 1;
    while (decimals--) scale *= 10;
    rig_fj value = shown->amount * file->unit.num * scale / file->unit.den, base = file->base * scale;
    if (file->falls) return (uint64_t)(base > value ? base - value : 0);
    value += base;
    return (uint64_t)(file->wrap ? value % (file->wrap * scale) : value);
}

static void print_value(const struct rig_file *file, const struct rig_shown *shown, unsigned decimals,
                        FILE *out)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%0*" PRIu64, (int)decimals + 1,
                       rig_file_value(file, shown, decimals));
    fprintf(out, "%.*s%s%s", len - (int)decimals, digits, decimals ? "." : "", digits + len - (int)decimals);
}

/* %v value, %.3v with decimals, %t time stamp, %n ticks; the spec was checked when it was added. */
static void print_format(const struct rig_file *file, const struct rig_shown *shown, FILE *out)
{
    for (const char *at = file->text; *at; at++) {
        unsigned decimals = 0;
        if (*at != '%') {
            fputc(*at, out);
            continue;
        }
        if (*++at == '.') {
            decimals = (unsigned)(at[1] - '0');
            at += 2;
        }
        if (*at == 'v') print_value(file, shown, decimals, out);
        if (*at == 't') fprintf(out, "%" PRIu64, shown->time_us);
        if (*at == 'n') fprintf(out, "%" PRIu64, shown->fresh);
        if (*at == '%') fputc('%', out);
    }
}

static int print(const struct rig *rig, const struct rig_file *file, uint64_t now_ns, char **text)
{
    size_t size = 0;
    FILE *out = open_memstream(text, &size);
    if (!out) return -ENOMEM;
    struct rig_shown shown = rig_file_shown(rig, file, now_ns);
    if (file->trouble.answer == RIG_GARBAGE)
        fputs("<not counted>\n", out);
    else if (file->kind == RIG_TEXT)
        fputs(file->text, out);
    else
        print_format(file, &shown, out);
    return fclose(out) ? -ENOMEM : (int)size;
}

int rig_file_read(const struct rig *rig, struct rig_file *file, uint64_t now_ns, char **text)
{
    struct rig_trouble *trouble = &file->trouble;
    trouble->reads++;
    if (rig_file_gone(rig, file)) return -ENODEV;
    if (rig_trouble_now(trouble)) {
        if (trouble->fault) return -trouble->fault;
        if (trouble->answer == RIG_EMPTY) return 0;
    }
    return print(rig, file, now_ns, text);
}

int rig_file_read_register(struct rig *rig, const struct rig_file *first, uint64_t reg, uint64_t now_ns,
                           uint64_t *value)
{
    struct rig_file *file = rig->files + (first - rig->files), *end = rig->files + rig->file_count;
    while (file < end && file->kind == RIG_REGISTER && file->reg != reg && !strcmp(file->path, first->path))
        file++;
    if (rig_file_gone(rig, first)) return -ENODEV;
    if (file == end || file->reg != reg || strcmp(file->path, first->path)) return -EIO;
    struct rig_trouble *trouble = &file->trouble;
    trouble->reads++;
    if (rig_trouble_now(trouble)) {
        if (trouble->fault) return -trouble->fault;
        if (trouble->answer == RIG_EMPTY) return 0;
        *value = UINT64_MAX;
        return sizeof *value;
    }
    struct rig_shown shown = rig_file_shown(rig, file, now_ns);
    *value = file->counts ? rig_file_value(file, &shown, 0) : file->base;
    return sizeof *value;
}

static int set_text(struct rig_file *file, const char *value)
{
    char *text = malloc(strlen(value) + 2);
    if (!text) return -ENOMEM;
    strcpy(text, value);
    if (!rig_parse_escapes(text)) {
        free(text);
        return -EINVAL;
    }
    if (*text && text[strlen(text) - 1] != '\n') strcat(text, "\n");
    free(file->text);
    file->text = text;
    return 0;
}

static int set_power(struct rig_file *file, const char *value, uint64_t now_ns)
{
    uint64_t power_uw;
    if (!rig_parse_scaled(value, 1e6, 1e9, &power_uw)) return -EINVAL;
    if (file->kind == RIG_POWER)
        rig_gauge_set_power(&file->gauge, power_uw, now_ns);
    else
        rig_counter_set_power(&file->gauge.truth, power_uw, now_ns);
    return 0;
}

/* The counter, or the constant register, goes on from this count. */
static int set_energy(struct rig_file *file, const char *value, uint64_t now_ns)
{
    uint64_t count;
    if (!rig_parse_u64(value, 0, &count)) return -EINVAL;
    file->base = count;
    if (file->counts) rig_counter_set_energy(&file->gauge.truth, 0, now_ns);
    return 0;
}

int rig_file_command(const struct rig *rig, struct rig_file *file, char *const words[3], uint64_t now_ns)
{
    if (!strcmp(words[0], "text"))
        return file->kind == RIG_TEXT ? set_text(file, words[1] ? words[1] : "") : -EINVAL;
    int rc = rig_trouble_command(&file->trouble, words);
    if (rc) return rc > 0 ? 0 : rc;
    if (!words[1] && !strcmp(words[0], "freeze") && file->counts) {
        file->frozen = rig_file_shown(rig, file, now_ns);
        file->trouble.frozen = true;
        return 0;
    }
    if (!words[1] || words[2]) return -EINVAL;
    if (!strcmp(words[0], "power") && file->counts) return set_power(file, words[1], now_ns);
    if (!strcmp(words[0], "energy") && (file->kind == RIG_ENERGY || file->kind == RIG_REGISTER))
        return set_energy(file, words[1], now_ns);
    return -EINVAL;
}

static void print_counter(const struct rig_file *file, FILE *out)
{
    const struct rig_counter *counter = &file->gauge.truth;
    fprintf(out, " power_uw=%" PRIu64 " offset=%" PRIu64 " wrap=%" PRIu64 " falls=%d", counter->power_uw,
            file->base, file->wrap, file->falls);
    fprintf(out, " unit_num=%" PRIu64 " unit_den=%" PRIu64, file->unit.num, file->unit.den);
    fprintf(out, " tick_ns=%" PRIu64 " epoch_ns=%" PRIu64 " since_ns=%" PRIu64, counter->tick_ns,
            counter->epoch_ns, counter->since_ns);
    if (file->kind == RIG_POWER)
        fprintf(out, " shown_every_ns=%" PRIu64 " mean=%d", file->gauge.tick_ns, file->gauge.mean);
    fprintf(out, " base_uj=%" PRIu64 " base_rest_fj=%" PRIu64, (uint64_t)(counter->base_fj / 1000000000u),
            (uint64_t)(counter->base_fj % 1000000000u));
}

void rig_file_state(const struct rig *rig, const struct rig_file *file, FILE *out)
{
    static const char *const kinds[] = {"text", "link", "energy", "power", "register"};
    char name[RIG_PATH + 16];
    (void)rig;
    rig_file_name(file, name, sizeof name);
    fprintf(out, "%s kind=%s", name, kinds[file->kind]);
    if (file->counts) print_counter(file, out);
    rig_trouble_state(&file->trouble, out);
    fputc('\n', out);
}
