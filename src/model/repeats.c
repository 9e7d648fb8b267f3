/* Sets of repeats as text: "1-3,5"; "all" has each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "me/plan.h"

bool me_repeats_has(const char *set, int repeat)
{
    if (!strcmp(set, ME_REPEATS_ALL)) return true;
    while (*set) {
        char *end;
        long first = strtol(set, &end, 10), last = first;
        if (end == set) return false;
        if (*end == '-') last = strtol(end + 1, &end, 10);
        if (repeat >= first && repeat <= last) return true;
        set = end + (*end == ',');
        if (*end && *end != ',') return false;
    }
    return false;
}

void me_repeats_put(const bool *there, int count, char *set, size_t size)
{
    size_t len = 0;
    int kept = 0;
    *set = '\0';
    for (int first = 0; first < count; first++) {
        int last = first;
        if (!there[first]) continue;
        while (last + 1 < count && there[last + 1]) last++;
        char range[40];
        int n = first == last ? snprintf(range, sizeof range, "%s%d", len ? "," : "", first + 1)
                              : snprintf(range, sizeof range, "%s%d-%d", len ? "," : "", first + 1, last + 1);
        if (len + (size_t)n >= size) return; /* what has no room is measured again */
        memcpy(set + len, range, (size_t)n + 1);
        len += (size_t)n;
        kept += last - first + 1;
        first = last;
    }
    if (count && kept == count) snprintf(set, size, "%s", ME_REPEATS_ALL);
}
