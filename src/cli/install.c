/* scripts/install-framework on a machine, over the connection that is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "prepare.h"

/* An installation takes minutes, and ends when we go: each half second a byte goes to us, and when it cannot
 * be written any more nobody waits for this. All of it runs in a session of its own (setsid), so that
 * who kills our side, or the local transport its group, does not kill the one who tidies up. */
static const char script_begin[] =
    "LC_ALL=C; export LC_ALL\n"
    "tell() { printf '\\nme:status=%s\\nme:said=%s\\nme:end\\n' \"$1\" \"$2\"; }\n"
    "fail() { tell 1 \"$1\"; exit 0; }\n"
    "exec </dev/null\n"
    "top=$HOME/.cache/machine-energy\n"
    "said=$(mkdir -p \"$top\" 2>&1) || fail \"$said\"\n"
    "full() { rm -rf \"$dir\"; fail \"cannot write in $top; is the disk full?\"; }\n"
    "dir=$(mktemp -d \"$top/install-XXXXXX\" 2>&1) || fail \"$dir\"\n"
    "job=\n"
    "tidy() {\n"
    "    if [ -n \"$job\" ]; then\n"
    "        kill -TERM -\"$job\" 2>/dev/null\n"
    "        n=0\n"
    "        while kill -0 -\"$job\" 2>/dev/null && [ $n -lt 200 ]; do sleep 0.1; n=$((n + 1)); done\n"
    "        kill -KILL -\"$job\" 2>/dev/null\n"
    "    fi\n"
    "    rm -rf \"$dir\"\n"
    "}\n"
    "trap 'tidy; exit 1' HUP INT TERM\n";

static const char script_end[] =
    "setsid sh -c '\n"
    "    dir=$1\n"
    "    shift\n"
    "    sh \"$dir/install-framework\" --quiet \"$@\"\n"
    "    echo $? >\"$dir/status.part\" && mv \"$dir/status.part\" \"$dir/status\"\n"
    "' sh \"$dir\" $gpu $names >\"$dir/log\" 2>&1 &\n"
    "job=$!\n"
    "trap '' PIPE\n"
    "while [ ! -e \"$dir/status\" ] && kill -0 \"$job\" 2>/dev/null; do\n"
    "    printf . 2>/dev/null || { tidy; exit 1; }\n"
    "    sleep 0.5\n"
    "done\n"
    "wait \"$job\"\n"
    "{ read -r status <\"$dir/status\"; } 2>/dev/null || status=1\n"
    /* its own words; where they point to others above them, which it indents, the last of those too */
    "said=$(awk 'sub(/^install-framework: /, \"\") { printf \"%s%s\", n++ ? \"; \" : \"\", $0 }' "
    "\"$dir/log\")\n"
    "case $said in *above*) said=\"$(sed -n 's/^    //p' \"$dir/log\" | tail -n 1); $said\" ;; esac\n"
    "[ -n \"$said\" ] || said=$(grep -v '^[[:space:]]*$' \"$dir/log\" | tail -n 1)\n"
    "rm -rf \"$dir\"\n"
    "tell \"$status\" \"$said\"\n"
    "exit 0\n";

#define FILE_END "END_OF_THE_FILE_install-framework"

void me_install_script(const char *file, size_t len, const char *names, bool gpu, struct me_buffer *out)
{
    me_buffer_puts(out, "{\nnames='");
    for (; *names; names++) me_buffer_append(out, *names == ',' ? " " : names, 1);
    me_buffer_printf(out, "'\ngpu=%s\n", gpu ? "--gpu" : "");
    me_buffer_puts(out, script_begin);
    me_buffer_puts(out, "cat >\"$dir/install-framework\" <<'" FILE_END "' || full\n");
    me_buffer_append(out, file, len);
    me_buffer_puts(out, FILE_END "\n");
    me_buffer_puts(out, script_end);
    me_buffer_puts(out, "}\n");
}

/* The value behind the last "me:KEY=" that begins a line; NULL if there is none. */
static const char *find_answer(const char *text, const char *key)
{
    char mark[32];
    const char *found = NULL;
    snprintf(mark, sizeof mark, "\nme:%s", key);
    for (const char *at = text; (at = strstr(at, mark)); at += strlen(mark)) found = at + strlen(mark);
    return found;
}

