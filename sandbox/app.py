"""The sandbox over HTTP: the panel's one endpoint, the ledger, and what a test may turn and break."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox.desk import Desk
from sandbox.dialects import PanelError
from sandbox.faults import BadFaultError, Fault, Faults
from sandbox.ledger import ledger
from sandbox.limits import Limiter
from sandbox.page import HEADERS, NEWEST, page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from sandbox.settings import SandboxSettings

ABORT = "sandbox.abort"  # where the server puts a function that resets the connection
_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_CHALLENGE = (
    "<!doctype html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
)
_DOWN = "<html><head><title>503 Service Unavailable</title></head><body><h1>503 Service Unavailable</h1></body></html>"
Down = Literal["up", "503", "drop"]


class Reset(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Reset it, and let the loop notice."""
        scope[ABORT]()
        await asyncio.sleep(0)


class Front:
    """The HTTP face of one desk."""

    def __init__(self, settings: SandboxSettings) -> None:
        self.settings = settings
        self.desk = Desk(settings)
        self.limiter = Limiter(settings.limits)
        self.faults = Faults(settings.seed)
        self.faults.arm(settings.faults)
        self.down: Down = "up"
        routes = [
            Route("/api/v2", self.api, methods=["POST"]),
            Route("/ledger.json", self.ledger_json),
            Route("/", self.ledger_page),
        ]
        if settings.control:
            controls = {
                "faults": self._control_faults,
                "balance": self._control_balance,
                "clock": self._control_clock,
                "service": self._control_service,
                "down": self._control_down,
                "account": self._control_account,
            }
            routes += [Route(f"/control/{name}", _control(do), methods=["POST"]) for name, do in controls.items()]
        self.app = Starlette(routes=routes)

    def ledger(self, newest: int | None = None) -> dict[str, Any]:
        """The books."""
        return ledger(self.desk, self.faults, newest=newest)

    async def ledger_json(self, _request: Request) -> Response:
        """The books as JSON."""
        return JSONResponse(self.ledger(), headers={"Cache-Control": "no-store"})

    async def ledger_page(self, _request: Request) -> Response:
        """The books as a page."""
        return HTMLResponse(page(self.ledger(NEWEST)), headers=HEADERS)

    async def api(self, request: Request) -> Response:
        """One call of the panel's API, faults included."""
        if self.down != "up":
            return Reset() if self.down == "drop" else HTMLResponse(_DOWN, 503)
        text = (await request.body()).decode("utf-8", "replace")
        fields = dict(parse_qsl(text, keep_blank_values=True))
        action = fields.get("action", "")
        books = self.desk.books
        books.count("requests", action if self.desk.knows(action) else "unknown")
        if action == "add" and fields.get("request_id"):
            books.count("attempts", fields["request_id"][:128])
        address = request.client.host if request.client else "unknown"
        verdict = self.limiter.admit_address(address)
        key = fields.get("key", "")
        if verdict.denied_by is None:
            if key not in self.settings.api_keys:
                return self._refuse(PanelError("Invalid API key", 403), verdict.headers)
            verdict = self.limiter.admit_key(key)
        if verdict.denied_by is not None:
            books.count("throttled", verdict.denied_by)
            return self._refuse(PanelError("Rate limit exceeded", 429), verdict.headers)
        fault = self.faults.draw(action)
        if fault is not None and (early := await self._before(fault, verdict.headers)) is not None:
            return early
        answer = self._answer(action, fields, verdict.headers)
        return answer if fault is None else await self._after(fault, answer)

    def _answer(self, action: str, fields: Mapping[str, str], headers: dict[str, str]) -> Response:
        try:
            return JSONResponse(self.desk.answer(action, fields), headers=headers)
        except PanelError as error:
            return self._refuse(error, headers)

    def _refuse(self, error: PanelError, headers: Mapping[str, str]) -> Response:
        return JSONResponse({"error": error.text}, self.desk.dialect.http_status(error), headers)

    async def _before(self, fault: Fault, headers: dict[str, str]) -> Response | None:
        """The answer of a fault that strikes before anything is done."""
        match fault.kind:
            case "drop_before":
                return Reset()
            case "error_before":
                return JSONResponse({"error": "Internal server error"}, 500)
            case "html_502":
                return HTMLResponse(_BAD_GATEWAY, 502)
            case "html_200":
                return HTMLResponse(_CHALLENGE)
            case "throttle":
                reset = str(int(time.time() + fault.seconds + 0.999))
                limited = headers | {
                    "X-RateLimit-Remaining": "0",
                    "X-RateLimit-Reset": reset,
                    "X-RateLimit-DeniedBy": "key",
                }
                return self._refuse(PanelError("Rate limit exceeded", 429), limited)
            case "slow":
                await asyncio.sleep(fault.seconds)
        return None

    async def _after(self, fault: Fault, answer: Response) -> Response:
        """What a fault makes of the answer once everything is done."""
        match fault.kind:
            case "drop_after":
                return Reset()
            case "error_after":
                return JSONResponse({"error": "Internal server error"}, 500)
            case "slow_after":
                await asyncio.sleep(fault.seconds)
        return answer

    # What a test may turn and break

    def _control_faults(self, order: dict[str, Any]) -> dict[str, Any]:
        self.faults.arm(order.get("faults", []))
        return {"armed": len(self.faults.armed), "fired": dict(self.faults.fired)}

    def _control_balance(self, order: dict[str, Any]) -> dict[str, Any]:
        self.desk.settle()
        amount = _money(order["set"]) - self.desk.books.balance if "set" in order else _money(order["add"])
        self.desk.top_up(amount)
        return {"balance": str(self.desk.books.balance)}

    def _control_clock(self, order: dict[str, Any]) -> dict[str, Any]:
        if "speed" in order:
            self.desk.clock.speed = float(order["speed"])
        self.desk.clock.advance(float(order.get("advance", 0)))
        return {"now": self.desk.clock.now(), "speed": self.desk.clock.speed}

    def _control_service(self, order: dict[str, Any]) -> dict[str, Any]:
        service = self.desk.services[int(order["service"])]
        changes: dict[str, Any] = {name: int(order[name]) for name in ("min", "max") if name in order}
        changes |= {name: bool(order[name]) for name in ("active", "refill", "cancel", "dripfeed") if name in order}
        if "rate" in order:
            changes["rate"] = _money(order["rate"])
        changed = self.desk.services[service.id] = replace(service, **changes)
        return {"service": changed.id, "active": changed.active, "rate": str(changed.rate)}

    def _control_down(self, order: dict[str, Any]) -> dict[str, Any]:
        wanted = order.get("down", True)
        self.down = "drop" if wanted == "drop" else "503" if wanted else "up"
        return {"down": self.down}

    def _control_account(self, order: dict[str, Any]) -> dict[str, Any]:
        self.desk.suspended = bool(order["suspended"])
        return {"suspended": self.desk.suspended}


def _money(value: Any) -> Decimal:
    amount = Decimal(str(value))
    if not amount.is_finite():
        raise ValueError("not an amount")
    return amount


def _control(do: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        # A page in a browser cannot send this type to another origin without being asked first.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return JSONResponse({"error": "send application/json"}, 415)
        try:
            order = await request.json()
            return JSONResponse(do(order))
        except BadFaultError as error:
            return JSONResponse({"error": str(error)}, 400)
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            return JSONResponse({"error": f"cannot do that: {type(error).__name__} {error}"}, 400)

    return endpoint
