# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""The HTTP/1 response writer, native: status, fields and content in, bytes out. Twin of `writer_py.py`.

Mechanism only, as there. Two walks over the fields: one that sums up their sizes and reads the framing fields, one that writes
them into one bytes object of just that size, checking each where it stands (`csrc/http1_response.c`). No Python code runs
between the walks, so a list cannot change under them; what is not a list or tuple of pairs of bytes is made one first.

Whatever the walks do not like is judged again from the start by `_judge`, which finds the first fault and its words: they are the
same as the pure twin's.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongAndOverflow
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.string cimport memcpy

from http import HTTPStatus

from ..base.errors import LocalProtocolError

__all__ = [
    "CONNECTION_CLOSE",
    "LAST_CHUNK",
    "chunk",
    "content_length_line",
    "encode_fields",
    "encode_head",
    "join_message",
    "list_fields",
    "list_head",
]

#: Flag of `encode_head`: the application's Connection field lists "close".
CONNECTION_CLOSE = 1

#: Ends chunked content without trailers (RFC 9112 7.1).
LAST_CHUNK = b"0\r\n\r\n"

DEF FIRST_STATUS = 200
DEF LAST_STATUS = 599
DEF LENGTH_DIGITS = 19  # of 2^63-1
DEF LENGTH_NAME_BYTES = 16  # of "content-length: "

cdef enum:
    FLAG_CLOSE = 1

cdef const pc_scan_kernel *_scan = pc_scan_choose()


cdef bytes _make_status_line(int status, bytes reason):
    cdef bytes line = PyBytes_FromStringAndSize(NULL, PC_HTTP1_STATUS_OVERHEAD + PyBytes_GET_SIZE(reason))
    cdef size_t written
    cdef pc_status verdict = pc_http1_write_status_line(
        _scan, <uint8_t *> PyBytes_AS_STRING(line), status,
        <const uint8_t *> PyBytes_AS_STRING(reason), PyBytes_GET_SIZE(reason), &written)
    if verdict != PC_OK or <Py_ssize_t> written != PyBytes_GET_SIZE(line):
        raise ImportError(f"status line {status} cannot be written")
    return line


_reasons = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
cdef list _status_lines = [
    _make_status_line(status, _reasons.get(status, b"")) for status in range(FIRST_STATUS, LAST_STATUS + 1)
]


# -- the slow judge ----------------------------------------------------------------------------------------------------

cdef object _refuse_shape(Py_ssize_t index, object field):
    raise LocalProtocolError(f"header {index} is not a pair of bytes: {field!r}")


cdef object _refuse(Py_ssize_t index, object name, str what):
    raise LocalProtocolError(f"header {index} ({name!r}): {what}")


cdef tuple _checked_pair(Py_ssize_t index, object field):
    cdef pc_status verdict
    try:
        name, value = field
    except (TypeError, ValueError):
        _refuse_shape(index, field)
    if not isinstance(name, bytes) or not isinstance(value, bytes):
        _refuse_shape(index, field)
    verdict = pc_http1_check_field(
        _scan, <const uint8_t *> PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name),
        <const uint8_t *> PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    if verdict == PC_ERR_FIELD_NAME:
        _refuse(index, name, "the name is not a token (RFC 9110 5.6.2)")
    if verdict != PC_OK:
        _refuse(index, name, f"the value has a control character (RFC 9110 5.5): {value!r}")
    return name, value


cdef list _judge(object headers, bint is_head):
    # The fields as a list of pairs of bytes that the walks accept, or the error for the first one that is wrong.
    cdef list pairs = []
    cdef bint has_length = False
    cdef int64_t length
    cdef Py_ssize_t size
    try:
        iterator = iter(headers)
    except TypeError:
        raise LocalProtocolError(f"headers are not an iterable of pairs: {headers!r}") from None
    for index, field in enumerate(iterator):
        name, value = _checked_pair(index, field)
        # Of subclasses of bytes only what they hold counts, as in the walks.
        if is_head and pc_http1_response_field_of(
            <const uint8_t *> PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)
        ) == PC_FIELD_CONTENT_LENGTH:
            size = PyBytes_GET_SIZE(value)
            if has_length:
                _refuse(index, b"content-length", "there is more than one (RFC 9110 8.6)")
            if size > LENGTH_DIGITS or pc_http1_parse_content_length(
                <const uint8_t *> PyBytes_AS_STRING(value), size, &length
            ) != PC_OK:
                _refuse(index, b"content-length", f"the value is not a decimal number in range (RFC 9110 8.6): {value!r}")
            has_length = True
        pairs.append((name, value))
    return pairs


