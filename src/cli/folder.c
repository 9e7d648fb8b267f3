#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "prepare.h"

static const char mark[] = "# Made by me hosts";
static const char *const names[] = {"ssh_config",    "known_hosts", "agent",          "env",
                                    "machines.json", "id_ed25519",  "id_ed25519.pub", NULL};

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static bool begins_with_mark(const char *path)
{
    char text[sizeof mark] = "";
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool ours = fread(text, 1, sizeof mark - 1, file) == sizeof mark - 1 && !strcmp(text, mark);
    fclose(file);
    return ours;
}

/* The absolute path that stands in env and ssh_config. */
static int absolute(const char *output, char *path, size_t size, struct me_error *err)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", output);
    char *slash = strrchr(copy, '/');
    const char *base = slash ? slash + 1 : copy;
    const char *parent = !slash ? "." : slash == copy ? "/" : copy;
    if (strlen(output) >= sizeof copy || !*base || !strcmp(base, ".") || !strcmp(base, ".."))
        return me_fail(err, ME_E_INPUT, "-o: %.200s does not name a file", output);
    if (slash) *slash = '\0';
    char *real = realpath(parent, NULL);
    if (!real) return me_fail_errno(err, ME_E_INPUT, errno, "-o: %s", parent);
    int n = snprintf(path, size, "%s/%s.d", strcmp(real, "/") ? real : "", base);
    free(real);
    if (n < 0 || (size_t)n >= size || n > 900) return me_fail(err, ME_E_INPUT, "-o: the path is too long");
    if (strpbrk(path, "\"\\\n")) /* not every ssh can read them in its config */
        return me_fail(err, ME_E_INPUT,
                       "-o: %s has a double quote, a backslash or a newline in it, which ssh's "
                       "configuration cannot hold; choose another folder",
                       path);
    return 0;
}

int me_folder_check(const char *output, struct me_error *err)
{
    char dir[1000], inner[1100];
    struct stat st;
    if (absolute(output, dir, sizeof dir, err)) return -1;
    if (is_there(output) && (lstat(output, &st) || !S_ISREG(st.st_mode) || !begins_with_mark(output)))
        return me_fail(err, ME_E_INPUT, "%s exists and is not of me hosts; choose another name with -o",
                       output);
    snprintf(inner, sizeof inner, "%s/ssh_config", dir);
    if (is_there(dir) && !begins_with_mark(inner))
        return me_fail(err, ME_E_INPUT, "%s.d exists and is not of me hosts; choose another name with -o",
                       output);
    char *slash = strrchr(dir, '/');
    *slash = '\0';
    if (access(*dir ? dir : "/", W_OK))
        return me_fail_errno(err, ME_E_INPUT, errno, "-o: cannot write in %s", *dir ? dir : "/");
    return 0;
}

/* "ssh-ed25519 AAAA... machine-energy-SETID" */
static bool parse_public(const char *path, char *set_id, size_t id_size, char *public_key, size_t key_size)
{
    char type[32], base64[128], comment[64];
    static const char prefix[] = "machine-energy-";
    FILE *file = fopen(path, "re");
    if (!file) return false;
    int got = fscanf(file, "%31s %127s %63s", type, base64, comment);
    fclose(file);
    const char *id = comment + sizeof prefix - 1;
    if (got != 3 || strcmp(type, "ssh-ed25519") || strncmp(comment, prefix, sizeof prefix - 1)) return false;
    if (strlen(id) != 12 || strspn(id, "0123456789abcdef") != 12) return false;
    snprintf(set_id, id_size, "%s", id);
    snprintf(public_key, key_size, "%s %s", type, base64);
    return true;
}

bool me_folder_read_key(const char *output, char *set_id, size_t id_size, char *public_key, size_t key_size)
{
    char path[1100];
    snprintf(path, sizeof path, "%.1000s.d/id_ed25519.pub", output);
    return parse_public(path, set_id, id_size, public_key, key_size);
}

static int write_path(const char *path, const struct me_buffer *text, mode_t mode, struct me_error *err)
{
    if (text->failed) return me_fail(err, ME_E_RUN, "no memory");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) return me_fail_errno(err, ME_E_RUN, errno, "%s", path);
    errno = ENOSPC;
    bool ok = write(fd, text->data, text->len) == (ssize_t)text->len && !fchmod(fd, mode) && !fsync(fd);
    int error = errno;
    if (close(fd) || !ok) return me_fail_errno(err, ME_E_RUN, error, "%s", path);
    return 0;
}

