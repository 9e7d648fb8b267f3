#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "ssh.h"

/* The agent protocol: RFC draft-miller-ssh-agent. libssh2's own client signs RSA keys with SHA-1
 * only, which servers refuse since OpenSSH 8.8. */
enum { LIST = 11, LIST_ANSWER = 12, SIGN = 13, SIGN_ANSWER = 14, FLAG_SHA2_512 = 4 };
#define ANSWER_MAX (256 * 1024)

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 10}; /* an agent may ask its user to confirm */
    if (!path || strlen(path) >= sizeof address.sun_path) return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (!connect(fd, (struct sockaddr *)&address, sizeof address)) return fd;
    close(fd);
    return -1;
}

static bool read_full(int fd, unsigned char *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(fd, bytes + at, len - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += (size_t)n;
    }
    return true;
}

/* One question, one answer of the given type; the body without the type byte, to be freed. */
static unsigned char *ask(const char *socket_path, const struct me_buffer *question, unsigned char type,
                          size_t *len)
{
    unsigned char head[4], *body = NULL;
    struct me_buffer packet = ME_BUFFER_INIT;
    int fd = open_socket(socket_path);
    if (fd < 0) return NULL;
    me_wire_put(&packet, question->data, question->len);
    if (question->failed || packet.failed ||
        send(fd, packet.data, packet.len, MSG_NOSIGNAL) != (ssize_t)packet.len || !read_full(fd, head, 4))
        goto out;
    size_t size = me_wire_u32(head);
    if (size < 1 || size > ANSWER_MAX || !(body = malloc(size))) goto out;
    if (!read_full(fd, body, size) || body[0] != type) {
        free(body);
        body = NULL;
        goto out;
    }
    memmove(body, body + 1, size - 1);
    *len = size - 1;
out:
    close(fd);
    me_buffer_release(&packet);
    return body;
}

void me_agent_list_free(struct me_identity *identities, size_t count)
{
    for (size_t i = 0; i < count; i++) free(identities[i].blob);
    free(identities);
}

int me_agent_list(const char *socket_path, struct me_identity **out, size_t *count)
{
    struct me_buffer question = ME_BUFFER_INIT;
    unsigned char type = LIST;
    size_t len = 0, n = 0, skip = 0;
    me_buffer_append(&question, &type, 1);
    unsigned char *body = ask(socket_path, &question, LIST_ANSWER, &len);
    me_buffer_release(&question);
    if (!body || len < 4) {
        free(body);
        return -1;
    }
    uint32_t told = me_wire_u32(body);
    struct me_identity *list = calloc(told < 1000 ? told + 1 : 1000, sizeof *list);
    const unsigned char *at = body + 4;
    while (list && n < told && n < 999) {
        const unsigned char *blob = me_wire_string(&at, body + len, &list[n].len);
        if (!blob || !me_wire_string(&at, body + len, &skip) || !(list[n].blob = malloc(list[n].len + 1)))
            break;
        memcpy(list[n].blob, blob, list[n].len);
        n++;
    }
    free(body);
    *out = list;
    *count = n;
    return list ? 0 : -1;
}

int me_agent_sign(const char *socket_path, const struct me_identity *identity, const unsigned char *data,
                  size_t data_len, unsigned char **signature, size_t *len)
{
    struct me_buffer question = ME_BUFFER_INIT;
    static const unsigned char rsa[] = {0, 0, 0, 7, 's', 's', 'h', '-', 'r', 's', 'a'};
    bool is_rsa = identity->len > sizeof rsa && !memcmp(identity->blob, rsa, sizeof rsa);
    unsigned char type = SIGN, flags[4] = {0, 0, 0, is_rsa ? FLAG_SHA2_512 : 0};
    size_t answer_len = 0, blob_len = 0, name_len = 0;
    int rc = -1;
    me_buffer_append(&question, &type, 1);
    me_wire_put(&question, identity->blob, identity->len);
    me_wire_put(&question, data, data_len);
    me_buffer_append(&question, flags, sizeof flags);
    unsigned char *answer = ask(socket_path, &question, SIGN_ANSWER, &answer_len);
    const unsigned char *at = answer;
    const unsigned char *blob = answer ? me_wire_string(&at, answer + answer_len, &blob_len) : NULL;
    if (blob) {
        const unsigned char *stop = blob + blob_len;
        at = blob;
        const unsigned char *name = me_wire_string(&at, stop, &name_len);
        const unsigned char *bytes = name ? me_wire_string(&at, stop, len) : NULL;
        bool sha1 = name_len == 7 && is_rsa; /* an agent that knows no better */
        if (bytes && !sha1 && (*signature = malloc(*len))) {
            memcpy(*signature, bytes, *len);
            rc = 0;
        }
    }
    free(answer);
    me_buffer_release(&question);
    return rc;
}
