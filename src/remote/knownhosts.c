#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ssh.h"

/* Only names of ours go into the file: "[host]:port" unless the port is 22. */
static void host_field(const char *address, int port, char *text, size_t size)
{
    snprintf(text, size, port == 22 ? "%s" : "[%s]:%d", address, port);
}

/* libssh2 1.10 loses memory over a hash that is none: 20 bytes of salt, 20 of SHA-1. */
static bool is_hashed(const char *pattern)
{
    unsigned char bytes[20];
    const char *salt = pattern + 3, *hash = strchr(salt, '|');
    return hash && me_base64_decode(salt, (size_t)(hash - salt), bytes, sizeof bytes) == 20 &&
           me_base64_decode(hash + 1, strlen(hash + 1), bytes, sizeof bytes) == 20;
}

/* "|1|salt|hash": libssh2 knows how. A line without a key type matches any key of its host. */
static bool hashed_names(LIBSSH2_SESSION *session, const char *pattern, const char *name)
{
    static const char other[] = "AAAABBBBAAAABBBBAAAABBBB"; /* no key: libssh2 refuses lines with less */
    char line[512];
    int len = snprintf(line, sizeof line, "%s ssh-rsa AAAAAAAAAAAAAAAAAAAAAAAA", pattern);
    if (strncmp(pattern, "|1|", 3) || !is_hashed(pattern) || (size_t)len >= sizeof line) return false;
    bool named = false;
    LIBSSH2_KNOWNHOSTS *hosts = libssh2_knownhost_init(session);
    if (hosts && !libssh2_knownhost_readline(hosts, line, (size_t)len, LIBSSH2_KNOWNHOST_FILE_OPENSSH)) {
        int result =
            libssh2_knownhost_check(hosts, name, other, sizeof other - 1,
                                    LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_BASE64, NULL);
        named = result == LIBSSH2_KNOWNHOST_CHECK_MISMATCH || result == LIBSSH2_KNOWNHOST_CHECK_MATCH;
    }
    if (hosts) libssh2_knownhost_free(hosts);
    return named;
}

/* sshd's pattern list: "a,*.b,!c". Brackets are plain characters there, unlike in fnmatch. */
static bool pattern_names(const char *pattern, const char *name)
{
    char escaped[512];
    size_t at = 0;
    for (; *pattern && at + 3 < sizeof escaped; pattern++) {
        if (strchr("[]\\", *pattern)) escaped[at++] = '\\';
        escaped[at++] = *pattern;
    }
    escaped[at] = '\0';
    return fnmatch(escaped, name, FNM_CASEFOLD) == 0;
}

