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
#define TIMEOUT_S        60

/* Runs under the login shell's environment, as mpirun's own commands will. Answers are lines
 * "me:KEY=VALUE"; what a chatty .bashrc prints is passed over. Each of a thousand machines runs it, so
 * that what the shell can do itself starts no process; ldd, which starts many, only tells of what
 * is broken. */
static const char body[] =
    "LC_ALL=C; export LC_ALL\n"
    "set -f\n"
    "exec </dev/null\n"
    "nl='\n'\n"
    "answers=\n"
    "tell() { answers=${answers}me:$1=${2%%\"$nl\"*}$nl; }\n"
    "tell begin \"$(date +%s.%N)\"\n"
    "{ read -r arch </proc/sys/kernel/arch; } 2>/dev/null || arch=$(uname -m)\n"
    "tell arch \"$arch\"\n"
    "{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=\n"
    "tell boot \"$boot\"\n"
    "tell home \"$HOME\"\n"
    "tell ssh \"$SSH_CONNECTION\"\n"
    "disk=$(df -Pk \"$HOME\" 2>/dev/null)\n"
    "case $disk in *\"$nl\"*) set -- ${disk#*\"$nl\"} ;; *) set -- ;; esac\n"
    "tell free \"$4\"\n"
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
    "tell version \"$version\"\n"
    "if [ -n \"$word\" ]; then\n"
    "    cd \"$cwd\" 2>/dev/null || cd\n"
    "    if command -v -- \"$word\" >/dev/null 2>&1; then tell work 0; else tell work 127; fi\n"
    "elif [ \"$version\" = \"$want\" ]; then\n"
    "    dir=${bench%/*}\n"
    "    kernel=$dir/me_kernel\n"
    "    [ -x \"$kernel\" ] || kernel=$dir/../libexec/machine-energy/me_kernel\n"
    "    text=$(\"$kernel\" \"$framework\" --check 2>&1)\n"
    "    work=$?\n"
    "    if [ $work = 127 ]; then missing \"$kernel\"; work=1; fi\n"
    "    tell work $work\n"
    "    tell worktext \"$text\"\n"
    "fi\n"
    "tell end \"$(date +%s.%N)\"\n"
    "printf '%s' \"$answers\"\n";

static void assign(struct me_buffer *out, const char *name, const char *value)
{
    me_buffer_printf(out, "%s=", name);
    me_buffer_shell_quoted(out, value);
    me_buffer_puts(out, "\n");
}

/* All of it within braces: the shell reads the whole script before `exec </dev/null` takes it away. */
void me_preflight_script(const struct me_preparation *preparation, struct me_buffer *out)
{
    const struct me_options_experiment *experiment = &preparation->cluster->experiment;
    me_buffer_puts(out, "{\n");
    assign(out, "stage_id", preparation->head.stage_id);
    assign(out, "want", "me_bench (Machine Energy) " ME_VERSION);
    assign(out, "framework", experiment->framework);
    assign(out, "cwd", preparation->head.cwd);
    assign(out, "word", experiment->command ? experiment->command[0] : "");
    me_buffer_puts(out, body);
    me_buffer_puts(out, "exit 0\n}\n");
}

/* Copies without control characters: a machine's answer ends up on a terminal. */
static void copy_clean(char *to, size_t size, const char *text, size_t len)
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
        copy_clean(facts->arch, sizeof facts->arch, value, len);
    else if (!strcmp(key, "boot"))
        copy_clean(facts->boot_id, sizeof facts->boot_id, value, len);
    else if (!strcmp(key, "home"))
        copy_clean(facts->home, sizeof facts->home, value, len);
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
        copy_clean(facts->bench, sizeof facts->bench, value, len);
    else if (!strcmp(key, "version")) {
        const char *blank = strrchr(value, ' ');
        if (!strncmp(value, "me_bench (Machine Energy) ", 26))
            copy_clean(facts->bench_version, sizeof facts->bench_version, blank + 1, strlen(blank + 1));
    } else if (!strcmp(key, "missing"))
        copy_clean(facts->missing, sizeof facts->missing, value, len);
    else if (!strcmp(key, "work"))
        facts->work_status = atoi(value);
    else if (!strcmp(key, "worktext") || !strcmp(key, "failed"))
        copy_clean(facts->work_text, sizeof facts->work_text, value, len);
}

int me_preflight_parse(const char *text, struct me_facts_seen *facts, double *begin_s, double *end_s)
{
    struct me_facts_seen seen = {.work_status = -1, .free_mib = NAN, .clock_offset_s = NAN};
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
                 facts->work_text[0] ? facts->work_text : "it prints no version");
    }
    return reason[0] != '\0';
}

void me_preflight_judge(const struct me_head *head, const struct me_host *host, const char *workload,
                        bool staging, char *reason, size_t size)
{
    const struct me_facts_seen *facts = &host->facts;
    reason[0] = '\0';
    if (strcmp(facts->arch, head->arch))
        snprintf(reason, size, "its architecture is %s, the head's %s: one experiment needs one architecture",
                 facts->arch, head->arch);
    else if (!facts->mpi[0] || !facts->has_daemon)
        snprintf(reason, size,
                 "Open MPI is missing (no %s in the PATH of a non-interactive shell); run there: apt-get "
                 "install openmpi-bin",
                 facts->mpi[0] ? "orted" : "mpirun");
    else if (strcmp(facts->mpi, head->mpi))
        snprintf(reason, size, "its Open MPI is %s, the head's %s; install the same version on both",
                 facts->mpi, head->mpi);
    else if (facts->free_mib < MINIMUM_FREE_MIB)
        snprintf(reason, size, "disk full: %.0f MiB free in %s, %d needed; make room", facts->free_mib,
                 facts->home, MINIMUM_FREE_MIB);
    else if (facts->work_status == 127)
        snprintf(reason, size,
                 "%.200s is not there (looked in PATH, and in %s); install it or give its full path",
                 workload, head->cwd);
    else if (staging && me_preflight_needs_stage(facts))
        return;
    else if (judge_programs(host, reason, size))
        return;
    else if (facts->work_status != 0)
        snprintf(reason, size, "the workload %.200s does not run there: %s", workload,
                 facts->work_text[0] ? facts->work_text : "its check failed");
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
    me_preflight_script(preparation, &script);
    double before_s = now_s();
    int rc = command.failed || script.failed ? me_fail(err, ME_E_RUN, "no memory")
                                             : host->ops->exec(host->remote, command.data, &script, TIMEOUT_S,
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
    if (!host->facts.staged) return;
    char *slash = strrchr(host->facts.bench, '/');
    snprintf(host->state->stage_bin, sizeof host->state->stage_bin, "%.*s",
             (int)(slash ? slash - host->facts.bench : 0), host->facts.bench);
}

void me_preflight(struct me_preparation *preparation, struct me_host *host)
{
    struct me_error err = {0};
    struct me_buffer answer = ME_BUFFER_INIT;
    const struct me_options_experiment *experiment = &preparation->cluster->experiment;
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
    me_preflight_judge(&preparation->head, host,
                       experiment->command ? experiment->command[0] : experiment->framework,
                       first && host->state, host->reason, sizeof host->reason);
    host->step = host->reason[0] ? ME_STEP_FAILED : ME_STEP_REACHED;
}
