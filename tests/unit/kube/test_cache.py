import pytest
from weft.kube.cache import Cache


def pod(name="a", *, uid="u1", version="10", **extra):
    return {"metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": version}, **extra}


class Time:
    value = 0.0

    def __call__(self):
        return self.value


def cache(*held):
    made = Cache(monotonic=Time())
    for obj in held:
        made.apply("ADDED", obj)
    return made


def types(changes):
    return [
        (change.type, change.obj["metadata"]["uid"], change.obj["metadata"]["resourceVersion"]) for change in changes
    ]


@pytest.mark.parametrize(
    ("held", "event", "news", "left"),
    [
        (None, ("ADDED", pod()), [("ADDED", "u1", "10")], "10"),
        (None, ("MODIFIED", pod()), [("ADDED", "u1", "10")], "10"),
        (None, ("DELETED", pod()), [], None),
        (pod(), ("MODIFIED", pod(version="11")), [("MODIFIED", "u1", "11")], "11"),
        (pod(), ("MODIFIED", pod(version="10")), [], "10"),
        (pod(), ("MODIFIED", pod(version="9")), [], "10"),
        (pod(version="100"), ("MODIFIED", pod(version="99")), [], "100"),
        (pod(), ("DELETED", pod(version="11")), [("DELETED", "u1", "11")], None),
        (pod(), ("DELETED", pod(version="10")), [("DELETED", "u1", "10")], None),
        (pod(), ("DELETED", pod(version="9")), [], "10"),
        # Another life under the same name.
        (pod(), ("ADDED", pod(uid="u2", version="12")), [("DELETED", "u1", "10"), ("ADDED", "u2", "12")], "12"),
        (pod(uid="u2"), ("DELETED", pod(uid="u1", version="9")), [], "10"),
        (pod(uid="u2"), ("MODIFIED", pod(uid="u1", version="9")), [], "10"),
        (pod(), ("DELETED", pod(uid="u2", version="12")), [("DELETED", "u1", "10")], None),
        # Versions that are no numbers cannot be ordered, only told apart.
        (pod(version="x"), ("MODIFIED", pod(version="x")), [], "x"),
        (pod(version="x"), ("MODIFIED", pod(version="a")), [("MODIFIED", "u1", "a")], "a"),
    ],
)
def test_an_event_is_news_only_when_it_is_newer_than_what_is_held(held, event, news, left):
    objects = cache(*([held] if held else []))
    assert types(objects.apply(*event)) == news
    obj = objects.get("ns", "a")
    assert (obj and obj["metadata"]["resourceVersion"]) == left


def test_a_change_carries_what_was_held_before():
    (change,) = cache(pod()).apply("MODIFIED", pod(version="11"))
    assert change.old == pod()


def test_our_own_answer_is_not_undone_by_an_older_event_nor_repeated_by_its_own():
    objects = cache(pod(version="10"))
    assert types(objects.remember(pod(version="20"))) == [("MODIFIED", "u1", "20")]
    assert objects.apply("MODIFIED", pod(version="15")) == []
    assert objects.apply("MODIFIED", pod(version="20")) == []
    assert objects.get("ns", "a") == pod(version="20")


def test_an_answer_that_comes_after_the_deletion_raises_nobody_from_the_dead():
    objects = cache(pod(version="10"))
    objects.apply("DELETED", pod(version="20"))
    assert objects.remember(pod(version="15")) == []
    assert objects.get("ns", "a") is None


def test_an_answer_that_comes_after_a_life_we_never_saw_raises_nobody_either():
    objects = cache()
    objects.apply("DELETED", pod(version="20"))
    assert objects.remember(pod(version="10")) == []


def test_an_object_that_comes_back_into_the_selection_is_no_ghost():
    objects = cache(pod(version="10"))
    objects.apply("DELETED", pod(version="20"))
    assert types(objects.apply("ADDED", pod(version="21"))) == [("ADDED", "u1", "21")]


def test_the_dead_are_forgotten_in_the_end():
    clock = Time()
    objects = Cache(monotonic=clock)
    for number in range(100):
        objects.apply("DELETED", pod(uid=f"old{number}"))
    clock.value = 301.0
    for number in range(100):
        objects.apply("DELETED", pod(uid=f"new{number}"))
    assert objects.apply("ADDED", pod(uid="new0")) == []
    assert types(objects.apply("ADDED", pod(uid="old0"))) == [("ADDED", "old0", "10")]


def test_a_list_tells_what_vanished_what_changed_and_what_is_new():
    objects = cache(pod("gone", uid="g"), pod("same", uid="s"), pod("changed", uid="c"))
    listed = [pod("same", uid="s"), pod("changed", uid="c", version="20"), pod("new", uid="n", version="21")]
    assert types(objects.replace(listed, version="30")) == [
        ("DELETED", "g", "10"),
        ("MODIFIED", "c", "20"),
        ("ADDED", "n", "21"),
    ]
    assert {obj["metadata"]["name"] for obj in objects} == {"same", "changed", "new"}
    assert len(objects) == 3


def test_absence_from_a_list_older_than_our_own_answer_proves_nothing():
    objects = cache()
    objects.remember(pod(version="40"))
    assert objects.replace([], version="30") == []
    assert types(objects.replace([], version="50")) == [("DELETED", "u1", "40")]


def test_a_list_does_not_take_an_object_back_in_time():
    objects = cache(pod(version="40"))
    assert objects.replace([pod(version="20")], version="30") == []
    assert objects.get("ns", "a") == pod(version="40")


def test_a_late_answer_about_what_a_list_proved_gone_is_ignored():
    objects = cache(pod(version="10"))
    objects.replace([], version="30")
    assert objects.remember(pod(version="20")) == []
