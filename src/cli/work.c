/* Can a machine run the workloads? The preflight's questions about them, and what is made of the answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "prepare.h"

/* me_bench --check asks each workload by itself, so that one answer belongs to one workload; what it unpacks for
 * that does not touch the home. An me_kernel that cannot be loaded is told by its libraries. */
static const char questions[] =
    "answer() { tell \"work$1\" \"$2\"; tell \"text$1\" \"$3\"; }\n"
    "try_workload() {\n"
    "    [ \"$version\" = \"$want\" ] || return 0\n"
    "    if [ -z \"$state\" ] && state=$(mktemp -d 2>/dev/null); then\n"
    "        XDG_STATE_HOME=$state; export XDG_STATE_HOME\n"
    "    fi\n"
    "    if [ -n \"$python\" ]; then\n"
    "        text=$(\"$bench\" --check \"$2\" --python \"$python\" 2>&1)\n"
    "    else\n"
    "        text=$(\"$bench\" --check \"$2\" 2>&1)\n"
    "    fi\n"
    "    work=$?\n"
    "    answer \"$1\" \"$work\" \"$text\"\n"
    "    [ \"$work\" != 0 ] || return 0\n"
    "    dir=${bench%/*}\n"
    "    kernel=$dir/me_kernel\n"
    "    [ -x \"$kernel\" ] || kernel=$dir/../libexec/machine-energy/me_kernel\n"
    "    \"$kernel\" --version >/dev/null 2>&1\n"
    "    [ $? != 127 ] || missing \"$kernel\"\n"
    "}\n"
    "try_command() {\n"
    "    cd \"$cwd\" 2>/dev/null || cd 2>/dev/null\n"
    "    if command -v -- \"$2\" >/dev/null 2>&1; then answer \"$1\" 0 ''; else answer \"$1\" 127 ''; fi\n"
    "}\n"
    "try_python() {\n"
    "    cd \"$cwd\" 2>/dev/null || cd 2>/dev/null\n"
    "    interpreter=${python:-python3}\n"
    "    case $interpreter in '~/'*) interpreter=$HOME/${interpreter#??} ;; esac\n"
    "    [ ! -d \"$interpreter\" ] || interpreter=$interpreter/bin/python3\n"
    "    text=$(\"$interpreter\" -c 'import sys; print(\"Python %d.%d.%d\" % sys.version_info[:3])' 2>&1)\n"
    "    work=$?\n"
    "    answer \"$1\" \"$work\" \"$text\"\n"
    "}\n";

const char *me_work_python(const struct me_preparation *preparation, const struct me_host *host)
{
    const struct me_plan *plan = &preparation->plan;
    size_t at = host->state ? (size_t)(host->machine - preparation->cluster->machines) + 1 : 0;
    if (at < plan->count && plan->machines[at].python[0]) return plan->machines[at].python;
    return plan->python;
}

/* Is the first part of this path, "solver" or "data", the name of something that is shipped? */
static bool is_among(const struct me_plan *plan, const char *path)
{
    size_t part = strcspn(path, "/");
    for (const char *at = plan->with; *at;) {
        size_t line = strcspn(at, "\n"), len = line;
        while (len && at[len - 1] == '/') len--;
        const char *slash = memrchr(at, '/', len);
        size_t skip = slash ? (size_t)(slash + 1 - at) : 0;
        if (len - skip == part && !strncmp(at + skip, path, part)) return true;
        at += line + (at[line] == '\n');
    }
    return false;
}

/* "./solver" and "data/run" are looked for beside what is shipped; a bare name in PATH only, as in a shell. */
static bool is_shipped(const struct me_plan *plan, const char *word)
{
    return strchr(word, '/') && is_among(plan, strncmp(word, "./", 2) ? word : word + 2);
}

