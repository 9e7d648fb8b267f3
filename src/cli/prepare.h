/* From a config to a prepared launch, in stages; `me hosts`, `me run` and `me clean` share them.
 *
 *   head.c        what the head itself is: architecture, Open MPI, where our programs lie
 *   pool.c        one thread a machine; Ctrl-C; the progress line
 *   preflight.c   what a machine answers: one script, one round trip
 *   engine.c      of that script, what concerns a container engine, where ranks run in containers
 *   image.c       the image on a machine: shipped, pulled, looked at, tried
 *   work.c        of that script, what concerns the workloads
 *   stage.c       our programs to a machine that has none
 *   install.c     a framework to a machine that has none
 *   access.c      the experiment key on a machine: put there and proven, taken away
 *   network.c     which of our networks reaches a machine
 *   folder.c      gen.hosts and gen.hosts.d, written aside and renamed
 *   verdict.c     the table, a line a machine
 *   prepare.c     the order of all that */
#ifndef ME_CLI_PREPARE_H
#define ME_CLI_PREPARE_H

#include <pthread.h>
#include <stdio.h>
#include "me/cluster.h"
#include "me/hosts.h"
#include "me/remote.h"
#include "me/workload.h"

struct me_prepare_options {
    const char *output;     /* "gen.hosts" */
    const char *framework;  /* this and what follows, NULL: the config's */
    const char *train_func; /* at most one of framework, train_func and command counts, the last of them */
    const char *args;       /* of train_func */
    const char *python;
    const char *with;          /* one a line; "" is the config's too */
    char **command;            /* of the user */
    const char *install;       /* frameworks to install there, with commas; NULL: none */
    const char *image_archive; /* of `docker save`, shipped to every machine; NULL: none */
    double connect_timeout_s;
    int key_days;
    bool check, skip_failed, accept_new, insecure_config, gpu, pull;
};
void me_prepare_defaults(struct me_prepare_options *options);

/* ---- head.c */
struct me_head {
    char arch[65];
    char mpi[32]; /* "4.1.4" */
    char boot_id[40];
    char cwd[1024];
    char bin[1024];                 /* directory of our programs */
    char bench[1100], kernel[1100]; /* paths of me_bench and me_kernel */
    bool in_path;                   /* a bare me_bench finds the one above */
    char stage_id[48];              /* "0.1.0-1a2b3c4d5e6f": version and content */
};
int me_head_find(struct me_head *head, struct me_error *err);
/* Version within the output of `mpirun --version`; false if it is not Open MPI's. */
bool me_head_mpi_version(const char *text, char *version, size_t size);

/* ---- a machine on its way */
enum me_step { ME_STEP_WAITING, ME_STEP_REACHED, ME_STEP_FAILED, ME_STEP_DUPLICATE, ME_STEP_READY };
struct me_engine_seen { /* with run_docker */
    char words[64];     /* how it is called: "docker", "sudo -n docker"; "": none that we may use */
    char version[64];
    char text[256];  /* why there is none: the engine's words; "": no engine is there */
    char name[16];   /* of the one that `text` is about */
    char image[256]; /* what was found under the wanted name, or in the archive */
    char id[80], platform[32] /* "linux/amd64" */, digest[320] /* NAME@sha256:... */;
    char image_text[320]; /* why there is no image: the engine's words */
    bool perfmon, nvidia, has_gpu;
    bool ran; /* a container of it */
};
struct me_facts_seen { /* answers of the preflight script; "" is "not told" */
    char arch[65], boot_id[40], mpi[32], home[256];
    char bench[1100], bench_version[32], missing[256];
    char bench_text[256]; /* why it does not run */
    char ssh_client[64], ssh_server[64];
    bool staged, has_daemon;
    struct me_engine_seen engine;
    double free_mib, clock_offset_s;
    struct me_work_seen {
        int status; /* 0: runnable; -1: not asked */
        char text[320];
    } work[ME_WORKLOADS_MAX]; /* as in me_preparation.work */
};
struct me_host {
    const struct me_machine *machine;
    const struct me_remote_ops *ops;
    struct me_remote *remote;
    struct me_host_state *state;    /* NULL for the local one */
    struct me_container *container; /* to be filled in; NULL: ranks run on the machines themselves */
    struct me_facts_seen facts;
    enum me_step step;
    char local_address[64]; /* ours, on the connection to it; "" */
    bool key_installed;
    bool installed;    /* the frameworks are there, or its own Python was left alone */
    char note[160];    /* for the verdict; "" */
    char reason[1024]; /* why it failed or stays out */
};

