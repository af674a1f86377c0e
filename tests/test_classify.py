"""Classification: from what the supervisor saw of an attempt follows one outcome of the closed set, and a message."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from renderer.outcome import CHILD_MAY_SAY, OFFENCES, UNCHARGED, Outcome
from supervisor.child_process import ExitStatus
from supervisor.classify import MAX_ERROR, Kill, Observation, classify, printable


def seen(
    reply: dict[str, Any] | None = None,
    kill: Kill | None = None,
    status: ExitStatus | None = None,
    stderr: str = "",
    *,
    starved: bool = False,
) -> Observation:
    """Return an observation in which nothing happened but what is named."""
    return Observation(reply=reply, kill=kill, status=status, stderr_tail=stderr, starved=starved)


def ended_by(number: int, stderr: str = "", *, starved: bool = False) -> tuple[Outcome, str | None]:
    """Classify the end by a signal."""
    return classify(seen(status=ExitStatus(signal=number), stderr=stderr, starved=starved))


def test_an_ok_reply() -> None:
    """A reply that says ok with a media type is ok, without a message."""
    assert classify(seen({"outcome": "ok", "content_type": "image/png"})) == (Outcome.OK, None)


@pytest.mark.parametrize("outcome", sorted(CHILD_MAY_SAY - {Outcome.OK}))
def test_a_reply_that_failed(outcome: Outcome) -> None:
    """Each failure that a child may report is taken over with its message."""
    assert classify(seen({"outcome": outcome.value, "error": "because"})) == (outcome, "because")


@pytest.mark.parametrize("outcome", [*sorted(set(Outcome) - CHILD_MAY_SAY), "OK", "", None, 7, ["ok"], {"ok": 1}])
def test_a_reply_may_not_claim_what_only_the_supervisor_sees(outcome: Any) -> None:
    """An outcome that is not a reply's to give, or none at all, is a breach of the protocol, and the message shows it."""
    found, message = classify(seen({"outcome": outcome, "error": "x"}))
    assert found is Outcome.PROTOCOL
    assert message is not None
    assert str(outcome) in message


def test_a_reply_without_an_outcome() -> None:
    """An empty reply is a breach of the protocol."""
    assert classify(seen({}))[0] is Outcome.PROTOCOL


@pytest.mark.parametrize(
    "content_type",
    [
        *("image/png", "application/octet-stream", "image/svg+xml", "video/x-matroska", "IMAGE/PNG", "Image/Svg+Xml"),
        *(
            "text/plain; charset=utf-8",
            "text/plain;charset=UTF-8",
            "text/html ; a=b;c=d ;",
            'text/x; name="a \\" b; c"',
        ),
        "image/" + "x" * 249,
    ],
)
def test_media_types_that_are_taken(content_type: str) -> None:
    """What RFC 9110 calls one: in any case, with parameters, up to 255 characters."""
    assert classify(seen({"outcome": "ok", "content_type": content_type}))[0] is Outcome.OK


@pytest.mark.parametrize(
    "content_type",
    [
        *("", "png", "image/", "/png", "image/png\n", " image/png", "image/png ", "image /png", "image/../x"),
        *("image/png; charset", "image/png; a=b c", 'text/x; name="open', "image/png, image/gif", "image/png; a=\n b"),
        *("text/html\r\nSet-Cookie: a=b", "image/png\x00", "image/" + "x" * 250, "image/é", None, 7, ["image/png"]),
        "a/b" + ";  " * 80 + "=",  # must not be tried in every way there is
    ],
)
def test_media_types_that_are_refused(content_type: Any) -> None:
    """What is no media type, a header smuggled in among them, is the output's fault and is shown cut short."""
    outcome, message = classify(seen({"outcome": "ok", "content_type": content_type}))
    assert outcome is Outcome.BAD_OUTPUT
    assert message is not None
    assert message.startswith("content_type must be a media type")
    assert len(message) < 200
    assert message.isprintable()


@pytest.mark.parametrize("code", [0, 1, 255])
def test_an_exit_without_a_reply_is_a_crash(code: int) -> None:
    """A child that ends by itself without an answer crashed, an exit code of 0 included, and the code is told."""
    outcome, message = classify(seen(status=ExitStatus(code=code)))
    assert outcome is Outcome.CRASH
    assert message == f"the child ended with exit code {code} and without a reply"


@pytest.mark.parametrize(
    ("number", "outcome", "word"),
    [
        (signal.SIGSEGV, Outcome.CRASH, "SIGSEGV"),
        (signal.SIGKILL, Outcome.CRASH, "SIGKILL"),
        (signal.SIGABRT, Outcome.CRASH, "SIGABRT"),
        (signal.SIGTERM, Outcome.CRASH, "SIGTERM"),
        (signal.SIGXCPU, Outcome.TIMEOUT, "processor time"),
        (signal.SIGXFSZ, Outcome.LIMIT, "limit of the output"),
        (signal.SIGSYS, Outcome.VIOLATION, "SIGSYS"),
        (signal.SIGRTMIN + 7, Outcome.CRASH, "signal 41"),
    ],
)
def test_a_signal_of_its_own(number: int, outcome: Outcome, word: str) -> None:
    """A signal that we did not send says what happened, and its name is in the message."""
    found, message = ended_by(number)
    assert found is outcome
    assert word in (message or "")


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP])
def test_a_starved_child_that_crashed_lacked_memory(number: signal.Signals) -> None:
    """Near its memory limit, the signals by which libraries die of a failed allocation mean memory."""
    outcome, message = ended_by(number, starved=True)
    assert outcome is Outcome.MEMORY
    assert number.name in (message or "")


