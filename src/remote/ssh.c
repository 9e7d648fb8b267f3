#include "ssh.h"
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "me/clock.h"
#include "sftp.h"

/* libssh2 copies passwords and keys into its own memory: all of it is overwritten when it is freed. */
static void *wiping_alloc(size_t size, void **abstract)
{
    (void)abstract;
    return malloc(size);
}

static void wiping_free(void *memory, void **abstract)
{
    (void)abstract;
    if (memory) explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

static void *wiping_realloc(void *memory, size_t size, void **abstract)
{
    void *fresh = malloc(size);
    if (!fresh || !memory) return fresh;
    size_t old = malloc_usable_size(memory);
    memcpy(fresh, memory, old < size ? old : size);
    wiping_free(memory, abstract);
    return fresh;
}

/* sshd sends in Nagle's way until a command runs: its second small packet waits until we acknowledge
 * the first, which the kernel puts off by 40 ms when we have nothing to say. Linux forgets the wish
 * after a while, so every wait renews it. */
static void acknowledge_at_once(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

int me_ssh_wait(struct me_remote *remote, int64_t deadline)
{
    int directions = libssh2_session_block_directions(remote->session);
    short events = 0;
    if (directions & LIBSSH2_SESSION_BLOCK_INBOUND) events |= POLLIN;
    if (directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) events |= POLLOUT;
    acknowledge_at_once(remote->fd);
    return me_net_wait(remote->fd, events ? events : POLLIN, deadline, remote->cancel) ? 0 : -1;
}

const char *me_ssh_reason(struct me_remote *remote)
{
    char *text = NULL;
    int code = libssh2_session_last_error(remote->session, &text, NULL, 0);
    if (code == LIBSSH2_ERROR_EAGAIN) return me_net_why(remote->cancel);
    if (code == LIBSSH2_ERROR_SOCKET_DISCONNECT || code == LIBSSH2_ERROR_SOCKET_RECV)
        return "the machine closed the connection";
    return text && *text ? text : "unknown ssh error";
}

static int handshake(struct me_remote *remote, const struct me_known *known, const struct me_machine *machine,
                     int64_t deadline, struct me_error *err)
{
    char preferences[256];
    int rc;
    remote->session = libssh2_session_init_ex(wiping_alloc, wiping_free, wiping_realloc, remote);
    if (!remote->session) return me_fail(err, ME_E_RUN, "no memory for an ssh session");
    libssh2_session_set_blocking(remote->session, 0);
    me_known_preferences(known, machine->host_key, preferences, sizeof preferences);
    libssh2_session_method_pref(remote->session, LIBSSH2_METHOD_HOSTKEY, preferences);
    while ((rc = libssh2_session_handshake(remote->session, remote->fd)) == LIBSSH2_ERROR_EAGAIN &&
           !me_ssh_wait(remote, deadline))
        continue;
    if (!rc) return 0;
    if (rc == LIBSSH2_ERROR_EAGAIN)
        return me_fail(err, ME_E_MACHINE,
                       "%s: the ssh handshake %s: port %d answers, but not as an ssh server", remote->where,
                       me_net_why(remote->cancel), machine->port);
    if (rc == LIBSSH2_ERROR_KEX_FAILURE)
        return me_fail(err, ME_E_MACHINE,
                       "%s: no common ssh methods: the server needs an ed25519 or ECDSA host key (run there: "
                       "ssh-keygen -A)",
                       remote->where);
    return me_fail(err, ME_E_MACHINE, "%s: the ssh handshake failed: %s", remote->where,
                   me_ssh_reason(remote));
}

static int take_host_key(struct me_remote *remote, char *fingerprint, size_t size, struct me_error *err)
{
    size_t len = 0, type_len = 0;
    int kind;
    const unsigned char *key = (const unsigned char *)libssh2_session_hostkey(remote->session, &len, &kind);
    const char *hash = libssh2_hostkey_hash(remote->session, LIBSSH2_HOSTKEY_HASH_SHA256);
    const unsigned char *at = key;
    const unsigned char *type = key ? me_wire_string(&at, key + len, &type_len) : NULL;
    if (!type || !hash || type_len > 64)
        return me_fail(err, ME_E_MACHINE, "%s: the machine shows no usable host key", remote->where);
    int n = snprintf(remote->host_key, sizeof remote->host_key, "%.*s ", (int)type_len, (const char *)type);
    me_base64_encode(key, len, true, remote->host_key + n, sizeof remote->host_key - (size_t)n);
    n = snprintf(fingerprint, size, "SHA256:");
    me_base64_encode(hash, 32, false, fingerprint + n, size - (size_t)n);
    return 0;
}

static void take_local_address(struct me_remote *remote)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name = {.any = {0}};
    socklen_t size = sizeof name;
    if (getsockname(remote->fd, &name.any, &size)) return;
    const void *bytes = name.any.sa_family == AF_INET6 ? (const void *)&name.v6.sin6_addr : &name.v4.sin_addr;
    inet_ntop(name.any.sa_family, bytes, remote->local_address, sizeof remote->local_address);
}

static void ssh_close(struct me_remote *remote)
{
    if (!remote) return;
    if (remote->session) {
        /* Polite, but only if it goes out at once. */
        libssh2_session_disconnect(remote->session, "done");
        /* From here on nothing can block, so that the session really is freed, and wiped. */
        shutdown(remote->fd, SHUT_RDWR);
        for (int i = 0; i < 10 && libssh2_session_free(remote->session) == LIBSSH2_ERROR_EAGAIN; i++)
            continue;
    }
    if (remote->fd >= 0) close(remote->fd);
    free(remote);
}

static pthread_once_t library_once = PTHREAD_ONCE_INIT; /* libssh2_init is not safe from two threads */
static void start_library(void)
{
    libssh2_init(0);
}

static int ssh_connect(struct me_remote **out, const struct me_machine *machine,
                       const struct me_remote_options *options, struct me_error *err)
{
    int64_t deadline = me_clock_mono_ns() + (int64_t)(options->connect_timeout_s * (double)ME_NS_PER_S);
    struct me_known known = {0};
    struct me_remote *remote = calloc(1, sizeof *remote);
    char fingerprint[64];
    int rc = -1;
    pthread_once(&library_once, start_library);
    if (!remote) return me_fail(err, ME_E_RUN, "no memory for a connection");
    remote->fd = -1;
    remote->cancel = options->cancel;
    remote->heard = options->heard;
    remote->context = options->context;
    if (strcmp(machine->name, machine->address))
        snprintf(remote->where, sizeof remote->where, "%s (%s@%s:%d)", machine->name, machine->user,
                 machine->address, machine->port);
    else
        snprintf(remote->where, sizeof remote->where, "%s@%s:%d", machine->user, machine->address,
                 machine->port);
    if (me_known_load(&known, options->known_hosts, machine->address, machine->port, err)) goto out;
    remote->fd =
        me_net_connect(machine->address, machine->port, remote->where, deadline, options->cancel, err);
    if (remote->fd < 0) goto out;
    take_local_address(remote);
    if (handshake(remote, &known, machine, deadline, err)) goto out;
    if (take_host_key(remote, fingerprint, sizeof fingerprint, err)) goto out;
    if (me_known_check(&known, machine, remote->where, remote->host_key, fingerprint, options->accept_new,
                       err))
        goto out;
    rc = me_ssh_login(remote, machine, options, deadline, err);
out:
    me_known_release(&known);
    if (rc)
        ssh_close(remote);
    else
        *out = remote;
    return rc;
}

/* One running command. */
struct run {
    struct me_remote *remote;
    LIBSSH2_CHANNEL *channel;
    const struct me_buffer *input;
    size_t sent;
    bool eof_sent;
    struct me_buffer *out, *errout;
};

static int lost(struct me_remote *remote, const char *doing, struct me_error *err)
{
    return me_fail(err, ME_E_MACHINE, "%s: %s: %s", remote->where, doing, me_ssh_reason(remote));
}

static int open_channel(struct run *run, const char *command, int64_t deadline, struct me_error *err)
{
    struct me_remote *remote = run->remote;
    int rc;
    while (!(run->channel = libssh2_channel_open_session(remote->session))) {
        if (libssh2_session_last_errno(remote->session) != LIBSSH2_ERROR_EAGAIN ||
            me_ssh_wait(remote, deadline))
            return lost(remote, "cannot open a session", err);
    }
    while ((rc = libssh2_channel_exec(run->channel, command)) == LIBSSH2_ERROR_EAGAIN)
        if (me_ssh_wait(remote, deadline)) break;
    return rc ? lost(remote, "cannot run a command", err) : 0;
}

/* Takes what has come on one stream. >0: progress, 0: nothing, -1: broken. */
static int take(struct run *run, int stream, struct me_buffer *to)
{
    char bytes[16384];
    ssize_t n = libssh2_channel_read_ex(run->channel, stream, bytes, sizeof bytes);
    if (n == LIBSSH2_ERROR_EAGAIN || n == 0) return 0;
    if (n < 0) return -1;
    if (to) me_buffer_append(to, bytes, (size_t)n);
    if (run->remote->heard) run->remote->heard(run->remote->context, bytes, (size_t)n);
    return 1;
}

static int give(struct run *run)
{
    size_t left = run->input ? run->input->len - run->sent : 0;
    if (left) {
        ssize_t n = libssh2_channel_write(run->channel, run->input->data + run->sent, left);
        if (n == LIBSSH2_ERROR_EAGAIN) return 0;
        if (n == LIBSSH2_ERROR_CHANNEL_CLOSED || n == LIBSSH2_ERROR_CHANNEL_EOF_SENT) { /* it reads no more */
            run->sent = run->input->len;
            return 1;
        }
        if (n < 0) return -1;
        run->sent += (size_t)n;
        return 1;
    }
    if (run->eof_sent) return 0;
    int rc = libssh2_channel_send_eof(run->channel);
    if (rc == LIBSSH2_ERROR_EAGAIN) return 0;
    run->eof_sent = true;
    return rc ? -1 : 1;
}

static int converse(struct run *run, int64_t deadline, struct me_error *err)
{
    struct me_remote *remote = run->remote;
    for (;;) {
        int out = take(run, 0, run->out);
        int errout = out < 0 ? 0 : take(run, SSH_EXTENDED_DATA_STDERR, run->errout);
        int in = out < 0 || errout < 0 ? 0 : give(run);
        if (out < 0 || errout < 0 || in < 0) return lost(remote, "the connection broke", err);
        if (out + errout + in > 0) continue;
        if (libssh2_channel_eof(run->channel)) return 0;
        if (me_ssh_wait(remote, deadline))
            return me_fail(err, ME_E_MACHINE, "%s: a command there %s", remote->where,
                           me_net_why(remote->cancel));
    }
}

static int finish(struct run *run, int64_t deadline, int *status, struct me_error *err)
{
    struct me_remote *remote = run->remote;
    char *signal_name = NULL;
    int rc;
    while ((rc = libssh2_channel_close(run->channel)) == LIBSSH2_ERROR_EAGAIN)
        if (me_ssh_wait(remote, deadline)) break;
    while (!rc && (rc = libssh2_channel_wait_closed(run->channel)) == LIBSSH2_ERROR_EAGAIN)
        if (me_ssh_wait(remote, deadline)) break;
    if (rc) return lost(remote, "a command there did not end", err);
    *status = libssh2_channel_get_exit_status(run->channel);
    libssh2_channel_get_exit_signal(run->channel, &signal_name, NULL, NULL, NULL, NULL, NULL);
    if (signal_name) {
        *status = 255;
        libssh2_free(remote->session, signal_name);
    }
    return 0;
}

/* Freeing sends a close; that may need to wait, too. A deadline that has passed leaves it to the session. */
static void free_channel(struct run *run)
{
    int64_t deadline = me_clock_mono_ns() + ME_NS_PER_S;
    while (run->channel && libssh2_channel_free(run->channel) == LIBSSH2_ERROR_EAGAIN)
        if (me_ssh_wait(run->remote, deadline)) break;
}

static int ssh_exec(struct me_remote *remote, const char *command, const struct me_buffer *input,
                    double timeout_s, struct me_buffer *out, struct me_buffer *errout, int *status,
                    struct me_error *err)
{
    int64_t deadline = me_clock_mono_ns() + (int64_t)(timeout_s * (double)ME_NS_PER_S);
    struct run run = {.remote = remote, .input = input, .out = out, .errout = errout};
    int code = 255;
    int rc = open_channel(&run, command, deadline, err);
    if (!rc) rc = converse(&run, deadline, err);
    if (!rc) rc = finish(&run, deadline, &code, err);
    free_channel(&run);
    if (!rc && ((out && out->failed) || (errout && errout->failed))) rc = me_fail(err, ME_E_RUN, "no memory");
    if (!rc) *status = code;
    return rc;
}

static int ssh_put(struct me_remote *remote, const char *local_path, const char *remote_path, int mode,
                   struct me_error *err)
{
    return me_sftp_put(remote, &me_remote_ssh, local_path, remote_path, mode, err);
}

static const char *ssh_host_key(const struct me_remote *remote)
{
    return remote->host_key;
}
static const char *ssh_local_address(const struct me_remote *remote)
{
    return remote->local_address;
}

const struct me_remote_ops me_remote_ssh = {
    .name = "ssh",
    .connect = ssh_connect,
    .exec = ssh_exec,
    .put = ssh_put,
    .host_key = ssh_host_key,
    .local_address = ssh_local_address,
    .close = ssh_close,
};
