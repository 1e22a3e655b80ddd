/* The WebSocket load generator: one thread, one epoll, many connections, and a mode that says what they do. Prints JSON.
 *
 * websocket_load --port PORT --mode MODE --message FILE [--sockets N] [--seconds S] [--depth D] [--binary] [--deflate] [--path P]
 *                [--pieces N] [--patience S] [--stepped]
 *
 * echo       each socket sends the message, awaits it, sends it again; --depth messages of each are on their way at a time
 * broadcast  the first socket sends, the application passes it on to all others; --depth messages are on their way at a time
 * churn      connect, one echo, close handshake, end of the connection, and again
 * idle       the sockets rest; then each has one echo
 *
 * Three lines: {"opened"} when all sockets are open, {"messages", "seconds", "per_second", "p50_us", "p99_us", "max_us"}
 * after the load, {"errors", "error_count", "first_error"} after the close handshakes. "messages" are echoes, deliveries to one
 * receiver, or whole connections. With --stepped a line has to come on stdin after each of the first two, so that
 * whoever started this can look at the server in between. --patience (10 seconds) is how long the sockets may take to open when none
 * of them does, to answer what is left after the load, and to end. Exit status: 0, or 2 when it cannot be run so.
 *
 * With --pieces the file is so many messages of one length, which each socket sends in turn: what has been compressed once should not
 * be all that is ever compressed.
 *
 * First bytes of each message are overwritten with a stamp of 16 hexadecimal digits, different for all messages, unless it is shorter
 * than that or compressed; answers are compared with what was sent byte for byte. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "websocket_link.h"

enum mode { ECHO, BROADCAST, CHURN, IDLE, MODES };
static const char *const mode_names[MODES] = {"echo", "broadcast", "churn", "idle"};

/* So many are opened at a time: a server's backlog should not be what is measured. */
enum { OPENING_AT_ONCE = 64, BILLION = 1000000000 };

static enum mode mode;
static unsigned sockets = 32;
static double seconds = 1, patience_seconds = 10;
static bool is_stepped;

static struct link *links;
static unsigned opening, opened, ended;
static bool is_running, has_broken;
static uint64_t messages, finished_ns;
/* of the broadcast that was sent as number `sequence`, in place sequence % depth */
static unsigned delivered[MAX_DEPTH];

/* --- latencies: 64 places for every power of two, so 1.6% ------------------------------------------------------------------- */

static uint64_t histogram[64 * 60], slowest_ns;

static void record(uint64_t ns) {
    int shift = ns < 64 ? 0 : 63 - __builtin_clzll(ns) - 6;
    histogram[(shift << 6) + (int)(ns >> shift)]++;
    if (ns > slowest_ns) slowest_ns = ns;
    messages++;
}

static double percentile_us(double share) {
    uint64_t wanted = (uint64_t)(share * (double)messages), passed = 0;
    for (int place = 0; place < 64 * 60; place++) {
        passed += histogram[place];
        int shift = place < 128 ? 0 : (place >> 6) - 1;
        if (passed > wanted) return (double)((uint64_t)(place - (shift << 6)) << shift) / 1000;
    }
    return 0;
}

/* --- what a mode does when something happens ---------------------------------------------------------------------------------- */

static void first_messages(struct link *link) {
    uint64_t now = now_ns();
    for (unsigned i = 0; i < plan.depth; i++) link_queue_message(link, now);
    link_flush(link);
}

void on_open(struct link *link) {
    opening--, opened++;
    if (mode == CHURN) link_queue_message(link, now_ns());
}

static void on_delivery(struct link *link, uint64_t now) {
    struct link *sender = &links[0];
    unsigned place = (link->received - 1) % plan.depth;
    if (link == sender || link->received > sender->sent)
        return link_fail(link, ERROR_PROTOCOL, "a message that nobody has sent");
    record(now - sender->sent_ns[place]);
    if (++delivered[place] < sockets - 1) return;
    delivered[place] = 0;
    sender->received++;
    if (!is_running) return;
    link_queue_message(sender, now);
    link_flush(sender);
}

void on_message(struct link *link, uint64_t now) {
    finished_ns = now;
    if (mode == BROADCAST) return on_delivery(link, now);
    if (link->received > link->sent) return link_fail(link, ERROR_PROTOCOL, "a message that nobody has sent");
    if (mode == CHURN) return link_close(link);
    record(now - link->sent_ns[(link->received - 1) % plan.depth]);
    if (mode == ECHO && is_running) link_queue_message(link, now);
}

