#include "sftp.h"
#include <errno.h>
#include <fcntl.h>
#include <libssh2_sftp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "me/clock.h"

#define STALL_NS (30 * ME_NS_PER_S) /* no byte taken for so long: given up */

static int64_t patience(void)
{
    return me_clock_mono_ns() + STALL_NS;
}

static LIBSSH2_SFTP *open_sftp(struct me_remote *remote, struct me_error *err)
{
    LIBSSH2_SFTP *sftp;
    int64_t deadline = patience();
    while (!(sftp = libssh2_sftp_init(remote->session)))
        if (libssh2_session_last_errno(remote->session) != LIBSSH2_ERROR_EAGAIN ||
            me_ssh_wait(remote, deadline)) {
            me_fail(err, ME_E_MACHINE,
                    "%s: no SFTP there (%s); enable it in sshd_config: Subsystem sftp internal-sftp",
                    remote->where, me_ssh_reason(remote));
            break;
        }
    return sftp;
}

static LIBSSH2_SFTP_HANDLE *open_file(struct me_remote *remote, LIBSSH2_SFTP *sftp, const char *path,
                                      int mode)
{
    LIBSSH2_SFTP_HANDLE *file;
    int64_t deadline = patience();
    while (!(file = libssh2_sftp_open_ex(sftp, path, (unsigned)strlen(path),
                                         LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC, mode,
                                         LIBSSH2_SFTP_OPENFILE)))
        if (libssh2_session_last_errno(remote->session) != LIBSSH2_ERROR_EAGAIN ||
            me_ssh_wait(remote, deadline))
            break;
    return file;
}

static bool write_all(struct me_remote *remote, LIBSSH2_SFTP_HANDLE *file, const char *bytes, size_t len)
{
    int64_t deadline = patience();
    while (len) {
        ssize_t n = libssh2_sftp_write(file, bytes, len);
        if (n == LIBSSH2_ERROR_EAGAIN && !me_ssh_wait(remote, deadline)) continue;
        if (n < 0) return false;
        bytes += n;
        len -= (size_t)n;
        deadline = patience();
    }
    return true;
}

/* 0, 1: the machine did not take it, -1: the local file cannot be read. */
static int copy(struct me_remote *remote, LIBSSH2_SFTP_HANDLE *file, int fd)
{
    size_t size = 256 * 1024; /* libssh2 keeps this much in flight */
    char *bytes = malloc(size);
    ssize_t n = -1;
    int rc = bytes ? 0 : -1;
    while (!rc && (n = read(fd, bytes, size)) > 0) rc = write_all(remote, file, bytes, (size_t)n) ? 0 : 1;
    free(bytes);
    return !rc && n < 0 ? -1 : rc;
}

static int close_file(struct me_remote *remote, LIBSSH2_SFTP_HANDLE *file)
{
    int rc;
    int64_t deadline = patience();
    while ((rc = libssh2_sftp_close_handle(file)) == LIBSSH2_ERROR_EAGAIN && !me_ssh_wait(remote, deadline))
        continue;
    return rc;
}

/* SFTP says no more than "failure" for a full disk. The machine's own dd knows the reason. Removes
 * what was written. */
static int explain(struct me_remote *remote, const struct me_remote_ops *ops, const char *tmp,
                   const char *target, struct me_error *err)
{
    struct me_buffer script = ME_BUFFER_INIT, out = ME_BUFFER_INIT;
    char reason[200];
    int status;
    snprintf(reason, sizeof reason, "%s", me_ssh_reason(remote));
    me_buffer_puts(&script, "LC_ALL=C; export LC_ALL; t=");
    me_buffer_shell_quoted(&script, tmp);
    me_buffer_puts(
        &script,
        "\ndd if=/dev/zero of=\"$t\" bs=65536 count=16 oflag=append conv=notrunc 2>&1\nrm -f \"$t\"\n");
    int rc = ops->exec(remote, "sh -s", &script, 30, &out, NULL, &status, NULL);
    if (!rc && out.data && strstr(out.data, "No space left"))
        me_fail(err, ME_E_MACHINE, "%s: disk full there while writing %s; make room, or have HOME elsewhere",
                remote->where, target);
    else if (!rc && out.data && strcasestr(out.data, "quota"))
        me_fail(err, ME_E_MACHINE, "%s: disk quota exceeded there while writing %s; make room", remote->where,
                target);
    else if (!rc && out.data && strstr(out.data, "Read-only"))
        me_fail(err, ME_E_MACHINE, "%s: read-only file system there: %s", remote->where, target);
    else if (!rc && out.data && strstr(out.data, "Permission denied"))
        me_fail(err, ME_E_MACHINE, "%s: permission denied there: %s", remote->where, target);
    else
        me_fail(err, ME_E_MACHINE, "%s: cannot write %s there: %s", remote->where, target, reason);
    me_buffer_release(&script);
    me_buffer_release(&out);
    return -1;
}

static int put_in_place(struct me_remote *remote, const struct me_remote_ops *ops, const char *tmp,
                        const char *target, int mode, struct me_error *err)
{
    struct me_buffer script = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    int status = 255;
    me_buffer_puts(&script, "t=");
    me_buffer_shell_quoted(&script, tmp);
    me_buffer_puts(&script, "\ntrap 'rm -f \"$t\"' EXIT\n");
    me_buffer_printf(&script, "chmod %04o \"$t\" && mv -f \"$t\" ", (unsigned)mode);
    me_buffer_shell_quoted(&script, target);
    me_buffer_puts(&script, "\n");
    int rc = ops->exec(remote, "sh -s", &script, 30, NULL, &errout, &status, err);
    if (!rc && status)
        rc = me_fail(err, ME_E_MACHINE, "%s: cannot put %s in place: %s", remote->where, target,
                     errout.data ? errout.data : "");
    me_buffer_release(&script);
    me_buffer_release(&errout);
    return rc;
}

int me_sftp_put(struct me_remote *remote, const struct me_remote_ops *ops, const char *local_path,
                const char *remote_path, int mode, struct me_error *err)
{
    char tmp[1200];
    LIBSSH2_SFTP_HANDLE *file = NULL;
    int rc = -1;
    snprintf(tmp, sizeof tmp, "%.1100s.%llx.part", remote_path, (unsigned long long)me_clock_unix_ns());
    int fd = open(local_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return me_fail_errno(err, ME_E_RUN, errno, "%s", local_path);
    LIBSSH2_SFTP *sftp = open_sftp(remote, err);
    if (!sftp) goto out;
    file = open_file(remote, sftp, tmp, 0600);
    int copied = file ? copy(remote, file, fd) : 1;
    int closed = file ? close_file(remote, file) : 0;
    if (copied < 0)
        me_fail(err, ME_E_RUN, "%s: cannot be read", local_path);
    else if (copied || closed)
        explain(remote, ops, tmp, remote_path, err);
    else
        rc = put_in_place(remote, ops, tmp, remote_path, mode, err);
out:
    if (sftp) {
        int64_t deadline = me_clock_mono_ns() + ME_NS_PER_S;
        while (libssh2_sftp_shutdown(sftp) == LIBSSH2_ERROR_EAGAIN && !me_ssh_wait(remote, deadline))
            continue;
    }
    close(fd);
    return rc;
}
