#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"
#include "me/utf8.h"
#include "me/version.h"
#include "me/workload.h"

struct settings {
    const char *python;
    bool json;
};

static const struct me_option options[] = {
    {"json", 0, ME_OPTION_FLAG, offsetof(struct settings, json), 0, 0, NULL, "print JSON"},
    {"python", 0, ME_OPTION_STRING, offsetof(struct settings, python), 0, 0, "PATH",
     "look in this interpreter or virtual environment (default: each framework's own, else python3)"},
    {0},
};

const struct me_command me_cli_frameworks_command = {
    .program = "me frameworks",
    .usage = "[--python PATH] [--json]",
    .summary = "Show what can be run, and which of it this machine has.",
    .details = "Each name is one for --framework. The last line of each says what was found here, or what\n"
               "is missing and its cure. The same for all machines of a config: me hosts.\n"
               "\n"
               "  me frameworks\n"
               "  me frameworks --python ~/venvs/training\n"
               "  me hosts config.json --framework keras,pl --check\n"
               "\n"
               "Exit status: 0, whatever was found; 2 misuse.\n",
    .options = options,
};

enum { ROWS_MAX = 64, AT_ONCE = 4, WIDTH = 80 };

struct answer {
    bool here;
    char text[512];
};
/* What the threads share. A framework takes seconds to be loaded, so several are at once. */
struct look {
    const char *python, *files;
    struct answer answers[ROWS_MAX];
    size_t count;
    atomic_size_t next, running;
};

/* "keras: ready" -> "ready": the name stands before it anyway. */
static void drop_name(char *text, const char *name)
{
    size_t len = strlen(name), program = strncmp(text, "me: ", 4) ? 0 : 4;
    if (strncmp(text + program, name, len) || strncmp(text + program + len, ": ", 2)) return;
    char *rest = text + program + len + 2;
    memmove(text, rest, strlen(rest) + 1);
}

/* A row by itself is a plan of one workload. */
static void look_at(struct look *look, size_t number)
{
    struct me_plan plan = {.samples = 0};
    struct me_workloads one;
    struct me_error err = {0};
    struct answer *answer = &look->answers[number];
    snprintf(plan.workload, sizeof plan.workload, "%s", me_workload_table[number].name);
    struct me_workload_place place = {
        .plan = &plan, .python = look->python, .files = look->files, .machine_count = 1};
    if (me_workload_list(&plan, &one, &err))
        snprintf(answer->text, sizeof answer->text, "%.500s", err.text);
    else
        answer->here = me_workload_check(&one.entries[0], &place, answer->text, sizeof answer->text);
    me_utf8_clean(answer->text, sizeof answer->text);
    drop_name(answer->text, me_workload_table[number].name);
}

static void *work(void *context)
{
    struct look *look = context;
    size_t i;
    while ((i = atomic_fetch_add(&look->next, 1)) < look->count) look_at(look, i);
    atomic_fetch_sub(&look->running, 1);
    return NULL;
}

static void wake(int number)
{
    (void)number;
}

/* A check that runs is ended when a signal comes to who waits for it. */
static void stop(struct look *look, const pthread_t *threads, size_t started)
{
    struct sigaction action = {.sa_handler = wake};
    struct timespec pause = {.tv_nsec = 10000000};
    sigaction(SIGUSR2, &action, NULL);
    atomic_store(&look->next, look->count);
    while (atomic_load(&look->running)) {
        for (size_t i = 0; i < started; i++) pthread_kill(threads[i], SIGUSR2);
        nanosleep(&pause, NULL);
    }
}

/* All answers; or the signal that came before they were there. */
static int look_at_all(struct look *look, const sigset_t *signals)
{
    pthread_t threads[AT_ONCE];
    struct timespec slice = {.tv_nsec = 50000000};
    size_t started = 0;
    int number = 0;
    while (started < AT_ONCE && started < look->count) {
        atomic_fetch_add(&look->running, 1);
        if (pthread_create(&threads[started], NULL, work, look)) {
            atomic_fetch_sub(&look->running, 1);
            break;
        }
        started++;
    }
    while (atomic_load(&look->running) && !number)
        if ((number = sigtimedwait(signals, NULL, &slice)) < 0) number = 0;
    if (number) stop(look, threads, started);
    for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (!started) work(look); /* no thread to be had */
    return number;
}

static void put_json_string(struct me_buffer *out, const char *key, const char *text)
{
    me_buffer_printf(out, "\"%s\": ", key);
    me_buffer_json_quoted(out, text);
}

