/* The ssh transport's parts. A connection is one struct me_remote; every wait is bounded by a
 * deadline on the monotonic clock and ends early when options.cancel is set. */
#ifndef ME_REMOTE_SSH_H
#define ME_REMOTE_SSH_H

#include <libssh2.h>
#include <stdatomic.h>
#include <stdint.h>
#include "me/remote.h"

struct me_remote {
    int fd;
    LIBSSH2_SESSION *session;
    const atomic_bool *cancel;
    void (*heard)(void *context, const char *bytes, size_t len);
    void *context;
    char where[256]; /* "node7 (user@192.0.2.7:22)", for messages */
    char address[128];
    char host_key[1024]; /* "ssh-ed25519 AAAA..." */
    char local_address[64];
    char *password; /* only during the login */
    int answers;    /* prompts answered with it */
};

/* net.c: resolves and connects, within the deadline. Returns the descriptor (non-blocking) or -1. */
int me_net_connect(const char *address, int port, const char *where, int64_t deadline,
                   const atomic_bool *cancel, struct me_error *err);
/* poll() in slices, so that a cancel is seen. 1: ready, 0: deadline or cancel (see me_net_why). */
int me_net_wait(int fd, short events, int64_t deadline, const atomic_bool *cancel);
/* "timed out" or "interrupted". */
const char *me_net_why(const atomic_bool *cancel);

/* ssh.c: waits until libssh2 may go on after LIBSSH2_ERROR_EAGAIN. 0, or -1 when the time is up. */
int me_ssh_wait(struct me_remote *remote, int64_t deadline);
/* The session's last error as text. */
const char *me_ssh_reason(struct me_remote *remote);

/* knownhosts.c: the user's known_hosts, and ours to append to. */
struct me_known {
    char *path;   /* the file that --accept-new appends to */
    char **lines; /* of all files read, only those that name the host */
    size_t count;
};
int me_known_load(struct me_known *known, const char *path, const char *address, int port,
                  struct me_error *err);
void me_known_release(struct me_known *known);
/* The host key algorithms to ask for: those already known first, then the rest. */
void me_known_preferences(const struct me_known *known, const char *host_key, char *list, size_t size);
/* Accepts or refuses the key "TYPE BASE64" with fingerprint "SHA256:..."; see me_remote_options. */
int me_known_check(const struct me_known *known, const struct me_machine *machine, const char *where,
                   const char *key, const char *fingerprint, bool accept_new, struct me_error *err);

/* auth.c: logs in, by whatever the machine's entry gives. */
int me_ssh_login(struct me_remote *remote, const struct me_machine *machine,
                 const struct me_remote_options *options, int64_t deadline, struct me_error *err);

/* agent.c: a client of ssh-agent, and an agent of our own for keys that libssh2 cannot use. */
struct me_identity {
    unsigned char *blob; /* public key as on the wire */
    size_t len;
};
/* The identities an agent holds; count 0 if it has none. -1: no agent answers at the socket. */
int me_agent_list(const char *socket_path, struct me_identity **out, size_t *count);
void me_agent_list_free(struct me_identity *identities, size_t count);
/* Signs; the signature comes without its algorithm's name. RSA keys sign with SHA-2 512. */
int me_agent_sign(const char *socket_path, const struct me_identity *identity, const unsigned char *data,
                  size_t data_len, unsigned char **signature, size_t *len);
struct me_own_agent {
    char dir[128]; /* private, with the socket; "" when none */
    char socket[160];
    int hold; /* the agent ends when this pipe closes, however we die */
    int pid;
};
/* Starts an agent that holds the one key. 1: wrong passphrase. */
int me_own_agent_start(struct me_own_agent *agent, const char *key_path, const char *passphrase,
                       struct me_error *err);
void me_own_agent_stop(struct me_own_agent *agent);

/* key.c: what can be told of a private key file without its passphrase. */
struct me_key {
    struct me_identity identity; /* blob NULL if not known */
    char type[64];               /* "ssh-ed25519", "" if not known */
    bool encrypted;
    bool openssh; /* in OpenSSH's own format */
};
int me_key_read(struct me_key *key, const char *path, struct me_error *err);
void me_key_release(struct me_key *key);

/* text.c */
void me_base64_encode(const void *bytes, size_t len, bool pad, char *text, size_t size);
/* Returns the number of bytes, or -1; blanks and newlines are passed over. */
long me_base64_decode(const char *text, size_t len, unsigned char *bytes, size_t size);
uint32_t me_wire_u32(const unsigned char *bytes);
/* Takes a length-prefixed string at *at (moved behind it); NULL if it does not fit before `end`. */
const unsigned char *me_wire_string(const unsigned char **at, const unsigned char *end, size_t *len);
void me_wire_put(struct me_buffer *out, const void *bytes, size_t len);
/* Overwrites, then frees; NULL-safe. */
void me_wipe_free(char *secret);

#endif
