"""What must not hang is given up after a while."""

import signal

import pytest


@pytest.fixture
def patience():
    """Raise TimeoutError in a test that takes 60 seconds."""

    def give_up(number, frame):
        raise TimeoutError("took more than 60 s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