struct me_preparation {
    const struct me_cluster *cluster;
    const struct me_prepare_options *options;
    struct me_plan plan; /* what the config asks of the machines */
    struct me_workloads work;
    struct me_head head;
    struct me_host *hosts; /* those of the cluster; then the local one if it measures */
    size_t count;
    struct me_host_state *states;
    struct me_remote_options remote_options;
    struct me_pool *pool;
    char set_id[16];
    char public_key[256]; /* "ssh-ed25519 AAAA..." */
    char aside[1100];     /* folder being written; "" when there is none */
    bool key_reused;
};

/* ---- pool.c */
struct me_pool;
int me_pool_create(struct me_pool **out, struct me_error *err);
/* Becomes true at Ctrl-C or SIGTERM. */
const atomic_bool *me_pool_cancel(const struct me_pool *pool);
typedef void me_pool_step(struct me_preparation *preparation, struct me_host *host);
/* Forgets a first Ctrl-C, so that what was begun can be taken back; the second one ends us. */
void me_pool_rearm(struct me_pool *pool);
/* Runs `step` on all hosts whose step is `at`, up to 64 at once, with a progress line on a terminal. A host that has been
 * reached before is connected when its step is called, and fails if it cannot be; of many hosts, and where few
 * descriptors may be open, no connection is kept behind the step. */
void me_pool_run(struct me_pool *pool, struct me_preparation *preparation, enum me_step at,
                 me_pool_step *step, const char *doing);
/* Hears what machines print: counts \001 and \002, layers to get and layers that are there, for the progress line.
 * For me_remote_options.heard with the pool as context. */
void me_pool_hear(void *pool, const char *bytes, size_t len);
/* Asks for a passphrase on the terminal, once a prompt; for me_remote_options.ask with the pool as context. */
bool me_pool_ask(void *pool, const char *prompt, char *text, size_t size);
void me_pool_destroy(struct me_pool *pool);

/* ---- preflight.c */
void me_preflight(struct me_preparation *preparation, struct me_host *host);
/* The script, and its answers; pure, for tests. */
void me_preflight_script(const struct me_preparation *preparation, const struct me_host *host,
                         struct me_buffer *out);
int me_preflight_parse(const char *text, struct me_facts_seen *facts, double *begin_s, double *end_s);
/* The same over what is known already. */
int me_preflight_parse_more(const char *text, struct me_facts_seen *facts, double *begin_s, double *end_s);
/* The parts of scripts: what `tell` and the answers are; the questions about Open MPI and our programs. */
void me_preflight_script_begin(const struct me_preparation *preparation, struct me_buffer *out);
void me_preflight_script_programs(const struct me_preparation *preparation, const struct me_host *host,
                                  struct me_buffer *out);
/* "" or why the machine cannot take part. `staging`: our programs may still be put there. */
void me_preflight_judge(const struct me_preparation *preparation, const struct me_host *host, bool staging,
                        char *reason, size_t size);
/* True if the programs must be put there first. */
bool me_preflight_needs_stage(const struct me_facts_seen *facts);
/* The Debian packages of missing libraries: "libhdf5-103-1 libhwloc15". */
void me_preflight_packages(const char *libraries, char *packages, size_t size);
/* Copies without control characters: a machine's answer ends up on a terminal. */
void me_preflight_clean(char *to, size_t size, const char *text, size_t len);

/* ---- engine.c; pure */
void me_engine_script(struct me_buffer *out);
/* Takes an answer to it, or to that of image.c; false if it is none. */
bool me_engine_answer(const char *key, const char *value, struct me_facts_seen *facts);
/* "" or why no container can be started there. */
void me_engine_judge(const struct me_host *host, char *reason, size_t size);

/* ---- image.c */
/* May the config and the options be meant so, with run_docker or without? */
int me_image_check(const struct me_cluster *cluster, const struct me_prepare_options *options,
                   const struct me_workloads *work, struct me_error *err);
/* A step: gets the image, and tries a container of it. With --check it only looks. */
void me_image_get(struct me_preparation *preparation, struct me_host *host);
/* After that: machines of one architecture have one image, or those that have another one fail. */
void me_image_compare(struct me_preparation *preparation);
/* The script, its judgement; pure, for tests. */
void me_image_script(const struct me_preparation *preparation, const struct me_host *host,
                     const char *archive, struct me_buffer *out);
void me_image_judge(const struct me_preparation *preparation, const struct me_host *host, char *reason,
                    size_t size);
