#include <stdio.h>
#include <string.h>
#include "prepare.h"

static int make_folder(struct me_host *host, const char *dir, struct me_error *err)
{
    struct me_buffer script = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    int status = 0;
    me_buffer_puts(&script, "umask 077\nmkdir -p ");
    me_buffer_shell_quoted(&script, dir);
    me_buffer_puts(&script, "\n");
    int rc = host->ops->exec(host->remote, "sh -s", &script, 30, NULL, &errout, &status, err);
    if (!rc && status)
        rc = me_fail(err, ME_E_MACHINE, "%s: cannot make %s there: %s", host->machine->name, dir,
                     errout.data ? errout.data : "no reason given");
    me_buffer_release(&script);
    me_buffer_release(&errout);
    return rc;
}

/* me_kernel first: where me_bench is, everything is. */
static int put_programs(struct me_preparation *preparation, struct me_host *host, struct me_error *err)
{
    char dir[400], target[440];
    snprintf(dir, sizeof dir, "%s/.cache/machine-energy/%s/bin", host->facts.home,
             preparation->head.stage_id);
    if (make_folder(host, dir, err)) return -1;
    snprintf(target, sizeof target, "%s/me_kernel", dir);
    if (host->ops->put(host->remote, preparation->head.kernel, target, 0700, err)) return -1;
    snprintf(target, sizeof target, "%s/me_bench", dir);
    return host->ops->put(host->remote, preparation->head.bench, target, 0700, err);
}

void me_stage(struct me_preparation *preparation, struct me_host *host)
{
    struct me_error err = {0};
    if (!host->state || !me_preflight_needs_stage(&host->facts)) return;
    if (put_programs(preparation, host, &err)) {
        me_host_fail(host, &err);
        return;
    }
    me_preflight(preparation, host); /* again, now with the programs there */
}
