#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "me/clock.h"
#include "me/version.h"
#include "prepare.h"

#define MINIMUM_FREE_MIB 64
#define TIMEOUT_S        60 /* and as much for each workload, see me_workload_check */

/* Runs under the login shell's environment, as mpirun's own commands will. Answers are lines
 * "me:KEY=VALUE"; what a chatty .bashrc prints is passed over. Each of a thousand machines runs it, so
 * that what the shell can do itself starts no process; ldd, which starts many, only tells of what
 * is broken. */
static const char body_begin[] = "LC_ALL=C; export LC_ALL\n"
                                 "set -f\n"
                                 "exec </dev/null\n"
                                 "nl='\n'\n"
                                 "answers=\n"
                                 "tell() { answers=${answers}me:$1=${2%%\"$nl\"*}$nl; }\n";

static const char body_machine[] =
    "tell begin \"$(date +%s.%N)\"\n"
    "{ read -r arch </proc/sys/kernel/arch; } 2>/dev/null || arch=$(uname -m)\n"
    "tell arch \"$arch\"\n"
    "{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=\n"
    "tell boot \"$boot\"\n"
    "tell home \"$HOME\"\n"
    "tell ssh \"$SSH_CONNECTION\"\n"
    "disk=$(df -Pk \"$HOME\" 2>/dev/null)\n"
    "case $disk in *\"$nl\"*) set -- ${disk#*\"$nl\"} ;; *) set -- ;; esac\n"
    "tell free \"$4\"\n";

static const char body_programs[] =
    "tell mpi \"$(mpirun --version 2>/dev/null)\"\n"
    "if command -v orted >/dev/null || command -v prted >/dev/null; then tell daemon yes; fi\n"
    "missing() {\n"
    "    set -- $(ldd \"$@\" 2>/dev/null | awk '/not found/ { print $1 }' | sort -u)\n"
    "    tell missing \"$*\"\n"
    "}\n"
    "ask_version() { version=$(\"$1\" --version 2>/dev/null); version=${version%%\"$nl\"*}; }\n"
    "bench=\n"
    "version=\n"
    "if command -v me_bench >/dev/null; then\n"
    "    bench=$(command -v me_bench)\n"
    "    ask_version \"$bench\"\n"
    "fi\n"
    "stage=$HOME/.cache/machine-energy/$stage_id/bin\n"
    "if [ \"$version\" != \"$want\" ] && [ -x \"$stage/me_bench\" ] && [ -x \"$stage/me_kernel\" ]; then\n"
    "    bench=$stage/me_bench\n"
    "    ask_version \"$bench\"\n"
    "    tell staged yes\n"
    "    if [ \"$version\" != \"$want\" ]; then\n"
    "        tell failed \"$(\"$bench\" --version 2>&1)\"\n"
    "        missing \"$bench\" \"$stage/me_kernel\"\n"
    "    fi\n"
    "fi\n"
    "tell bench \"$bench\"\n"
    "tell version \"$version\"\n";

/* The workloads' part stands between. */
static const char body_end[] = "tell end \"$(date +%s.%N)\"\n"
                               "printf '%s' \"$answers\"\n"
                               "exit 0\n";

static void assign(struct me_buffer *out, const char *name, const char *value)
{
    me_buffer_printf(out, "%s=", name);
    me_buffer_shell_quoted(out, value);
    me_buffer_puts(out, "\n");
}

void me_preflight_script_begin(const struct me_preparation *preparation, struct me_buffer *out)
{
    assign(out, "stage_id", preparation->head.stage_id);
    assign(out, "want", "me_bench (Machine Energy) " ME_VERSION);
    assign(out, "cwd", preparation->head.cwd);
    me_buffer_puts(out, body_begin);
}

void me_preflight_script_programs(const struct me_preparation *preparation, const struct me_host *host,
                                  struct me_buffer *out)
{
    me_buffer_puts(out, body_programs);
    me_work_script(preparation, host, out);
}

/* All of it within braces: the shell reads the whole script before `exec </dev/null` takes it away. */
void me_preflight_script(const struct me_preparation *preparation, const struct me_host *host,
                         struct me_buffer *out)
{
    me_buffer_puts(out, "{\n");
    me_preflight_script_begin(preparation, out);
    me_buffer_puts(out, body_machine);
    if (host->container)
        me_engine_script(out);
    else
        me_preflight_script_programs(preparation, host, out);
    me_buffer_puts(out, body_end);
    me_buffer_puts(out, "}\n");
}

void me_preflight_clean(char *to, size_t size, const char *text, size_t len)
{
    size_t at = 0;
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\r')) len--;
    for (size_t i = 0; i < len && at + 1 < size; i++)
        to[at++] = (unsigned char)text[i] < ' ' || text[i] == 127 ? '?' : text[i];
    to[at] = '\0';
}

