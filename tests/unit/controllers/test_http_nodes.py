"""HTTP nodes: what is sent for what the templates gave."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from support.rig import Http, Rig
from weft.controllers.in_flight import OF_A_NAMESPACE
from weft.notify.guarded_http import Response

NODE = """
parameters:
- {name: fast, type: boolean, default: true}
- {name: filter, type: object, default: {a: [1, null]}}
- {name: address, default: "http://x/"}
nodes:
- name: a
  http:
    url: ${{ params.address }}
    headers:
    - {name: X-Fast, value: "${{ params.fast }}"}
    - {name: X-Filter, value: "${{ params.filter }}"}
    - {name: X-Text, value: plain}
- {name: b, http: {url: "${{ [params.fast] }}"}}
"""


class Listener(Http):
    """Takes everything, and keeps the headers by URL."""

    def __init__(self) -> None:
        super().__init__()
        self.headers: dict[str, Mapping[str, str]] = {}

    async def request(self, method: str, url: str, **sent: Any) -> Any:
        self.headers[url] = sent["headers"]
        return Response(200, {}, b"")


async def test_headers_and_address_are_text_as_templates_make_it(rig: Rig) -> None:
    listener = rig.http = Listener()
    rig.workflow("w", NODE)
    await rig.finish("w")
    assert listener.headers == {
        "http://x/": {"X-Fast": "true", "X-Filter": '{"a":[1,null]}', "X-Text": "plain"},
        "[true]": {},
    }


PLACES = """
parameters: [{name: order}, {name: region}]
failurePolicy: Continue
nodes:
- {name: a, http: {url: "https://orders.example.com/orders/${{ params.order }}", method: PUT}}
- {name: b, http: {url: "https://${{ params.region }}.api.example.com/x"}}
"""


async def test_a_value_in_an_address_leads_nowhere_else(rig: Rig) -> None:
    """The headers, an Authorization among them, are for the host that the author wrote."""
    rig.workflow("w", PLACES)
    await rig.up()
    rig.start("w", parameters={"order": "../admin/users?role=root#", "region": "evil.example/#"})
    await rig.wait(rig.ended)
    assert rig.http.asked == []
    assert rig.nodes() == {"a": "Failed(ExpressionError)", "b": "Failed(ExpressionError)"}
    assert "the value leads out of the URL's path" in rig.first_node()["message"]
    rig.start("w", "fine", parameters={"order": "17/items?x=../", "region": "eu-1"})
    await rig.wait(lambda: rig.ended("fine"))
    assert sorted(rig.http.asked) == [
        "GET https://eu-1.api.example.com/x",
        "PUT https://orders.example.com/orders/17/items?x=../",
    ]


class Patient(Http):
    """Answers after half a minute, and counts by host how many wait for it."""

    def __init__(self, rig: Rig) -> None:
        super().__init__()
        self._rig = rig
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def request(self, method: str, url: str, **sent: Any) -> Any:
        self.now[url] += 1
        self.most[url] = max(self.most[url], self.now[url])
        await self._rig.clock.sleep(30)
        self.now[url] -= 1
        return Response(200, {}, b"")


async def test_a_flood_is_sent_bit_by_bit_and_all_of_it(rig: Rig) -> None:
    patient = rig.http = Patient(rig)
    rig.workflow("w", "nodes: [{name: a, forEach: {range: 150}, http: {url: 'http://a/'}}]")
    await rig.up()
    rig.start("w")
    await rig.wait(rig.ended)
    assert rig.phase() == "Succeeded"
    assert patient.most == {"http://a/": OF_A_NAMESPACE}
