#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "me/clock.h"

#define LOOK_EVERY_NS (ME_NS_PER_S / 1000)
#define HEAD          0

struct seat { /* a rank as the head knows it */
    bool measures, ended;
    int ready; /* the phase it stands before */
    struct me_buffer record;
};
struct me_head {
    MPI_Comm comm;
    int ranks, go;
    bool stopped;
    int64_t give_up_ns; /* when missing records are given up, once stopped */
    double lost_after_s;
    struct seat *seats;
    struct me_progress_view *view;
};

int me_head_create(struct me_head **out, MPI_Comm comm, const struct me_plan *plan,
                   const struct me_role *roles, const struct me_bench_options *options, FILE *terminal,
                   struct me_error *err)
{
    struct me_head *head = calloc(1, sizeof *head);
    if (!head) return me_fail(err, ME_E_RUN, "no memory");
    head->comm = comm;
    head->lost_after_s = options->lost_after_s;
    MPI_Comm_size(comm, &head->ranks);
    head->seats = calloc((size_t)head->ranks, sizeof *head->seats);
    if (!head->seats) {
        free(head);
        return me_fail(err, ME_E_RUN, "no memory for the ranks");
    }
    for (int r = 0; r < head->ranks; r++) head->seats[r].measures = roles[r].machine_id >= 0;
    me_progress_open(&head->view, options->progress, plan, terminal);
    *out = head;
    return 0;
}

void me_head_destroy(struct me_head *head)
{
    if (!head) return;
    for (int r = 0; r < head->ranks; r++) me_buffer_release(&head->seats[r].record);
    me_progress_close(head->view);
    free(head->seats);
    free(head);
}

/* mpirun kills its ranks this long after it asked them to end; what is not on disk by then is lost
 * to the result (the journals stay). An orderly end (SIGUSR1) has no such limit. */
static double seconds_to_live(const struct me_head *head)
{
    if (me_signals_caught() == SIGUSR1) return head->lost_after_s;
    const char *text = getenv("OMPI_MCA_odls_base_sigkill_timeout");
    double killed_after;
    if (!text || me_parse_double(text, 0, 3600, &killed_after)) killed_after = 1;
    return killed_after * 0.7;
}

static void stop_all(struct me_head *head)
{
    head->stopped = true;
    head->give_up_ns = me_clock_mono_ns() + (int64_t)(seconds_to_live(head) * 1e9);
    for (int r = 1; r < head->ranks; r++)
        if (head->seats[r].measures && !head->seats[r].ended)
            me_gather_tell(head->comm, r, ME_TAG_STOP, NULL, 0);
}

static void take_piece(struct me_head *head, int rank, int len)
{
    char *bytes = malloc((size_t)len + 1);
    if (!bytes) { /* the message must be taken all the same; the record is then cut off, and says so */
        head->seats[rank].record.failed = true;
        return;
    }
    me_gather_take(head->comm, rank, ME_TAG_RECORD, bytes, len);
    me_buffer_append(&head->seats[rank].record, bytes, (size_t)len);
    free(bytes);
}

static void take_message(struct me_head *head, int rank, enum me_tag tag, int len)
{
    struct me_progress progress;
    switch (tag) {
    case ME_TAG_READY:
        me_gather_take(head->comm, rank, tag, &head->seats[rank].ready, sizeof(int));
        break;
    case ME_TAG_PROGRESS:
        me_gather_take(head->comm, rank, tag, &progress, sizeof progress);
        me_progress_show(head->view, &progress);
        break;
    case ME_TAG_RECORD:
        take_piece(head, rank, len);
        break;
    case ME_TAG_RECORD_END:
        me_gather_take(head->comm, rank, tag, NULL, 0);
        head->seats[rank].ended = true;
        break;
    case ME_TAG_GO:
    case ME_TAG_STOP:
    case ME_TAG_RELEASE:
        break; /* the head's own words never come to it */
    }
}

/* All who still measure stand before the next phase: it begins. */
static void let_go(struct me_head *head)
{
    int standing = 0;
    for (int r = 0; r < head->ranks; r++) {
        const struct seat *seat = &head->seats[r];
        if (!seat->measures || seat->ended) continue;
        if (seat->ready <= head->go) return;
        standing++;
    }
    if (!standing || head->stopped) return;
    head->go++;
    for (int r = 1; r < head->ranks; r++)
        if (head->seats[r].measures && !head->seats[r].ended)
            me_gather_tell(head->comm, r, ME_TAG_GO, &head->go, sizeof head->go);
}

static void look(struct me_head *head)
{
    int rank, len;
    enum me_tag tag;
    if (!head->stopped && me_signals_caught()) stop_all(head);
    while (me_gather_look(head->comm, &rank, &tag, &len)) take_message(head, rank, tag, len);
    let_go(head);
}

static bool head_ready(struct me_link *link, int n)
{
    struct me_head *head = link->context;
    head->seats[HEAD].ready = n;
    for (look(head); head->go < n && !head->stopped; look(head))
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_EVERY_NS);
    return !head->stopped;
}

static bool head_tick(struct me_link *link, const struct me_progress *now)
{
    struct me_head *head = link->context;
    me_progress_show(head->view, now);
    look(head);
    return !head->stopped;
}

struct me_link me_head_link(struct me_head *head)
{
    return (struct me_link){.context = head, .ready = head_ready, .tick = head_tick};
}

static bool all_in(const struct me_head *head)
{
    for (int r = 1; r < head->ranks; r++)
        if (head->seats[r].measures && !head->seats[r].ended) return false;
    return true;
}

void me_head_wait(struct me_head *head)
{
    head->seats[HEAD].ended = true;
    for (look(head); !all_in(head); look(head)) {
        if (head->stopped && me_clock_mono_ns() > head->give_up_ns) return;
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_EVERY_NS);
    }
}

struct me_buffer *me_head_record(struct me_head *head, int rank)
{
    return &head->seats[rank].record;
}

bool me_head_stopped(const struct me_head *head)
{
    return head->stopped;
}

void me_head_release(struct me_head *head, bool stored)
{
    int word = stored;
    for (int r = 1; r < head->ranks; r++) me_gather_tell(head->comm, r, ME_TAG_RELEASE, &word, sizeof word);
}
