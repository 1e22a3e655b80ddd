# The native RequestHead, for the codecs that fill it in and the rooms that read it. Twin of request_head_py.py.

cdef class RequestHead:
    cdef readonly str method
    cdef readonly bytes target
    cdef readonly bytes raw_path
    cdef readonly bytes query_string
    cdef readonly str http_version
    cdef readonly list headers
    cdef readonly long long content_length
    cdef readonly bint chunked
    cdef readonly bint keep_alive
    cdef readonly bint expect_continue
    cdef readonly bytes upgrade
    cdef readonly bint forwarded
