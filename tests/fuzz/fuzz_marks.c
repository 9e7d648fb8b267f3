/* Any bytes as marks: whole and in pieces they give the same events, and what those hold is what the protocol
 * allows. The first byte is the length of a piece. */
#include "../../src/workload/marks.h"
#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_marks: %s\n", what);
    abort();
}

static void check(const struct me_child_event *event)
{
    size_t len = strnlen(event->name, sizeof event->name);
    demand(len < sizeof event->name, "a name without its end");
    for (size_t i = 0; i < len; i++)
        demand(isprint((unsigned char)event->name[i]), "a name that is not clean");
    switch (event->type) {
    case ME_CHILD_WORK:
        demand(isfinite(event->amount) && event->amount >= 0, "work that is none");
        demand(len > 0 && len < 24, "the length of a unit");
        break;
    case ME_CHILD_BEGIN:
    case ME_CHILD_END:
    case ME_CHILD_METRIC:
        demand(len > 0 && !strpbrk(event->name, " ;$"), "a name that is not allowed");
        break;
    case ME_CHILD_BAD_MARK:
        break;
    default:
        demand(0, "an event that is no mark");
    }
}

/* Returns how many there were, of which it keeps the first. */
static size_t take(const char *text, size_t len, size_t piece, struct me_child_event *events)
{
    struct me_marks marks = {.len = 0};
    struct me_child_event event;
    size_t n = 0;
    for (size_t first = 0; first < len; first += piece) {
        const char *at = text + first, *end = text + (len - first < piece ? len : first + piece);
        while (me_marks_take(&marks, &at, end, &event)) {
            check(&event);
            if (n++ < EVENTS_MAX) events[n - 1] = event;
        }
        demand(at == end, "bytes were left");
    }
    if (me_marks_finish(&marks, &event)) {
        check(&event);
        if (n++ < EVENTS_MAX) events[n - 1] = event;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct me_child_event whole[EVENTS_MAX], pieces[EVENTS_MAX];
    if (size < 2) return 0;
    const char *text = (const char *)data + 1;
    size_t n = take(text, size - 1, size, whole);
    demand(take(text, size - 1, (size_t)data[0] + 1, pieces) == n, "pieces give another number of events");
    for (size_t i = 0; i < n && i < EVENTS_MAX; i++) {
        demand(whole[i].type == pieces[i].type && !strcmp(whole[i].name, pieces[i].name), "other events");
        demand(whole[i].amount == pieces[i].amount || isnan(whole[i].amount), "other amounts");
    }
    return 0;
}
