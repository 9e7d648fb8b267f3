#include "marks.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LEN = 47, UNIT_MAX_LEN = 23 };

static bool is_name(const char *text, size_t len, size_t max)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./";
    return len > 0 && len <= max && strspn(text, allowed) == len;
}

/* A plain decimal number, finite and without a sign. */
static bool parse_amount(const char *text, size_t len, double *amount)
{
    if (strspn(text, "0123456789.eE+-") != len || !strchr("0123456789.", text[0])) return false;
    char *end;
    *amount = strtod(text, &end);
    return len > 0 && end == text + len && isfinite(*amount) && *amount >= 0;
}

/* That, with a minus or without, or what printf and repr make of what is no finite number. */
static bool parse_value(const char *text, double *value)
{
    bool negative = text[0] == '-';
    text += negative;
    if (!strcmp(text, "nan"))
        *value = NAN;
    else if (!strcmp(text, "inf"))
        *value = INFINITY;
    else if (!parse_amount(text, strlen(text), value))
        return false;
    if (negative) *value = -*value;
    return true;
}

static bool parse_work(char *rest, struct me_child_event *event)
{
    char *space = strchr(rest, ' ');
    if (!space) return false;
    *space = '\0';
    const char *unit = space + 1;
    size_t len = strlen(unit);
    bool good =
        parse_amount(rest, (size_t)(space - rest), &event->amount) && is_name(unit, len, UNIT_MAX_LEN);
    *space = ' ';
    if (!good) return false;
    event->type = ME_CHILD_WORK;
    memcpy(event->name, unit, len + 1);
    return true;
}

static bool parse_metric(char *rest, struct me_child_event *event)
{
    char *space = strchr(rest, ' ');
    if (!space) return false;
    size_t len = (size_t)(space - rest);
    *space = '\0';
    bool good = is_name(rest, len, NAME_MAX_LEN) && parse_value(space + 1, &event->amount);
    if (good) memcpy(event->name, rest, len + 1);
    *space = ' ';
    if (good) event->type = ME_CHILD_METRIC;
    return good;
}

static bool parse_region(const char *name, enum me_child_event_type type, struct me_child_event *event)
{
    size_t len = strlen(name);
    if (!is_name(name, len, NAME_MAX_LEN)) return false;
    event->type = type;
    memcpy(event->name, name, len + 1);
    return true;
}

static bool parse_line(char *line, struct me_child_event *event)
{
    if (!strncmp(line, "begin ", 6)) return parse_region(line + 6, ME_CHILD_BEGIN, event);
    if (!strncmp(line, "end ", 4)) return parse_region(line + 4, ME_CHILD_END, event);
    if (!strncmp(line, "work ", 5)) return parse_work(line + 5, event);
    if (!strncmp(line, "metric ", 7)) return parse_metric(line + 7, event);
    return false;
}

static void bad_mark(const char *line, size_t len, struct me_child_event *event)
{
    size_t n = len < sizeof event->name - 1 ? len : sizeof event->name - 1;
    *event = (struct me_child_event){.type = ME_CHILD_BAD_MARK};
    for (size_t i = 0; i < n; i++) event->name[i] = line[i] >= ' ' && line[i] <= '~' ? line[i] : '?';
}

static void read_line(struct me_marks *marks, struct me_child_event *event)
{
    size_t len = marks->len;
    marks->line[len] = '\0';
    marks->len = 0;
    *event = (struct me_child_event){.type = ME_CHILD_NOTHING};
    if (memchr(marks->line, '\0', len) || !parse_line(marks->line, event)) bad_mark(marks->line, len, event);
}

bool me_marks_take(struct me_marks *marks, const char **at, const char *end, struct me_child_event *event)
{
    while (*at < end) {
        char c = *(*at)++;
        if (c == '\n' && !marks->skipping) {
            read_line(marks, event);
            return true;
        }
        if (c == '\n')
            marks->skipping = false;
        else if (!marks->skipping)
            marks->line[marks->len++] = c;
        if (marks->len < sizeof marks->line - 1) continue;
        bad_mark(marks->line, marks->len, event);
        marks->len = 0;
        marks->skipping = true;
        return true;
    }
    return false;
}

bool me_marks_finish(struct me_marks *marks, struct me_child_event *event)
{
    bool left = marks->len > 0;
    if (left) bad_mark(marks->line, marks->len, event);
    *marks = (struct me_marks){.len = 0};
    return left;
}
