#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "me/assembly.h"
#include "me/clock.h"
#include "me/slurm.h"

#define LOOK_EVERY_NS  (ME_NS_PER_S / 1000)
#define WAIT_EVERY_NS  (ME_NS_PER_S / 200)   /* for the whole experiment, where the head only leads */
#define PULL_EVERY_NS  (ME_NS_PER_S / 5000)  /* while pieces are on their way */
#define PULLS_MAX      32                    /* pieces in hand at once: 8 MiB */
#define LISTEN_NS      (ME_NS_PER_S / 5000)  /* for another ping, */
#define LISTEN_MOST_NS (ME_NS_PER_S / 200)   /* and for all that come one after the other */
#define SILENT_NS      (3 * ME_NS_PER_S / 4) /* a rank speaks every quarter of a second */
#define RELEASE_NS     (2 * ME_NS_PER_S)     /* how long a rank that told all may be silent at the end */
#define SPEAK_PART     4                     /* of --lost-after is between two signs of life */
#define FRESH_NS       (ME_NS_PER_S / 50)    /* who has spoken within this time has hardly died since */
#define HEAD           0

struct seat {       /* a rank as the head knows it */
    int machine_id; /* -1: it tells of none, or of one that an earlier rank tells of */
    bool measures, done, ended, told_stop,
        released; /* done: no phase is to come; ended: and all its parts are in */
    int ready;    /* the phase it stands before */
    int answered; /* the last one that it was told to begin */
    int64_t heard_ns, spoken_ns;
    struct me_pull pull;
};
struct me_head {
    MPI_Comm comm, data;
    int ranks, go, pulls, turn; /* pulls: pieces on their way; turn: who is asked first for the next */
    bool stopped;
    int stop_signal; /* what stopped us: an orderly end may turn into a hasty one */
    int64_t stopped_ns;
    int64_t give_up_ns; /* when missing records are given up, once stopped */
    double lost_after_s;
    double
        kill_wait_s; /* srun's ranks: from SIGTERM to SIGKILL; NaN: mpirun started us, or it is not known */
    int64_t unix_minus_mono_ns; /* the head's clock, that of the others is compared with: it does not jump */
    int64_t pinged_ns;          /* when somebody last asked for it */
    struct seat *seats;
    struct me_progress_view *view;
};

/* One rank speaks for a machine: the first. Ranks that were started beyond the hostfile can be taken for one again. */
static int machine_of(const struct me_role *roles, int rank)
{
    for (int r = 0; r < rank; r++)
        if (roles[r].machine_id == roles[rank].machine_id) return -1;
    return roles[rank].machine_id;
}

int me_head_create(struct me_head **out, MPI_Comm comm, MPI_Comm data, const struct me_plan *plan,
                   const struct me_role *roles, const struct me_bench_options *options, FILE *terminal,
                   struct me_error *err)
{
    struct me_head *head = calloc(1, sizeof *head);
    if (!head) return me_fail(err, ME_E_RUN, "no memory");
    head->comm = comm;
    head->data = data;
    head->lost_after_s = options->lost_after_s;
    head->kill_wait_s = plan->job.id[0] && me_slurm_is_step() ? plan->job.kill_wait_s : NAN;
    head->unix_minus_mono_ns = me_clock_unix_ns() - me_clock_mono_ns();
    MPI_Comm_size(comm, &head->ranks);
    head->seats = calloc((size_t)head->ranks, sizeof *head->seats);
    if (!head->seats) {
        free(head);
        return me_fail(err, ME_E_RUN, "no memory for the ranks");
    }
    for (int r = 0; r < head->ranks; r++) {
        head->seats[r].machine_id = machine_of(roles, r);
        head->seats[r].measures = roles[r].machine_id >= 0;
        head->seats[r].heard_ns = me_clock_mono_ns(); /* they all spoke a moment ago */
    }
    me_progress_open(&head->view, options->progress, plan, terminal);
    *out = head;
    return 0;
}

void me_head_destroy(struct me_head *head)
{
    if (!head) return;
    for (int r = 0; r < head->ranks; r++) me_gather_pull_release(&head->seats[r].pull);
    me_progress_close(head->view);
    free(head->seats);
    free(head);
}

static int64_t silence_ns(const struct seat *seat)
{
    return me_clock_mono_ns() - seat->heard_ns;
}

/* Its parts are still to come, and may come. */
static bool is_awaited(const struct me_head *head, int rank)
{
    const struct seat *seat = &head->seats[rank];
    if (!seat->measures || seat->ended) return false;
    return rank == HEAD || silence_ns(seat) < (int64_t)(head->lost_after_s * 1e9);
}

/* --- an early end ------------------------------------------------------------------------------ */

/* mpirun, and Slurm where srun started us, kills its ranks this long after it asked them to end; what is not on disk
 * by then is lost to the result (the journals stay). An orderly end (SIGUSR1) has no such limit. */
