/* Frame headers and close payloads (RFC 6455 5.2, 5.4, 5.5, 7.4). Knows no payload of data frames. */
#include <string.h>

#include "utf8.h"
#include "websocket.h"

#define FIN 0x80u
#define RSV 0x70u
#define RSV1 0x40u
#define OPCODE 0x0fu
#define MASKED 0x80u
#define LENGTH 0x7fu
#define LENGTH_IS_16_BITS 126u
#define LENGTH_IS_64_BITS 127u
#define MASK_BYTES 4u

const char *pc_ws_status_name(enum pc_ws_status status) {
    switch (status) {
    case PC_WS_OK:
        return "OK";
    case PC_WS_NEED_DATA:
        return "NEED_DATA";
#define PC_X(name)                                                                                                               \
    case PC_WS_ERR_##name:                                                                                                       \
        return #name;
        PC_WS_ERRORS(PC_X)
#undef PC_X
    }
    return "UNKNOWN";
}

static uint64_t big_endian(const uint8_t *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static int is_control(unsigned opcode) {
    return (opcode & 8u) != 0;
}

static enum pc_ws_status judge_first_byte(const struct pc_ws_place *place, unsigned first) {
    unsigned opcode = first & OPCODE;
    unsigned rsv = first & RSV;
    /* RFC 7692 6: RSV1 belongs to the first frame of a message. */
    if (rsv != 0 && (rsv != RSV1 || !place->may_compress || (opcode != PC_WS_TEXT && opcode != PC_WS_BINARY))) {
        return PC_WS_ERR_RSV;
    }
    if ((opcode & 7u) > 2) {
        return PC_WS_ERR_OPCODE;
    }
    if (is_control(opcode)) {
        return (first & FIN) != 0 ? PC_WS_OK : PC_WS_ERR_CONTROL_FRAGMENTED;
    }
    if (opcode == PC_WS_CONTINUATION) {
        return place->in_message ? PC_WS_OK : PC_WS_ERR_CONTINUATION;
    }
    return place->in_message ? PC_WS_ERR_INTERLEAVED : PC_WS_OK;
}

static enum pc_ws_status judge_second_byte(unsigned first, unsigned second) {
    if ((second & MASKED) == 0) {
        return PC_WS_ERR_MASK;
    }
    if (is_control(first & OPCODE) && (second & LENGTH) > PC_WS_CONTROL_PAYLOAD_BYTES) {
        return PC_WS_ERR_CONTROL_LENGTH;
    }
    return PC_WS_OK;
}

/* Whether a data frame that is not compressed declares more than there is room for. */
static int is_too_big(const struct pc_ws_place *place, unsigned first, uint64_t payload_bytes) {
    return payload_bytes > place->room_bytes && !is_control(first & OPCODE) && (first & RSV1) == 0;
}

enum pc_ws_status pc_ws_decode_header(const struct pc_ws_place *place, const uint8_t *buffer, size_t length,
                                      struct pc_ws_header *header) {
    enum pc_ws_status status = length > 0 ? judge_first_byte(place, buffer[0]) : PC_WS_NEED_DATA;
    if (status == PC_WS_OK) {
        status = length > 1 ? judge_second_byte(buffer[0], buffer[1]) : PC_WS_NEED_DATA;
    }
    if (status != PC_WS_OK) {
        return status;
    }
    uint64_t payload_bytes = buffer[1] & LENGTH;
    size_t at = 2;
    if (payload_bytes >= LENGTH_IS_16_BITS) {
        int is_long = payload_bytes == LENGTH_IS_64_BITS;
        size_t bytes = is_long ? 8 : 2;
        if (length < at + bytes) {
            return PC_WS_NEED_DATA;
        }
        payload_bytes = big_endian(buffer + at, bytes);
        if (payload_bytes < (is_long ? 0x10000u : LENGTH_IS_16_BITS) || payload_bytes >> 63 != 0) {
            return PC_WS_ERR_LENGTH;
        }
        at += bytes;
    }
    if (is_too_big(place, buffer[0], payload_bytes)) {
        return PC_WS_ERR_TOO_BIG;
    }
    if (length < at + MASK_BYTES) {
        return PC_WS_NEED_DATA;
    }
    memcpy(&header->mask, buffer + at, MASK_BYTES);
    header->payload_bytes = payload_bytes;
    header->bytes = (uint8_t)(at + MASK_BYTES);
    header->opcode = buffer[0] & OPCODE;
    header->fin = (buffer[0] & FIN) != 0;
    header->compressed = (buffer[0] & RSV1) != 0;
    return PC_WS_OK;
}

size_t pc_ws_encode_header(uint8_t *out, unsigned opcode, int compressed, uint64_t payload_bytes) {
    size_t bytes = 0;
    out[0] = (uint8_t)(FIN | (compressed ? RSV1 : 0) | (opcode & OPCODE));
    if (payload_bytes < LENGTH_IS_16_BITS) {
        out[1] = (uint8_t)payload_bytes;
    } else if (payload_bytes <= 0xffffu) {
        out[1] = LENGTH_IS_16_BITS;
        bytes = 2;
    } else {
        out[1] = LENGTH_IS_64_BITS;
        bytes = 8;
    }
    for (size_t i = 0; i < bytes; i++) {
        out[2 + i] = (uint8_t)(payload_bytes >> 8 * (bytes - 1 - i));
    }
    return 2 + bytes;
}

int pc_ws_close_code_may_be_sent(unsigned code) {
    if (code >= 3000) {
        return code <= 4999;
    }
    /* 1004 is reserved; 1005, 1006 and 1015 stand for what no frame says. */
    return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

enum pc_ws_status pc_ws_decode_close(const uint8_t *payload, size_t length, unsigned *code) {
    struct pc_utf8 reason = {0};
    *code = PC_WS_NO_CLOSE_CODE;
    if (length == 0) {
        return PC_WS_OK;
    }
    if (length == 1) {
        return PC_WS_ERR_CLOSE_LENGTH;
    }
    *code = (unsigned)big_endian(payload, 2);
    if (!pc_ws_close_code_may_be_sent(*code)) {
        return PC_WS_ERR_CLOSE_CODE;
    }
    return pc_utf8_feed(&reason, payload + 2, length - 2) && pc_utf8_is_complete(&reason) ? PC_WS_OK : PC_WS_ERR_CLOSE_UTF8;
}
