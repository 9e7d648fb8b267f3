#include "me/options.h"
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 64 };

static const struct me_option built_in[] = {
    {.name = "help", .letter = 'h', .help = "print this text and exit"},
    {.name = "version", .letter = 'V', .help = "print the version and exit"},
    {.name = NULL},
};

static const struct me_option *find_in(const struct me_option *rows, const char *name, size_t len)
{
    for (; rows && rows->name; rows++)
        if (strlen(rows->name) == len && !strncmp(rows->name, name, len)) return rows;
    return NULL;
}

static const struct me_option *find_letter_in(const struct me_option *rows, char letter)
{
    for (; rows && rows->name; rows++)
        if (rows->letter == letter) return rows;
    return NULL;
}

static const struct me_option *find_name(const struct me_command *command, const char *name, size_t len)
{
    const struct me_option *row = find_in(command->options, name, len);
    return row ? row : find_in(built_in, name, len);
}

static const struct me_option *find_letter(const struct me_command *command, char letter)
{
    const struct me_option *row = find_letter_in(command->options, letter);
    return row ? row : find_letter_in(built_in, letter);
}

static bool is_built_in(const struct me_option *option)
{
    return option == &built_in[0] || option == &built_in[1];
}

/* "from 1 to 1000", "of at least 0", ... */
static void range_text(const struct me_option *option, char *text, size_t size)
{
    bool open_end = option->max >= (option->type == ME_OPTION_INT ? (double)INT_MAX : 1e300);
    if (open_end)
        snprintf(text, size, "of at least %.15g", option->min);
    else
        snprintf(text, size, "from %.15g to %.15g", option->min, option->max);
}

static int set_number(const struct me_option *option, const char *text, void *field, const char *where,
                      struct me_error *err)
{
    long whole;
    double number;
    if (option->type == ME_OPTION_INT) {
        long min = option->min < INT_MIN ? INT_MIN : (long)option->min;
        long max = option->max > INT_MAX ? INT_MAX : (long)option->max;
        if (!me_parse_int(text, min, max, &whole)) {
            *(int *)field = (int)whole;
            return 0;
        }
    } else if (!me_parse_double(text, option->min, option->max, &number)) {
        *(double *)field = number;
        return 0;
    }
    char range[64];
    range_text(option, range, sizeof range);
    return me_fail(err, ME_E_INPUT, "%s: %.64s is not a %snumber %s", where, *text ? text : "''",
                   option->type == ME_OPTION_INT ? "whole " : "", range);
}

/* Behind what is there already, on a line of its own. */
static int add_line(const struct me_option *option, const char *text, char *field, const char *where,
                    struct me_error *err)
{
    size_t used = strlen(field), size = (size_t)option->max;
    if (!*text) return me_fail(err, ME_E_INPUT, "%s: empty; give it a value or leave it out", where);
    if (strchr(text, '\n')) return me_fail(err, ME_E_INPUT, "%s: holds a line's end", where);
    if (used + strlen(text) + 2 > size)
        return me_fail(err, ME_E_INPUT, "%s: all together longer than %zu characters", where, size - 1);
    snprintf(field + used, size - used, "%s%s", used ? "\n" : "", text);
    return 0;
}

static int set_option(const struct me_option *option, const char *text, void *target, const char *where,
                      struct me_error *err)
{
    void *field = (char *)target + option->offset;
    if (option->type == ME_OPTION_LIST) return add_line(option, text, field, where, err);
    if (option->type == ME_OPTION_INT || option->type == ME_OPTION_DOUBLE)
        return set_number(option, text, field, where, err);
    if (option->type == ME_OPTION_STRING) {
        if (!*text) return me_fail(err, ME_E_INPUT, "%s: empty; give it a value or leave it out", where);
        *(const char **)field = text;
        return 0;
    }
    if (strcmp(text, "true") && strcmp(text, "false"))
        return me_fail(err, ME_E_INPUT, "%s: %.64s is neither true nor false", where, text);
    *(bool *)field = text[0] == 't';
    return 0;
}

int me_options_set(const struct me_option *options, const char *name, const char *text, void *target,
                   const char *where, struct me_error *err)
{
    const struct me_option *option = find_in(options, name, strlen(name));
    if (!option) return me_fail(err, ME_E_INPUT, "%s: there is no option %.64s", where, name);
    return set_option(option, text, target, where, err);
}

