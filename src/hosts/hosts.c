#include "me/hosts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void me_hosts_alias(int machine_id, char *alias, size_t size)
{
    snprintf(alias, size, "me-%04d", machine_id);
}

void me_hosts_file(const struct me_cluster *cluster, const struct me_host_state *states,
                   struct me_buffer *out)
{
    me_buffer_printf(out, "# Made by me hosts; one rank a machine.\n");
    bool measures = cluster->run_local && !cluster->run_docker;
    me_buffer_printf(out, "localhost slots=1  # the head: %s\n",
                     measures ? "coordinates and measures" : "coordinates, does not measure");
    if (cluster->run_local && cluster->run_docker)
        me_buffer_puts(out, "me-0000 slots=1  # this machine, in a container\n");
    for (size_t i = 0; i < cluster->count; i++) {
        if (states[i].status != ME_STATUS_OK) continue;
        char alias[16];
        me_hosts_alias(cluster->machines[i].id, alias, sizeof alias);
        me_buffer_printf(out, "%s slots=1\n", alias);
    }
}

static void copy_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static void plan_machine(const struct me_machine *machine, bool in_container, struct me_plan_machine *out)
{
    *out = (struct me_plan_machine){.id = machine->id, .status = ME_STATUS_OK};
    copy_text(out->name, sizeof out->name, machine->name);
    copy_text(out->country, sizeof out->country, machine->country);
    copy_text(out->external, sizeof out->external, machine->external);
    copy_text(out->python, sizeof out->python, machine->python);
    copy_text(out->region, sizeof out->region, machine->region);
    out->grid_g_per_kwh = machine->grid_g_per_kwh;
    out->pue = machine->pue;
    if (machine->id == 0 && !in_container)
        copy_text(out->alias, sizeof out->alias, "localhost");
    else
        me_hosts_alias(machine->id, out->alias, sizeof out->alias);
}

static void plan_container(const struct me_container *container, struct me_plan_machine *out)
{
    copy_text(out->engine, sizeof out->engine, container->version);
    copy_text(out->image, sizeof out->image, container->image);
    copy_text(out->image_digest, sizeof out->image_digest, container->digest);
}

static int plan_machines(const struct me_cluster *cluster, const struct me_host_state *states,
                         struct me_plan *plan, struct me_error *err)
{
    plan->machines = calloc(cluster->count + 1, sizeof *plan->machines);
    if (!plan->machines) return me_fail(err, ME_E_RUN, "no memory for %zu machines", cluster->count + 1);
    plan->count = cluster->count + 1;
    plan_machine(&cluster->local, cluster->run_docker, &plan->machines[0]);
    if (cluster->run_docker) plan_container(&states[cluster->count].container, &plan->machines[0]);
    for (size_t i = 0; i < cluster->count; i++) {
        struct me_plan_machine *machine = &plan->machines[i + 1];
        plan_machine(&cluster->machines[i], cluster->run_docker, machine);
        plan_container(&states[i].container, machine);
        machine->status = states[i].status;
        copy_text(machine->reason, sizeof machine->reason, states[i].reason);
    }
    return 0;
}

static bool has_name(char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (names[i] && !strcmp(names[i], name)) return true;
    return false;
}

/* The variables that passwords came from: no child may see them. */
static int plan_strip(const struct me_cluster *cluster, struct me_plan *plan, struct me_error *err)
{
    plan->strip_env = calloc(cluster->count + 2, sizeof *plan->strip_env);
    if (!plan->strip_env) return me_fail(err, ME_E_RUN, "no memory for the plan");
    for (size_t i = 0; i <= cluster->count; i++) {
        const struct me_machine *machine = i < cluster->count ? &cluster->machines[i] : &cluster->local;
        const char *name = machine->password_env;
        if (!name || has_name(plan->strip_env, plan->strip_count, name)) continue;
        if (!(plan->strip_env[plan->strip_count] = strdup(name)))
            return me_fail(err, ME_E_RUN, "no memory for the plan");
        plan->strip_count++;
    }
    return 0;
}

int me_hosts_plan(const struct me_cluster *cluster, const struct me_host_state *states, struct me_plan *out,
                  struct me_error *err)
{
    struct me_plan plan = {
        .run_local = cluster->run_local, .run_docker = cluster->run_docker, .from_hostfile = true};
    if (me_plan_set_experiment(&plan, &cluster->experiment, err) ||
        plan_machines(cluster, states, &plan, err) || plan_strip(cluster, &plan, err)) {
        me_plan_release(&plan);
        return -1;
    }
    *out = plan;
    return 0;
}