static int write_text(const char *dir, const char *name, const struct me_buffer *text, mode_t mode,
                      struct me_error *err)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return write_path(path, text, mode, err);
}

static int copy_file(const char *from_dir, const char *to_dir, const char *name, mode_t mode,
                     struct me_error *err)
{
    char path[1200], bytes[8192];
    struct me_buffer text = ME_BUFFER_INIT;
    snprintf(path, sizeof path, "%s/%s", from_dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (fd >= 0) close(fd);
    int rc = n < 0 ? me_fail_errno(err, ME_E_RUN, errno, "%s", path) : 0;
    if (!rc) {
        text = (struct me_buffer){.data = bytes, .len = (size_t)n};
        rc = write_text(to_dir, name, &text, mode, err);
    }
    explicit_bzero(bytes, sizeof bytes);
    return rc;
}

static int make_key(struct me_preparation *preparation, struct me_error *err)
{
    struct me_remote *local = NULL;
    struct me_remote_options options = {0};
    struct me_buffer command = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    char path[1200];
    uint8_t random[6];
    int status = 0, rc = -1;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return me_fail_errno(err, ME_E_RUN, errno, "getrandom");
    snprintf(preparation->set_id, sizeof preparation->set_id, "%02x%02x%02x%02x%02x%02x", random[0],
             random[1], random[2], random[3], random[4], random[5]);
    snprintf(path, sizeof path, "%s/id_ed25519", preparation->aside);
    me_buffer_printf(&command, "exec ssh-keygen -q -t ed25519 -N '' -C machine-energy-%s -f ",
                     preparation->set_id);
    me_buffer_shell_quoted(&command, path);
    if (me_remote_local.connect(&local, NULL, &options, err)) goto out;
    if (command.failed)
        me_fail(err, ME_E_RUN, "no memory");
    else if (!me_remote_local.exec(local, command.data, NULL, 30, NULL, &errout, &status, err))
        rc = 0;
    if (!rc && status == 127)
        rc = me_fail(err, ME_E_RUN, "ssh-keygen is missing; run: apt-get install openssh-client");
    else if (!rc && status)
        rc = me_fail(err, ME_E_RUN, "ssh-keygen: %s", errout.data ? errout.data : "failed");
    strcat(path, ".pub");
    if (!rc && !parse_public(path, preparation->set_id, sizeof preparation->set_id, preparation->public_key,
                             sizeof preparation->public_key))
        rc = me_fail(err, ME_E_RUN, "%s: ssh-keygen wrote something else than was asked for", path);
out:
    me_remote_local.close(local);
    me_buffer_release(&command);
    me_buffer_release(&errout);
    return rc;
}

int me_folder_begin(struct me_preparation *preparation, struct me_error *err)
{
    char dir[1000];
    if (absolute(preparation->options->output, dir, sizeof dir, err)) return -1;
    snprintf(preparation->aside, sizeof preparation->aside, "%s.XXXXXX", dir);
    if (!mkdtemp(preparation->aside)) { /* mode 0700 */
        me_fail_errno(err, ME_E_INPUT, errno, "%s", preparation->aside);
        preparation->aside[0] = '\0';
        return -1;
    }
    preparation->key_reused =
        me_folder_read_key(preparation->options->output, preparation->set_id, sizeof preparation->set_id,
                           preparation->public_key, sizeof preparation->public_key) &&
        !copy_file(dir, preparation->aside, "id_ed25519", 0600, err) &&
        !copy_file(dir, preparation->aside, "id_ed25519.pub", 0644, err);
    if (preparation->key_reused) return 0;
    char path[1200];
    snprintf(path, sizeof path, "%s/id_ed25519", preparation->aside);
    unlink(path); /* half a pair copied */
    return make_key(preparation, err);
}

static int remove_folder(const char *dir)
{
    char path[1200];
    for (size_t i = 0; names[i]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        if (unlink(path) && errno != ENOENT) return -1;
    }
    return rmdir(dir) && errno != ENOENT ? -1 : 0;
}

void me_folder_abandon(struct me_preparation *preparation)
{
    if (preparation->aside[0]) remove_folder(preparation->aside);
    preparation->aside[0] = '\0';
}

/* The launch must find our me_bench under its bare name. */
static void add_path(const struct me_head *head, struct me_buffer *out)
{
    if (head->in_path) return;
    me_buffer_puts(out, "# me_bench is not in your PATH.\nexport PATH=");
    me_buffer_shell_quoted(out, head->bin);
    me_buffer_puts(out, ":\"$PATH\"\n");
}

static int write_plan(const struct me_preparation *preparation, struct me_error *err)
{
    struct me_plan plan = {0};
    struct me_buffer text = ME_BUFFER_INIT;
    if (me_hosts_plan(preparation->cluster, preparation->states, &plan, err)) return -1;
    int rc = me_plan_to_json(&plan, &text, err);
    if (!rc) rc = write_text(preparation->aside, "machines.json", &text, 0600, err);
    me_buffer_release(&text);
    me_plan_release(&plan);
    return rc;
}

static int write_texts(const struct me_preparation *preparation, const char *dir, struct me_error *err)
{
    const struct me_cluster *cluster = preparation->cluster;
    const struct me_host_state *states = preparation->states;
    const char *aside = preparation->aside;
    struct me_buffer text = ME_BUFFER_INIT;
    me_hosts_ssh_config(cluster, states, dir, &text);
    int rc = write_text(aside, "ssh_config", &text, 0600, err);
    me_buffer_clear(&text);
    me_hosts_known_hosts(cluster, states, &text);
    if (!rc) rc = write_text(aside, "known_hosts", &text, 0600, err);
    me_buffer_clear(&text);
    if (cluster->run_docker)
        me_hosts_container_agent(cluster, states, dir, preparation->head.bench, preparation->set_id, &text);
    else
        me_hosts_agent(cluster, states, dir, &text);
    if (!rc) rc = write_text(aside, "agent", &text, 0700, err);
    me_buffer_clear(&text);
    me_hosts_env(cluster, states, dir, &text);
    add_path(&preparation->head, &text);
    if (!rc) rc = write_text(aside, "env", &text, 0600, err);
    me_buffer_release(&text);
    return rc ? rc : write_plan(preparation, err);
}

/* An old folder changes places with the new one in one step, and is then removed. */
static int move_into_place(struct me_preparation *preparation, const char *dir, struct me_error *err)
{
    if (!is_there(dir)) {
        if (rename(preparation->aside, dir)) return me_fail_errno(err, ME_E_RUN, errno, "%s", dir);
        preparation->aside[0] = '\0';
        return 0;
    }
    if (renameat2(AT_FDCWD, preparation->aside, AT_FDCWD, dir, RENAME_EXCHANGE)) {
        if (errno != EINVAL && errno != ENOSYS) return me_fail_errno(err, ME_E_RUN, errno, "%s", dir);
        /* A file system without the exchange, NFS for instance. */
        if (remove_folder(dir) || rename(preparation->aside, dir))
            return me_fail_errno(err, ME_E_RUN, errno, "%s", dir);
        preparation->aside[0] = '\0';
    }
    return 0;
}

int me_folder_commit(struct me_preparation *preparation, struct me_error *err)
{
    const char *output = preparation->options->output;
    char dir[1000], tmp[1100];
    struct me_buffer text = ME_BUFFER_INIT;
    if (absolute(output, dir, sizeof dir, err)) return -1;
    if (write_texts(preparation, dir, err)) return -1;
    snprintf(tmp, sizeof tmp, "%.1000s.%d.part", output, (int)getpid());
    me_hosts_file(preparation->cluster, preparation->states, &text);
    int rc = write_path(tmp, &text, 0644, err);
    me_buffer_release(&text);
    if (!rc) rc = move_into_place(preparation, dir, err);
    if (!rc && rename(tmp, output)) rc = me_fail_errno(err, ME_E_RUN, errno, "%s", output);
    if (rc) unlink(tmp);
    return rc;
}

int me_folder_remove(const char *output, struct me_error *err)
{
    char dir[1000];
    if (absolute(output, dir, sizeof dir, err)) return -1;
    if (unlink(output) && errno != ENOENT) return me_fail_errno(err, ME_E_RUN, errno, "%s", output);
    if (remove_folder(dir)) return me_fail_errno(err, ME_E_RUN, errno, "%s: not removed whole", dir);
    return 0;
}
