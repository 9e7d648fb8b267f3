#include "gather.h"
#include <stdlib.h>
#include <string.h>
#include "me/clock.h"

#define SHARE_BYTES (256 << 10)
#define ROOM_BYTES  (4 << 20) /* for words that are on their way */
#define HEAD        0

static int mpi_failed(struct me_error *err, int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    int len = 0;
    MPI_Error_string(code, text, &len);
    return me_fail(err, ME_E_RUN, "%s: %s", what, text);
}

int me_gather_broadcast(MPI_Comm comm, struct me_buffer *text, struct me_error *err)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    uint64_t len = rank == HEAD ? text->len : 0;
    int code = MPI_Bcast(&len, 1, MPI_UINT64_T, HEAD, comm);
    if (code) return mpi_failed(err, code, "broadcast of the plan");
    if (len == 0 || len > (64u << 20)) return -1;
    char *bytes = rank == HEAD ? text->data : malloc((size_t)len);
    if (!bytes) return me_fail(err, ME_E_RUN, "no memory for the plan");
    code = MPI_Bcast(bytes, (int)len, MPI_BYTE, HEAD, comm);
    if (rank != HEAD) {
        if (!code) me_buffer_append(text, bytes, (size_t)len);
        free(bytes);
    }
    return code ? mpi_failed(err, code, "broadcast of the plan") : 0;
}

int me_gather_hello(MPI_Comm comm, const struct me_hello *mine, struct me_hello *hellos, struct me_error *err)
{
    int code = MPI_Gather(mine, sizeof *mine, MPI_BYTE, hellos, sizeof *hellos, MPI_BYTE, HEAD, comm);
    return code ? mpi_failed(err, code, "gather of the machines' names") : 0;
}

int me_gather_roles(MPI_Comm comm, const struct me_role *roles, struct me_role *mine, struct me_error *err)
{
    int code = MPI_Scatter(roles, sizeof *roles, MPI_BYTE, mine, sizeof *mine, MPI_BYTE, HEAD, comm);
    return code ? mpi_failed(err, code, "scatter of the roles") : 0;
}

int me_gather_number(MPI_Comm comm, uint64_t *number, struct me_error *err)
{
    int code = MPI_Bcast(number, 1, MPI_UINT64_T, HEAD, comm);
    return code ? mpi_failed(err, code, "broadcast of the files") : 0;
}

/* Often looks first, for the pieces of a parcel follow each other closely. */
static int await(int code, MPI_Request *request, const struct me_waiting *waiting, const char *what,
                 struct me_error *err)
{
    for (int i = 0, done = 0; !code; i++) {
        code = MPI_Test(request, &done, MPI_STATUS_IGNORE);
        if (!code && done) return 0;
        waiting->look(waiting->context);
        me_clock_sleep_until(me_clock_mono_ns() + (i < 1000 ? ME_NS_PER_S / 20000 : ME_NS_PER_S / 1000));
    }
    return mpi_failed(err, code, what);
}

/* The piece stands on the stack: a rank without memory for it would leave the others waiting. */
int me_gather_share(MPI_Comm comm, const char *bytes, uint64_t len,
                    void (*take)(void *context, const char *piece, size_t len),
                    const struct me_waiting *waiting, struct me_error *err)
{
    char piece[SHARE_BYTES];
    int rank;
    MPI_Comm_rank(comm, &rank);
    for (uint64_t at = 0; at < len; at += SHARE_BYTES) {
        int n = len - at < SHARE_BYTES ? (int)(len - at) : SHARE_BYTES;
        MPI_Request request;
        if (rank == HEAD) memcpy(piece, bytes + at, (size_t)n);
        int code = MPI_Ibcast(piece, n, MPI_BYTE, HEAD, comm, &request);
        if (await(code, &request, waiting, "broadcast of the files", err)) return -1;
        take(waiting->context, piece, (size_t)n);
    }
    return 0;
}

int me_gather_answers(MPI_Comm comm, const struct me_answer *mine, struct me_answer *answers,
                      const struct me_waiting *waiting, struct me_error *err)
{
    MPI_Request request;
    int code =
        MPI_Igather(mine, sizeof *mine, MPI_BYTE, answers, sizeof *answers, MPI_BYTE, HEAD, comm, &request);
    return await(code, &request, waiting, "gather of the machines' answers", err);
}

