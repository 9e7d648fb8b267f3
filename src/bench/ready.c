#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "me/workload.h"

enum { HEAD = 0, LINES_MAX = 40 };

static const struct me_plan_machine *find_machine(const struct me_plan *plan, int id)
{
    for (size_t i = 0; i < plan->count; i++)
        if (plan->machines[i].id == id) return &plan->machines[i];
    return NULL;
}

void me_ready_place(const struct me_plan *plan, const struct me_role *role, const char *files,
                    struct me_workload_place *place)
{
    const struct me_plan_machine *machine = find_machine(plan, role->machine_id);
    *place = (struct me_workload_place){
        .plan = plan,
        .python = machine && machine->python[0] ? machine->python : plan->python,
        .files = files,
        .machine_id = role->machine_id,
        .machine_count = role->machine_count,
    };
}

static void add_text(struct me_answer *answer, const char *text)
{
    size_t used = strlen(answer->text), room = sizeof answer->text - used;
    if (room > 3) snprintf(answer->text + used, room, "%s%.*s", used ? "; " : "", (int)room - 3, text);
    answer->ready = 0;
}

static bool needs_files(const struct me_plan *plan, const struct me_workloads *list)
{
    bool needs = plan->with[0] || plan->function[0];
    for (size_t i = 0; i < list->count; i++) needs |= list->entries[i].row && list->entries[i].row->script;
    return needs;
}

/* An answer without a text is an interrupt's: then it does not matter what was missing. */
static void check_all(const struct me_plan *plan, const struct me_role *mine, const struct me_buffer *parcel,
                      struct me_folder *folder, struct me_answer *answer)
{
    struct me_workloads list;
    struct me_workload_place place;
    struct me_error err = {0};
    char text[sizeof answer->text];
    if (me_workload_list(plan, &list, &err)) {
        add_text(answer, err.text);
        return;
    }
    if (me_folder_make(folder, plan, mine->machine_id, parcel->data, parcel->len, &err)) {
        if (needs_files(plan, &list)) {
            add_text(answer, err.text);
            return;
        }
        fprintf(stderr, "me_bench: %.900s\n", err.text); /* a command and the kernels run without */
    }
    me_ready_place(plan, mine, folder->path[0] ? folder->path : NULL, &place);
    for (size_t i = 0; i < list.count && !me_signals_caught(); i++)
        if (!me_workload_check(&list.entries[i], &place, text, sizeof text)) add_text(answer, text);
    if (me_signals_caught()) *answer = (struct me_answer){.ready = 0};
}

static void tell_one(const struct me_plan *plan, const struct me_role *role, int rank, const char *text,
                     FILE *out)
{
    const struct me_plan_machine *machine = find_machine(plan, role->machine_id);
    if (machine)
        fprintf(out, "me_bench: %s (machine %d): %.399s\n", machine->name, machine->id, text);
    else
        fprintf(out, "me_bench: rank %d: %.399s\n", rank, text);
}

/* A line a machine that is not ready; returns how many there are. */
static int tell(const struct me_plan *plan, const struct me_role *roles, const struct me_answer *answers,
                int ranks, FILE *out)
{
    int bad = 0;
    for (int r = 0; r < ranks; r++)
        if (!answers[r].ready && bad++ < LINES_MAX) tell_one(plan, &roles[r], r, answers[r].text, out);
    if (bad > LINES_MAX) fprintf(out, "me_bench: and %d more\n", bad - LINES_MAX);
    return bad;
}

/* On the head: may it begin? */
static int judge(const struct me_plan *plan, const struct me_role *roles, const struct me_answer *answers,
                 int ranks, const struct me_bench_options *options, FILE *out, struct me_error *err)
{
    bool interrupted = me_signals_caught();
    int measuring = 0;
    for (int r = 0; r < ranks; r++) {
        interrupted |= !answers[r].ready && !answers[r].text[0];
        measuring += roles[r].machine_id >= 0;
    }
    if (interrupted) return me_fail(err, ME_E_RUN, "interrupted before the start; nothing was touched");
    int bad = tell(plan, roles, answers, ranks, out);
    if (bad)
        return me_fail(err, ME_E_INPUT, "%d of %d machine%s cannot run it; nothing was touched", bad,
                       measuring, measuring == 1 ? "" : "s");
    return me_setup_folder(options, err);
}

int me_ready_agree(MPI_Comm comm, const struct me_plan *plan, bool planned, const struct me_role *roles,
                   const struct me_role *mine, struct me_buffer *parcel,
                   const struct me_bench_options *options, struct me_folder *folder, FILE *out,
                   struct me_error *err)
{
    struct me_answer answer = {.ready = 1}, *answers = NULL;
    int rank, ranks, rc = -1;
    bool go = false;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    if (rank == HEAD && !(answers = calloc((size_t)ranks, sizeof *answers)))
        return me_fail(err, ME_E_RUN, "no memory for %d ranks", ranks);
    if (me_gather_share(comm, parcel, err)) goto out;
    if (!planned)
        add_text(&answer, err->text);
    else if (mine->machine_id >= 0)
        check_all(plan, mine, parcel, folder, &answer);
    if (rank != HEAD) me_buffer_release(parcel);
    if (me_gather_answers(comm, &answer, answers, err)) goto out;
    if (rank == HEAD) go = !judge(plan, roles, answers, ranks, options, out, err);
    if (me_gather_verdict(comm, &go, err)) goto out;
    if (go) rc = 0;
    if (rank != HEAD && !go) *err = (struct me_error){.code = ME_OK}; /* the head has said why */
out:
    free(answers);
    return rc;
}
