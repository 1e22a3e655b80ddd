# Native twin of tasks_py.py. Two texts, because what a task steps is an object of our own here instead of a coroutine around the
# application's coroutine: one object and one frame less for each request, and it knows by itself when it has finished.

cimport cython
from cpython.contextvars cimport PyContext_Copy
from cpython.dict cimport PyDict_SetItem
from cpython.object cimport PyObject, PyTypeObject

from .cycle_c cimport Cycle

import asyncio
import sys

cdef extern from *:
    """
    static PyAsyncMethods picocorn_run_async;
    static void picocorn_set_send(PyTypeObject *type, sendfunc send) {
        if (type->tp_as_async != NULL) picocorn_run_async = *type->tp_as_async;
        picocorn_run_async.am_send = send;
        type->tp_as_async = &picocorn_run_async;
        PyType_Modified(type);
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(PyObject *, PyObject *, PyObject **) except PYGEN_ERROR
    void picocorn_set_send(PyTypeObject *type, sendfunc send)


cdef extern from "Python.h":
    bint PyCoro_CheckExact(object)
    PySendResult PyIter_Send(object, object, PyObject **) except PYGEN_ERROR
    object PyMethod_New(object, object)
    object PyObject_Call(object, tuple, dict)
    void Py_INCREF(PyObject *)
    void Py_DECREF(PyObject *)


cdef bint EAGER = sys.version_info >= (3, 12)
cdef object Task = asyncio.Task


# The functions behind `receive` and `send` of the kind of cycle that was called last: nearly always the only kind there is.
cdef object _kind = None
cdef object _receive = None
cdef object _send = None


cdef object _call(object app, Cycle cycle):
    """`app(cycle.scope, cycle.receive, cycle.send)` without looking the two up: a tenth of the price of a bound method."""
    global _kind, _receive, _send
    if type(cycle) is not _kind:
        _receive = type(cycle).receive
        _send = type(cycle).send
        _kind = type(cycle)
    return app(cycle.scope, PyMethod_New(_receive, cycle), PyMethod_New(_send, cycle))


async def _awaited(awaitable):
    # For applications that return another awaitable than a coroutine; what is none gets its TypeError here.
    return await awaitable


@cython.final
@cython.freelist(64)
@cython.no_gc_clear  # the application's finalizers may still step through it; its coroutine and its cycle break any circle
cdef class ApplicationRun:
    """What a task steps: a coroutine to asyncio, and to whoever looks at its frame the application's own."""

    cdef Cycle _cycle
    cdef object _app
    cdef object _coroutine
    cdef object _task
    cdef set _tasks
    cdef bint _is_finished
    cdef bint _is_running

    @property
    def __name__(self):
        return getattr(self._coroutine, "__name__", "run_application")

    @property
    def __qualname__(self):
        return getattr(self._coroutine, "__qualname__", "run_application")

    @property
    def cr_await(self):
        """What it waits for: what the application waits for."""
        return getattr(self._coroutine, "cr_await", None)

    @property
    def cr_code(self):
        """The application's code, None before the start, after the end, and for what is no coroutine of Python's."""
        return self._coroutine.cr_code if PyCoro_CheckExact(self._coroutine) else None

    @property
    def cr_frame(self):
        """The application's frame, None before the start, after the end, and for what is no coroutine of Python's."""
        return self._coroutine.cr_frame if PyCoro_CheckExact(self._coroutine) else None

    @property
    def cr_origin(self):
        """None: where it was made is nowhere in the application."""
        return None

    @property
    def cr_running(self):
        """Whether the application is being stepped right now (bool)."""
        return self._is_running

    @property
    def cr_suspended(self):
        """Whether the application has been started and waits (bool)."""
        return self._coroutine is not None and not self._is_running

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        """One step, for callers that do not know `am_send`."""
        cdef PyObject *result = NULL
        cdef PySendResult outcome = self._step(value, &result)
        cdef object given = <object> result
        Py_DECREF(result)
        if outcome == PYGEN_RETURN:
            raise StopIteration(given)
        return given

    def throw(self, kind, value=None, traceback=None):
        """One step, with an exception. A cancellation before the first step ends it: the application is never called."""
        error = kind if isinstance(kind, BaseException) else kind() if value is None else value
        if self._is_finished:
            raise error
        self._enter()
        try:
            if self._coroutine is None:
                raise error
            given = self._coroutine.throw(error)
        except StopIteration as stop:
            self._returned(stop.value)
        except BaseException as raised:
            if self._raised(raised):
                raise
        else:
            self._is_running = False
            return given
        raise StopIteration

    def close(self):
        """End it from outside, as a coroutine that nobody will step again."""
        if self._is_finished:
            return
        self._enter()
        try:
            if self._coroutine is not None:
                self._coroutine.close()
            raise GeneratorExit
        except GeneratorExit as error:
            self._raised(error)
        except BaseException as error:
            if self._raised(error):
                raise

    cdef int _enter(self) except -1:
        if self._is_running:
            # The application has got hold of its own task, and of this.
            raise ValueError("coroutine already executing")
        self._is_running = True
        return 0

    cdef PySendResult _step(self, object value, PyObject **result) except PYGEN_ERROR:
        cdef object awaitable
        if self._is_finished:
            raise RuntimeError("cannot reuse already awaited coroutine")
        self._enter()
        try:
            if self._coroutine is None:
                awaitable = _call(self._app, self._cycle)
                self._coroutine = awaitable if PyCoro_CheckExact(awaitable) else _awaited(awaitable)
            if PyIter_Send(self._coroutine, value, result) == PYGEN_NEXT:
                self._is_running = False
                return PYGEN_NEXT
        except BaseException as error:
            if self._raised(error):
                raise
        else:
            awaitable = <object> result[0]
            Py_DECREF(result[0])
            result[0] = NULL
            self._returned(awaitable)
        result[0] = <PyObject *> None
        Py_INCREF(result[0])
        return PYGEN_RETURN

    cdef object _returned(self, object value):
        self._finish()
        self._cycle.application_returned(value)

    cdef bint _raised(self, object error) except -1:
        self._finish()
        return self._cycle.application_raised(error)

    cdef object _finish(self):
        cdef object task = self._task
        self._is_finished = True
        self._is_running = False
        self._coroutine = None
        if task is not None:
            self._task = None
            self._tasks.discard(task)


