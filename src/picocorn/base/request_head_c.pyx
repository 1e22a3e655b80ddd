"""What a request's head says, native. Twin of `request_head_py.py`; two texts, as a free list is not for a .pxd to declare."""

cimport cython


@cython.final
@cython.freelist(64)
@cython.no_gc  # nothing in it leads back to it, and with many requests at a time the collector has enough to look at
cdef class RequestHead:
    """One request head, as sent, with the framing decision. See the pure twin."""