static void take_answer(const char *key, const char *value, struct me_facts_seen *facts, double *begin_s,
                        double *end_s)
{
    size_t len = strlen(value);
    if (!strcmp(key, "begin"))
        *begin_s = strtod(value, NULL);
    else if (!strcmp(key, "end"))
        *end_s = strtod(value, NULL);
    else if (!strcmp(key, "arch"))
        me_preflight_clean(facts->arch, sizeof facts->arch, value, len);
    else if (!strcmp(key, "boot"))
        me_preflight_clean(facts->boot_id, sizeof facts->boot_id, value, len);
    else if (!strcmp(key, "home"))
        me_preflight_clean(facts->home, sizeof facts->home, value, len);
    else if (!strcmp(key, "ssh"))
        sscanf(value, "%63s %*s %63s", facts->ssh_client, facts->ssh_server);
    else if (!strcmp(key, "free"))
        facts->free_mib = *value ? strtod(value, NULL) / 1024 : NAN;
    else if (!strcmp(key, "mpi"))
        me_head_mpi_version(value, facts->mpi, sizeof facts->mpi);
    else if (!strcmp(key, "daemon"))
        facts->has_daemon = *value != '\0';
    else if (!strcmp(key, "staged"))
        facts->staged = true;
    else if (!strcmp(key, "bench"))
        me_preflight_clean(facts->bench, sizeof facts->bench, value, len);
    else if (!strcmp(key, "version")) {
        const char *blank = strrchr(value, ' ');
        if (!strncmp(value, "me_bench (Machine Energy) ", 26))
            me_preflight_clean(facts->bench_version, sizeof facts->bench_version, blank + 1,
                               strlen(blank + 1));
    } else if (!strcmp(key, "missing"))
        me_preflight_clean(facts->missing, sizeof facts->missing, value, len);
    else if (!strcmp(key, "failed"))
        me_preflight_clean(facts->bench_text, sizeof facts->bench_text, value, len);
    else if (!me_engine_answer(key, value, facts))
        me_work_answer(key, value, facts);
}

int me_preflight_parse(const char *text, struct me_facts_seen *facts, double *begin_s, double *end_s)
{
    struct me_facts_seen seen = {.free_mib = NAN, .clock_offset_s = NAN};
    for (size_t i = 0; i < ME_WORKLOADS_MAX; i++) seen.work[i].status = -1;
    if (me_preflight_parse_more(text, &seen, begin_s, end_s)) return -1;
    *facts = seen;
    return 0;
}

int me_preflight_parse_more(const char *text, struct me_facts_seen *facts, double *begin_s, double *end_s)
{
    struct me_facts_seen seen = *facts;
    char line[2048];
    *begin_s = *end_s = 0;
    while (*text) {
        size_t len = strcspn(text, "\n");
        /* A prompt or banner without a newline may stand before the first answer. */
        const char *mark = memmem(text, len, "me:", 3);
        if (mark) {
            snprintf(line, sizeof line, "%.*s", (int)(len - (size_t)(mark + 3 - text)), mark + 3);
            char *equals = strchr(line, '=');
            if (equals) {
                *equals = '\0';
                equals[1 + strcspn(equals + 1, "\r")] = '\0';
                size_t value_len = strlen(equals + 1);
                while (value_len && equals[value_len] == ' ') equals[value_len--] = '\0';
                take_answer(line, equals + 1, &seen, begin_s, end_s);
            }
        }
        text += len + (text[len] == '\n');
    }
    if (*end_s <= 0) return -1; /* it did not run to its end */
    *facts = seen;
    return 0;
}

bool me_preflight_needs_stage(const struct me_facts_seen *facts)
{
    return strcmp(facts->bench_version, ME_VERSION) != 0 && !facts->staged;
}

void me_preflight_packages(const char *libraries, char *packages, size_t size)
{
    static const struct {
        const char *library, *package;
    } known[] = {
        {"libmpi.so.", "libopenmpi3"},    {"libhdf5_serial.so.", "libhdf5-103-1"},
        {"libhdf5.so.", "libhdf5-103-1"}, {"libhwloc.so.", "libhwloc15"},
        {"libpfm.so.", "libpfm4"},        {"libopenblas.so.", "libopenblas0"},
        {"libcjson.so.", "libcjson1"},    {"libz.so.", "zlib1g"},
        {"libssh2.so.", "libssh2-1"},     {"libgfortran.so.", "libgfortran5"},
        {"libopen-", "libopenmpi3"},
    };
    size_t at = 0;
    packages[0] = '\0';
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!strstr(libraries, known[i].library) || strstr(packages, known[i].package)) continue;
        int n = snprintf(packages + at, size - at, "%s%s", at ? " " : "", known[i].package);
        if (n < 0 || (size_t)n >= size - at) break;
        at += (size_t)n;
    }
}

static bool judge_programs(const struct me_host *host, char *reason, size_t size)
{
    const struct me_facts_seen *facts = &host->facts;
    char packages[256];
    if (facts->missing[0]) {
        me_preflight_packages(facts->missing, packages, sizeof packages);
        snprintf(reason, size, "shared libraries are missing (%s); run there: apt-get install %s",
                 facts->missing, packages[0] ? packages : "the packages that have them");
    } else if (strcmp(facts->bench_version, ME_VERSION)) {
        snprintf(reason, size, "me_bench does not run there (%s): %s", facts->bench,
                 facts->bench_text[0] ? facts->bench_text : "it prints no version");
    }
    return reason[0] != '\0';
}

