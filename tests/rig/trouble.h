/* What can go wrong with a file, and who may read it: the same for every file of the rig. Pure. */
#ifndef RIG_TROUBLE_H
#define RIG_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum rig_answer { RIG_NUMBER, RIG_GARBAGE, RIG_EMPTY };

struct rig_trouble {
    mode_t mode;
    uid_t uid;
    gid_t gid;
    bool gone, frozen;
    int fault; /* errno of the next reads, or 0 */
    enum rig_answer answer;
    long left; /* reads that still fail; -1: until told otherwise */
    unsigned delay_us;
    uint64_t reads; /* answered or failed, for tests of the sampling rate */
};

/* One read of the file: does it fail? `fault` and `answer` say how; the count of failing reads goes down. */
bool rig_trouble_now(struct rig_trouble *trouble);
/* {"fault", "EIO", "3"}: 1 obeyed, 0 not a command of trouble, -EINVAL. Nothing is changed on failure. */
int rig_trouble_command(struct rig_trouble *trouble, char *const words[3]);
/* " fault=none fault_left=0 delay_us=0 gone=0 frozen=0 reads=7" */
void rig_trouble_state(const struct rig_trouble *trouble, FILE *out);

#endif
