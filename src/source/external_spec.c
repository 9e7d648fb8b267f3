#include "external.h"
#include "decimal.h"
#include "me/options.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { WORD = 64 };

static const struct me_external_unit units[] = {
    {"W", true, 1000000},      {"kW", true, 1000000000},      {"mW", true, 1000},  {"uW", true, 1},
    {"J", false, 1000000},     {"kJ", false, 1000000000},     {"mJ", false, 1000}, {"uJ", false, 1},
    {"Wh", false, 3600000000}, {"kWh", false, 3600000000000},
};
#define UNITS "W, kW, mW, uW, J, kJ, mJ, uJ, Wh, kWh"

static bool find_unit(const char *name, struct me_external_unit *unit)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (!strcmp(units[i].name, name)) {
            *unit = units[i];
            return true;
        }
    return false;
}

static bool find_scope(const char *name, enum me_scope *scope)
{
    static const enum me_scope scopes[] = {ME_SCOPE_NODE, ME_SCOPE_PLATFORM, ME_SCOPE_PACKAGE, ME_SCOPE_DRAM,
                                           ME_SCOPE_GPU};
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
        if (!strcmp(me_scope_name(scopes[i]), name)) {
            *scope = scopes[i];
            return true;
        }
    return false;
}

static bool is_name(const char *name, size_t size)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return len && !name[len] && len < size;
}

/* A number within the limits, whole; counters' ranges to the microjoule. */
static bool take_micro(const char *text, uint64_t min, uint64_t *micro)
{
    struct me_decimal number;
    return !me_decimal_parse(&text, &number) && !*text && !me_decimal_scale(&number, 1000000, micro) &&
           *micro >= min;
}

static bool set_key(struct me_external_spec *spec, const char *key, const char *value, const char **want)
{
    uint64_t micro = 0;
    if (!strcmp(key, "scope")) {
        *want = "one of node, platform, package, dram, gpu";
        return find_scope(value, &spec->scope);
    }
    if (!strcmp(key, "name")) {
        *want = "1 to 39 letters, digits, '.', '_' or '-'";
        if (!is_name(value, sizeof spec->name)) return false;
        memcpy(spec->name, value, strlen(value) + 1);
        return true;
    }
    if (!strcmp(key, "interval")) {
        *want = "a number of seconds from 0.1 to 3600";
        return !me_parse_double(value, 0.1, 3600, &spec->interval_s);
    }
    if (!strcmp(key, "range")) {
        *want = "a number of joules above 0, and only a counter has it (J, kJ, mJ, uJ, Wh, kWh)";
        if (spec->unit.power || !take_micro(value, 1, &micro)) return false;
        spec->range_uj = micro;
        return true;
    }
    if (!strcmp(key, "max")) {
        *want = "a number of watts above 0";
        return !me_parse_double(value, 1e-6, 1e9, &spec->max_w);
    }
    *want = NULL;
    return false;
}

static int fail_key(unsigned number, const char *key, const char *value, const char *want,
                    struct me_error *err)
{
    static const char *const keys[] = {"scope", "name", "interval", "range", "max", NULL};
    if (want)
        return me_fail(err, ME_E_INPUT, "external: meter %u: %s=%s: %s must be %s", number, key, value, key,
                       want);
    const char *near = me_nearest(key, keys);
    return me_fail(err, ME_E_INPUT,
                   "external: meter %u: there is no key %s%s%s (there are: scope, name, interval, "
                   "range, max)",
                   number, key, near ? "; did you mean " : "", near ? near : "");
}

/* "UNIT,KEY=VALUE,...", the first word of a meter. */
static int parse_head(char *head, unsigned number, struct me_external_spec *spec, struct me_error *err)
{
    char *rest = NULL, *word = strtok_r(head, ",", &rest);
    if (!word || !find_unit(word, &spec->unit))
        return me_fail(
            err, ME_E_INPUT,
            "external: meter %u: %s is not a unit; write UNIT[,KEY=VALUE...] COMMAND, or UNIT < PATH, with "
            "one of " UNITS,
            number, word ? word : "','");
    while ((word = strtok_r(NULL, ",", &rest))) {
        const char *want = NULL;
        char *value = strchr(word, '=');
        if (!value) return fail_key(number, word, "", NULL, err);
        *value++ = '\0';
        if (!set_key(spec, word, value, &want)) return fail_key(number, word, value, want, err);
    }
    return 0;
}

/* Where the meter ends: a newline, or a ';' outside of quotes. NULL if a quote is not closed. */
static const char *find_end(const char *at)
{
    for (char quote = '\0'; *at; at++) {
        if (*at == '\n' && !quote) break;
        if (*at == ';' && !quote) break;
        if (*at == '\\' && quote != '\'' && at[1])
            at++;
        else if (quote && *at == quote)
            quote = '\0';
        else if (!quote && (*at == '\'' || *at == '"'))
            quote = *at;
        if (!at[1] && quote) return NULL;
    }
    return at;
}

