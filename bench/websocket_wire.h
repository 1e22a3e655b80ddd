/* What the WebSocket load generator and the floor share: the answer to a key, heads of frames, masks (RFC 6455). No sockets. */
#ifndef WEBSOCKET_WIRE_H
#define WEBSOCKET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { FIN = 0x80, COMPRESSED = 0x40, MASKED = 0x80 };
enum { MAX_HEAD_BYTES = 14, MAX_CONTROL_BYTES = 125 };
/* 16 and 20 bytes in base64, with a NUL */
enum { KEY_SIZE = 25, ACCEPT_SIZE = 29 };

static inline uint32_t rotated(uint32_t value, int by) { return value << by | value >> (32 - by); }

static inline void sha1_block(uint32_t state[5], const unsigned char *block) {
    uint32_t words[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++) {
        const unsigned char *at = block + 4 * i;
        words[i] = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    }
    for (int i = 16; i < 80; i++) words[i] = rotated(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t mixed = i < 20   ? (d ^ (b & (c ^ d))) + 0x5a827999
                         : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                         : i < 60 ? ((b & c) | (d & (b | c))) + 0x8f1bbcdc
                                  : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotated(a, 5) + mixed + e + words[i];
        e = d, d = c, c = rotated(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* FIPS 180-4, for up to 119 bytes: a key and what is added to it are 60. */
static inline void sha1(const void *data, size_t length, unsigned char digest[20]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    unsigned char padded[128] = {0};
    size_t blocks = (length + 8) / 64 + 1;
    memcpy(padded, data, length);
    padded[length] = 0x80;
    padded[blocks * 64 - 2] = (unsigned char)(length * 8 >> 8);
    padded[blocks * 64 - 1] = (unsigned char)(length * 8);
    for (size_t i = 0; i < blocks; i++) sha1_block(state, padded + 64 * i);
    for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(state[i / 4] >> (24 - i % 4 * 8));
}

/* `out` has room for four characters for every three bytes, and a NUL. */
static inline void base64(const unsigned char *data, size_t length, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < length; at += 3) {
        size_t left = length - at;
        uint32_t word = (uint32_t)data[at] << 16 | (left > 1 ? (uint32_t)data[at + 1] << 8 : 0) | (left > 2 ? data[at + 2] : 0);
        *out++ = digits[word >> 18];
        *out++ = digits[word >> 12 & 63];
        *out++ = left > 1 ? digits[word >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[word & 63] : '=';
    }
    *out = 0;
}

/* RFC 6455, 4.2.2, 5.4: what proves that a server has read `key`, which has 24 characters. */
static inline void accept_value(const char *key, char accept[ACCEPT_SIZE]) {
    char joined[61];
    unsigned char digest[20];
    memcpy(joined, key, 24);
    memcpy(joined + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 37);
    sha1(joined, 60, digest);
    base64(digest, 20, accept);
}

/* How many bytes the head takes of which `have` are at `head`; at least as many as can be said yet. The key is not counted. */
static inline size_t head_bytes(const unsigned char *head, size_t have) {
    unsigned length = have < 2 ? 0 : head[1] & 127;
    return length == 127 ? 10 : length == 126 ? 4 : 2;
}

/* The length that a whole head states. */
static inline uint64_t stated_length(const unsigned char *head) {
    uint64_t length = head[1] & 127;
    size_t end = head_bytes(head, 2);
    if (end == 2) return length;
    length = 0;
    for (size_t i = 2; i < end; i++) length = length << 8 | head[i];
    return length;
}

/* Write a head without key: `first` is the opcode with its bits; return how many bytes it takes. */
static inline size_t write_head(unsigned char *out, int first, int masked, uint64_t length) {
    size_t end = length < 126 ? 2 : length < 65536 ? 4 : 10;
    out[0] = (unsigned char)first;
    out[1] = (unsigned char)(masked | (end == 2 ? (int)length : end == 4 ? 126 : 127));
    for (size_t i = end; i > 2; i--, length >>= 8) out[i - 1] = (unsigned char)length;
    return end;
}

/* Mask or unmask; `from` may be `to`. */
static inline void apply_mask(unsigned char *to, const unsigned char *from, size_t length, const unsigned char key[4]) {
    uint32_t narrow;
    memcpy(&narrow, key, 4);
    uint64_t wide = (uint64_t)narrow << 32 | narrow;
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t word;
        memcpy(&word, from + at, 8);
        word ^= wide;
        memcpy(to + at, &word, 8);
    }
    for (; at < length; at++) to[at] = from[at] ^ key[at & 3];
}

#endif
