#include "config.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONFIG_MAX = 16 << 20 };

/* Bytes that may hold passwords: whatever leaves is overwritten first, so realloc has no place here. */
struct secret {
    char *data;
    size_t len, cap;
};

static void release_secret(struct secret *secret)
{
    if (secret->data) explicit_bzero(secret->data, secret->cap);
    free(secret->data);
    *secret = (struct secret){0};
}

static int grow_secret(struct secret *secret)
{
    struct secret larger = {.len = secret->len, .cap = secret->cap ? secret->cap * 4 : 65536};
    larger.data = malloc(larger.cap);
    if (!larger.data) return -1;
    if (secret->len) memcpy(larger.data, secret->data, secret->len);
    release_secret(secret);
    *secret = larger;
    return 0;
}

static int read_all(int fd, const char *name, struct secret *text, struct me_error *err)
{
    for (;;) {
        if (text->len == text->cap && grow_secret(text)) return me_fail(err, ME_E_RUN, "%s: no memory", name);
        ssize_t n = read(fd, text->data + text->len, text->cap - text->len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return me_fail_errno(err, ME_E_INPUT, errno, "%s: cannot be read", name);
        if (n == 0) return 0;
        text->len += (size_t)n;
        if (text->len > CONFIG_MAX)
            return me_fail(err, ME_E_INPUT, "%s: larger than 16 MiB; this is not a config", name);
    }
}

static int open_config(const char *path, struct me_error *err)
{
    if (!*path) return me_fail(err, ME_E_INPUT, "CONFIG is empty; give a file, - or JSON text");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return me_fail_errno(err, ME_E_INPUT, errno, "%s", path);
    return fd;
}

/* A secret that others can read is refused, as ssh refuses such a key. */
static int check_mode(const struct me_cluster *cluster, const struct stat *st, const char *path,
                      struct me_error *err)
{
    if (!me_config_holds_password(cluster) || !S_ISREG(st->st_mode) || !(st->st_mode & 077)) return 0;
    bool standard = !strcmp(path, "-");
    return me_fail(err, ME_E_INPUT,
                   "%s: holds a MACHINE_PASSWORD and others can read it (mode %04o); chmod 600 %s, "
                   "or insist with --insecure-config",
                   standard ? "standard input" : path, (unsigned)st->st_mode & 07777,
                   standard ? "the file" : path);
}

static int read_file(const char *path, const struct me_config_options *options, struct me_cluster *out,
                     struct me_error *err)
{
    bool standard = !strcmp(path, "-");
    struct secret text = {0};
    struct me_cluster cluster = {0};
    struct stat st;
    int rc = -1, fd = standard ? STDIN_FILENO : open_config(path, err);
    if (fd < 0) return -1;
    if (fstat(fd, &st)) {
        me_fail_errno(err, ME_E_INPUT, errno, "%s", path);
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        me_fail(err, ME_E_INPUT, "%s: is a directory; give a file, - or JSON text", path);
        goto out;
    }
    if (read_all(fd, path, &text, err)) goto out;
    if (me_config_parse(text.data, text.len, path, options, &cluster, err)) goto out;
    if (!(options && options->insecure_config) && check_mode(&cluster, &st, path, err)) goto out;
    *out = cluster;
    cluster = (struct me_cluster){0};
    rc = 0;
out:
    if (!standard) close(fd);
    release_secret(&text);
    me_cluster_release(&cluster);
    return rc;
}

/* Every user of the machine can read an argument list, so a password there is as one in an open file. */
static int read_argument(const char *config, const struct me_config_options *options, struct me_cluster *out,
                         struct me_error *err)
{
    struct me_cluster cluster;
    if (me_config_parse(config, strlen(config), "(text)", options, &cluster, err)) return -1;
    if (me_config_holds_password(&cluster) && !(options && options->insecure_config)) {
        me_cluster_release(&cluster);
        return me_fail(err, ME_E_INPUT,
                       "(text): holds a MACHINE_PASSWORD, and others can read a command line; give "
                       "it by file or standard input, or insist with --insecure-config");
    }
    *out = cluster;
    return 0;
}

int me_config_read(const char *config, const struct me_config_options *options, struct me_cluster *out,
                   struct me_error *err)
{
    const char *first = config + strspn(config, " \t");
    if (*first == '{' || *first == '[' || strchr(config, '\n'))
        return read_argument(config, options, out, err);
    return read_file(config, options, out, err);
}