int me_gather_verdict(MPI_Comm comm, bool *go, const struct me_waiting *waiting, struct me_error *err)
{
    MPI_Request request;
    int word = *go;
    int code = MPI_Ibcast(&word, 1, MPI_INT, HEAD, comm, &request);
    if (await(code, &request, waiting, "broadcast of the verdict", err)) return -1;
    *go = word != 0;
    return 0;
}

int me_gather_open(struct me_gather_room *room, struct me_error *err)
{
    room->size = ROOM_BYTES;
    room->bytes = malloc(ROOM_BYTES);
    if (!room->bytes) return me_fail(err, ME_E_RUN, "no memory for messages");
    int code = MPI_Buffer_attach(room->bytes, ROOM_BYTES);
    return code ? mpi_failed(err, code, "room for messages") : 0;
}

void me_gather_close(struct me_gather_room *room)
{
    int size;
    void *bytes;
    if (!room->bytes) return;
    MPI_Buffer_detach(&bytes, &size);
    free(room->bytes);
    room->bytes = NULL;
}

void me_gather_tell(MPI_Comm comm, int rank, enum me_tag tag, const void *bytes, int len)
{
    /* Buffered: to a rank that has just died a plain send may never return. Without room it is not said. */
    MPI_Bsend(bytes, len, MPI_BYTE, rank, (int)tag, comm);
}

bool me_gather_look(MPI_Comm comm, int *rank, enum me_tag *tag, int *len)
{
    int found = 0;
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &found, &status) || !found) return false;
    *rank = status.MPI_SOURCE;
    *tag = (enum me_tag)status.MPI_TAG;
    MPI_Get_count(&status, MPI_BYTE, len);
    return true;
}

void me_gather_take(MPI_Comm comm, int rank, enum me_tag tag, void *bytes, int len)
{
    MPI_Recv(bytes, len, MPI_BYTE, rank, (int)tag, comm, MPI_STATUS_IGNORE);
}

int me_gather_split(MPI_Comm comm, MPI_Comm *data, struct me_error *err)
{
    int code = MPI_Comm_dup(comm, data);
    return code ? mpi_failed(err, code, "a communicator for the records") : 0;
}

static int send_piece(MPI_Comm data, int part, const char *bytes, int len, void (*waiting)(void *),
                      void *context, struct me_error *err)
{
    MPI_Request request;
    int code = MPI_Isend(bytes, len, MPI_BYTE, HEAD, part, data, &request);
    for (int sent = 0; !code;) {
        code = MPI_Test(&request, &sent, MPI_STATUS_IGNORE);
        if (!code && sent) return 0;
        waiting(context);
        me_clock_sleep_until(me_clock_mono_ns() + ME_NS_PER_S / 2000);
    }
    return mpi_failed(err, code, "sending the record");
}

int me_gather_send(MPI_Comm data, int part, const struct me_buffer *bytes, void (*waiting)(void *),
                   void *context, struct me_error *err)
{
    for (size_t at = 0, len = ME_PIECE_BYTES; len == ME_PIECE_BYTES; at += len) {
        if (bytes->len - at < len) len = bytes->len - at;
        if (send_piece(data, part, len ? bytes->data + at : NULL, (int)len, waiting, context, err)) return -1;
    }
    return 0;
}

int me_gather_pull(MPI_Comm data, int rank, struct me_pull *pull)
{
    int found = 0;
    MPI_Status status;
    if (MPI_Iprobe(rank, MPI_ANY_TAG, data, &found, &status) || !found) return 0;
    MPI_Get_count(&status, MPI_BYTE, &pull->len);
    if (!pull->piece) pull->piece = malloc(ME_PIECE_BYTES);
    if (!pull->piece || pull->len > ME_PIECE_BYTES) return -1;
    pull->part = status.MPI_TAG;
    pull->open = !MPI_Irecv(pull->piece, pull->len, MPI_BYTE, rank, status.MPI_TAG, data, &pull->request);
    return pull->open ? 0 : -1;
}

bool me_gather_pulled(struct me_pull *pull)
{
    int done = 0;
    if (!pull->open || MPI_Test(&pull->request, &done, MPI_STATUS_IGNORE) || !done) return false;
    pull->open = false;
    return true;
}

void me_gather_pull_release(struct me_pull *pull)
{
    if (!pull->open) free(pull->piece);
    *pull = (struct me_pull){0};
}