static int fail_unknown(const struct me_command *command, const char *name, size_t len, struct me_error *err)
{
    const char *names[NAMES_MAX + 1];
    size_t n = 0;
    char word[72];
    for (const struct me_option *o = command->options; o && o->name && n < NAMES_MAX - 2; o++)
        names[n++] = o->name;
    for (const struct me_option *o = built_in; o->name; o++) names[n++] = o->name;
    names[n] = NULL;
    snprintf(word, sizeof word, "%.*s", (int)(len < 70 ? len : 70), name);
    const char *near = me_nearest(word, names);
    if (near) return me_fail(err, ME_E_INPUT, "unknown option --%s; did you mean --%s?", word, near);
    return me_fail(err, ME_E_INPUT, "unknown option --%s; see %s --help", word, command->program);
}

struct scan { /* a walk over argv */
    const struct me_command *command;
    int argc;
    char **argv;
    int at;
    void *target;
    uint64_t begun; /* rows of lists that this line has given already */
    struct me_error *err;
};

/* The option's value: behind it in the same word, or the next word. NULL and an error if there is none. */
static const char *take_value(struct scan *scan, const struct me_option *option, const char *attached,
                              const char *where)
{
    if (attached) return attached;
    const char *next = scan->at + 1 < scan->argc ? scan->argv[scan->at + 1] : NULL;
    if (next && strncmp(next, "--", 2)) {
        scan->at++;
        return next;
    }
    me_fail(scan->err, ME_E_INPUT, "%s needs a value: %s %s", where, where,
            option->argument ? option->argument : "VALUE");
    return NULL;
}

static void begin_list(struct scan *scan, const struct me_option *option)
{
    uint64_t bit = (uint64_t)1 << ((size_t)(option - scan->command->options) % 64);
    if (!(scan->begun & bit)) ((char *)scan->target)[option->offset] = '\0';
    scan->begun |= bit;
}

static int apply(struct scan *scan, const struct me_option *option, const char *attached, const char *where)
{
    if (is_built_in(option)) /* alone it was seen before; here it has a value, or is one of several letters */
        return me_fail(scan->err, ME_E_INPUT, "%s stands alone, without a value", where);
    if (option->type == ME_OPTION_FLAG) {
        if (attached) return me_fail(scan->err, ME_E_INPUT, "%s takes no value", where);
        return set_option(option, "true", scan->target, where, scan->err);
    }
    const char *value = take_value(scan, option, attached, where);
    if (value && option->type == ME_OPTION_LIST) begin_list(scan, option);
    return value ? set_option(option, value, scan->target, where, scan->err) : -1;
}

static int parse_long(struct scan *scan)
{
    const char *name = scan->argv[scan->at] + 2;
    size_t len = strcspn(name, "=");
    const struct me_option *option = find_name(scan->command, name, len);
    if (!option) return fail_unknown(scan->command, name, len, scan->err);
    char where[80];
    snprintf(where, sizeof where, "--%s", option->name);
    return apply(scan, option, name[len] ? name + len + 1 : NULL, where);
}

/* -o FILE, -oFILE, and flags together: -qf */
static int parse_letters(struct scan *scan)
{
    const char *word = scan->argv[scan->at];
    if (word[2] && find_name(scan->command, word + 1, strcspn(word + 1, "="))) /* not -o with "utput" */
        return me_fail(scan->err, ME_E_INPUT, "unknown option %.64s; did you mean -%.64s?", word, word);
    for (const char *c = word + 1; *c; c++) {
        const struct me_option *option = find_letter(scan->command, *c);
        if (!option)
            return me_fail(scan->err, ME_E_INPUT, "unknown option -%c; see %s --help", *c,
                           scan->command->program);
        char where[3] = {'-', *c, '\0'};
        bool flag = option->type == ME_OPTION_FLAG;
        if (apply(scan, option, flag || !c[1] ? NULL : c + 1, where)) return -1;
        if (!flag) return 0;
    }
    return 0;
}

/* --help and --version win over everything else on the line. */
static bool seek_built_in(const struct me_command *command, int argc, char **argv,
                          struct me_operands *operands)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
        const struct me_option *row = NULL;
        if (!strncmp(argv[i], "--", 2))
            row = find_name(command, argv[i] + 2, strlen(argv[i] + 2));
        else if (argv[i][0] == '-' && argv[i][1] && !argv[i][2])
            row = find_letter(command, argv[i][1]);
        operands->help |= row == &built_in[0];
        operands->version |= row == &built_in[1];
    }
    return operands->help || operands->version;
}

