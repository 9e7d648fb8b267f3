/* An experiment as a folder and as a command line; shared by me_bench and `me run`, so that both
 * accept and refuse the same. */
#ifndef ME_EXPERIMENT_H
#define ME_EXPERIMENT_H

#include "me/plan.h"

/* me_bench's command line. The rows of me_experiment_options have offsets in `experiment`, those of
 * me_bench_options_own in the whole. */
struct me_bench_options {
    struct me_options_experiment experiment;
    bool append, force, resume;
    bool shared; /* other jobs may write into the experiment too: append, or create where nothing is yet */
    const char *progress; /* auto, lines, none */
    const char *root;
    double lost_after_s;
    const char *series;      /* gather, or local: they stay where they were measured */
    double series_limit_mib; /* of a machine; larger ones stay there too */
    const char *folder;      /* EXPERIMENT */
};
extern const struct me_option me_bench_options_own[];
void me_bench_options_defaults(struct me_bench_options *options);

enum { ME_BENCH_OPTIONS_MAX = 40 };
/* All rows of a me_bench_options that stands at `base` in the caller's struct, with the end row.
 * `rows` holds ME_BENCH_OPTIONS_MAX; returns how many there are. */
size_t me_bench_options_rows(struct me_option *rows, size_t base);

/* What the rows alone cannot tell: options that exclude each other, the name of the folder. A
 * `progress` of NULL was not given. Looks at no file. */
int me_bench_options_check(const struct me_bench_options *options, struct me_error *err);

/* The folder's last part, which names the experiment and its file; not terminated. */
const char *me_experiment_name(const char *folder, size_t *len);
/* "<folder>/<name>.h5" */
void me_experiment_result_path(const char *folder, char *path, size_t size);

#endif
