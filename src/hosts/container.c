/* The shell text of a launch into containers. Three shells pass it on (the agent's, the machine's, the container's), and a
 * fourth where somebody's login shell is another one: so what goes to a machine goes as base64, in one line. */
#include <stdio.h>
#include <string.h>
#include "me/hosts.h"

/* The mounts are single ones: a bind of the whole /sys would not be read-only throughout, on older engines. Root within
 * reads what is root's alone (mode 0400) without any capability. Only if that is needed for another user's container does
 * root get two: to write into that user's folder, and to leave the files there to them. */
static const char options[] =
    "set +f\n"
    "state=$HOME/.local/state/machine-energy\n"
    "(umask 077 && mkdir -p \"$state\") || exit 1\n"
    "set -- --network host --uts host --cap-drop ALL --security-opt no-new-privileges \\\n"
    "    --security-opt label=disable --shm-size 1g --mount "
    "\"type=bind,src=$state,dst=/state/machine-energy\" \\\n"
    "    -e XDG_STATE_HOME=/state -e ME_ROOT=/host\n"
    "for path in /sys/class /sys/devices /sys/bus /sys/block /sys/module /sys/cray /sys/hypervisor "
    "/sys/fs/cgroup \\\n"
    "    /proc/stat /proc/version /proc/cpuinfo /proc/meminfo /proc/vmstat /proc/diskstats /proc/devices "
    "/proc/driver \\\n"
    "    /proc/sys/kernel/random/boot_id /proc/sys/kernel/perf_event_paranoid; do\n"
    "    [ ! -e \"$path\" ] || set -- \"$@\" --mount \"type=bind,src=$path,dst=/host$path,readonly\"\n"
    "done\n"
    "found= closed=\n"
    "for file in /sys/class/powercap/*/energy_uj /sys/class/hwmon/*/energy*_input; do\n"
    "    [ -e \"$file\" ] || continue\n"
    "    found=yes\n"
    "    [ -r \"$file\" ] || closed=yes\n"
    "done\n"
    "for device in /dev/ipmi0 /dev/ipmi/0 /dev/ipmidev/0; do\n"
    "    [ ! -e \"$device\" ] || set -- \"$@\" --device \"$device\" --device \"$device:/host$device\"\n"
    "done\n"
    "for device in /dev/cpu/*/msr; do\n"
    "    [ -z \"$found\" ] && [ -e \"$device\" ] || continue\n"
    "    set -- \"$@\" --device \"$device:/host$device:r\" --cap-add SYS_RAWIO\n"
    "    closed=yes\n"
    "done\n"
    "for device in /dev/kfd /dev/dri; do\n"
    "    [ ! -e \"$device\" ] || set -- \"$@\" --device \"$device\"\n"
    "done\n"
    "[ -z \"$nvidia\" ] || set -- \"$@\" --gpus all\n"
    "[ -z \"$perfmon\" ] || closed=yes\n"
    "case $(id -u):$closed:$engine in\n"
    "0:*) set -- \"$@\" --user 0:0 ;;\n"
    "*:podman) set -- \"$@\" --user 0:0 ;;\n" /* who is root there is this user here */
    "*:yes:*) set -- \"$@\" --user 0:0 --cap-add CHOWN --cap-add DAC_OVERRIDE ;;\n"
    "*)\n"
    "    set -- \"$@\" --user \"$(id -u):$(id -g)\" -e HOME=/tmp\n"
    "    for group in $(id -G); do set -- \"$@\" --group-add \"$group\"; done\n"
    "    ;;\n"
    "esac\n"
    "[ -z \"$perfmon\" ] || set -- \"$@\" --cap-add PERFMON\n";

void me_hosts_container_options(const struct me_cluster *cluster, struct me_buffer *out)
{
    me_buffer_puts(out, options);
    for (const char *at = cluster->docker_options ? cluster->docker_options : ""; *at;) {
        char word[1024];
        size_t len = strcspn(at, "\n");
        snprintf(word, sizeof word, "%.*s", (int)len, at);
        me_buffer_puts(out, "set -- \"$@\" ");
        me_buffer_shell_quoted(out, word);
        me_buffer_puts(out, "\n");
        at += len + (at[len] == '\n');
    }
}

/* One arm of the agent's case. */
static void container_machine(int machine_id, const struct me_container *container, struct me_buffer *out)
{
    char alias[16];
    me_hosts_alias(machine_id, alias, sizeof alias);
    me_buffer_printf(out, "%s) id=%d perfmon=%s nvidia=%s engine=", alias, machine_id,
                     container->perfmon ? "yes" : "", container->nvidia ? "yes" : "");
    me_buffer_shell_quoted(out, container->engine);
    me_buffer_puts(out, " image=");
    me_buffer_shell_quoted(out, container->id);
    me_buffer_puts(out, " ;;\n");
}

