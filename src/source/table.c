#include "me/source.h"
#include "model.h"
#include "powercap.h"

/* In order of preference: of two that show the same thing the first counts, and the model is the last
 * resort. How to add one stands in me/source.h. */
const struct me_source_ops *const me_source_table[] = {
    &me_powercap_ops,
    &me_model_ops,
    NULL,
};
