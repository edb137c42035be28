"""The verbs that change nothing: get, list, watch, log."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import msgspec

from hearth.api.errors import BadRequest
from hearth.api.http import Response
from hearth.api.kinds import POD
from hearth.api.meta import Wire
from hearth.api.tables import make_table
from hearth.apiserver.asked import Asked
from hearth.apiserver.codec import JSON, decode, json_response, render
from hearth.apiserver.logs import NodeLogs
from hearth.apiserver.objects import Objects, rendered
from hearth.apiserver.requestlogs import RequestLogs, is_asked_for
from hearth.apiserver.subresources import scale_of
from hearth.apiserver.watching import Watching, WatchOptions
from hearth.kit.clock import Clock

_WATCH_TIMEOUT_S = 1800  #: Kubernetes' least (--min-request-timeout)


@dataclass(frozen=True, slots=True)
class Page:
    """Where a list goes on."""

    revision: int | None = None  #: of the first page; None: this is the first
    after: str = ""  #: the store key of the last object shown

    @classmethod
    def of(cls, token: str) -> Page:
        """Read a ``continue`` token; raises ``BadRequest``."""
        if not token:
            return cls()
        try:
            found = msgspec.json.decode(base64.urlsafe_b64decode(token), type=dict[str, str])
            return cls(int(found["rv"]), found["after"])
        except (ValueError, KeyError) as error:
            raise BadRequest("continue key is not valid") from error

    def token(self) -> str:
        """What a client sends to go on."""
        found = {"rv": str(self.revision), "after": self.after}
        return base64.urlsafe_b64encode(msgspec.json.encode(found)).decode()


class Reading:
    """Answers the reading verbs."""

    def __init__(self, objects: Objects, logs: NodeLogs, clock: Clock) -> None:
        self._objects = objects
        self._logs = logs
        self._requests = RequestLogs(logs)
        self._clock = clock
        self._watching = Watching(objects, clock)

    async def get(self, asked: Asked) -> Response:
        """One object, or its scale."""
        target = asked.target
        entry = await self._objects.get(target)
        if target.subresource == "scale":
            return json_response(scale_of(decode(entry)))
        if asked.table is None:
            if target.resource.kind == POD:
                return json_response(self._requests.shown(target.tenant, decode(entry)))
            return Response(200, JSON, render(entry))
        rv, now = str(entry.modified), self._clock.now()
        table = make_table(target.resource, [decode(entry)], rv, now, include=asked.table)
        return json_response(table)

    async def list(self, asked: Asked) -> Response:
        """The selected objects: all, or as many as ``limit`` says from where ``continue`` says.

        All pages show the objects as they were when the first was asked for.
        """
        target = asked.target
        limit, page = asked.number("limit", 0), Page.of(asked.request.query.get("continue", ""))
        selects = (asked.labels(), asked.fields())
        entries, revision = await self._objects.find(target, *selects, page.revision)
        entries = [each for each in entries if each[0] > page.after]
        meta: Wire = {"resourceVersion": str(revision)}
        if limit and len(entries) > limit:
            meta["continue"] = Page(revision, entries[limit - 1][0]).token()
            if not any(selects):
                meta["remainingItemCount"] = len(entries) - limit
            entries = entries[:limit]
        if asked.table is not None:
            items, now = [decode(entry) for _, entry in entries], self._clock.now()
            table = make_table(target.resource, items, str(revision), now, include=asked.table)
            return json_response({**table, "metadata": meta})
        kind = target.resource.kind
        head = msgspec.json.encode(
            {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta}
        )
        body = b",".join(rendered(target, key, entry) for key, entry in entries)
        return Response(200, JSON, head[:-1] + b',"items":[' + body + b"]}")

    async def watch(self, asked: Asked) -> Response:
        """Changes from a version on, as they come."""
        query = asked.request.query
        asked.number("resourceVersion", 0)  # refused before the stream begins
        send_initial = {"true": True, "false": False}.get(query.get("sendInitialEvents", ""))
        options = WatchOptions(
            labels=asked.labels(),
            fields=asked.fields(),
            resource_version=query.get("resourceVersion", ""),
            timeout_s=asked.number("timeoutSeconds", 0) or _WATCH_TIMEOUT_S,
            bookmarks=query.get("allowWatchBookmarks") in ("true", "1"),
            table=asked.table,
            send_initial=send_initial,
        )
        return Response(200, JSON, stream=self._watching.stream(asked.target, options))

    async def log(self, asked: Asked) -> Response:
        """What a pod's container wrote."""
        pod = decode(await self._objects.get(asked.target))
        if is_asked_for(pod, asked.request.query.get("container", "")):
            return await self._requests.read(asked.target.tenant, pod, asked.request)
        return await self._logs.read(asked.target.tenant, pod, asked.request)
