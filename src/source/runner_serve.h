/* The runner's own process, and what the two say to each other: one packet there, one back. */
#ifndef ME_SOURCE_RUNNER_SERVE_H
#define ME_SOURCE_RUNNER_SERVE_H

#include <stdint.h>
#include "me/root.h"

enum { ME_RUNNER_ARGS = 8, ME_RUNNER_REQUEST = 8192, ME_RUNNER_OUTPUT = 65536 };

struct me_runner_request {
    uint32_t number; /* of the request; the answer repeats it */
    int32_t timeout_ms;
    char words[ME_RUNNER_REQUEST]; /* each with its NUL */
};
struct me_runner_answer {
    uint32_t number;
    int32_t error;  /* errno, or 0 */
    int32_t status; /* of waitpid */
    char text[ME_RUNNER_OUTPUT];
};

/* All that the runner needs, made before the fork: behind it only what is safe in a signal handler may
 * be called, since other threads may have held any lock. */
struct me_runner_serve {
    int socket, null_fd;
    struct me_root root; /* "/": for proc */
    char **environment;
    struct me_runner_request request;
    struct me_runner_answer answer;
};

/* Answers requests until the other end of the socket is closed. */
_Noreturn void me_runner_serve(struct me_runner_serve *serve);

#endif
