import pytest
from weft.kube import errors


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (400, {}, errors.BadRequest),
        (401, {"reason": "Unauthorized"}, errors.Unauthorized),
        (403, {"reason": "Forbidden", "message": "pods is forbidden: User x cannot create"}, errors.Forbidden),
        (
            403,
            {
                "reason": "Forbidden",
                "message": 'pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2',
            },
            errors.QuotaExceeded,
        ),
        (403, {"reason": "Forbidden", "message": "forbidden: status unknown for quota: q"}, errors.QuotaExceeded),
        (403, {"reason": "Forbidden", "message": "forbidden: failed quota: q: must specify cpu"}, errors.Forbidden),
        (403, {"message": 'jobs is forbidden: User "w" cannot create resource "jobs"'}, errors.NotYetAllowed),
        (403, {"message": "pods is forbidden: error looking up service account a/b: not found"}, errors.NotYetAllowed),
        (403, {"message": "pods is forbidden: not yet ready to handle request"}, errors.NotYetAllowed),
        (
            403,
            {"reason": "Forbidden", "details": {"causes": [{"reason": "NamespaceTerminating"}]}},
            errors.NamespaceTerminating,
        ),
        (404, {"reason": "NotFound"}, errors.NotFound),
        (405, {"reason": "MethodNotAllowed"}, errors.BadRequest),
        (409, {"reason": "AlreadyExists"}, errors.AlreadyExists),
        (409, {"reason": "Conflict"}, errors.Conflict),
        (410, {"reason": "Expired"}, errors.Gone),
        (422, {"reason": "Invalid"}, errors.Invalid),
        (429, {"reason": "TooManyRequests"}, errors.TooManyRequests),
        (500, {"reason": "InternalError"}, errors.ServerError),
        (500, {"message": "failed to create typed patch object (n/a; /v1, Kind=ConfigMap): .dada"}, errors.Invalid),
        (503, {"reason": "ServiceUnavailable"}, errors.ServerError),
    ],
)
def test_each_answer_is_the_exception_that_says_what_to_do(code, body, expected):
    error = errors.from_status(code, body)
    assert type(error) is expected
    assert error.code == code
    assert error.reason == body.get("reason", "")


def test_a_taken_name_is_not_a_version_conflict():
    assert not isinstance(errors.from_status(409, {"reason": "AlreadyExists"}), errors.Conflict)


def test_quota_and_terminating_are_still_forbidden_to_who_does_not_care():
    assert issubclass(errors.QuotaExceeded, errors.Forbidden)
    assert issubclass(errors.NamespaceTerminating, errors.Forbidden)


def test_the_text_says_code_reason_and_message():
    assert str(errors.from_status(404, {"reason": "NotFound", "message": 'pods "a" not found'})) == (
        '404 NotFound: pods "a" not found'
    )


def test_a_proxys_page_is_an_error_too():
    error = errors.from_response(502, b"<html>Bad Gateway</html>", {})
    assert isinstance(error, errors.ServerError)
    assert error.message == "<html>Bad Gateway</html>"


@pytest.mark.parametrize(("header", "seconds"), [("3", 3.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("", None)])
def test_retry_after_is_read_when_it_is_a_number(header, seconds):
    assert errors.from_response(429, b"{}", {"retry-after": header}).retry_after == seconds
