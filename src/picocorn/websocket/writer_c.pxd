# The WebSocket frame writer over csrc/websocket.h. Twin of writer_py.py, whose docstrings say what each function means.

from libc.stdint cimport uint8_t, uint64_t


cdef extern from "websocket.h" nogil:
    enum:
        PC_WS_TEXT
        PC_WS_CLOSE
        PC_WS_SERVER_HEADER_BYTES
        PC_WS_CLOSE_REASON_BYTES
        PC_WS_NO_CLOSE_CODE

    size_t pc_ws_encode_header(uint8_t *out, unsigned opcode, int compressed, uint64_t payload_bytes)
    int pc_ws_close_code_may_be_sent(unsigned code)


cpdef list encode_frame(int opcode, object payload, bint compressed=*)
cpdef list encode_text(object text)
cpdef bytes encode_close(object code, object reason)
