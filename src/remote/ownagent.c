/* An ssh-agent of our own for one key, for the length of one login: OpenSSH reads every key format
 * and signs RSA with SHA-2, which libssh2 1.10 does not. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "me/clock.h"
#include "ssh.h"

extern char **environ;

/* Starts argv in a process group of its own (Ctrl-C is ours to handle), all signals unblocked. */
static int spawn(char *const *argv, int in, int out, int third, pid_t *pid)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    if (in >= 0)
        posix_spawn_file_actions_adddup2(&actions, in, 0);
    else
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (out >= 0)
        posix_spawn_file_actions_adddup2(&actions, out, 1);
    else
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (third >= 0) posix_spawn_file_actions_adddup2(&actions, third, 3);
    int error = posix_spawnp(pid, argv[0], &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static bool write_script(const char *path)
{
    static const char text[] = "#!/bin/sh\nexec cat <&3\n";
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (fd < 0) return false;
    bool ok = write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1;
    return close(fd) == 0 && ok;
}

/* A descriptor above 3 from which the passphrase can be read once; it never has a name. */
static int secret_pipe(const char *passphrase)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return -1;
    int fd = fcntl(ends[0], F_DUPFD_CLOEXEC, 10);
    size_t len = strlen(passphrase);
    bool ok = fd >= 0 && len < 4000 && write(ends[1], passphrase, len) == (ssize_t)len &&
              write(ends[1], "\n", 1) == 1;
    close(ends[0]);
    close(ends[1]);
    if (!ok && fd >= 0) close(fd);
    return ok ? fd : -1;
}

static void read_all(int fd, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n;
    char rest[256];
    while ((n = len + 1 < size ? read(fd, text + len, size - 1 - len) : read(fd, rest, sizeof rest)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        if (len + 1 < size) len += (size_t)n;
    }
    text[len] = '\0';
}

static int exit_status(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int run_ssh_add(const struct me_own_agent *agent, const char *key_path, const char *passphrase,
                       struct me_error *err)
{
    char sock[200], askpass[200], text[512] = "", script[160];
    int ends[2], secret = -1, rc = -1;
    pid_t pid;
    snprintf(script, sizeof script, "%s/askpass", agent->dir);
    snprintf(sock, sizeof sock, "SSH_AUTH_SOCK=%s", agent->socket);
    snprintf(askpass, sizeof askpass, "SSH_ASKPASS=%s", passphrase ? script : "/bin/false");
    const char *const argv[] = {"env",          sock,       askpass,   "SSH_ASKPASS_REQUIRE=force",
                                "DISPLAY=none", "LC_ALL=C", "ssh-add", "-q",
                                "--",           key_path,   NULL};
    if (passphrase && (!write_script(script) || (secret = secret_pipe(passphrase)) < 0))
        return me_fail_errno(err, ME_E_RUN, errno, "%s: cannot hand the passphrase to ssh-add", key_path);
    if (pipe2(ends, O_CLOEXEC)) {
        if (secret >= 0) close(secret);
        return me_fail_errno(err, ME_E_RUN, errno, "%s: ssh-add", key_path);
    }
    int error = spawn((char *const *)argv, -1, ends[1], secret, &pid);
    close(ends[1]);
    if (secret >= 0) close(secret);
    if (error)
        me_fail_errno(err, ME_E_RUN, error, "cannot start ssh-add (package openssh-client)");
    else {
        read_all(ends[0], text, sizeof text);
        int status = exit_status(pid);
        if (!status)
            rc = 0;
        else if (passphrase && status == 1)
            rc = 1; /* all that ssh-add says of it */
        else
            me_fail(err, ME_E_MACHINE, "%s: cannot load the key: %s", key_path,
                    text[0] ? text : "ssh-add failed");
    }
    close(ends[0]);
    if (passphrase) unlink(script);
    return rc;
}

static bool wait_for_socket(const char *path)
{
    struct me_identity *list = NULL;
    size_t count = 0;
    int64_t deadline = me_clock_mono_ns() + 5 * ME_NS_PER_S;
    while (me_clock_mono_ns() < deadline) {
        if (!me_agent_list(path, &list, &count)) {
            me_agent_list_free(list, count);
            return true;
        }
        me_clock_sleep_until(me_clock_mono_ns() + 3000000);
    }
    return false;
}

int me_own_agent_start(struct me_own_agent *agent, const char *key_path, const char *passphrase,
                       struct me_error *err)
{
    /* The shell holds the agent's life to our pipe: it ends even if we are killed. */
    static const char script[] =
        "ssh-agent -D -a \"$1\" </dev/null >/dev/null 2>&1 & cat >/dev/null; kill $!; wait";
    struct me_own_agent own = {.hold = -1};
    const char *tmp = getenv("XDG_RUNTIME_DIR");
    int ends[2];
    if (!tmp || strlen(tmp) > 60 || access(tmp, W_OK)) tmp = "/tmp";
    snprintf(own.dir, sizeof own.dir, "%s/me-agent-XXXXXX", tmp);
    if (!mkdtemp(own.dir)) return me_fail_errno(err, ME_E_RUN, errno, "%s", own.dir);
    snprintf(own.socket, sizeof own.socket, "%s/agent", own.dir);
    if (pipe2(ends, O_CLOEXEC)) {
        rmdir(own.dir);
        return me_fail_errno(err, ME_E_RUN, errno, "ssh-agent");
    }
    const char *const argv[] = {"/bin/sh", "-c", script, "sh", own.socket, NULL};
    int error = spawn((char *const *)argv, ends[0], -1, -1, &own.pid);
    close(ends[0]);
    own.hold = ends[1];
    int rc;
    if (error)
        rc = me_fail_errno(err, ME_E_RUN, error, "/bin/sh"), own.pid = 0;
    else if (!wait_for_socket(own.socket))
        rc = me_fail(err, ME_E_RUN, "cannot start ssh-agent (package openssh-client)");
    else
        rc = run_ssh_add(&own, key_path, passphrase, err);
    if (rc)
        me_own_agent_stop(&own);
    else
        *agent = own;
    return rc;
}

void me_own_agent_stop(struct me_own_agent *agent)
{
    if (!agent || !agent->dir[0]) return;
    close(agent->hold);
    if (agent->pid > 0) exit_status(agent->pid);
    unlink(agent->socket);
    rmdir(agent->dir);
    *agent = (struct me_own_agent){.hold = -1};
}
