#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "allocation.h"
#include "bench.h"
#include "me/assembly.h"
#include "me/carbon.h"
#include "me/clock.h"
#include "me/root.h"
#include "me/store.h"
#include "me/workload.h"

#define HEAD 0

struct world {
    MPI_Comm comm, data; /* data: for what was measured */
    int rank, ranks;
    struct me_bench_options options;
    struct me_plan plan;
    struct me_role *roles, role;
    bool lost_any, head_gone;
    bool nothing_left; /* of a run that should go on */
    struct me_gather_room room;
    int held;                /* EXPERIMENT/plan.json, by the head */
    char kept[4096];         /* rank 0's own file of series, if they stay apart */
    struct me_folder folder; /* what was shipped, on this machine */
    FILE *out;
};

static void say_hello(const struct world *w, struct me_hello *hello)
{
    long id;
    const char *text = getenv("ME_MACHINE_ID");
    struct me_root root;
    *hello = (struct me_hello){.machine_id = text && !me_parse_int(text, 0, 9999, &id) ? (int32_t)id : -1};
    gethostname(hello->host, sizeof hello->host - 1);
    text = getenv("SLURMD_NODENAME");
    snprintf(hello->node, sizeof hello->node, "%s", text ? text : "");
    if (me_root_open(&root, w->options.root, NULL)) return;
    me_root_boot_id(&root, hello->boot_id);
    me_root_close(&root);
}

static int check_ranks(const struct world *w, struct me_error *err)
{
    size_t ready = 0;
    bool local_too = w->plan.run_docker && w->plan.run_local;
    for (size_t i = 0; i < w->plan.count; i++)
        if ((w->plan.machines[i].id || local_too) && w->plan.machines[i].status == ME_STATUS_OK) ready++;
    if (!w->plan.from_hostfile || w->ranks > 1 || ready == 0) return 0;
    return me_fail(
        err, ME_E_INPUT,
        "ME_HOSTS_DIR names %zu machines but one rank was started: give mpirun -hostfile gen.hosts, or "
        "unset ME_HOSTS_DIR",
        ready);
}

/* More tasks than nodes: each node is metered once. */
static void say_aside(const struct world *w)
{
    int aside = 0;
    for (int r = 0; r < w->ranks; r++) aside += w->roles[r].machine_id < 0;
    if (w->plan.from_hostfile || !aside) return;
    fprintf(w->out, "me_bench: %d of %d tasks stand%s aside: one measures on each of the %zu machine%s\n",
            aside, w->ranks, aside == 1 ? "s" : "", w->plan.count, w->plan.count == 1 ? "" : "s");
}

/* Rank 0 decides everything; nothing is touched before all of it was found good. */
static int prepare(struct world *w, int argc, char **argv, const struct me_hello *hellos,
                   struct me_buffer *text, struct me_buffer *parcel, struct me_error *err)
{
    char path[4096];
    if (me_setup_plan(argc, argv, &w->options, &w->plan, err)) return -1;
    if (check_ranks(w, err)) return -1;
    if (me_roles_assign(&w->plan, hellos, w->ranks, w->roles, err)) return -1;
    say_aside(w);
    if (me_carbon_resolve(&w->plan, err)) return -1;
    me_allocation_ask(&w->plan);
    me_experiment_result_path(w->options.folder, path, sizeof path);
    if (w->options.resume && me_resume_fill(&w->plan, w->options.folder, &w->nothing_left, err)) return -1;
    if (me_setup_look(&w->options, err)) return -1;
    if (me_setup_appends(&w->options) && me_assembly_check(&w->plan, w->options.folder, err)) return -1;
    if (w->options.shared && me_allocation_resume(&w->plan, path, w->out, &w->nothing_left, err)) return -1;
    me_resume_stand_aside(&w->plan, w->roles, w->ranks);
    if (me_plan_to_json(&w->plan, text, err)) return -1;
    return w->nothing_left ? 0 : me_workload_pack(&w->plan, parcel, err);
}

