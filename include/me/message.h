/* The message of rows: all tables of one machine as bytes, from the rank that evaluated them to the head. By the
 * descriptions of me/table.h, with the names of tables and columns: a column that the reader does not know is passed
 * over, one that the writer did not know is empty (0, NaN, ""). Checked by a CRC at its end. */
#ifndef ME_MESSAGE_H
#define ME_MESSAGE_H

#include "me/buffer.h"
#include "me/result.h"

#define ME_MESSAGE_VERSION 1

/* Appends all tables but the summary, which is made of all machines together. Without memory out->failed is set. */
void me_message_encode(const struct me_result *result, struct me_buffer *out);
/* Reads it into the tables of an empty result. Texts are valid UTF-8 then. Safe on any bytes (fuzzed): ME_E_INPUT if
 * they are no such message, of another version, or damaged. */
int me_message_decode(const void *bytes, size_t len, struct me_result *out, struct me_error *err);

#endif
