"""The truth table of values in a URL: which stay where they are put, and which lead elsewhere."""

import re
from itertools import product

import pytest
from weft.expr.cel import ExpressionError
from weft.expr.template import Template, compile_template
from weft.expr.url import UrlText, misplaced
from yarl import URL

HOST, SCHEME, PATH, DOTS, CUT = "in the host", "in the scheme", "behind the host", "leads out", "ends the URL's path"


def pieces(written: str, *values: str) -> list[tuple[str, bool]]:
    """The pieces of a URL in which each `*` is a value."""
    given = iter(values)
    return [(next(given), True) if part == "*" else (part, False) for part in re.split(r"(\*)", written) if part]


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("*", ["https://anywhere.example/../x#y"]),
        ("*", [""]),
        ("https://a.example/orders/*", ["17"]),
        ("https://a.example/orders/*", [""]),
        ("https://a.example/orders/*", ["17/items?all=1&to=../x#end"]),
        ("https://a.example/orders/*", ["..17"]),
        ("https://a.example/orders/*", ["a..b/...", ]),
        ("https://a.example/orders/*", ["a b/ü/%2F/@:"]),
        ("https://a.example/orders/*/items", ["17/parts"]),
        ("https://a.example/orders/*?x=*", ["17", "../../?#@evil"]),
        ("https://a.example/orders/*&limit=3", ["17?all=1"]),
        ("https://a.example/x#*", [".."]),
        ("https://a.example/*/*", ["v1", "orders"]),
        ("https://a.example/../*", ["17"]),
        ("https://a.example*", ["/orders/17?x=1"]),
        ("https://a.example*", ["?x=/../"]),
        ("https://a.example*", [""]),
        ("https://a.example**", ["/orders", "/17"]),
        ("https://a.example**", ["", "/17"]),
        ("https://a.example*/x", ["/v1"]),
        ("https://*.example.com/x", ["eu-1"]),
        ("https://*.example.com/x", [""]),
        ("https://a.*.example.com", ["b.c_d"]),
        ("https://*/x", ["a.example"]),
        ("http://svc-*", ["1"]),
        ("http://svc.*", ["shop"]),
        ("http://svc*/x", ["-a.shop:80"]),
        ("http://svc*", ["1:80"]),
        ("https://*/x", ["a.example:8443"]),
        ("https://*", ["[fd00::1]:8443"]),
        ("https://*:*/x", ["a.example", "8443"]),
        ("https://*?x=1", ["a.example"]),
        ("http*://a.example/", ["s"]),
        ("*://a.example/", ["https"]),
        ("*/orders/*", ["https://a.example:1/base", "17"]),
        ("*orders", ["https://a.example/base/"]),
        ("*.sha256", ["https://a.example/../file?x"]),
        ("**", ["https://a.example", "/orders"]),
        ("**", ["https://a.example/", "orders"]),
        ("**.json", ["https://a.example", "/orders"]),
    ],
)  # fmt: skip
def test_values_that_stay_where_they_are_put(written: str, values: list[str]) -> None:
    assert misplaced(pieces(written, *values)) is None


