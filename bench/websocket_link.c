/* One connection of the WebSocket load generator: handshake, frames out and in, every byte of an answer checked, close handshake.
 * Knows no mode. Strict: whatever RFC 6455 forbids a server to send ends the connection with an error. */
#define _GNU_SOURCE
#include "websocket_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifdef WITH_ZLIB
#include <zlib.h>
#endif

const char *const error_names[ERROR_KINDS] = {"connect", "handshake", "protocol", "content", "close", "timeout"};

struct plan plan;

uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* xorshift64*: a new key for every frame has to cost next to nothing. */
static uint64_t random_word(void) {
    static uint64_t state;
    while (!state)
        if (getrandom(&state, sizeof state, 0) != sizeof state) abort();
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

static void end(struct link *link, uint64_t now) {
    close(link->fd);
    link->fd = -1;
    link->state = LINK_ENDED;
    on_end(link, now);
}

void link_fail(struct link *link, enum error_kind kind, const char *format, ...) {
    if (link->state == LINK_ENDED) return;
    va_list arguments;
    va_start(arguments, format);
    if (!plan.first_error[0]) vsnprintf(plan.first_error, sizeof plan.first_error, format, arguments);
    va_end(arguments);
    plan.errors[kind]++;
    link->has_failed = true;
    end(link, now_ns());
}

/* --- compression ---------------------------------------------------------------------------------------------------------- */

struct packed {
    unsigned char *bytes;
    size_t length;
};

/* What a socket sends as its message number `sequence`, but for the stamp. */
static const unsigned char *message_of(uint32_t sequence) { return plan.messages + sequence % plan.pieces * plan.length; }

#ifdef WITH_ZLIB

static struct packed *packed;
static int packed_bits;

static struct packed pack_one(const unsigned char *message, int bits) {
    struct packed result;
    z_stream stream = {0};
    if (deflateInit2(&stream, 6, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
    size_t capacity = deflateBound(&stream, plan.length) + 16;
    result.bytes = malloc(capacity);
    if (!result.bytes) abort();
    stream.next_in = (unsigned char *)message, stream.avail_in = (unsigned)plan.length;
    stream.next_out = result.bytes, stream.avail_out = (unsigned)capacity;
    if (deflate(&stream, Z_SYNC_FLUSH) != Z_OK || stream.avail_in) abort();
    /* RFC 7692, 7.2.1: without the 00 00 ff ff at the end. */
    result.length = capacity - stream.avail_out - 4;
    deflateEnd(&stream);
    return result;
}

/* The messages as our frames carry them. They refer to nothing before them, which suits every agreement about contexts. */
static bool pack(struct link *link, int bits) {
    /* zlib makes no raw stream of 8 bits. */
    if (bits < 9 || bits > 15) return link_fail(link, ERROR_HANDSHAKE, "client_max_window_bits=%d", bits), false;
    if (packed && bits >= packed_bits) return true;
    if (!packed) packed = calloc(plan.pieces, sizeof *packed);
    if (!packed) abort();
    for (unsigned i = 0; i < plan.pieces; i++) {
        free(packed[i].bytes);
        packed[i] = pack_one(message_of(i), bits);
    }
    packed_bits = bits;
    return true;
}

static bool content_matches(struct link *link, const unsigned char *data, size_t length);

static bool inflated_matches(struct link *link, const unsigned char *data, size_t length) {
    unsigned char piece[16384];
    z_stream *stream = link->inflater;
    stream->next_in = (unsigned char *)data, stream->avail_in = (unsigned)length;
    do {
        stream->next_out = piece, stream->avail_out = sizeof piece;
        int result = inflate(stream, Z_SYNC_FLUSH);
        if (result != Z_OK && result != Z_BUF_ERROR) return false;
        if (!content_matches(link, piece, sizeof piece - stream->avail_out)) return false;
    } while (!stream->avail_out);
    return !stream->avail_in;
}

static void start_inflater(struct link *link) {
    z_stream *stream = link->inflater ? link->inflater : calloc(1, sizeof *stream);
    if (!stream || (link->inflater ? inflateReset2(stream, -15) : inflateInit2(stream, -15)) != Z_OK) abort();
    link->inflater = stream;
}

#else

static const struct packed *packed;
static bool pack(struct link *link, int bits) { return link_fail(link, ERROR_HANDSHAKE, "no zlib for %d bits", bits), false; }
static bool inflated_matches(struct link *link, const unsigned char *data, size_t length) { return link && data && !length; }
static void start_inflater(struct link *link) { link->inflater = NULL; }

#endif

/* --- output ---------------------------------------------------------------------------------------------------------------- */

static void watch(struct link *link, int operation, bool writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = link};
    link->is_writing = writing;
    if (epoll_ctl(plan.epoll, operation, link->fd, &event)) abort();
}

void link_flush(struct link *link) {
    if (link->state == LINK_ENDED || link->state == LINK_UNUSED || link->out_at == link->out_length) return;
    ssize_t sent = send(link->fd, link->out + link->out_at, link->out_length - link->out_at, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        link_fail(link, link->state == LINK_OPENING ? ERROR_CONNECT : ERROR_PROTOCOL, "send: %s", strerror(errno));
        return;
    }
    link->out_at += sent > 0 ? (size_t)sent : 0;
    if (link->out_at == link->out_length) link->out_at = link->out_length = 0;
    bool writing = link->out_length > 0;
    if (writing != link->is_writing) watch(link, EPOLL_CTL_MOD, writing);
}

/* Room for `length` more bytes at the end of the queue. */
static unsigned char *reserve(struct link *link, size_t length) {
    if (link->out_length + length > link->out_capacity && link->out_at) {
        memmove(link->out, link->out + link->out_at, link->out_length - link->out_at);
        link->out_length -= link->out_at, link->out_at = 0;
    }
    if (link->out_length + length > link->out_capacity) {
        link->out_capacity = link->out_length + length;
        link->out = realloc(link->out, link->out_capacity);
        if (!link->out) abort();
    }
    return link->out + link->out_length;
}

/* Queue a frame whose payload begins with `prefix` instead of its own first bytes, which are a multiple of four. */
static void queue_frame(
    struct link *link, int first, const unsigned char *payload, size_t length, const unsigned char *prefix, size_t prefix_length) {
    unsigned char *out = reserve(link, MAX_HEAD_BYTES + length), key[4];
    uint64_t word = random_word();
    memcpy(key, &word, 4);
    size_t head = write_head(out, first, MASKED, length);
    memcpy(out + head, key, 4);
    apply_mask(out + head + 4, prefix, prefix_length, key);
    apply_mask(out + head + 4 + prefix_length, payload + prefix_length, length - prefix_length, key);
    link->out_length += head + 4 + length;
}

static void write_stamp(unsigned char *stamp, uint32_t source, uint32_t sequence) {
    uint64_t word = (uint64_t)source << 32 | sequence;
    for (int i = STAMP_BYTES - 1; i >= 0; i--, word >>= 4) stamp[i] = (unsigned char)"0123456789abcdef"[word & 15];
}

void link_queue_message(struct link *link, uint64_t now) {
    unsigned char stamp[STAMP_BYTES];
    link->sent_ns[link->sent % plan.depth] = now;
    if (plan.deflate) {
        const struct packed *piece = &packed[link->sent % plan.pieces];
        queue_frame(link, FIN | COMPRESSED | plan.opcode, piece->bytes, piece->length, piece->bytes, 0);
    } else {
        write_stamp(stamp, link->number, link->sent);
        queue_frame(link, FIN | plan.opcode, message_of(link->sent), plan.length, stamp, plan.stamp_length);
    }
    link->sent++;
}

void link_close(struct link *link) {
    static const unsigned char normal[2] = {1000 >> 8, 1000 & 255};
    queue_frame(link, FIN | CLOSE, normal, 2, normal, 0);
    link->state = LINK_CLOSING;
}

void link_connect(struct link *link) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(plan.port)};
    unsigned char random[16];
    char key[KEY_SIZE];
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    uint64_t words[2] = {random_word(), random_word()};
    memcpy(random, words, 16);
    base64(random, 16, key);
    accept_value(key, link->accept);
    link->state = LINK_OPENING;
    link->is_open = link->has_failed = link->in_message = false;
    link->sent = link->received = 0;
    link->inbox_length = link->head_length = link->out_at = link->out_length = 0;
    link->frame_left = link->offset = 0;
    const char *offer = plan.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "";
    char *out = (char *)reserve(link, 1024);
    int length = snprintf(
        out, 1024,
        "GET %.500s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
        "Sec-WebSocket-Version: 13\r\n%s\r\n",
        plan.path, plan.port, key, offer);
    link->out_length = (size_t)length;
    link->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (link->fd < 0) {
        link_fail(link, ERROR_CONNECT, "socket: %s", strerror(errno));
        return;
    }
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(link->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        link_fail(link, ERROR_CONNECT, "connect: %s", strerror(errno));
        return;
    }
    watch(link, EPOLL_CTL_ADD, false);
    /* Over the loopback the connection is there already; otherwise this asks for EPOLLOUT. */
    link_flush(link);
}

