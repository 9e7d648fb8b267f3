/* The plan's job and its nodes as JSON. */
#ifndef ME_CONFIG_BATCH_JSON_H
#define ME_CONFIG_BATCH_JSON_H

#include "doc.h"
#include "me/batch.h"

/* NULL: no memory. */
cJSON *me_batch_job_to_json(const struct me_batch_job *job);
cJSON *me_batch_node_to_json(const struct me_batch_node *node);
/* The members "job" and "node" of an object; absent: nothing is known. Of a member that is there, what it does not
 * have is not known either. */
int me_batch_job_from_json(const struct me_doc_object *plan, struct me_batch_job *out, struct me_error *err);
int me_batch_node_from_json(const struct me_doc_object *machine, struct me_batch_node *out,
                            struct me_error *err);

#endif
