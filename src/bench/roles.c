#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"

#define HEAD 0

/* Machines are known by their boot id; where a container hides it, by their host name. */
static bool same_machine(const struct me_hello *a, const struct me_hello *b)
{
    if (a->boot_id[0] || b->boot_id[0]) return strcmp(a->boot_id, b->boot_id) == 0;
    return strcmp(a->host, b->host) == 0;
}

/* The launch agent says which machine a rank is; where it was not used, the order of the hostfile
 * does: rank k is the k-th machine that `me hosts` wrote. */
static struct me_plan_machine *machine_of_rank(struct me_plan *plan, const struct me_hello *hello, int rank)
{
    if (rank == HEAD) return me_plan_find(plan, 0);
    if (hello->machine_id > 0 || (hello->machine_id == 0 && plan->run_docker))
        return me_plan_find(plan, hello->machine_id);
    int nth = 0;
    for (size_t i = 0; i < plan->count; i++) {
        struct me_plan_machine *machine = &plan->machines[i];
        if (machine->id != 0 && machine->status == ME_STATUS_OK && ++nth == rank) return machine;
    }
    return NULL;
}

static int rank_measuring(const struct me_role *roles, const struct me_hello *hellos, int ranks,
                          const struct me_hello *hello)
{
    for (int r = 0; r < ranks; r++)
        if (roles[r].machine_id >= 0 && same_machine(&hellos[r], hello)) return r;
    return -1;
}

static int rank_of_machine(const struct me_role *roles, int ranks, int machine_id)
{
    for (int r = 0; r < ranks; r++)
        if (roles[r].machine_id == machine_id) return r;
    return -1;
}

static void assign_from_hostfile(struct me_plan *plan, const struct me_hello *hellos, int ranks,
                                 struct me_role *roles)
{
    for (int r = 0; r < ranks; r++) {
        struct me_plan_machine *machine = machine_of_rank(plan, &hellos[r], r);
        if (!machine || machine->status != ME_STATUS_OK) continue;
        /* In containers the head only leads: this machine is measured by the rank in its container. */
        if (r == HEAD && (!plan->run_local || plan->run_docker)) continue;
        int twin = rank_measuring(roles, hellos, ranks, &hellos[r]);
        if (twin < 0) {
            roles[r].machine_id = machine->id;
        } else if (roles[twin].machine_id != machine->id) {
            const struct me_plan_machine *first = me_plan_find(plan, roles[twin].machine_id);
            machine->status = ME_STATUS_DUPLICATE;
            snprintf(machine->reason, sizeof machine->reason,
                     "the same machine as %.64s (machine %d), by its boot id; counted there", first->name,
                     first->id);
        }
    }
    for (size_t i = 0; i < plan->count; i++) {
        struct me_plan_machine *machine = &plan->machines[i];
        if (machine->status != ME_STATUS_OK || (machine->id == 0 && !plan->run_local)) continue;
        if (rank_of_machine(roles, ranks, machine->id) >= 0) continue;
        machine->status = ME_STATUS_LOST;
        snprintf(machine->reason, sizeof machine->reason, "no rank was started there");
    }
}

/* An allocation: one machine a node, numbered by rank, named by host. */
static int assign_from_ranks(struct me_plan *plan, const struct me_hello *hellos, int ranks,
                             struct me_role *roles, struct me_error *err)
{
    struct me_plan_machine *machines = ranks > 0 ? calloc((size_t)ranks, sizeof *machines) : NULL;
    if (!machines) return me_fail(err, ME_E_RUN, "no memory for %d machines", ranks);
    size_t n = 0;
    for (int r = 0; r < ranks; r++) {
        if (rank_measuring(roles, hellos, ranks, &hellos[r]) >= 0) continue;
        /* What the config said of the local machine (country, grid, PUE) stays. */
        struct me_plan_machine *known = r == HEAD ? me_plan_find(plan, 0) : NULL;
        struct me_plan_machine *machine = &machines[n];
        if (known)
            *machine = *known;
        else
            *machine =
                (struct me_plan_machine){.grid_g_per_kwh = __builtin_nan(""), .pue = __builtin_nan("")};
        machine->id = (int)n;
        machine->node = (struct me_batch_node)ME_BATCH_NODE_UNKNOWN;
        machine->status = ME_STATUS_OK;
        snprintf(machine->name, sizeof machine->name, "%.63s", hellos[r].host);
        snprintf(machine->node.node, sizeof machine->node.node, "%s", hellos[r].node);
        snprintf(machine->alias, sizeof machine->alias, "%.15s", r == HEAD ? "localhost" : hellos[r].host);
        roles[r].machine_id = (int32_t)n++;
    }
    free(plan->machines);
    plan->machines = machines;
    plan->count = n;
    return 0;
}

int me_roles_assign(struct me_plan *plan, const struct me_hello *hellos, int ranks, struct me_role *roles,
                    struct me_error *err)
{
    for (int r = 0; r < ranks; r++) roles[r] = (struct me_role){.machine_id = -1};
    if (plan->from_hostfile)
        assign_from_hostfile(plan, hellos, ranks, roles);
    else if (assign_from_ranks(plan, hellos, ranks, roles, err))
        return -1;
    int count = 0;
    for (int r = 0; r < ranks; r++) count += roles[r].machine_id >= 0;
    for (int r = 0; r < ranks; r++) roles[r].machine_count = count;
    if (count == 0)
        return me_fail(err, ME_E_INPUT,
                       "no machine measures: the config has no machine that is ready and run_local is false");
    return 0;
}
