# The HTTP/1 response writer over csrc/http1.h. Twin of writer_py.py, whose docstrings say what each function means.

from libc.stdint cimport int64_t, uint8_t, uint64_t


cdef extern from "http1.h" nogil:
    enum pc_status:
        PC_OK
        PC_ERR_FIELD_NAME

    struct pc_scan_kernel:
        pass

    const pc_scan_kernel *pc_scan_choose()

    enum:
        PC_HTTP1_FIELD_OVERHEAD
        PC_HTTP1_STATUS_OVERHEAD
        PC_HTTP1_CHUNK_PREFIX_BYTES

    enum pc_http1_response_field:
        PC_FIELD_OTHER
        PC_FIELD_CONTENT_LENGTH
        PC_FIELD_TRANSFER_ENCODING
        PC_FIELD_CONNECTION

    pc_status pc_http1_write_status_line(
        const pc_scan_kernel *scan, uint8_t *out, unsigned status, const uint8_t *reason, size_t reason_length, size_t *written)
    pc_status pc_http1_write_field(
        const pc_scan_kernel *scan, uint8_t *out, const uint8_t *name, size_t name_length, const uint8_t *value,
        size_t value_length, size_t *written)
    pc_status pc_http1_check_field(
        const pc_scan_kernel *scan, const uint8_t *name, size_t name_length, const uint8_t *value, size_t value_length)
    size_t pc_http1_write_chunk_prefix(uint8_t *out, uint64_t size)
    pc_http1_response_field pc_http1_response_field_of "pc_http1_response_field"(const uint8_t *name, size_t length)
    pc_status pc_http1_parse_content_length(const uint8_t *value, size_t length, int64_t *content_length)
    int pc_http1_name_is(const uint8_t *name, size_t length, const char *lower, size_t lower_length)
    int pc_http1_list_has(const uint8_t *list, size_t length, const char *lower, size_t lower_length)


cdef struct Summary:
    # What the first walk over the fields finds out.
    Py_ssize_t size
    int64_t content_length
    int flags


cpdef tuple encode_head(object status, object headers, bytes default_fields)
cpdef bytes encode_fields(object headers)
cpdef tuple list_head(object status, object headers, list default_fields)
cpdef list list_fields(object headers)
cpdef bytes chunk(bytes data)
cpdef bytes content_length_line(Py_ssize_t size_bytes)
cpdef bytes join_message(bytes block, bytes more_lines, bytes data)