static void ask_command(const struct me_preparation *preparation, const struct me_host *host, size_t number,
                        struct me_buffer *out)
{
    const struct me_plan *plan = &preparation->plan;
    struct me_workload_place place = {.plan = plan,
                                      .python = "",
                                      .files = "",
                                      .machine_id = host->machine->id,
                                      .machine_count = (int)preparation->count};
    char **argv = NULL;
    if (me_workload_argv(&preparation->work.entries[number], &place, &argv, NULL)) {
        out->failed = true;
        return;
    }
    bool elsewhere =
        plan->with[0] && strchr(argv[0], '/') && argv[0][0] != '/'; /* it runs in a folder of its own */
    if (is_shipped(plan, argv[0]))
        me_buffer_printf(out, "answer %zu 0 ''\n", number);
    else if (elsewhere)
        me_buffer_printf(out, "answer %zu 127 ''\n", number);
    else {
        me_buffer_printf(out, "try_command %zu ", number);
        me_buffer_shell_quoted(out, argv[0]);
        me_buffer_puts(out, "\n");
    }
    me_workload_argv_free(argv);
}

void me_work_script(const struct me_preparation *preparation, const struct me_host *host,
                    struct me_buffer *out)
{
    const struct me_workloads *work = &preparation->work;
    if (preparation->options->install && !host->installed) return; /* later, when they can be there */
    me_buffer_puts(out, "python=");
    me_buffer_shell_quoted(out, me_work_python(preparation, host));
    me_buffer_puts(out, "\nstate=\n");
    me_buffer_puts(out, questions);
    for (size_t i = 0; i < work->count; i++) {
        const struct me_workload_entry *entry = &work->entries[i];
        if (entry->row) {
            me_buffer_printf(out, "try_workload %zu ", i);
            me_buffer_shell_quoted(out, entry->label);
            me_buffer_puts(out, "\n");
        } else if (!strcmp(preparation->plan.workload, "function"))
            me_buffer_printf(out, "try_python %zu\n", i);
        else
            ask_command(preparation, host, i, out);
    }
    me_buffer_puts(out, "[ -z \"$state\" ] || rm -rf \"$state\"\n");
}

bool me_work_answer(const char *key, const char *value, struct me_facts_seen *facts)
{
    bool status = !strncmp(key, "work", 4);
    char *end;
    if (!status && strncmp(key, "text", 4)) return false;
    unsigned long number = strtoul(key + 4, &end, 10);
    if (end == key + 4 || *end || number >= ME_WORKLOADS_MAX) return false;
    struct me_work_seen *seen = &facts->work[number];
    if (status)
        seen->status = atoi(value);
    else
        me_preflight_clean(seen->text, sizeof seen->text, value, strlen(value));
    return true;
}

/* What a row says, without its name, which stands before it anyway. */
static const char *without_name(const struct me_workload_entry *entry, const char *text)
{
    size_t len = entry->row ? strlen(entry->row->name) : 0;
    if (len && !strncmp(text, "me: ", 4)) text += 4;
    return len && !strncmp(text, entry->row->name, len) && !strncmp(text + len, ": ", 2) ? text + len + 2
                                                                                         : text;
}

/* A framework that is missing names a cure for who sits there; from here there is another one. Where the
 * user chose the Python, it is for them to say what is in it. */
static void judge_row(const struct me_preparation *preparation, const struct me_host *host,
                      const struct me_workload_entry *entry, const char *said, char *text, size_t size)
{
    static const char there[] = "run scripts/install-framework";
    const char *python = me_work_python(preparation, host), *cure = strstr(said, there);
    int len = (int)(cure ? (size_t)(cure - said) : strlen(said));
    while (cure && len && strchr(" :;,", said[len - 1])) len--;
    size_t used = (size_t)snprintf(text, size, "the workload %s does not run %s: %.*s", entry->label,
                                   host->container ? "in the image" : "there", len ? len : 16,
                                   len ? said : "its check failed");
    if (used >= size) return;
    if (host->container)
        snprintf(text + used, size - used, "; an image that runs it: scripts/docker/build %s",
                 entry->row->script ? entry->row->name : "native");
    else if (cure && python[0])
        snprintf(text + used, size - used, "; its python is set to %.200s: install it there", python);
    else if (cure)
        snprintf(text + used, size - used, "; cure: me hosts CONFIG --install-framework %s",
                 entry->row->name);
}

