/* The driver behind ws_stream.h: what src/picocorn/websocket/reader_c.pyx does, without Python. */
#include "ws_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../utf8.h"

struct driver {
    const struct ws_stream_settings *settings;
    struct text *out;
    const uint8_t *at;
    const uint8_t *end;
    uint8_t head[PC_WS_CLIENT_HEADER_BYTES];
    size_t head_bytes;
    struct pc_ws_place place;
    struct pc_ws_header frame;
    uint64_t left;
    int in_frame;
    int is_closed;
    unsigned opcode; /* of the message */
    int is_compressed;
    struct pc_utf8 utf8;
    struct text message;
    struct text control;
};

static void describe(struct text *out, const char *label, const uint8_t *bytes, size_t length) {
    char line[60];
    /* With its length, so that no two outcomes read alike. */
    snprintf(line, sizeof line, "%s[%zu] ", label, length);
    text_add_string(out, line);
    text_add(out, bytes, length);
    text_add_string(out, "\n");
}

/* The payload at `driver->at`, unmasked into memory of just that size, so that a sanitizer sees what is written around it. */
static uint8_t *unmasked(struct driver *driver, size_t size, int *is_ascii) {
    const struct pc_ws_mask_kernel *kernel = driver->settings->kernel;
    uint8_t *plain = malloc(size > 0 ? size : 1);
    if (plain == NULL) {
        perror("malloc");
        abort();
    }
    *is_ascii = kernel->unmask_ascii(plain, driver->at, size, driver->frame.mask);
    /* The other operation, in place: there and back. */
    kernel->unmask(plain, plain, size, driver->frame.mask);
    kernel->unmask(plain, plain, size, driver->frame.mask);
    driver->frame.mask = pc_ws_mask_rotate(driver->frame.mask, size);
    driver->at += size;
    driver->left -= size;
    return plain;
}

static enum pc_ws_status finish_control(struct driver *driver) {
    const struct text *payload = &driver->control;
    if (driver->frame.opcode != PC_WS_CLOSE) {
        describe(driver->out, driver->frame.opcode == PC_WS_PING ? "ping" : "pong", payload->bytes, payload->length);
        return PC_WS_OK;
    }
    unsigned code;
    char label[20];
    enum pc_ws_status status = pc_ws_decode_close(payload->length > 0 ? payload->bytes : (const uint8_t *)"", payload->length, &code);
    if (status == PC_WS_OK) {
        size_t code_bytes = payload->length > 0 ? 2 : 0;
        snprintf(label, sizeof label, "close %u ", code);
        describe(driver->out, label, code_bytes > 0 ? payload->bytes + code_bytes : NULL, payload->length - code_bytes);
        driver->is_closed = 1;
    }
    return status;
}

static enum pc_ws_status finish_message(struct driver *driver) {
    int is_text = driver->opcode == PC_WS_TEXT;
    if (is_text && !driver->is_compressed && !pc_utf8_is_complete(&driver->utf8)) {
        return PC_WS_ERR_TEXT_UTF8;
    }
    describe(driver->out, driver->is_compressed ? "compressed" : is_text ? "text" : "binary", driver->message.bytes,
             driver->message.length);
    text_clear(&driver->message);
    driver->place.in_message = 0;
    driver->place.room_bytes = driver->settings->max_size_bytes;
    return PC_WS_OK;
}

static enum pc_ws_status take_data(struct driver *driver, const uint8_t *plain, size_t size, int is_ascii) {
    text_add(&driver->message, plain, size);
    if (driver->is_compressed) {
        return PC_WS_OK;
    }
    driver->place.room_bytes -= size;
    if (driver->opcode != PC_WS_TEXT || (is_ascii && pc_utf8_is_complete(&driver->utf8))) {
        return PC_WS_OK;
    }
    return pc_utf8_feed(&driver->utf8, plain, size) ? PC_WS_OK : PC_WS_ERR_TEXT_UTF8;
}

