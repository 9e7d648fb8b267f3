#include "me/hosts.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void set(struct me_buffer *out, const char *name, const char *value)
{
    me_buffer_printf(out, "export %s=", name);
    me_buffer_shell_quoted(out, value);
    me_buffer_puts(out, "\n");
}

/* The same setting for Open MPI 4 (ORTE) and 5 (PRRTE), which named it anew. */
static void set_both(struct me_buffer *out, const char *ompi4, const char *prrte, const char *value)
{
    set(out, ompi4, value);
    set(out, prrte, value);
}

/* The one network that reaches all machines, "192.0.2.0/24"; "" if there is none: naming a network
 * that a machine has no part in would cut it off. */
static const char *common_network(const struct me_cluster *cluster, const struct me_host_state *states)
{
    const char *network = "";
    for (size_t i = 0; i < cluster->count; i++) {
        if (states[i].status != ME_STATUS_OK) continue;
        if (!states[i].local_cidr[0] || (*network && strcmp(network, states[i].local_cidr))) return "";
        network = states[i].local_cidr;
    }
    return network;
}

/* Head and container are one machine, which may have no network at all; Open MPI leaves the loopback out by itself. */
static bool is_local_only(const struct me_cluster *cluster, const struct me_host_state *states)
{
    for (size_t i = 0; i < cluster->count; i++)
        if (states[i].status == ME_STATUS_OK) return false;
    return cluster->run_docker && cluster->run_local;
}

static void set_network(const struct me_cluster *cluster, const struct me_host_state *states,
                        struct me_buffer *out)
{
    const char *network = is_local_only(cluster, states) ? "lo" : common_network(cluster, states);
    if (!*network) return;
    me_buffer_puts(out, "# Only the network that was seen to work: no docker0, no virbr0.\n");
    set(out, "OMPI_MCA_btl_tcp_if_include", network);
    set_both(out, "OMPI_MCA_oob_tcp_if_include", "PRTE_MCA_prte_if_include", network);
}

/* Open MPI takes the agent's text apart at blanks and colons, with no way to quote them: where the
 * folder has such in its name, a shell puts the path together again behind its back. */
static void set_agent(const char *dir, struct me_buffer *out)
{
    struct me_buffer agent = ME_BUFFER_INIT;
    if (strpbrk(dir, " \t:'"))
        me_buffer_puts(&agent, "sh -c exec${IFS}\"$ME_HOSTS_DIR/agent\"${IFS}\"$@\" me");
    else
        me_buffer_printf(&agent, "%s/agent", dir);
    if (agent.failed)
        out->failed = true;
    else
        set_both(out, "OMPI_MCA_plm_rsh_agent", "PRTE_MCA_plm_ssh_agent", agent.data);
    me_buffer_release(&agent);
}

void me_hosts_env(const struct me_cluster *cluster, const struct me_host_state *states, const char *dir,
                  struct me_buffer *out)
{
    char sessions[24];
    me_buffer_puts(out,
                   "# Made by me hosts; for your shell: . env. OMPI_MCA_*: Open MPI 4; PRTE_MCA_*: 5.\n");
    set(out, "ME_HOSTS_DIR", dir);
    set_agent(dir, out);
    me_buffer_puts(out, "# The machines hold no agent and no key of each other: the head starts them all.\n");
    set_both(out, "OMPI_MCA_plm_rsh_no_tree_spawn", "PRTE_MCA_plm_ssh_no_tree_spawn", "1");
    me_buffer_puts(
        out, "# Each launch stays in its ssh session: one that fails is an error at once, not a hang.\n");
    set_both(out, "OMPI_MCA_orte_leave_session_attached", "PRTE_MCA_prte_leave_session_attached", "1");
    snprintf(sessions, sizeof sessions, "%zu", cluster->count < 127 ? 128 : cluster->count + 1);
    set_both(out, "OMPI_MCA_plm_rsh_num_concurrent", "PRTE_MCA_plm_ssh_num_concurrent", sessions);
    set_both(out, "OMPI_MCA_orte_keep_fqdn_hostnames", "PRTE_MCA_prte_keep_fqdn_hostnames", "1");
    me_buffer_puts(out, "# A machine that is cut off is noticed within half a minute.\n");
    set(out, "OMPI_MCA_oob_tcp_keepalive_time", "10");
    set(out, "OMPI_MCA_oob_tcp_keepalive_intvl", "5");
    set(out, "OMPI_MCA_oob_tcp_keepalive_probes", "3");
    me_buffer_puts(out, "# A workload gets every core of its machine.\n");
    set_both(out, "OMPI_MCA_hwloc_base_binding_policy", "PRTE_MCA_hwloc_default_binding_policy", "none");
    me_buffer_puts(out, "# A waiting rank must not burn what is being measured.\n");
    set(out, "OMPI_MCA_mpi_yield_when_idle", "1");
    me_buffer_puts(out, "# Seconds between SIGTERM and SIGKILL: time to keep what was measured.\n");
    set_both(out, "OMPI_MCA_odls_base_sigkill_timeout", "PRTE_MCA_odls_base_sigkill_timeout", "2");
    set_network(cluster, states, out);
    if (geteuid() == 0) {
        me_buffer_puts(out, "# You are root here, whom mpirun refuses without these two.\n");
        set(out, "OMPI_ALLOW_RUN_AS_ROOT", "1");
        set(out, "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        set(out, "PRTE_ALLOW_RUN_AS_ROOT", "1");
        set(out, "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    }
}