static int take_action(struct me_external_spec *spec, const char *at, const char *end, unsigned number,
                       struct me_error *err)
{
    while (at < end && isspace((unsigned char)*at)) at++;
    if (at < end && *at == '<') {
        spec->is_path = true;
        for (at++; at < end && isspace((unsigned char)*at);) at++;
    }
    while (end > at && isspace((unsigned char)end[-1])) end--;
    if (at == end)
        return me_fail(err, ME_E_INPUT,
                       "external: meter %u: no command; write one behind the unit, or < PATH", number);
    if (spec->is_path && *at != '/')
        return me_fail(
            err, ME_E_INPUT,
            "external: meter %u: %.*s: a path must begin with '/', since every machine has a working "
            "directory of its own",
            number, (int)(end - at), at);
    if (end - at > (spec->is_path ? 1000 : 4000))
        return me_fail(err, ME_E_INPUT, "external: meter %u: the %s is too long; put it into a script",
                       number, spec->is_path ? "path" : "command");
    spec->action = at;
    spec->action_len = (size_t)(end - at);
    return 0;
}

/* Read twice before it can have gone round at full power, or a wrap may go unseen. */
static int check_range(const struct me_external_spec *spec, unsigned number, struct me_error *err)
{
    double least_s = (double)spec->range_uj / 1e6 / spec->max_w;
    if (!spec->range_uj || 2 * spec->interval_s <= least_s) return 0;
    return me_fail(err, ME_E_INPUT,
                   "external: meter %u: a counter with a range of %g J goes round in %.3g s at %g W; give a "
                   "smaller max, or an interval of at most half of that",
                   number, (double)spec->range_uj / 1e6, least_s, spec->max_w);
}

int me_external_next(const char **text, unsigned number, struct me_external_spec *spec, struct me_error *err)
{
    struct me_external_spec made = {.scope = ME_SCOPE_NODE, .interval_s = 1, .max_w = 1e5};
    char head[4 * WORD];
    const char *at = *text;
    while (*at == ';' || isspace((unsigned char)*at)) at++;
    if (!*at) return 0;
    const char *end = find_end(at);
    if (!end) return me_fail(err, ME_E_INPUT, "external: meter %u: a quote is not closed", number);
    size_t len = strcspn(at, " \t<;\n");
    if (len >= sizeof head)
        return me_fail(err, ME_E_INPUT, "external: meter %u: %.20s... is too long for a unit and its keys",
                       number, at);
    memcpy(head, at, len);
    head[len] = '\0';
    if (parse_head(head, number, &made, err) || take_action(&made, at + len, end, number, err)) return -1;
    if (check_range(&made, number, err)) return -1;
    *spec = made;
    *text = end;
    return 1;
}

int me_external_check(const char *text, struct me_error *err)
{
    struct me_external_spec spec;
    char names[32][sizeof spec.name];
    int rc = 1;
    for (unsigned number = 1; text && rc > 0; number++) {
        rc = me_external_next(&text, number, &spec, err);
        if (rc <= 0) break;
        if (number > sizeof names / sizeof *names)
            return me_fail(err, ME_E_INPUT, "external: more than 32 meters");
        memcpy(names[number - 1], spec.name, sizeof spec.name);
        for (unsigned i = 0; spec.name[0] && i + 1 < number; i++)
            if (!strcmp(names[i], spec.name))
                return me_fail(err, ME_E_INPUT, "external: meter %u: name=%s is taken by meter %u", number,
                               spec.name, i + 1);
    }
    return text && rc < 0 ? -1 : 0;
}

int me_external_answer(const struct me_external_spec *spec, const char *answer, uint64_t *micro)
{
    struct me_decimal number;
    uint64_t value = 0;
    while (*answer == ' ' || *answer == '\t') answer++;
    int error = me_decimal_parse(&answer, &number);
    if (error) return error;
    while (*answer == ' ' || *answer == '\t') answer++;
    size_t len = strlen(spec->unit.name);
    if (!strncmp(answer, spec->unit.name, len)) answer += len;
    while (*answer == ' ' || *answer == '\t' || *answer == '\r') answer++;
    if (*answer && *answer != '\n') return EPROTO;
    if (me_decimal_scale(&number, spec->unit.micro, &value)) return ERANGE;
    if (spec->unit.power && (double)value > spec->max_w * 1e6) return ERANGE;
    if (spec->unit.power && !value && spec->scope >= ME_SCOPE_PLATFORM) return ENODATA;
    *micro = value;
    return 0;
}
