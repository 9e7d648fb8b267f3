#include <stdio.h>
#include <string.h>
#include "cli.h"
#include "me/version.h"
#include "prepare.h"

#define FIELD(name) offsetof(struct me_prepare_options, name)

static const struct me_option options[] = {
    {"output", 'o', ME_OPTION_STRING, FIELD(output), 0, 0, "FILE",
     "hostfile that me hosts wrote (default gen.hosts)"},
    {"accept-new", 0, ME_OPTION_FLAG, FIELD(accept_new), 0, 0, NULL, "as for me hosts"},
    {"insecure-config", 0, ME_OPTION_FLAG, FIELD(insecure_config), 0, 0, NULL, "as for me hosts"},
    {"connect-timeout", 0, ME_OPTION_DOUBLE, FIELD(connect_timeout_s), 0.1, 3600, "SECONDS",
     "as for me hosts"},
    {.name = NULL},
};

const struct me_command me_cli_clean_command = {
    .program = "me clean",
    .usage = "CONFIG [OPTION...]",
    .summary = "Take the experiment key and the staged files off every machine.",
    .details =
        "Removes the one line of the key from ~/.ssh/authorized_keys and the folder\n"
        "~/.cache/machine-energy on every machine of CONFIG, then the hostfile and its companion\n"
        "folder here. If a machine cannot be reached both stay, so that it can be done again.\n"
        "\n"
        "Frameworks that --install-framework put there stay for the next experiment. To take them away,\n"
        "run there: rm -r ~/.local/share/machine-energy/frameworks\n"
        "\n"
        "  me clean config.json\n",
    .options = options,
    .min_operands = 1,
    .max_operands = 1,
};

static int report(const struct me_preparation *preparation, struct me_error *err)
{
    size_t failed = 0, n = preparation->count;
    for (size_t i = 0; i < n; i++) {
        const struct me_host *host = &preparation->hosts[i];
        failed += host->step == ME_STEP_FAILED;
        printf("%d  %s  %s%s\n", host->machine->id, host->machine->name,
               host->step == ME_STEP_FAILED ? "FAILED: " : "cleaned", host->reason);
    }
    if (atomic_load(me_pool_cancel(preparation->pool)))
        return me_fail(err, ME_E_RUN, "interrupted; run me clean again");
    if (!failed) return 0;
    return me_fail(err, ME_E_MACHINE,
                   "%zu of %zu machines are not cleaned; run me clean again when they can be reached", failed,
                   n);
}

static int clean(const struct me_cluster *cluster, const struct me_prepare_options *settings,
                 struct me_error *err)
{
    struct me_preparation preparation;
    int rc = me_preparation_init(&preparation, cluster, settings, err);
    if (!rc && !me_folder_read_key(settings->output, preparation.set_id, sizeof preparation.set_id,
                                   preparation.public_key, sizeof preparation.public_key))
        rc = me_fail(err, ME_E_INPUT, "%s.d/id_ed25519.pub is not there: which key to take away is not known",
                     settings->output);
    if (!rc) {
        me_pool_run(preparation.pool, &preparation, ME_STEP_WAITING, me_access_clean, "cleaning");
        rc = report(&preparation, err);
    }
    me_preparation_release(&preparation);
    return rc ? rc : me_folder_remove(settings->output, err);
}

int me_cli_clean(int argc, char **argv, struct me_error *err)
{
    struct me_prepare_options settings;
    struct me_operands operands;
    struct me_cluster cluster;
    me_prepare_defaults(&settings);
    if (me_options_parse(&me_cli_clean_command, argc, argv, &settings, &operands, err)) return -1;
    if (operands.help || operands.version) {
        if (operands.help)
            me_options_help(&me_cli_clean_command, stdout);
        else
            printf("me (Machine Energy) %s\n", ME_VERSION);
        return 0;
    }
    if (me_prepare_read(operands.values[0], &settings, &cluster, err)) return -1;
    int rc = clean(&cluster, &settings, err);
    me_cluster_release(&cluster);
    return rc;
}
