/* The image that a machine's rank runs in: it gets there by an archive or a pull, is pinned by its id, and a container
 * of it answers the questions about our programs that the machine itself answers elsewhere. Images are never removed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "me/version.h"
#include "prepare.h"

#define AS_LONG_AS_IT_TAKES_S 1e6

/* The engine's last words are the reason; its lines about layers become the marks of the progress line. The login is
 * that of the user's own configuration, also where sudo has another home. */
static const char get_it[] =
    "last() { printf '%s' \"${1##*\"$nl\"}\"; }\n"
    "exec 3>&1\n"
    "pull_it() {\n"
    "    set -- $engine\n"
    "    case $engine in\n"
    "    sudo*docker) [ ! -f \"$HOME/.docker/config.json\" ] || set -- \"$@\" --config \"$HOME/.docker\" ;;\n"
    "    esac\n"
    "    said=$({ \"$@\" pull \"$image\" 2>&1 || echo failed; } | while read -r line; do\n"
    "        case $line in\n"
    "        *': Pulling fs layer') printf '\\001' >&3 ;;\n"
    "        *': Pull complete') printf '\\002' >&3 ;;\n"
    "        *) printf '%s\\n' \"$line\" ;;\n"
    "        esac\n"
    "    done)\n"
    "    case $said in *failed) said=${said%failed} said=${said%\"$nl\"}; return 1 ;; esac\n"
    "}\n"
    "load_it() {\n"
    "    said=$($engine load -i \"$archive\" 2>&1)\n"
    "    loaded=$?\n"
    "    rm -f \"$archive\"\n"
    "    [ \"$loaded\" = 0 ] || return 1\n"
    "    case $said in *'Loaded image'*) ;; *) said='the archive holds no image'; return 1 ;; esac\n"
    "    said=$(printf '%s\\n' \"$said\" | grep 'Loaded image' | tail -n 1)\n"
    "    [ -n \"$named\" ] || image=${said#Loaded image*: }\n"
    "}\n"
    "look_at_it() {\n"
    "    said=$($engine image inspect -f '{{.Id}} {{.Os}}/{{.Architecture}} {{range .RepoDigests}}{{.}} "
    "{{end}}' \\\n"
    "        \"$image\" 2>&1) && case $said in *sha256:*' '*) ;; *) false ;; esac\n"
    "}\n"
    "got=\n"
    "if [ -n \"$archive\" ]; then\n"
    "    if load_it; then got=yes; else tell image_text \"$(last \"$said\")\"; fi\n"
    "elif [ -n \"$look_only\" ] || { [ -z \"$pull\" ] && look_at_it; }; then\n"
    "    got=yes\n"
    "elif pull_it; then\n"
    "    got=yes\n"
    "else\n"
    "    tell image_text \"$(last \"$said\")\"\n"
    "fi\n"
    "tell image \"$image\"\n"
    "if [ -n \"$got\" ] && look_at_it; then\n"
    "    set -- $said\n"
    "    id=$1 platform=$2\n"
    "    shift 2\n"
    /* one image may have been pulled from several repositories */
    "    digest=\n"
    "    for each; do\n"
    "        case ${image%@*} in \"${each%@*}\" | \"${each%@*}\":*) digest=$each ;; esac\n"
    "    done\n"
    "    case $id in sha256:*) ;; *) id=sha256:$id ;; esac\n"
    "    tell image_id \"$id\"\n"
    "    tell image_platform \"$platform\"\n"
    "    tell image_digest \"$digest\"\n"
    "elif [ -n \"$got\" ] && [ -z \"$look_only\" ]; then\n"
    "    tell image_text \"$(last \"$said\")\"\n"
    "fi\n";

/* Which rights this engine can give is found out by asking it for them. */
static const char try_it[] =
    "perfmon= nvidia=\n"
    "case $(uname -m):$platform in\n"
    "x86_64:linux/amd64 | aarch64:linux/arm64 | armv*:linux/arm | ppc64le:linux/ppc64le) fits=yes ;;\n"
    "riscv64:linux/riscv64 | s390x:linux/s390x) fits=yes ;;\n"
    "*) fits= ;;\n"
    "esac\n"
    "if [ -n \"$got\" ] && [ -n \"$id\" ] && [ -n \"$fits\" ]; then\n"
    "    if [ -e /sys/bus/event_source/devices/power ] && tried=$($engine create --cap-add PERFMON \"$id\" "
    "true 2>&1); then\n"
    "        $engine rm \"${tried##*\"$nl\"}\" >/dev/null 2>&1\n"
    "        perfmon=yes\n"
    "    fi\n"
    "    [ ! -e /dev/nvidiactl ] || case $($engine info -f '{{json .Runtimes}}' 2>/dev/null) in *nvidia*) "
    "nvidia=yes ;; esac\n"
    "    tell engine_perfmon \"$perfmon\"\n"
    "    tell engine_nvidia \"$nvidia\"\n";

