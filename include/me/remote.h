/* A connection to a machine: run a command there, put a file there. One row a transport: ssh
 * (libssh2) and local (the tests' and machine 0's). Blocking, each call bounded by its timeout; one
 * connection is used by one thread at a time. */
#ifndef ME_REMOTE_H
#define ME_REMOTE_H

#include <stdatomic.h>
#include "me/buffer.h"
#include "me/cluster.h"

struct me_remote_options {
    double connect_timeout_s; /* name resolution, TCP, handshake and login together; default 10 */
    bool accept_new;          /* record a host key seen for the first time */
    const char *known_hosts;  /* the user's file; NULL: ~/.ssh/known_hosts */
    /* Asks a person for the passphrase of a key file; NULL or false: cannot ask. The text is
     * overwritten after use. May be called by several threads. */
    bool (*ask)(void *context, const char *prompt, char *text, size_t size);
    /* Hears what a command there prints, as it comes, beside exec's buffers; NULL: nobody. By several threads. */
    void (*heard)(void *context, const char *bytes, size_t len);
    void *context;
    const atomic_bool *cancel; /* NULL; or: once it is true, every wait ends with an error */
};

struct me_remote;
struct me_remote_ops {
    const char *name;
    int (*connect)(struct me_remote **out, const struct me_machine *machine,
                   const struct me_remote_options *options, struct me_error *err);
    /* Runs a shell command line there, feeding `input` (may be NULL). *status: its exit status. */
    int (*exec)(struct me_remote *remote, const char *command, const struct me_buffer *input,
                double timeout_s, struct me_buffer *out, struct me_buffer *errout, int *status,
                struct me_error *err);
    /* Copies a local file there (SFTP), written aside and renamed; `mode` as in chmod. */
    int (*put)(struct me_remote *remote, const char *local_path, const char *remote_path, int mode,
               struct me_error *err);
    /* What host key it showed ("ssh-ed25519 AAAA..."), and our address on that connection. */
    const char *(*host_key)(const struct me_remote *remote);
    const char *(*local_address)(const struct me_remote *remote);
    void (*close)(struct me_remote *remote); /* NULL-safe */
};
extern const struct me_remote_ops me_remote_ssh, me_remote_local;

#endif
