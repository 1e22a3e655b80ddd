# Native twin of waiters_py.py. It exists in two texts because three things can only be had from C: the slots am_send (a task
# stepping the waiter) and tp_iternext (an `await` in Python code), and entering a context without a call of `Context.run`.

cimport cython
from cpython.contextvars cimport PyContext_CopyCurrent
from cpython.dict cimport PyDict_GetItemWithError
from cpython.exc cimport PyErr_Clear, PyErr_SetObject
from cpython.object cimport PyObject, PyTypeObject

import asyncio
import sys
from types import SimpleNamespace

cdef extern from *:
    """
    static PyAsyncMethods picocorn_waiter_async;
    static void picocorn_set_slots(PyTypeObject *type, sendfunc send, iternextfunc next) {
        if (type->tp_as_async != NULL) picocorn_waiter_async = *type->tp_as_async;
        picocorn_waiter_async.am_send = send;
        type->tp_as_async = &picocorn_waiter_async;
        type->tp_iternext = next;
        PyType_Modified(type);
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(PyObject *, PyObject *, PyObject **) except PYGEN_ERROR
    ctypedef PyObject *(*iternextfunc)(PyObject *) except? NULL
    void picocorn_set_slots(PyTypeObject *type, sendfunc send, iternextfunc next)


cdef extern from "Python.h":
    void _incref "Py_INCREF"(object)
    void _decref "Py_DECREF"(PyObject *)
    bint PyCFunction_CheckExact(object)
    PyObject *PyCFunction_GET_SELF(object)
    PyTypeObject *Py_TYPE(PyObject *)
    # As from cpython.contextvars, but the failure is for the caller to look at.
    int _enter_context "PyContext_Enter"(object)
    int _exit_context "PyContext_Exit"(object) except -1


cdef enum:
    NEW
    WAITING
    WOKEN
    CANCELLED
    FINISHED

# Asked at each wake. On Python 3.11 `asyncio.current_task` is a Python function, at ten times the price of its dict; since
# 3.14 the dict is no longer where the current task stands.
cdef dict current_tasks = asyncio.tasks._current_tasks if sys.version_info < (3, 14) else None
cdef object current_task = asyncio.current_task
cdef object running_loop = asyncio._get_running_loop
cdef object Task = asyncio.Task
# What such a task is woken with: it only asks whether there is an error, and into a future of this very class it looks without
# a call. That call, of `result` by its name, costs 1,500 of the 10,000 instructions of a wait and its wake-up.
cdef object WOKEN_UP = asyncio.Future(loop=SimpleNamespace(get_debug=lambda: False))
WOKEN_UP.set_result(None)

cdef object CancelledError = asyncio.CancelledError
cdef object InvalidStateError = asyncio.InvalidStateError


cdef class MessageSource:
    """What waiters wait for. See the pure twin."""

    def __init__(self):
        pass

    cpdef bint has_message(self) except -1:
        raise NotImplementedError

    cpdef object take_message(self):
        raise NotImplementedError

    cpdef Waiter wait(self):
        """An awaitable that gives the next message. See the pure twin."""
        cdef Waiter waiter = Waiter.__new__(Waiter)
        waiter._source = self
        return waiter

    cpdef object wake(self):
        """Let those who wait have what there is. See the pure twin: application code runs inside."""
        cdef Waiter waiter
        while self._first_waiter is not None and self.has_message():
            waiter = self._first_waiter
            self._first_waiter = waiter._next
            waiter._next = None
            try:
                waiter._wake()
            except BaseException:
                waiter._loop.call_soon(self.wake)
                raise

    cdef int _add(self, Waiter waiter) except -1:
        cdef Waiter before = self._first_waiter
        if waiter._place == 0:
            self._last_place += 1
            waiter._place = self._last_place
        if before is None or before._place > waiter._place:
            waiter._next = before
            self._first_waiter = waiter
            return 0
        while before._next is not None and before._next._place < waiter._place:
            before = before._next
        waiter._next = before._next
        before._next = waiter
        return 0

    cdef int _remove(self, Waiter waiter) except -1:
        cdef Waiter one = self._first_waiter
        if one is waiter:
            self._first_waiter = waiter._next
        else:
            while one is not None and one._next is not waiter:
                one = one._next
            if one is not None:
                one._next = waiter._next
        waiter._next = None
        return 0


@cython.freelist(64)
cdef class Waiter:
    """One `receive`: a coroutine to whoever awaits it, and the future that its task then waits for. See the pure twin."""

    def __init__(self, MessageSource source not None):
        self._source = source

    # -- the coroutine

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """One step, for callers that do not know `am_send`."""
        cdef PyObject *result = NULL
        if waiter_send(<PyObject *>self, NULL, &result) == PYGEN_RETURN:
            raise StopIteration(_taken_over(result))
        return _taken_over(result)

    def throw(self, kind, value=None, traceback=None):
        """Be done, with that error. No message has been taken."""
        self._finish()
        if isinstance(kind, BaseException):
            raise kind
        raise (kind() if value is None else value)

    def close(self):
        """Be done, without a message."""
        self._finish()

    @property
    def cr_await(self):
        """None: what it waits for is no coroutine."""
        return None

    @property
    def cr_code(self):
        """None: there is no Python code behind it."""
        return None

    @property
    def cr_frame(self):
        """None: there is no Python code behind it."""
        return None

    @property
    def cr_running(self):
        """False: a step of it runs nothing that could ask."""
        return False

    @property
    def cr_suspended(self):
        """Whether it has been started and waits (bool)."""
        return self._state in (WAITING, WOKEN, CANCELLED)

    cdef object _refuse_step(self):
        cdef object error
        if self._state == CANCELLED:
            error = self._cancelled_error()
            self._finish()
            raise error
        if self._state == WAITING:
            raise RuntimeError("coroutine is being awaited already")
        raise RuntimeError("cannot reuse already awaited coroutine")

    cdef int _finish(self) except -1:
        cdef MessageSource source = self._source
        if self._state == WAITING and source is not None:
            source._remove(self)
        self._state = FINISHED
        self._source = None
        self._callback = None
        self._context = None
        self._more = None
        return 0

    # -- the future

    @property
    def _asyncio_future_blocking(self):
        """True between a step that has to wait and the task's answer to it; else None: `asyncio.isfuture` says no."""
        return True if self._blocking else None

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, bint value):
        self._blocking = value

    def get_loop(self):
        """The event loop it waits in."""
        return self._loop

    def done(self):
        """Whether there is no need to wait any more."""
        return self._state not in (NEW, WAITING)

    def cancelled(self):
        """Whether waiting was cancelled."""
        return self._state == CANCELLED

    def result(self):
        """None once it is woken: the message comes with the next step."""
        if self._state == WOKEN:
            return
        if self._state == CANCELLED:
            raise self._cancelled_error()
        if self._state != FINISHED:
            raise InvalidStateError("Result is not set.")

    def exception(self):
        """None once it is woken. Raises InvalidStateError before, or CancelledError."""
        return self.result()

    def add_done_callback(self, fn, *, context=None):
        """Have `fn(self)` called in `context` once there is no need to wait any more."""
        if context is None:
            context = PyContext_CopyCurrent()
        if self._state not in (NEW, WAITING):
            self._loop.call_soon(fn, self, context=context)
        elif self._callback is None:
            self._callback = fn
            self._context = context
        else:
            if self._more is None:
                self._more = []
            self._more.append((fn, context))

    def remove_done_callback(self, fn):
        """Take back `fn`. Returns how often it stood there."""
        cdef list callbacks = []
        cdef object callback, context
        cdef Py_ssize_t removed = 0
        self._take_callbacks(callbacks)
        for callback, context in callbacks:
            if callback == fn:
                removed += 1
            else:
                self.add_done_callback(callback, context=context)
        return removed

    def cancel(self, msg=None):
        """Stop waiting; the task hears of it in a later turn of the loop. Returns False when it is woken already."""
        if self._state != WAITING or self._source is None:
            return False
        self._source._remove(self)
        self._state = CANCELLED
        self._cancel_message = msg
        self._schedule()
        return True

    cdef object _cancelled_error(self):
        return CancelledError() if self._cancel_message is None else CancelledError(self._cancel_message)

    cdef int _take_callbacks(self, list into) except -1:
        cdef object callback = self._callback, context = self._context
        cdef list more = self._more
        self._callback = None
        self._context = None
        self._more = None
        if callback is not None:
            into.append((callback, context))
        if more is not None:
            into.extend(more)
        return 0

    cdef int _schedule(self) except -1:
        cdef list callbacks = []
        cdef object callback, context
        self._take_callbacks(callbacks)
        for callback, context in callbacks:
            self._loop.call_soon(callback, self, context=context)
        return 0

    # -- waking

    cdef int _wake(self) except -1:
        """Have the task go on: now if it can, else in a later turn. The source has taken this out of its chain."""
        cdef object callback, context, loop = self._loop
        self._state = WOKEN
        if (
            self._callback is None
            or self._more is not None
            or running_loop() is not loop
            or not _is_between_tasks(loop)
            or _enter_context(self._context) < 0
        ):
            # The last is for a context in use: something that the task has left in the loop has led here.
            PyErr_Clear()
            return self._schedule()
        callback = self._callback
        context = self._context
        self._callback = None
        self._context = None
        try:
            callback(WOKEN_UP if _is_wakeup(callback) else self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # As the loop does with a callback that fails: nobody above could know what to do with it.
            loop.call_exception_handler({"message": "Exception in callback", "exception": error, "future": self})
        finally:
            _exit_context(context)
        return 0


cdef inline bint _is_wakeup(object callback) noexcept:
    """Whether `callback` wakes a task of asyncio's C body."""
    return (
        PyCFunction_CheckExact(callback)
        and PyCFunction_GET_SELF(callback) != NULL
        and Py_TYPE(PyCFunction_GET_SELF(callback)) == <PyTypeObject *>Task
    )


cdef bint _is_between_tasks(object loop) except -1:
    if current_tasks is None:
        return current_task(loop) is None
    return PyDict_GetItemWithError(current_tasks, loop) == NULL


cdef inline object _taken_over(PyObject *result):
    """The object behind a new reference."""
    cdef object taken = <object>result
    _decref(result)
    return taken


cdef PySendResult waiter_send(PyObject *itself, PyObject *argument, PyObject **result) except PYGEN_ERROR:
    cdef Waiter self = <Waiter>itself
    cdef MessageSource source = self._source
    cdef int state = self._state
    cdef object given, loop
    # No source and yet not finished: the collector has cleared it.
    if source is None or (state != NEW and state != WOKEN):
        self._refuse_step()
    if source.has_message():
        self._state = FINISHED
        self._source = None
        given = source.take_message()
        _incref(given)
        result[0] = <PyObject *>given
        return PYGEN_RETURN
    loop = running_loop()
    if loop is None:
        raise RuntimeError("no running event loop")
    self._loop = loop
    self._state = WAITING
    self._blocking = True
    source._add(self)
    _incref(self)
    result[0] = itself
    return PYGEN_NEXT


cdef PyObject *waiter_next(PyObject *itself) except? NULL:
    cdef PyObject *result = NULL
    cdef object given
    if waiter_send(itself, NULL, &result) == PYGEN_NEXT:
        return result
    given = _taken_over(result)
    if given is None:
        # NULL without an exception is StopIteration(None) to the interpreter (the iternext protocol).
        return NULL
    if isinstance(given, (tuple, BaseException)):
        # PyErr_SetObject would take these for the arguments, or for the exception itself.
        given = StopIteration(given)
    PyErr_SetObject(StopIteration, given)
    return NULL


picocorn_set_slots(<PyTypeObject *>Waiter, waiter_send, waiter_next)
