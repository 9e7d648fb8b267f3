/* The command line by table: one row an option; --help, the man page and the parser read the same
 * rows. The `experiment` object of a config goes through the same rows (key = option name with _
 * for -), so that both accept the same things with the same messages. */
#ifndef ME_OPTIONS_H
#define ME_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "me/error.h"

enum me_option_type {
    ME_OPTION_FLAG,   /* bool: no argument */
    ME_OPTION_STRING, /* const char *: points into argv */
    ME_OPTION_INT,    /* int, within [min, max] */
    ME_OPTION_DOUBLE, /* double, within [min, max]; inf and nan are refused */
    ME_OPTION_LIST, /* char[max]: may be given several times; one a line. A command line's first replaces what
                       * was there */
};

struct me_option {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* short name or 0 */
    enum me_option_type type;
    size_t offset;        /* offsetof the field in the caller's struct */
    double min, max;      /* for INT and DOUBLE; of a LIST max is the field's size */
    const char *argument; /* "N", "FILE" for --help; NULL for flags */
    const char *help;     /* one line; says the default */
};

struct me_command {
    const char *program; /* "me hosts" */
    const char *usage;   /* "CONFIG [-o FILE]" */
    const char *summary; /* one sentence */
    const char *details; /* paragraphs with examples, or NULL */
    const struct me_option *options;
    int min_operands, max_operands; /* operands before "--" */
    bool takes_command;             /* "-- COMMAND ARGS" is allowed */
};

struct me_operands {
    int count;          /* operands before "--" */
    char **values;      /* into argv */
    char **command;     /* NULL-terminated, behind "--"; NULL if there was no "--" */
    bool help, version; /* --help or --version was given; nothing else is checked then */
};

/* Fills the fields of `target`; argv[0] is passed over and argv is reordered. A bad line is an
 * ME_E_INPUT that names the option and the cure; an unknown option names the nearest known one. */
int me_options_parse(const struct me_command *command, int argc, char **argv, void *target,
                     struct me_operands *operands, struct me_error *err);
/* Sets one option by its long name from text, for the config; to a LIST it is added. `where` stands before
 * the message. */
int me_options_set(const struct me_option *options, const char *name, const char *text, void *target,
                   const char *where, struct me_error *err);
/* --help text, as help2man reads it. */
void me_options_help(const struct me_command *command, FILE *out);
/* The nearest of `names` (NULL-terminated) to `word` by edit distance, or NULL if none is near. */
const char *me_nearest(const char *word, const char *const *names);
/* Strict numbers: the whole text, within the range. 0 or -1. */
int me_parse_int(const char *text, long min, long max, long *value);
int me_parse_double(const char *text, double min, double max, double *value);

#endif
