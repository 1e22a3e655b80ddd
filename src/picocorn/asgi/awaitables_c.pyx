# Native twin of awaitables_py.py. It exists in two texts because two slots can only be filled from C: am_send (a task
# stepping the awaitable) and tp_iternext (an `await` in Python code). A `raise StopIteration` in Cython builds a frame and a
# traceback each time: 2,500 instructions, twice a request.

cimport cython
from cpython.exc cimport PyErr_SetObject
from cpython.object cimport PyObject, PyTypeObject

cdef extern from *:
    """
    static PyAsyncMethods picocorn_ready_async;
    static void picocorn_set_slots(PyTypeObject *type, sendfunc send, iternextfunc next) {
        if (type->tp_as_async != NULL) picocorn_ready_async = *type->tp_as_async;
        picocorn_ready_async.am_send = send;
        type->tp_as_async = &picocorn_ready_async;
        type->tp_iternext = next;
        PyType_Modified(type);
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
    ctypedef PySendResult (*sendfunc)(PyObject *, PyObject *, PyObject **) noexcept
    ctypedef PyObject *(*iternextfunc)(PyObject *) noexcept
    void picocorn_set_slots(PyTypeObject *type, sendfunc send, iternextfunc next)


cdef extern from "Python.h":
    void _incref "Py_INCREF"(object)


@cython.freelist(64)
cdef class Ready:
    """An awaitable that gives `value` at once. Can be awaited again: it holds no position."""

    def __init__(self, value):
        self._value = value

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self._value)

    def send(self, value):
        raise StopIteration(self._value)

    def throw(self, kind, value=None, traceback=None):
        # asyncio throws CancelledError into a task that was cancelled before its first step.
        if isinstance(kind, BaseException):
            raise kind
        raise (kind() if value is None else value)

    def close(self):
        pass


cdef PySendResult ready_send(PyObject *self, PyObject *argument, PyObject **result) noexcept:
    cdef object value = (<Ready>self)._value
    # The caller takes over one reference, which `result` cannot express in Cython's own terms.
    result[0] = <PyObject *>value
    _incref(value)
    return PYGEN_RETURN


cdef PyObject *ready_next(PyObject *self) noexcept:
    # NULL without an exception is StopIteration(None) to the interpreter (the iternext protocol).
    cdef object value = (<Ready>self)._value
    if value is None:
        return NULL
    if isinstance(value, (tuple, BaseException)):
        # PyErr_SetObject would take these for the arguments, or for the exception itself.
        value = StopIteration(value)
    PyErr_SetObject(StopIteration, value)
    return NULL


cpdef Ready ready(object value):
    """Make a done awaitable that gives `value`."""
    cdef Ready self = Ready.__new__(Ready)
    self._value = value
    return self


picocorn_set_slots(<PyTypeObject *>Ready, ready_send, ready_next)

DONE = ready(None)
