/* The WebSocket codec: frame headers, masking, close payloads (RFC 6455 5). Knows C11 and bytes; no Python, no sockets, no
 * messages: who reassembles, inflates and bounds them is the caller. UTF-8 has a header of its own, utf8.h.
 *
 * Return contract. A function that meets foreign bytes returns an `enum pc_ws_status`:
 *   PC_WS_OK           done; the out parameters are set
 *   PC_WS_NEED_DATA    call again with the same bytes and more behind them
 *   PC_WS_ERR_*        final; the connection cannot be read any further
 * Nothing is allocated, and nothing outside the ranges handed in is read or written.
 *
 * The same bytes give the same verdict however they are split: each rule is judged when the byte that decides it has come.
 * src/picocorn/websocket/verdicts.py says in which order.
 */
#ifndef PC_WEBSOCKET_H
#define PC_WEBSOCKET_H

#include <stddef.h>
#include <stdint.h>

/* In the order in which they are judged; the names are those of src/picocorn/websocket/verdicts.py. TEXT_UTF8 and BAD_DEFLATE are
 * for callers, so that all names come from one place. */
#define PC_WS_ERRORS(X)                                                                                                          \
    X(RSV)                                                                                                                       \
    X(OPCODE)                                                                                                                    \
    X(CONTROL_FRAGMENTED)                                                                                                        \
    X(CONTINUATION)                                                                                                              \
    X(INTERLEAVED)                                                                                                               \
    X(MASK)                                                                                                                      \
    X(CONTROL_LENGTH)                                                                                                            \
    X(LENGTH)                                                                                                                    \
    X(TOO_BIG)                                                                                                                   \
    X(TEXT_UTF8)                                                                                                                 \
    X(BAD_DEFLATE)                                                                                                               \
    X(CLOSE_LENGTH)                                                                                                              \
    X(CLOSE_CODE)                                                                                                                \
    X(CLOSE_UTF8)

enum pc_ws_status {
    PC_WS_OK,
    PC_WS_NEED_DATA,
#define PC_X(name) PC_WS_ERR_##name,
    PC_WS_ERRORS(PC_X)
#undef PC_X
};

/* "OK", "NEED_DATA", and for errors the bare code: "CONTROL_LENGTH". Never NULL. */
const char *pc_ws_status_name(enum pc_ws_status status);

enum pc_ws_opcode {
    PC_WS_CONTINUATION = 0,
    PC_WS_TEXT = 1,
    PC_WS_BINARY = 2,
    PC_WS_CLOSE = 8,
    PC_WS_PING = 9,
    PC_WS_PONG = 10,
};

/* --- frame headers -------------------------------------------------------------------------------------------------- */

/* The longest header of a client: two bytes, 64-bit length, masking key. */
#define PC_WS_CLIENT_HEADER_BYTES 14u
/* The longest of a server, which masks nothing. */
#define PC_WS_SERVER_HEADER_BYTES 10u
#define PC_WS_CONTROL_PAYLOAD_BYTES 125u
#define PC_WS_UNLIMITED UINT64_MAX

/* What the caller's place in the stream allows the next frame to be. */
struct pc_ws_place {
    uint64_t room_bytes;  /* a data frame that is not compressed and declares more is TOO_BIG */
    uint8_t in_message;   /* the first frame of a message has come, its last has not */
    uint8_t may_compress; /* RSV1 has a meaning (RFC 7692 6) */
};

struct pc_ws_header {
    uint64_t payload_bytes;
    uint32_t mask;      /* as in memory: its first byte is for the first byte of the payload */
    uint8_t bytes;      /* of the header itself */
    uint8_t opcode;
    uint8_t fin;
    uint8_t compressed; /* RSV1 */
};

/* The header of a client's frame at the beginning of `buffer`, which may be empty but not NULL. */
enum pc_ws_status pc_ws_decode_header(const struct pc_ws_place *place, const uint8_t *buffer, size_t length,
                                      struct pc_ws_header *header);

/* The header of an unmasked, unfragmented frame; returns how many of the PC_WS_SERVER_HEADER_BYTES that may take it took. */
size_t pc_ws_encode_header(uint8_t *out, unsigned opcode, int compressed, uint64_t payload_bytes);

/* --- close payloads ------------------------------------------------------------------------------------------------- */

/* What a close frame without payload stands for (RFC 6455 7.1.5). */
#define PC_WS_NO_CLOSE_CODE 1005u
#define PC_WS_CLOSE_REASON_BYTES (PC_WS_CONTROL_PAYLOAD_BYTES - 2u)

/* Whether a close frame may carry this code (RFC 6455 7.4; 1012 to 1014 are IANA's). */
int pc_ws_close_code_may_be_sent(unsigned code);

/* An unmasked close payload; the reason is what stands behind its first two bytes. */
enum pc_ws_status pc_ws_decode_close(const uint8_t *payload, size_t length, unsigned *code);

/* --- masking -------------------------------------------------------------------------------------------------------- */

/* `dst` is `src`, or does not overlap it. The first byte is taken for the first of `mask`. */
struct pc_ws_mask_kernel {
    const char *name;
    void (*unmask)(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask);
    /* The same; returns whether all that was written is ASCII. */
    int (*unmask_ascii)(uint8_t *dst, const uint8_t *src, size_t length, uint32_t mask);
};

/* The best kernel that this CPU can run. Choose once and keep the pointer. */
const struct pc_ws_mask_kernel *pc_ws_mask_choose(void);
const char *pc_ws_mask_name(const struct pc_ws_mask_kernel *kernel);
/* Fills `out` with all it can run, scalar first, best last; returns how many. `out` holds at least 4. */
size_t pc_ws_mask_available(const struct pc_ws_mask_kernel *out[4]);

/* The mask as it applies to what stands `bytes` further on. */
uint32_t pc_ws_mask_rotate(uint32_t mask, size_t bytes);

#endif
