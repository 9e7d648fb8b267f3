/* What a check leaves behind. A user's file may start servers as it is imported, in sessions of their own:
 * they would outlive the run, and take part in what is measured. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "descend.h"
#include "me/clock.h"
#include "me/workload.h"

enum { KILL_S = 5 };

struct me_strays {
    struct me_root root;
    struct me_pids before; /* the children that we had already */
    int was_subreaper;
};

int me_strays_watch(struct me_strays **out, struct me_error *err)
{
    struct me_strays *strays = calloc(1, sizeof *strays);
    if (!strays) return me_fail(err, ME_E_RUN, "no memory");
    if (me_root_open(&strays->root, "/", err)) {
        free(strays);
        return -1;
    }
    prctl(PR_GET_CHILD_SUBREAPER, &strays->was_subreaper);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    me_descend_children(&strays->root, 0, &strays->before);
    *out = strays;
    return 0;
}

static void reap(const struct me_strays *strays)
{
    struct me_pids children = {.pids = NULL};
    me_descend_children(&strays->root, 0, &children);
    for (size_t i = 0; i < children.count; i++)
        if (!me_pids_has(&strays->before, children.pids[i])) waitpid(children.pids[i], NULL, WNOHANG);
    me_pids_release(&children);
}

/* Returns how many there were. */
static size_t kill_some(const struct me_strays *strays)
{
    struct me_pids left = {.pids = NULL};
    me_descend_all(&strays->root, &strays->before, &left);
    size_t count = left.count;
    for (size_t i = 0; i < left.count; i++) kill(left.pids[i], SIGKILL);
    me_pids_release(&left);
    return count;
}

void me_strays_end(struct me_strays *strays)
{
    if (!strays) return;
    int64_t end_ns = me_clock_mono_ns() + KILL_S * ME_NS_PER_S;
    while (kill_some(strays) && me_clock_mono_ns() < end_ns) { /* one may just be forking */
        poll(NULL, 0, 1);
        reap(strays);
    }
    reap(strays);
    prctl(PR_SET_CHILD_SUBREAPER, strays->was_subreaper);
    me_pids_release(&strays->before);
    me_root_close(&strays->root);
    free(strays);
}
