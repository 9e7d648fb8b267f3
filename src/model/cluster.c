#include "me/cluster.h"
#include <stdlib.h>
#include <string.h>

static void release_machine(struct me_machine *machine)
{
    if (machine->password) explicit_bzero(machine->password, strlen(machine->password));
    free(machine->password);
    free(machine->name);
    free(machine->address);
    free(machine->user);
    free(machine->password_env);
    free(machine->key_filename);
    free(machine->host_key);
    free(machine->country);
    free(machine->region);
    free(machine->external);
    free(machine->python);
    free(machine->docker_image);
}

void me_cluster_release(struct me_cluster *cluster)
{
    if (!cluster) return;
    for (size_t i = 0; i < cluster->count; i++) release_machine(&cluster->machines[i]);
    release_machine(&cluster->local);
    for (size_t i = 0; i < cluster->memory_count; i++) free(cluster->memory[i]);
    free(cluster->memory);
    free(cluster->machines);
    free(cluster->docker_image);
    free(cluster->docker_options);
    free(cluster->source);
    memset(cluster, 0, sizeof *cluster);
}