static void put_json(struct me_buffer *out, const struct look *look)
{
    me_buffer_puts(out, "{\"frameworks\": [\n");
    for (size_t i = 0; i < look->count; i++) {
        const struct me_workload *row = &me_workload_table[i];
        me_buffer_puts(out, i ? ",\n  {" : "  {");
        put_json_string(out, "name", row->name);
        me_buffer_puts(out, ", ");
        put_json_string(out, "summary", row->summary);
        me_buffer_puts(out, ", ");
        put_json_string(out, "needs", row->needs);
        me_buffer_printf(out, ", \"here\": %s, ", look->answers[i].here ? "true" : "false");
        put_json_string(out, "answer", look->answers[i].text);
        me_buffer_puts(out, "}");
    }
    me_buffer_puts(out, "\n]}\n");
}

/* A paragraph behind `indent` blanks, in WIDTH columns where its words allow that. */
static void put_paragraph(struct me_buffer *out, size_t indent, const char *text)
{
    size_t column = 0;
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t word = strcspn(text, " "), columns = 0;
        for (size_t i = 0; i < word; i++) columns += (text[i] & 0xc0) != 0x80; /* of UTF-8 */
        if (column && column + 1 + columns > WIDTH) {
            me_buffer_puts(out, "\n");
            column = 0;
        }
        me_buffer_printf(out, "%*s%.*s", column ? 1 : (int)indent, "", (int)word, text);
        column += (column ? 1 : indent) + columns;
        text += word;
    }
    if (column) me_buffer_puts(out, "\n");
}

static void put_text(struct me_buffer *out, const struct look *look)
{
    size_t name = strlen("name");
    for (size_t i = 0; i < look->count; i++)
        if (strlen(me_workload_table[i].name) > name) name = strlen(me_workload_table[i].name);
    me_buffer_printf(out, "%-*s  here  what runs, what it needs, and what is here\n", (int)name, "name");
    for (size_t i = 0; i < look->count; i++) {
        const struct me_workload *row = &me_workload_table[i];
        char needs[160];
        snprintf(needs, sizeof needs, "needs %s", row->needs);
        me_buffer_printf(out, "%-*s  %-4s  %s\n", (int)name, row->name, look->answers[i].here ? "yes" : "no",
                         row->summary);
        put_paragraph(out, name + 8, needs);
        put_paragraph(out, name + 8, look->answers[i].text);
    }
}

/* The scripts of all frameworks, in a folder of their own. */
static int unpack(char *folder, size_t size, struct me_error *err)
{
    const char *top = getenv("TMPDIR");
    snprintf(folder, size, "%.3000s/machine-energy-XXXXXX", top && *top ? top : "/tmp");
    if (!mkdtemp(folder))
        return me_fail_errno(err, ME_E_INPUT, errno, "cannot make a folder in %.3000s; set TMPDIR to another",
                             top && *top ? top : "/tmp");
    int rc = me_workload_unpack(NULL, 0, folder, err);
    if (rc) me_workload_remove(folder);
    return rc;
}

/* As if it had not been held back. */
static void end_by(int number)
{
    sigset_t one;
    signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    raise(number);
    pthread_sigmask(SIG_UNBLOCK, &one, NULL);
}

static int show(const struct settings *settings, struct me_error *err)
{
    char folder[PATH_MAX];
    struct me_buffer text = ME_BUFFER_INIT;
    sigset_t signals, old;
    int number = 0;
    struct look look = {.python = settings->python ? settings->python : "", .files = folder};
    while (look.count < ROWS_MAX && me_workload_table[look.count].name) look.count++;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, &old);
    int rc = unpack(folder, sizeof folder, err);
    if (!rc) {
        number = look_at_all(&look, &signals);
        me_workload_remove(folder);
    }
    if (number) end_by(number);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) return -1;
    if (settings->json)
        put_json(&text, &look);
    else
        put_text(&text, &look);
    rc = text.failed ? me_fail(err, ME_E_RUN, "frameworks: no memory for the answer") : 0;
    if (!rc) fwrite(text.data, 1, text.len, stdout);
    me_buffer_release(&text);
    return rc;
}

int me_cli_frameworks(int argc, char **argv, struct me_error *err)
{
    struct settings settings = {0};
    struct me_operands operands;
    if (me_options_parse(&me_cli_frameworks_command, argc, argv, &settings, &operands, err)) return -1;
    if (operands.help || operands.version) {
        if (operands.help)
            me_options_help(&me_cli_frameworks_command, stdout);
        else
            printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    return show(&settings, err);
}
