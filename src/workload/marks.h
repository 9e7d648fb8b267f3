/* The mark protocol (include/me/mark.h), read from bytes as they come. Pure. */
#ifndef ME_MARKS_H
#define ME_MARKS_H

#include "me/workload.h"
#include <stdbool.h>
#include <stddef.h>

enum { ME_MARKS_LINE = 128 }; /* longer than any line of the protocol */

struct me_marks { /* starts as {0} */
    char line[ME_MARKS_LINE];
    size_t len;    /* of the line so far */
    bool skipping; /* the rest of a line that was too long */
};

/* Takes bytes from *at until a line is whole. True: *event is filled (BEGIN, END, WORK, METRIC or
 * BAD_MARK) and *at stands behind what was taken. False: *at == end, and no event. */
bool me_marks_take(struct me_marks *marks, const char **at, const char *end, struct me_child_event *event);
/* No more bytes: a line without its newline is a BAD_MARK. */
bool me_marks_finish(struct me_marks *marks, struct me_child_event *event);

#endif
