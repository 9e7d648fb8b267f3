#include "me/options.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 64 };

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Letters, and the two ways to join words, without regard to case: Sample_Hz is sample-hz. */
static int fold(char c)
{
    return c == '_' ? '-' : tolower((unsigned char)c);
}

/* Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
 * (optimal string alignment; three rows of the table are enough). */
static int edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int rows[3][LONGEST + 1];
    for (size_t j = 0; j <= b_len; j++) rows[0][j] = (int)j;
    for (size_t i = 1; i <= a_len; i++) {
        int *now = rows[i % 3];
        const int *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = fold(a[i - 1]) == fold(b[j - 1]);
            now[j] = smaller(smaller(last[j], now[j - 1]) + 1, last[j - 1] + !same);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                now[j] = smaller(now[j], before[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

/* A third of the letters may be wrong; and "port" is near MACHINE_PORT whatever the distance. */
static bool is_near(const char *word, size_t len, const char *name, int distance)
{
    if (distance <= (int)(len < 4 ? 1 : len / 3)) return true;
    return len >= 3 && strcasestr(name, word);
}

const char *me_nearest(const char *word, const char *const *names)
{
    size_t len = strlen(word);
    const char *best = NULL;
    int best_distance = 0;
    if (len == 0 || len > LONGEST) return NULL;
    for (; *names; names++) {
        size_t name_len = strlen(*names);
        if (name_len > LONGEST) continue;
        bool begins = len >= 4 && !strncmp(*names, word, len); /* MACHINE_IP is not a misspelt machine_id */
        int distance = begins ? 0 : edit_distance(word, len, *names, name_len);
        if (!is_near(word, len, *names, distance) || (best && distance >= best_distance)) continue;
        best = *names;
        best_distance = distance;
    }
    return best;
}