cdef PySendResult run_send(PyObject *self, PyObject *value, PyObject **result) except PYGEN_ERROR:
    result[0] = NULL
    return (<ApplicationRun> self)._step(<object> value, result)


picocorn_set_send(<PyTypeObject *> ApplicationRun, run_send)


cdef ApplicationRun new_run(Cycle cycle, object app):
    cdef ApplicationRun run = ApplicationRun.__new__(ApplicationRun)
    run._cycle = cycle
    run._app = app
    return run


def run_application(Cycle cycle not None, app):
    """Return what runs `app` for `cycle` when it is awaited. See the pure twin."""
    return new_run(cycle, app)


cdef class TaskStarter:
    """Starts the tasks of one server. See the pure twin."""

    def __init__(self, app, loop, base_context, set tasks not None):
        self._app = app
        self._base_context = base_context
        self._loop = loop
        self._tasks = tasks
        # One dict for all: a call with keywords would make one for each request.
        self._arguments = {"loop": loop, "context": base_context, "eager_start": True}

    cpdef object start(self, Cycle cycle, bint is_plain):
        """Run the application for `cycle`. See the pure twin."""
        cdef ApplicationRun run = new_run(cycle, self._app)
        cdef object context = PyContext_Copy(self._base_context)
        cdef object task
        if is_plain and EAGER:
            # The task has taken its arguments before it runs anything that could come here again: from 3.12 on, not even the
            # collector runs before.
            PyDict_SetItem(self._arguments, "context", context)
            task = PyObject_Call(Task, (run,), self._arguments)
            PyDict_SetItem(self._arguments, "context", self._base_context)
        else:
            task = self._loop.create_task(run, context=context)
        if run._is_finished:
            return
        self._tasks.add(task)
        if is_plain:
            run._task = task
            run._tasks = self._tasks
        else:
            # A factory may put something around the run that ends before it, or without it.
            task.add_done_callback(self._tasks.discard)
