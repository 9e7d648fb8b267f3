/* The parts of the config, each in its own file. */
#ifndef ME_CONFIG_CONFIG_H
#define ME_CONFIG_CONFIG_H

#include "doc.h"
#include "me/cluster.h"

/* What all machines of one config share while it is read. */
struct me_config_reader {
    const struct me_doc *doc;
    bool no_secrets;
    char user[64]; /* who runs `me`; "" until it is needed */
};

/* machines[index]: on failure *out is released and zero. */
int me_config_machine(struct me_config_reader *reader, const cJSON *node, size_t index,
                      struct me_machine *out, struct me_error *err);
/* Machine 0 of a config that does not list it. */
int me_config_local(struct me_config_reader *reader, struct me_machine *out, struct me_error *err);
/* The `experiment` object over what is in cluster->experiment; its memory goes to cluster->memory. */
int me_config_experiment(const struct me_doc *doc, const cJSON *node, struct me_cluster *cluster,
                         struct me_error *err);
/* docker_image and docker_options of the whole. */
int me_config_docker(const struct me_doc_object *top, struct me_cluster *cluster, struct me_error *err);
/* True if a machine of the text holds a MACHINE_PASSWORD (not one from the environment). */
bool me_config_holds_password(const struct me_cluster *cluster);

/* 0 if the text is fit for its key, else -1 and why. */
int me_config_check_address(const char *text, const char **why);
int me_config_check_user(const char *text, const char **why);
int me_config_check_label(const char *text, size_t max, const char **why); /* name, region */
int me_config_check_country(const char *text, const char **why);
int me_config_check_variable(const char *text, const char **why);
int me_config_check_host_key(const char *text, const char **why);
int me_config_check_image(const char *text, const char **why);
int me_config_check_docker_option(const char *text, const char **why);

#endif
