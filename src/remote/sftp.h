/* Putting a file on the machine by SFTP. */
#ifndef ME_REMOTE_SFTP_H
#define ME_REMOTE_SFTP_H

#include "ssh.h"

/* Writes beside remote_path, then renames (with `mv`, which replaces atomically: SFTP's own rename
 * refuses an existing target). A full disk is told as such; nothing is left behind then. */
int me_sftp_put(struct me_remote *remote, const struct me_remote_ops *ops, const char *local_path,
                const char *remote_path, int mode, struct me_error *err);

#endif