/* Who is who, and what is to be done; on every rank. */
static int agree(struct world *w, int argc, char **argv, struct me_error *err)
{
    struct me_hello mine, *hellos = NULL;
    struct me_buffer text = ME_BUFFER_INIT, parcel = ME_BUFFER_INIT;
    int rc = -1, failed = 0;
    bool planned = true;
    if (w->rank == HEAD) {
        hellos = calloc((size_t)w->ranks, sizeof *hellos);
        w->roles = calloc((size_t)w->ranks, sizeof *w->roles);
        if (!hellos || !w->roles) failed = me_fail(err, ME_E_RUN, "no memory for %d ranks", w->ranks);
    }
    say_hello(w, &mine);
    if (failed || me_gather_hello(w->comm, &mine, hellos, err)) goto out;
    if (w->rank == HEAD && prepare(w, argc, argv, hellos, &text, &parcel, err)) me_buffer_release(&text);
    if (me_gather_broadcast(w->comm, &text, err)) goto out;
    /* Whoever cannot read it says so with the others' answers, and leaves none of them waiting. */
    if (w->rank != HEAD) planned = !me_plan_from_json(text.data, text.len, &w->plan, err);
    if (me_gather_roles(w->comm, w->roles, &w->role, err)) goto out;
    rc = me_ready_agree(w->comm, &w->plan, planned, w->roles, &w->role, &parcel, &w->options, &w->folder,
                        w->out, err);
out:
    free(hellos);
    me_buffer_release(&parcel);
    me_buffer_release(&text);
    return rc;
}

/* The journal goes where its record is in the result, and a fault of it is told once. */
static void close_journal(const struct world *w, struct me_journal *journal, bool stored)
{
    struct me_error fault = {0};
    if (me_journal_close(journal, !stored, &fault))
        fprintf(w->out, "me_bench: %s%s\n", fault.text, stored ? "; the result lacks nothing" : "");
}

static struct me_station_options make_station_options(const struct world *w)
{
    return (struct me_station_options){.plan = &w->plan,
                                       .role = w->role,
                                       .root = w->options.root,
                                       .files = w->folder.path[0] ? w->folder.path : NULL};
}

static struct me_series_place series_place(const struct world *w)
{
    return (struct me_series_place){.local = !strcmp(w->options.series, "local"),
                                    .limit = (uint64_t)(w->options.series_limit_mib * 0x1p20),
                                    .folder = w->options.folder,
                                    .run_id = w->plan.run_id};
}

static int follow(struct world *w, struct me_error *err)
{
    struct me_follow follower = {.comm = w->comm,
                                 .data = w->data,
                                 .lost_after_s = w->options.lost_after_s,
                                 .heard_ns = me_clock_mono_ns()};
    struct me_link link = me_follow_link(&follower);
    struct me_buffer record = ME_BUFFER_INIT;
    struct me_journal *journal = NULL;
    bool stored = false, measures = w->role.machine_id >= 0;
    int rc = 0;
    struct me_station_options station_options = make_station_options(w);
    if (measures) {
        rc = me_station_run(&station_options, &link, &record, &journal, err);
        me_folder_remove(&w->folder);
    }
    /* The head waits for a record, also for one that there was no memory for. */
    const struct me_series_place place = series_place(w);
    const struct me_maker_input input = {me_plan_find(&w->plan, w->role.machine_id), &record, &place};
    if (me_follow_finish(&follower, measures ? &input : NULL, &stored, err)) rc = -1;
    w->lost_any = follower.lost_any;
    w->head_gone = follower.head_gone;
    close_journal(w, journal, stored && !rc);
    me_buffer_release(&record);
    return rc ? -1 : 0;
}

static bool has_exit(const struct me_result *result)
{
    for (size_t i = 0; i < result->repeat_count; i++)
        if (result->repeats[i].exit_status > 0) return true;
    return false;
}

static bool has_lost(const struct me_result *result)
{
    for (size_t i = 0; i < result->machine_count; i++)
        if (!strcmp(result->machines[i].status, me_status_name(ME_STATUS_LOST))) return true;
    return false;
}

static void say_done(const struct world *w, const struct me_result *result)
{
    char path[4096];
    me_experiment_result_path(w->options.folder, path, sizeof path);
    for (size_t i = 0; i < result->machine_count; i++) {
        const struct me_row_machine *m = &result->machines[i];
        if (strcmp(m->status, "ok")) fprintf(w->out, "me_bench: %s: %s: %s\n", m->name, m->status, m->reason);
    }
    fprintf(w->out, "me_bench: %s: %s; see: me report %s\n", path, result->status, w->options.folder);
    if (has_lost(result))
        fprintf(w->out, "me_bench: what the lost measured is in their journals; to fetch it: me recover %s\n",
                w->options.folder);
    if (has_exit(result))
        fprintf(w->out, "me_bench: what the workloads printed: %s/logs\n", w->options.folder);
}

/* The error's line says where to find what was measured. It is too late for "nothing was touched". */
static int fail_not_written(const struct world *w, struct me_error *err)
{
    struct me_error why = *err;
    return me_fail(
        err, ME_E_RUN,
        "%.700s; what was measured is on each machine, in ~/.local/state/machine-energy/%s-*.mej: me "
        "recover %s fetches it",
        why.text, w->plan.run_id, w->options.folder);
}