static enum pc_ws_status read_payload(struct driver *driver) {
    size_t size = (size_t)(driver->end - driver->at);
    enum pc_ws_status status = PC_WS_OK;
    int is_ascii;
    if (size > driver->left) {
        size = (size_t)driver->left;
    }
    int is_control = driver->frame.opcode >= PC_WS_CLOSE;
    uint8_t *plain = unmasked(driver, size, &is_ascii);
    if (is_control) {
        text_add(&driver->control, plain, size);
    } else {
        status = take_data(driver, plain, size, is_ascii);
    }
    free(plain);
    if (status != PC_WS_OK) {
        return status;
    }
    if (driver->left > 0) {
        return PC_WS_NEED_DATA;
    }
    driver->in_frame = 0;
    if (is_control) {
        return finish_control(driver);
    }
    return driver->frame.fin ? finish_message(driver) : PC_WS_OK;
}

static enum pc_ws_status read_header(struct driver *driver) {
    size_t fresh = (size_t)(driver->end - driver->at);
    enum pc_ws_status status;
    if (driver->head_bytes == 0) {
        status = pc_ws_decode_header(&driver->place, driver->at, fresh, &driver->frame);
    } else {
        size_t room = sizeof driver->head - driver->head_bytes;
        memcpy(driver->head + driver->head_bytes, driver->at, fresh < room ? fresh : room);
        status = pc_ws_decode_header(&driver->place, driver->head, driver->head_bytes + (fresh < room ? fresh : room), &driver->frame);
    }
    if (status == PC_WS_NEED_DATA) {
        /* No header is longer, so all that is there belongs to it. */
        memcpy(driver->head + driver->head_bytes, driver->at, fresh);
        driver->head_bytes += fresh;
        driver->at = driver->end;
    }
    if (status != PC_WS_OK) {
        return status;
    }
    driver->at += driver->frame.bytes - driver->head_bytes;
    driver->head_bytes = 0;
    driver->left = driver->frame.payload_bytes;
    driver->in_frame = 1;
    text_clear(&driver->control);
    if (driver->frame.opcode == PC_WS_TEXT || driver->frame.opcode == PC_WS_BINARY) {
        driver->opcode = driver->frame.opcode;
        driver->is_compressed = driver->frame.compressed;
        driver->place.in_message = 1;
        driver->utf8 = (struct pc_utf8){0};
        if (driver->is_compressed) {
            driver->place.room_bytes = PC_WS_UNLIMITED;
        }
    }
    return PC_WS_OK;
}

static enum pc_ws_status drain(struct driver *driver) {
    enum pc_ws_status status = PC_WS_OK;
    while (status == PC_WS_OK && !driver->is_closed) {
        status = driver->in_frame ? read_payload(driver) : read_header(driver);
    }
    return driver->is_closed ? PC_WS_NEED_DATA : status;
}

void ws_stream_run(const struct ws_stream_settings *settings, const uint8_t *stream, size_t length, const size_t *cuts,
                   size_t cut_count, ws_place_fn place, void *context, struct text *out) {
    struct driver driver = {.settings = settings,
                            .out = out,
                            .place = {.room_bytes = settings->max_size_bytes, .may_compress = settings->may_compress != 0}};
    enum pc_ws_status status = PC_WS_NEED_DATA;
    size_t begin = 0;
    for (size_t i = 0; i <= cut_count && status == PC_WS_NEED_DATA && !driver.is_closed; i++) {
        size_t end = i < cut_count ? cuts[i] : length;
        driver.at = place(context, end > begin ? stream + begin : (const uint8_t *)"", end - begin);
        driver.end = driver.at + (end - begin);
        status = drain(&driver);
        begin = end;
    }
    if (status != PC_WS_NEED_DATA) {
        text_add_string(out, "error ");
        text_add_string(out, pc_ws_status_name(status));
    } else {
        int is_between = driver.is_closed || (!driver.in_frame && !driver.place.in_message && driver.head_bytes == 0);
        text_add_string(out, is_between ? "need-data" : "mid-message");
    }
    text_clear(&driver.message);
    text_clear(&driver.control);
}
