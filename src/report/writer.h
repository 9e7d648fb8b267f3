/* What the writers share: numbers, units, columns. */
#ifndef ME_WRITER_H
#define ME_WRITER_H

#include <stdbool.h>
#include "me/buffer.h"
#include "me/report.h"
#include "me/table.h"

#define ME_WRITER_WIDTH  100 /* columns that text keeps to */
#define ME_WRITER_NUMBER 40  /* bytes that hold any number */

int me_text_write(const struct me_result *result, FILE *out, struct me_error *err);
int me_json_write(const struct me_result *result, FILE *out, struct me_error *err);
int me_csv_write(const struct me_result *result, FILE *out, struct me_error *err);

/* numbers.c */

/* The shortest decimal text that reads back as the same value; "nan" and "inf" as printf has them. */
void me_number_text(char *text, double value);
/* The cell of a row as text; NaN and infinities as "". For text columns use the field itself. */
void me_number_cell(char *text, const struct me_column *column, const void *row);

/* One unit and one number of decimals for a whole column, so that its cells compare by eye. */
enum me_quantity { ME_ENERGY, ME_POWER, ME_DURATION, ME_CARBON, ME_RATE };
struct me_span_of {  /* what the column holds; begin with {0} */
    double min, max; /* of the magnitudes that are known and not zero */
    double ci_max;
};
struct me_scale {
    double factor;
    int decimals;
    const char *unit;
};
void me_span_add(struct me_span_of *span, double value, double ci);
struct me_scale me_scale_for(enum me_quantity quantity, const struct me_span_of *span);
/* "165.0 ± 0.1 J", "165.0 J" where ci is NaN, "-" where the value is. */
void me_scale_text(char *text, size_t size, const struct me_scale *scale, double value, double ci);

/* sheet.c: lines of cells in aligned columns. Columns whose cells are all empty are left out. */
#define ME_SHEET_COLUMNS 14
struct me_sheet {
    size_t columns, cells;
    const char *heads[ME_SHEET_COLUMNS]; /* "<machine" is aligned left, ">energy" right */
    struct me_buffer text;               /* the cells, NUL behind each */
};
void me_sheet_init(struct me_sheet *sheet, const char *const *heads, size_t columns);
/* The next cell, row by row. Control characters become '?': names come from elsewhere. */
void me_sheet_add(struct me_sheet *sheet, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints behind `indent` blanks; the heads are left out if every head is empty. */
void me_sheet_print(struct me_sheet *sheet, FILE *out, int indent);
/* The columns that its longest line takes at least, behind `indent` blanks. */
size_t me_sheet_width(const struct me_sheet *sheet, int indent);
void me_sheet_release(struct me_sheet *sheet); /* NULL-safe */

/* A paragraph broken at ME_WRITER_WIDTH, all lines behind `indent` blanks, the later ones two more. */
void me_wrap(FILE *out, int indent, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* runs.c: the rows of phase "run", found by machine and repeat. */
struct me_runs {
    const struct me_row_repeat **rows; /* by machine and repeat */
    size_t count;
};
int me_runs_init(struct me_runs *runs, const struct me_result *result); /* -1: no memory */
/* NULL: there is none. */
const struct me_row_repeat *me_runs_find(const struct me_runs *runs, int machine_id, int repeat);
/* The runs of a machine: *first points at them. Returns how many. */
size_t me_runs_of(const struct me_runs *runs, int machine_id, const struct me_row_repeat *const **first);
void me_runs_release(struct me_runs *runs); /* NULL-safe */

/* text_*.c: the parts of the text report. Each prints nothing if it has nothing to say. */
const struct me_row_machine *me_text_machine(const struct me_result *result, int machine_id);
const char *me_text_name(const struct me_result *result, int machine_id);
/* Whether more than one workload ran: then each figure has to say whose it is. */
bool me_text_is_plural(const struct me_result *result);
/* The highest number of a group that has a ranked machine; 0 if none is ranked. */
int me_text_groups(const struct me_result *result);
/* The ranked rows of a group by place, into `rows` (room for all summaries); how many. */
size_t me_text_group(const struct me_result *result, int group, const struct me_row_summary **rows);
void me_text_ranking(const struct me_result *result, FILE *out);
void me_text_single(const struct me_result *result, FILE *out);
void me_text_best(const struct me_result *result, FILE *out);
void me_text_workloads(const struct me_result *result, FILE *out);
void me_text_notes(const struct me_result *result, FILE *out);
void me_text_shared(const struct me_result *result, FILE *out);
void me_text_jobs(const struct me_result *result, FILE *out);
void me_text_unranked(const struct me_result *result, FILE *out);
void me_text_trouble(const struct me_result *result, FILE *out);
void me_text_grid(const struct me_result *result, FILE *out);
void me_text_containers(const struct me_result *result, FILE *out);
void me_text_regions(const struct me_result *result, FILE *out);
void me_text_activity(const struct me_result *result, FILE *out);
void me_text_cost(const struct me_result *result, FILE *out);
void me_text_uncounted(const struct me_result *result, FILE *out);

#endif