static void listen(void *head)
{
    me_head_look(head);
}

/* Rank 0's own machine goes the same way as the others', but for the sending. */
static int add_own(struct world *w, struct me_head *head, struct me_assembly *assembly,
                   struct me_buffer *record, struct me_error *err)
{
    struct me_parts parts = {0};
    int id = w->role.machine_id;
    const struct me_series_place place = series_place(w);
    const struct me_maker_input input = {me_plan_find(&w->plan, id), record, &place};
    int rc = me_maker_run(&input, &parts, listen, head, err);
    for (int i = 0; !rc && i < ME_PART_COUNT; i++)
        rc =
            me_assembly_take(assembly, id, (enum me_part)i, parts.part[i].data, parts.part[i].len, true, err);
    memcpy(w->kept, parts.kept, sizeof w->kept);
    me_parts_release(&parts);
    return rc;
}

/* All machines' parts to the experiment's file; `own` is rank 0's record. */
static int assemble(struct world *w, struct me_head *head, struct me_buffer *own, struct me_result *result,
                    struct me_error *err)
{
    const struct me_assembly_options options = {.folder = w->options.folder,
                                                .append = w->options.append,
                                                .append_or_create = w->options.shared,
                                                .merge = w->options.resume,
                                                .program = "me_bench",
                                                .out = w->out,
                                                .look = me_head_look,
                                                .context = head};
    struct me_assembly *assembly = NULL;
    int rc = me_assembly_begin(&assembly, &w->plan, &options, err);
    if (!rc && w->role.machine_id >= 0) rc = add_own(w, head, assembly, own, err);
    me_head_wait(head, rc ? NULL : assembly);
    me_allocation_end(&w->plan, me_head_stopped(head));
    if (!rc) rc = me_assembly_finish(assembly, me_head_stopped(head), result, err);
    me_assembly_release(assembly);
    return rc;
}

static void measure(struct world *w, struct me_head *head, struct me_buffer *record,
                    struct me_journal **journal)
{
    struct me_link link = me_head_link(head);
    struct me_station_options options = make_station_options(w);
    struct me_error own = {0}; /* ours is one machine among others: its loss is told in the result */
    if (me_station_run(&options, &link, record, journal, &own)) fprintf(w->out, "me_bench: %s\n", own.text);
    me_folder_remove(&w->folder);
}

/* Is what it measured not in the result? A run that adds to one knows its first number only when it is. */
static bool is_unrecovered(const struct world *w, const struct me_plan *plan)
{
    char result[4200];
    me_experiment_result_path(w->options.folder, result, sizeof result);
    return plan->run_id[0] && (access(result, F_OK) || plan->first_repeat < 0);
}

/* A run that was cut off here and never recovered: its plan stays too, by which its journals can still be fetched. A
 * job beside us has its own there already. */
static void keep_plan_before(const struct world *w)
{
    char path[4200], aside[4200];
    struct me_plan before;
    if (me_plan_file_read(w->options.folder, NULL, &before, NULL)) return;
    me_plan_file_path(w->options.folder, NULL, path, sizeof path);
    me_plan_file_path(w->options.folder, before.run_id, aside, sizeof aside);
    if (is_unrecovered(w, &before) && !link(path, aside))
        fprintf(w->out,
                "me_bench: the run before was cut off and is not recovered; its journals stay on the "
                "machines, and me recover %s will fetch them too\n",
                w->options.folder);
    me_plan_release(&before);
}

/* Without it nothing could be recovered, but all can be measured. */
static void keep_plan(struct world *w, int first_repeat)
{
    struct me_error err = {0};
    const char *hosts = getenv("ME_HOSTS_DIR");
    char *absolute = hosts && *hosts ? realpath(hosts, NULL) : NULL;
    w->plan.first_repeat = first_repeat;
    if (absolute) snprintf(w->plan.hosts_dir, sizeof w->plan.hosts_dir, "%.1023s", absolute);
    if (me_plan_file_write(w->options.folder, NULL, &w->plan, &err) ||
        (w->options.shared && me_plan_file_write(w->options.folder, w->plan.run_id, &w->plan, &err)))
        fprintf(w->out, "me_bench: %s\n", err.text);
    free(absolute);
    w->held = me_plan_file_hold(w->options.folder, w->options.shared ? w->plan.run_id : NULL);
}

