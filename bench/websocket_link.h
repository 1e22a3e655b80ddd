/* One connection of the WebSocket load generator: what it is told, and what it tells. Knows no mode. */
#ifndef WEBSOCKET_LINK_H
#define WEBSOCKET_LINK_H

#include "websocket_wire.h"

enum { MAX_DEPTH = 64, STAMP_BYTES = 16 };

enum link_state {
    LINK_UNUSED,
    LINK_OPENING,
    LINK_OPEN,
    /* our close frame is sent, the peer's is not here */
    LINK_CLOSING,
    /* both are: the server has to end the connection */
    LINK_ENDING,
    LINK_ENDED,
};

enum error_kind { ERROR_CONNECT, ERROR_HANDSHAKE, ERROR_PROTOCOL, ERROR_CONTENT, ERROR_CLOSE, ERROR_TIMEOUT, ERROR_KINDS };
extern const char *const error_names[ERROR_KINDS];

/* What all connections have in common. */
struct plan {
    int epoll;
    uint16_t port;
    const char *path;
    int opcode;
    unsigned depth;
    bool deflate;
    /* `pieces` messages of `length` bytes, one after the other; each socket sends them in this order, again and again */
    const unsigned char *messages;
    size_t length;
    unsigned pieces;
    /* so many bytes of a message say whose it is and which: STAMP_BYTES, or 0 */
    size_t stamp_length;
    uint64_t errors[ERROR_KINDS];
    char first_error[200];
};
extern struct plan plan;

struct link {
    int fd;
    enum link_state state;
    bool is_open, has_failed, is_writing;
    /* whose messages it sends, and whose it is sent */
    uint32_t number, source;
    uint32_t sent, received;
    uint64_t began_ns, sent_ns[MAX_DEPTH];
    /* the handshake, and then a control frame's payload */
    unsigned char inbox[4096];
    size_t inbox_length;
    char accept[ACCEPT_SIZE];
    /* the frame that arrives, and how much of its message has come */
    unsigned char head[MAX_HEAD_BYTES], stamp[STAMP_BYTES];
    size_t head_length;
    uint64_t frame_left;
    size_t offset;
    bool in_message, is_compressed;
    /* what waits to be sent */
    unsigned char *out;
    size_t out_at, out_length, out_capacity;
    void *inflater;
};

uint64_t now_ns(void);

/* Open a connection and ask for a WebSocket. */
void link_connect(struct link *link);
/* Put one message into the queue. */
void link_queue_message(struct link *link, uint64_t now);
/* Send what is queued, as far as the kernel takes it. */
void link_flush(struct link *link);
/* Begin the close handshake. */
void link_close(struct link *link);
/* The poller has something to say. */
void link_on_event(struct link *link, uint32_t events);
void link_fail(struct link *link, enum error_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The mode has these. What they queue is flushed by the connection. */
void on_open(struct link *link);
/* A whole message has come, and was right; received counts it. */
void on_message(struct link *link, uint64_t now);
/* It has failed, or both sides have closed it. */
void on_end(struct link *link, uint64_t now);

#endif
