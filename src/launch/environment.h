/* The environment of a launch: ours, less what is secret, with the settings of gen.hosts.d/env. */
#ifndef ME_LAUNCH_ENVIRONMENT_H
#define ME_LAUNCH_ENVIRONMENT_H

#include <stddef.h>
#include "me/error.h"

/* One line of an env file: export NAME='VALUE', where VALUE may hold '\'' and may be followed by
 * :"$NAME", which is the variable's value in `environment`. Comments and empty lines give *name NULL.
 * Name and value are to be freed. */
int me_environment_line(const char *line, char *const *environment, char **name, char **value,
                        struct me_error *err);
/* A new environment: `environment` less the names of `strip`, with the lines of the text over it.
 * `source` names the text in messages. Freed with me_environment_free. */
int me_environment_build(const char *text, const char *source, char *const *environment, char *const *strip,
                         char ***out, struct me_error *err);
void me_environment_free(char **environment);

#endif
