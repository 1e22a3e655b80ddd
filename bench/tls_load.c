/* The load of TLS handshakes: one thread, one epoll, and a new connection for each request, without resumption. Prints JSON.
 *
 * tls_load --port PORT [--connections N] [--seconds S] [--content TEXT] [--patience S]
 *
 * Each of N places connects, shakes hands, sends a GET that ends the connection, reads to the server's close_notify, answers it,
 * closes, and begins anew; it counts when the status is 200 and the answer ends with TEXT. No certificate is verified; that the server
 * has its key is, as in every handshake. One line: {"connections", "seconds", "per_second", "p50_us", "p99_us", "resumed",
 * "unannounced" (ends without close_notify), "protocol", "cipher", "group", "errors", "first_error"}. Exit status: 0, or 2 when it
 * cannot be run so. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ANSWER = 8192, MAX_CONNECTIONS = 4096, EVENTS = 256 };

struct place {
    int fd;
    SSL *ssl;
    uint64_t began_ns;
    size_t length;
    bool has_sent;
    char answer[MAX_ANSWER];
};

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
static const unsigned char alpn[] = "\x08http/1.1";

static const char *content = "Hello, World!";
static struct sockaddr_in address;
static SSL_CTX *context;
static int epoll;
static uint64_t connections, room, resumed, unannounced, errors;
static uint32_t *latencies_us;
static char first_error[200], protocol[32], cipher[64], group[64];

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void drop(struct place *place) {
    SSL_free(place->ssl);
    close(place->fd);
    place->ssl = NULL;
}

static void fail(struct place *place, const char *what, const char *why) {
    if (!errors++) snprintf(first_error, sizeof first_error, "%s: %s", what, why ? why : "unknown");
    drop(place);
}

static void begin(struct place *place) {
    int on = 1;
    *place = (struct place){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .ssl = SSL_new(context), .began_ns = now_ns()};
    setsockopt(place->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(place->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        fail(place, "connect", strerror(errno));
        return;
    }
    SSL_set_fd(place->ssl, place->fd);
    SSL_set_connect_state(place->ssl);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = place};
    epoll_ctl(epoll, EPOLL_CTL_ADD, place->fd, &event);
}

static void name_parameters(SSL *ssl) {
    if (*protocol) return;
    int known = SSL_get_negotiated_group(ssl);
    const char *named = known > 0 ? OBJ_nid2sn(known) : NULL;
    snprintf(protocol, sizeof protocol, "%s", SSL_get_version(ssl));
    snprintf(cipher, sizeof cipher, "%s", SSL_get_cipher_name(ssl));
    snprintf(group, sizeof group, "%s", named ? named : "unknown");
}

/* The answer has ended: is it the right one? */
static void finish(struct place *place) {
    size_t wanted = strlen(content);
    if (place->length < 12 + wanted || memcmp(place->answer, "HTTP/1.1 200", 12) ||
        memcmp(place->answer + place->length - wanted, content, wanted)) {
        place->answer[place->length < 60 ? place->length : 60] = 0;
        place->answer[strcspn(place->answer, "\"\\\r\n")] = 0;
        fail(place, "answer", place->length ? place->answer : "nothing");
        return;
    }
    resumed += (uint64_t)SSL_session_reused(place->ssl);
    name_parameters(place->ssl);
    if (connections == room) latencies_us = realloc(latencies_us, (room = room ? room * 2 : 4096) * sizeof *latencies_us);
    latencies_us[connections++] = (uint32_t)((now_ns() - place->began_ns) / 1000);
    drop(place);
}

/* What OpenSSL could not do: true when it can go on later, and the place is settled otherwise. */
static bool waits(struct place *place, int result, const char *what) {
    int reason = SSL_get_error(place->ssl, result);
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) return true;
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    fail(place, what, why ? why : errno ? strerror(errno) : "the connection is closed");
    return false;
}

