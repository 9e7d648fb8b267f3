#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cli.h"
#include "me/assembly.h"
#include "me/experiment.h"
#include "me/record.h"
#include "me/store.h"
#include "me/version.h"
#include "me/workload.h"
#include "prepare.h"
#include "recover.h"

enum { HOLDER_MS = 5000 };

/* A machine of the run, and its journal. */
struct journal {
    const struct me_plan_machine *machine;
    char name[64];    /* RUN-MACHINE */
    char path[4400];  /* of the best that was found; "": none */
    bool is_foreign;  /* what lay under its name is not of this run */
    bool was_reached; /* so that it can be tidied up there */
    char *argv[8];
};
struct recovery {
    const char *folder;
    const struct me_recover_options *options;
    FILE *out;
    struct me_plan plan;
    char hosts_dir[1100], bench[4200], agent[1200], journals[4100];
    struct journal *list;
    struct me_fetch *fetches;
    size_t count, found, unreached;
};

/* --- the machines ------------------------------------------------------------------------------ */

static bool took_part(const struct me_plan *plan, const struct me_plan_machine *machine)
{
    if (machine->status == ME_STATUS_SKIPPED || machine->status == ME_STATUS_DUPLICATE) return false;
    if (!strcmp(machine->done, ME_REPEATS_ALL)) return false;
    return !plan->from_hostfile || machine->id != 0 || plan->run_local;
}

/* Beside our own program, as it is installed and built. */
static void find_bench(char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 16);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    if (slash) strcpy(slash + 1, "me_bench");
    if (!slash || access(path, X_OK)) snprintf(path, size, "me_bench");
}

static bool is_here(const struct recovery *r, const struct journal *journal)
{
    return !r->plan.from_hostfile || journal->machine->id == 0;
}

static void make_argv(struct recovery *r, struct journal *journal, const char *verb)
{
    size_t n = 0;
    if (is_here(r, journal)) {
        journal->argv[n++] = r->bench;
    } else {
        journal->argv[n++] = r->agent;
        journal->argv[n++] = (char *)journal->machine->alias;
        journal->argv[n++] = (char *)"me_bench";
    }
    journal->argv[n++] = (char *)"--journal";
    journal->argv[n++] = (char *)verb;
    journal->argv[n++] = journal->name;
    journal->argv[n] = NULL;
}

static int list_machines(struct recovery *r, struct me_error *err)
{
    r->list = calloc(r->plan.count + 1, sizeof *r->list);
    r->fetches = calloc(r->plan.count + 1, sizeof *r->fetches);
    if (!r->list || !r->fetches) return me_fail(err, ME_E_RUN, "no memory for %zu machines", r->plan.count);
    for (size_t i = 0; i < r->plan.count; i++) {
        const struct me_plan_machine *machine = &r->plan.machines[i];
        if (!took_part(&r->plan, machine)) continue;
        struct journal *journal = &r->list[r->count++];
        journal->machine = machine;
        snprintf(journal->name, sizeof journal->name, "%s-%d", r->plan.run_id, machine->id);
    }
    return 0;
}

/* --- the journals ------------------------------------------------------------------------------ */

static void prepare_fetches(struct recovery *r, const char *verb, const char *suffix)
{
    for (size_t i = 0; i < r->count; i++) {
        struct journal *journal = &r->list[i];
        struct me_fetch *fetch = &r->fetches[i];
        *fetch = (struct me_fetch){0};
        if (!is_here(r, journal) && !r->hosts_dir[0]) continue;
        make_argv(r, journal, verb);
        fetch->argv = journal->argv;
        snprintf(fetch->path, sizeof fetch->path, "%s/%s.%s", r->journals, journal->name, suffix);
    }
}

static long long size_of(const char *path)
{
    struct stat file;
    return stat(path, &file) || !S_ISREG(file.st_mode) ? -1 : (long long)file.st_size;
}

/* Takes DIR/NAME.mej if it is longer than what there is. */
static void consider(struct journal *journal, const char *dir, size_t dir_len)
{
    char path[sizeof journal->path];
    snprintf(path, sizeof path, "%.*s/%s.mej", (int)dir_len, dir, journal->name);
    long long size = size_of(path), best = journal->path[0] ? size_of(journal->path) : 0;
    if (size > best) memcpy(journal->path, path, sizeof path);
}

static void look_around(struct recovery *r, struct journal *journal)
{
    consider(journal, r->journals, strlen(r->journals));
    consider(journal, r->folder, strlen(r->folder));
    for (const char *at = r->options->dirs; *at;) {
        size_t len = strcspn(at, "\n");
        consider(journal, at, len);
        at += len + (at[len] == '\n');
    }
}