@pytest.mark.parametrize("words", ["memory allocation of 4096 bytes failed", "terminate: std::bad_alloc"])
def test_last_words_that_tell_of_memory(words: str) -> None:
    """The last words of Rust and of C++ after a failed allocation mean memory, and are kept in the message."""
    outcome, message = ended_by(signal.SIGABRT, f"note\n{words}\n")
    assert outcome is Outcome.MEMORY
    assert message is not None
    assert message.endswith(words)
    assert ended_by(signal.SIGABRT, "memory is cheap")[0] is Outcome.CRASH


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (signal.SIGXCPU, Outcome.TIMEOUT),
        (signal.SIGXFSZ, Outcome.LIMIT),
        (signal.SIGSYS, Outcome.VIOLATION),
        (signal.SIGKILL, Outcome.CRASH),
    ],
)
def test_starvation_does_not_hide_another_cause(number: int, outcome: Outcome) -> None:
    """A signal that has one meaning keeps it near the memory limit."""
    assert ended_by(number, starved=True)[0] is outcome


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_kill_of_ours_explains_the_end(outcome: Outcome) -> None:
    """What the supervisor killed for is the outcome, with its reason, whatever the exit status says."""
    kill = Kill(outcome, "the reason")
    for status in (None, ExitStatus(), ExitStatus(signal=signal.SIGKILL), ExitStatus(signal=signal.SIGSYS)):
        assert classify(seen(kill=kill, status=status, stderr="noise")) == (outcome, "the reason")


def test_a_child_that_was_dead_already_ended_by_itself() -> None:
    """It closed its end as it died, and was taken for one that runs on while the fork server could not tell: its own end counts."""
    kill = Kill(Outcome.PROTOCOL, "it closed its end and ran on", perhaps_dead=True)
    assert classify(seen(kill=kill, status=ExitStatus(signal=signal.SIGSEGV)))[0] is Outcome.CRASH
    assert classify(seen(kill=kill, status=ExitStatus(code=3)))[0] is Outcome.CRASH
    for status in (None, ExitStatus(), ExitStatus(signal=signal.SIGKILL)):
        assert classify(seen(kill=kill, status=status)) == (kill.outcome, kill.reason)


def test_a_reply_counts_before_a_kill_and_a_status() -> None:
    """A child that answered and died, or was killed too late, has answered."""
    reply = {"outcome": "ok", "content_type": "image/png"}
    kill = Kill(Outcome.TIMEOUT, "late")
    assert classify(seen(reply, kill, ExitStatus(signal=signal.SIGKILL), starved=True)) == (Outcome.OK, None)


@pytest.mark.parametrize("status", [None, ExitStatus(), ExitStatus(cpu_seconds=1.0)])
def test_an_end_that_nobody_saw_is_ours(status: ExitStatus | None) -> None:
    """When the fork server died before it could say how a child ended, the job is not to blame."""
    outcome, _ = classify(seen(status=status, stderr="Segmentation fault", starved=True))
    assert outcome is Outcome.INTERNAL
    assert outcome in UNCHARGED


def test_the_log_tail_is_in_the_message() -> None:
    """Behind the cause stand the last lines that the child wrote, cut to what is stored."""
    assert ended_by(signal.SIGSEGV, "\n  at shader.c:7 \n")[1] == "the child ended with SIGSEGV\nat shader.c:7"
    assert len(ended_by(signal.SIGSEGV, "x" * 9000)[1] or "") == MAX_ERROR


HOSTILE = "a\x00b\x1b[31mred\x07\ud800c\udfff\x7fd\x9b2J\re\tf\ng"


def test_a_strangers_text_is_made_harmless() -> None:
    """NUL, escape sequences and lone surrogates are replaced, in a reply as in the log; tab and line break stay."""
    harmless = "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[31mred"
    for _, message in (classify(seen({"outcome": "invalid", "error": HOSTILE})), ended_by(signal.SIGSEGV, HOSTILE)):
        assert message is not None
        assert harmless in message
        assert message.endswith("e\tf\ng")
        assert not set(message) & {"\x00", "\x1b", "\x07", "\x7f", "\x9b", "\r"}
        assert message.encode()  # which a lone surrogate would not let pass


def test_a_text_is_cut() -> None:
    """No text is stored beyond the limit, and one at the limit is whole."""
    assert printable("x" * (MAX_ERROR + 1)) == "x" * MAX_ERROR
    assert classify(seen({"outcome": "invalid", "error": "y" * 100_000}))[1] == "y" * MAX_ERROR


def test_the_sets_of_outcomes() -> None:
    """An offence is charged, and success is neither an offence nor free of charge."""
    assert not OFFENCES & UNCHARGED
    assert Outcome.OK not in OFFENCES | UNCHARGED
