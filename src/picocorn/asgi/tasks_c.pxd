# The starter of tasks for the compiled connections. Twin of tasks_py.py, which says what the members mean.

from .cycle_c cimport Cycle

cdef class TaskStarter:
    cdef object _app
    cdef object _base_context
    cdef object _loop
    cdef set _tasks
    cdef dict _arguments

    cpdef object start(self, Cycle cycle, bint is_plain)
