#include "bench.h"
#include "me/assembly.h"
#include "me/clock.h"

#define LOOK_EVERY_NS (ME_NS_PER_S / 1000)
#define TELL_EVERY_NS (ME_NS_PER_S / 4)
#define HEAD          0

/* Takes one message of the head's, if there is one. Returns its tag, or 0. */
static int take_word(struct me_follow *follow, int *word)
{
    int rank, len;
    enum me_tag tag;
    if (!me_gather_look(follow->comm, &rank, &tag, &len)) return 0;
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
    if (gone) follow->stopped = follow->lost_any = true;
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
    if (is_head_gone(follow)) me_leave(false, ME_E_RUN);
}

static bool follow_ready(struct me_link *link, int n)
{
    struct me_follow *follow = link->context;
    int go = 0;
    me_gather_tell(follow->comm, HEAD, ME_TAG_READY, &n, sizeof n);
    follow->told_ns = me_clock_mono_ns();
    while (!follow->stopped && !me_signals_caught() && !is_head_gone(follow)) {
        int tag = take_word(follow, &go);
        if (tag == ME_TAG_GO && go >= n) return true;
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

struct me_link me_follow_link(struct me_follow *follow)
{
    return (struct me_link){
        .context = follow, .ready = follow_ready, .tick = follow_tick, .wait = follow_wait};
}

static int send_parts(struct me_follow *follow, const struct me_parts *parts, struct me_error *err)
{
    for (int i = 0; i < ME_PART_COUNT; i++)
        if (me_gather_send(follow->data, i, &parts->part[i], send_on, follow, err)) return -1;
    return 0;
}

/* Parts that there was no memory for go empty: the head waits for them. */
static int send_record(struct me_follow *follow, const struct me_plan_machine *machine,
                       struct me_buffer *record, struct me_error *err)
{
    struct me_parts parts = {0};
    me_gather_tell(follow->comm, HEAD, ME_TAG_DONE, NULL, 0);
    int rc = me_maker_run(machine, record, &parts, send_on, follow, err);
    me_buffer_release(record);
    if (send_parts(follow, &parts, err)) rc = -1;
    me_parts_release(&parts);
    return rc;
}

int me_follow_finish(struct me_follow *follow, const struct me_plan_machine *machine,
                     struct me_buffer *record, bool *stored, struct me_error *err)
{
    int word = 0;
    *stored = false;
    int rc = record ? send_record(follow, machine, record, err) : 0;
    while (take_word(follow, &word) != ME_TAG_RELEASE) {
        if (is_head_gone(follow)) return me_fail(err, ME_E_RUN, "the head is gone; the journal stays");
        sign_of_life(follow);
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_EVERY_NS);
    }
    *stored = word & ME_WORD_STORED;
    follow->lost_any = word & ME_WORD_LOST_ANY;
    return rc;
}