/* What is still to be fetched is found by the numbers that the run's repeats have in the result. */
static void settle_plan(struct world *w, const struct me_result *result)
{
    struct me_error err = {0};
    struct me_plan there;
    bool is_ours = true; /* of jobs that share an experiment, another may have begun meanwhile */
    if (w->options.shared && !me_plan_file_read(w->options.folder, NULL, &there, NULL)) {
        is_ours = !strcmp(there.run_id, w->plan.run_id);
        me_plan_release(&there);
    }
    if (w->options.shared && !has_lost(result)) {
        char path[4200];
        me_plan_file_path(w->options.folder, w->plan.run_id, path, sizeof path);
        unlink(path); /* all of it is in the result */
    }
    if (!is_ours) return;
    if (me_plan_file_write(w->options.folder, NULL, &w->plan, &err))
        fprintf(w->out, "me_bench: %s\n", err.text);
}

static int say_nothing_left(const struct world *w, struct me_head *head)
{
    fprintf(w->out, "me_bench: %s: nothing is missing; see: me report %s\n", w->options.folder,
            w->options.folder);
    me_head_release(head, true);
    me_head_destroy(head);
    return ME_OK;
}

static int lead(struct world *w, struct me_error *err)
{
    struct me_head *head = NULL;
    struct me_buffer record = ME_BUFFER_INIT;
    struct me_journal *journal = NULL;
    struct me_result result = {0};
    struct me_error unseen = {0};
    const struct me_series_place place = series_place(w);
    if (!w->options.resume) keep_plan_before(w);
    if (!w->nothing_left) keep_plan(w, w->options.append || w->options.shared ? -1 : w->plan.first_repeat);
    int rc = me_head_create(&head, w->comm, w->data, &w->plan, w->roles, &w->options, w->out, err);
    if (rc) return -1;
    if (w->nothing_left) return say_nothing_left(w, head);
    me_allocation_begin(&w->plan);
    if (me_series_place_show(&place, &unseen)) fprintf(w->out, "me_bench: --series: %s\n", unseen.text);
    if (w->role.machine_id >= 0) measure(w, head, &record, &journal);
    rc = assemble(w, head, &record, &result, err);
    if (!rc && (w->options.append || w->options.shared)) settle_plan(w, &result);
    if (rc)
        fail_not_written(w, err);
    else
        say_done(w, &result);
    if (rc && w->kept[0]) unlink(w->kept);
    me_series_place_hide(&place);
    me_head_release(head, !rc);
    close_journal(w, journal, !rc);
    if (!rc) rc = strcmp(result.status, "complete") ? ME_E_RUN : ME_OK;
    w->lost_any = me_head_lost_any(head);
    me_result_release(&result);
    me_buffer_release(&record);
    me_head_destroy(head);
    return rc;
}

static void leave(const struct world *w, int rc, const struct me_error *err)
{
    if (rc < 0 && err->code != ME_OK) fprintf(w->out, "me_bench: %s\n", err->text);
    me_leave(w->rank == HEAD || w->head_gone, rc < 0                       ? (int)err->code
                                              : w->rank == HEAD && rc == 0 ? ME_E_RUN
                                                                           : rc);
}

int me_bench_run(MPI_Comm comm, int argc, char **argv, FILE *out, struct me_error *err)
{
    struct world w = {.comm = comm, .held = -1, .data = MPI_COMM_NULL, .folder.lock = -1, .out = out};
    MPI_Comm_rank(comm, &w.rank);
    MPI_Comm_size(comm, &w.ranks);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    me_signals_watch();
    char **line = calloc((size_t)argc + 1, sizeof *line); /* the head parses a second time, over the config */
    if (!line) return me_fail(err, ME_E_RUN, "no memory");
    memcpy(line, argv, (size_t)argc * sizeof *line);
    me_bench_options_defaults(&w.options);
    w.options.root = me_root_default();
    struct me_operands operands;
    int rc = me_bench_parse(argc, line, &w.options, &operands, err);
    if (!rc) rc = me_gather_open(&w.room, err);
    if (!rc) rc = agree(&w, argc, argv, err);
    if (!rc) rc = me_gather_split(comm, &w.data, err);
    if (!rc)
        rc = w.rank == HEAD ? lead(&w, err) : follow(&w, err);
    else if (w.rank != HEAD && err->code == ME_OK)
        rc = ME_E_INPUT; /* the head has said why */
    me_folder_remove(&w.folder);
    if (w.lost_any) leave(&w, rc, err);
    me_gather_close(&w.room);
    if (w.data != MPI_COMM_NULL) MPI_Comm_free(&w.data);
    free(w.roles);
    free(line);
    me_plan_release(&w.plan);
    return rc;
}