/* What was fetched before, by a recovery that was cut off, may be more than what came now. */
static void keep_longer(const struct recovery *r, const struct journal *journal, const struct me_fetch *fetch)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s.mej", r->journals, journal->name);
    if (size_of(fetch->path) <= size_of(path) || rename(fetch->path, path)) unlink(fetch->path);
}

static int map(const char *path, void **bytes, size_t *len)
{
    struct stat file;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *bytes = MAP_FAILED;
    if (fd >= 0 && !fstat(fd, &file) && file.st_size > 0)
        *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    *len = *bytes == MAP_FAILED ? 0 : (size_t)file.st_size;
    if (fd >= 0) close(fd);
    return *bytes == MAP_FAILED ? -1 : 0;
}

/* Is it what its name says? */
static void check(struct recovery *r, struct journal *journal)
{
    struct me_facts facts;
    struct me_error damage = {0};
    void *bytes;
    size_t len;
    if (map(journal->path, &bytes, &len)) {
        journal->path[0] = '\0';
        return;
    }
    bool is_read = !me_record_peek(bytes, len, &facts, &damage);
    munmap(bytes, len);
    if (is_read && !strcmp(facts.run_id, r->plan.run_id) && facts.machine_id == journal->machine->id) return;
    fprintf(r->out, "me: %s: left alone: %s\n", journal->path,
            is_read ? "it is of another run or machine" : damage.text);
    journal->is_foreign = is_read;
    journal->path[0] = '\0';
}

static void say_unreached(const struct recovery *r, const struct journal *journal,
                          const struct me_fetch *fetch)
{
    if (journal->is_foreign) return;
    if (fetch->outcome == ME_FETCH_FAILED)
        fprintf(r->out, "me: %s (machine %d): not reached: %s\n", journal->machine->name,
                journal->machine->id, fetch->reason);
    else if (fetch->outcome == ME_FETCH_PART)
        fprintf(r->out, "me: %s (machine %d): its journal broke off: %s\n", journal->machine->name,
                journal->machine->id, fetch->reason);
    else if (!fetch->argv)
        fprintf(r->out, "me: %s (machine %d): how to reach it is not known: give --hosts or --config\n",
                journal->machine->name, journal->machine->id);
}

static void fetch_journals(struct recovery *r)
{
    prepare_fetches(r, "send", "part");
    me_fetch_all(r->fetches, r->count, r->options->patience_s);
    for (size_t i = 0; i < r->count; i++) {
        struct journal *journal = &r->list[i];
        struct me_fetch *fetch = &r->fetches[i];
        journal->was_reached = fetch->outcome == ME_FETCH_WHOLE || fetch->outcome == ME_FETCH_NONE;
        if (fetch->outcome == ME_FETCH_WHOLE || fetch->outcome == ME_FETCH_PART)
            keep_longer(r, journal, fetch);
        look_around(r, journal);
        if (journal->path[0]) check(r, journal);
        r->found += journal->path[0] != '\0';
        bool is_missing = !journal->was_reached && (!journal->path[0] || fetch->outcome == ME_FETCH_PART);
        r->unreached += is_missing;
        if (is_missing) say_unreached(r, journal, fetch);
    }
}

/* --- the result -------------------------------------------------------------------------------- */

static int add(struct me_assembly *assembly, const struct journal *journal, struct me_error *err)
{
    void *bytes;
    size_t len;
    if (!journal->path[0]) return 0;
    if (map(journal->path, &bytes, &len)) return me_fail_errno(err, ME_E_RUN, errno, "%s", journal->path);
    int rc = me_assembly_add(assembly, journal->machine->id, bytes, len, err);
    munmap(bytes, len);
    return rc;
}

static int assemble(struct recovery *r, struct me_result *result, struct me_error *err)
{
    const struct me_assembly_options options = {
        .folder = r->folder, .merge = true, .recovered = true, .program = "me", .out = r->out};
    struct me_assembly *assembly = NULL;
    for (size_t i = 0; i < r->plan.count; i++) { /* what the run itself found of them is told by its result */
        struct me_plan_machine *machine = &r->plan.machines[i];
        if (machine->status == ME_STATUS_SKIPPED || machine->status == ME_STATUS_DUPLICATE) continue;
        machine->status = ME_STATUS_OK;
        machine->reason[0] = '\0';
    }
    int rc = me_assembly_begin(&assembly, &r->plan, &options, err);
    for (size_t i = 0; !rc && i < r->count; i++) rc = add(assembly, &r->list[i], err);
    if (!rc) rc = me_assembly_finish(assembly, false, result, err);
    me_assembly_release(assembly);
    return rc;
}