static const char try_end[] = "END_OF_THE_CONTAINERS_SCRIPT\n"
                              "    )\n"
                              "    tried=$?\n"
                              "    rmdir \"$state\" 2>/dev/null\n"
                              "    case $inside in\n"
                              "    *me:image_ran=*) answers=$answers$inside$nl ;;\n"
                              "    *) tell image_text \"$(last \"${inside:-exit status $tried}\")\" ;;\n"
                              "    esac\n"
                              "fi\n"
                              "tell end \"$(date +%s.%N)\"\n"
                              "printf '%s' \"$answers\"\n"
                              "exit 0\n";

static void assign(struct me_buffer *out, const char *name, const char *value)
{
    me_buffer_printf(out, "%s=", name);
    me_buffer_shell_quoted(out, value);
    me_buffer_puts(out, "\n");
}

static const char *wanted_image(const struct me_preparation *preparation, const struct me_host *host)
{
    return host->machine->docker_image ? host->machine->docker_image : preparation->cluster->docker_image;
}

void me_image_name(const struct me_preparation *preparation, const struct me_host *host, char *name,
                   size_t size)
{
    const char *wanted = wanted_image(preparation, host), *framework = "native";
    for (size_t i = 0; i < preparation->work.count; i++) {
        const struct me_workload *row = preparation->work.entries[i].row;
        if (row && row->script) framework = row->name;
    }
    if (wanted)
        snprintf(name, size, "%s", wanted);
    else
        snprintf(name, size, "machine-energy-%s:%s", framework, ME_VERSION);
}

/* The container's own script stands in a here-document of the machine's. */
void me_image_script(const struct me_preparation *preparation, const struct me_host *host,
                     const char *archive, struct me_buffer *out)
{
    char name[256];
    me_image_name(preparation, host, name, sizeof name);
    me_buffer_puts(out, "{\n");
    me_preflight_script_begin(preparation, out);
    assign(out, "engine", host->facts.engine.words);
    assign(out, "image", name);
    assign(out, "named", wanted_image(preparation, host) ? "yes" : "");
    assign(out, "pull", preparation->options->pull ? "yes" : "");
    assign(out, "look_only", preparation->options->check ? "yes" : "");
    assign(out, "archive", archive);
    me_buffer_puts(out, "id=\ntell begin \"$(date +%s.%N)\"\n");
    me_buffer_puts(out, get_it);
    me_buffer_puts(out, try_it);
    me_hosts_container_options(preparation->cluster, out);
    me_buffer_puts(out, "    inside=$($engine run --rm -i \"$@\" --entrypoint sh \"$id\" -s 2>&1 "
                        "<<'END_OF_THE_CONTAINERS_SCRIPT'\n{\n");
    me_preflight_script_begin(preparation, out);
    me_buffer_puts(out, "tell image_ran yes\n");
    me_preflight_script_programs(preparation, host, out);
    me_buffer_puts(out, "printf '%s' \"$answers\"\nexit 0\n}\n");
    me_buffer_puts(out, try_end);
    me_buffer_puts(out, "}\n");
}

/* ---- what is made of the answers */

static const char *cure_of(const char *said)
{
    if (strstr(said, "no space left") || strstr(said, "No space left"))
        return "disk full there; make room (the engine's `system df` tells what takes it)";
    if (strstr(said, "no basic auth") || strstr(said, "unauthorized") ||
        strstr(said, "authentication required"))
        return "log in there: docker login, with the registry's name";
    return "is the name right and the registry up? make the image there with scripts/docker/build, ship it "
           "with "
           "--image-archive, or name your registry's in docker_image";
}

