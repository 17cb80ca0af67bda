import json

import pytest
from weft.cli.manifests import MAX_BYTES, UnreadableManifest, line, read_manifests


def only(text):
    [manifest] = read_manifests(text.encode())
    return manifest.content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
        ("2026-12-24", "2026-12-24"),
        ("12:30:45", "12:30:45"),
        ("12:30", "12:30"),
        ("1e3", 1000),
        ("2.592e+06", 2592000),
        ("600.0", 600),
        ("-0.0", 0),
        ("1.5", 1.5),
        ("1234567890123456789.0", 1234567890123456800),
        ("1e20", 1e20),
        ("1e300", 1e300),
        ("6e45915", "6e45915"),
        ("-.inf", float("-inf")),
        ("09", 9),
        ("-089", -89),
        ("0", 0),
        ("-7", -7),
        ("0x1F", 31),
        ("010", 8),
        ("1_000", 1000),
        ("18446744073709551616", 2**64),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("'12'", "12"),
        ("1.2.3", "1.2.3"),
        ("500m", "500m"),
        ("=", "="),
    ],
)
def test_values_are_read_as_kubectl_reads_them(text, value):
    found = only(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("letter", "value"), [("y", True), ("Y", True), ("n", False), ("N", False)])
def test_one_letter_is_a_boolean_to_kubectl_and_a_text_to_us(letter, value):
    text = f"a: {letter}\nb: '{letter}'".encode()
    for for_kubectl, found in ((True, value), (False, letter)):
        [manifest] = read_manifests(text, for_kubectl=for_kubectl)
        assert manifest.content == {"a": found, "b": letter}
    assert only(f"{letter}: 1") == {letter: 1}
    told = rf"line 1: the key '{letter}' is not a string; YAML reads on, off, yes, no, y and n as booleans"
    with pytest.raises(UnreadableManifest, match=told):
        read_manifests(f"{{{letter}: 1}}".encode(), for_kubectl=True)


FACE = "\N{GRINNING FACE}"


def test_json_writes_far_characters_in_two_halves():
    content = {"a": f"{FACE} \\ud83d\\ude00 \\", FACE: [f'"{FACE}', 0.5, -7, True, None], "x": {"y": f"\\{FACE}"}}
    assert "\\ud83d\\ude00" in json.dumps(content)
    assert only(json.dumps(content)) == only(json.dumps(content, ensure_ascii=False)) == content
    assert only(f"\n {json.dumps(content, indent=2)}\n") == content
    assert only('{"a": "\\uD83D\\uDE00"}') == {"a": FACE}


def test_what_is_not_json_has_no_halves():
    assert only("{a: '\\ud83d\\ude00', b: \\ud83d\\ude00}") == dict.fromkeys("ab", "\\ud83d\\ude00")


def test_documents_have_paths_when_there_are_several_and_empty_ones_do_not_count():
    one = read_manifests(b"---\na: 1\n---\n# nothing\n")
    assert [(manifest.content, manifest.path) for manifest in one] == [({"a": 1}, "")]
    two = read_manifests(b"a: 1\n---\na: 2\n")
    assert [manifest.at("spec.x") for manifest in two] == ["documents[0].spec.x", "documents[1].spec.x"]


def test_a_list_is_taken_apart():
    [first, second] = read_manifests(b"kind: List\nitems: [{a: 1}, {a: 2}]\n")
    assert (first.content, second.at("spec")) == ({"a": 1}, "items[1].spec")


def test_anchors_and_merges_are_ordinary_yaml():
    assert only("base: &b {x: 1}\nuse: {<<: *b, y: 2}\nagain: *b") == {
        "base": {"x": 1}, "use": {"x": 1, "y": 2}, "again": {"x": 1}
    }  # fmt: skip


def test_keys_of_what_is_not_wefts_are_as_kubectl_takes_them():
    found = only("apiVersion: v1\nkind: ConfigMap\ndata: {8080: shop/server}")
    assert found["data"] == {8080: "shop/server"}
    assert only("{'1': a, \"true\": b, !!str 2: c, n: {<<: {x: 1}}}") == {
        "1": "a",
        "true": "b",
        "2": "c",
        "n": {"x": 1},
    }


def bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(), r"line 7: more than 2000000 values"),
        ("a: " + "[" * 5_000 + "]" * 5_000, r"line 1: nested deeper than 100 levels"),
        ("{a: " * 100_000, r"line 1: nested deeper than 100 levels"),
        ("a: &x [*x]", r"line 1: the alias \*x stands inside what it stands for"),
        ("a: 1\nb: 2\na: 3", r"line 3: the key 'a' stands twice in one object \(first on line 1\)"),
        ("{a: 1, b: {c: 1, c: 2}}", r"line 1: the key 'c' stands twice"),
        ("? [a]\n: b", r"line 1: a key must be a text"),
        ("a: 1\nb: {c: [{yes: 1}]}", r"line 2: the key 'yes' is not a string; YAML reads on, off, yes, no, y"),
        ("true: 1", r"line 1: the key 'true' is not a string; .*put it in quotes"),
        ("a: {1: x}", r"line 1: the key '1' is not a string; put it in quotes: \"1\""),
        ('{"a": "\\ud83d\\ude00",\n"a": 1}', r"line 2: the key 'a' stands twice"),
        ('{"a": "\\ud83d\\ude00",\n"b": ' + "[" * 101 + "]" * 101 + "}", r"line 2: nested deeper than 100 levels"),
        ('{"a": "\\ud83d"}', r"line 1: found invalid Unicode character"),
        ('{"a": "\\ude00\\ud83d"}', r"line 1: found invalid Unicode character"),
        ('a: "\\ud83d\\ude00"', r"line 1: found invalid Unicode character"),
        ("a: {1.5: x}", r"line 1: the key '1.5' is not a string"),
        ("a: {~: x}", r"line 1: the key '~' is not a string"),
        ("apiVersion: weft.dev/v1alpha1\nspec: {http: {body: {1: x}}}", r"line 2: the key '1' is not a string"),
        ("apiVersion: v1\nkind: List\nitems: [{1: x}]", r"line 3: the key '1' is not a string"),
        ("a: *nowhere", r"line 1: "),
        ("a: 'open", r"line \d: "),
        ("a: !!python/object/apply:os.system [ls]", r"line 1: could not determine a constructor"),
        ("a: \x00", r"\S"),
        ("a: 1\nb: 0x" + "f" * 5_000, r"line 2: an integer of 20000 bits; nothing reads one so large"),
        ("a: 1" + "0" * 400, r"line 1: an integer of 1329 bits"),
    ],
)
def test_hostile_and_broken_text_is_refused_with_its_line(text, message):
    with pytest.raises(UnreadableManifest, match=f"^{message}"):
        read_manifests(text.encode())


def test_what_is_not_utf_8_or_too_large_is_refused():
    with pytest.raises(UnreadableManifest):
        read_manifests(b"a: \xff\xfe\xff")
    with pytest.raises(UnreadableManifest, match="at most"):
        read_manifests(b" " * (MAX_BYTES + 1))


def test_a_line_of_output_is_one_line_and_not_endless():
    assert line("f.yaml", "spec.a", "one\ntwo") == "f.yaml: spec.a: one two"
    assert line("f.yaml", "", "x") == "f.yaml: x"
    assert len(line("f.yaml", "a", "x" * 1_000_000)) < 3_000