static void judge_disk(const struct me_facts_seen *facts, char *reason, size_t size)
{
    snprintf(reason, size, "disk full: %.0f MiB free in %s, %d needed; make room", facts->free_mib,
             facts->home, MINIMUM_FREE_MIB);
}

void me_preflight_judge(const struct me_preparation *preparation, const struct me_host *host, bool staging,
                        char *reason, size_t size)
{
    const struct me_head *head = &preparation->head;
    const struct me_facts_seen *facts = &host->facts;
    reason[0] = '\0';
    if (strcmp(facts->arch, head->arch))
        snprintf(reason, size, "its architecture is %s, the head's %s: one experiment needs one architecture",
                 facts->arch, head->arch);
    else if (host->container && facts->free_mib < MINIMUM_FREE_MIB)
        judge_disk(facts, reason, size);
    else if (host->container)
        me_engine_judge(host, reason, size);
    else if (!facts->mpi[0] || !facts->has_daemon)
        snprintf(reason, size,
                 "Open MPI is missing (no %s in the PATH of a non-interactive shell); run there: apt-get "
                 "install openmpi-bin",
                 facts->mpi[0] ? "orted" : "mpirun");
    else if (strcmp(facts->mpi, head->mpi))
        snprintf(reason, size, "its Open MPI is %s, the head's %s; install the same version on both",
                 facts->mpi, head->mpi);
    else if (facts->free_mib < MINIMUM_FREE_MIB)
        judge_disk(facts, reason, size);
    else if (staging && me_preflight_needs_stage(facts) && !me_work_command_missing(preparation, host))
        return;
    else if (me_work_command_missing(preparation, host) || !judge_programs(host, reason, size))
        me_work_judge(preparation, host, reason, size);
}

static double now_s(void)
{
    return (double)me_clock_unix_ns() * 1e-9;
}

/* The script's output, or why there is none. */
static int ask(struct me_preparation *preparation, struct me_host *host, struct me_buffer *answer,
               struct me_error *err)
{
    struct me_buffer script = ME_BUFFER_INIT, errout = ME_BUFFER_INIT, command = ME_BUFFER_INIT;
    double begin_s, end_s;
    int status = 0;
    if (!host->state) { /* here our own programs come first, as they will in the launch */
        me_buffer_puts(&command, "PATH=");
        me_buffer_shell_quoted(&command, preparation->head.bin);
        me_buffer_puts(&command, ":$PATH exec ");
    }
    me_buffer_puts(&command, "sh -s");
    me_preflight_script(preparation, host, &script);
    double before_s = now_s(), timeout_s = TIMEOUT_S * (1 + (double)preparation->work.count);
    int rc = command.failed || script.failed ? me_fail(err, ME_E_RUN, "no memory")
                                             : host->ops->exec(host->remote, command.data, &script, timeout_s,
                                                               answer, &errout, &status, err);
    double after_s = now_s();
    if (!rc && me_preflight_parse(answer->data ? answer->data : "", &host->facts, &begin_s, &end_s)) {
        const char *said = errout.data ? errout.data : answer->data ? answer->data : "no answer";
        rc = me_fail(err, ME_E_MACHINE, "%s: no POSIX shell to work with there (exit status %d): %.*s",
                     host->machine->name, status, (int)strcspn(said, "\r\n"), said);
    }
    if (!rc) host->facts.clock_offset_s = (begin_s + end_s - before_s - after_s) / 2;
    me_buffer_release(&script);
    me_buffer_release(&errout);
    me_buffer_release(&command);
    return rc;
}

static void fill_state(struct me_host *host)
{
    if (!host->state) return;
    snprintf(host->state->home, sizeof host->state->home, "%s", host->facts.home);
    snprintf(host->state->host_key, sizeof host->state->host_key, "%s", host->ops->host_key(host->remote));
    snprintf(host->local_address, sizeof host->local_address, "%s", host->ops->local_address(host->remote));
    if (!host->facts.staged) return;
    char *slash = strrchr(host->facts.bench, '/');
    snprintf(host->state->stage_bin, sizeof host->state->stage_bin, "%.*s",
             (int)(slash ? slash - host->facts.bench : 0), host->facts.bench);
}

void me_preflight(struct me_preparation *preparation, struct me_host *host)
{
    struct me_error err = {0};
    struct me_buffer answer = ME_BUFFER_INIT;
    int rc = 0;
    if (!host->remote)
        rc = host->ops->connect(&host->remote, host->machine, &preparation->remote_options, &err);
    if (!rc) rc = ask(preparation, host, &answer, &err);
    me_buffer_release(&answer);
    if (rc) {
        me_host_fail(host, &err);
        return;
    }
    fill_state(host);
    bool first = host->step == ME_STEP_WAITING;
    me_preflight_judge(preparation, host, first && host->state, host->reason, sizeof host->reason);
    host->step = host->reason[0] ? ME_STEP_FAILED : ME_STEP_REACHED;
}
