/* The stream of a record, shared by its writer and its decoder.
 *
 *     stream := magic (8 bytes), version u16, 0 u16, chunk...
 *     chunk  := type u16, flags u16 (0), length u32, crc u32, payload (length bytes)
 *
 * The checksum covers type, flags, length and payload. All fixed numbers are little-endian; payloads
 * are made of varints, 8-byte doubles and counted texts (wire.h). A chunk of unknown type is passed
 * over, and so is what a later writer adds behind the fields that are known here. */
#ifndef ME_MODEL_RECORD_H
#define ME_MODEL_RECORD_H

#define ME_RECORD_MAGIC      "\x89MEREC\r\n" /* not text, and broken by any newline conversion */
#define ME_RECORD_MAGIC_LEN  8
#define ME_RECORD_HEADER_LEN 12
#define ME_RECORD_CHUNK_LEN  12

enum me_record_chunk {
    ME_CHUNK_FACTS = 1,
    ME_CHUNK_CHANNELS = 2,
    ME_CHUNK_SAMPLES = 3,
    ME_CHUNK_SPAN = 4,
    ME_CHUNK_REGION = 5,
    ME_CHUNK_LOG = 6,
    ME_CHUNK_END = 7,
    ME_CHUNK_METRIC = 8,
    ME_CHUNK_CLOCK = 9,
};

/* Two bits a reading. The value follows as a difference to the reading above it in the same chunk
 * (to 0 if that one was not good), or raw where the difference would be longer than the value, as
 * with most gauges. */
enum me_record_code { ME_CODE_ABSENT = 0, ME_CODE_OK = 1, ME_CODE_FAILED = 2, ME_CODE_RAW = 3 };

#endif