/* --- the handshake's answer -------------------------------------------------------------------------------------------------- */

/* The value of the field called `name` in a head that ends with a NUL; NULL when it is not there. */
static const char *field(const char *head, const char *name, size_t *length) {
    size_t name_length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_length) || line[name_length] != ':') continue;
        line += name_length + 1;
        line += strspn(line, " \t");
        *length = strcspn(line, "\r");
        while (*length && (line[*length - 1] == ' ' || line[*length - 1] == '\t')) --*length;
        return line;
    }
    return NULL;
}

static bool field_is(const char *head, const char *name, const char *expected) {
    size_t length;
    const char *value = field(head, name, &length);
    return value && length == strlen(expected) && !strncasecmp(value, expected, length);
}

static bool extensions_are_right(struct link *link, const char *head) {
    size_t length = 0;
    const char *value = field(head, "sec-websocket-extensions", &length), *bits;
    if (!plan.deflate) {
        if (value) link_fail(link, ERROR_HANDSHAKE, "extensions that were not offered: %.*s", (int)length, value);
        return !value;
    }
    if (!value || strncmp(value, "permessage-deflate", 18)) {
        link_fail(link, ERROR_HANDSHAKE, "declines permessage-deflate");
        return false;
    }
    bits = memmem(value, length, "client_max_window_bits=", 23);
    start_inflater(link);
    return pack(link, bits ? atoi(bits + 23 + (bits[23] == '"')) : 15);
}