static double seconds_to_live(const struct me_head *head)
{
    if (head->stop_signal == SIGUSR1) return head->lost_after_s;
    if (isfinite(head->kill_wait_s)) return head->kill_wait_s * 0.7;
    const char *text = getenv("OMPI_MCA_odls_base_sigkill_timeout");
    double killed_after;
    if (!text || me_parse_double(text, 0, 3600, &killed_after)) killed_after = 1;
    return killed_after * 0.7;
}

/* A second signal may be more urgent than the first. */
static void look_for_signal(struct me_head *head)
{
    int signal_number = me_signals_caught();
    if (!signal_number || signal_number == head->stop_signal) return;
    if (!head->stopped) head->stopped_ns = me_clock_mono_ns();
    head->stopped = true;
    head->stop_signal = signal_number;
    int64_t give_up_ns = me_clock_mono_ns() + (int64_t)(seconds_to_live(head) * 1e9);
    if (!head->give_up_ns || give_up_ns < head->give_up_ns) head->give_up_ns = give_up_ns;
}

/* --- hearing and answering --------------------------------------------------------------------- */

static void answer_ping(struct me_head *head, int rank)
{
    struct me_ping ping;
    me_gather_take(head->comm, rank, ME_TAG_PING, &ping, sizeof ping);
    head->pinged_ns = me_clock_mono_ns();
    ping.head_unix_ns = head->pinged_ns + head->unix_minus_mono_ns;
    me_gather_tell(head->comm, rank, ME_TAG_PONG, &ping, sizeof ping);
}

static void take_message(struct me_head *head, int rank, enum me_tag tag)
{
    struct me_progress progress;
    head->seats[rank].heard_ns = me_clock_mono_ns();
    switch (tag) {
    case ME_TAG_READY:
        me_gather_take(head->comm, rank, tag, &head->seats[rank].ready, sizeof(int));
        break;
    case ME_TAG_PROGRESS:
        me_gather_take(head->comm, rank, tag, &progress, sizeof progress);
        me_progress_show(head->view, &progress);
        break;
    case ME_TAG_DONE:
        me_gather_take(head->comm, rank, tag, NULL, 0);
        head->seats[rank].done = true;
        break;
    case ME_TAG_HERE:
        me_gather_take(head->comm, rank, tag, NULL, 0);
        break;
    case ME_TAG_PING:
        answer_ping(head, rank);
        break;
    case ME_TAG_PONG:
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
        if (!is_awaited(head, r) || head->seats[r].done) continue;
        if (head->seats[r].ready <= head->go) return;
        standing++;
    }
    if (standing && !head->stopped) head->go++;
}

/* Often it is the death of a rank that made mpirun end us, and nobody says of which. Only who speaks after
 * that is alive. */
static bool misses_stop(const struct me_head *head, const struct seat *seat)
{
    return head->stopped && !seat->told_stop && seat->heard_ns > head->stopped_ns;
}

/* What the rank has to know and was not told yet; if it is silent now, it is told once it speaks. */
static void answer(struct me_head *head, int rank)
{
    struct seat *seat = &head->seats[rank];
    if (!seat->measures || seat->done || silence_ns(seat) > SILENT_NS) return;
    if (misses_stop(head, seat)) {
        me_gather_tell(head->comm, rank, ME_TAG_STOP, NULL, 0);
        seat->told_stop = true;
    } else if (!head->stopped && seat->ready > seat->answered && seat->ready <= head->go) {
        me_gather_tell(head->comm, rank, ME_TAG_GO, &head->go, sizeof head->go);
        seat->answered = seat->ready;
    }
}

/* A rank that hears nothing for --lost-after takes the head for lost. Seldom all the same: of words to a rank that has
 * died meanwhile Open MPI may end us. */
static void give_sign_of_life(struct me_head *head, int rank)
{
    struct seat *seat = &head->seats[rank];
    int64_t now_ns = me_clock_mono_ns(), every_ns = (int64_t)(head->lost_after_s * 1e9) / SPEAK_PART;
    if (seat->released || silence_ns(seat) > FRESH_NS || now_ns - seat->spoken_ns < every_ns) return;
    me_gather_tell(head->comm, rank, ME_TAG_HERE, NULL, 0);
    seat->spoken_ns = now_ns;
}

/* Who asks for the time asks several times, and learns the more the sooner it is answered. */
static void take_all(struct me_head *head)
{
    int rank, len;
    enum me_tag tag;
    int64_t end_ns = me_clock_mono_ns() + LISTEN_MOST_NS;
    do {
        while (me_gather_look(head->comm, &rank, &tag, &len)) take_message(head, rank, tag);
    } while (me_clock_mono_ns() < head->pinged_ns + LISTEN_NS && me_clock_mono_ns() < end_ns);
}

