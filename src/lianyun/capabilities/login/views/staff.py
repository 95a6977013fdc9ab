"""Staff: a department's people as SCIM 2.0 (RFC 7643, 7644) has them; scim2-server speaks it.

Only what the city needs of an officer is offered (data minimisation): no password, address or photo.
Loading the library takes a second, so `scim` loads this module at the first request of a directory.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from scim2_models import (
    URN,
    AuthenticationScheme,
    ChangePassword,
    Email,
    ETag,
    Filter,
    Meta,
    Name,
    NotFoundException,
    Patch,
    PhoneNumber,
    PreconditionFailedException,
    Required,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimProvider,
    SearchRequest,
    ServiceProviderConfig,
    Sort,
    UnauthorizedException,
    Uniqueness,
    UniquenessException,
)
from scim2_server.applications.wsgi import WSGIApplication
from scim2_server.memory import InMemoryStorage
from scim2_server.requests import ScimRequest
from scim2_server.storage import ScimStorage, SearchPage

from lianyun.kernel.access import Actor

from .. import actions, queries

BASE = "/scim/v2"
MOST = 200
BODY = 256 * 1024


class Staff(Resource[Any]):
    """An officer as his department's directory knows him (a SCIM core User with fewer attributes)."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    name: Name | None = None
    display_name: str | None = None
    title: str | None = None
    user_type: str | None = None
    active: bool | None = None
    emails: list[Email] | None = None
    phone_numbers: list[PhoneNumber] | None = None


_USERS = {
    "id": "User",
    "name": "User",
    "endpoint": "/Users",
    "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
}


@cache
def _provider() -> ScimProvider:
    return ScimProvider(
        [Staff],
        [ResourceType.model_validate(_USERS)],
        ServiceProviderConfig(
            patch=Patch(supported=True),
            filter=Filter(supported=True, max_results=MOST),
            change_password=ChangePassword(supported=False),
            sort=Sort(supported=True),
            etag=ETag(supported=True),
            authentication_schemes=[
                AuthenticationScheme(
                    type=AuthenticationScheme.Type.oauthbearertoken,
                    name="bearer",
                    description="One token per department",
                )
            ],
        ),
    )


def _stored(member: Any) -> Staff:
    """A person as the directory wrote him, with what the city adds: number, times, version."""
    staff = Staff.model_validate({**member.data, "schemas": [str(Staff.__schema__)]})
    staff.id, staff.user_name = member.uid, member.user_name
    staff.meta = Meta(
        resource_type="User",
        created=member.made_at,
        last_modified=member.changed_at,
        version=f'W/"{member.version}"',
    )
    return staff


def _plain(staff: Staff) -> dict[str, Any]:
    """What is kept of a person: everything but what the city says itself."""
    data: dict[str, Any] = json.loads(json.dumps(staff.model_dump(), default=str))
    return {k: v for k, v in data.items() if k not in {"id", "meta", "schemas"}}


def _name_of(staff: Staff) -> str:
    """How the person is called here: the display name, else the formal one, else the account."""
    name: Any = staff.name
    if staff.display_name:
        return str(staff.display_name)
    if name is not None and name.formatted:
        return str(name.formatted)
    if name is not None and (name.family_name or name.given_name):
        return f"{name.family_name or ''}{name.given_name or ''}"
    return str(staff.user_name)


class StaffStorage(ScimStorage):
    """The people of one directory, read by our queries and written by our actions."""

    def __init__(self, directory: Any) -> None:
        self.directory = directory
        self.by: Actor = actions.actor_of_directory(directory)

    def _member(self, uid: str | None) -> Any:
        found = queries.members(self.by, self.directory).filter(uid=uid or "").first()
        if found is None:
            raise NotFoundException()
        return found

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """One person."""
        return _stored(self._member(resource_id))

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        """The people who match; the library's own storage filters, sorts and pages them."""
        shelf = InMemoryStorage()
        shelf.resources = [_stored(m) for m in queries.members(self.by, self.directory)]
        return shelf.search(resource_types, search_request, position=position)

    def _write(self, staff: Staff) -> dict[str, Any]:
        return {
            "user_name": str(staff.user_name),
            "name": _name_of(staff)[:100],
            "active": staff.active,
            "data": _plain(staff),
        }

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """Bring a person in."""
        assert isinstance(resource, Staff)
        try:
            made = actions.add_member(directory=self.directory, by=self.by, **self._write(resource))
        except actions.NameTaken as taken:
            raise UniquenessException(detail="userName is taken") from taken
        return _stored(made)

    def update(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
    ) -> Resource[Any]:
        """Write a person anew."""
        assert isinstance(resource, Staff)
        try:
            row = actions.change_member(
                member=self._member(resource.id),
                by=self.by,
                version=_number(expected_version),
                **self._write(resource),
            )
        except actions.NameTaken as taken:
            raise UniquenessException(detail="userName is taken") from taken
        except actions.NewerVersion as newer:
            raise PreconditionFailedException() from newer
        return _stored(row)

    def delete(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        expected_version: str | None = None,
    ) -> None:
        """Take a person out."""
        try:
            actions.remove_member(
                member=self._member(resource_id), by=self.by, version=_number(expected_version)
            )
        except actions.NewerVersion as newer:
            raise PreconditionFailedException() from newer


def _number(version: str | None) -> int | None:
    """The number in an entity tag of ours; 0, which no person has, for a foreign one."""
    if version is None:
        return None
    digits = version.removeprefix("W/").strip('"')
    return int(digits) if digits.isascii() and digits.isdecimal() else 0


class _Closed(ScimStorage):
    """No directory: nothing is reached without a token."""

    def get(self, *args: Any, **kwargs: Any) -> Resource[Any]:
        """Refused."""
        raise UnauthorizedException()

    search = create = update = delete = get  # type: ignore[assignment]


class StaffApplication(WSGIApplication):
    """scim2-server for one request; who may is decided by the department's token."""

    def __init__(self, directory: Any) -> None:
        super().__init__(StaffStorage(directory) if directory else _Closed(), _provider())
        self.directory = directory

    def check_auth(self, request: ScimRequest) -> None:
        """One token per department."""
        if self.directory is None:
            raise UnauthorizedException()


def answer(request: HttpRequest, path: str, token: str) -> HttpResponse:
    """What scim2-server says to one request; without a directory's token nothing is read."""
    directory = queries.directory_of_token(token) if token else None
    told = ScimRequest(
        method=request.method or "GET",
        base_url=request.build_absolute_uri(BASE),
        path=f"/{path}".removesuffix(".scim"),
        query=request.GET.dict(),
        headers=dict(request.headers),
        body=b"" if directory is None else request.body[: BODY + 1],
    )
    said = StaffApplication(directory).serve(told)
    body = b"" if said.body is None else json.dumps(said.body, ensure_ascii=False).encode()
    response = HttpResponse(body, status=said.status.value)
    for name, value in said.headers.items():
        response[name] = value
    return response
