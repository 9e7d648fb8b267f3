/* An assembly: from what the machines tell to the experiment's file and its logs. me_bench feeds it with what its
 * ranks send, `me recover` with journals; both give the same file. */
#ifndef ME_ASSEMBLY_H
#define ME_ASSEMBLY_H

#include <stdio.h>
#include "me/buffer.h"
#include "me/plan.h"
#include "me/result.h"

struct me_assembly_options {
    const char *folder;    /* of the experiment; it is there, with logs/ in it */
    bool append;           /* adds to the result that is there */
    bool append_or_create; /* adds to the result if one is there at the finish */
    const char *program;   /* "me_bench": begins the lines to `out` */
    FILE *out;             /* hears of logs that have no room */
};

struct me_assembly;
/* The plan and the options' texts are the caller's and stay until the release; statuses and reasons of the plan's
 * machines are filled in. Reads the result that is there, for append. */
int me_assembly_begin(struct me_assembly **out, struct me_plan *plan,
                      const struct me_assembly_options *options, struct me_error *err);
/* What machine `id` of the plan told, a record or a journal as bytes; NULL or nothing: none came. Once a machine, in
 * any order; machines that are not part of the result (a head that only leads) are passed over. */
int me_assembly_add(struct me_assembly *assembly, int id, const void *bytes, size_t len,
                    struct me_error *err);
/* Ranks and writes the file, then the logs. Plan machines that nothing was added for are lost, or what the plan says.
 * `stopped`: the experiment is "interrupted". *result is the caller's. Nothing is changed on failure. */
int me_assembly_finish(struct me_assembly *assembly, bool stopped, struct me_result *result,
                       struct me_error *err);
void me_assembly_release(struct me_assembly *assembly); /* NULL-safe */

/* For --append, before anything is run: may what comes be added to what is there? What only the machines
 * can tell (boot ids, channels) is looked at afterwards. */
int me_assembly_check(const struct me_plan *plan, const char *folder, struct me_error *err);

#endif