static bool field_names(LIBSSH2_SESSION *session, char *field, const char *name)
{
    if (field[0] == '|') return hashed_names(session, field, name);
    bool named = false;
    char *save = NULL;
    for (char *part = strtok_r(field, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
        if (part[0] == '!' && pattern_names(part + 1, name)) return false;
        if (part[0] != '!' && pattern_names(part, name)) named = true;
    }
    return named;
}

/* A line's key as "TYPE BASE64", and whether it is marked. */
struct entry {
    bool revoked, authority;
    char names[512], type[64], key[1024];
};

static bool parse_line(const char *line, struct entry *entry)
{
    *entry = (struct entry){0};
    char base64[960], marker[32];
    int skip = 0;
    if (line[0] == '@') {
        if (sscanf(line, "%31s %n", marker, &skip) != 1) return false;
        entry->revoked = !strcmp(marker, "@revoked");
        entry->authority = !strcmp(marker, "@cert-authority");
        if (!entry->revoked && !entry->authority) return false;
    }
    if (sscanf(line + skip, "%511s %63s %959s", entry->names, entry->type, base64) != 3) return false;
    snprintf(entry->key, sizeof entry->key, "%s %s", entry->type, base64);
    return true;
}

static bool line_names(LIBSSH2_SESSION *session, const char *line, const char *address, int port)
{
    struct entry entry;
    char names[512], name[300];
    if (line[0] == '#' || !parse_line(line, &entry) || entry.authority) return false;
    memcpy(names, entry.names, sizeof names);
    host_field(address, port, name, sizeof name);
    if (field_names(session, names, name)) return true;
    memcpy(names, entry.names, sizeof names);
    /* As ssh does: a revoked key is revoked on every port. */
    return entry.revoked && port != 22 && field_names(session, names, address);
}

static int read_file(struct me_known *known, LIBSSH2_SESSION *session, const char *path, const char *address,
                     int port, struct me_error *err)
{
    FILE *file = fopen(path, "re");
    if (!file && errno != ENOENT)
        return me_fail_errno(err, ME_E_MACHINE, errno, "%s: cannot read the known host keys", path);
    if (!file) return 0;
    char *line = NULL;
    size_t size = 0;
    int rc = 0;
    while (!rc && getline(&line, &size, file) > 0) {
        char *text = line + strspn(line, " \t");
        text[strcspn(text, "\r\n")] = '\0';
        if (!line_names(session, text, address, port)) continue;
        char **lines = realloc(known->lines, (known->count + 1) * sizeof *lines);
        if (lines) known->lines = lines;
        if (!lines || !(lines[known->count] = strdup(text)))
            rc = me_fail(err, ME_E_RUN, "no memory");
        else
            known->count++;
    }
    free(line);
    fclose(file);
    return rc;
}

static char *default_path(void)
{
    char *path = NULL;
    const char *home = getenv("HOME");
    if (!home || !*home) {
        struct passwd entry, *found = NULL;
        char text[4096];
        if (getpwuid_r(geteuid(), &entry, text, sizeof text, &found) || !found) return strdup("/dev/null");
        return asprintf(&path, "%s/.ssh/known_hosts", entry.pw_dir) < 0 ? NULL : path;
    }
    return asprintf(&path, "%s/.ssh/known_hosts", home) < 0 ? NULL : path;
}

int me_known_load(struct me_known *known, const char *path, const char *address, int port,
                  struct me_error *err)
{
    struct me_known loaded = {.path = path ? strdup(path) : default_path()};
    LIBSSH2_SESSION *session = libssh2_session_init(); /* not connected: it only owns memory */
    int rc = loaded.path && session ? 0 : me_fail(err, ME_E_RUN, "no memory");
    if (!rc) rc = read_file(&loaded, session, loaded.path, address, port, err);
    if (!rc && !path) rc = read_file(&loaded, session, "/etc/ssh/ssh_known_hosts", address, port, err);
    if (session) libssh2_session_free(session);
    if (rc)
        me_known_release(&loaded);
    else
        *known = loaded;
    return rc;
}

void me_known_release(struct me_known *known)
{
    if (!known) return;
    for (size_t i = 0; i < known->count; i++) free(known->lines[i]);
    free(known->lines);
    free(known->path);
    *known = (struct me_known){0};
}

void me_known_preferences(const struct me_known *known, const char *host_key, char *list, size_t size)
{
    static const char *const types[] = {
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa", NULL};
    size_t len = 0;
    list[0] = '\0';
    for (int pass = 0; pass < 2; pass++) { /* known ones, then the rest */
        for (size_t t = 0; types[t]; t++) {
            bool is_known = false;
            struct entry entry;
            for (size_t i = 0; i < known->count; i++)
                is_known |=
                    parse_line(known->lines[i], &entry) && !entry.revoked && !strcmp(entry.type, types[t]);
            if (!known->count && host_key) is_known |= !strncmp(host_key, types[t], strlen(types[t]));
            if (is_known != (pass == 0)) continue;
            int n = snprintf(list + len, size - len, "%s%s", len ? "," : "", types[t]);
            if (n > 0) len += (size_t)n;
        }
    }
}

static int make_parent(const char *path)
{
    char dir[4096];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash || slash == dir) return 0;
    *slash = '\0';
    return mkdir(dir, 0700) && errno != EEXIST ? -1 : 0;
}

/* One write() in append mode: two machines recorded at once do not mix. The lock is for the newline that
 * a file of the user's may lack at its end: one of us adds it, not two. */
static int append(const struct me_known *known, const struct me_machine *machine, const char *key,
                  struct me_error *err)
{
    char name[300], last = '\n';
    struct me_buffer line = ME_BUFFER_INIT;
    int rc = -1;
    int fd = make_parent(known->path) ? -1 : open(known->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX)) goto fail;
    off_t end = lseek(fd, 0, SEEK_END);
    if (end > 0 && pread(fd, &last, 1, end - 1) != 1) goto fail;
    host_field(machine->address, machine->port, name, sizeof name);
    me_buffer_printf(&line, "%s%s %s\n", last == '\n' ? "" : "\n", name, key);
    errno = ENOMEM;
    if (line.failed || write(fd, line.data, line.len) != (ssize_t)line.len) goto fail;
    rc = 0;
fail:
    if (rc)
        me_fail_errno(err, ME_E_MACHINE, errno, "%s: cannot record the host key of %s", known->path,
                      machine->name);
    if (fd >= 0) close(fd);
    me_buffer_release(&line);
    return rc;
}

static int check_config(const struct me_machine *machine, const char *where, const char *key,
                        const char *fingerprint, struct me_error *err)
{
    const char *want = machine->host_key;
    size_t len = strcspn(key, " ");
    bool match;
    if (!strncmp(want, "SHA256:", 7)) {
        size_t n = strlen(want);
        while (n && want[n - 1] == '=') n--; /* some tools pad it */
        match = n == strlen(fingerprint) && !strncmp(want, fingerprint, n);
    } else {
        size_t n = strlen(key); /* a comment may follow */
        match = !strncmp(want, key, n) && (want[n] == '\0' || want[n] == ' ');
    }
    if (match) return 0;
    return me_fail(err, ME_E_MACHINE,
                   "%s: the host key shown (%.*s %s) is not the config's host_key; find out why, then "
                   "correct one of them",
                   where, (int)len, key, fingerprint);
}

int me_known_check(const struct me_known *known, const struct me_machine *machine, const char *where,
                   const char *key, const char *fingerprint, bool accept_new, struct me_error *err)
{
    char name[300];
    int type_len = (int)strcspn(key, " ");
    bool match = false, other = false;
    host_field(machine->address, machine->port, name, sizeof name);
    for (size_t i = 0; i < known->count; i++) {
        struct entry entry;
        if (!parse_line(known->lines[i], &entry)) continue;
        bool same = !strcmp(entry.key, key);
        if (entry.revoked && same)
            return me_fail(err, ME_E_MACHINE, "%s: its host key (%.*s %s) is marked as revoked in %s", where,
                           type_len, key, fingerprint, known->path);
        if (entry.revoked) continue;
        match |= same;
        other |= !same;
    }
    if (match) return 0;
    if (other)
        return me_fail(err, ME_E_MACHINE,
                       "%s: the host key changed: it shows %.*s %s, which is not what %s knows; if that is "
                       "right, run: ssh-keygen -R '%s'",
                       where, type_len, key, fingerprint, known->path, name);
    if (machine->host_key) return check_config(machine, where, key, fingerprint, err);
    if (accept_new) return append(known, machine, key, err);
    return me_fail(err, ME_E_MACHINE,
                   "%s: its host key is not known: it shows %.*s %s; compare it with the machine's, then use "
                   "--accept-new, or \"host_key\": \"%s\" in the config",
                   where, type_len, key, fingerprint, fingerprint);
}