static void say_done(const struct recovery *r, const struct me_result *result)
{
    char path[4200];
    me_experiment_result_path(r->folder, path, sizeof path);
    for (size_t i = 0; i < result->machine_count; i++) {
        const struct me_row_machine *m = &result->machines[i];
        if (strcmp(m->status, "ok")) fprintf(r->out, "me: %s: %s: %s\n", m->name, m->status, m->reason);
    }
    fprintf(r->out, "me: %s: recovered from the journals of %zu machine%s: %s; see: me report %s\n", path,
            r->found, r->found == 1 ? "" : "s", result->status, r->folder);
}

/* Of a result that is there: is a machine lost in it, or does it lack this run? */
static int lacks(const struct recovery *r)
{
    char path[4200];
    struct me_result result = {0};
    struct me_error ignored;
    me_experiment_result_path(r->folder, path, sizeof path);
    if (r->plan.first_repeat < 0 || me_store_read(path, false, &result, &ignored)) return 1;
    int lost = 0;
    for (size_t i = 0; i < result.machine_count; i++) lost += !strcmp(result.machines[i].status, "lost");
    me_result_release(&result);
    return lost != 0;
}

/* An interrupted run may have lost nothing, and yet not all was measured. */
static bool is_complete(const struct recovery *r)
{
    char path[4200];
    struct me_result result = {0};
    struct me_error ignored;
    me_experiment_result_path(r->folder, path, sizeof path);
    if (me_store_read(path, false, &result, &ignored)) return false;
    bool complete = !strcmp(result.status, "complete");
    me_result_release(&result);
    return complete;
}

static int say_nothing(const struct recovery *r)
{
    int missing = lacks(r);
    fprintf(r->out, "me: %s: nothing to recover: %s\n", r->folder,
            !missing       ? "no machine was lost, and no journal is left"
            : r->unreached ? "no machine that was reached has a journal of its last run"
                           : "no machine has a journal of its last run");
    return missing || !is_complete(r) ? ME_E_RUN : ME_OK;
}

/* --- tidying up -------------------------------------------------------------------------------- */

static void tidy(struct recovery *r)
{
    if (!r->options->keep) {
        prepare_fetches(r, "remove", "said");
        for (size_t i = 0; i < r->count; i++)
            if (!r->list[i].was_reached || r->list[i].is_foreign) r->fetches[i].argv = NULL;
        me_fetch_all(r->fetches, r->count, r->options->patience_s);
    }
    for (size_t i = 0; i < r->count; i++) {
        char path[4400];
        if (!r->options->keep && r->fetches[i].argv && r->fetches[i].outcome == ME_FETCH_FAILED)
            fprintf(r->out, "me: %s (machine %d): what the run left there stays: %s\n",
                    r->list[i].machine->name, r->list[i].machine->id, r->fetches[i].reason);
        if (r->fetches[i].path[0]) unlink(r->fetches[i].path);
        snprintf(path, sizeof path, "%s/%s.mej", r->journals, r->list[i].name);
        unlink(path); /* it is in the result, which is on the disk */
    }
    rmdir(r->journals);
}

/* --- the order of it --------------------------------------------------------------------------- */

/* What hangs of a run that is over (SIGSTOP, a dead disk). */
static void end_holder(const char *folder, const char *run_id)
{
    int holder = me_plan_file_holder(folder, run_id);
    if (holder < 2) return;
    kill(holder, SIGTERM);
    kill(holder, SIGCONT);
    for (int ms = 0; ms < HOLDER_MS && me_plan_file_holder(folder, run_id) == holder; ms += 20)
        poll(NULL, 0, 20);
    if (me_plan_file_holder(folder, run_id) == holder) kill(holder, SIGKILL);
    for (int ms = 0; ms < HOLDER_MS && me_plan_file_holder(folder, run_id) == holder; ms += 20)
        poll(NULL, 0, 20);
}

static int check_over(const struct recovery *r, struct me_error *err)
{
    const char *run_id = r->options->run_id;
    if (r->options->is_over) end_holder(r->folder, run_id);
    int holder = me_plan_file_holder(r->folder, run_id);
    if (!holder) holder = me_plan_file_holder(r->folder, r->plan.run_id); /* of a job beside others */
    if (!holder) return 0;
    return me_fail(err, ME_E_INPUT, "%s: its run goes on (process %d); recover it when that has ended",
                   r->folder, holder);
}

