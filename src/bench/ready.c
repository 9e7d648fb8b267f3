#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "me/clock.h"
#include "me/root.h"
#include "me/workload.h"

enum { HEAD = 0, LINES_MAX = 40, PATIENCE_S = 50 };

void me_ready_place(const struct me_plan *plan, const struct me_role *role, const char *files,
                    struct me_workload_place *place)
{
    const struct me_plan_machine *machine = me_plan_find(plan, role->machine_id);
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

/* One that hangs takes a minute. It is said, and of the others nobody need know then. */
static void check_workloads(const struct me_workloads *list, const struct me_workload_place *place,
                            struct me_answer *answer)
{
    struct me_strays *strays = NULL;
    int64_t end_ns = me_clock_mono_ns() + PATIENCE_S * ME_NS_PER_S;
    me_strays_watch(&strays, NULL);
    for (size_t i = 0; i < list->count && !me_signals_caught(); i++) {
        char text[sizeof answer->text];
        if (!me_workload_check(&list->entries[i], place, text, sizeof text)) add_text(answer, text);
        if (!answer->ready && me_clock_mono_ns() > end_ns) break;
    }
    me_strays_end(strays);
}

/* A rank on its way to its answer. */
struct getting {
    struct me_workloads list;
    struct me_folder *folder;
    struct me_unpacking *unpacking; /* NULL: nothing comes, or it has failed; the others' pieces pass by */
    struct me_answer answer;
};

static void prepare(struct getting *g, const struct me_plan *plan, const struct me_role *mine, uint64_t len)
{
    struct me_error err = {0};
    if (me_workload_list(plan, &g->list, &err)) {
        add_text(&g->answer, err.text);
    } else if (me_folder_make(g->folder, plan, mine->machine_id, len, &err)) {
        if (needs_files(plan, &g->list))
            add_text(&g->answer, err.text);
        else
            fprintf(stderr, "me_bench: %.900s\n", err.text); /* a command and the kernels run without */
    } else if (len && me_unpacking_begin(&g->unpacking, g->folder->path, &err)) {
        add_text(&g->answer, err.text);
    }
}

static void check_root(const char *path, struct me_answer *answer)
{
    struct me_error err = {0};
    struct me_root root = {.fd = -1};
    if (me_root_open(&root, path, &err)) add_text(answer, err.text);
    me_root_close(&root);
}

static void stop_unpacking(struct getting *g)
{
    me_unpacking_release(g->unpacking);
    g->unpacking = NULL;
}

/* Who has to end may have a second left, and the others none: the folder goes before anything else is said. */
static void look_for_signal(void *context)
{
    struct getting *g = context;
    if (!me_signals_caught()) return;
    stop_unpacking(g);
    me_folder_remove(g->folder);
}

static void take_piece(void *context, const char *piece, size_t len)
{
    struct getting *g = context;
    struct me_error err = {0};
    if (!g->unpacking || !me_unpacking_take(g->unpacking, piece, len, &err)) return;
    add_text(&g->answer, err.text);
    stop_unpacking(g);
}

/* An answer without a text is an interrupt's: then it does not matter what was missing. */
static void check_all(struct getting *g, const struct me_plan *plan, const struct me_role *mine)
{
    struct me_workload_place place;
    struct me_error err = {0};
    if (g->unpacking && me_unpacking_end(g->unpacking, &err)) add_text(&g->answer, err.text);
    me_ready_place(plan, mine, g->folder->path[0] ? g->folder->path : NULL, &place);
    stop_unpacking(g);
    if (g->answer.ready) check_workloads(&g->list, &place, &g->answer);
    if (me_signals_caught()) g->answer = (struct me_answer){.ready = 0};
    look_for_signal(g);
}

static void tell_one(const struct me_plan *plan, const struct me_role *role, int rank, const char *text,
                     FILE *out)
{
    const struct me_plan_machine *machine = me_plan_find(plan, role->machine_id);
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

/* The files to all machines, and an answer from each. */
static int get_ready(MPI_Comm comm, const struct me_plan *plan, const struct me_role *mine,
                     struct me_buffer *parcel, const struct me_waiting *waiting, struct me_error *err)
{
    struct getting *g = waiting->context;
    uint64_t len = parcel->len; /* 0 on all but the head */
    bool measures = g->answer.ready && mine->machine_id >= 0;
    if (me_gather_number(comm, &len, err)) return -1;
    if (measures) prepare(g, plan, mine, len);
    if (me_gather_share(comm, parcel->data, len, take_piece, waiting, err)) return -1;
    me_buffer_release(parcel);
    if (measures) check_all(g, plan, mine);
    return 0;
}

int me_ready_agree(MPI_Comm comm, const struct me_plan *plan, bool planned, const struct me_role *roles,
                   const struct me_role *mine, struct me_buffer *parcel,
                   const struct me_bench_options *options, struct me_folder *folder, FILE *out,
                   struct me_error *err)
{
    struct getting g = {.folder = folder, .answer.ready = 1};
    const struct me_waiting waiting = {look_for_signal, &g};
    struct me_answer *answers = NULL;
    int rank, ranks, rc = -1;
    bool go = false;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    if (rank == HEAD && !(answers = calloc((size_t)ranks, sizeof *answers)))
        return me_fail(err, ME_E_RUN, "no memory for %d ranks", ranks);
    if (!planned) add_text(&g.answer, err->text);
    if (mine->machine_id >= 0) check_root(options->root, &g.answer);
    if (get_ready(comm, plan, mine, parcel, &waiting, err)) goto out;
    if (me_gather_answers(comm, &g.answer, answers, &waiting, err)) goto out;
    if (rank == HEAD) go = !judge(plan, roles, answers, ranks, options, out, err);
    if (me_gather_verdict(comm, &go, &waiting, err)) goto out;
    if (go) rc = 0;
    if (rank != HEAD && !go) *err = (struct me_error){.code = ME_OK}; /* the head has said why */
out:
    stop_unpacking(&g);
    free(answers);
    return rc;
}