/* "machine-energy-native:0.1.0", where the config names none. */
void me_image_name(const struct me_preparation *preparation, const struct me_host *host, char *name,
                   size_t size);
/* "docker 20.10.24, NAME sha256:0123456789ab" */
void me_image_text(const struct me_container *container, char *text, size_t size);

/* ---- work.c; pure */
/* The interpreter or environment that the config wants on this machine; "" if it wants none. */
const char *me_work_python(const struct me_preparation *preparation, const struct me_host *host);
void me_work_script(const struct me_preparation *preparation, const struct me_host *host,
                    struct me_buffer *out);
/* Takes an answer to it; false if it is none. */
bool me_work_answer(const char *key, const char *value, struct me_facts_seen *facts);
/* "" or which workloads do not run there, why, and what cures that. */
void me_work_judge(const struct me_preparation *preparation, const struct me_host *host, char *reason,
                   size_t size);
/* Of the user's command. Staging does not cure that. */
bool me_work_command_missing(const struct me_preparation *preparation, const struct me_host *host);
/* For the table: "keras,pl ok". */
void me_work_cell(const struct me_preparation *preparation, const struct me_facts_seen *facts, char *cell,
                  size_t size);
/* What the machine told of frameworks and Python; "" if nothing. */
void me_work_versions(const struct me_preparation *preparation, const struct me_facts_seen *facts, char *text,
                      size_t size);

/* ---- install.c */
extern const char me_install_text[], me_install_text_end[]; /* scripts/install-framework */
/* --install-framework and --gpu, as far as they can be checked here. */
int me_install_check(const struct me_prepare_options *options, struct me_error *err);
void me_install(struct me_preparation *preparation, struct me_host *host);
/* What runs there, and its answer; pure, for tests. -1: it did not run to its end. */
void me_install_script(const char *file, size_t len, const char *names, bool gpu, struct me_buffer *out);
int me_install_parse(const char *text, int *status, char *said, size_t size);

/* ---- stage.c, access.c */
void me_stage(struct me_preparation *preparation, struct me_host *host);
/* Puts the key there, and logs in with it. */
void me_access_install(struct me_preparation *preparation, struct me_host *host);
void me_access_remove(struct me_preparation *preparation, struct me_host *host);
/* Also takes the staged files away. */
void me_access_clean(struct me_preparation *preparation, struct me_host *host);
/* The scripts, pure. line NULL: only remove. */
void me_access_script(const char *set_id, const char *public_key, long long expiry_unix_s, bool staged_too,
                      struct me_buffer *out);

/* ---- folder.c */
/* Is there something in the way that is not ours? Touches nothing. */
int me_folder_check(const char *output, struct me_error *err);
/* The key's set id and public half from gen.hosts.d; false if there is none. */
bool me_folder_read_key(const char *output, char *set_id, size_t id_size, char *public_key, size_t key_size);
/* Makes the folder aside, with the key in it: that of gen.hosts.d if it has one, else a new one. */
int me_folder_begin(struct me_preparation *preparation, struct me_error *err);
/* Writes everything and renames it into place. */
int me_folder_commit(struct me_preparation *preparation, struct me_error *err);
/* Removes the folder aside, if it is still there. */
void me_folder_abandon(struct me_preparation *preparation);
int me_folder_remove(const char *output, struct me_error *err);

/* ---- network.c */
/* The network of ours that holds both addresses, "192.0.2.0/24"; "" if there is none (another
 * network, a router or NAT between, loopback, IPv6: Open MPI 4 speaks IPv4). */
void me_network_find(const char *local_address, const char *peer_address, char *cidr, size_t size);

/* ---- verdict.c */
void me_verdict_print(const struct me_preparation *preparation, FILE *out);

/* ---- prepare.c */
/* Fails the host with the error's line. */
void me_host_fail(struct me_host *host, const struct me_error *err);
int me_preparation_init(struct me_preparation *preparation, const struct me_cluster *cluster,
                        const struct me_prepare_options *options, struct me_error *err);
void me_preparation_release(struct me_preparation *preparation);
/* The config, with framework and command of the options over its own; checked as far as it can be
 * without touching anything. */
int me_prepare_read(const char *config, const struct me_prepare_options *options, struct me_cluster *cluster,
                    struct me_error *err);
/* All of `me hosts`: returns 0, or -1 with err. The table goes to `out`. */
int me_prepare(const struct me_cluster *cluster, const struct me_prepare_options *options, FILE *out,
               struct me_error *err);

#endif
