# Types for timers_py.py, which is compiled a second time as timers_c.

cimport cython

cdef double RESOLUTION_SECONDS
cdef double NEVER
cdef double LONGEST_SECONDS


cdef class Deadline:
    cdef public object owner
    cdef readonly double at_seconds
    cdef readonly double bucket


cdef class Timers:
    cdef object _context
    cdef object _loop
    cdef dict _buckets
    cdef object _handle
    cdef double _due_seconds
    cdef double _now_seconds
    cdef bint _was_armed
    cdef bint _is_resting

    @cython.locals(at_seconds=double, bucket=double)
    cpdef object arm(self, Deadline deadline, double seconds)
    cpdef object disarm(self, Deadline deadline)
    cpdef object remove(self, Deadline deadline)
    cdef object _take_out(self, Deadline deadline)
    cdef object _move(self, Deadline deadline, double bucket)
    @cython.locals(deadline=Deadline, now=double, seconds=double, current=double)
    cpdef object _sweep(self)
    @cython.locals(now=double)
    cdef object _wake_up(self)
    cdef object _schedule(self, double seconds)
    @cython.locals(deadline=Deadline, members=set, stalled=double)
    cdef object _forgive(self, double now)
    cdef object _look_at(self, Deadline deadline, double now)
