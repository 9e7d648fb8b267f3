#include <stdio.h>
#include <string.h>
#include <time.h>
#include "prepare.h"

/* Our line goes to the front of authorized_keys: all bytes behind it stay as they are, also where the
 * file does not end with a newline, and taking the line away gives back the very file. The new file
 * is complete before it takes the old one's place; it is opened as a file that must not exist yet.
 * Files may hold any byte, so none goes through a shell variable; what is written goes through sed,
 * which names a full disk as the shell's own printf does not. */
static const char body[] =
    "LC_ALL=C; export LC_ALL\n"
    "umask 077\n"
    "set -C\n"
    "tidy() { [ -z \"$new\" ] || rm -f \"$new\"; }\n"
    "fail() { printf '%s\\n' \"$1\" >&2; exit 1; }\n"
    "new=\n"
    "dir=$HOME/.ssh\n"
    "file=$dir/authorized_keys\n"
    "if [ -L \"$file\" ]; then file=$(readlink -f \"$file\") || fail \"$file is a dangling link\"; fi\n"
    "if [ -n \"$line\" ] && [ ! -d \"$dir\" ]; then mkdir -m 0700 \"$dir\" || fail \"cannot make $dir\"; fi\n"
    "trap tidy EXIT\n"
    "trap 'exit 1' HUP INT TERM\n"
    "if [ -n \"$line\" ]; then\n"
    "    when=$(date -d \"@$expiry\" +%Y%m%d%H%M) || fail 'date cannot tell the expiry'\n"
    "    old=/dev/null\n"
    "    if [ -f \"$file\" ]; then old=$file; fi\n"
    "    new=$file.$comment.$$\n"
    "    sed \"1!{/ $comment\\$/d;}\" - \"$old\" >\"$new\" <<END || fail \"cannot write $new\"\n"
    "restrict,expiry-time=\"$when\" $line\n"
    "END\n"
    "elif [ -f \"$file\" ] && grep -q -- \" $comment\\$\" \"$file\"; then\n"
    "    new=$file.$comment.$$\n"
    "    sed \"/ $comment\\$/d\" \"$file\" >\"$new\" || fail \"cannot write $new\"\n"
    "fi\n"
    "if [ -n \"$new\" ]; then\n"
    "    mv -f \"$new\" \"$file\" || fail \"cannot replace $file\"\n"
    "    new=\n"
    "fi\n";

void me_access_script(const char *set_id, const char *public_key, long long expiry_unix_s, bool staged_too,
                      struct me_buffer *out)
{
    me_buffer_puts(out, "{\nline=");
    if (public_key) {
        struct me_buffer line = ME_BUFFER_INIT;
        me_buffer_printf(&line, "%s machine-energy-%s", public_key, set_id);
        if (line.failed)
            out->failed = true;
        else
            me_buffer_shell_quoted(out, line.data);
        me_buffer_release(&line);
    }
    me_buffer_printf(out, "\ncomment=machine-energy-%s\nexpiry=%lld\n", set_id, expiry_unix_s);
    me_buffer_puts(out, body);
    if (staged_too)
        me_buffer_printf(
            out,
            "rm -rf \"$HOME/.cache/machine-energy\" || fail 'cannot remove the staged files'\n"
            "for engine in docker 'sudo -n docker' podman; do\n"
            "    command -v ${engine##* } >/dev/null || continue\n"
            "    left=$($engine ps -aq --filter label=machine-energy.set=%s 2>/dev/null) || continue\n"
            "    [ -z \"$left\" ] || $engine rm -f $left >/dev/null || fail 'cannot remove a container'\n"
            "done\n",
            set_id);
    me_buffer_puts(out, "exit 0\n}\n");
}

static int run_script(struct me_preparation *preparation, struct me_host *host, const char *public_key,
                      bool staged_too, struct me_error *err)
{
    struct me_buffer script = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    int status = 0;
    long long expiry = (long long)time(NULL) + 86400LL * preparation->options->key_days;
    me_access_script(preparation->set_id, public_key, expiry, staged_too, &script);
    int rc = host->ops->exec(host->remote, "sh -s", &script, 30, NULL, &errout, &status, err);
    if (!rc && status) {
        const char *said = errout.data ? errout.data : "no reason given";
        bool full = strstr(said, "No space left") != NULL;
        rc = me_fail(err, ME_E_MACHINE, "%s: ~/.ssh/authorized_keys there is not changed: %s%s",
                     host->machine->name, full ? "disk full: " : "", said);
    }
    me_buffer_release(&script);
    me_buffer_release(&errout);
    return rc;
}

/* Logs in as mpirun's ssh will: with the experiment's key alone. That a command runs there as this
 * user has been seen before; only the way in is new. */
static int try_key(struct me_preparation *preparation, struct me_host *host, struct me_error *err)
{
    struct me_error reason = {0};
    struct me_remote *remote = NULL;
    struct me_machine machine = *host->machine;
    char key[1200];
    snprintf(key, sizeof key, "%s/id_ed25519", preparation->aside);
    machine.password = NULL;
    machine.key_filename = key;
    int rc = host->ops->connect(&remote, &machine, &preparation->remote_options, &reason);
    host->ops->close(remote);
    if (!rc) return 0;
    return me_fail(err, ME_E_MACHINE,
                   "%s: the experiment key was put into ~/.ssh/authorized_keys but does not log in; see "
                   "sshd_config there: PubkeyAuthentication, AuthorizedKeysFile, StrictModes",
                   host->machine->name);
}

void me_access_install(struct me_preparation *preparation, struct me_host *host)
{
    struct me_error err = {0};
    if (host->state) {
        host->key_installed = true; /* from here on it may be there, also if we hear of an error */
        if (run_script(preparation, host, preparation->public_key, false, &err) ||
            try_key(preparation, host, &err)) {
            me_host_fail(host, &err);
            return;
        }
    }
    host->step = ME_STEP_READY;
}

void me_access_remove(struct me_preparation *preparation, struct me_host *host)
{
    /* The connection may be what failed, or be cut off in the middle of something: a fresh one. */
    host->ops->close(host->remote);
    host->remote = NULL;
    if (host->ops->connect(&host->remote, host->machine, &preparation->remote_options, NULL)) return;
    if (!run_script(preparation, host, NULL, false, NULL)) host->key_installed = false;
}

void me_access_clean(struct me_preparation *preparation, struct me_host *host)
{
    struct me_error err = {0};
    int rc = host->ops->connect(&host->remote, host->machine, &preparation->remote_options, &err);
    if (!rc) rc = run_script(preparation, host, NULL, true, &err);
    if (rc)
        me_host_fail(host, &err);
    else
        host->step = ME_STEP_READY;
}
