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
    if (tag == ME_TAG_STOP) follow->stopped = true;
    return (int)tag;
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

static bool follow_ready(struct me_link *link, int n)
{
    struct me_follow *follow = link->context;
    int go = 0;
    me_gather_tell(follow->comm, HEAD, ME_TAG_READY, &n, sizeof n);
    follow->told_ns = me_clock_mono_ns();
    while (!follow->stopped && !me_signals_caught()) {
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
    take_word(follow, &word);
    return !follow->stopped;
}

static bool follow_wait(struct me_link *link)
{
    struct me_follow *follow = link->context;
    int word;
    sign_of_life(follow);
    take_word(follow, &word);
    follow->stopped = follow->stopped || me_signals_caught();
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
        if (me_gather_send(follow->data, i, &parts->part[i], sign_of_life, follow, err)) return -1;
    return 0;
}

/* Parts that there was no memory for go empty: the head waits for them. */
static int send_record(struct me_follow *follow, const struct me_plan_machine *machine,
                       struct me_buffer *record, struct me_error *err)
{
    struct me_parts parts = {0};
    me_gather_tell(follow->comm, HEAD, ME_TAG_DONE, NULL, 0);
    int rc = me_maker_run(machine, record, &parts, sign_of_life, follow, err);
    me_buffer_release(record);
    if (send_parts(follow, &parts, err)) rc = -1;
    me_parts_release(&parts);
    return rc;
}

/* If the head is gone, the launcher ends us (or Open MPI does, as we speak to it): the journal stays. */
int me_follow_finish(struct me_follow *follow, const struct me_plan_machine *machine,
                     struct me_buffer *record, bool *stored, struct me_error *err)
{
    int word = 0;
    *stored = false;
    int rc = record ? send_record(follow, machine, record, err) : 0;
    while (take_word(follow, &word) != ME_TAG_RELEASE) {
        sign_of_life(follow);
        me_clock_sleep_until(me_clock_mono_ns() + LOOK_EVERY_NS);
    }
    *stored = word != 0;
    return rc;
}
