/* What a config says: the machines, and what to run on them. Filled by me_config_read, the only
 * place that sees JSON. Absent strings are NULL, absent numbers are NaN or 0 as told below. */
#ifndef ME_CLUSTER_H
#define ME_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include "me/error.h"
#include "me/plan.h"

struct me_machine {
    int id;                /* machine_id, 1..9999; 0 is the local machine */
    int line;              /* line in the config where it begins, for messages */
    char *name;            /* for people; never NULL: `name`, else the address */
    char *address;         /* MACHINE_IP_ADDRESS: an IP address or a host name */
    int port;              /* MACHINE_PORT, default 22 */
    char *user;            /* MACHINE_USER, default the user who runs `me` */
    char *password;        /* MACHINE_PASSWORD or from MACHINE_PASSWORD_ENV; secret; NULL if none */
    char *password_env;    /* MACHINE_PASSWORD_ENV: the variable's name; NULL if none */
    char *key_filename;    /* MACHINE_KEY_FILENAME with ~ expanded; NULL if none */
    char *host_key;        /* "ssh-ed25519 AAAA..." or "SHA256:..."; NULL if none */
    char *country;         /* ISO 3166 alpha-2 or alpha-3, upper case; NULL if none */
    char *region;          /* cloud region or grid zone; NULL if none */
    double grid_g_per_kwh; /* grid_gco2_per_kwh; NaN if none */
    double pue;            /* NaN if none */
    char *external;        /* the user's own meters, one a line; NULL if none */
    char *python;          /* an interpreter or a virtual environment there; NULL if none */
    char *docker_image;    /* with run_docker: its image; NULL: the cluster's */
};

struct me_cluster {
    char *source;                /* the config's path, "-" or "(text)", for messages */
    bool run_local;              /* machine 0 measures too */
    bool run_docker;             /* each machine's rank runs in a container there */
    char *docker_image;          /* of all machines that name none; NULL: by framework and version */
    char *docker_options;        /* more words for `docker run`, one a line; NULL: none */
    struct me_machine *machines; /* the remote machines in order of the config */
    size_t count;
    struct me_machine local;                 /* machine 0: an entry with machine_id 0, or defaults */
    struct me_options_experiment experiment; /* the `experiment` object over the defaults */
    void **memory;                           /* the blocks that `experiment` points into; freed by release */
    size_t memory_count;
};

/* Frees; passwords are overwritten first. NULL-safe. */
void me_cluster_release(struct me_cluster *cluster);

struct me_config_options {
    bool insecure_config; /* accept a config with a password that others can read */
    bool no_secrets;      /* leave MACHINE_PASSWORD_ENV unread (for commands that do not log in) */
};

/* CONFIG: a path, "-" for standard input, or the JSON text itself (begins with '{' or '[', or holds
 * a newline). Any fault is ME_E_INPUT: "file:line: machines[1].MACHINE_PORT: what (cure)". */
int me_config_read(const char *config, const struct me_config_options *options, struct me_cluster *out,
                   struct me_error *err);
/* The same from text in memory; `source` names it in messages. For tests and fuzzing: no file, no
 * environment but MACHINE_PASSWORD_ENV. */
int me_config_parse(const char *text, size_t len, const char *source, const struct me_config_options *options,
                    struct me_cluster *out, struct me_error *err);

#endif
