/* What the head makes of a machine's parts. */
#ifndef ME_ASSEMBLE_PARTS_H
#define ME_ASSEMBLE_PARTS_H

#include "me/assembly.h"
#include "spool.h"

/* The rows of a machine as it sent them: checked to be of that machine alone. `out` is empty before. */
int me_parts_rows(const struct me_buffer *rows, int32_t machine_id, struct me_result *out,
                  struct me_error *err);
/* Writes the logs of a machine into `folder`/logs; repeats get `add` to their numbers. 0, or an errno. */
int me_parts_write_logs(struct me_stream *logs, const char *folder, int machine_id, int add);

#endif