void on_end(struct link *link, uint64_t now) {
    if (link->has_failed) {
        /* Of a broadcast that one receiver misses, nobody will see the end. */
        has_broken |= mode == BROADCAST;
        opening -= !link->is_open;
        ended++;
        return;
    }
    finished_ns = now;
    if (mode != CHURN) {
        ended++;
        return;
    }
    record(now - link->began_ns);
    if (!is_running) {
        ended++;
        return;
    }
    link->began_ns = now;
    opening++;
    link_connect(link);
}

/* --- phases -------------------------------------------------------------------------------------------------------------------- */

/* Wait for the kernel and serve what it reports; false when `until` has passed. */
static bool turn(uint64_t until) {
    struct epoll_event events[256];
    uint64_t now = now_ns();
    if (now >= until) return false;
    int count = epoll_wait(plan.epoll, events, 256, (int)((until - now) / 1000000) + 1);
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr) link_on_event(events[i].data.ptr, events[i].events);
    return true;
}

static uint64_t from_now(double after) { return now_ns() + (uint64_t)(after * BILLION); }

/* End those that are in a state between `from` and `to`: nothing has come for long enough. */
static void give_up(enum link_state from, enum link_state to, bool only_unanswered, const char *what) {
    for (unsigned i = 0; i < sockets; i++) {
        struct link *link = &links[i];
        if (link->state < from || link->state > to || (only_unanswered && link->received >= link->sent)) continue;
        link_fail(link, ERROR_TIMEOUT, "%s within %g s", what, patience_seconds);
    }
}

static void open_all(void) {
    unsigned started = 0;
    uint64_t until = from_now(patience_seconds);
    while (started < sockets || opening) {
        unsigned before = opened;
        while (started < sockets && opening < OPENING_AT_ONCE) {
            opening++;
            link_connect(&links[started++]);
        }
        if (opening && !turn(until)) break;
        if (opened > before) until = from_now(patience_seconds);
    }
    give_up(LINK_OPENING, LINK_OPENING, false, "no answer to the handshake");
}

static bool is_answered(void) {
    if (has_broken || mode == CHURN) return has_broken || ended == sockets;
    for (unsigned i = 0; i < sockets; i++)
        if (links[i].state == LINK_OPEN && links[i].received < links[i].sent) return false;
    return true;
}

static void load(void) {
    uint64_t until = from_now(seconds);
    is_running = mode != IDLE;
    for (unsigned i = 0; i < (mode == BROADCAST ? 1 : sockets); i++) {
        struct link *link = &links[i];
        if (mode == CHURN) {
            link->began_ns = now_ns();
            opening++;
            link_connect(link);
        } else if (link->state == LINK_OPEN) {
            first_messages(link);
        }
    }
    while (is_running && ended < sockets && !has_broken && turn(until)) continue;
    is_running = false;
    until = from_now(patience_seconds);
    while (!is_answered() && turn(until)) continue;
    /* Of a broadcast it is the sender that counts: it has had its answer when all receivers have theirs. */
    if (!has_broken) give_up(LINK_OPENING, LINK_ENDING, mode != CHURN, "no answer");
}

static void close_all(void) {
    uint64_t until = from_now(patience_seconds);
    for (unsigned i = 0; i < sockets; i++) {
        if (links[i].state != LINK_OPEN) continue;
        link_close(&links[i]);
        link_flush(&links[i]);
    }
    while (ended < sockets && turn(until)) continue;
    give_up(LINK_CLOSING, LINK_CLOSING, false, "no close frame");
    give_up(LINK_ENDING, LINK_ENDING, false, "the connection is not ended");
}

/* Keep the sockets served until a line has come on stdin. */
static void await_step(void) {
    char byte;
    struct epoll_event event = {.events = EPOLLIN};
    if (!is_stepped) return;
    fflush(stdout);
    /* A file can be read at once. */
    bool is_polled = !epoll_ctl(plan.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    for (;;) {
        struct epoll_event events[256];
        bool is_ready = !is_polled;
        int count = is_polled ? epoll_wait(plan.epoll, events, 256, -1) : 0;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr) link_on_event(events[i].data.ptr, events[i].events);
            is_ready |= !events[i].data.ptr;
        }
        if (is_ready && (read(STDIN_FILENO, &byte, 1) != 1 || byte == '\n')) break;
    }
    if (is_polled) epoll_ctl(plan.epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

static void report_load(uint64_t began_ns) {
    double passed = finished_ns > began_ns ? (double)(finished_ns - began_ns) / BILLION : 0;
    printf("{\"messages\": %llu, \"seconds\": %.6f, \"per_second\": %.1f, ", (unsigned long long)messages, passed,
           passed > 0 ? (double)messages / passed : 0);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n", percentile_us(0.5), percentile_us(0.99),
           (double)slowest_ns / 1000);
}