# -- the two walks -----------------------------------------------------------------------------------------------------

cdef inline bint _unpack(PyObject *field, PyObject **name, PyObject **value) noexcept:
    # Borrowed references; False when this is not a tuple or list of two bytes objects.
    if PyTuple_CheckExact(<object> field) and PyTuple_GET_SIZE(<object> field) == 2:
        name[0] = PyTuple_GET_ITEM(<object> field, 0)
        value[0] = PyTuple_GET_ITEM(<object> field, 1)
    elif PyList_CheckExact(<object> field) and PyList_GET_SIZE(<object> field) == 2:
        name[0] = PyList_GET_ITEM(<object> field, 0)
        value[0] = PyList_GET_ITEM(<object> field, 1)
    else:
        return False
    return PyBytes_Check(<object> name[0]) and PyBytes_Check(<object> value[0])


cdef inline PyObject *_item(object fields, bint is_list, Py_ssize_t index) noexcept:
    return PyList_GET_ITEM(fields, index) if is_list else PyTuple_GET_ITEM(fields, index)


cdef inline const uint8_t *_text(PyObject *data) noexcept:
    return <const uint8_t *> PyBytes_AS_STRING(<object> data)


cdef bint _read_framing_field(PyObject *name, PyObject *value, Summary *summary) noexcept:
    # False when the field is one that this response may not have.
    cdef pc_http1_response_field kind = pc_http1_response_field_of(_text(name), PyBytes_GET_SIZE(<object> name))
    cdef Py_ssize_t length = PyBytes_GET_SIZE(<object> value)
    if kind == PC_FIELD_CONTENT_LENGTH:
        return (
            summary.content_length < 0
            and length <= LENGTH_DIGITS
            and pc_http1_parse_content_length(_text(value), length, &summary.content_length) == PC_OK
        )
    if kind == PC_FIELD_CONNECTION:
        if pc_http1_list_has(_text(value), length, b"close", 5):
            summary.flags |= FLAG_CLOSE
    elif kind == PC_FIELD_TRANSFER_ENCODING:
        # ASGI E5: the server frames the message. The field is left out, but has to be a field.
        summary.size -= PyBytes_GET_SIZE(<object> name) + length + PC_HTTP1_FIELD_OVERHEAD
        return pc_http1_check_field(_scan, _text(name), PyBytes_GET_SIZE(<object> name), _text(value), length) == PC_OK
    return True


cdef bint _sum_up(object fields, bint is_list, bint is_head, Summary *summary) noexcept:
    cdef Py_ssize_t count = PyList_GET_SIZE(fields) if is_list else PyTuple_GET_SIZE(fields)
    cdef Py_ssize_t index
    cdef PyObject *name
    cdef PyObject *value
    for index in range(count):
        if not _unpack(_item(fields, is_list, index), &name, &value):
            return False
        summary.size += PyBytes_GET_SIZE(<object> name) + PyBytes_GET_SIZE(<object> value) + PC_HTTP1_FIELD_OVERHEAD
        if is_head and not _read_framing_field(name, value, summary):
            return False
    return True


cdef bint _write(object fields, bint is_list, bint is_head, uint8_t *out) noexcept:
    cdef Py_ssize_t count = PyList_GET_SIZE(fields) if is_list else PyTuple_GET_SIZE(fields)
    cdef Py_ssize_t index
    cdef PyObject *name
    cdef PyObject *value
    cdef size_t written
    for index in range(count):
        if not _unpack(_item(fields, is_list, index), &name, &value):
            return False
        if is_head and PyBytes_GET_SIZE(<object> name) == 17 and (
            pc_http1_response_field_of(_text(name), 17) == PC_FIELD_TRANSFER_ENCODING
        ):
            continue
        if pc_http1_write_field(
            _scan, out, _text(name), PyBytes_GET_SIZE(<object> name),
            _text(value), PyBytes_GET_SIZE(<object> value), &written
        ) != PC_OK:
            return False
        out += written
    return True


