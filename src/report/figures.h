/* The figures of summaries as cells: one unit for each column, and what all lines share goes to the head. */
#ifndef ME_FIGURES_H
#define ME_FIGURES_H

#include "writer.h"

struct me_figures {
    bool class, work_unit; /* whether all rows have the same */
    struct me_scale energy, power, duration, carbon, work, work_carbon, rate;
};
struct me_figures me_figures_for(const struct me_row_summary *const *rows, size_t count);

/* Heads for what is told a unit of work: ">mJ/sample", ">ugCO2e/sample", ">samples/s". Where the rows count
 * different work, the cells have the units. A sheet points at them. */
struct me_figures_heads {
    char work[40], work_carbon[40], rate[40];
};
void me_figures_name(const struct me_figures *figures, const struct me_row_summary *const *rows, size_t count,
                     struct me_figures_heads *heads);
void me_figures_add_work(struct me_sheet *sheet, const struct me_figures *figures,
                         const struct me_row_summary *row);
void me_figures_add_work_carbon(struct me_sheet *sheet, const struct me_figures *figures,
                                const struct me_row_summary *row);
void me_figures_add_rate(struct me_sheet *sheet, const struct me_figures *figures,
                         const struct me_row_summary *row);
void me_figures_add_accuracy(struct me_sheet *sheet, const struct me_row_summary *row);
void me_figures_add(struct me_sheet *sheet, const struct me_scale *scale, double value, double ci);
/* In the unit that fits the one value: "80.3 J". */
void me_figures_add_alone(struct me_sheet *sheet, enum me_quantity quantity, double value);
void me_figures_text(char *text, size_t size, enum me_quantity quantity, double value);
/* A name of at most `width` columns; of a longer one an ellipsis stands before its last `tail` bytes. */
void me_figures_add_name(struct me_sheet *sheet, const char *name, size_t width, size_t tail);

/* One of the unit's things: "sample" of "samples"; up to 23 characters. */
void me_figures_unit(char *text, size_t size, const char *unit);
/* "MODELLED", "FAKE", ... or "": what a figure that is no measurement has to say. */
const char *me_figures_mark(const struct me_row_summary *row);

#endif
