#include <string.h>
#include <unistd.h>
#include "bench.h"
#include "me/assembly.h"
#include "me/clock.h"

#define LOOK_EVERY_NS (ME_NS_PER_S / 1000)
#define TELL_EVERY_NS (ME_NS_PER_S / 4)
#define CLOCK_NS                                                                                             \
    (3 * ME_NS_PER_S / 10) /* for all pings together: a head that measures looks ten times a second */
#define CLOCK_PINGS 16
#define SPIN_NS     (ME_NS_PER_S / 5000) /* an answer that comes soon is not slept over */
#define HEAD        0

/* Takes one message of the head's, if there is one. Returns its tag, or 0. */
static int take_word(struct me_follow *follow, int *word)
{
    int rank, len;
    enum me_tag tag;
    struct me_ping *pong = &follow->pong;
    if (!me_gather_look(follow->comm, &rank, &tag, &len)) return 0;
    if (tag == ME_TAG_PONG)
        me_gather_take(follow->comm, rank, tag, pong, len <= (int)sizeof *pong ? len : 0);
    else
        me_gather_take(follow->comm, rank, tag, word, len <= (int)sizeof *word ? len : 0);
    follow->heard_ns = me_clock_mono_ns();
    if (tag == ME_TAG_STOP) follow->stopped = true;
    return (int)tag;
}

/* It died, it hangs, or nothing comes through any more. Then a rank ends by itself, and its journal stays. */
static bool is_head_gone(struct me_follow *follow)
{
    int64_t silent_ns = me_clock_mono_ns() - follow->heard_ns;
    bool gone = me_signals_orphaned() || silent_ns > (int64_t)(follow->lost_after_s * 1e9);
    if (gone) follow->stopped = follow->lost_any = follow->head_gone = true;
    return gone;
}

/* A rank that has nothing to tell still lets itself be heard: else it would be taken for lost. */
static void sign_of_life(void *context)
{
    struct me_follow *follow = context;
    int64_t instant = me_clock_mono_ns();
    if (instant - follow->told_ns < TELL_EVERY_NS) return;
    me_gather_tell(follow->comm, HEAD, ME_TAG_HERE, NULL, 0);
    follow->told_ns = instant;
}

/* While the record is made and sent. What the head may say then is only that it is there; with it gone a send has
 * no end, and all that we know is in the journal. */
static void send_on(void *context)
{
    struct me_follow *follow = context;
    int word;
    sign_of_life(follow);
    while (take_word(follow, &word)) continue;
    if (!is_head_gone(follow)) return;
    if (follow->kept && follow->kept[0]) unlink(follow->kept);
    me_leave(true, ME_E_RUN);
}

static bool follow_ready(struct me_link *link, int n)
{
    struct me_follow *follow = link->context;
    int go = 0;
    me_gather_tell(follow->comm, HEAD, ME_TAG_READY, &n, sizeof n);
    follow->told_ns = me_clock_mono_ns();
    while (!follow->stopped && !me_signals_caught() && !is_head_gone(follow)) {
        int tag = take_word(follow, &go);
        if (tag == ME_TAG_GO && go >= n) {
            me_guard_hold(); /* all ranks are here: none waits for us in a collective call any more */
            return true;
        }
        sign_of_life(follow);
        if (!tag) me_clock_sleep_until(me_clock_mono_ns() + LOOK_EVERY_NS);
    }
    follow->stopped = true;
    return false;
}

static bool follow_tick(struct me_link *link, const struct me_progress *now)
{
    struct me_follow *follow = link->context;
    int64_t instant = me_clock_mono_ns();
    int word;
    if (now->ended || instant - follow->told_ns >= TELL_EVERY_NS) {
        me_gather_tell(follow->comm, HEAD, ME_TAG_PROGRESS, now, sizeof *now);
        follow->told_ns = instant;
    }
    while (take_word(follow, &word)) continue;
    return !follow->stopped && !is_head_gone(follow);
}

static bool follow_wait(struct me_link *link)
{
    struct me_follow *follow = link->context;
    int word;
    sign_of_life(follow);
    while (take_word(follow, &word)) continue;
    follow->stopped = follow->stopped || me_signals_caught() || is_head_gone(follow);
    return !follow->stopped;
}

/* One message there and back; false: no answer by then. */
static bool ping(struct me_follow *follow, int64_t end_ns, struct me_clock_offset *offset)
{
    struct me_ping question = {.asked_ns = me_clock_mono_ns()};
    int word;
    me_gather_tell(follow->comm, HEAD, ME_TAG_PING, &question, sizeof question);
    while (follow->pong.asked_ns != question.asked_ns) {
        int64_t instant = me_clock_mono_ns();
        if (instant > end_ns || follow->stopped) return false;
        if (!take_word(follow, &word) && instant - question.asked_ns > SPIN_NS)
            me_clock_sleep_until(instant + SPIN_NS / 4);
    }
    int64_t back_ns = me_clock_mono_ns();
    offset->known = true;
    offset->bound_ns = (back_ns - question.asked_ns + 1) / 2;
    offset->mono_minus_head_ns = question.asked_ns + offset->bound_ns - follow->pong.head_unix_ns;
    return true;
}

/* Of several, the one that took least: what it may be wrong by is half its way. The first answer may wait for the
 * head's next look; then it looks out for more. */
static bool follow_clock(struct me_link *link, struct me_clock_offset *best)
{
    struct me_follow *follow = link->context;
    struct me_clock_offset offset;
    int64_t end_ns = me_clock_mono_ns() + CLOCK_NS;
    *best = (struct me_clock_offset){0};
    for (int i = 0; i < CLOCK_PINGS && ping(follow, end_ns, &offset); i++)
        if (!best->known || offset.bound_ns < best->bound_ns) *best = offset;
    return best->known;
}

struct me_link me_follow_link(struct me_follow *follow)
{
    return (struct me_link){.context = follow,
                            .ready = follow_ready,
                            .tick = follow_tick,
                            .wait = follow_wait,
                            .clock = follow_clock};
}

static int send_parts(struct me_follow *follow, const struct me_parts *parts, struct me_error *err)
{
    for (int i = 0; i < ME_PART_COUNT; i++)
        if (me_gather_send(follow->data, i, &parts->part[i], send_on, follow, err)) return -1;
    return 0;
}

/* Parts that there was no memory for go empty: the head waits for them. */
static int send_record(struct me_follow *follow, const struct me_maker_input *input, struct me_parts *parts,
                       struct me_error *err)
{
    me_gather_tell(follow->comm, HEAD, ME_TAG_DONE, NULL, 0);
    int rc = me_maker_run(input, parts, send_on, follow, err);
    follow->kept = parts->kept;
    if (send_parts(follow, parts, err)) rc = -1;
    return rc;
}

int me_follow_finish(struct me_follow *follow, const struct me_maker_input *input, bool *stored,
                     struct me_error *err)
{
    struct me_parts parts = {0};
    int word = 0;
    *stored = false;
    int rc = input ? send_record(follow, input, &parts, err) : 0;
    while (take_word(follow, &word) != ME_TAG_RELEASE) {
        if (is_head_gone(follow)) {
            rc = me_fail(err, ME_E_RUN, "the head is gone; the journal stays");
            word = ME_WORD_LOST_ANY;
            break;
        }
        sign_of_life(follow);
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_EVERY_NS);
    }
    *stored = word & ME_WORD_STORED;
    follow->lost_any = word & ME_WORD_LOST_ANY;
    if (!*stored && parts.kept[0]) unlink(parts.kept); /* nothing links to it, and the journal has it all */
    me_parts_release(&parts);
    return rc;
}