static int check_operands(const struct me_command *command, const struct me_operands *operands,
                          struct me_error *err)
{
    if (operands->command && !operands->command[0])
        return me_fail(err, ME_E_INPUT, "no command behind --; usage: %s %s", command->program,
                       command->usage);
    if (operands->count < command->min_operands)
        return me_fail(err, ME_E_INPUT, "too few operands; usage: %s %s", command->program, command->usage);
    if (operands->count > command->max_operands) {
        const char *extra = operands->values[command->max_operands];
        if (strpbrk(extra, "{\n")) extra = "(text)"; /* a config's text may hold a password */
        return me_fail(err, ME_E_INPUT, "unexpected operand %.64s; %s%s %s", extra,
                       command->takes_command ? "your own command goes behind --; usage: " : "usage: ",
                       command->program, command->usage);
    }
    return 0;
}

/* Options to the front, operands behind them, "--" and what follows stays: so a line may be parsed
 * a second time over other defaults. */
static int walk(struct scan *scan, char **operands, int *n_operands)
{
    char **argv = scan->argv;
    int front = 1;
    *n_operands = 0;
    for (; scan->at < scan->argc; scan->at++) {
        int first = scan->at;
        if (argv[first][0] != '-' || !argv[first][1]) {
            operands[(*n_operands)++] = argv[first];
            continue;
        }
        if (argv[first][1] == '-' ? parse_long(scan) : parse_letters(scan)) return -1;
        for (int i = first; i <= scan->at; i++) argv[front++] = argv[i];
    }
    if (*n_operands) memcpy(argv + front, operands, (size_t)*n_operands * sizeof *operands);
    return front;
}

int me_options_parse(const struct me_command *command, int argc, char **argv, void *target,
                     struct me_operands *operands, struct me_error *err)
{
    struct me_operands found = {0};
    if (argc < 1 || seek_built_in(command, argc, argv, &found)) {
        *operands = found;
        return 0;
    }
    int end = 1;
    while (end < argc && strcmp(argv[end], "--")) end++;
    char **moved = calloc((size_t)argc, sizeof *moved);
    if (!moved) return me_fail(err, ME_E_RUN, "no memory");
    struct scan scan = {command, end, argv, 1, target, 0, err};
    int front = walk(&scan, moved, &found.count);
    free(moved);
    if (front < 0) return -1;
    found.values = argv + front;
    if (end < argc && command->takes_command) {
        found.command = argv + end + 1; /* argv ends with NULL */
    } else if (end < argc) {            /* "--" only ends the options: the rest are operands too */
        memmove(argv + front + 1, argv + front, (size_t)found.count * sizeof *argv);
        argv[front] = (char *)"--";
        found.values = argv + front + 1;
        found.count += argc - end - 1;
    }
    if (check_operands(command, &found, err)) return -1;
    *operands = found;
    return 0;
}

enum { HELP_COLUMN = 27, HELP_WIDTH = 79 };

/* Words of `text` in lines from HELP_COLUMN on; the cursor stands at column `at`. */
static void print_wrapped(FILE *out, const char *text, int at)
{
    if (at > HELP_COLUMN - 2) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", HELP_COLUMN - at, "");
    int column = HELP_COLUMN;
    while (*text) {
        int len = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            fputc(' ', out);
            column++;
        }
        column += fprintf(out, "%.*s", len, text);
        text += len;
        while (*text == ' ') text++;
    }
    fputc('\n', out);
}

static void print_option(const struct me_option *option, bool letter, FILE *out)
{
    int at = letter ? fprintf(out, "  -%c, --%s", option->letter, option->name)
                    : fprintf(out, "      --%s", option->name);
    if (option->argument) at += fprintf(out, "=%s", option->argument);
    print_wrapped(out, option->help ? option->help : "", at);
}

void me_options_help(const struct me_command *command, FILE *out)
{
    fprintf(out, "Usage: %s %s\n", command->program, command->usage);
    if (command->summary) fprintf(out, "%s\n", command->summary);
    fprintf(out, "\nOptions:\n");
    for (const struct me_option *o = command->options; o && o->name; o++)
        print_option(o, o->letter != 0, out);
    for (const struct me_option *o = built_in; o->name; o++) {
        if (find_in(command->options, o->name, strlen(o->name))) continue;
        print_option(o, !find_letter_in(command->options, o->letter), out);
    }
    if (!command->details) return;
    size_t len = strlen(command->details);
    fprintf(out, "\n%s%s", command->details, len && command->details[len - 1] == '\n' ? "" : "\n");
}
