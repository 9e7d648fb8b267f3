#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "me/clock.h"
#include "ssh.h"

#define SLICE_NS (ME_NS_PER_S / 10)

static bool cancelled(const atomic_bool *cancel)
{
    return cancel && atomic_load(cancel);
}

const char *me_net_why(const atomic_bool *cancel)
{
    return cancelled(cancel) ? "interrupted" : "timed out";
}

/* The next slice of waiting in nanoseconds; 0: stop. */
static int64_t slice(int64_t deadline, const atomic_bool *cancel)
{
    int64_t left = deadline - me_clock_mono_ns();
    if (left <= 0 || cancelled(cancel)) return 0;
    return left < SLICE_NS ? left : SLICE_NS;
}

int me_net_wait(int fd, short events, int64_t deadline, const atomic_bool *cancel)
{
    for (;;) {
        int64_t ns = slice(deadline, cancel);
        struct pollfd poller = {.fd = fd, .events = events};
        int n = poll(&poller, 1, (int)((ns + 999999) / 1000000));
        if (n > 0) return 1;
        if (ns == 0) return 0;
    }
}

/* A name lookup that can be given up: the resolver may hold its request beyond our deadline, so it
 * lives on the heap and is left behind when it cannot be cancelled. */
struct lookup {
    char host[256], service[8];
    struct addrinfo hints;
    struct gaicb request;
};

static int finish(struct lookup *lookup, const char *where, int status, struct addrinfo **out,
                  struct me_error *err)
{
    if (!status) {
        *out = lookup->request.ar_result;
        return 0;
    }
    return me_fail(err, ME_E_MACHINE,
                   "%s: the name %s is not resolved (%s); check the address, or DNS and /etc/hosts", where,
                   lookup->host, gai_strerror(status));
}

static int resolve(const char *address, int port, const char *where, int64_t deadline,
                   const atomic_bool *cancel, struct addrinfo **out, struct me_error *err)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup) return me_fail(err, ME_E_RUN, "no memory");
    snprintf(lookup->host, sizeof lookup->host, "%s", address);
    snprintf(lookup->service, sizeof lookup->service, "%d", port);
    lookup->hints =
        (struct addrinfo){.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
    /* Numbers need no resolver, and no thread of it. */
    if (!getaddrinfo(address, lookup->service, &lookup->hints, out)) {
        free(lookup);
        return 0;
    }
    lookup->hints.ai_flags = AI_NUMERICSERV;
    lookup->request =
        (struct gaicb){.ar_name = lookup->host, .ar_service = lookup->service, .ar_request = &lookup->hints};
    struct gaicb *list[1] = {&lookup->request};
    int status = getaddrinfo_a(GAI_NOWAIT, list, 1, NULL);
    int64_t ns;
    while (!status && (status = gai_error(&lookup->request)) == EAI_INPROGRESS &&
           (ns = slice(deadline, cancel)) > 0) {
        struct timespec time = {.tv_nsec = ns};
        gai_suspend((const struct gaicb *const *)list, 1, &time);
        status = 0;
    }
    if (status == EAI_INPROGRESS) {
        if (gai_cancel(&lookup->request) == EAI_CANCELED) free(lookup);
        return me_fail(err, ME_E_MACHINE, "%s: resolving the name %s %s; check DNS, or give the IP address",
                       where, address, me_net_why(cancel));
    }
    int rc = finish(lookup, where, status, out, err);
    free(lookup);
    return rc;
}

/* Commands may run for as long as they take; a machine that went away meanwhile is noticed in a minute. */
static void keep_alive(int fd)
{
    int on = 1, idle_s = 30, interval_s = 10, count = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

/* Connects to one address. Returns the descriptor, or -errno (-ETIMEDOUT, -ECANCELED). */
static int connect_one(const struct addrinfo *address, int64_t deadline, const atomic_bool *cancel)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, address->ai_protocol);
    if (fd < 0) return -errno;
    int error = 0, one = 1;
    socklen_t size = sizeof error;
    if (connect(fd, address->ai_addr, address->ai_addrlen)) {
        error = errno;
        if (error == EINPROGRESS) {
            if (!me_net_wait(fd, POLLOUT, deadline, cancel))
                error = cancelled(cancel) ? ECANCELED : ETIMEDOUT;
            else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
                error = errno;
        }
    }
    if (error) {
        close(fd);
        return -error;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    keep_alive(fd);
    return fd;
}

static int fail_connect(const char *where, int port, int error, struct me_error *err)
{
    switch (error) {
    case ECONNREFUSED:
        return me_fail(err, ME_E_MACHINE,
                       "%s: connection refused: no ssh server listens on port %d; start sshd there or "
                       "correct MACHINE_PORT",
                       where, port);
    case ETIMEDOUT:
        return me_fail(err, ME_E_MACHINE,
                       "%s: the connection timed out: the machine is off, or a firewall drops port %d", where,
                       port);
    case ECANCELED:
        return me_fail(err, ME_E_MACHINE, "%s: interrupted", where);
    case EHOSTUNREACH:
    case ENETUNREACH:
        return me_fail_errno(err, ME_E_MACHINE, error,
                             "%s: the machine is off, or not in a network reached from here", where);
    default:
        return me_fail_errno(err, ME_E_MACHINE, error, "%s: cannot connect", where);
    }
}

int me_net_connect(const char *address, int port, const char *where, int64_t deadline,
                   const atomic_bool *cancel, struct me_error *err)
{
    struct addrinfo *list = NULL;
    if (resolve(address, port, where, deadline, cancel, &list, err)) return -1;
    int count = 0, result = -EHOSTUNREACH;
    for (struct addrinfo *a = list; a; a = a->ai_next) count++;
    for (struct addrinfo *a = list; a && result < 0; a = a->ai_next, count--) {
        /* An address that does not answer must leave time for the next one. */
        int64_t now = me_clock_mono_ns();
        result = connect_one(a, now + (deadline - now) / count, cancel);
    }
    freeaddrinfo(list);
    return result < 0 ? fail_connect(where, port, -result, err) : result;
}