static void look(struct me_head *head)
{
    take_all(head); /* first: what was said before a signal is no answer to it */
    look_for_signal(head);
    let_go(head);
    for (int r = 1; r < head->ranks; r++) {
        answer(head, r);
        give_sign_of_life(head, r);
    }
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

static bool head_wait(struct me_link *link)
{
    look(link->context);
    return !((struct me_head *)link->context)->stopped;
}

static bool head_clock(struct me_link *link, struct me_clock_offset *offset)
{
    const struct me_head *head = link->context;
    *offset = (struct me_clock_offset){.known = true, .mono_minus_head_ns = -head->unix_minus_mono_ns};
    return true;
}

struct me_link me_head_link(struct me_head *head)
{
    return (struct me_link){
        .context = head, .ready = head_ready, .tick = head_tick, .wait = head_wait, .clock = head_clock};
}

/* --- the end ----------------------------------------------------------------------------------- */

/* Where little time is left, nobody waits for a rank that has fallen silent. */
static bool all_in(const struct me_head *head)
{
    bool hasty = head->stopped && head->stop_signal != SIGUSR1;
    for (int r = 1; r < head->ranks; r++)
        if (is_awaited(head, r) && !(hasty && silence_ns(&head->seats[r]) > SILENT_NS)) return false;
    return true;
}

/* A piece that has arrived, to the assembly. What fails there is told by its finish. */
static bool take_piece(struct me_head *head, int rank, struct me_assembly *assembly)
{
    struct seat *seat = &head->seats[rank];
    const struct me_pull *pull = &seat->pull;
    if (!me_gather_pulled(&seat->pull)) return false;
    bool last = pull->len < ME_PIECE_BYTES;
    head->pulls--;
    seat->heard_ns = me_clock_mono_ns();
    if (assembly && seat->machine_id >= 0 && pull->part < ME_PART_COUNT)
        me_assembly_take(assembly, seat->machine_id, (enum me_part)pull->part, pull->piece, (size_t)pull->len,
                         last, NULL);
    seat->ended = last && pull->part == ME_PART_COUNT - 1;
    if (seat->ended) me_gather_pull_release(&seat->pull);
    return true;
}

/* All ranks in turn; who has fallen silent is not answered. Returns whether anything moved. */
static bool pull_all(struct me_head *head, struct me_assembly *assembly)
{
    bool moved = false;
    for (int i = 0; i < head->ranks; i++) {
        int r = (head->turn + i) % head->ranks;
        struct seat *seat = &head->seats[r];
        if (r == HEAD || !seat->done || seat->ended) continue;
        if (take_piece(head, r, assembly)) moved = true;
        if (seat->ended || seat->pull.open || head->pulls >= PULLS_MAX || silence_ns(seat) > SILENT_NS)
            continue;
        me_gather_pull(head->data, r, &seat->pull);
        head->pulls += seat->pull.open;
    }
    head->turn = (head->turn + 1) % head->ranks;
    return moved;
}

void me_head_wait(struct me_head *head, struct me_assembly *assembly)
{
    head->seats[HEAD].ended = true;
    for (look(head); !all_in(head); look(head)) {
        if (head->stopped && me_clock_mono_ns() > head->give_up_ns) return;
        if (!pull_all(head, assembly))
            me_clock_sleep_until(me_clock_mono_ns() + (head->pulls ? PULL_EVERY_NS : WAIT_EVERY_NS));
    }
}

bool me_head_look(void *context)
{
    struct me_head *head = context;
    take_all(head);
    return !me_signals_caught() || me_signals_caught() == head->stop_signal;
}

bool me_head_stopped(const struct me_head *head)
{
    return head->stopped;
}

bool me_head_lost_any(const struct me_head *head)
{
    for (int r = 1; r < head->ranks; r++)
        if (!head->seats[r].released) return true;
    return false;
}

/* Tells those that can be told; returns how many others may still be heard. */
static int release_some(struct me_head *head, int word)
{
    int open = 0;
    for (int r = 1; r < head->ranks; r++) {
        struct seat *seat = &head->seats[r];
        if (seat->released || (seat->measures && !seat->ended)) continue;
        if (silence_ns(seat) <= SILENT_NS) {
            me_gather_tell(head->comm, r, ME_TAG_RELEASE, &word, sizeof word);
            seat->released = true;
        } else {
            open++;
        }
    }
    return open;
}

static bool misses_any(const struct me_head *head)
{
    for (int r = 1; r < head->ranks; r++)
        if (head->seats[r].measures && !head->seats[r].ended) return true;
    return false;
}

void me_head_release(struct me_head *head, bool stored)
{
    int word = (stored ? ME_WORD_STORED : 0) | (misses_any(head) ? ME_WORD_LOST_ANY : 0);
    int64_t end_ns = me_clock_mono_ns() + RELEASE_NS;
    for (take_all(head); release_some(head, word) && me_clock_mono_ns() < end_ns; take_all(head))
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_EVERY_NS);
}
