"""Finds where the API server serves a kind that Weft does not know by itself: `resource` nodes may name any.

Answers are kept: a kind does not move. A kind that was not there is asked for again each time, since a CRD may be
installed at any moment.
"""

from weft.api.objects import Objects, is_api_version
from weft.kube.client import Client
from weft.kube.errors import Invalid, NotFound
from weft.kube.resources import Resource


class Discovery:
    """Kinds to resources, remembered."""

    def __init__(self, client: Client):
        self._client = client
        self._known: dict[tuple[str, str], Resource] = {}

    async def resource(self, api_version: str, kind: str) -> Resource:
        """Give the resource that serves the kind (`apps/v1`, `Deployment`). Raises NotFound, or another ApiError.

        It is asked for with the operator's own rights, and a template may have made the apiVersion: one that could lead
        to any other path is Invalid.
        """
        if not is_api_version(api_version):
            raise Invalid(f"{api_version!r} is no apiVersion such as apps/v1", code=422, reason="Invalid")
        wanted = (api_version, kind)
        if wanted not in self._known:
            group, _, version = api_version.rpartition("/")
            for entry in await self._listed(group, version):
                if "/" not in entry["name"]:
                    self._known[api_version, entry["kind"]] = Resource(
                        group, version, entry["name"], entry["kind"], entry["namespaced"]
                    )
        if wanted not in self._known:
            raise NotFound(f"the API server serves no kind {kind} in {api_version}", code=404, reason="NotFound")
        return self._known[wanted]

    async def _listed(self, group: str, version: str) -> Objects:
        """What is served of a group's version: nothing where the API server knows none, which it says by a bare 404."""
        try:
            listing = await self._client.get_path(f"/apis/{group}/{version}" if group else f"/api/{version}")
        except NotFound:
            return []
        found: Objects = listing.get("resources") or []
        return found
