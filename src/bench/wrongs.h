/* What was wrong with the marks of a repeat, and how often, in the words of its note. Pure. */
#ifndef ME_WRONGS_H
#define ME_WRONGS_H

#include <stddef.h>
#include <stdint.h>

enum me_wrong { /* in the order of the note */
                ME_WRONG_LINE,
                ME_WRONG_END,
                ME_WRONG_OPEN,
                ME_WRONG_UNIT,
                ME_WRONG_REGIONS,
                ME_WRONG_METRICS,
                ME_WRONG_COUNT
};
struct me_wrongs { /* starts as {0} */
    struct {
        uint32_t count;
        char first[48]; /* the name it was about */
    } of[ME_WRONG_COUNT];
};

void me_wrongs_add(struct me_wrongs *wrongs, enum me_wrong wrong, const char *name);
/* Appends all of it to the note, behind "; " if there is something in it: "a line that is no mark: xyz (and 41
 * more); region was not ended: train". What has no room is cut at a word, and "..." says so. */
void me_wrongs_tell(const struct me_wrongs *wrongs, char *note, size_t size);
/* Appends one more thing to a note, in the same way. */
void me_wrongs_append(char *note, size_t size, const char *text);

#endif
