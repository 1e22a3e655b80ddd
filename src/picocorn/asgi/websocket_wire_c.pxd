# C function table for websocket_wire_py.py, which is compiled a second time as websocket_wire_c.

cdef class WebSocketWire:
    cpdef object accept(self, object subprotocol, object headers)
    cpdef bint send_message(self, object data) except -1
    cpdef object close(self, int code, object reason)
    cpdef object reject(self, int status)
    cpdef object write_response_head(self, int status, object headers)
    cpdef bint write_response_body(self, bytes data, bint end) except -1
    cpdef object consume(self)
    cpdef bint is_blocked(self) except -1
    cpdef object drain(self)
    cpdef object fail(self)
    cpdef object application_ended(self)
