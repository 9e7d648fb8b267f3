#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "me/root.h"
#include "me/version.h"
#include "prepare.h"

bool me_head_mpi_version(const char *text, char *version, size_t size)
{
    static const char mark[] = "(Open MPI) ";
    const char *found = strstr(text, mark);
    if (!found) return false;
    found += sizeof mark - 1;
    snprintf(version, size, "%.*s", (int)strcspn(found, " \r\n"), found);
    return version[0] != '\0';
}

static int find_mpi(struct me_head *head, struct me_error *err)
{
    struct me_remote *local = NULL;
    struct me_remote_options options = {0};
    struct me_buffer out = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    int status = 0, rc = -1;
    if (me_remote_local.connect(&local, NULL, &options, err)) return -1;
    if (me_remote_local.exec(local, "mpirun --version", NULL, 30, &out, &errout, &status, err)) goto out;
    if (status == 127)
        me_fail(err, ME_E_MACHINE, "this machine: mpirun is not in PATH; run: apt-get install openmpi-bin");
    else if (!out.data || !me_head_mpi_version(out.data, head->mpi, sizeof head->mpi))
        me_fail(err, ME_E_MACHINE,
                "this machine: mpirun is not Open MPI's; run: apt-get install openmpi-bin, and put it first "
                "in PATH");
    else
        rc = 0;
out:
    me_remote_local.close(local);
    me_buffer_release(&out);
    me_buffer_release(&errout);
    return rc;
}

/* FNV-1a over the bytes: names a build, guards nothing. */
static int add_file(const char *path, uint64_t *hash, struct me_error *err)
{
    unsigned char bytes[65536];
    size_t n;
    FILE *file = fopen(path, "re");
    if (!file) return me_fail_errno(err, ME_E_MACHINE, errno, "this machine: %s", path);
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0)
        for (size_t i = 0; i < n; i++) *hash = (*hash ^ bytes[i]) * UINT64_C(1099511628211);
    int failed = ferror(file);
    fclose(file);
    return failed ? me_fail(err, ME_E_MACHINE, "this machine: %s cannot be read", path) : 0;
}

/* The directory of PATH that a bare me_bench would come from; "" if none. */
static void search_path(char *found, size_t size)
{
    const char *path = getenv("PATH");
    char name[1200];
    found[0] = '\0';
    while (path && *path) {
        int len = (int)strcspn(path, ":");
        snprintf(name, sizeof name, "%.*s/me_bench", len, path);
        if (len && !access(name, X_OK)) {
            snprintf(found, size, "%.*s", len, path);
            return;
        }
        path += len + (path[len] == ':');
    }
}

static int find_programs(struct me_head *head, struct me_error *err)
{
    char in_path[1024];
    ssize_t len = readlink("/proc/self/exe", head->bin, sizeof head->bin - 1);
    head->bin[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(head->bin, '/');
    if (slash) *slash = '\0';
    search_path(in_path, sizeof in_path);
    snprintf(head->bench, sizeof head->bench, "%s/me_bench", head->bin);
    if (access(head->bench, X_OK)) {
        if (!in_path[0])
            return me_fail(err, ME_E_MACHINE,
                           "this machine: me_bench is neither beside me (%s) nor in PATH; install it",
                           head->bin);
        snprintf(head->bin, sizeof head->bin, "%s", in_path);
        snprintf(head->bench, sizeof head->bench, "%s/me_bench", head->bin);
    }
    snprintf(head->kernel, sizeof head->kernel, "%s/me_kernel", head->bin);
    if (access(head->kernel, X_OK))
        snprintf(head->kernel, sizeof head->kernel, "%s/../libexec/machine-energy/me_kernel", head->bin);
    if (access(head->kernel, X_OK))
        return me_fail(err, ME_E_MACHINE,
                       "this machine: me_kernel is neither beside me_bench (%s) nor in "
                       "../libexec/machine-energy; install it",
                       head->bin);
    char *real_path = realpath(in_path[0] ? in_path : "/nonexistent", NULL),
         *real_bin = realpath(head->bin, NULL);
    head->in_path = real_path && real_bin && !strcmp(real_path, real_bin);
    free(real_path);
    free(real_bin);
    return 0;
}

int me_head_find(struct me_head *head, struct me_error *err)
{
    struct me_head found = {0};
    struct utsname name;
    struct me_root root = {.fd = -1};
    uint64_t hash = UINT64_C(14695981039346656037);
    if (uname(&name)) return me_fail_errno(err, ME_E_RUN, errno, "uname");
    snprintf(found.arch, sizeof found.arch, "%s", name.machine);
    if (!getcwd(found.cwd, sizeof found.cwd))
        return me_fail_errno(err, ME_E_RUN, errno, "the current directory");
    if (me_root_open(&root, "/", err)) return -1;
    me_root_boot_id(&root, found.boot_id);
    me_root_close(&root);
    if (find_mpi(&found, err) || find_programs(&found, err)) return -1;
    if (add_file(found.bench, &hash, err) || add_file(found.kernel, &hash, err)) return -1;
    snprintf(found.stage_id, sizeof found.stage_id, "%s-%012llx", ME_VERSION,
             (unsigned long long)(hash & UINT64_C(0xffffffffffff)));
    *head = found;
    return 0;
}