static int make_folders(struct recovery *r, struct me_error *err)
{
    char logs[4200];
    snprintf(r->journals, sizeof r->journals, "%.4000s/journals", r->folder);
    snprintf(logs, sizeof logs, "%.4000s/logs", r->folder);
    if (mkdir(r->journals, 0700) && errno != EEXIST)
        return me_fail_errno(err, ME_E_RUN, errno, "%s", r->journals);
    if (mkdir(logs, 0777) && errno != EEXIST) return me_fail_errno(err, ME_E_RUN, errno, "%s", logs);
    return 0;
}

static int begin(struct recovery *r, struct me_error *err)
{
    if (me_plan_file_read(r->folder, r->options->run_id, &r->plan, err) || check_over(r, err)) return -1;
    if (r->options->run_id) r->plan.first_repeat = -1; /* its repeats go behind those of the runs since */
    if (!r->plan.run_id[0]) return me_fail(err, ME_E_INPUT, "%s/plan.json: it was never run", r->folder);
    const char *hosts = r->options->hosts_dir ? r->options->hosts_dir : r->plan.hosts_dir;
    snprintf(r->hosts_dir, sizeof r->hosts_dir, "%.1000s", hosts);
    snprintf(r->agent, sizeof r->agent, "%s/agent", r->hosts_dir);
    if (r->hosts_dir[0] && access(r->agent, X_OK)) {
        if (r->options->hosts_dir) return me_fail_errno(err, ME_E_INPUT, errno, "%s", r->agent);
        r->hosts_dir[0] = '\0'; /* cleaned meanwhile */
    }
    find_bench(r->bench, sizeof r->bench);
    return list_machines(r, err) || make_folders(r, err) ? -1 : 0;
}

/* Of a run that is in the result now, or that nothing is left of anywhere, no other plan need stay. The nodes of a job
 * are looked for in our own home only: a journal that is not there may lie in theirs. */
static void forget_aside(const struct recovery *r)
{
    char path[4200];
    if (r->unreached || r->options->keep || (!r->plan.from_hostfile && r->found < r->count)) return;
    me_plan_file_path(r->folder, r->plan.run_id, path, sizeof path);
    unlink(path);
}

int me_recover(const char *folder, const struct me_recover_options *options, FILE *out, struct me_error *err)
{
    struct recovery r = {.folder = folder, .options = options, .out = out};
    struct me_result result = {0};
    int rc = begin(&r, err);
    if (rc) goto out;
    fetch_journals(&r);
    if (r.found) rc = assemble(&r, &result, err);
    if (rc) goto out; /* what was fetched stays for the next time */
    if (r.found && !options->run_id)
        rc = me_plan_file_write(folder, NULL, &r.plan, err); /* numbers of its repeats */
    if (rc) goto out;
    forget_aside(&r);
    if (r.found) say_done(&r, &result);
    rc = r.found ? strcmp(result.status, "complete") ? ME_E_RUN : ME_OK : say_nothing(&r);
    tidy(&r);
    if (r.unreached) rc = ME_E_RUN;
out:
    me_result_release(&result);
    me_plan_release(&r.plan);
    free(r.list);
    free(r.fetches);
    return rc;
}

/* Of a run that went on after it was cut off: has the result by now all that it was to measure? */
static bool lacks_repeats(const struct me_plan *plan, const char *folder)
{
    char path[4200], done[256];
    struct me_result result = {0};
    struct me_workloads list;
    bool lacking = false, resumed = false;
    me_experiment_result_path(folder, path, sizeof path);
    for (size_t i = 0; i < plan->count; i++) resumed |= plan->machines[i].done[0] != '\0';
    if (!resumed || me_workload_list(plan, &list, NULL) || me_store_read(path, false, &result, NULL))
        return false;
    for (size_t i = 0; i < plan->count; i++) {
        if (!took_part(plan, &plan->machines[i])) continue;
        int total = plan->repeats * (int)list.count;
        if (!me_assembly_done(&result, plan->machines[i].id, plan->first_repeat, total, done, sizeof done,
                              NULL))
            lacking |= strcmp(done, ME_REPEATS_ALL) != 0;
    }
    me_result_release(&result);
    return lacking;
}

bool me_recover_is_due(const char *folder)
{
    struct recovery r = {.folder = folder};
    if (me_plan_file_read(folder, NULL, &r.plan, NULL)) return false;
    bool is_due = lacks(&r) || lacks_repeats(&r.plan, folder);
    me_plan_release(&r.plan);
    return is_due;
}

/* --- the command ------------------------------------------------------------------------------- */

