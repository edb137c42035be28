"""One request for an object or a resource, and what all verbs read from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hearth.api.errors import BadRequest
from hearth.api.http import Request
from hearth.api.selectors import Selector, parse_field_selector, parse_label_selector
from hearth.apiserver.auth import User
from hearth.apiserver.core.lifecycle import Writer
from hearth.apiserver.core.patching import APPLY_PATCH
from hearth.apiserver.core.paths import Target
from hearth.kit.times import rfc3339


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks what of which object or resource."""

    target: Target
    request: Request
    user: User

    @property
    def media(self) -> str:
        """The body's media type, without parameters."""
        return self.request.headers.get("content-type", "").split(";")[0].strip()

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be stored."""
        return bool(self.request.query.get("dryRun"))

    @property
    def table(self) -> str | None:
        """``includeObject`` if the client prefers tables, else None."""
        if "as=Table" not in self.request.headers.get("accept", "").split(",")[0]:
            return None
        return self.request.query.get("includeObject", "Metadata")

    def labels(self) -> Selector:
        """The label selector; raises ``BadRequest``."""
        return parse_label_selector(self.request.query.get("labelSelector", ""))

    def fields(self) -> Selector:
        """The field selector; raises ``BadRequest``, also for a field one cannot select by."""
        selector = parse_field_selector(self.request.query.get("fieldSelector", ""))
        if selector:
            known = self.target.resource.fields({})
            for requirement in selector.requirements:
                if requirement.key not in known:
                    raise BadRequest(f"field label not supported: {requirement.key}")
        return selector

    def number(self, name: str, default: int) -> int:
        """A number in the query; raises ``BadRequest``."""
        text = self.request.query.get(name) or ""
        if text and not text.isdecimal():
            raise BadRequest(f"{name} is {text!r}, expected a number")
        return int(text) if text else default

    def writer(self, now: datetime) -> Writer:
        """Who writes, and how."""
        agent = self.request.headers.get("user-agent", "").split("/")[0]
        return Writer(
            user=self.user.name,
            manager=self.request.query.get("fieldManager") or agent or "unknown",
            at=rfc3339(now),
            strictness=self.request.query.get("fieldValidation") or "Warn",
            applies=self.request.method == "PATCH" and self.media == APPLY_PATCH,
        )
