#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ssh.h"

#define KEY_FILE_MAX 65536

static bool is_public(const char *text)
{
    return !strncmp(text, "ssh-", 4) || !strncmp(text, "ecdsa-", 6);
}

static int read_private(const char *path, char *text, size_t size, struct me_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return me_fail_errno(err, ME_E_MACHINE, errno, "%s: cannot read the private key", path);
    struct stat st = {0};
    ssize_t len = fstat(fd, &st) || !S_ISREG(st.st_mode) ? -1 : read(fd, text, size - 1);
    int error = S_ISREG(st.st_mode) ? errno : EINVAL;
    close(fd);
    if (len < 0) return me_fail_errno(err, ME_E_MACHINE, error, "%s: cannot read the private key", path);
    text[len] = '\0';
    /* ssh's own rule: it looks only at files that are ours. */
    if (st.st_uid == geteuid() && (st.st_mode & 077) && !is_public(text))
        return me_fail(err, ME_E_MACHINE,
                       "%s: this private key can be read by others (mode %04o); run: chmod 600 '%s'", path,
                       (unsigned)(st.st_mode & 07777), path);
    return 0;
}

static void set_identity(struct me_key *key, const unsigned char *blob, size_t len)
{
    const unsigned char *at = blob;
    size_t type_len = 0;
    const unsigned char *type = me_wire_string(&at, blob + len, &type_len);
    if (!type || type_len >= sizeof key->type || !(key->identity.blob = malloc(len))) return;
    memcpy(key->identity.blob, blob, len);
    key->identity.len = len;
    snprintf(key->type, sizeof key->type, "%.*s", (int)type_len, (const char *)type);
}

/* The container holds the public key in clear, and the cipher's name. */
static bool parse_openssh(struct me_key *key, const char *body)
{
    static const char magic[] = "openssh-key-v1";
    const char *end = strstr(body, "-----END");
    unsigned char *bytes = malloc(KEY_FILE_MAX);
    long len = end && bytes ? me_base64_decode(body, (size_t)(end - body), bytes, KEY_FILE_MAX) : -1;
    bool ok = false;
    if (len > (long)sizeof magic && !memcmp(bytes, magic, sizeof magic)) {
        const unsigned char *at = bytes + sizeof magic, *stop = bytes + len;
        size_t cipher_len = 0, n = 0;
        const unsigned char *cipher = me_wire_string(&at, stop, &cipher_len);
        if (cipher && me_wire_string(&at, stop, &n) && me_wire_string(&at, stop, &n) && stop - at >= 4) {
            at += 4;
            const unsigned char *blob = me_wire_string(&at, stop, &n);
            if (blob) set_identity(key, blob, n);
            key->encrypted = cipher_len != 4 || memcmp(cipher, "none", 4);
            ok = blob != NULL;
        }
    }
    if (bytes) explicit_bzero(bytes, KEY_FILE_MAX);
    free(bytes);
    return ok;
}

/* A PEM key says nothing about its public half; the file beside it does. */
static void read_public(struct me_key *key, const char *path)
{
    char name[4096], type[64], base64[4096];
    unsigned char blob[3072];
    snprintf(name, sizeof name, "%s.pub", path);
    FILE *file = fopen(name, "re");
    if (!file) return;
    if (fscanf(file, "%63s %4095s", type, base64) == 2) {
        long len = me_base64_decode(base64, strlen(base64), blob, sizeof blob);
        if (len > 0) set_identity(key, blob, (size_t)len);
    }
    fclose(file);
}

static int classify(struct me_key *key, const char *path, const char *text, struct me_error *err)
{
    static const char openssh[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
    const char *begin = strstr(text, "-----BEGIN ");
    if (!strncmp(text, "PuTTY-User-Key-File", 19))
        return me_fail(err, ME_E_MACHINE, "%s: a PuTTY key; run: puttygen '%s' -O private-openssh -o NEWFILE",
                       path, path);
    if (is_public(text))
        return me_fail(err, ME_E_MACHINE,
                       "%s: this is a public key; MACHINE_KEY_FILENAME names the private one", path);
    if (begin && !strncmp(begin, openssh, sizeof openssh - 1)) {
        key->openssh = true;
        if (parse_openssh(key, begin + sizeof openssh - 1)) return 0;
        return me_fail(err, ME_E_MACHINE, "%s: a damaged private key", path);
    }
    if (!begin || !strstr(begin, "PRIVATE KEY-----"))
        return me_fail(err, ME_E_MACHINE, "%s: not a private key", path);
    key->encrypted = strstr(begin, "Proc-Type: 4,ENCRYPTED") || strstr(begin, "BEGIN ENCRYPTED PRIVATE KEY");
    read_public(key, path);
    return 0;
}

int me_key_read(struct me_key *key, const char *path, struct me_error *err)
{
    struct me_key read = {0};
    char *text = malloc(KEY_FILE_MAX);
    if (!text) return me_fail(err, ME_E_RUN, "no memory");
    int rc = read_private(path, text, KEY_FILE_MAX, err);
    if (!rc) rc = classify(&read, path, text, err);
    explicit_bzero(text, KEY_FILE_MAX);
    free(text);
    if (rc)
        me_key_release(&read);
    else
        *key = read;
    return rc;
}

void me_key_release(struct me_key *key)
{
    if (!key) return;
    free(key->identity.blob);
    *key = (struct me_key){0};
}