struct settings {
    const char *hosts, *config;
    char dirs[4096];
    double patience_s;
    bool keep;
};
#define FIELD(name) offsetof(struct settings, name)

static const struct me_option rows[] = {
    {"hosts", 0, ME_OPTION_STRING, FIELD(hosts), 0, 0, "FILE",
     "hostfile of the machines (default: the one of the run)"},
    {"config", 0, ME_OPTION_STRING, FIELD(config), 0, 0, "CONFIG",
     "prepares the machines anew first, as me hosts does: where the key has expired"},
    {"dir", 0, ME_OPTION_LIST, FIELD(dirs), 0, sizeof(((struct settings *)0)->dirs), "DIR",
     "folder in which journals lie too, of machines that cannot be reached; may be given several times"},
    {"keep", 0, ME_OPTION_FLAG, FIELD(keep), 0, 0, NULL, "leave the journals on the machines"},
    {"timeout", 0, ME_OPTION_DOUBLE, FIELD(patience_s), 1, 3600, "SECONDS",
     "gives up a machine that sends nothing for so long (default 30)"},
    {.name = NULL},
};

const struct me_command me_cli_recover_command = {
    .program = "me recover",
    .usage = "EXPERIMENT [OPTION...]",
    .summary = "Build the result of a run that was cut off, from the machines' journals.",
    .details =
        "Every machine keeps a journal of what it measures on its own disk until the result has it. This\n"
        "fetches the journals of the last run from all machines that can be reached, ends what is left of\n"
        "the run there, and writes EXPERIMENT's result, or adds to it what it lacks. Then the journals\n"
        "are removed. Every repeat that had ended is there; machines whose journal is missing are lost.\n"
        "\n"
        "  me recover exp1\n"
        "  me recover exp1 --hosts lab.hosts --dir /mnt/old-disk/machine-energy\n"
        "\n"
        "What is still missing then is measured by: me_bench EXPERIMENT --resume\n"
        "\n"
        "Exit status: 0 the result is complete; 1 something is missing; 2 misuse; 3 --config failed.\n",
    .options = rows,
    .min_operands = 1,
    .max_operands = 1,
};

static int prepare_anew(const struct settings *settings, struct me_error *err)
{
    struct me_prepare_options prepare;
    struct me_cluster cluster;
    me_prepare_defaults(&prepare);
    if (settings->hosts) prepare.output = settings->hosts;
    prepare.skip_failed = true;
    if (me_prepare_read(settings->config, &prepare, &cluster, err)) return -1;
    int rc = me_prepare(&cluster, &prepare, stderr, err);
    me_cluster_release(&cluster);
    return rc;
}

/* The runs that were cut off before the last one, or beside it. The exit code is the worst. */
static int recover_others(const char *folder, const struct me_recover_options *options, int code)
{
    enum { OTHERS_MAX = 1000 };
    char(*run_ids)[17] = calloc(OTHERS_MAX, sizeof *run_ids);
    size_t count = run_ids && code >= 0 ? me_plan_file_list(folder, run_ids, OTHERS_MAX) : 0;
    for (size_t i = 0; i < count; i++) {
        struct me_recover_options other = *options;
        struct me_error why = {0};
        other.run_id = run_ids[i];
        fprintf(stderr, "me: %s: another run of it was cut off (%s)\n", folder, run_ids[i]);
        int rc = me_recover(folder, &other, stderr, &why);
        if (rc < 0) fprintf(stderr, "me: %s\n", why.text);
        if (rc && !code) code = ME_E_RUN;
    }
    free(run_ids);
    return code;
}

int me_cli_recover(int argc, char **argv, struct me_error *err)
{
    struct settings settings = {.patience_s = 30};
    struct me_operands operands;
    char hosts_dir[1100];
    if (me_options_parse(&me_cli_recover_command, argc, argv, &settings, &operands, err)) return -1;
    if (operands.help || operands.version) {
        if (operands.help)
            me_options_help(&me_cli_recover_command, stdout);
        else
            printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    if (settings.config && prepare_anew(&settings, err)) return -1;
    const char *hosts = settings.hosts ? settings.hosts : settings.config ? "gen.hosts" : NULL;
    if (hosts) snprintf(hosts_dir, sizeof hosts_dir, "%.1000s.d", hosts);
    struct me_recover_options options = {.hosts_dir = hosts ? hosts_dir : NULL,
                                         .dirs = settings.dirs,
                                         .keep = settings.keep,
                                         .patience_s = settings.patience_s};
    int code = me_recover(operands.values[0], &options, stderr, err);
    return recover_others(operands.values[0], &options, code);
}