static void go_on(struct place *place) {
    ERR_clear_error();
    errno = 0;
    if (!place->has_sent) {
        int done = SSL_do_handshake(place->ssl);
        if (done != 1) {
            waits(place, done, "handshake");
            return;
        }
        /* It fits into any socket buffer: a partial write does not happen. */
        if ((done = SSL_write(place->ssl, request, sizeof request - 1)) <= 0) {
            waits(place, done, "request");
            return;
        }
        place->has_sent = true;
    }
    for (;;) {
        if (place->length == MAX_ANSWER) {
            fail(place, "answer", "too long");
            return;
        }
        int done = SSL_read(place->ssl, place->answer + place->length, (int)(MAX_ANSWER - place->length));
        if (done > 0) {
            place->length += (size_t)done;
            continue;
        }
        int reason = SSL_get_error(place->ssl, done);
        bool is_cut = reason == SSL_ERROR_SSL && ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
        if (reason == SSL_ERROR_ZERO_RETURN || is_cut) {
            unannounced += is_cut;
            /* A server may wait for the answer to its close_notify. */
            if (!is_cut) SSL_shutdown(place->ssl);
            finish(place);
        } else {
            waits(place, done, "answer");
        }
        return;
    }
}

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static void print(double seconds) {
    if (connections) qsort(latencies_us, connections, sizeof *latencies_us, by_size);
    unsigned p50 = connections ? latencies_us[connections / 2] : 0, p99 = connections ? latencies_us[connections * 99 / 100] : 0;
    printf("{\"connections\": %ju, \"seconds\": %.6f, \"per_second\": %.2f, \"p50_us\": %u, \"p99_us\": %u, "
           "\"resumed\": %ju, \"unannounced\": %ju, \"protocol\": \"%s\", \"cipher\": \"%s\", \"group\": \"%s\", "
           "\"errors\": %ju, \"first_error\": \"%s\"}\n",
           (uintmax_t)connections, seconds, (double)connections / seconds, p50, p99, (uintmax_t)resumed, (uintmax_t)unannounced,
           protocol, cipher, group, (uintmax_t)errors, first_error);
}

/* All places, over and over, until the time is up: then what is on its way is left alone. */
static void run(struct place *places, unsigned count, double seconds, double patience_seconds) {
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9), progress = began, before = 0;
    for (unsigned i = 0; i < count && !errors; i++) begin(&places[i]);
    while (!errors && now_ns() < end) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, 10);
        for (int i = 0; i < ready && !errors; i++) {
            struct place *place = events[i].data.ptr;
            go_on(place);
            if (!place->ssl && !errors) begin(place);
        }
        if (connections > before) {
            before = connections;
            progress = now_ns();
        } else if ((double)(now_ns() - progress) > patience_seconds * 1e9) {
            errors++;
            snprintf(first_error, sizeof first_error, "timeout: not one connection in %g seconds", patience_seconds);
        }
    }
    print((double)(now_ns() - began) / 1e9);
}

static SSL_CTX *new_context(void) {
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());
    /* What most clients offer first, on every server. */
    if (made && (!SSL_CTX_set1_groups_list(made, "X25519:P-256") || SSL_CTX_set_alpn_protos(made, alpn, sizeof alpn - 1))) return NULL;
    if (made) SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
    return made;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"port", 1, 0, 'p'},    {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'},
                                            {"content", 1, 0, 't'}, {"patience", 1, 0, 'w'},    {0, 0, 0, 0}};
    double seconds = 1, patience_seconds = 10;
    unsigned count = 32;
    int option, port = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p') port = atoi(optarg);
        if (option == 'c') count = (unsigned)atoi(optarg);
        if (option == 's') seconds = atof(optarg);
        if (option == 't') content = optarg;
        if (option == 'w') patience_seconds = atof(optarg);
        if (option == '?') return 2;
    }
    if (port < 1 || port > 65535 || count < 1 || count > MAX_CONNECTIONS || seconds <= 0) {
        fprintf(stderr, "tls_load: needs --port, 1 to %d --connections, and --seconds\n", MAX_CONNECTIONS);
        return 2;
    }
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    epoll = epoll_create1(0);
    context = new_context();
    struct place *places = calloc(count, sizeof *places);
    if (epoll < 0 || !context || !places) {
        fprintf(stderr, "tls_load: cannot start\n");
        return 2;
    }
    run(places, count, seconds, patience_seconds);
    return 0;
}
