#include "me/hosts.h"
#include <string.h>

/* A word of ssh_config: always quoted, since users have blanks, dots and backslashes in their names.
 * `percent`: the keyword expands %-tokens, so that a plain % must be doubled. */
static void config_word(struct me_buffer *out, const char *word, bool percent)
{
    me_buffer_puts(out, "\"");
    for (const char *c = word; *c; c++) {
        if (*c == '"' || *c == '\\') me_buffer_puts(out, "\\");
        if (*c == '%' && percent) me_buffer_puts(out, "%");
        me_buffer_append(out, c, 1);
    }
    me_buffer_puts(out, "\"");
}

static void config_path(struct me_buffer *out, const char *keyword, const char *dir, const char *file)
{
    struct me_buffer path = ME_BUFFER_INIT;
    me_buffer_printf(&path, "%s/%s", dir, file);
    me_buffer_printf(out, "    %s ", keyword);
    if (path.failed)
        out->failed = true;
    else
        config_word(out, path.data, true);
    me_buffer_puts(out, "\n");
    me_buffer_release(&path);
}

static void config_machine(const struct me_machine *machine, struct me_buffer *out)
{
    char alias[16];
    me_hosts_alias(machine->id, alias, sizeof alias);
    me_buffer_printf(out, "Host %s\n    HostName ", alias);
    config_word(out, machine->address, true);
    me_buffer_printf(out, "\n    HostKeyAlias %s\n    Port %d\n    User ", alias, machine->port);
    config_word(out, machine->user, false);
    me_buffer_puts(out, "\n\n");
}

void me_hosts_ssh_config(const struct me_cluster *cluster, const struct me_host_state *states,
                         const char *dir, struct me_buffer *out)
{
    me_buffer_puts(out, "# Made by me hosts; try a machine with: ssh -F ssh_config me-0001 true\n\n");
    for (size_t i = 0; i < cluster->count; i++)
        if (states[i].status == ME_STATUS_OK) config_machine(&cluster->machines[i], out);
    me_buffer_puts(out, "Host *\n");
    config_path(out, "IdentityFile", dir, "id_ed25519");
    config_path(out, "UserKnownHostsFile", dir, "known_hosts");
    me_buffer_puts(out, "    GlobalKnownHostsFile /dev/null\n"
                        "    IdentitiesOnly yes\n"
                        "    IdentityAgent none\n"
                        "    PreferredAuthentications publickey\n"
                        "    StrictHostKeyChecking yes\n"
                        "    UpdateHostKeys no\n"
                        "    BatchMode yes\n"
                        "    LogLevel ERROR\n"
                        "    ConnectTimeout 10\n"
                        "    ServerAliveInterval 5\n"
                        "    ServerAliveCountMax 5\n"
                        "    ForwardAgent no\n"
                        "    ForwardX11 no\n");
}

void me_hosts_known_hosts(const struct me_cluster *cluster, const struct me_host_state *states,
                          struct me_buffer *out)
{
    me_buffer_puts(out, ""); /* a file even where no machine is left */
    for (size_t i = 0; i < cluster->count; i++) {
        if (states[i].status != ME_STATUS_OK || !states[i].host_key[0]) continue;
        char alias[16];
        me_hosts_alias(cluster->machines[i].id, alias, sizeof alias);
        me_buffer_printf(out, "%s %s\n", alias, states[i].host_key);
    }
}

/* One arm of the agent's case: the shell text that the machine runs before the launcher's. */
static void agent_machine(const struct me_machine *machine, const struct me_host_state *state,
                          struct me_buffer *out)
{
    char alias[16];
    struct me_buffer setup = ME_BUFFER_INIT;
    me_hosts_alias(machine->id, alias, sizeof alias);
    me_buffer_printf(&setup, "export ME_MACHINE_ID=%d; ", machine->id);
    if (state->stage_bin[0]) {
        me_buffer_puts(&setup, "export PATH=");
        me_buffer_shell_quoted(&setup, state->stage_bin);
        me_buffer_puts(&setup, ":\"$PATH\"; ");
    }
    me_buffer_printf(out, "%s) setup=", alias);
    if (setup.failed)
        out->failed = true;
    else
        me_buffer_shell_quoted(out, setup.data);
    me_buffer_puts(out, " ;;\n");
    me_buffer_release(&setup);
}

void me_hosts_agent(const struct me_cluster *cluster, const struct me_host_state *states, const char *dir,
                    struct me_buffer *out)
{
    me_buffer_puts(
        out, "#!/bin/sh\n"
             "# Made by me hosts. mpirun calls: agent HOST WORDS...; the words are shell text for the\n"
             "# machine, joined with blanks as ssh joins them. They run under sh there, whatever the\n"
             "# user's login shell is. Among them stands how to call this file, which the machine does\n"
             "# not have and would not start without: it gets sh in its place, and starts nobody.\n"
             "host=$1\n"
             "shift\n"
             "case $host in\n");
    for (size_t i = 0; i < cluster->count; i++)
        if (states[i].status == ME_STATUS_OK) agent_machine(&cluster->machines[i], &states[i], out);
    me_buffer_puts(out, "*) echo \"me agent: $host is not a machine of this hostfile\" >&2; exit 255 ;;\n"
                        "esac\n"
                        "before=\n"
                        "for word do\n"
                        "    case $before in plm_[rs]sh_agent) word=sh ;; esac\n"
                        "    setup=\"$setup $word\"\n"
                        "    before=$word\n"
                        "done\n"
                        "quoted=$(printf '%s' \"$setup\" | sed \"s/'/'\\\\\\\\''/g\")\n"
                        "exec ssh -F ");
    struct me_buffer path = ME_BUFFER_INIT;
    me_buffer_printf(&path, "%s/ssh_config", dir);
    if (path.failed)
        out->failed = true;
    else
        me_buffer_shell_quoted(out, path.data);
    me_buffer_puts(out, " \"$host\" \"exec sh -c '$quoted'\"\n");
    me_buffer_release(&path);
}
