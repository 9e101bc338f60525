"""A chat model at the other end of a socket: a server that speaks OpenAI's chat completions, with scripted replies.

Nodes in any process reach it through its `url`, with the client they would use in production. What it says, when,
and how it fails is up to the test:

    with OpenAIServer("Hello world", Reply(tool_calls=[ToolCall("add", {"a": 1})])) as server:
        model = ChatOpenAI(base_url=server.url, api_key="x", model="fake")

A `Gate` holds every token back until the test lets it go, so that a test can prove that one token arrived before the
next was sent, without a sleep.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

GATE_TIMEOUT_SECONDS = 20.0
"""Below the time limit of a test, so that a test whose tokens don't arrive fails where it waits."""


class Gate:
    """Lets tokens out one at a time. Made closed; may be shared by several replies."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._permits = 0
        self._open = False

    def let(self, tokens: int = 1) -> None:
        """Let that many more tokens pass."""
        with self._changed:
            self._permits += tokens
            self._changed.notify_all()

    def open(self) -> None:
        """Let all tokens pass from now on."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def wait(self) -> None:
        """Return when a token may pass. Raises TimeoutError when none may for long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._open or self._permits, GATE_TIMEOUT_SECONDS):
                raise TimeoutError("nobody let the token pass")
            if not self._open:
                self._permits -= 1


@dataclass(frozen=True)
class ToolCall:
    """A call the model asks for."""

    name: str
    arguments: Mapping[str, Any]
    id: str = "call_1"


@dataclass(frozen=True)
class Reply:
    """What the server answers to one request."""

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    gate: Gate | None = None
    """Holds each token back, of a stream, or the whole reply."""
    drop_after: int | None = None
    """Cut the connection after so many tokens."""
    status: int = 200
    """Another one makes the reply an error, with `text` as its message."""

    @property
    def tokens(self) -> list[str]:
        """The text in pieces: words, each with the space before it."""
        return re.findall(r"\s*\S+|\s+$", self.text)


Script = Callable[[Mapping[str, Any]], Reply | str]
"""Answers a request by what it says, for tests in which several come at once, in any order."""


@dataclass
class Exchange:
    """One request, and how far its answer got."""

    request: Mapping[str, Any]
    """The body."""
    headers: Mapping[str, str]
    """By lower-case name."""
    sent: int = 0
    """Tokens sent so far."""
    complete: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    """Set when nothing more will be sent: the answer is complete, was cut, or the client has gone."""

    @property
    def prompt(self) -> str:
        """The content of the last message."""
        return str(self.request["messages"][-1]["content"])


class OpenAIServer:
    """The server, on a free port of the loopback interface, from `with` to the end of the block.

    Args:
        replies: What to answer, in the order of the requests; or one function of the request. The last of several
            is repeated.
    """

    def __init__(self, *replies: Reply | str | Script) -> None:
        self._replies = deque(replies)
        self._lock = threading.Lock()
        self._gates: list[Gate] = []
        self.exchanges: list[Exchange] = []
        """Every request so far, in the order of arrival."""
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="openai-server")

    @property
    def url(self) -> str:
        """The `base_url` of clients."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for gate in self._gates:
            gate.open()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()  # waits for the answers that are still being sent

    def answer(self, exchange: Exchange) -> Reply:
        """Note a request and choose its reply. Raises LookupError when the test has not said what to answer."""
        with self._lock:
            self.exchanges.append(exchange)
            if not self._replies:
                raise LookupError("no reply was scripted")
            scripted = self._replies.popleft() if len(self._replies) > 1 else self._replies[0]
        chosen = scripted(exchange.request) if callable(scripted) else scripted
        reply = Reply(chosen) if isinstance(chosen, str) else chosen
        if reply.gate is not None:
            with self._lock:
                self._gates.append(reply.gate)
        return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], owner: OpenAIServer) -> None:
        self.owner = owner
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        self.close_connection = True
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path != "/v1/chat/completions":
            self._send_error(404, f"no such path: {self.path}")
            return
        if not body.get("model") or not body.get("messages"):
            self._send_error(400, "a request needs a model and messages")
            return
        exchange = Exchange(body, {name.lower(): value for name, value in self.headers.items()})
        try:
            self._answer(exchange)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has gone; that is told by `ended` without `complete`
        finally:
            exchange.ended.set()

    def _answer(self, exchange: Exchange) -> None:
        try:
            reply = self.server.owner.answer(exchange)
        except LookupError as error:
            self._send_error(400, str(error))
            return
        number = len(self.server.owner.exchanges)
        head = {"id": f"chatcmpl-{number}", "created": 1_700_000_000, "model": exchange.request["model"]}
        if reply.status != 200:
            self._send_error(reply.status, reply.text or "scripted failure")
        elif exchange.request.get("stream"):
            self._stream(exchange, reply, head)
        else:
            self._complete(exchange, reply, head)

    def _send_error(self, status: int, message: str) -> None:
        self._send_json(status, {"error": {"message": message, "type": "scripted", "param": None, "code": None}})

    def _send_json(self, status: int, content: Mapping[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def _cut(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    # --- whole ---------------------------------------------------------------------------------------------------

    def _complete(self, exchange: Exchange, reply: Reply, head: Mapping[str, Any]) -> None:
        if reply.gate is not None:
            reply.gate.wait()
        if reply.drop_after is not None:
            self._cut()
            return
        calls = [_call(call, json.dumps(call.arguments)) for call in reply.tool_calls]
        message = {"role": "assistant", "content": reply.text or None, **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(reply)}
        content = {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(exchange, reply)}
        exchange.sent = len(reply.tokens)
        self._send_json(200, content)
        exchange.complete = True

    # --- streamed ------------------------------------------------------------------------------------------------

    def _stream(self, exchange: Exchange, reply: Reply, head: Mapping[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")
        self.end_headers()

        def send(choices: list[dict[str, Any]], **more: Any) -> None:
            self._send_event(json.dumps({**head, "object": "chat.completion.chunk", "choices": choices, **more}))

        def delta(change: Mapping[str, Any], reason: str | None = None) -> list[dict[str, Any]]:
            return [{"index": 0, "delta": change, "logprobs": None, "finish_reason": reason}]

        send(delta({"role": "assistant", "content": ""}))
        pieces = [{"content": token} for token in reply.tokens] + _call_pieces(reply.tool_calls)
        for piece in pieces:
            if reply.drop_after == exchange.sent:
                break
            if reply.gate is not None:
                reply.gate.wait()
            exchange.sent += 1  # first, so that whoever has the token finds it counted
            send(delta(piece))
        if reply.drop_after is not None:
            self._cut()
            return
        send(delta({}, _reason(reply)))
        options: Mapping[str, Any] = exchange.request.get("stream_options") or {}
        if options.get("include_usage"):
            send([], usage=_usage(exchange, reply))
        self._send_event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        exchange.complete = True

    def _send_event(self, data: str) -> None:
        event = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.flush()


def _call(call: ToolCall, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _call_pieces(calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """Tool calls as a stream has them: first the name, then the arguments in pieces."""
    pieces: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        pieces.append({"tool_calls": [{"index": index, **_call(call, "")}]})
        arguments = json.dumps(call.arguments)
        middle = len(arguments) // 2
        for part in (arguments[:middle], arguments[middle:]):
            pieces.append({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
    return pieces


def _reason(reply: Reply) -> str:
    return "tool_calls" if reply.tool_calls else "stop"


def _usage(exchange: Exchange, reply: Reply) -> dict[str, int]:
    """Counted in words, which will do."""
    prompt = sum(len(str(message.get("content") or "").split()) for message in exchange.request["messages"])
    completion = len(reply.tokens)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
