#include "ipmi_text.h"
#include "decimal.h"
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 256, FIELDS = 12 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static char *trim(char *text)
{
    while (is_blank(*text)) text++;
    size_t len = strlen(text);
    while (len && is_blank(text[len - 1])) text[--len] = '\0';
    return text;
}

/* Copies the next line without its end, cut at LINE - 1. False behind the last. */
static bool next_line(const char **at, char *line)
{
    if (!**at) return false;
    size_t len = strcspn(*at, "\n");
    snprintf(line, LINE, "%.*s", (int)(len < LINE ? len : LINE - 1), *at);
    *at += len + ((*at)[len] == '\n');
    return true;
}

static bool is_watts(const char *unit)
{
    return !strcmp(unit, "Watts") || !strcmp(unit, "watts") || !strcmp(unit, "W");
}

/* "132 Watts"; with `unit` the number and its unit stand in fields of their own. 0 or EPROTO. */
static int parse_watts(const char *text, const char *unit, double *watts)
{
    struct me_decimal number;
    uint64_t milli;
    if (me_decimal_parse(&text, &number)) return EPROTO;
    if (!unit) {
        if (!is_blank(*text)) return EPROTO;
        while (is_blank(*text)) text++;
        unit = text;
    } else if (*text) {
        return EPROTO;
    }
    if (!is_watts(unit) || me_decimal_scale(&number, 1000, &milli)) return EPROTO;
    *watts = (double)milli / 1e3;
    return 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(word, *words)) return true;
    return false;
}

int me_ipmi_parse_dcmi(const char *text, double *watts)
{
    static const char *const power_keys[] = {"Instantaneous power reading", "Current Power", NULL};
    static const char *const state_keys[] = {"Power reading state is", "Power Measurement", NULL};
    static const char *const on[] = {"activated", "active", "Active", NULL};
    char line[LINE];
    int powers = 0, states = 0;
    bool active = false;
    double level = 0;
    while (next_line(&text, line)) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        *colon = '\0';
        char *key = trim(line), *value = trim(colon + 1);
        if (is_one_of(key, power_keys)) {
            if (parse_watts(value, NULL, &level)) return EPROTO;
            powers++;
        } else if (is_one_of(key, state_keys)) {
            active = is_one_of(value, on);
            states++;
        }
    }
    if (powers != 1 || states != 1) return EPROTO;
    if (!active || level <= 0) return ENODATA;
    if (level > ME_IPMI_MAX_W) return ERANGE;
    *watts = level;
    return 0;
}

/* Lower case, and one blank for all that is neither letter nor digit: "PS1_Power-In" is "ps1 power in". */
static void simplify(const char *name, char *plain, size_t size)
{
    size_t len = 0;
    for (; *name && len + 1 < size; name++) {
        if (isalnum((unsigned char)*name))
            plain[len++] = (char)tolower((unsigned char)*name);
        else if (len && plain[len - 1] != ' ')
            plain[len++] = ' ';
    }
    while (len && plain[len - 1] == ' ') len--;
    plain[len] = '\0';
}

static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at++)
        if ((at == text || at[-1] == ' ') && (!at[len] || at[len] == ' ')) return true;
    return false;
}

static bool is_supply(const char *plain)
{
    static const char *const starts[] = {"psu", "ps", "power supply", "pwr supply", NULL};
    for (const char *const *start = starts; *start; start++) {
        size_t len = strlen(*start);
        if (strncmp(plain, *start, len)) continue;
        const char *at = plain + len + (plain[len] == ' ');
        if (isdigit((unsigned char)*at)) return true;
    }
    return false;
}

enum me_ipmi_role me_ipmi_role(const char *name)
{
    /* Seen with: Dell (the first two), HPE ("Power Meter"), Supermicro, Lenovo, Inspur, Gigabyte, Intel,
     * OpenBMC. A chassis' power is not here: it may hold several machines. */
    static const char *const totals[] = {"pwr consumption",
                                         "system level",
                                         "power meter",
                                         "power consumption",
                                         "total power",
                                         "sys power",
                                         "system power",
                                         "node power",
                                         "pw consumption",
                                         "total system power",
                                         "sys total power",
                                         "system power consumption",
                                         NULL};
    char plain[48] = "";
    simplify(name, plain, sizeof plain);
    if (is_one_of(plain, totals)) return ME_IPMI_TOTAL;
    bool input = has_word(plain, "in") || has_word(plain, "input") || has_word(plain, "pin");
    bool output = has_word(plain, "out") || has_word(plain, "output") || has_word(plain, "pout");
    return is_supply(plain) && input && !output ? ME_IPMI_SUPPLY : ME_IPMI_PART;
}

static int split_fields(char *line, char **fields)
{
    int count = 0;
    for (char *at = line; at && count < FIELDS;) {
        char *bar = strchr(at, '|');
        if (bar) *bar = '\0';
        fields[count++] = trim(at);
        at = bar ? bar + 1 : NULL;
    }
    return count;
}

/* Three tables: `sdr list` NAME | READING | STATUS; `sdr elist` NAME | NUMBERh | STATUS | ENTITY |
 * READING; `sensor` NAME | VALUE | UNIT | STATUS | six thresholds. A status other than "ns" and "na" may
 * be a crossed threshold, and has a reading. */
static int parse_row(char *line, char **name, double *watts)
{
    static const char *const statuses[] = {"ok", "nc", "cr", "nr", NULL};
    char *fields[FIELDS];
    const char *reading, *status, *unit = NULL;
    int count = split_fields(line, fields);
    if (count == 3) {
        reading = fields[1], status = fields[2];
    } else if (count == 5) {
        reading = fields[4], status = fields[2];
    } else if (count == 10) {
        reading = fields[1], unit = fields[2], status = fields[3];
    } else {
        return EPROTO;
    }
    if (!fields[0][0] || !is_one_of(status, statuses)) return EPROTO;
    *name = fields[0];
    return parse_watts(reading, unit, watts);
}

size_t me_ipmi_parse_sensors(const char *text, struct me_ipmi_sensor *sensors, size_t max)
{
    char line[LINE], *name;
    size_t count = 0;
    double watts;
    while (count < max && next_line(&text, line)) {
        if (parse_row(line, &name, &watts) || watts > ME_IPMI_MAX_W) continue;
        struct me_ipmi_sensor *sensor = &sensors[count];
        *sensor = (struct me_ipmi_sensor){.role = me_ipmi_role(name), .watts = watts};
        snprintf(sensor->name, sizeof sensor->name, "%.39s", name);
        for (size_t i = 0; i < count; i++) sensor->nth += !strcmp(sensors[i].name, sensor->name);
        count++;
    }
    return count;
}