static void judge_programs(const struct me_preparation *preparation, const struct me_host *host, char *reason,
                           size_t size)
{
    const struct me_facts_seen *facts = &host->facts;
    const char *image = facts->engine.image;
    if (!facts->bench[0])
        snprintf(reason, size, "the image %s has no me_bench; scripts/docker/build makes one that has",
                 image);
    else if (strcmp(facts->bench_version, ME_VERSION))
        snprintf(reason, size,
                 "the image %s has me_bench %s, the head %s: make it anew with scripts/docker/build", image,
                 facts->bench_version[0] ? facts->bench_version : "that does not run", ME_VERSION);
    else if (!facts->mpi[0] || !facts->has_daemon)
        snprintf(reason, size, "the image %s has no Open MPI (%s); scripts/docker/build makes one that has",
                 image, facts->mpi[0] ? "orted" : "mpirun");
    else if (strcmp(facts->mpi, preparation->head.mpi))
        snprintf(reason, size, "the image %s has Open MPI %s, the head %s: both need the same version", image,
                 facts->mpi, preparation->head.mpi);
    else
        me_work_judge(preparation, host, reason, size);
}

void me_image_judge(const struct me_preparation *preparation, const struct me_host *host, char *reason,
                    size_t size)
{
    const struct me_engine_seen *seen = &host->facts.engine;
    const char *said = seen->image_text[0] ? seen->image_text : "no reason given";
    reason[0] = '\0';
    if (preparation->options->check && !seen->id[0]) return; /* it will be pulled */
    if (!seen->id[0])
        snprintf(reason, size, "no image %s: %s; %s", seen->image, said, cure_of(said));
    else if (!seen->ran && seen->image_text[0])
        snprintf(reason, size, "the image %s does not run there: %s", seen->image, said);
    else if (!seen->ran)
        snprintf(
            reason, size,
            "the image %s is for %s, the machine is %s: make it for both (scripts/docker/build --platform)",
            seen->image, seen->platform, host->facts.arch);
    else
        judge_programs(preparation, host, reason, size);
}

/* The digest without the repository's name; where there is none, the image came another way than by a pull. */
static void fill_container(const struct me_engine_seen *seen, struct me_container *container)
{
    const char *at = strchr(seen->digest, '@');
    snprintf(container->engine, sizeof container->engine, "%s", seen->words);
    snprintf(container->version, sizeof container->version, "%s", seen->version);
    snprintf(container->image, sizeof container->image, "%s", seen->image);
    snprintf(container->id, sizeof container->id, "%s", seen->id);
    snprintf(container->digest, sizeof container->digest, "%.71s", at ? at + 1 : seen->id);
    container->perfmon = seen->perfmon;
    container->nvidia = seen->nvidia;
}

void me_image_text(const struct me_container *container, char *text, size_t size)
{
    if (container->id[0])
        snprintf(text, size, "%s, %s %.19s", container->version, container->image, container->digest);
    else
        snprintf(text, size, "%s; %s will be pulled", container->version, container->image);
}

/* ---- getting it */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* By SFTP to the user's cache; the script takes it away. */
static int ship(struct me_preparation *preparation, struct me_host *host, char *path, size_t size,
                struct me_error *err)
{
    struct me_buffer script = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    int status = 0;
    const char *archive = preparation->options->image_archive;
    snprintf(path, size, "%s/.cache/machine-energy/%.100s.part", host->facts.home, base_name(archive));
    me_buffer_puts(&script, "umask 077\nmkdir -p \"$HOME/.cache/machine-energy\"\n");
    int rc = host->ops->exec(host->remote, "sh -s", &script, 30, NULL, &errout, &status, err);
    if (!rc && status)
        rc = me_fail(err, ME_E_MACHINE, "%s: ~/.cache/machine-energy there: %s", host->machine->name,
                     errout.data ? errout.data : "cannot be made");
    if (!rc) rc = host->ops->put(host->remote, archive, path, 0600, err);
    me_buffer_release(&script);
    me_buffer_release(&errout);
    return rc;
}

static int get(struct me_preparation *preparation, struct me_host *host, struct me_error *err)
{
    struct me_buffer script = ME_BUFFER_INIT, answer = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    char archive[600] = "";
    double begin_s, end_s;
    int status = 0, rc = 0;
    bool ships = preparation->options->image_archive && !preparation->options->check;
    if (ships) rc = ship(preparation, host, archive, sizeof archive, err);
    me_image_script(preparation, host, archive, &script);
    if (!rc && script.failed) rc = me_fail(err, ME_E_RUN, "no memory");
    if (!rc)
        rc = host->ops->exec(host->remote, "sh -s", &script, AS_LONG_AS_IT_TAKES_S, &answer, &errout, &status,
                             err);
    if (!rc && me_preflight_parse_more(answer.data ? answer.data : "", &host->facts, &begin_s, &end_s)) {
        const char *said = errout.data ? errout.data : "it was ended there";
        rc = me_fail(err, ME_E_MACHINE, "%s: the image is not there (exit status %d): %.*s",
                     host->machine->name, status, (int)strcspn(said, "\r\n"), said);
    }
    me_buffer_release(&script);
    me_buffer_release(&answer);
    me_buffer_release(&errout);
    return rc;
}

