#include "wrongs.h"
#include <stdio.h>
#include <string.h>

static const char *const words[ME_WRONG_COUNT] = {
    [ME_WRONG_LINE] = "a line that is no mark: ",
    [ME_WRONG_END] = "end of a region that had not begun: ",
    [ME_WRONG_OPEN] = "region was not ended: ",
    [ME_WRONG_UNIT] = "work in a second unit was left out: ",
    [ME_WRONG_REGIONS] = "too many region marks; not all were recorded: ",
    [ME_WRONG_METRICS] = "too many metrics; not all were recorded: ",
};

void me_wrongs_add(struct me_wrongs *wrongs, enum me_wrong wrong, const char *name)
{
    if (!wrongs->of[wrong].count)
        snprintf(wrongs->of[wrong].first, sizeof wrongs->of[wrong].first, "%s", name);
    if (wrongs->of[wrong].count < UINT32_MAX) wrongs->of[wrong].count++;
}

void me_wrongs_append(char *note, size_t size, const char *text)
{
    static const char cut[] = " ...";
    size_t len = strlen(note), room = size - len;
    const char *between = len ? "; " : "";
    int wanted = snprintf(note + len, room, "%s%s", between, text);
    if (wanted >= 0 && (size_t)wanted < room) return;
    size_t end = size - sizeof cut;
    while (end > 0 && note[end] != ' ') end--;
    memcpy(note + end, cut, sizeof cut);
}

void me_wrongs_tell(const struct me_wrongs *wrongs, char *note, size_t size)
{
    for (int i = 0; i < ME_WRONG_COUNT; i++) {
        char text[160], more[32] = "";
        uint32_t count = wrongs->of[i].count;
        if (!count) continue;
        if (count > 1) snprintf(more, sizeof more, " (and %u more)", count - 1);
        snprintf(text, sizeof text, "%s%s%s", words[i], wrongs->of[i].first, more);
        me_wrongs_append(note, size, text);
    }
}