static void judge_command(const struct me_preparation *preparation, char *text, size_t size)
{
    const char *word = preparation->plan.command[0];
    if (!strchr(word, '/') && is_among(&preparation->plan, word))
        snprintf(text, size, "%.200s is not in PATH; write ./%.200s for the one that is shipped", word, word);
    else if (!strchr(word, '/'))
        snprintf(text, size, "%.200s is not in PATH; install it or give its full path", word);
    else if (preparation->plan.with[0] && word[0] != '/')
        snprintf(text, size, "%.200s is not among what --with names; --with ships it", word);
    else
        snprintf(text, size, "%.200s is not there (looked in %.400s); install it or give its full path", word,
                 preparation->head.cwd);
}

static void judge_one(const struct me_preparation *preparation, const struct me_host *host, size_t number,
                      char *text, size_t size)
{
    const struct me_workload_entry *entry = &preparation->work.entries[number];
    const struct me_work_seen *seen = &host->facts.work[number];
    const struct me_plan *plan = &preparation->plan;
    const char *python = me_work_python(preparation, host);
    if (entry->row)
        judge_row(preparation, host, entry, without_name(entry, seen->text), text, size);
    else if (!strcmp(plan->workload, "function"))
        snprintf(text, size,
                 "%.200s does not run there: %.300s; run there: apt-get install python3, or set python",
                 python[0] ? python : "python3", seen->text[0] ? seen->text : "no answer");
    else
        judge_command(preparation, text, size);
}

void me_work_judge(const struct me_preparation *preparation, const struct me_host *host, char *reason,
                   size_t size)
{
    size_t used = 0;
    reason[0] = '\0';
    for (size_t i = 0; i < preparation->work.count; i++) {
        char text[700];
        if (host->facts.work[i].status <= 0) continue;
        judge_one(preparation, host, i, text, sizeof text);
        int n = snprintf(reason + used, size - used, "%s%s", used ? "; " : "", text);
        if (n < 0 || (size_t)n >= size - used) break;
        used += (size_t)n;
    }
}

bool me_work_command_missing(const struct me_preparation *preparation, const struct me_host *host)
{
    return preparation->work.count == 1 && !preparation->work.entries[0].row &&
           host->facts.work[0].status == 127;
}

void me_work_cell(const struct me_preparation *preparation, const struct me_facts_seen *facts, char *cell,
                  size_t size)
{
    bool failed = false, untried = false;
    char names[64] = "";
    for (size_t i = 0; i < preparation->work.count; i++) {
        const struct me_workload_entry *entry = &preparation->work.entries[i];
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "",
                 entry->row ? entry->row->name : entry->label);
        failed |= facts->work[i].status > 0;
        untried |= facts->work[i].status < 0;
    }
    snprintf(cell, size, "%.24s%s %s", names, strlen(names) > 24 ? "..." : "",
             failed    ? "fails"
             : untried ? "not tried"
                       : "ok");
}

/* Versions are worth a look across machines: those of what runs in Python. */
void me_work_versions(const struct me_preparation *preparation, const struct me_facts_seen *facts, char *text,
                      size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < preparation->work.count && used < size; i++) {
        const struct me_workload_entry *entry = &preparation->work.entries[i];
        bool in_python =
            entry->row ? entry->row->script != NULL : !strcmp(preparation->plan.workload, "function");
        bool again = false; /* a framework may stand there twice, with other options */
        for (size_t before = 0; before < i && entry->row; before++)
            again |= preparation->work.entries[before].row == entry->row;
        if (again || !in_python || facts->work[i].status || !facts->work[i].text[0]) continue;
        const char *said = without_name(entry, facts->work[i].text);
        if (!strncmp(said, "ready, ", 7)) said += 7;
        int n = snprintf(text + used, size - used, "%s%s", used ? "; " : "", said);
        used += n > 0 ? (size_t)n : 0;
    }
}