void me_image_get(struct me_preparation *preparation, struct me_host *host)
{
    struct me_error err = {0};
    char reason[sizeof host->reason];
    if (get(preparation, host, &err)) {
        me_host_fail(host, &err);
        return;
    }
    me_image_judge(preparation, host, reason, sizeof reason);
    fill_container(&host->facts.engine, host->container);
    if (reason[0]) {
        host->step = ME_STEP_FAILED;
        memcpy(host->reason, reason, sizeof reason);
    } else if (host->facts.engine.has_gpu && !host->facts.engine.nvidia) {
        snprintf(host->note, sizeof host->note,
                 "its GPUs are not seen in containers: install the NVIDIA container toolkit there");
    }
}

static bool is_same_image(const struct me_host *a, const struct me_host *b)
{
    const struct me_container *x = a->container, *y = b->container;
    return !strcmp(x->id, y->id) || !strcmp(x->digest, y->digest);
}

/* The first of an architecture is the measure of the others. */
static const struct me_host *find_first(const struct me_preparation *preparation, const struct me_host *host)
{
    for (size_t i = 0; i < preparation->count; i++) {
        const struct me_host *other = &preparation->hosts[i];
        if (other->step == ME_STEP_REACHED && other->container->id[0] &&
            !strcmp(other->facts.engine.platform, host->facts.engine.platform))
            return other;
    }
    return NULL;
}

void me_image_compare(struct me_preparation *preparation)
{
    for (size_t i = 0; i < preparation->count; i++) {
        struct me_host *host = &preparation->hosts[i];
        if (host->step != ME_STEP_REACHED || !host->container->id[0]) continue;
        const struct me_host *first = find_first(preparation, host);
        if (!first || is_same_image(first, host)) continue;
        host->step = ME_STEP_FAILED;
        snprintf(
            host->reason, sizeof host->reason,
            "its image %s is %.19s, that of %s is %.19s: one experiment needs one image; pull it anew with "
            "--pull, or name it by its digest in docker_image",
            host->container->image, host->container->digest, first->machine->name, first->container->digest);
    }
}

/* ---- before anything is reached */

static int check_archive(const char *path, struct me_error *err)
{
    struct stat st;
    if (stat(path, &st)) return me_fail_errno(err, ME_E_INPUT, errno, "--image-archive: %.400s", path);
    if (!S_ISREG(st.st_mode))
        return me_fail(err, ME_E_INPUT, "--image-archive: %.400s is no file of docker save", path);
    return 0;
}

/* An image of ours holds one framework. */
static int check_frameworks(const struct me_cluster *cluster, const struct me_workloads *work,
                            struct me_error *err)
{
    const struct me_workload *first = NULL;
    if (cluster->docker_image) return 0;
    for (size_t i = 0; i < work->count; i++) {
        const struct me_workload *row = work->entries[i].row;
        if (!row || !row->script || row == first) continue;
        if (first)
            return me_fail(
                err, ME_E_INPUT,
                "%.300s: run_docker: %s and %s need an image that holds both; name it in docker_image",
                cluster->source, first->name, row->name);
        first = row;
    }
    return 0;
}

int me_image_check(const struct me_cluster *cluster, const struct me_prepare_options *options,
                   const struct me_workloads *work, struct me_error *err)
{
    const char *given = options->image_archive ? "--image-archive" : options->pull ? "--pull" : NULL;
    if (!cluster->run_docker)
        return given ? me_fail(err, ME_E_INPUT, "%s: only with \"run_docker\": true in the config", given)
                     : 0;
    if (options->install)
        return me_fail(err, ME_E_INPUT,
                       "--install-framework: not with run_docker: what runs in a container is in its image "
                       "(scripts/docker/build)");
    if (options->image_archive && options->pull)
        return me_fail(err, ME_E_INPUT,
                       "--image-archive: not together with --pull: the image comes from the archive");
    if (options->image_archive && check_archive(options->image_archive, err)) return -1;
    return check_frameworks(cluster, work, err);
}
