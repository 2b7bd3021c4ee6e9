"""A page that runs a model again with a change, from a server on this machine."""

import secrets
import threading
import webbrowser
from collections.abc import Callable, Collection, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from superloop_core import intervene, trace
from superloop_core.errors import SuperloopError
from superloop_core.traces import Traces
from superloop_plugin_view.viewer.content import Run, lengths_of
from superloop_plugin_view.viewer.page import NOTEBOOK_STYLE
from superloop_plugin_view.viewer.recording import Recording
from superloop_plugin_view.viewer.viewer import halves, make_page
from superloop_plugin_view.viewer.what_if import Change, Choices, panel

HOST = "127.0.0.1"
MOST_BYTES = 100_000  # of a form


class Live:
    """A model that is asked "what if" from the browser: a page with a panel, served by this process.

    Only this machine reaches it, and only with the token in :attr:`url`. A notebook shows the page.

    ::

        live = what_if(model, words, answers=lambda traces: traces.results.argmax(-1))
        live.open()
        live.wait()

    Attributes:
        url: of the page.
    """

    def __init__(self, page_of: Callable[[Change | None, str, str], str], port: int = 0):
        self._token = secrets.token_urlsafe(16)
        self._page_of = page_of
        self._one_at_a_time = threading.Lock()
        try:
            self._server = ThreadingHTTPServer((HOST, port), self._handler())
        except OSError as error:
            raise SuperloopError(
                f"port {port} cannot be used: {error.strerror}; choose another, or 0"
            ) from error
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}/{self._token}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when Ctrl-C is pressed, or the server was closed."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.2)
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def open(self) -> None:
        """Show the page in the browser."""
        webbrowser.open(self.url)

    def close(self) -> None:
        """Stop serving; the page cannot be asked any more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "Live":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """Return a frame that shows the page, for a notebook on this machine."""
        return f'<iframe title="superloop what if" style="{NOTEBOOK_STYLE}" src="{self.url}"></iframe>'

    def answer(self, form: str | None) -> tuple[HTTPStatus, str]:
        """Return a page: for what a form says, or without a change. One is made at a time."""
        change = None
        with self._one_at_a_time:
            if form is None:
                return HTTPStatus.OK, self._page_of(None, "", self._token)
            try:
                change = Change.of(dict(parse_qsl(form, keep_blank_values=True)))
                return HTTPStatus.OK, self._page_of(change, "", self._token)
            except SuperloopError as refused:
                error = str(refused)
            except Exception as failed:  # a model that cannot compute with such a state
                error = f"{type(failed).__name__}: {str(failed).partition(chr(10))[0]}"
            return HTTPStatus.BAD_REQUEST, self._page_of(change, error, self._token)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        live = self

        class Handler(BaseHTTPRequestHandler):
            server_version = "superloop"
            sys_version = ""

            def do_GET(self) -> None:
                if self._may():
                    self._send(*live.answer(None), "text/html")

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if not self._may():
                    return
                if not length.isdecimal() or int(length) > MOST_BYTES:
                    self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a form has at most 100,000 bytes")
                    return
                form = self.rfile.read(int(length)).decode("utf-8", "replace")
                self._send(*live.answer(form), "text/html")

            def _may(self) -> bool:
                """Whether the request has the token, and is for this host: not of a stranger's page."""
                port = live._server.server_port
                of_host = self.headers.get("Host") in (f"{HOST}:{port}", f"localhost:{port}")
                own = f"http://{self.headers.get('Host')}"
                of_page = self.headers.get("Origin") in (None, own)
                if (
                    of_host
                    and of_page
                    and secrets.compare_digest(self.path.encode(), f"/{live._token}/".encode())
                ):
                    return True
                self._send(HTTPStatus.NOT_FOUND, "no such page: open the address that was printed, whole")
                return False

            def _send(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
                body = text.encode()
                self.send_response(status)
                for name, value in {
                    "Content-Type": f"{kind}; charset=utf-8",
                    "Content-Length": str(len(body)),
                    "Cache-Control": "no-store",
                    "Referrer-Policy": "same-origin",
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Print nothing."""

        return Handler


def what_if(
    model: Any,
    inputs: Any,
    /,
    *,
    names: Collection[str] | str | None = None,
    sequences: Iterable[int] | None = None,
    title: str = "",
    port: int = 0,
    record: Callable[[Traces, str], Recording] | None = None,
    **known: Any,
) -> Live:
    """Serve a page on which a memory, a read vector or a control is changed; the model runs on from there.

    The page is that of :func:`view` with a panel. A change shows the run before and after it, side by side
    and as a difference, as :func:`superloop_core.intervene` computes them. Nothing in the model changes.

    Args:
        model: as for :func:`superloop_core.trace`.
        inputs: as the model takes them. These two are given by position, as ``inputs`` may also be known.
        names: as for :func:`view`.
        sequences: as for :func:`view`.
        title: as for :func:`view`.
        port: of the server, on this machine only; 0: one that is free.
        record: returns a recording of traces, with a name; None: one with what is known.
        known: arguments of :class:`Recording`; ``answers`` is a function of the traces.

    Returns:
        the server, which runs until :meth:`Live.close`, the end of a ``with``, or that of Python.

    Raises:
        SuperloopError: no loop was called, there is nothing to show, the port cannot be used, or what is
            known could not follow a change.
        TraceError: a name matches no trace.
    """
    rows = None if sequences is None else list(sequences)
    fixed = [name for name in ("wrong", "correct") if known.get(name) is not None]
    if known.get("answers") is not None and not callable(known["answers"]):
        fixed.insert(0, "answers")
    if fixed and record is None:
        raise SuperloopError(
            f"{fixed[0]!r} would stay the same after a change: give 'answers' as a function of the traces, "
            "and all else by 'record'"
        )

    def recorded(traces: Traces, name: str) -> Recording:
        return Recording(traces=traces, name=name, **known) if record is None else record(traces, name)

    def page_of(change: Change | None, error: str, token: str) -> str:
        if change is None or error:
            shown = [recorded(plain, "")]
        else:
            _require_valid(change, lengths)
            shown = [recorded(*half) for half in halves(intervene(model, inputs, **change.arguments()))]
        form = panel(choices, change, error, token)
        at, row = (0, None) if change is None else (change.at, change.row)
        return make_page(shown, names, rows, title or "What if", panel=form, at=at, row=row).html

    plain = trace(model, inputs)
    shown_rows = Run.of(recorded(plain, ""), names, rows, 0).rows  # refuses what cannot be shown
    lengths = lengths_of(plain, [name for name in plain if plain[name].ndim >= 2])
    choices = Choices.of(plain, shown_rows)
    return Live(page_of, port)


def _require_valid(change: Change, lengths: np.ndarray) -> None:
    """Refuse a change in the padding, which nothing reads."""
    length = lengths[change.row] if change.row in range(len(lengths)) else lengths.max()
    if length <= change.at < lengths.max():
        raise SuperloopError(
            f"timestep {change.at} is padding of sequence {change.row}, which has {length} timesteps"
        )