/* Look at a whole head, which ends with a NUL. */
static bool accepts(struct link *link, const char *head) {
    size_t length;
    const char *accept = field(head, "sec-websocket-accept", &length);
    if (strncmp(head, "HTTP/1.1 101", 12)) {
        link_fail(link, ERROR_HANDSHAKE, "refuses the handshake: %.*s", (int)strcspn(head, "\r"), head);
    } else if (!field_is(head, "upgrade", "websocket") || !field_is(head, "connection", "upgrade")) {
        link_fail(link, ERROR_HANDSHAKE, "Upgrade or Connection is not what it should be");
    } else if (!accept || length != ACCEPT_SIZE - 1 || memcmp(accept, link->accept, length)) {
        link_fail(link, ERROR_HANDSHAKE, "Sec-WebSocket-Accept is not that of the key");
    } else if (field(head, "sec-websocket-protocol", &length)) {
        link_fail(link, ERROR_HANDSHAKE, "a subprotocol that was not offered");
    } else {
        return extensions_are_right(link, head);
    }
    return false;
}

/* --- input ----------------------------------------------------------------------------------------------------------------- */

/* Compare what has come with what was sent, byte for byte. */
static bool content_matches(struct link *link, const unsigned char *data, size_t length) {
    size_t at = link->offset;
    if (length > plan.length - at) return false;
    link->offset += length;
    size_t stamped = at < plan.stamp_length ? plan.stamp_length - at : 0;
    if (stamped > length) stamped = length;
    if (stamped && memcmp(link->stamp + at, data, stamped)) return false;
    return !memcmp(message_of(link->received) + at + stamped, data + stamped, length - stamped);
}

static void begin_frame(struct link *link) {
    int first = link->head[0], opcode = first & 15;
    uint64_t length = link->frame_left = stated_length(link->head);
    if (link->head[1] & MASKED) return link_fail(link, ERROR_PROTOCOL, "a masked frame");
    if (opcode & 8) {
        link->inbox_length = 0;
        if (opcode > PONG || first != (FIN | opcode) || length > MAX_CONTROL_BYTES)
            link_fail(link, ERROR_PROTOCOL, "a control frame that begins %02x %02x", first, link->head[1]);
        return;
    }
    bool is_compressed = first & COMPRESSED;
    if (first & 0x30 || (is_compressed && (!plan.deflate || link->in_message)))
        return link_fail(link, ERROR_PROTOCOL, "a frame that begins %02x", first);
    if (link->in_message != (opcode == CONTINUATION) || (opcode && opcode != plan.opcode))
        return link_fail(link, ERROR_PROTOCOL, "a frame with opcode %d", opcode);
    if (link->in_message) return;
    link->in_message = true;
    link->is_compressed = is_compressed;
    link->offset = 0;
    write_stamp(link->stamp, link->source, link->received);
}

