/* What ranks say to rank 0 (the head) and back. All talk after the start is point to point, so that
 * a machine that ends early, or is lost, never leaves the others waiting in a collective call. Every
 * wait sleeps between looks: Open MPI's own waits spin, and the spinning would be measured.
 *
 *   to the head:    READY n   the machine stands before phase n
 *                   PROGRESS  struct me_progress, a few times a second; may be lost
 *                   HERE      a sign of life from a rank that waits, a few times a second
 *                   DONE      the machine stands before no phase any more; its parts can be taken
 *                   PING      struct me_ping: what time is it?
 *   from the head:  GO n      all machines stood before phase n
 *                   HERE      a sign of life, to those who give one
 *                   STOP      end now, keep what was measured
 *                   PONG      the same struct, with the head's time
 *                   RELEASE   ME_WORD_STORED: the result is on disk, and the journal may go; else it stays
 *
 * What was measured goes over a communicator of its own in pieces of at most ME_PIECE_BYTES, one at a time: a piece
 * leaves its rank when the head receives it (MPI's rendezvous), and the head has a bounded number of them in hand. So
 * its memory grows neither with the length of the series nor with the number of machines that are done at once.
 *
 * Open MPI ends the sender of a message to a rank that has died, whatever error handler is set. So the
 * head speaks only to ranks that it has heard a moment ago, and each rank lets itself be heard. */
#ifndef ME_GATHER_H
#define ME_GATHER_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>
#include "me/buffer.h"
#include "me/error.h"

enum me_tag {
    ME_TAG_READY = 1,
    ME_TAG_PROGRESS,
    ME_TAG_DONE,
    ME_TAG_GO,
    ME_TAG_STOP,
    ME_TAG_RELEASE,
    ME_TAG_HERE,
    ME_TAG_PING,
    ME_TAG_PONG
};

/* Of RELEASE. */
enum { ME_WORD_STORED = 1, ME_WORD_LOST_ANY = 2 /* not all ranks will come to MPI_Finalize */ };

/* What each rank tells of itself before anything else. */
struct me_hello {
    int32_t
        machine_id; /* ME_MACHINE_ID as the launch agent set it (0: the local one, in a container); -1: not set */
    char boot_id[40];
    char host[64];
    char node[64]; /* what a batch system calls it; "" in no job */
};

/* What the head answers. */
struct me_role {
    int32_t machine_id;    /* -1: this rank stands aside */
    int32_t machine_count; /* machines that measure */
};

/* Can a rank's machine run what the plan says? */
struct me_answer {
    int32_t ready;
    char text[400]; /* if not: what is missing, and the cure; "": interrupted */
};

struct me_ping {
    int64_t asked_ns;     /* by the rank's CLOCK_MONOTONIC */
    int64_t head_unix_ns; /* by the head's clock, as it answered */
};

struct me_progress {
    int32_t machine_id, phase /* enum me_phase */, repeat;
    int32_t ended;                       /* the last word on this phase */
    double elapsed_s, power_w, energy_j; /* NaN where not known */
};

/* Gives every rank the head's text; on the others `text` is filled. A NULL-length text (the head
 * failed) gives -1 on all of them without an error of their own. */
int me_gather_broadcast(MPI_Comm comm, struct me_buffer *text, struct me_error *err);
/* hellos: [size] on rank 0, untouched elsewhere. */
int me_gather_hello(MPI_Comm comm, const struct me_hello *mine, struct me_hello *hellos,
                    struct me_error *err);
int me_gather_roles(MPI_Comm comm, const struct me_role *roles, struct me_role *mine, struct me_error *err);

/* The talk before the start may last as long as the slowest machine's check. What is called all the while. */
struct me_waiting {
    void (*look)(void *context);
    void *context;
};
/* The head's number to all. */
int me_gather_number(MPI_Comm comm, uint64_t *number, struct me_error *err);
/* The head's bytes to all, as many as it has said (me_gather_number), also none; `bytes` is the head's alone.
 * All ranks, the head too, get them in pieces, as they come: nobody needs memory for the whole. */
int me_gather_share(MPI_Comm comm, const char *bytes, uint64_t len,
                    void (*take)(void *context, const char *piece, size_t len),
                    const struct me_waiting *waiting, struct me_error *err);
/* answers: [size] on rank 0, untouched elsewhere. */
int me_gather_answers(MPI_Comm comm, const struct me_answer *mine, struct me_answer *answers,
                      const struct me_waiting *waiting, struct me_error *err);
/* The head's word to all. */
int me_gather_verdict(MPI_Comm comm, bool *go, const struct me_waiting *waiting, struct me_error *err);

/* Where the words lie that are on their way; to be open before any is said. Closing it waits for them: not where ranks
 * are lost. */
struct me_gather_room {
    char *bytes;
    int size;
};
int me_gather_open(struct me_gather_room *room, struct me_error *err);
void me_gather_close(struct me_gather_room *room);
/* Sends a message of at most 64 KiB: buffered, returns at once. */
void me_gather_tell(MPI_Comm comm, int rank, enum me_tag tag, const void *bytes, int len);
/* Is there a message for us, from anyone? Says whose, which and how long; me_gather_take takes it. */
bool me_gather_look(MPI_Comm comm, int *rank, enum me_tag *tag, int *len);
void me_gather_take(MPI_Comm comm, int rank, enum me_tag tag, void *bytes, int len);

/* A communicator for what was measured; collective. */
int me_gather_split(MPI_Comm comm, MPI_Comm *data, struct me_error *err);
#define ME_PIECE_BYTES (256 << 10)
/* Sends a part of what was measured; a piece that is not full ends it. Sleeps while it travels; `waiting` is called all
 * the while. */
int me_gather_send(MPI_Comm data, int part, const struct me_buffer *bytes, void (*waiting)(void *),
                   void *context, struct me_error *err);

/* The head's end of a rank's data. */
struct me_pull {
    MPI_Request request;
    bool open; /* a piece is on its way */
    char *piece;
    int part, len;
};
/* Begins to receive the rank's next piece, if it offers one. -1: no memory; it is not taken then. */
int me_gather_pull(MPI_Comm data, int rank, struct me_pull *pull);
/* Has the piece arrived? It is `piece` then, with `part` and `len`, until the next pull. */
bool me_gather_pulled(struct me_pull *pull);
/* A piece that is still on its way keeps its memory: MPI may write into it as long as it lives. */
void me_gather_pull_release(struct me_pull *pull);

#endif
