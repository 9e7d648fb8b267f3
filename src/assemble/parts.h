/* What the head makes of a machine's parts. */
#ifndef ME_ASSEMBLE_PARTS_H
#define ME_ASSEMBLE_PARTS_H

#include "me/assembly.h"
#include "spool.h"

/* The rows of a machine as it sent them: checked to be of that machine alone. `out` is empty before. */
int me_parts_rows(const struct me_buffer *rows, int32_t machine_id, struct me_result *out,
                  struct me_error *err);
/* place.c: puts the series where they stay, if so; the part is then a link to them, and `row` says where they are. */
void me_series_place_keep(const struct me_series_place *place, struct me_row_machine *row,
                          const struct me_result *result, struct me_parts *parts);
/* Reads a part of series: if it is a link, its repeats (`repeats` is the caller's) and file; else *link is "". -1: it is
 * neither. */
int me_series_place_link(struct me_stream *series, char *link, size_t size, int **repeats, size_t *count);

/* Writes the logs of a machine into `folder`/logs; repeats get `add` to their numbers. 0, or an errno. */
int me_parts_write_logs(struct me_stream *logs, const char *folder, int machine_id, int add);

#endif
