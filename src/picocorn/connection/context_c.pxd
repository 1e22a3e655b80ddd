# Types for context_py.py, which is compiled a second time as context_c.

from ..asgi.scope_c cimport ScopeBuilder
from ..asgi.tasks_c cimport TaskStarter
from .timers_c cimport Timers


cdef class ServerState:
    cdef public Py_ssize_t total_requests
    cdef public set connections
    cdef public set tasks
    cdef public bint winding_down
    cdef public bint draining
    cdef public long long lent_bytes
    cdef list _default_headers
    cdef readonly bytes default_fields
    cdef readonly list default_pairs


cdef class ConnectionContext:
    cdef readonly object loop
    cdef readonly ServerState server_state
    cdef readonly object limits
    cdef public double keep_alive_seconds
    cdef public double request_header_seconds
    cdef public double request_body_seconds
    cdef public Py_ssize_t limit_concurrency
    cdef public bytes health_check_path
    cdef public object access_log
    cdef public object trusted_hosts
    cdef readonly bint is_prefaced
    cdef readonly bint is_tls
    cdef readonly bint is_tracing
    cdef readonly ScopeBuilder scopes
    cdef readonly ScopeBuilder push_scopes
    cdef readonly object server_cert_of
    cdef readonly TaskStarter starter
    cdef readonly Timers timers
    cdef readonly object base_context
    cdef public object http2
    cdef public object new_http2_session
    cdef readonly object http2_limits
    cdef public object websocket
    cdef readonly object websocket_limits
    cdef readonly Py_ssize_t websocket_max_queue
