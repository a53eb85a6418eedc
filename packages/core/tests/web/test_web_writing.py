"""How responses of views are written to a shared tier, and read again."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tiercel.codec import CompressedCodec, PickleCodec, SafeCodec, SignedCodec
from tiercel.contracts.codec import Codec
from tiercel.contracts.web import StoredResponse
from tiercel.errors import Undecodable
from tiercel.web.writing import ResponseCodec

SECRET = b"long enough for a key of a test, and no more than that"
BINDING = b"the key and the header of an entry"
CODECS = [
    SafeCodec(),
    SignedCodec(SafeCodec(), [SECRET]),
    PickleCodec([SECRET]),
    CompressedCodec(SafeCodec(), "zlib", threshold=10),
]
HEADERS = (("Content-Type", "text/html"), ("Link", "<a>"), ("link", "<b>"), ("X-Kind", "caf\xe9"))
RESPONSES = [
    StoredResponse(200, HEADERS, b"x" * 10_000, math.inf, (("accept", "*/*"), ("cookie", None))),
    StoredResponse(204, (), b""),
    StoredResponse(301, (("Location", "/"),), b"\x00\xff", 0.5),
]
RESULTS = [[], [1], [[1]], [200, b"", None, [], []], "text", b"bytes", {"a": [1]}, None, (1, [2])]


@pytest.fixture(params=CODECS, ids=lambda codec: codec.name)
def codec(request: pytest.FixtureRequest) -> Codec:
    """What writes responses by way of another codec."""
    return ResponseCodec(request.param)


@pytest.mark.parametrize("response", RESPONSES)
def test_response_when_it_is_read_again_then_nothing_of_it_has_changed(
    codec: Codec, response: StoredResponse
) -> None:
    """Each header stands in its place, with its case, and so does what it varies with."""
    found = codec.decode(codec.encode(response, BINDING), BINDING)
    assert found == response
    assert type(found.body) is bytes
    assert [type(each) for each in found.headers] == [tuple] * len(response.headers)


@pytest.mark.parametrize("result", RESULTS, ids=repr)
def test_result_when_it_is_no_response_then_it_is_not_taken_for_one(
    codec: Codec, result: Any
) -> None:
    """Also a list that looks just like a response that was written."""
    found = codec.decode(codec.encode(result, BINDING), BINDING)
    assert (type(found), found) == (type(result), result)


@pytest.mark.parametrize(
    "foreign",
    [[1, 2], [200, b"", None, ["Odd"], []], [200, b"", None, 5, []], [200, b"", None, [], 7]],
    ids=repr,
)
def test_payload_when_it_is_no_response_then_it_cannot_be_decoded(
    codec: Codec, foreign: list[Any]
) -> None:
    """As after a change of what is written; such an entry counts as a miss."""
    assert isinstance(codec, ResponseCodec)
    with pytest.raises(Undecodable, match="no response"):
        codec.decode(codec.inner.encode(foreign, BINDING), BINDING)


def test_payload_when_it_is_moved_to_another_entry_then_a_signing_codec_refuses_it() -> None:
    """What the inner codec binds to an entry stays bound to it."""
    codec = ResponseCodec(SignedCodec(SafeCodec(), [SECRET]))
    assert codec.binds
    with pytest.raises(Undecodable):
        codec.decode(codec.encode(RESPONSES[0], BINDING), b"another entry")