/* What a killed launch left created, or a killed engine left ended, goes first; what runs is never touched. The
 * container ends with its first process, which holds the tether (me_bench: tether.c). */
static const char start[] =
    "old=$($engine ps -aq --filter \"label=machine-energy.machine=$set-$id\" --filter status=created \\\n"
    "    --filter status=exited --filter status=dead 2>/dev/null)\n"
    "[ -z \"$old\" ] || $engine rm -f $old >/dev/null 2>&1\n"
    "$engine run -i --rm --name \"$name\" --label \"machine-energy.machine=$set-$id\" --label "
    "\"machine-energy.set=$set\" \\\n"
    "    -e \"ME_MACHINE_ID=$id\" \"$@\" --entrypoint me_bench \"$image\" --tether hold 30 sh -c \"$words\"\n"
    "status=$?\n"
    "rmdir \"$state\" 2>/dev/null\n"
    "exit \"$status\"\n";

static const char begin[] = "#!/bin/sh\n"
                            "# Made by me hosts. mpirun calls: agent HOST WORDS...; the words are shell "
                            "text, joined with blanks, which is\n"
                            "# run in a container on that machine. Among them stands how to call this file, "
                            "which a container does not have\n"
                            "# and would not start without: it gets sh in its place, and starts nobody.\n"
                            "host=$1\n"
                            "shift\n"
                            "case $host in\n";

/* The name is for people who look at `docker ps`: the experiment's stands on mpirun's command line. */
static const char middle[] =
    "*) echo \"me agent: $host is not a machine of this hostfile\" >&2; exit 255 ;;\n"
    "esac\n"
    "before= words=\n"
    "for word do\n"
    "    case $before in plm_[rs]sh_agent) word=sh ;; esac\n"
    "    words=\"$words $word\"\n"
    "    before=$word\n"
    "done\n"
    "quoted() { printf \"'%s'\" \"$(printf '%s' \"$1\" | sed \"s/'/'\\\\\\\\''/g\")\"; }\n"
    "experiment=${ME_EXPERIMENT:-$(tr '\\0' '\\n' <\"/proc/$PPID/cmdline\" 2>/dev/null |\n"
    "    awk 'seen && !/^-/ { print; exit } /(^|\\/)me_bench$/ { seen = 1 }')}\n"
    "experiment=${experiment%/} experiment=${experiment##*/}\n"
    "experiment=$(printf '%s' \"${experiment:-run}\" | tr -c 'A-Za-z0-9_.-' _ | cut -c 1-40)\n";

static void put_script(const struct me_cluster *cluster, const char *set_id, struct me_buffer *out)
{
    me_buffer_puts(out, "there() { cat <<'END_OF_SCRIPT'\n");
    me_hosts_container_options(cluster, out);
    me_buffer_puts(out, start);
    me_buffer_puts(out, "END_OF_SCRIPT\n}\n");
    me_buffer_printf(out,
                     "script=\"set=%s id=$id perfmon=$perfmon nvidia=$nvidia engine=$(quoted \"$engine\")\n"
                     "image=$(quoted \"$image\") name=me-$experiment-$id-%s-$PPID\n"
                     "words=$(quoted \"$words\")\n"
                     "$(there)\"\n",
                     set_id, set_id);
    me_buffer_puts(out, "line=$(printf '%s\\n' \"$script\" | base64 | tr -d '\\n')\n"
                        "run=\"eval \\\"\\$(printf %s $line | base64 -d)\\\"\"\n");
}

void me_hosts_container_agent(const struct me_cluster *cluster, const struct me_host_state *states,
                              const char *dir, const char *bench, const char *set_id, struct me_buffer *out)
{
    struct me_buffer path = ME_BUFFER_INIT;
    me_buffer_puts(out, begin);
    if (cluster->run_local) container_machine(0, &states[cluster->count].container, out);
    for (size_t i = 0; i < cluster->count; i++)
        if (states[i].status == ME_STATUS_OK)
            container_machine(cluster->machines[i].id, &states[i].container, out);
    me_buffer_puts(out, middle);
    put_script(cluster, set_id, out);
    me_buffer_puts(out, "tether() { ");
    me_buffer_shell_quoted(out, bench);
    me_buffer_puts(out, " --tether feed \"$PPID\"; }\n"
                        "case $host in\n"
                        "me-0000) tether | sh -c \"$run\" ;;\n"
                        "*) tether | ssh -F ");
    me_buffer_printf(&path, "%s/ssh_config", dir);
    if (path.failed)
        out->failed = true;
    else
        me_buffer_shell_quoted(out, path.data);
    me_buffer_puts(out, " \"$host\" \"exec sh -c '$run'\" ;;\n"
                        "esac\n");
    me_buffer_release(&path);
}
