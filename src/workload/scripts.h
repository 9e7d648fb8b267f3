/* Our Python files, embedded at build time: the frameworks' scripts, the runner of a user's function, and the
 * module of marks. To add one: lay it into src/workload/frameworks or scripts/python/machine_energy. */
#ifndef ME_WORKLOAD_SCRIPTS_H
#define ME_WORKLOAD_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>

struct me_script {
    const char *name; /* "train_keras.py", "machine_energy/__init__.py" */
    const char *text;
    size_t len;
    const char *next; /* begin with NULL */
};
bool me_scripts_next(struct me_script *script);

#endif
