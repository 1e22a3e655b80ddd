/* The floor of the WebSocket rows: what the kernel alone costs. One epoll loop that shakes hands, unmasks and sends back whatever
 * message comes; no text is validated, no fragment joined, nothing but the key looked at. Usage: websocket_floor PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "websocket_wire.h"

struct connection {
    int fd;
    bool is_open;
    size_t length, capacity;
    unsigned char *bytes;
};

/* Sockets block when they are written to: the client reads all the time. */
static bool send_all(int fd, const void *bytes, size_t length) {
    while (length) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0) return false;
        bytes = (const char *)bytes + sent, length -= (size_t)sent;
    }
    return true;
}

/* Answer the request at the beginning of `bytes`; return its length, 0 when it is not whole, or -1. */
static ssize_t shake_hands(struct connection *connection) {
    char answer[256], accept[ACCEPT_SIZE], *request = (char *)connection->bytes;
    char *end = memmem(request, connection->length, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    char *key = strcasestr(request, "\r\nsec-websocket-key: ");
    if (!key || end - key < 21 + 24) return -1;
    accept_value(key + 21, accept);
    int length = snprintf(
        answer, sizeof answer,
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %s\r\n\r\n", accept);
    connection->is_open = true;
    return send_all(connection->fd, answer, (size_t)length) ? end + 4 - request : -1;
}

/* Make the frame at `bytes` into its answer, at `out`, which is at or before `bytes`; return its length, 0 when it is not whole. */
static size_t unmask(const unsigned char *bytes, size_t have, unsigned char *out) {
    unsigned char key[4];
    size_t head = head_bytes(bytes, have);
    if (have < head + 4) return 0;
    size_t length = stated_length(bytes);
    if (have < head + 4 + length) return 0;
    memcpy(key, bytes + head, 4);
    size_t written = write_head(out, bytes[0], 0, length);
    apply_mask(out + written, bytes + head + 4, length, key);
    return head + 4 + length;
}

/* Send back all whole frames; return how many bytes they take, or -1 when the connection has ended. */
static ssize_t echo(struct connection *connection) {
    unsigned char *bytes = connection->bytes;
    size_t at = 0, out = 0, used;
    int first = 0;
    while (first != CLOSE && (used = unmask(bytes + at, connection->length - at, bytes + out))) {
        first = bytes[out] & 15;
        at += used;
        /* The key is left out. */
        out += used - 4;
    }
    return send_all(connection->fd, bytes, out) && first != CLOSE ? (ssize_t)at : -1;
}

/* Read once and answer what is whole; false when the connection has ended. */
static bool serve(struct connection *connection) {
    if (connection->length == connection->capacity) {
        connection->capacity = connection->capacity ? connection->capacity * 2 : 4096;
        connection->bytes = realloc(connection->bytes, connection->capacity);
        if (!connection->bytes) abort();
    }
    size_t room = connection->capacity - connection->length;
    ssize_t got = recv(connection->fd, connection->bytes + connection->length, room, MSG_DONTWAIT);
    if (got <= 0) return false;
    connection->length += (size_t)got;
    /* No client sends a frame before it has the answer to its handshake. */
    ssize_t used = connection->is_open ? echo(connection) : shake_hands(connection);
    if (used < 0) return false;
    connection->length -= (size_t)used;
    memmove(connection->bytes, connection->bytes + used, connection->length);
    return true;
}

static void watch(int epoll, struct connection *connection) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

int main(int argc, char **argv) {
    int on = 1, epoll = epoll_create1(0);
    struct connection listener = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "8000"))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener.fd, (struct sockaddr *)&address, sizeof address) || listen(listener.fd, 2048)) return 1;
    watch(epoll, &listener);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == &listener) {
                int fd = accept(listener.fd, NULL, NULL);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                connection = calloc(1, sizeof *connection);
                if (!connection) abort();
                connection->fd = fd;
                watch(epoll, connection);
            } else if (!serve(connection)) {
                close(connection->fd);
                free(connection->bytes);
                free(connection);
            }
        }
    }
}
