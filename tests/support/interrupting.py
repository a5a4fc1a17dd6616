"""Ctrl-C at the worst of moments."""

from groundviz.runtime.loan import guard


def cut_short(monkeypatch, times):
    """Have putting a borrowed model back be interrupted, the first `times` times."""
    restore, left = guard.Memory.restore, [times]

    def interrupted(memory):
        if left[0]:
            left[0] -= 1
            raise KeyboardInterrupt
        restore(memory)

    monkeypatch.setattr(guard.Memory, "restore", interrupted)