@pytest.mark.parametrize(
    ("written", "values", "which", "why"),
    [
        ("https://*.example.com/x", ["evil.example/#"], 0, HOST),
        ("https://*.example.com/x", ["evil.example?"], 0, HOST),
        ("https://*.example.com/x", ["evil.example\\"], 0, HOST),
        ("https://*.example.com/x", ["evil.example:80"], 0, HOST),
        ("https://*.example.com/x", ["user@"], 0, HOST),
        ("https://*.example.com/x", ["/"], 0, HOST),
        ("https://*.example.com/x", ["#"], 0, HOST),
        ("https://*.example.com/x", ["a\u2100"], 0, HOST),
        ("https://*.example.com/x", ["a\uff0f"], 0, HOST),
        ("https://api*.example.com/x", ["/v1"], 0, HOST),
        ("https://api*.example.com/x", ["\t/v1"], 0, HOST),
        ("https://api**.example.com/x", ["/v1", ""], 0, HOST),
        ("https://api**.example.com/x", ["a", "#"], 1, HOST),
        ("https://*.*.example.com/x", ["a", "b/"], 1, HOST),
        ("https://*/x", ["/evil.example"], 0, HOST),
        ("https://*/x", ["evil.example/y"], 0, HOST),
        ("https://*/x", ["user@evil.example"], 0, HOST),
        ("https://*/x", ["evil.example#"], 0, HOST),
        ("https://a.example:*/x", ["80@evil.example"], 0, PATH),
        ("https://a.example*", [".evil.example/"], 0, PATH),
        ("https://a.example*", [".evil.example"], 0, PATH),
        ("https://a.example**", ["", ".evil.example"], 1, PATH),
        ("**", ["https://a.example", ".evil.example"], 1, PATH),
        ("https://a.example*", ["@evil.example/"], 0, PATH),
        ("https://a.example*", ["\\@evil.example/"], 0, PATH),
        ("https://a.example*/x", [".evil.example/y"], 0, PATH),
        ("https://a.example*", ["/orders/../admin"], 0, DOTS),
        ("http*://a.example/", ["s://evil.example/#"], 0, SCHEME),
        ("*://a.example/", ["https://evil.example/#"], 0, SCHEME),
        ("*://a.example/", ["https://evil.example"], 0, SCHEME),
        ("**://a.example/", ["https://evil.example/", ""], 0, SCHEME),
        ("https:*", ["//evil.example"], 0, SCHEME),
        ("**", ["https://a.example", ".evil.example/"], 1, PATH),
        ("https://a.example/orders/*", [".."], 0, DOTS),
        ("https://a.example/orders/*", ["."], 0, DOTS),
        ("https://a.example/orders/*", ["../admin/users?role=root#"], 0, DOTS),
        ("https://a.example/orders/*", ["17/%2E./.%2e/admin"], 0, DOTS),
        ("https://a.example/orders/*", ["..\\admin"], 0, DOTS),
        ("https://a.example/orders/*", ["..%2Fadmin"], 0, DOTS),
        ("https://a.example/orders/*", ["..;x/admin"], 0, DOTS),
        ("https://a.example/orders/*", [".\t./admin"], 0, DOTS),
        ("https://a.example/orders/*/items", [".."], 0, DOTS),
        ("https://a.example/orders/.*/items", ["."], 0, DOTS),
        ("https://a.example/orders/**/items", [".", "."], 0, DOTS),
        ("https://a.example/orders/*./items", ["x/."], 0, DOTS),
        ("https://a.example/v/*/*", ["v1", ".."], 1, DOTS),
        ("*/orders/*", ["https://a.example", "../admin"], 1, DOTS),
        ("https://a.example/orders/*/draft", ["17#"], 0, CUT),
        ("https://a.example/orders/*/draft", ["17?"], 0, CUT),
        ("https://a.example*/draft", ["/17?"], 0, CUT),
    ],
)  # fmt: skip
def test_values_that_lead_elsewhere(written: str, values: list[str], which: int, why: str) -> None:
    found = misplaced(pieces(written, *values))
    assert found is not None
    index, told = found
    assert [at for at, (_, is_value) in enumerate(pieces(written, *values)) if is_value].index(index) == which
    assert why in told


SIGNS = (".", "..", "/", "%2e", "\\", "#", "?", "@", ":", "\t", "evil.example", "%2F", ";", "//", "[", "\u2100")


@pytest.mark.parametrize(
    "written", ["https://*.a.example/x/y", "https://a.example*", "https://a.example/x/*/y", "https://a.example/x/*"]
)
def test_what_is_taken_goes_where_it_was_written_to_go(written: str) -> None:
    """As the client of http nodes reads it, which is not this module's reading."""
    taken = 0
    for value in map("".join, product(("", *SIGNS), repeat=3)):
        if misplaced(pieces(written, value)) is not None:
            continue
        try:
            url = URL(written.replace("*", value))
        except ValueError:
            continue  # not sent at all
        taken += 1
        assert url.host is not None
        assert url.host.endswith("a.example"), (written, value)
        if "/x/*" in written:
            assert url.path.startswith("/x"), (written, value)
        if written.endswith("/y"):
            assert url.path.endswith("/y"), (written, value)
    assert taken > 20


def template(text: str) -> Template:
    made = compile_template(text, {"params"})
    assert isinstance(made, Template)
    return made


def test_a_template_that_makes_a_url_names_the_expression_that_is_at_fault() -> None:
    url = UrlText.of(template("https://${{ params.region }}.a.example/${{ params.order }}"))
    assert url.render({"params": {"region": "eu", "order": 17}}) == "https://eu.a.example/17"
    with pytest.raises(ExpressionError) as caught:
        url.render({"params": {"region": "eu", "order": "s3cret/../../admin"}})
    assert str(caught.value) == (
        "the value leads out of the URL's path that is written before it, by `.` or `..` between slashes"
        " in `params.order`"
    )


@pytest.mark.parametrize("value", ["x", ["x"], 1, None, "https://a.example/.."])
def test_a_url_that_is_one_template_is_the_value_itself(value: object) -> None:
    assert UrlText.of(template("${{ params.url }}")).render({"params": {"url": value}}) == value