static void report_errors(void) {
    unsigned long long count = 0;
    printf("{\"errors\": {");
    for (int kind = 0; kind < ERROR_KINDS; kind++) {
        count += plan.errors[kind];
        printf("%s\"%s\": %llu", kind ? ", " : "", error_names[kind], (unsigned long long)plan.errors[kind]);
    }
    printf("}, \"error_count\": %llu, \"first_error\": \"", count);
    /* It may hold what a server has sent. */
    for (const char *at = plan.first_error; *at; at++)
        if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\') printf("\\u%04x", (unsigned char)*at);
        else putchar(*at);
    printf("\"}\n");
}

/* --- the command line ------------------------------------------------------------------------------------------------------------ */

static _Noreturn void refuse(const char *why) {
    fprintf(stderr, "websocket_load: %s\n", why);
    exit(2);
}

static void read_message(const char *path) {
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file || fseek(file, 0, SEEK_END)) refuse("--message names no file that can be read");
    long size = ftell(file);
    unsigned char *bytes = malloc((size_t)size + 1);
    rewind(file);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) refuse("--message cannot be read");
    fclose(file);
    if (plan.pieces < 1 || (size_t)size % plan.pieces) refuse("--pieces does not divide the message");
    plan.messages = bytes;
    plan.length = (size_t)size / plan.pieces;
    plan.stamp_length = plan.deflate || plan.length < STAMP_BYTES ? 0 : STAMP_BYTES;
}

static void check_options(void) {
#ifndef WITH_ZLIB
    if (plan.deflate) refuse("--deflate: built without zlib");
#endif
    if (!plan.port) refuse("--port is missing");
    if (mode == MODES) refuse("--mode is none of echo, broadcast, churn, idle");
    if (sockets < (mode == BROADCAST ? 2 : 1)) refuse("--sockets is too small");
    if (plan.depth < 1 || plan.depth > MAX_DEPTH) refuse("--depth has to be from 1 to 64");
    if (plan.depth > 1 && (mode == CHURN || mode == IDLE)) refuse("--depth is for echo and broadcast");
    if (strlen(plan.path) > 500) refuse("--path is too long");
}

static void read_options(int argc, char **argv) {
    static const struct option names[] = {
        {"port", 1, 0, 'p'},    {"mode", 1, 0, 'm'},   {"message", 1, 0, 'f'}, {"sockets", 1, 0, 'n'}, {"seconds", 1, 0, 's'},
        {"depth", 1, 0, 'd'},   {"binary", 0, 0, 'b'}, {"deflate", 0, 0, 'z'}, {"path", 1, 0, 'u'},    {"stepped", 0, 0, 'i'},
        {"patience", 1, 0, 'w'}, {"pieces", 1, 0, 'c'}, {0, 0, 0, 0},
    };
    const char *message = NULL;
    plan.path = "/", plan.opcode = TEXT, plan.depth = plan.pieces = 1, mode = MODES;
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (name) {
        case 'p': plan.port = (uint16_t)atoi(optarg); break;
        case 'm':
            for (mode = ECHO; mode < MODES && strcmp(optarg, mode_names[mode]);) mode++;
            break;
        case 'f': message = optarg; break;
        case 'n': sockets = (unsigned)strtoul(optarg, NULL, 10); break;
        case 's': seconds = atof(optarg); break;
        case 'd': plan.depth = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'b': plan.opcode = BINARY; break;
        case 'z': plan.deflate = true; break;
        case 'u': plan.path = optarg; break;
        case 'i': is_stepped = true; break;
        case 'c': plan.pieces = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'w': patience_seconds = atof(optarg); break;
        default: exit(2);
        }
    }
    if (optind < argc) refuse("takes options only");
    check_options();
    read_message(message);
}

int main(int argc, char **argv) {
    struct rlimit files;
    read_options(argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    plan.epoll = epoll_create1(0);
    links = calloc(sockets, sizeof *links);
    if (!links || plan.epoll < 0) refuse("no memory");
    for (unsigned i = 0; i < sockets; i++) {
        links[i].fd = -1;
        links[i].number = i;
        links[i].source = mode == BROADCAST ? 0 : i;
    }
    if (mode != CHURN) open_all();
    printf("{\"opened\": %u}\n", opened);
    await_step();
    uint64_t began_ns = now_ns();
    load();
    report_load(began_ns);
    await_step();
    if (mode != CHURN) close_all();
    report_errors();
    return 0;
}