cdef bytes _encode(bytes first, bytes second, object headers, bint is_head, Summary *summary):
    # `first` and `second`, then the fields. Clears nothing in `summary`: the caller has.
    cdef bint is_list = PyList_CheckExact(headers)
    cdef Py_ssize_t prefix = PyBytes_GET_SIZE(first) + PyBytes_GET_SIZE(second)
    cdef bytes block
    cdef uint8_t *out
    if not is_list and not PyTuple_CheckExact(headers):
        headers = _judge(headers, is_head)
        is_list = True
    if not _sum_up(headers, is_list, is_head, summary):
        # Odd pairs, or an error: either way the judge knows.
        headers = _judge(headers, is_head)
        is_list = True
        summary.size = 0
        summary.content_length = -1
        summary.flags = 0
        if not _sum_up(headers, is_list, is_head, summary):
            raise RuntimeError("headers passed the judge and were refused")
    block = PyBytes_FromStringAndSize(NULL, prefix + summary.size)
    out = <uint8_t *> PyBytes_AS_STRING(block)
    memcpy(out, PyBytes_AS_STRING(first), PyBytes_GET_SIZE(first))
    memcpy(out + PyBytes_GET_SIZE(first), PyBytes_AS_STRING(second), PyBytes_GET_SIZE(second))
    if not _write(headers, is_list, is_head, out + prefix):
        _judge(headers, is_head)
        raise RuntimeError("headers passed the judge and were refused")
    return block


# -- fields as a list, for versions that do not write lines ------------------------------------------------------------

cdef bint _is_listed_as_is(const uint8_t *name, Py_ssize_t name_size, const uint8_t *value, Py_ssize_t value_size) noexcept:
    # Lower case, and no whitespace around the value: as nearly all applications have it.
    cdef Py_ssize_t i
    for i in range(name_size):
        if c"A" <= name[i] <= c"Z":
            return False
    return value_size == 0 or not (
        value[0] == c" " or value[0] == c"\t" or value[value_size - 1] == c" " or value[value_size - 1] == c"\t"
    )


cdef bint _is_connection_specific(const uint8_t *name, Py_ssize_t size) noexcept:
    # RFC 9113 8.2.2, in any case.
    if size == 2:
        return pc_http1_name_is(name, size, b"te", 2)
    if size == 7:
        return pc_http1_name_is(name, size, b"upgrade", 7)
    if size == 10:
        return pc_http1_name_is(name, size, b"connection", 10) or pc_http1_name_is(name, size, b"keep-alive", 10)
    if size == 16:
        return pc_http1_name_is(name, size, b"proxy-connection", 16)
    return size == 17 and pc_http1_name_is(name, size, b"transfer-encoding", 17)


cdef bint _list_fields(object headers, list fields, int64_t *content_length) except -1:
    # Adds to `fields`. False when the judge has to look: at odd pairs, or at an error. `content_length` may be NULL.
    cdef PyObject *name
    cdef PyObject *value
    cdef Py_ssize_t name_size
    cdef Py_ssize_t value_size
    cdef object field
    for field in (<list> headers if PyList_CheckExact(headers) else list(<tuple> headers)):
        if not _unpack(<PyObject *> field, &name, &value):
            return False
        name_size = PyBytes_GET_SIZE(<object> name)
        value_size = PyBytes_GET_SIZE(<object> value)
        if pc_http1_check_field(_scan, _text(name), name_size, _text(value), value_size) != PC_OK:
            return False
        if name_size == 14 and content_length != NULL and (
            pc_http1_response_field_of(_text(name), name_size) == PC_FIELD_CONTENT_LENGTH
        ):
            if content_length[0] >= 0 or value_size > LENGTH_DIGITS or (
                pc_http1_parse_content_length(_text(value), value_size, content_length) != PC_OK
            ):
                return False
        elif _is_connection_specific(_text(name), name_size):
            continue
        if not PyTuple_CheckExact(field) or not _is_listed_as_is(_text(name), name_size, _text(value), value_size):
            field = (bytes(<object> name).lower(), bytes(<object> value).strip(b" \t"))
        fields.append(field)
    return True


cdef list _listed(object headers, list default_fields, int64_t *content_length):
    cdef list fields = default_fields.copy()
    if PyList_CheckExact(headers) or PyTuple_CheckExact(headers):
        if _list_fields(headers, fields, content_length):
            return fields
    headers = _judge(headers, content_length != NULL)
    fields = default_fields.copy()
    if content_length != NULL:
        content_length[0] = -1
    if not _list_fields(headers, fields, content_length):
        raise RuntimeError("headers passed the judge and were refused")
    return fields


# -- the twins' functions ----------------------------------------------------------------------------------------------

cdef inline long _status_number(object status) except -1:
    cdef int overflow
    cdef long number = 0
    if isinstance(status, int):
        # Compared as what it is used as: a subclass of int may compare as it likes.
        number = PyLong_AsLongAndOverflow(status, &overflow)
    if FIRST_STATUS <= number <= LAST_STATUS:
        return number
    raise LocalProtocolError(f"status is not an integer from 200 to 599: {status!r}")


