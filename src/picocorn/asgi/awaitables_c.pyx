# Native twin of awaitables_py.py. It exists in two texts because the am_send slot can only be filled from C: with it an
# `await` on a done awaitable neither creates a StopIteration nor calls a Python method.

cimport cython
from cpython.object cimport PyObject, PyTypeObject

cdef extern from *:
    """
    static PyAsyncMethods picocorn_ready_async;
    static void picocorn_set_am_send(PyTypeObject *type, sendfunc send) {
        if (type->tp_as_async != NULL) picocorn_ready_async = *type->tp_as_async;
        picocorn_ready_async.am_send = send;
        type->tp_as_async = &picocorn_ready_async;
        PyType_Modified(type);
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
    ctypedef PySendResult (*sendfunc)(PyObject *, PyObject *, PyObject **) noexcept
    void picocorn_set_am_send(PyTypeObject *type, sendfunc send)


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


cdef extern from "Python.h":
    void _incref "Py_INCREF"(object)


cpdef Ready ready(object value):
    """Make a done awaitable that gives `value`."""
    cdef Ready self = Ready.__new__(Ready)
    self._value = value
    return self


picocorn_set_am_send(<PyTypeObject *>Ready, ready_send)

DONE = ready(None)