static bool take_payload(struct link *link, const unsigned char *data, size_t length) {
    if (link->head[0] & 8) {
        memcpy(link->inbox + link->inbox_length, data, length);
        link->inbox_length += length;
    } else if (!(link->is_compressed ? inflated_matches(link, data, length) : content_matches(link, data, length))) {
        link_fail(link, ERROR_CONTENT, "message %u is not what was sent", link->received);
        return false;
    }
    link->frame_left -= length;
    return true;
}

static void end_control(struct link *link) {
    int opcode = link->head[0] & 15;
    unsigned code = link->inbox_length < 2 ? 0 : (unsigned)link->inbox[0] << 8 | link->inbox[1];
    if (opcode == PING) {
        queue_frame(link, FIN | PONG, link->inbox, link->inbox_length, link->inbox, 0);
    } else if (opcode == CLOSE && link->state != LINK_CLOSING) {
        link_fail(link, ERROR_CLOSE, "closes with %u", code);
    } else if (opcode == CLOSE && link->inbox_length && code != 1000) {
        link_fail(link, ERROR_CLOSE, "answers 1000 with %u", code);
    } else if (opcode == CLOSE) {
        link->state = LINK_ENDING;
    }
}

static void end_frame(struct link *link, uint64_t now) {
    static const unsigned char tail[4] = {0, 0, 0xff, 0xff};
    if (link->head[0] & 8) return end_control(link);
    if (!(link->head[0] & FIN)) return;
    link->in_message = false;
    bool is_right = !link->is_compressed || inflated_matches(link, tail, sizeof tail);
    if (!is_right || link->offset != plan.length)
        return link_fail(link, ERROR_CONTENT, "%zu bytes in message %u, not %zu", link->offset, link->received, plan.length);
    link->received++;
    on_message(link, now);
}

/* Take `data` apart; it may begin and end anywhere. */
static void take(struct link *link, const unsigned char *data, size_t length, uint64_t now) {
    while (link->state == LINK_OPEN || link->state == LINK_CLOSING) {
        size_t missing, part;
        while ((missing = head_bytes(link->head, link->head_length) - link->head_length) && length) {
            part = missing < length ? missing : length;
            memcpy(link->head + link->head_length, data, part);
            link->head_length += part, data += part, length -= part;
            if (link->head_length == head_bytes(link->head, link->head_length)) begin_frame(link);
        }
        if (missing || link->state == LINK_ENDED) return;
        part = link->frame_left < length ? (size_t)link->frame_left : length;
        if (!take_payload(link, data, part)) return;
        data += part, length -= part;
        if (link->frame_left) return;
        link->head_length = 0;
        end_frame(link, now);
    }
    if (link->state == LINK_ENDING && length) link_fail(link, ERROR_CLOSE, "%zu bytes after the close frame", length);
}

static void take_answer(struct link *link, const unsigned char *data, size_t length, uint64_t now) {
    char *head = (char *)link->inbox, *head_end;
    if (length > sizeof link->inbox - 1 - link->inbox_length) return link_fail(link, ERROR_HANDSHAKE, "a very long answer");
    memcpy(link->inbox + link->inbox_length, data, length);
    link->inbox_length += length;
    head_end = memmem(head, link->inbox_length, "\r\n\r\n", 4);
    if (!head_end) return;
    head_end[2] = 0;
    /* What follows lies at the end of `data`. */
    size_t rest = link->inbox_length - (size_t)(head_end + 4 - head);
    if (!accepts(link, head)) return;
    link->state = LINK_OPEN;
    link->is_open = true;
    on_open(link);
    take(link, data + length - rest, rest, now);
}

static void on_readable(struct link *link) {
    static unsigned char buffer[1 << 18];
    ssize_t got = recv(link->fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN) return;
    uint64_t now = now_ns();
    if (link->state == LINK_ENDING && (got <= 0)) return end(link, now);
    if (got < 0) return link_fail(link, link->state == LINK_OPENING ? ERROR_CONNECT : ERROR_PROTOCOL, "recv: %s", strerror(errno));
    if (got == 0 && link->state == LINK_OPENING) return link_fail(link, ERROR_HANDSHAKE, "ends the connection in the handshake");
    if (got == 0) return link_fail(link, ERROR_CLOSE, "ends the connection without a close frame");
    if (link->state == LINK_OPENING) {
        take_answer(link, buffer, (size_t)got, now);
    } else if (link->state == LINK_ENDING) {
        link_fail(link, ERROR_CLOSE, "%zd bytes after the close frame", got);
    } else {
        take(link, buffer, (size_t)got, now);
    }
    link_flush(link);
}

void link_on_event(struct link *link, uint32_t events) {
    if (events & EPOLLOUT) link_flush(link);
    if (link->state != LINK_ENDED && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(link);
}