int me_install_parse(const char *text, int *status, char *said, size_t size)
{
    const char *code = find_answer(text, "status="), *line = find_answer(text, "said=");
    if (!code || !line || !find_answer(text, "end")) return -1;
    *status = atoi(code);
    me_preflight_clean(said, size, line, strcspn(line, "\n"));
    return 0;
}

static int check_name(const char *name, struct me_error *err)
{
    const char *names[64] = {0};
    char all[256] = "";
    size_t n = 0;
    for (size_t i = 0; me_workload_table[i].name; i++) {
        const struct me_workload *row = &me_workload_table[i];
        size_t used = strlen(all);
        if (!row->script || n == 63) continue;
        if (!strcmp(row->name, name)) return 0;
        names[n++] = row->name;
        snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "", row->name);
    }
    if (me_workload_find(name))
        return me_fail(err, ME_E_INPUT,
                       "--install-framework: %s comes with me_bench; those to install are %s", name, all);
    const char *near = me_nearest(name, names);
    if (near)
        return me_fail(err, ME_E_INPUT, "--install-framework: there is no %.64s; did you mean %s?", name,
                       near);
    return me_fail(err, ME_E_INPUT, "--install-framework: there is no %.64s; there are %s", name, all);
}

int me_install_check(const struct me_prepare_options *options, struct me_error *err)
{
    if (!options->install) {
        if (options->gpu)
            return me_fail(err, ME_E_INPUT,
                           "--gpu: only with --install-framework, whose packages it chooses");
        return 0;
    }
    if (options->check)
        return me_fail(err, ME_E_INPUT,
                       "--install-framework: not together with --check, which changes nothing");
    for (const char *at = options->install;; at++) {
        char name[80];
        size_t len = strcspn(at, ",");
        snprintf(name, sizeof name, "%.*s", (int)len, at);
        if (!len)
            return me_fail(err, ME_E_INPUT,
                           "--install-framework: a name is missing in the list; write keras,pl");
        if (check_name(name, err)) return -1;
        at += len;
        if (!*at) return 0;
    }
}

#define AS_LONG_AS_IT_TAKES_S 1e6

static int install_there(struct me_preparation *preparation, struct me_host *host, int *status, char *said,
                         size_t size, struct me_error *err)
{
    const struct me_prepare_options *options = preparation->options;
    struct me_buffer script = ME_BUFFER_INIT, out = ME_BUFFER_INIT, errout = ME_BUFFER_INIT;
    int code = 0;
    me_install_script(me_install_text, (size_t)(me_install_text_end - me_install_text), options->install,
                      options->gpu, &script);
    int rc = script.failed ? me_fail(err, ME_E_RUN, "no memory")
                           : host->ops->exec(host->remote, "setsid -w sh -s", &script, AS_LONG_AS_IT_TAKES_S,
                                             &out, &errout, &code, err);
    if (!rc && me_install_parse(out.data ? out.data : "", status, said, size)) {
        const char *why = errout.data ? errout.data : "it was ended there";
        rc = me_fail(err, ME_E_MACHINE, "%s: %s is not installed (exit status %d): %.*s", host->machine->name,
                     options->install, code, (int)strcspn(why, "\r\n"), why);
    }
    me_buffer_release(&script);
    me_buffer_release(&out);
    me_buffer_release(&errout);
    return rc;
}

void me_install(struct me_preparation *preparation, struct me_host *host)
{
    struct me_error err = {0};
    const char *python = me_work_python(preparation, host);
    char said[512] = "";
    int status = 0, rc = 0;
    if (python[0])
        snprintf(host->note, sizeof host->note, "nothing installed: its python is set to %.100s", python);
    else
        rc = install_there(preparation, host, &status, said, sizeof said, &err);
    if (!rc && status)
        rc = me_fail(&err, ME_E_MACHINE, "%s: %s is not installed: %s", host->machine->name,
                     preparation->options->install, said[0] ? said : "no reason given");
    if (rc) {
        me_host_fail(host, &err);
        return;
    }
    host->installed = true;
    me_preflight(preparation, host); /* again, now with the frameworks there */
}
