# What compiled cycles wait with. Twin of waiters_py.py, which says what the members mean.

cdef class Waiter


cdef class MessageSource:
    cdef Waiter _first_waiter
    cdef unsigned long long _last_place

    cpdef bint has_message(self) except -1
    cpdef object take_message(self)
    cpdef Waiter wait(self)
    cpdef object wake(self)
    cdef int _add(self, Waiter waiter) except -1
    cdef int _remove(self, Waiter waiter) except -1


cdef class Waiter:
    cdef MessageSource _source
    cdef Waiter _next
    cdef object _loop
    # Nearly always there is one callback, the task's.
    cdef object _callback
    cdef object _context
    cdef list _more
    cdef object _cancel_message
    cdef unsigned long long _place
    cdef int _state
    cdef bint _blocking

    cdef object _refuse_step(self)
    cdef int _finish(self) except -1
    cdef object _cancelled_error(self)
    cdef int _take_callbacks(self, list into) except -1
    cdef int _schedule(self) except -1
    cdef int _wake(self) except -1
