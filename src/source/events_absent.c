#include "events.h"
#include "perf.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

void me_events_explain(struct me_source *source, const struct me_root *root, int error)
{
    char text[96];
    source->cure[0] = '\0';
    if (error == EACCES || error == EPERM || error == ENOSYS) {
        me_perf_explain_denied(source, root, error);
    } else if (error == EMFILE || error == ENFILE) {
        snprintf(source->reason, sizeof source->reason,
                 "the limit of open files is too small for a descriptor per event and processor");
        snprintf(source->cure, sizeof source->cure, "ulimit -n 65536");
    } else {
        snprintf(source->reason, sizeof source->reason, "perf_event_open: %s",
                 strerror_r(error, text, sizeof text));
    }
}
