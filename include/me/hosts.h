/* Cluster to the texts of a launch: pure functions, no file and no network. */
#ifndef ME_HOSTS_H
#define ME_HOSTS_H

#include "me/buffer.h"
#include "me/cluster.h"

/* The container that a machine's rank runs in (run_docker). */
struct me_container {
    char engine[64];  /* how it is called there: "docker", "sudo -n podman" */
    char version[64]; /* "docker 20.10.24" */
    char image[256];  /* as the user or the default names it */
    char id[80];      /* "sha256:...", what is run: nobody can move it to another image */
    char digest[72];  /* "sha256:...": what the registry calls it; the id where it came another way */
    bool perfmon;     /* the engine knows the capability that perf needs, and the machine has such meters */
    bool nvidia;      /* it has NVIDIA GPUs, and the engine a way to give them */
};

/* What `me hosts` found out about a machine; index as in cluster->machines. With run_docker one more stands behind
 * them: the local machine's. */
struct me_host_state {
    enum me_machine_status status; /* OK, SKIPPED, DUPLICATE */
    char reason[256];
    char host_key[1024]; /* "ssh-ed25519 AAAA...": the key it showed and we accept */
    char home[256];      /* its user's home */
    char stage_bin[256]; /* directory put first in PATH there; "" if not staged */
    char local_cidr[64]; /* network of ours that reaches it, "192.0.2.0/24"; "" unknown */
    struct me_container container;
};

void me_hosts_alias(int machine_id, char *alias, size_t size); /* "me-0001" */
/* gen.hosts: localhost first, then a line a machine whose status is OK. */
void me_hosts_file(const struct me_cluster *cluster, const struct me_host_state *states,
                   struct me_buffer *out);
/* gen.hosts.d/ssh_config; `dir` is its absolute path. */
void me_hosts_ssh_config(const struct me_cluster *cluster, const struct me_host_state *states,
                         const char *dir, struct me_buffer *out);
void me_hosts_known_hosts(const struct me_cluster *cluster, const struct me_host_state *states,
                          struct me_buffer *out);
/* gen.hosts.d/agent: the launch agent between mpirun and ssh. It exports ME_MACHINE_ID and the
 * staged PATH on the machine, so that a rank knows which machine of the config it is. */
void me_hosts_agent(const struct me_cluster *cluster, const struct me_host_state *states, const char *dir,
                    struct me_buffer *out);
/* The same for run_docker: what mpirun wants to run on a machine runs in a container there. `bench` is our own
 * me_bench, `set_id` names the hostfile's set of experiments. The local machine is me-0000. */
void me_hosts_container_agent(const struct me_cluster *cluster, const struct me_host_state *states,
                              const char *dir, const char *bench, const char *set_id, struct me_buffer *out);
/* Shell text for the machine: fills "$@" with the options of `run` by which a container sees the machine's meters below
 * /host, with the few rights that they need, and has a folder for the journal. Wants $engine, $perfmon and
 * $nvidia ("yes" or ""); sets $state, that folder. */
void me_hosts_container_options(const struct me_cluster *cluster, struct me_buffer *out);
/* gen.hosts.d/env: shell text to be sourced. */
void me_hosts_env(const struct me_cluster *cluster, const struct me_host_state *states, const char *dir,
                  struct me_buffer *out);
/* The plan's machines (gen.hosts.d/machines.json is the plan's JSON): no secret in it. */
int me_hosts_plan(const struct me_cluster *cluster, const struct me_host_state *states, struct me_plan *out,
                  struct me_error *err);

#endif