cpdef tuple encode_head(object status, object headers, bytes default_fields):
    """Status line, `default_fields` (ready-made lines) and the application's fields, without the final empty line.

    Returns (block, content_length, flags). See the pure twin.
    """
    cdef Summary summary = Summary(0, -1, 0)
    cdef bytes line
    cdef bytes block
    if default_fields is None:
        raise TypeError("default_fields must be bytes, not None")
    line = <bytes> _status_lines[_status_number(status) - FIRST_STATUS]
    block = _encode(line, default_fields, headers, True, &summary)
    return block, summary.content_length, summary.flags


cpdef bytes encode_fields(object headers):
    """Field lines as they are, for trailers and for 103 (RFC 9112 7.1.2, RFC 8297). No empty line behind them."""
    cdef Summary summary = Summary(0, -1, 0)
    return _encode(b"", b"", headers, False, &summary)


cpdef tuple list_head(object status, object headers, list default_fields):
    """What `encode_head` writes as lines, as a list for HTTP/2 and 3: (fields, the application's Content-Length or -1)."""
    cdef int64_t content_length = -1
    cdef list fields
    if default_fields is None:
        raise TypeError("default_fields must be a list, not None")
    _status_number(status)
    fields = _listed(headers, default_fields, &content_length)
    return fields, content_length


cpdef list list_fields(object headers):
    """What `encode_fields` writes as lines, as a list of the same form as `list_head`'s."""
    return _listed(headers, [], NULL)


cpdef bytes chunk(bytes data):
    """`data` as one chunk (RFC 9112 7.1). Empty data gives b"", because a chunk of size 0 would end the content."""
    cdef uint8_t prefix[PC_HTTP1_CHUNK_PREFIX_BYTES]
    cdef size_t size
    cdef size_t prefix_size
    cdef bytes block
    cdef char *out
    if not data:
        return b""
    size = PyBytes_GET_SIZE(data)
    prefix_size = pc_http1_write_chunk_prefix(prefix, size)
    block = PyBytes_FromStringAndSize(NULL, prefix_size + size + 2)
    out = PyBytes_AS_STRING(block)
    memcpy(out, prefix, prefix_size)
    memcpy(out + prefix_size, PyBytes_AS_STRING(data), size)
    out[prefix_size + size] = c"\r"
    out[prefix_size + size + 1] = c"\n"
    return block


cpdef bytes content_length_line(Py_ssize_t size_bytes):
    """The Content-Length field line for content of that size (RFC 9110 8.6)."""
    cdef char line[LENGTH_NAME_BYTES + LENGTH_DIGITS + 2]
    cdef Py_ssize_t start = LENGTH_NAME_BYTES + LENGTH_DIGITS
    cdef size_t rest = size_bytes
    if size_bytes < 0:
        raise ValueError(f"content cannot have {size_bytes} bytes")
    memcpy(line + start, b"\r\n", 2)
    while True:
        start -= 1
        line[start] = <char> (c"0" + rest % 10)
        rest //= 10
        if rest == 0:
            break
    start -= LENGTH_NAME_BYTES
    memcpy(line + start, b"content-length: ", LENGTH_NAME_BYTES)
    return PyBytes_FromStringAndSize(line + start, LENGTH_NAME_BYTES + LENGTH_DIGITS + 2 - start)


cpdef bytes join_message(bytes block, bytes more_lines, bytes data):
    """A head (`encode_head`'s block, then `more_lines`, then the empty line) and content behind it, as one bytes object."""
    cdef Py_ssize_t block_size, more_size, data_size
    cdef bytes message
    cdef char *out
    if block is None or more_lines is None or data is None:
        raise TypeError("a message is made of bytes, not of None")
    block_size = PyBytes_GET_SIZE(block)
    more_size = PyBytes_GET_SIZE(more_lines)
    data_size = PyBytes_GET_SIZE(data)
    message = PyBytes_FromStringAndSize(NULL, block_size + more_size + 2 + data_size)
    out = PyBytes_AS_STRING(message)
    memcpy(out, PyBytes_AS_STRING(block), block_size)
    out += block_size
    memcpy(out, PyBytes_AS_STRING(more_lines), more_size)
    out += more_size
    memcpy(out, b"\r\n", 2)
    memcpy(out + 2, PyBytes_AS_STRING(data), data_size)
    return message
